"""Lines of logs in which a word tells of a secret and nothing else may be one: words, times, counts, ``user=anna``.

Each word is of a class, which is remembered; the classes of a line, one letter each, are one text, in which is looked
for the few orders of words in which a secret may stand.
"""

from __future__ import annotations

import re

from . import pairs, patterns
from .judging import Judge
from .names import COOKIE_HEADERS, SCHEMED_HEADERS, may_precede
from .placeholders import CREDENTIAL_SCHEMES
from .sentences import JOINING_WORDS
from .vocabulary import Vocabulary

_MAX_WORDS = 50_000
_MAX_CHARS = 40
"""Maximum characters of a word that may be an ordinary one."""
_ASSIGNED_CHARS = 15
"""Maximum characters of a word behind a name and ``=`` that is judged here."""

(
    OTHER,
    TIME,
    ID,
    COUNT,
    NUMBER,
    TELLING,
    WORD,
    JOINING,
    PRECEDING,
    BRACKETED,
    HEADED,
    PAIR,
    COUNTED,
    JUDGED,
) = "xdinmtwkabcpqj"
"""Classes of words.

TELLING tells of a secret; JOINING joins a name and its value, such as ``is``; PRECEDING may be part of a name, such as
``access`` in ``access code``; HEADED ends with a colon; PAIR and COUNTED are ``user=anna`` and ``rows=4200`` or an id
behind a name; JUDGED is ``session=closed``, no secret. A COUNT has at most two digits.
"""
_ANY = f"[^{OTHER}]"
_MAY_HOLD_SECRET = re.compile(
    f"{OTHER}|[{COUNT}{NUMBER}]{{2}}|[{PRECEDING}{TELLING}]{JUDGED}|{TELLING}{_ANY}{{0,2}}{HEADED}"
    f"|{TELLING}{_ANY}?[{NUMBER}{ID}]"
    f"|{TELLING}{_ANY}{{0,11}}[{JOINING}{HEADED}{PAIR}{JUDGED}][{NUMBER}{ID}]"
    f"|[{NUMBER}{ID}{COUNTED}]{JOINING}{_ANY}{{0,5}}{TELLING}"
)
_DIGITS = re.compile(f"[{NUMBER}{ID}]")
_FORM_WORDS = re.compile(
    "|".join(sorted({re.escape(sign.strip()) for sign, _ in patterns.FORMS if any(map(str.isalpha, sign))}))
)
"""Signs of forms that are words, before which, or behind which, a number may be a secret."""

# All digits of a word are zeros.
_TIME = re.compile(
    r"[(\[]?(?:0000-00-00(?:T00:00(?::00(?:[.,]0{1,9})?)?(?:Z|[+-]00:?00)?)?|00:00:00(?:[.,]0{1,9})?Z?)[)\]]?[.,;]?"
)
_COUNT = re.compile(r"0{1,2}(?:st|nd|rd|th|%)?[.,;!?]{0,2}")
_NUMBER = re.compile(r"0{1,9}(?:[.,]0{1,6})?(?:%|[a-z]{1,2})?[.,;!?]{0,2}")
_ID = re.compile(r"[(\[]?(?:[0a-f]{24,64}|[0a-f]{8}(?:-[0a-f]{4}){3}-[0a-f]{12})[)\]]?[.,;]?")
_NAMED_ID = re.compile(rf"(?P<name>[A-Za-z_]{{1,20}})=(?:{_ID.pattern})")
_WORD = re.compile(r"(?P<word>[A-Za-z]+(?:['-][A-Za-z]+)*)[.,;!?]{0,3}")
_BRACKETED = re.compile(r"(?:\((?:[A-Za-z]+|0{1,9}(?:[.,]0{1,6})?[a-z%]{0,2})\)|\[[A-Za-z]+\])[.,;]?")
_HEADED = re.compile(r"(?P<word>[A-Za-z]+):")
_PAIR = re.compile(
    r"(?P<name>[A-Za-z]\w*)=(?:(?P<word>[A-Za-z]+(?:[_.-][A-Za-z]+)*)|(?P<digits>0{4,8})|0{1,6}[a-z]{0,2})"
)


class OrdinaryLines:
    """Tells which lines are ordinary, and remembers their words."""

    def __init__(self, vocabulary: Vocabulary, kind_of: pairs.KindOf, is_secret: Judge) -> None:
        self._tells = vocabulary.telling
        self._kind_of = kind_of
        self._is_secret = is_secret
        self._classes: dict[str, str] = {}

    def is_one(self, text: str, telling: str) -> bool:
        """Whether a text in which words tell of a secret is an ordinary line."""
        if not text.isascii() or not text.isprintable():
            return False
        get = self._classes.get
        words = text.translate(patterns.DIGITS_ALIKE).split()
        try:
            line = "".join(map(get, words))  # type: ignore[arg-type]  # None where a word is not known yet
        except TypeError:
            line = "".join([get(word) or self._class_of(word) for word in words])
        if _MAY_HOLD_SECRET.search(line):
            return False
        if line.count(TELLING) + line.count(JUDGED) != telling.count(" ") - 1:
            return False  # an id in which a text is encoded
        return _DIGITS.search(line) is None or _FORM_WORDS.search(telling.lower()) is None

    def _class_of(self, word: str) -> str:
        if _ID.fullmatch(word):
            return ID  # each is another word
        if named := _NAMED_ID.fullmatch(word):
            word = f"{named['name']} ="  # as no word is written
        if letter := self._classes.get(word):
            return letter
        letter = self._read(word) if len(word) <= _MAX_CHARS else OTHER
        if len(self._classes) >= _MAX_WORDS:
            self._classes.clear()
        if len(word) <= _MAX_CHARS:
            self._classes[word] = letter
        return letter

    def _read(self, word: str) -> str:
        for letter, pattern in ((TIME, _TIME), (COUNT, _COUNT), (NUMBER, _NUMBER)):
            if pattern.fullmatch(word):
                return letter
        if word.endswith(" ="):
            name = word.removesuffix(" =")
            return COUNTED if pairs.role(name) in ("", "name") and not self._tells(name) else OTHER
        tells = bool(self._tells(word))
        if match := _WORD.fullmatch(word):
            return TELLING if tells else _of_word(match["word"])
        if pair := _PAIR.fullmatch(word):
            return self._of_pair(pair, tells=tells)
        if tells:
            return OTHER
        if _BRACKETED.fullmatch(word):
            return BRACKETED
        return HEADED if (match := _HEADED.fullmatch(word)) and not pairs.role(match["word"]) else OTHER

    def _of_pair(self, pair: re.Match[str], *, tells: bool) -> str:
        name, word = pair["name"], pair["word"]
        role = pairs.role(name)
        if role and (role != "name" or word is None or self._kind_of(word)):
            return OTHER
        if not tells:
            return COUNTED if pair["digits"] else PAIR
        if not word or len(word) > _ASSIGNED_CHARS or word.lower() in CREDENTIAL_SCHEMES:
            return OTHER
        if name.lower().endswith(SCHEMED_HEADERS + COOKIE_HEADERS) or self._tells(word):
            return OTHER
        return OTHER if self._is_secret(self._kind_of(name), word) else JUDGED


def _of_word(word: str) -> str:
    joins, precedes = word.lower() in JOINING_WORDS, may_precede(word)
    if joins:
        return OTHER if precedes else JOINING
    return PRECEDING if precedes else WORD
