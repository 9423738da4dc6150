"""What secrets look like: the names they go by and the shapes they have. Words and patterns only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import IntEnum
from itertools import pairwise


class Kind(IntEnum):
    """What a name says of the value under it."""

    HARMLESS = 0
    SECRET = 1
    SECRET_UNLESS_NUMBER = 2
    """``tokens: 12`` and ``pass: 3`` are counts; ``tokens: ["…"]`` and ``pass: "…"`` are not."""


def _set(words: str, parted_by: str | None = None) -> frozenset[str]:
    return frozenset(words.split(parted_by))


SECRET_WORDS = _set(
    "password passwd pwd passphrase passcode passwort kennwort contrasena senha secret credential cred "
    "authorization cookie jwt bearer otp totp pin cvv cvc csc ssn signature sig session token csrf xsrf hmac "
    "apikey mnemonic samlresponse"
)
PLURALS = {word + "s": word for word in SECRET_WORDS - {"session", "pin", "bearer"}}
# A name that ends in one of these tells about a secret; it does not hold it.
ABOUT = _set(
    "type count counts used usage limit remaining total length size name names label title url uri endpoint path "
    "domain expires expiry expiration expired expire at in on ttl age date time timestamp created updated modified "
    "issued valid validity status policy required enabled disabled supported method methods mode scheme version "
    "format field fields index position attempts failures errors error message description provider issuer "
    "algorithm alg kind scope scopes budget cost price rate max min window duration start end started ended arn "
    "changed present known location"
)
# An id of these is as good as the thing itself.
ID_IS_SECRET = frozenset({"session", "secret", "token", "cookie"})
# Places in a listing, no rights.
PAGING = _set("next page paging pagination continuation cursor sync delta skip")
# A "key" is a secret only in this company: primary, foreign, sort, cache, public, issue keys are not.
KEY_KINDS = _set(
    "api secret private access auth authentication authorization client consumer encryption decryption crypto cipher "
    "signing signature shared master subscription account storage ssh pgp gpg rsa dsa ecdsa aes hmac webhook license "
    "app application admin server bot session ssl tls integration root developer service functions function write "
    "deploy deployment security symmetric token credential"
)
SECRET_PHRASES = _set(
    "code verifier|client assertion|saml assertion|security code|verification code|one time code|recovery code|"
    "recovery codes|backup code|backup codes|mfa code|2fa code|seed phrase|recovery phrase|card number|"
    "social security number|connect sid|auth code|authentication code",
    "|",
)
# Names written as one word.
GLUED = tuple(
    _set(
        "password passwd passphrase passcode secret token cookie credential credentials authorization apikey secretkey "
        "privatekey accesskey authkey encryptionkey signingkey sharedkey masterkey accountkey subscriptionkey sessionkey "
        "sessionid sessid clientassertion cardnumber"
    )
)
GLUED_PAGING = tuple(word + "token" for word in PAGING)

_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_SEPARATED = re.compile(r"[^\W\d_]+")


def squash(name: str) -> str:
    """The name without case, accents and separators."""
    return "".join(filter(str.isalnum, _plain(name).lower()))


def _plain(name: str) -> str:
    if name.isascii():
        return name
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


def kind_of(name: str) -> Kind:
    """Whether the value under ``name`` is a secret, by the name alone."""
    name = _plain(name)
    camel = [word.lower() for word in _CAMEL.findall(name)]
    kind = _kind_of_words(camel)
    if kind is Kind.HARMLESS:
        separated = _SEPARATED.findall(name.lower())
        if separated != camel:
            kind = _kind_of_words(separated)
    if kind is Kind.HARMLESS:
        glued = squash(name)
        if glued in SECRET_WORDS or (
            glued.endswith(GLUED) and not glued.endswith(GLUED_PAGING) and (camel or [""])[-1] not in ABOUT
        ):
            kind = Kind.SECRET
    return kind


def _kind_of_words(words: list[str]) -> Kind:
    if not words:
        return Kind.HARMLESS
    joined = f" {' '.join(words)} "
    last = words[-1]
    if last in ABOUT:
        return Kind.HARMLESS
    if last == "id" and not ID_IS_SECRET.intersection(words):
        return Kind.HARMLESS
    if any(f" {phrase} " in joined for phrase in SECRET_PHRASES):
        return Kind.SECRET
    for word in words:
        single = PLURALS.get(word, word)
        if single not in SECRET_WORDS or (single == "token" and PAGING.intersection(words)):
            continue
        return Kind.SECRET if single == word or word != last else Kind.SECRET_UNLESS_NUMBER
    if any(before in KEY_KINDS and word in ("key", "keys") for before, word in pairwise(words)):
        return Kind.SECRET
    if last in ("pass", "pw", "auth"):
        return Kind.SECRET_UNLESS_NUMBER
    return Kind.HARMLESS


# Values that are secrets wherever they stand. Each has a bounded or an always-matching tail, so that no
# text makes the search slower than linear.
_WORD_START = r"(?<![A-Za-z0-9])"
SHAPES = re.compile(
    _WORD_START + r"(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"
    r"|gh[opusr]_[A-Za-z0-9]{20,}|github_pat_\w{22,}"
    r"|xox[a-z](?:\.xox[a-z])?-[\w-]{8,}|xapp-[\w-]{10,}"
    r"|(?:sk|rk)_(?:live|test)_\w{8,}|whsec_[\w+/=]{16,}"
    r"|AIza[\w-]{30,}|ya29\.[\w.-]{16,}|GOCSPX-[\w-]{16,}|1//0[\w-]{20,}"
    r"|SG\.[\w-]{16,64}\.[\w-]{16,}|SK[0-9a-f]{32}(?![0-9a-f])"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}|gl(?:pat|dt|rt|cbt|ptt|soat)-[\w-]{16,}"
    r"|sk-[\w-]{20,}|xai-[\w-]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}"
    r"|sq0(?:atp|csp|idp)-[\w-]{20,}|EAAA[\w-]{40,}|EAA[A-Za-z0-9]{60,}"
    r"|shp(?:at|ss|ca|pa)_[A-Fa-f0-9]{20,}|pat-[a-z]{2}\d-[0-9a-fA-F-]{30,}"
    r"|00D[A-Za-z0-9]{12,15}![\w.]{16,}"
    r"|ATATT3[\w=-]{20,}|lin_api_\w{20,}|figd_[\w-]{20,}|dop_v1_[a-f0-9]{40,}|dckr_pat_[\w-]{20,}"
    r"|xkeysib-[\w-]{20,}|key-[0-9a-f]{32}(?![0-9a-f])|ntn_[A-Za-z0-9]{30,}|secret_[A-Za-z0-9]{40,}"
    r"|pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}|NRAK-[A-Z0-9]{20,}|PMAK-[a-f0-9-]{30,}|AGE-SECRET-KEY-1[A-Z0-9]{40,}"
    r")"
)
# One match takes the whole run, whether it is a token or not: a run is never searched twice.
JWT_RUN = re.compile(r"eyJ[\w.=-]*")
SLACK_HOOK = re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)([\w/-]{10,})")
AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
URL_LOGIN = re.compile(r"(://[^\s/@:?#\"'<>\\]{0,256}:)([^\s/\"'<>\\]{1,512})(?=@[\w\[])")
URL_TOKEN = re.compile(r"(://)([\w.~-]{16,512})(?=@[\w\[])")

# Words in text after which a value may follow: "…token…": the name around it decides.
STEMS = (
    r"pass|pwd|secret|token|key|auth|cookie|cred|sig|sess|jwt|otp|pin|cv[vc]|csc|ssn|bearer|saml|assertion|code|"
    r"hmac|mnemonic|phrase|senha|kennwort|contrase|number|[xc]srf|sid|pw"
)
SCHEME = re.compile(
    r"(?<![a-z0-9])(?P<scheme>bearer|basic|token|apikey|bot|negotiate|ntlm)[ \t]{1,8}(?P<value>[a-z0-9._~+/=:|-]+)"
)
SCHEME_WORDS = ("bearer", "basic", "token ", "apikey", "bot ", "negotiate", "ntlm")
FLAG = re.compile(
    r"(?<![\w-])--?(?P<name>[a-zA-Z][\w-]{0,63})[ \t]+(?P<value>[^\s\"'-][^\s\"']*|\"[^\"]*\"|'[^']*')"
)
XML = re.compile(
    r"<(?P<name>[A-Za-z][\w:.-]{0,63})(?:\s[^<>]{0,300})?>(?:<!\[CDATA\[)?(?P<value>[^<]+?)(?=\]\]>|<|\Z)"
)
FORM = re.compile(
    r"name=\"(?P<name>[^\"\r\n]{1,64})\"[^\r\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,3}\r?\n(?P<value>[^\r\n]+)"
)

# "token: expired" reports; it does not reveal. A lower-case word of this list after a colon stays.
REPORTING = _set(
    "a an and are authentication be been but can cannot changed closed contains could did does empty ended error "
    "expected expired failed forbidden found has have in incorrect invalid is jwt malformed may mismatch missing must "
    "no none not null nil ok on only or out please provided required should so some the this to too true false type "
    "unable undefined unexpected unknown unsupported updated use value was were will with wrong you your"
)


def stems(extra_names: Iterable[str]) -> re.Pattern[str]:
    """Finds, in lower-case text, a name that may be secret together with what parts it from its value."""
    own = "".join(
        "|" + r"[\W_]?".join(map(re.escape, words))
        for name in extra_names
        if (words := [word.lower() for word in _CAMEL.findall(_plain(name))])
    )
    return re.compile(
        rf"(?:{STEMS}{own})(?P<rest>[\w.\-]{{0,40}})(?P<close>\]|%5d)?(?P<quote>\\{{0,16}}[\"'`]|%22|&quot;|&#34;)?"
        r"\s{0,8}(?P<sep>=>|:=|=(?!=)|:(?!:|//)|%3[ad])[ \t]{0,8}(?P<open>\\{0,16}[\"'`]|%22|&quot;|&#34;)?"
    )
