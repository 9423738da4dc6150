"""Regular expressions for secrets in text: by their shape, and by the words and signs around them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from . import kinds_of_names, two_word_names
from .data_files import rules, word_set
from .expressions import expression
from .kinds_of_names import words_of

_GLUE = {"no": r"[ \t=]{1,4}", "may": r"[ \t]{0,4}", "only": ""}
"""What stands between the flag of a command and its value."""


def _by_first_letter(shapes: Iterable[tuple[str, str]]) -> re.Pattern[str]:
    # Alternatives that all begin with a letter are searched eight times as fast as those that begin
    # with a look behind.
    tails: dict[str, list[str]] = {}
    for begin, tail in shapes:
        tails.setdefault(begin[0], []).append(re.escape(begin[1:]) + tail)
    return expression(
        "|".join(rf"{first}(?<![A-Za-z0-9]{first})(?:{'|'.join(all_)})" for first, all_ in tails.items())
    )


_ALL_SHAPES = [shape for vendor in rules("shapes")["vendor"] for shape in vendor["shapes"]]
# Every tail is bounded or always matches, so that no text makes the search slower than linear.
SHAPES = _by_first_letter((shape["begin"], shape["rest"]) for shape in _ALL_SHAPES)
DIGITS_ALIKE = str.maketrans("123456789", "000000000")
"""Words are remembered without regard to their digits."""
SHAPES_OF_ALIKE = _by_first_letter(
    (shape["begin"].translate(DIGITS_ALIKE), shape["rest"]) for shape in _ALL_SHAPES
)
NEEDS_DIGIT, NEEDS_LETTER = (
    tuple(shape["begin"] for shape in _ALL_SHAPES if shape.get("needs") == need)
    for need in ("digit", "letter")
)
"""Beginnings that names of styles and packages have too, but no digits; or numbers, but no letters."""
WEBHOOK_SIGNS = (
    "hook",
    "calendar",
    "googleapis",
    "dingtalk",
    "ifttt",
    "hc-ping",
    "victorops",
    "zapikey",
    "pagerduty",
    "/push/",
    "/ping/",
    "heartbeat",
    "trigger",
    "deploy",
    "incoming",
    "infura",
    "alchemy",
    "quiknode",
    "ankr",
    "blastapi",
    "getblock",
    "http-intake",
    "teamjoin",
    "chainstack",
)
"""In a text with none of these, in lower case, WEBHOOK matches nowhere."""
WEBHOOK = expression(
    rf"(?i)(://(?:{'|'.join(webhook['address'] for webhook in rules('shapes')['webhook'])}))([\w/.~=%&@?+-]{{8,}})"
)
# One match takes the whole run, whether it is a token or not: a run is never searched twice.
JWT_RUN = expression(r"eyJ[\w.=-]*")
PEM_BEGIN, PEM_END = (
    expression(
        rf"-{{4,5}} ?{edge} (?:[A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?|OpenVPN Static key V[0-9]) ?-{{4,5}}"
    )
    for edge in ("BEGIN", "END")
)
# https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html
PUTTY = expression(
    r"Private-Lines: ?[0-9]{1,4}(?:\r?\n|\\{1,8}r?\\{0,8}n)"
    r"(?P<value>(?:[A-Za-z0-9+/=]{1,200}(?:\r?\n|(?:\\{1,8}r)?\\{1,8}n|\Z))++)"
)
URL_LOGIN = expression(
    r"(://[^\s/@:?#\"'<>\\]{0,256}:)([^\s/\"'<>\\]{1,512}(?=@[\w\[])|(?![0-9]{1,5}/)[^\s@\"'<>\\?&]{1,256}/[^\s/\"'<>\\?&]{1,256}(?=@[\w\[]))"
)
URL_TOKEN = expression(r"(://)([\w.~-]{16,512})(?=@[\w\[])")
# https://www.rfc-editor.org/rfc/rfc4954
SMTP_AUTH = expression(
    r"[Aa](?<![A-Za-z].)(?i:uth(?:enticate)? (?:plain|login|xoauth2|oauthbearer))[ =]{1,4}(?!-)(?P<value>[\w+/=-]{8,})"
)

WITHIN = tuple(
    (
        shape["middle"],
        expression(
            f"{re.escape(shape['middle'])}(?<={shape['before']}{re.escape(shape['middle'])}){shape['after']}"
        ),
        shape["reach"],
    )
    for shape in rules("shapes")["within"]
)
"""A substring of the shape, the pattern, and the maximum number of characters before the match that belong to it."""

# What a vendor says of a refusal needs no such run, and nobody can tell whose it is.
LONG_RUN = expression(r"[A-Za-z0-9_+/=.~-]{20,}")

SCHEME = expression(
    r"(?<![a-z0-9])(?P<scheme>bearer|basic|token|apikey|bot|negotiate|ntlm)[ \t,]{1,8}(?P<value>[a-z0-9._~+/=:|-]+)"
)
LOGIN_FLAG = expression(
    r"(?<![\w-])(?:-u|--user|--proxy-user)[ =]{1,4}[\"']?[^\s:\"']{1,128}:(?P<value>[^\s\"']+)"
)
# "name": "Authorization", "value": "…" where it is no whole JSON: name=…&value=…, attributes of XML.
_Q = r"(?:\\{0,8}[\"'])?"
_SCHEMED = r"(?i:(?:bearer|basic|token)[ \t+]{1,8})?"
# Shorter ones stand for too much else in text.
_NAMES, _VALUES = (
    "|".join(sorted((word for word in words if len(word) > 2), reverse=True))
    for words in (kinds_of_names.PAIR_NAMES_IN_TEXT, kinds_of_names.PAIR_VALUES_IN_TEXT)
)
PAIR = expression(
    rf"(?i)(?<![a-z])(?:{_NAMES}){_Q}\s{{0,32}}[:=]\s{{0,32}}{_Q}(?P<name>[\w.-]{{1,512}}+){_Q}[\s,&;]{{1,32}}+"
    rf"{_Q}(?:{_VALUES}){_Q}\s{{0,32}}[:=]\s{{0,32}}(?P<open>\\{{0,8}}[\"'])?"
    rf"(?P<value>(?(open)[^\"'\\]+|{_SCHEMED}[^\"'&\s\\]+))"
)
# ('Authorization', '…'), as Python prints headers.
TUPLE = expression(r"\([ ]{0,2}[\"'][#.]?(?P<name>[\w.-]{1,512}+)[\"'],[ ]{0,32}[\"'](?P<value>[^\"'\r\n]+)")
# ['password', '…'], which may be a list of names, too.
LIST = expression(r"\[[\"'](?P<name>[\w.-]{1,512}+)[\"'],[ ]{0,32}[\"'](?P<value>[^\"'\r\n]+)[\"']\]")
FLAG = expression(
    rf"(?<![\w-])--?(?P<name>[a-zA-Z][\w-]{{0,512}}+)[ \t]+"
    rf"(?![-+:=!>|]{{1,3}}\s)(?P<value>{_SCHEMED}[^\s\"'<-][^\s\"']*|\"[^\"]*\"|'[^']*')"
)
XML = expression(
    r"(?:(?<![=:@\w])|(?=<[^<>]{0,2600}>[^<]{0,4000}<))<(?P<name>[^\W\d][^\s<>/=\"'!?]{0,512}+)(?:\s[^<>]{0,2000})?>(?:<!\[CDATA\[)?(?!@)(?P<value>[^<]+?)(?=\]\]>|<|\Z)"
)
_VALUE_TAG = rf"<(?:[\w-]{{1,64}}:)?(?:{_VALUES}|v|string|text|plaintext|data|content)(?:\s[^<>]{{0,200}})?>"
XML_CHILD = expression(
    rf"(?i)<(?P<name>[^\W\d][^\s<>/=\"'!?]{{0,512}}+)(?:\s[^<>]{{0,2000}})?>\s{{0,40}}{_VALUE_TAG}(?P<value>[^<]+)"
)
"""``<AdministratorPassword><Value>…``"""
LABELLED = expression(
    r">\s{0,40}(?P<name>[^\W\d_][^<>\r\n]{2,47})</[^<>]{1,64}>(?:\s{0,80}</?[^<>]{1,200}>){1,4}\s{0,80}(?P<strong>[^\s<>]{6,400})\s{0,80}(?=<)"
)
"""``<span>Password</span><span>…``"""
_LT, _GT = (
    rf"(?:&(?:amp;){{0,3}}(?:{name}t|#{ord(sign)}|#x{ord(sign):x});|\\{{1,16}}(?:u00|x){ord(sign):x}|%(?:25){{0,3}}{ord(sign):x})"
    for name, sign in (("l", "<"), ("g", ">"))
)
ESCAPED_XML = expression(
    rf"(?i){_LT}(?P<name>[a-z][\w:.-]{{0,512}}+)(?:(?:\s|%20|\+)(?:(?!{_GT})[^<>]){{0,200}})?{_GT}"
    rf"(?P<value>(?:(?!{_LT})[^<>])++)"
)


def _xml_pair(lt: str, gt: str) -> re.Pattern[str]:
    """``<name>password</name><value>…``, and ``<key>``, ``<string>`` of Apple's lists."""
    return expression(
        rf"(?i){lt}(?:[\w-]{{1,64}}:)?(?:{_NAMES}){gt}\s{{0,200}}(?P<name>[\w.-]{{1,512}}+)\s{{0,200}}"
        rf"{lt}/[\w:-]{{1,99}}{gt}\s{{0,200}}{lt}(?:[\w-]{{1,64}}:)?(?:{_VALUES}|string){gt}(?:{lt}(?:string|text){gt})?(?P<value>(?:(?!{lt})[^<>])++)"
    )


TAG = expression(
    r"<[A-Za-z][\w:-]{0,40}+(?P<attributes>(?:\s{1,40}+[\w:.@-]{1,64}+"
    r"(?:\s{0,8}+=\s{0,8}+(?:\"[^\"<>]{0,2000}+\"|'[^'<>]{0,2000}+'|[^\s\"'<>=]{1,400}+))?+){1,40}+)"
)
ELEMENT_TEXT = expression(
    rf"\s{{0,8}}>(?:\s{{0,40}}{_VALUE_TAG})?"
    r"(?:<!\[CDATA\[(?P<cdata>[^<\]]{1,4000}+)\]\]>|(?P<value>[^<]{1,4000}+))(?=</)"
)
ATTRIBUTE = expression(
    r"(?P<name>[\w:.@-]{1,64}+)\s{0,8}=\s{0,8}(?P<sign>[\"'])?(?P<value>(?(sign)[^\"'<>]*+|[^\s\"'<>=]++))"
)


XML_PAIR, ESCAPED_XML_PAIR = _xml_pair("<", ">"), _xml_pair(_LT, _GT)
FORM = expression(
    r"name=\"(?P<name>[^\"\r\n]{1,512})\"[^\r\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,3}\r?\n(?P<value>[^\r\n]+)"
)
# CREATE USER bob IDENTIFIED BY '…'
IDENTIFIED = expression(
    r"(?i)(?<![a-z])identified\s{1,8}(?:with\s{1,8}[\w\"']{1,64}\s{1,8})?(?:by|as)\s{1,8}(?:password\s{1,8})?"
    r"(?P<open>\\{0,8}[\"'])?(?P<value>(?(open)[^\"'\\]+|[^\s;,]+))"
)
# In a text with none of these, in lower case, SCHEME matches nowhere.
SCHEMES = ("bearer", "basic", "token ", "apikey", "bot ", "negotiate", "ntlm")
ANY_SCHEME = expression(rf"(?<![a-z0-9])(?:{'|'.join(SCHEMES)})")
COMMANDS = rules("commands")
COMMAND = expression(
    rf"(?<![\w-])(?P<command>{'|'.join(map(re.escape, sorted(COMMANDS, key=len, reverse=True)))})(?:\.exe)?(?=[\s\"'])"
)
_VALUE = r"(?P<open>\\{0,8}[\"'])?(?P<value>(?(open)[^\"'\\]+|[^\s\"'\\|;&]+))"


def _argument_of(rule: dict[str, Any]) -> re.Pattern[str]:
    if "argument" in rule:
        before = int(rule["argument"]) - 1
        return expression(
            rf"(?:[ \t]+-[^\s]{{1,40}})*+(?:[ \t]+[^\s|;&-][^\s|;&]*){{{before}}}[ \t]+(?![-/]){_VALUE}"
        )
    flags = "|".join(map(re.escape, rule["flag"].split()))
    return expression(rf"(?<![\w-])(?:{flags}){_GLUE[rule['glued']]}{_VALUE}")


ARGUMENTS_OF_COMMANDS = {command: _argument_of(rule) for command, rule in COMMANDS.items()}
COMMAND_WORDS = frozenset(name.split()[0] for name in COMMANDS)


def _any_word(words: Iterable[str]) -> str:
    return rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(words)))})(?![\w-])"


_COMMAND_WORD = _any_word(COMMAND_WORDS)
ANY_COMMAND = expression(_COMMAND_WORD)
"""In a text with none of these, COMMAND matches nowhere."""
_IDENTIFYING = r"(?<![a-z])(?:identify|identified|net|wi-?fi)(?![a-z])|phrase"
_WORDS_BEFORE_WORDS = rf"{_COMMAND_WORD.translate(DIGITS_ALIKE)}|{_IDENTIFYING}"
WORDS_BEFORE_WORDS = expression(_WORDS_BEFORE_WORDS)
"""Words, in lower case, that may stand before a secret of letters alone without any sign or name."""
_WITHOUT_FLAGS = {name.split()[0] for name, rule in COMMANDS.items() if "argument" in rule}
WORDS_BEFORE_WORDS_ALONE = expression(rf"{_any_word(_WITHOUT_FLAGS).translate(DIGITS_ALIKE)}|{_IDENTIFYING}")
"""Such words, but for commands that take the secret behind a flag."""
WORDS_BEFORE_SECRETS = expression(
    rf"{_WORDS_BEFORE_WORDS}|://.*(?:{'|'.join(WEBHOOK_SIGNS)})"
    rf"|(?<![a-z0-9])(?:{'|'.join(map(str.strip, SCHEMES))})(?![a-z0-9])"
    # Words of forms.toml and of patterns above.
    r"|(?<![a-z])(?:card|karte|kreditkarte|carte|tarjeta|kaart|visa|mastercard|amex|login|log|logged|hmac|lftp|sudo|composer|tacacs|radius|put-parameter|impdp|expdp|connect|authenticate|enter|security|echo|printf|combination)(?![a-z])|(?<![a-z])cod[ei]|(?<![a-z])verify"
    r"|(?<![a-z])(?:m|sms|push|chip|photo)?tan(?![a-z])"
    r"|trayapp|pipedream|private-lines|wifi:|ugfzc0dvcmq0|sp_|crypt|securestring|oracle:|sqlplus|fziffer"
)
"""Words, in lower case, that may stand before a secret without any sign or name."""
COMMAND_END = expression(r"[\n|;&]")
RAW_HEADERS = expression(
    rf"(?i:{'|'.join(sorted(kinds_of_names.FLAT_PAIRS))})(?:\\{{0,16}}[\"'])?[\s:=]{{1,8}}\["
)
NEXT_TEXT = expression(r"[\s,]{0,200}(?P<open>\\{0,16}[\"'])")

# Which of these to try when a text, in lower case, holds the sign.
NAMED = (
    *(("<", XML), ("<", XML_PAIR), ("<", XML_CHILD)),
    *(("[", LIST), ("--", FLAG), ("form-data", FORM), ("value", PAIR), ("(", TUPLE)),
)

# The rest of the word in which a stem stands.
NAME_REST = expression(r"[\w.\-\u0900-\u0eff]*+")
# What parts a name from the value that follows it. No blank is looked at twice.
_QUOTE = r"\\{0,16}[\"'`]|%(?:25){0,3}2[27]|&(?:amp;){0,3}(?:quot|apos|#34|#39|#x22|#x27);"
_COMMENT = r"/\*[^*]{0,200}+\*/"
# PHP says of what type, and how long, the next value is.
_PHP_TYPE = r";(?:s:[0-9]{1,9}:(?=\\{0,16}[\"'])|[id]:(?=[0-9.-])|a:[0-9]{1,9}:(?=\{))"
_ELEMENT = r"</?(?:b|i|u|p|a|em|tt|br|td|dd|dt|code|span|strong|font|kbd|div)(?:[ ][^<>]{0,100})?>[ ]{0,8}"
PARTING = expression(
    rf"(?:[ ]#?[0-9]{{1,2}}(?=[ ]?[:=]))?(?:(?:\[|%5b)?(?:\]|%5d))?"
    rf"(?P<quote>(?P<twice>\"\"(?!\"))|{_QUOTE})?\]?\*{{0,3}}+"
    rf"(?:\s++|%(?:25){{0,3}}20)*+(?:{_COMMENT}\s*+)?"
    rf"(?P<sep>=>|->|[→⇒]|:=|:-(?=[^\s{{}}]{{1,200}}\}})|={{1,3}}(?!=)|::?(?!:|//)|(?:%(?:25){{0,3}}3[ad]){{1,2}}|{_PHP_TYPE})"
    rf"(?:\*{{1,3}}+(?=[ \t]))?(?:[ \t\u00a0]|%(?:25){{0,3}}20|\+(?=%))*+(?:{_COMMENT}[ \t]*+)?(?:\r?\n[ \t]++)?"
    rf"(?:string\([0-9]{{1,9}}\)[ ]?|(?:{_ELEMENT}|&nbsp;){{1,3}})?"
    rf"(?:[ubrnf](?=[\"']))?(?P<open>(?(twice)\"\"|(?:\"{{3}}|'{{3}}|{_QUOTE})))?"
)
# password: string = "…", @password nvarchar(50) = '…', as languages with types write it.
_TYPES = r"n?(?:var)?char2?|VARCHAR2?|(?:std::)?string|String|&(?:'static )?str|str|text|bytes|any|final|Optional\[str\]"
TYPED = expression(
    rf"(?:[ ]{{0,2}}:[ ]{{0,2}}|[ ]|\[\][ ]?)(?:(?:{_TYPES})\??(?:\([0-9max]{{1,9}}\))?)?[ ]{{0,2}}:?=[ ]{{0,2}}"
    r"[NLubr]?(?P<open>[\"'])(?P<value>(?:(?!(?P=open))[^\\\r\n]|\\.){1,400})"
)
MIXED_WORD = expression(
    r"[#$%^*!&~](?:(?<=[A-Za-z0-9].)[A-Za-z0-9]|(?<=[A-Za-z]{3}.)\W)"
    r"|[0-9](?:\S{3}|(?<=\S.)\S{2}|(?<=\S\S.)\S|(?<=\S{3}.))"
)
"""A digit in a word of four characters or more, or another sign within a word."""
_NO_LETTER = expression(r"[^A-Za-zÀ-ɏ\n .,!?-]")
_NON_PROSE_CHAR = expression(r"[^A-Za-zÀ-ɏ\n .,!?'0-9%-]")
_NON_PROSE = expression(
    r"[0-9%'](?:(?<=[^ \n0-9][0-9])|(?<=[0-9])(?:[0-9]{2}|[.,-]?[0-9]?[ .,-]{1,2}[0-9]|(?![snrt])[A-Za-zÀ-ɏ-])"
    r"|(?<=%)(?:(?<![0-9]%)|(?![ .,\n]))|(?<=')(?:(?<![A-Za-zÀ-ɏ]')|(?![A-Za-zÀ-ɏ])))"
)
"""Digits of a number above 99, beside another number or within a word, and such signs where prose has none."""
_VALUE_SIGN = expression("[^A-Za-zÀ-ɏ\\s.,!?\\-]")
"""A digit, or a sign that parts a name from its value or stands around the value: words alone are no value."""
_SIGN_CHARS = 2
"""Characters on the next line that may part the name from its value."""


def line_of_words(text: str, begin: int, end: int) -> tuple[int, bool]:
    """The end of the line in which a name stands, and whether the line and the beginning of the next hold words alone."""
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    if _VALUE_SIGN.search(text, text.rfind("\n", 0, begin) + 1, stop):
        return stop, False
    following = NEXT_LINE.match(text, stop)
    is_plain = following is None or not _VALUE_SIGN.search(
        text, following.end(), following.end() + _SIGN_CHARS
    )
    return stop, is_plain


def is_prose_alone(text: str) -> bool:
    """Whether a text holds words, and numbers that count, and nothing else: ``isn't``, ``the 3rd``, ``40%``."""
    if _NO_LETTER.search(text) is None:
        return True
    return _NON_PROSE_CHAR.search(text) is None and _NON_PROSE.search(text) is None


NEXT_LINE = expression(r"\s++")
# A text in quotation marks behind what code takes a value from.
DEFAULT = expression(
    r"[^\r\n;]{1,80}?(?:\?\?|\|\||\?:|\bor\b|,)[ ]{0,4}[bfru]?[\"'`](?P<value>[^\"'`\r\n]{6,200})[\"'`]"
)
# crypt('…'): what code makes of a text, not where it looks for one.
CONVERTED = expression(
    r"(?i)(?:\w{0,20}(?:crypt|hash|md5|sha[0-9]{1,3}|base64|b64|encode|escape|quote|secure)\w{0,20}|password|to_?string|str|bytes|"
    r"String|Buffer\.from|trim|format|b)\(\s?[bfru]?[\"'`](?P<value>[^\"'`\r\n]{4,400})[\"'`]"
)
# The arguments of what connects, signs in, encrypts or takes a secret.
CALLER = expression(
    r"(?:connect|connection|wallet|signer|keypair|private_?key\w{0,20}|aes\.new|security_?key|keyspec|base64_?encode|b64encode"
    r"|btoa|blob\.valueof|getbytes|login|log_in|sign|signin|verify|fernet|cipher\w?|crypt|crypto|hmac|jwt|auth|authenticate"
    r"|credentials?|secret|token|password|passwd|apikey|api_key|bearer|pdo|mysqli|client)\Z"
)
CALLER_CHARS, ARGUMENTS_CHARS = 32, 400
"""Characters before a bracket in which the name of what is called stands, and behind it, in which its arguments stand."""
LITERAL = expression(
    r"(?<![\w\"'])[bru]?(?P<sign>[\"'])(?P<value>(?:(?!(?P=sign))[^\\\r\n]){0,400})(?P=sign)"
    r"(?P<key>\s?(?:=>|[:\]]))?"
)
MNEMONIC = expression(r"[a-z]{3,8}(?:[ ][a-z]{3,8}){11,23}(?![ ]?[a-z])")
"""The words of a wallet's seed: https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki"""
ADDRESS = expression(
    r"(?i)\b(?:flat|road|street|nagar|ship to|address|deliver|district|dist|sector|block"
    rf"|lane|marg|colony|house no|plot|floor|{'|'.join(sorted(word_set(rules('no_secrets')['places_with_pin'])))})\b"
)
"""Words of an address, in which a PIN is a postal code."""
CARD = expression(
    r"(?<![\w.-])(?P<card>[2-6][0-9]{3}(?P<sign>[ -]?)[0-9]{4}(?P=sign)[0-9]{4}(?P=sign)[0-9]{4}"
    r"|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})(?![\w-])"
)
CARD_WORD = expression(r"(?<![a-z])(?:card|karte|kreditkarte|carte|tarjeta|kaart|visa|mastercard|amex)")
LOGIN = expression(r"[\w.@-]{1,64}:(?P<value>[^\s:/]{6,200})")
# What TYPED, PARTING and SAYING begin with: a sign, or a word with a digit.
FOLLOWED = expression(
    rf"\s*+(?:(?:is|was|provided|used|{_TYPES.lower()})(?![a-z])\??:?\s*+)?(?:[^\w\s.,!?]|[^\s0-9]*+[0-9])"
)
_PHRASES: dict[str, list[str]] = {}
for _phrase in kinds_of_names.PHRASES:
    _PHRASES.setdefault(_phrase.split()[0], []).append(_phrase)
PHRASES = {
    first: expression(
        "|".join(re.escape(name).replace(r"\ ", "[ _'’-]") for name in sorted(phrases, key=len, reverse=True))
    )
    for first, phrases in _PHRASES.items()
}
"""Names of several words, from the first on, by the first."""
_FIRST_WORD = expression(r"(?:[^\W_]|[\u0900-\u0eff])*+")


def end_of_phrase(lower: str, start: int) -> int:
    """The end of a name of several words that begins at the position; 0 where none does."""
    word = _FIRST_WORD.match(lower, start)
    phrases = PHRASES.get(word[0]) if word else None
    phrase = phrases.match(lower, start) if phrases else None
    return phrase.end() if phrase else 0


# Between types and in the flow of data such signs part names from other names.
ALSO_BETWEEN_NAMES = frozenset({"->", "→", "⇒", "::"})
# … or, in prose: password 'hunter2', API key provided (abc123).
SAYING = expression(
    r"(?:(?: is| was| provided| used)?:? |(?=\([\"'`]))(?P<open>\(?[\"'`]?)(?P<value>[^\s\"'`()]{4,})"
)

ESCAPED_URL = expression(r"(?i)%(?:25){0,3}3a(?:%(?:25){0,3}2f){2}|&(?:amp;){0,3}#(?:x2f|47);")
# Whether letters of a name may be escaped.
MAY_BE_ESCAPED = expression(r"[\\%&;](?:(?<=%)[89A-Fa-f]|[uUx01]|[4-7]|25|2[dDeE]|3[0-9]|#)")
IN_NAMES = expression(r"[A-Za-z0-9_.:=\-]*")


def _by_first(words: Iterable[str]) -> str:
    """The alternatives with one branch per first letter, see _by_first_letter."""
    tails: dict[str, list[str]] = {}
    for word in words:
        tails.setdefault(word[0], []).append(re.escape(word[1:]).replace(r"\ ", r"[\W_]?"))
    return "|".join(f"{first}(?:{'|'.join(all_)})" for first, all_ in tails.items())


class Stems:
    """Finds words of secrets' names in lower-case text, the user's ``extra_names`` included."""

    def __init__(self, extra_names: Iterable[str]) -> None:
        extra_names = tuple(extra_names)
        own = "".join(
            "|" + r"[\W_]?".join(map(re.escape, words)) for name in extra_names if (words := words_of(name))
        )
        few = "".join(f"|{word}(?![a-z])" for word in sorted(kinds_of_names.MOSTLY_OTHER_WORDS))
        # The fewer first letters, the faster is the search; most texts are ASCII.
        in_any = _by_first(kinds_of_names.stems()) + few + own
        self._in_ascii = expression(_by_first(filter(str.isascii, kinds_of_names.stems())) + few + own)
        self._in_any = expression(in_any)

        # One word of each phrase is enough: the rarer one.
        phrases = [name.split() for name in kinds_of_names.stems() if " " in name]
        edge_words = {words[-1] if words[-1] == "json" else words[0] for words in phrases}
        edge_words |= {words[0] for name in extra_names if len(words := words_of(name)) > 1}
        edges = "|".join(map(re.escape, sorted(edge_words)))
        # Where nothing parts the words of a phrase, the pattern for all stems finds it.
        beginning = rf"{in_any}|(?:{edges})(?![^\W_])"
        self._beginning = expression(beginning.translate(DIGITS_ALIKE))

    def may_begin(self, word: str) -> bool:
        """Whether such a word, or one of several that are looked for together, begins in a word in lower case."""
        return self._beginning.search(word.translate(DIGITS_ALIKE)) is not None

    def search(self, text: str, position: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """The first such word from the position on."""
        return (self._in_ascii if text.isascii() else self._in_any).search(text, position, end)


_NAME_GROUP = "(?P<name>"


def _forms() -> Iterator[tuple[str, str]]:
    for form in rules("forms")["form"]:
        pattern = form["pattern"].replace("{NAMES}", _NAMES).replace("{VALUES}", _VALUES)
        yield form["sign"], pattern


_ALL_FORMS = tuple(_forms())
FORMS = tuple((sign, expression(text, re.MULTILINE)) for sign, text in _ALL_FORMS if _NAME_GROUP not in text)
"""A sign and the form that is looked for in a text with it."""
ANY_FORM = expression("|".join(re.escape(sign) for sign in sorted({sign for sign, _ in FORMS})))
NAMED_FORMS = tuple(
    (sign, expression(text, re.MULTILINE)) for sign, text in _ALL_FORMS if _NAME_GROUP in text
)
"""The forms that hold a name, too."""

# 您的验证码是123456, 認証コードは123456です: languages that do not separate words.
_UNPARTED = [
    name
    for name in (*kinds_of_names.OTHER_LANGUAGES, *two_word_names.STEMS)
    if ord(name[0]) > 0x2E80 or 0xE00 < ord(name[0]) < 0xF00
]
UNPARTED = expression(
    rf"(?:{'|'.join(_UNPARTED)})"
    r"(?:คือ|ว่า|[是为為はが은는이가：:、]{0,2})[ ]?[「『\[【(]?"
    r"(?=[!-~]{0,63}[0-9])(?P<value>[0-9]{4,8}(?=[,;.])|[0-9A-Za-z][!-~]{3,63})(?<![\])])"
)
