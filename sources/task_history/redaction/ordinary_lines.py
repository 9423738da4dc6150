"""Lines of logs in which a word tells of a secret and nothing else may be one: words, times, counts, ``user=anna``.

Each word is of a class, which is remembered; the classes of a line, one letter each, are one text, in which is looked
for the few orders of words in which a secret may stand.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from . import names_as_values, patterns, shapes
from .encodings import MIN_CHARS
from .expressions import expression
from .judging import Judge
from .kinds_of_names import COOKIE_HEADERS, PHRASES, SCHEMED_HEADERS, may_precede
from .placeholders import CREDENTIAL_SCHEMES
from .sentences import JOINING_WORDS
from .vocabulary import Vocabulary

_MAX_WORDS = 50_000
_MAX_CHARS = 40
"""Maximum characters of a word that may be an ordinary one."""
_ASSIGNED_CHARS = 23
"""Maximum characters of a word behind a name and ``=`` that is judged here."""

(
    OTHER,
    TIME,
    ID,
    COUNT,
    NUMBER,
    WORD,
    JOINING,
    PRECEDING,
    BRACKETED,
    HEADED,
    ENDING_PHRASE,
    PAIR,
    COUNTED,
    NAMED_ID,
) = "xdinmwyabhcpqg"
"""Classes of words.

JOINING joins a name and its value, such as ``is``; PRECEDING may be part of a name, such as ``access`` in ``access
code``; HEADED ends with a colon, and ENDING_PHRASE is one that may end a name of several words; PAIR, COUNTED and
NAMED_ID are ``user=anna``, ``rows=4200`` and an id behind a name. A COUNT has at most two digits. OTHER may be anything.
"""
SUSPECT, JUDGED = "tsfu", "jklo"
"""Classes of words that tell of a secret, and of pairs that do, but are none, such as ``session=closed``.

The second of each has a scheme in it, such as ``basic``; the third a word of a form; the fourth both.
"""
_ANY = f"[^{OTHER}]"
_MAY_HOLD_SECRET = expression(
    f"{OTHER}|[{COUNT}{NUMBER}]{{2}}|[{PRECEDING}{SUSPECT}][{JUDGED}]|[{SUSPECT}]{_ANY}{{0,2}}{ENDING_PHRASE}"
    f"|[{SUSPECT}]{_ANY}?[{NUMBER}{ID}]"
    f"|[{SUSPECT}]{_ANY}{{0,11}}[{JOINING}{ENDING_PHRASE}{PAIR}{JUDGED}][{NUMBER}{ID}]"
    f"|[{SUSPECT}]{_ANY}{{0,11}}{HEADED}[^{WORD}{JOINING}{PRECEDING}{HEADED}{ENDING_PHRASE}{SUSPECT}]"
    f"|[{NUMBER}{ID}{COUNTED}{NAMED_ID}]{JOINING}{_ANY}{{0,5}}[{SUSPECT}]"
)
_PHRASE = expression(f"[{PRECEDING}{SUSPECT}][{COUNTED}{NAMED_ID}]")
_IDS = expression(f"[{ID}{NAMED_ID}]")
_DIGITS = expression(f"[{NUMBER}{ID}]")
_TELLS = expression(f"[{SUSPECT}{JUDGED}]")
_SCHEMES = expression(f"[{SUSPECT[1]}{SUSPECT[3]}{JUDGED[1]}{JUDGED[3]}]")
_FORMS = expression(f"[{SUSPECT[2:]}{JUDGED[2:]}]")
_FORM_WORDS = expression(
    "|".join(sorted({re.escape(sign.strip()) for sign, _ in patterns.FORMS if any(map(str.isalpha, sign))}))
)
"""Signs of forms that are words, before which, or behind which, a number may be a secret."""

# All digits of a word are zeros.
_TIME = expression(
    r"[(\[]?(?:0000-00-00(?:T00:00(?::00(?:[.,]0{1,9})?)?(?:Z|[+-]00:?00)?)?|00:00:00(?:[.,]0{1,9})?Z?)[)\]]?[.,;]?"
)
_COUNT = expression(r"0{1,2}(?:st|nd|rd|th|%)?[.,;!?]{0,2}")
_NUMBER = expression(r"0{1,9}(?:[.,]0{1,6})?(?:%|[a-z]{1,2})?[.,;!?]{0,2}")
_ID = expression(r"[(\[]?(?:[0a-f]{24,64}|[0a-f]{8}(?:-[0a-f]{4}){3}-[0a-f]{12})[)\]]?[.,;]?")
_IS_NAMED_ID = expression(rf"(?P<name>[A-Za-z_]{{1,20}})=(?:{_ID.pattern})")
_WORD = expression(r"(?P<word>[A-Za-z]+(?:['-][A-Za-z]+)*)[.,;!?]{0,3}")
_BRACKETED = expression(r"(?:\((?:[A-Za-z]+|0{1,9}(?:[.,]0{1,6})?[a-z%]{0,2})\)|\[[A-Za-z]+\])[.,;]?")
_HEADED = expression(r"(?P<word>[A-Za-z]+):")
_PAIR = expression(
    r"(?P<name>[A-Za-z]\w*)=(?:(?P<word>[A-Za-z]+(?:[_.-][A-Za-z]+)*)|(?P<digits>0{4,8})|0{1,6}[a-z]{0,2})"
)

_ENDS_OF_PHRASES = frozenset(phrase.split()[-1] for phrase in PHRASES)


class Reading(Enum):
    """What a text may hold."""

    CLEAN = auto()
    """No word that tells of a secret."""
    ORDINARY = auto()
    """Such words, and nothing that may be one."""
    SCHEMED = auto()
    """The same, and a scheme, behind which a secret of letters may stand."""
    SEARCHED = auto()
    """Anything."""


class OrdinaryLines:
    """Tells which lines are ordinary, and remembers their words."""

    def __init__(self, vocabulary: Vocabulary, kind_of: names_as_values.KindOf, is_secret: Judge) -> None:
        self._tells = vocabulary.tells
        self._is_only_id = vocabulary.is_only_id
        self._kind_of = kind_of
        self._is_secret = is_secret
        self._classes: dict[str, str] = {}

    def read(self, text: str, words: list[str]) -> Reading:
        """What a text may hold, given its words, digits alike."""
        classes = list(map(self._classes.get, words))
        try:
            place = -1
            while True:  # which ends where no class is missing: that of a word not known yet, or of an id
                place = classes.index(None, place + 1)
                classes[place] = self._class_of(words[place])
        except ValueError:
            line = "".join(classes)  # type: ignore[arg-type]  # none is None any longer
        if _MAY_HOLD_SECRET.search(line) or self._holds_phrase(line, words):
            return Reading.SEARCHED
        if _IDS.search(line):
            written = text.split()
            if not all(self._is_only_id(written[match.start()]) for match in _IDS.finditer(line)):
                return Reading.SEARCHED  # an id in which a text is encoded
        if not _TELLS.search(line):
            return Reading.CLEAN
        if not text.isascii() or not text.isprintable() or (_FORMS.search(line) and _DIGITS.search(line)):
            return Reading.SEARCHED
        return Reading.SCHEMED if _SCHEMES.search(line) else Reading.ORDINARY

    def _holds_phrase(self, line: str, words: list[str]) -> bool:
        """Whether a word and a name before a number or an id make the name of a secret: ``session id=…``."""
        for match in _PHRASE.finditer(line):
            name = words[match.start() + 1].partition("=")[0]
            if name.lower() in _ENDS_OF_PHRASES and self._kind_of(f"{words[match.start()]} {name}"):
                return True
        return False

    def _class_of(self, word: str) -> str:
        if _ID.fullmatch(word):
            return ID  # each is another word
        if named := _IS_NAMED_ID.fullmatch(word):
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
        if word.endswith(" ="):
            name = word.removesuffix(" =")
            return NAMED_ID if names_as_values.role(name) in ("", "name") and not self._tells(name) else OTHER
        tells = self._tells(word)
        if match := _WORD.fullmatch(word):
            return _class_of_suspect(word, SUSPECT) if tells else _of_word(match["word"])
        if pair := _PAIR.fullmatch(word):
            return self._of_pair(pair, tells=tells)
        if tells:
            return OTHER
        for letter, pattern in ((TIME, _TIME), (COUNT, _COUNT), (NUMBER, _NUMBER)):
            if pattern.fullmatch(word):
                return letter
        if _BRACKETED.fullmatch(word):
            return BRACKETED
        if not (match := _HEADED.fullmatch(word)) or names_as_values.role(match["word"]) in ("name", "type"):
            return OTHER
        return ENDING_PHRASE if match["word"].lower() in _ENDS_OF_PHRASES else HEADED

    def _of_pair(self, pair: re.Match[str], *, tells: bool) -> str:
        name, word = pair["name"], pair["word"]
        role = names_as_values.role(name)
        if role and (role != "name" or word is None or self._tells(word)):
            return OTHER
        if not tells:
            return COUNTED if pair["digits"] else PAIR
        if not word or len(word) > _ASSIGNED_CHARS or word.lower() in CREDENTIAL_SCHEMES:
            return OTHER
        if name.lower().endswith(SCHEMED_HEADERS + COOKIE_HEADERS) or self._tells(word):
            return OTHER
        if self._is_secret(self._kind_of(name), word) or not name.isalpha():
            return OTHER
        return _class_of_suspect(pair[0], JUDGED)


def _class_of_suspect(word: str, classes: str) -> str:
    """The class of a word that tells of a secret, and of what else."""
    if not tells_of_names_alone(f" {word} ", patterns.WORDS_BEFORE_WORDS_ALONE):
        return OTHER
    has_scheme = patterns.ANY_SCHEME.search(f" {word.lower()} ") is not None
    has_form = _FORM_WORDS.search(word.lower()) is not None
    return classes[has_scheme + 2 * has_form]


def tells_of_names_alone(suspect_words: str, others: re.Pattern[str] = patterns.WORDS_BEFORE_WORDS) -> bool:
    """Whether words tell of a secret by its name, and are no token, and none of the ``others``, such as commands."""
    if shapes.may_hold_tokens(suspect_words):
        return False
    if max(map(len, suspect_words.replace("=", " ").split())) >= MIN_CHARS:
        return False
    return others.search(suspect_words.lower()) is None


def _of_word(word: str) -> str:
    joins, precedes = word.lower() in JOINING_WORDS, may_precede(word)
    if joins:
        return OTHER if precedes else JOINING
    return PRECEDING if precedes else WORD
