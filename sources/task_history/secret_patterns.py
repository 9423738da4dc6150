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
    "changed present known location sent left"
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
        if glued.endswith(GLUED) and not glued.endswith(GLUED_PAGING) and (camel or [""])[-1] not in ABOUT:
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


# Values that are secrets wherever they stand: how each begins, and what follows. Every tail is bounded or
# always matches, so that no text makes the search slower than linear.
_SHAPES = (
    ("AKIA", r"[A-Z0-9]{16}(?![A-Z0-9])"),  # AWS
    ("ASIA", r"[A-Z0-9]{16}(?![A-Z0-9])"),
    ("gh", r"[opusr]_[A-Za-z0-9]{20,}"),  # GitHub
    ("github_pat_", r"\w{22,}"),
    ("gl", r"(?:pat|dt|rt|cbt|ptt|soat)-[\w-]{16,}"),  # GitLab
    ("xox", r"[a-z](?:\.xox[a-z])?-[\w-]{8,}"),  # Slack
    ("xapp-", r"[\w-]{10,}"),
    ("sk_", r"(?:live|test)_\w{8,}"),  # Stripe
    ("rk_", r"(?:live|test)_\w{8,}"),
    ("whsec_", r"[\w+/=]{16,}"),
    ("AIza", r"[\w-]{30,}"),  # Google
    ("ya29.", r"[\w.-]{16,}"),
    ("GOCSPX-", r"[\w-]{16,}"),
    ("1//0", r"[\w-]{20,}"),
    ("SG.", r"[\w-]{16,64}\.[\w-]{16,}"),  # SendGrid
    ("SK", r"[0-9a-f]{32}(?![0-9a-f])"),  # Twilio
    ("npm_", r"[A-Za-z0-9]{30,}"),
    ("pypi-", r"[\w-]{30,}"),
    ("dckr_pat_", r"[\w-]{20,}"),
    ("sk-", r"[\w-]{20,}"),  # OpenAI, Anthropic
    ("xai-", r"[\w-]{20,}"),
    ("gsk_", r"[A-Za-z0-9]{20,}"),
    ("hf_", r"[A-Za-z0-9]{20,}"),
    ("r8_", r"[A-Za-z0-9]{20,}"),
    ("sq0", r"(?:atp|csp|idp)-[\w-]{20,}"),  # Square
    ("EAAA", r"(?<![/+]EAAA)[\w-]{40,100}(?![\w/+=-])"),  # beside / or + it is base64 of something else
    ("EAA", r"(?<![/+]EAA)[A-Za-z0-9]{60,300}(?![\w/+=-])"),  # Facebook
    ("shp", r"(?:at|ss|ca|pa)_[A-Fa-f0-9]{20,}"),  # Shopify
    ("pat-", r"[a-z]{2}\d-[0-9a-fA-F-]{30,}"),  # HubSpot
    ("pat", r"[A-Za-z0-9]{14}\.[a-f0-9]{40,}"),  # Airtable
    ("00D", r"[A-Za-z0-9]{12,15}![\w.]{16,}"),  # Salesforce
    ("ATATT3", r"[\w=-]{20,}"),  # Atlassian
    ("lin_api_", r"\w{20,}"),
    ("figd_", r"[\w-]{20,}"),
    ("dop_v1_", r"[a-f0-9]{40,}"),
    ("xkeysib-", r"[\w-]{20,}"),
    ("key-", r"[0-9a-f]{32}(?![0-9a-f])"),  # Mailgun
    ("ntn_", r"[A-Za-z0-9]{30,}"),  # Notion
    ("secret_", r"[A-Za-z0-9]{40,}"),
    ("NRAK-", r"[A-Z0-9]{20,}"),
    ("PMAK-", r"[a-f0-9-]{30,}"),
    ("AGE-SECRET-KEY-1", r"[A-Z0-9]{40,}"),
)


def _by_first_letter(shapes: Iterable[tuple[str, str]]) -> re.Pattern[str]:
    # Alternatives that all begin with a letter are searched eight times as fast as those that begin
    # with a look behind.
    tails: dict[str, list[str]] = {}
    for begin, tail in shapes:
        tails.setdefault(begin[0], []).append(re.escape(begin[1:]) + tail)
    return re.compile(
        "|".join(rf"{first}(?<![A-Za-z0-9]{first})(?:{'|'.join(all_)})" for first, all_ in tails.items())
    )


SHAPES = _by_first_letter(_SHAPES)
# One match takes the whole run, whether it is a token or not: a run is never searched twice.
JWT_RUN = re.compile(r"eyJ[\w.=-]*")
SLACK_HOOK = re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)([\w/-]{10,})")
AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
URL_LOGIN = re.compile(r"(://[^\s/@:?#\"'<>\\]{0,256}:)([^\s/\"'<>\\]{1,512})(?=@[\w\[])")
URL_TOKEN = re.compile(r"(://)([\w.~-]{16,512})(?=@[\w\[])")

# Words in text after which a value may follow: "…token…": the name around it decides.
# One branch a letter: see _by_first_letter.
STEMS = (
    r"pass|p(?:wd|in|w|hrase)|s(?:e(?:cret|ss|nha)|i[gd]|sn|aml)|token|k(?:ey|ennwort)|a(?:uth|ssertion)|"
    r"c(?:o(?:okie|de|ntrase)|red|v[vc]|sc|srf)|jwt|otp|bearer|hmac|mnemonic|number|xsrf"
)
SCHEME = re.compile(
    r"(?<![a-z0-9])(?P<scheme>bearer|basic|token|apikey|bot|negotiate|ntlm)[ \t]{1,8}(?P<value>[a-z0-9._~+/=:|-]+)"
)
SCHEME_WORDS = ("bearer", "basic", "token ", "apikey", "bot ", "negotiate", "ntlm")
LOGIN_FLAG = re.compile(
    r"(?<![\w-])(?:-u|--user|--proxy-user)[ =]{1,4}[\"']?[^\s:\"']{1,128}:(?P<value>[^\s\"']+)"
)
# "name": "Authorization", "value": "…" where it is no whole JSON: name=…&value=…, attributes of XML.
_Q = r"(?:\\{0,8}[\"'])?"
PAIR = re.compile(
    rf"(?i)(?<![a-z])(?:name|key|header|field){_Q}\s{{0,4}}[:=]\s{{0,4}}{_Q}(?P<name>[\w.-]{{1,64}}){_Q}[\s,&;]{{1,8}}"
    rf"{_Q}(?:value|val){_Q}\s{{0,4}}[:=]\s{{0,4}}{_Q}(?P<value>[^\"'&\s\\]+)"
)
FLAG = re.compile(
    r"(?<![\w-])--?(?P<name>[a-zA-Z][\w-]{0,63})[ \t]+(?P<value>[^\s\"'-][^\s\"']*|\"[^\"]*\"|'[^']*')"
)
XML = re.compile(
    r"<(?P<name>[A-Za-z][\w:.-]{0,63})(?:\s[^<>]{0,300})?>(?:<!\[CDATA\[)?(?P<value>[^<]+?)(?=\]\]>|<|\Z)"
)
FORM = re.compile(
    r"name=\"(?P<name>[^\"\r\n]{1,64})\"[^\r\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,3}\r?\n(?P<value>[^\r\n]+)"
)

# Which of these to try when a text holds the sign.
NAMED = (("<", XML), ("--", FLAG), ("form-data", FORM), ("alue", PAIR), ("ALUE", PAIR))

# "token: expired" reports; it does not reveal. A lower-case word of this list after a colon stays.
REPORTING = _set(
    "a an and are authentication be been but can cannot changed closed contains could did does empty ended error "
    "expected expired failed forbidden found has have in incorrect invalid is jwt malformed may mismatch missing must "
    "no none not null nil ok on only or out please provided required should so some the this to too true false type "
    "unable unauthorized denied revoked disabled blocked rejected refused undefined unexpected unknown unsupported "
    "updated use value was were will with wrong you your"
)


# Headings too: "Session: Opening" is one when a word follows.
PROSE = _set("session signature pin pass auth credential credentials cookie cookies")


# What follows such a word up to its value: the rest of the name, and what parts it from the value.
PARTING = re.compile(
    r"(?P<rest>[\w.\-]{0,40})(?:(?:\[|%5b)?(?:\]|%5d))?(?P<quote>\\{0,16}[\"'`]|%22|&quot;|&#34;)?"
    r"\s{0,8}(?P<sep>=>|:=|=(?!=)|:(?!:|//)|%3[ad])[ \t\u00a0]{0,8}(?:\r?\n[ \t]{1,16})?"
    r"(?:[ubr](?=[\"']))?(?P<open>\\{0,16}[\"'`]|%22|&quot;|&#34;)?"
)
# … or, in prose: password 'hunter2', API key provided (abc123).
SAYING = re.compile(
    r"(?P<rest>[\w.\-]{0,40})(?: is| was| provided| used)?:? (?P<open>[\"'`(]?)(?P<value>[^\s\"'`()]{4,})"
)


def stems(extra_names: Iterable[str]) -> re.Pattern[str]:
    """Finds, in lower-case text, words that may be part of a secret's name."""
    own = "".join(
        "|" + r"[\W_]?".join(map(re.escape, words))
        for name in extra_names
        if (words := [word.lower() for word in _CAMEL.findall(_plain(name))])
    )
    # Two patterns, because a search for bare words is three times as fast.
    return re.compile(STEMS + own)
