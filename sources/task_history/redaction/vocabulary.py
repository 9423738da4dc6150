"""Words that are known to hold nothing to look for: a text of such words alone needs no search."""

from __future__ import annotations

from collections.abc import Iterator

from . import patterns
from .encodings import is_encoded_text
from .expressions import expression
from .folding import folded

_MAX_WORDS = 50_000
_MAX_CHARS = 100
"""Maximum characters of a word that is remembered."""
_MIN_TOKEN_CHARS = 12
_MIN_HEX_DIGITS = 24
_MAX_COLONS = 3
FEW_WORDS = 8
"""Words that are looked for one by one."""
_TELLING = expression(
    r"[\\${}~\x00-\x1f]|&.*;|%[0-9A-Fa-f]{2}|://.*@|[:/][^\s/:@]{6,64}@|[A-Za-z0-9_+=-]{20}|[A-Za-z0-9_+=/-]{24}|\A/\Z|(?<!\w)--?[A-Za-z]|\A/[a-z]+:|eyJ|<<<"
)
"""Signs of secrets that need no name: escapes, logins in addresses, runs that may be tokens, flags of commands."""
_HEX_ID = expression(
    r"(?:[(\['\"]|(?P<name>[A-Za-z_]{1,20})=)?(?:[0-9a-f]{24,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[)\]'\".,:;]{0,2}"
)


def _places(words: list[str], word: str) -> Iterator[int]:
    """The places of a word in a list, which are found faster one by one than by looking at each word."""
    place = -1
    for _ in range(words.count(word)):
        place = words.index(word, place + 1)
        yield place


class Vocabulary:
    """The words that were seen and in which nothing begins: no part of a secret's name, no sign, no command.

    Words that differ in their digits only are one. Each word that tells of a secret has a part of its name, one of the
    signs above, or one of the words that ``stems`` and ``patterns`` look for.
    """

    def __init__(self, stems: patterns.Stems, *, is_strict: bool = False) -> None:
        self._stems = stems
        self._is_strict = is_strict
        self._words: set[str] = set()
        self._suspect_words: set[str] = set()

    def suspect_words(self, text: str) -> str:
        """The words of a text that may tell of a secret, each between blanks; empty where there are none."""
        words, unknown = self.unknown(text)
        return self.suspect_words_of(text, words, unknown) if unknown else ""

    def tells(self, word: str) -> bool:
        """Whether a word, digits alike, may tell of a secret."""
        return word not in self._words and (word in self._suspect_words or bool(self.suspect_words(word)))

    def unknown(self, text: str) -> tuple[list[str], set[str]]:
        """The words of a text, digits alike, and those of them that may tell of a secret, or are ids."""
        if text in self._words:
            return [], set()
        words = text.translate(patterns.DIGITS_ALIKE).split()
        distinct = set(words)
        if distinct <= self._words:
            return words, set()
        distinct -= self._words
        return words, {word for word in distinct if word in self._suspect_words or not self._learn(word)}

    def suspect_words_of(self, text: str, words: list[str], unknown: set[str]) -> str:
        """What ``suspect_words`` says of a text, given what ``unknown`` says of it."""
        written = text.split()
        if len(unknown) <= FEW_WORDS:
            places = [index for word in unknown for index in _places(words, word)]
        else:
            places = [index for index, word in enumerate(words) if word in unknown]
        suspect_words = [written[index] for index in sorted(places) if not self.is_id(written[index])]
        return f" {' '.join(suspect_words)} " if suspect_words else ""

    def is_id(self, word: str) -> bool:
        """Whether a word is an id of hexadecimal digits, which encode no text; strict redaction removes those, too."""
        match = None if self._is_strict or len(word) < _MIN_HEX_DIGITS else _HEX_ID.fullmatch(word)
        if match is None or (match["name"] and self.suspect_words(match["name"])):
            return False
        return self.is_only_id(word)

    def is_only_id(self, word: str) -> bool:
        """Whether an id of hexadecimal digits, behind an ordinary name or none, encodes no text, and may stay."""
        return not self._is_strict and not is_encoded_text(word.rpartition("=")[2].strip("()[]'\".,:;"))

    def _learn(self, word: str) -> bool:
        """Whether nothing in the word tells of a secret, which is remembered."""
        if len(word) >= _MIN_HEX_DIGITS and _HEX_ID.fullmatch(word):
            return False  # each is another word
        words = self._suspect_words if self._tells(word) else self._words
        if len(words) >= _MAX_WORDS:
            words.clear()
        if len(word) <= _MAX_CHARS:
            words.add(word)
        return words is self._words

    def _tells(self, word: str) -> bool:
        if len(word) > _MAX_CHARS or word.count(":") > _MAX_COLONS or _TELLING.search(word):
            return True
        if len(word) >= _MIN_TOKEN_CHARS and patterns.SHAPES_OF_ALIKE.search(word):
            return True
        lower = folded(word)
        return self._stems.may_begin(lower) or patterns.WORDS_BEFORE_SECRETS.search(lower) is not None
