"""Names of secrets: classifies a field's name as secret, harmless, or secret depending on its value.

This is the one list of such names: ``patterns`` makes what it looks for in text from it.

A name decides on its words: ``apiKey``, ``X-Api-Key`` and ``API_KEY`` are one, in letters that only look like
these, too (``lookalikes``). The bare name ``key`` leaves it
to the value: a text of eight characters or more without white space is a secret unless it is made of words
and numbers. Then each run of letters and digits in it is a word, a number, or a word with one or two digits, as in
``ABC-1234``, ``first_name`` and ``step2.title``; UUIDs and dates count as words, too.
"""

from __future__ import annotations

import re
from enum import IntEnum
from itertools import pairwise

from ..core.models import Json
from .lookalikes import in_latin


class Kind(IntEnum):
    """Classification of a name by the value expected under it."""

    HARMLESS = 0
    SECRET = 1
    SECRET_UNLESS_NUMBER = 2
    """``tokens: 12`` and ``pass: 3`` are counts; ``tokens: ["…"]`` and ``pass: "…"`` are not."""
    SECRET_IF_RANDOM = 3
    """``key: "first_name"`` is a name; ``key: "9fQ2xLw71"`` is not."""


def set_of(words: str, parted_by: str | None = None) -> frozenset[str]:
    return frozenset(words.split(parted_by))


SECRET_WORDS = set_of(
    "password passwd pwd passphrase passcode passwort kennwort contrasena senha secret credential cred "
    "authorization cookie jwt bearer otp totp pin cvv cvc csc ssn signature sig session token csrf xsrf hmac "
    "apikey mnemonic samlresponse"
)
PLURALS = {word + "s": word for word in SECRET_WORDS - {"session", "pin", "bearer"}}
# A name that ends in one of these tells about a secret; it does not hold it.
ABOUT = set_of(
    "type count counts used usage limit remaining total length size name names label title url uri endpoint path "
    "domain expires expiry expiration expired expire at in on ttl age date time timestamp created updated modified "
    "issued valid validity status policy required enabled disabled supported method methods mode scheme version "
    "format field fields index position attempts failures errors error message description provider issuer "
    "algorithm alg kind scope scopes budget cost price rate max min window duration start end started ended arn "
    "changed present known location sent left"
)
# An id of these is as good as the thing itself.
ID_IS_SECRET = frozenset({"session", "secret", "token", "cookie"})
# Places in a listing, no rights.
PAGING = set_of("next page paging pagination continuation cursor sync delta skip")
# A "key" is a secret only in this company: primary, foreign, sort, cache, public, issue keys are not.
KEY_KINDS = set_of(
    "api secret private access auth authentication authorization client consumer encryption decryption crypto cipher "
    "signing signature shared master subscription account storage ssh pgp gpg rsa dsa ecdsa aes hmac webhook license "
    "app application admin server bot session ssl tls integration root developer service functions function write "
    "deploy deployment security symmetric token credential publishable restricted"
)
SECRET_PHRASES = set_of(
    "code verifier|client assertion|saml assertion|security code|verification code|one time code|recovery code|"
    "recovery codes|backup code|backup codes|mfa code|2fa code|seed phrase|recovery phrase|card number|"
    "social security number|connect sid|auth code|authentication code|security answer|security answers|"
    "service role key|anon key",
    "|",
)
# A name that ends in one of these holds a secret, or counts.
LAST_WORDS = frozenset({"pass", "pw", "auth"})
# These say more, or less, as part of a name than alone.
ALONE = {"": Kind.HARMLESS, "key": Kind.SECRET_IF_RANDOM, "sid": Kind.SECRET}
# Words that are secrets by themselves only: other words end in them.
_NEVER_GLUED = set_of(
    "bearer contrasena cred csc csrf cvc cvv hmac jwt kennwort mnemonic otp passwort pin pwd samlresponse senha session "
    "sig signature ssn totp xsrf"
)
# Names written as one word.
GLUED = (
    *(SECRET_WORDS - _NEVER_GLUED),
    *set_of(
        "credentials secretkey privatekey accesskey authkey encryptionkey signingkey sharedkey masterkey "
        "accountkey subscriptionkey sessionkey "
        "publishablekey sessionid sessid"
    ),
    *(phrase.replace(" ", "") for phrase in SECRET_PHRASES),
)
# Names of parameters that are secrets in a URL, when they are long.
IN_URL = frozenset({"key", "code"})
# Headers whose value is more than one word.
SCHEMED_HEADERS = ("authorization",)
COOKIE_HEADERS = ("cookie", "cookies")
# What a form calls the field of a secret.
FIELD_TYPES = frozenset({"password", "secret"})
# Headings, too: "Session: Opening" is one when a word follows.
HEADINGS = set_of("session signature pin pass auth credential credentials cookie cookies")
# Keys of name/value pairs, as squash gives them.
PAIR_NAMES = set_of("key name header headername field fieldname param parameter variable property label k")
PAIR_VALUES = set_of("value values val v default")
FLAT_PAIRS = frozenset({"rawheaders", "rawtrailers"})
GLUED_PAGING = tuple(word + "token" for word in PAGING)

_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_SEPARATED = re.compile(r"[^\W\d_]+")


def squash(name: str) -> str:
    """The name without case, accents and separators, in Latin letters."""
    return "".join(filter(str.isalnum, in_latin(name).casefold()))


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, split at separators and camel-case humps."""
    return [word.lower() for word in _CAMEL.findall(in_latin(name))]


def kind_of(name: str) -> Kind:
    """Classifies the name, without looking at the value."""
    name = in_latin(name)
    camel = words_of(name)
    kind = _kind_of_words(camel)
    if kind is Kind.HARMLESS:
        separated = _SEPARATED.findall(name.lower())
        if separated != camel:
            kind = _kind_of_words(separated)
    if kind is Kind.HARMLESS:
        glued = squash(name)
        if glued.endswith(GLUED) and not glued.endswith(GLUED_PAGING) and (camel or [""])[-1] not in ABOUT:
            kind = Kind.SECRET
    return kind


def _kind_of_words(words: list[str]) -> Kind:
    if len(words) < 2 and (alone := ALONE.get("".join(words))) is not None:
        return alone
    joined = f" {' '.join(words)} "
    last_word = words[-1]
    if last_word in ABOUT:
        return Kind.HARMLESS
    if last_word == "id" and not ID_IS_SECRET.intersection(words):
        return Kind.HARMLESS
    if any(f" {phrase} " in joined for phrase in SECRET_PHRASES):
        return Kind.SECRET
    for word in words:
        single = PLURALS.get(word, word)
        if single not in SECRET_WORDS or (single == "token" and PAGING.intersection(words)):
            continue
        return Kind.SECRET if single == word or word != last_word else Kind.SECRET_UNLESS_NUMBER
    if any(before in KEY_KINDS and word in ("key", "keys") for before, word in pairwise(words)):
        return Kind.SECRET
    if last_word in LAST_WORDS:
        return Kind.SECRET_UNLESS_NUMBER
    return Kind.HARMLESS


def stems() -> list[str]:
    """The minimal set of lower-case words such that every name of a secret contains one."""
    phrases = {phrase.split()[-1] for phrase in SECRET_PHRASES}
    words = {*SECRET_WORDS, *LAST_WORDS, *filter(None, ALONE), *phrases}
    return sorted(word for word in words if not any(other in word for other in words - {word}))


# What looks random

UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
TIME = r"[0-9]{2}(?::?[0-9]{2}){0,2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
DATE = rf"[12][0-9]{{3}}-[01][0-9]-[0-3][0-9](?:[T ]{TIME})?"
FAMILIAR = re.compile(rf"(?<![^\W_])(?:{UUID}|{DATE})(?![^\W_])")
_NO_WORD = re.compile(r"(?<![^\W_])(?!(?:[^\W\d_]+\d{0,2}|\d+)(?![^\W_]))[^\W_]")
_CODE = re.compile(r"[A-Za-z_]\w*(?:(?:::|->|\.|\()[\w().]*)+")
_SPACE = re.compile(r"\s")


def is_random(value: Json) -> bool:
    """Whether a value looks random, which makes it a secret under a bare ``key``."""
    if not isinstance(value, str) or len(value) < 8 or _SPACE.search(value):
        return False
    return _NO_WORD.search(FAMILIAR.sub("-", value)) is not None


def is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()


def is_secret(kind: Kind, text: str) -> bool:
    """Whether a value under a name of this kind is a secret."""
    if kind is Kind.SECRET_UNLESS_NUMBER:
        return not is_number(text)
    if kind is Kind.SECRET_IF_RANDOM:
        return is_random(text)
    return kind is Kind.SECRET


def is_no_name(text: str) -> bool:
    """Whether a text beside a secret's name, where another name may stand as well, is the secret."""
    return len(text) >= 4 and any(map(str.isdigit, text)) and not _CODE.fullmatch(text)
