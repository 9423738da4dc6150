"""Regular expressions for secrets in text: by their shape, and by the words and signs around them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import names
from .names import set_of, words_of

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
    ("hv", r"[sbr]\.[\w-]{20,}"),  # Vault
    ("dapi", r"[0-9a-f]{32}(?![0-9a-f])"),  # Databricks
    ("gl", r"(?:sa|c)_[\w+/=]{20,}"),  # Grafana
    ("dp.", r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}"),  # Doppler
    ("00", r"[\w-]{40}(?![\w-])"),  # Okta
    ("sntry", r"[su]_[\w+/=-]{20,}"),  # Sentry
    ("nfp_", r"[A-Za-z0-9]{30,}"),  # Netlify
    ("pul-", r"[0-9a-f]{40}(?![0-9a-f])"),  # Pulumi
    ("sb", r"(?:p|_secret)_[\w-]{20,}"),  # Supabase
    ("pscale_", r"(?:pw|tkn|oauth)_[\w.=-]{20,}"),  # PlanetScale
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
    ("EAA", r"(?<![/+]EAA)[A-Za-z0-9]{30,300}(?![\w/+=-])"),  # Facebook
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

# Shapes that are known by what stands within them: searched from there, the beginning is in the look behind.
TELEGRAM = re.compile(r":(?<=[0-9]{8}:)[\w-]{35}(?![\w-])")
MAILCHIMP = re.compile(r"-us(?<=[0-9a-f]{32}-us)[0-9]{1,2}(?![A-Za-z0-9])")
TERRAFORM = re.compile(r"\.atlasv1\.(?<=[A-Za-z0-9]{8}\.atlasv1\.)[\w-]{20,}")
WITHIN = ((":", TELEGRAM, 10), ("-us", MAILCHIMP, 32), (".atlasv1.", TERRAFORM, 32))
"""A substring of the shape, the pattern, and the maximum number of characters before the match that belong to it."""

# What a vendor says of a refusal needs no such run, and nobody can tell whose it is.
LONG_RUN = re.compile(r"[A-Za-z0-9_+/=.~-]{20,}")

# In a text with none of these, in lower case, SCHEME matches nowhere.
SCHEMES = ("bearer", "basic", "token ", "token\t", "apikey", "bot ", "bot\t", "negotiate", "ntlm")
SCHEME = re.compile(
    r"(?<![a-z0-9])(?P<scheme>bearer|basic|token|apikey|bot|negotiate|ntlm)[ \t]{1,8}(?P<value>[a-z0-9._~+/=:|-]+)"
)
LOGIN_FLAG = re.compile(
    r"(?<![\w-])(?:-u|--user|--proxy-user)[ =]{1,4}[\"']?[^\s:\"']{1,128}:(?P<value>[^\s\"']+)"
)
# "name": "Authorization", "value": "…" where it is no whole JSON: name=…&value=…, attributes of XML.
_Q = r"(?:\\{0,8}[\"'])?"
_SCHEMED = r"(?i:(?:bearer|basic|token)[ \t+]{1,8})?"
# Shorter ones stand for too much else in text.
_NAMES, _VALUES = (
    "|".join(sorted((word for word in words if len(word) > 2), reverse=True))
    for words in (names.PAIR_NAMES, names.PAIR_VALUES)
)
PAIR = re.compile(
    rf"(?i)(?<![a-z])(?:{_NAMES}){_Q}\s{{0,32}}[:=]\s{{0,32}}{_Q}(?P<name>[\w.-]{{1,512}}+){_Q}[\s,&;]{{1,32}}+"
    rf"{_Q}(?:{_VALUES}){_Q}\s{{0,32}}[:=]\s{{0,32}}(?P<open>\\{{0,8}}[\"'])?"
    rf"(?P<value>(?(open)[^\"'\\]+|{_SCHEMED}[^\"'&\s\\]+))"
)
# ('Authorization', '…'), as Python prints headers.
TUPLE = re.compile(r"\([\"'](?P<name>[\w.-]{1,512}+)[\"'],[ ]{0,32}[\"'](?P<value>[^\"'\r\n]+)")
# ['password', '…'], which may be a list of names, too.
LIST = re.compile(r"\[[\"'](?P<name>[\w.-]{1,512}+)[\"'],[ ]{0,32}[\"'](?P<value>[^\"'\r\n]+)[\"']\]")
FLAG = re.compile(
    rf"(?<![\w-])--?(?P<name>[a-zA-Z][\w-]{{0,512}}+)[ \t]+"
    rf"(?P<value>{_SCHEMED}[^\s\"'-][^\s\"']*|\"[^\"]*\"|'[^']*')"
)
XML = re.compile(
    r"<(?P<name>[A-Za-z][\w:.-]{0,512}+)(?:\s[^<>]{0,2000})?>(?:<!\[CDATA\[)?(?P<value>[^<]+?)(?=\]\]>|<|\Z)"
)
_LT, _GT = (
    rf"(?:&(?:amp;){{0,3}}(?:{name}t|#{ord(sign)}|#x{ord(sign):x});|\\{{1,16}}(?:u00|x){ord(sign):x}|%(?:25){{0,3}}{ord(sign):x})"
    for name, sign in (("l", "<"), ("g", ">"))
)
ESCAPED_XML = re.compile(
    rf"(?i){_LT}(?P<name>[a-z][\w:.-]{{0,512}}+)(?:(?:\s|%20|\+)(?:(?!{_GT})[^<>]){{0,200}})?{_GT}"
    rf"(?P<value>(?:(?!{_LT})[^<>])++)"
)


def _xml_pair(lt: str, gt: str) -> re.Pattern[str]:
    """``<name>password</name><value>…``, and ``<key>``, ``<string>`` of Apple's lists."""
    return re.compile(
        rf"(?i){lt}(?:[\w-]{{1,64}}:)?(?:{_NAMES}){gt}\s{{0,200}}(?P<name>[\w.-]{{1,512}}+)\s{{0,200}}"
        rf"{lt}/[\w:-]{{1,99}}{gt}\s{{0,200}}{lt}(?:[\w-]{{1,64}}:)?(?:{_VALUES}|string){gt}(?P<value>(?:(?!{lt})[^<>])++)"
    )


XML_PAIR, ESCAPED_XML_PAIR = _xml_pair("<", ">"), _xml_pair(_LT, _GT)
FORM = re.compile(
    r"name=\"(?P<name>[^\"\r\n]{1,512})\"[^\r\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,3}\r?\n(?P<value>[^\r\n]+)"
)
# CREATE USER bob IDENTIFIED BY '…'
IDENTIFIED = re.compile(
    r"(?i)(?<![a-z])identified\s{1,8}(?:with\s{1,8}[\w\"']{1,64}\s{1,8})?(?:by|as)\s{1,8}(?:password\s{1,8})?"
    r"(?P<open>\\{0,8}[\"'])?(?P<value>(?(open)[^\"'\\]+|[^\s;,]+))"
)
# mysql -uroot -p…: only these commands take a password so.
GLUED_FLAG = re.compile(r"(?<![\w-])-p(?:\\{0,8}[\"'])?(?P<value>[^\s\"'\\|;&]+)")
GLUING_COMMANDS = ("mysql", "mariadb", "sshpass")
GLUING_COMMAND = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(GLUING_COMMANDS)})[\w-]*(?![^\n|;&]*[\n|;&])")
RAW_HEADERS = re.compile(rf"(?i:{'|'.join(sorted(names.FLAT_PAIRS))})(?:\\{{0,16}}[\"'])?[\s:=]{{1,8}}\[")
NEXT_TEXT = re.compile(r"[\s,]{0,200}(?P<open>\\{0,16}[\"'])")

# Which of these to try when a text, in lower case, holds the sign.
NAMED = (
    *(("<", XML), ("<", XML_PAIR)),
    *(("[", LIST), ("--", FLAG), ("form-data", FORM), ("value", PAIR), ("(", TUPLE)),
)

# "token: expired" reports; it does not reveal. A lower-case word of this list after a colon stays.
REPORTING = set_of(
    "a an and are authentication be been but can cannot changed closed contains could did does empty ended error "
    "expected expired failed forbidden found has have in incorrect invalid is jwt malformed may mismatch missing must "
    "no none not null nil ok on only or out please provided required should so some the this to too true false type "
    "unable unauthorized denied revoked disabled blocked rejected refused undefined unexpected unknown unsupported "
    "updated use value was were will with wrong you your"
)


# The rest of the word in which a stem stands.
NAME_REST = re.compile(r"[\w.\-]*+")
# What parts a name from the value that follows it. No blank is looked at twice.
_QUOTE = r"\\{0,16}[\"'`]|%(?:25){0,3}2[27]|&(?:amp;){0,3}(?:quot|apos|#34|#39|#x22|#x27);"
_COMMENT = r"/\*[^*]{0,200}+\*/"
# PHP says of what type, and how long, the next value is.
_PHP_TYPE = r";(?:s:[0-9]{1,9}:(?=\\{0,16}[\"'])|[id]:(?=[0-9.-])|a:[0-9]{1,9}:(?=\{))"
PARTING = re.compile(
    rf"(?:(?:\[|%5b)?(?:\]|%5d))?(?P<quote>(?P<twice>\"\"(?!\"))|{_QUOTE})?\]?\*{{0,3}}+"
    rf"(?:\s++|%(?:25){{0,3}}20)*+(?:{_COMMENT}\s*+)?"
    rf"(?P<sep>=>|->|[→⇒]|:=|={{1,3}}(?!=)|::?(?!:|//)|(?:%(?:25){{0,3}}3[ad]){{1,2}}|{_PHP_TYPE})"
    rf"(?:\*{{1,3}}+(?=[ \t]))?(?:[ \t\u00a0]|%(?:25){{0,3}}20|\+(?=%))*+(?:{_COMMENT}[ \t]*+)?(?:\r?\n[ \t]++)?"
    rf"(?:[ubr](?=[\"']))?(?P<open>(?(twice)\"\"|(?:\"{{3}}|'{{3}}|{_QUOTE})))?"
)
# Between types and in the flow of data such signs part names from other names.
ALSO_BETWEEN_NAMES = frozenset({"->", "→", "⇒", "::"})
# … or, in prose: password 'hunter2', API key provided (abc123).
SAYING = re.compile(
    r"(?:(?: is| was| provided| used)?:? |(?=\([\"'`]))(?P<open>\(?[\"'`]?)(?P<value>[^\s\"'`()]{4,})"
)

# Whether letters of a name may be escaped.
MAY_BE_ESCAPED = re.compile(r"[\\%&;](?:[uUx01]|[4-7]|25|2[dDeE]|3[0-9]|#)")
IN_NAMES = re.compile(r"[A-Za-z0-9_.:=\-]*")


def _by_first(words: Iterable[str]) -> str:
    """The alternatives with one branch per first letter, see _by_first_letter."""
    tails: dict[str, list[str]] = {}
    for word in words:
        tails.setdefault(word[0], []).append(re.escape(word[1:]))
    return "|".join(f"{first}(?:{'|'.join(all_)})" for first, all_ in tails.items())


def stems(extra_names: Iterable[str]) -> re.Pattern[str]:
    """A pattern for lower-case text that finds words of secrets' names, the user's ``extra_names`` included."""
    own = "".join(
        "|" + r"[\W_]?".join(map(re.escape, words)) for name in extra_names if (words := words_of(name))
    )
    # Two patterns, because a search for bare words is three times as fast.
    return re.compile(_by_first(names.stems()) + own)
