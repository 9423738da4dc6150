"""Secrets in sentences: behind a name and a few words, ``the password for the server is …``, or before the name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import two_word_names
from .data_files import rules, word_set
from .edits import Span
from .expressions import expression
from .judging import is_ordinary
from .kinds_of_names import ABOUT, PAIR_VALUES, spelled, words_of
from .lookalikes import in_latin
from .placeholders import is_algorithm
from .randomness import DATE, FAMILIAR, is_jumbled

_WORDS = rules("no_secrets")


def _written(words: Iterable[str]) -> list[str]:
    """The words, and as they stand in a text whose letters are Latin ones."""
    return sorted({form for word in words for form in (word, in_latin(word))}, key=len, reverse=True)


_COPULAS = "|".join(map(re.escape, _written(word_set(_WORDS["copulas"]))))
_PREPOSITIONS = "|".join(map(re.escape, _written(word_set(_WORDS["prepositions"]))))
_TOWARDS = expression(
    rf"[^\r\n.!?:;=]{{0,60}}?[ ](?:{_PREPOSITIONS})[ ][\"'«“]?(?P<value>[^\s\"'`()«»“”<>]{{4,200}})"
)
"""What a secret is changed to."""
_OWNERS = "|".join(map(re.escape, _written(_WORDS["owners"])))
JOINING_WORDS = frozenset(
    word
    for phrase in (*word_set(_WORDS["copulas"]), *word_set(_WORDS["prepositions"]), *_WORDS["owners"], "as")
    for word in phrase.split()
)
"""Words that join a name and its secret in a sentence, such as ``is`` and ``your``."""
_NUMERIC = frozenset(map(spelled, word_set(_WORDS["names_of_digits"]) | two_word_names.NOUNS))
"""Words of names whose secrets are a few digits."""
_NUMERIC_ENDS = tuple(word for word in _NUMERIC if len(word) >= 4 or not word.isascii())
_BEHIND = expression(
    rf"[\"'`]?,?(?:[ ]\([^()\r\n]{{1,40}}\)|[ _'’-](?!(?:{_COPULAS})[ ])"
    r"(?:[^\W\d_]{1,15}[0-9]{0,3}|[0-9]{1,4}|[\w.+-]{1,40}@[\w.-]{1,60}?)(?=[\s,:=：_'’-]),?){0,9}+"
    rf"(?:[ ]?[:=：][ ]?|[ ][-–—][ ]|[ ](?:{_COPULAS})[ ]?:?[ ])[ ]?"
    r"(?P<open>[\"'`*«“„]{0,2})[ \u00a0]?(?P<value>[^\s\"'`()«»“”<>]{4,200})"
)
_ASSIGNED = expression(r"[ ][A-Za-z]+=\Z")
_RIGHT_BEHIND = expression(
    r"[ ](?:(?:local|remote|text|plain|ascii-text)[ ])?(?P<plain>[^\s\"'`()«»“”<>]{4,200})"
)
_BEFORE = expression(
    rf"(?P<value>[^\s\"'`:=()]{{4,64}})[\"'`]?[ ](?:(?:{_COPULAS}|as|[-–—])[ ](?:{_OWNERS})[ ]|as[ ]"
    rf"|\((?:that[’']?s|that is|it[’']?s|this is)[ ](?:{_OWNERS})[ ])(?:[\w'-]{{1,20}}[ ]){{0,3}}\Z",
    re.IGNORECASE,
)
_OWNER = expression(rf" (?:{_OWNERS}) ")
BEFORE_CHARS, BEHIND_CHARS = 96, 240
"""Characters before and behind a name in which its secret may stand, all of it with a digit."""
_BEFORE_DIGITS = expression(r"\A[A-Z]{1,3}-(?=[0-9]{4,8}\Z)")
_SIGN_WITHIN = expression(r"[A-Za-z0-9][#$%^*!&~][A-Za-z0-9]|[A-Z]\w*[#$%^*!~]\Z")
"""Signs that stand within passwords and seldom within words."""
_STRONG_CHARS = 6
_PHRASE_CHARS = 16
"""Characters before a name in which its other words stand."""
_NO_SECRET = expression(
    rf"{DATE}|0x[0-9a-fA-F]{{40}}|[A-Za-z_]\w{{0,30}}=\d{{1,6}}(?:\.\d{{1,3}})?[a-z]{{0,2}}|"
    r"//.*|(?i:https?|ftp|file|s3|gs|arn|urn):.*|[\w.-]{1,40}/[\w./-]*(?::[\w.-]{1,40})?|v?\d+(?:[.:/,x-]\d+)*[A-Za-z%]{0,4}|[\w.-]+\(.*|#\d+"
    r"|[A-Z]{2,6}-?\d[\d.]{0,9}|[A-Za-z]{1,8}[-_]\d{1,6}|\d{1,4}(?:st|nd|rd|th)|[a-z]+(?:[-_][a-z]+)+[-_]?\d{0,3}|(?![a-z]*[bcdfghjklmnpqrstvwxz]{4})[a-z]+\d{1,2}|\d+[-_][A-Za-z]+.*"
    r"|[a-z]{1,4}_[0-9a-z]{2,6}|[a-z]{2}\d{6,9}|[A-Z]{2}[0-9a-f]{32}|[a-z]{2,12}(?::[\w.@/-]{1,80}){2,4}|(?:[a-z0-9][a-z0-9-]{0,62}\.){1,6}[a-z]{2,12}(?::\d{2,5})?"
)


def is_path_or_id(value: str) -> bool:
    """Whether a word of a sentence with digits is a path, a version, an id or the like."""
    return not value.isdigit() and _NO_SECRET.fullmatch(value.rstrip(".,;:!?*")) is not None


def is_strong(value: str) -> bool:
    """Whether a word of a sentence is a secret by itself: letters, or signs, and digits mix, and it is nothing usual."""
    if len(value) < _STRONG_CHARS or not any(map(str.isalpha, value)):
        return False
    if not any(map(str.isdigit, value)) and not _SIGN_WITHIN.search(value):
        return False
    return not (
        is_algorithm(value) or _NO_SECRET.fullmatch(value) or FAMILIAR.fullmatch(value) or is_ordinary(value)
    )


def _is_secret(name: str, value: str) -> bool:
    value = _BEFORE_DIGITS.sub("", value)
    if value.isascii() and value.isdigit():
        words = words_of(name)
        is_numeric = not _NUMERIC.isdisjoint(words) or any(word.endswith(_NUMERIC_ENDS) for word in words)
        return 4 <= len(value) <= 8 and is_numeric
    return is_strong(value)


def _towards(text: str, position: int) -> re.Match[str] | None:
    match = _TOWARDS.match(text, position)
    return match if match and is_password(match["value"].rstrip(".,;:!?*")) else None


def secret_behind(text: str, name: str, position: int) -> Span | None:
    """The span of a secret behind a name that ends at ``position``, after a few words and a sign or ``is``."""
    match = _BEHIND.match(text, position)
    right_behind = None
    value = match["value"].rstrip(".,;:!?*") if match else ""
    is_code = value.isdigit() and ":" not in match[0] and _is_secret(name, value) if match else False
    if not is_code and not is_strong(value):
        if towards := _towards(text, position):
            return towards.start("value"), towards.start("value") + len(towards["value"].rstrip(".,;:!?*"))
        right_behind = _RIGHT_BEHIND.match(text, position)
    match = right_behind or match
    if match is None:
        return None
    part = "plain" if right_behind else "value"
    begin = match.start(part)
    value = match[part].rstrip(".,;:!?*")
    between = text[position : begin if right_behind else match.start("open")]
    words = words_of(between)
    if len(words) == 1 and len(words[0]) > 2 and words[0] in ABOUT:
        return None
    if _ASSIGNED.search(between) and words[-1] not in PAIR_VALUES:
        return None  # the value of another name, as in "token expired trace=…"
    around = text[max(0, position - len(name) - _PHRASE_CHARS) : begin]
    if not _is_secret(around, value) or (part == "plain" and value.isdigit()):
        return None
    return begin, begin + len(value)


_RANDOM_BEHIND = expression(
    r"[^\r\n.!?;=]{0,140}?(?<![\w/.:=@#-])(?P<value>[A-Za-z0-9_-]{20,200})(?![\w/.:@-])"
)
_ADDRESS = expression(r"0x[0-9a-fA-F]{40}")
_ANSWERED = expression(r"[^?\r\n]{0,60}\?[\"'”]?\s{1,4}(?P<answer>[^\r\n?]{6,120})")


def random_behind(text: str, position: int) -> Span | None:
    """The span of a long random word behind a name in the same sentence, whatever stands between."""
    match = _RANDOM_BEHIND.match(text, position)
    is_random = match is not None and is_jumbled(match["value"]) and not _ADDRESS.fullmatch(match["value"])
    return match.span("value") if match and is_random else None


def is_password(value: str) -> bool:
    """Whether a word looks like a password, and like no number of a ticket."""
    has_both_cases = value.lower() != value != value.upper()
    return (has_both_cases or _SIGN_WITHIN.search(value) is not None) and is_strong(value)


def strong_word(text: str, begin: int, end: int) -> Span | None:
    """The span of the first word in a part of a text that looks like a password, and like no number of a ticket."""
    for word in _WORD.finditer(text, begin, end):
        value = word[0].rstrip(".,;:?)\"'”")
        if is_password(value):
            return word.start(), word.start() + len(value)
    return None


_WORD = expression(r"[^\s\"'“(]{6,64}")


def secret_answered(text: str, position: int) -> Span | None:
    """The span of a secret in the answer to a question for one: ``your password?\\n… it is …``."""
    match = _ANSWERED.match(text, position)
    return strong_word(text, *match.span("answer")) if match else None


_PHRASE_WORDS = 4
_SEED_WORDS = (12, 24)
"""Words of most wallets' seeds: https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki"""
_NO_PASSPHRASE = (
    word_set(_WORDS["reports"]) | word_set(_WORDS["messages"]) | word_set(_WORDS["no_passphrase"])
)


def is_passphrase(text: str) -> bool:
    """Whether a text is words that no sentence joins, as in a passphrase."""
    words = re.split("[ -]", text)
    if len(words) in _SEED_WORDS and all(3 <= len(word) <= 8 for word in words):
        return True
    return len(words) >= _PHRASE_WORDS and _NO_PASSPHRASE.isdisjoint(words)


def secret_before(text: str, name: str, start: int) -> Span | None:
    """The span of a secret before its name: ``123456 is your login code``."""
    begin = max(0, start - BEFORE_CHARS)
    window = text[begin:start].lower()
    if not _OWNER.search(window) and " as " not in window:
        return None
    match = _BEFORE.search(text[begin:start])
    if match is None or not _is_secret(name, match["value"]):
        return None
    return match.start("value") + begin, match.end("value") + begin
