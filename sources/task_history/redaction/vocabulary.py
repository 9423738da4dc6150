"""Words that are known to hold nothing to look for: a text of such words alone needs no search."""

from __future__ import annotations

import re

from . import patterns
from .folding import folded

_MOST_WORDS = 50_000
_PLAIN = re.compile(r"[^\W\d_]{1,15}[.,!?]?|[0-9]{1,8}[.,]?|[-–—&]")


class Vocabulary:
    """The words that were seen and in which nothing begins: no part of a secret's name, no sign, no command.

    A word is letters, or digits, with at most one mark behind it: all that tells of a secret needs other signs, or
    one of the words that ``stems`` or ``patterns`` look for.
    """

    def __init__(self, stems: patterns.Stems) -> None:
        self._stems = stems
        self._words: set[str] = set()

    def covers(self, text: str) -> bool:
        """Whether a text consists of such words; new ones are learned."""
        words = text.split()
        return self._words.issuperset(words) or all(
            word in self._words or self._learn(word) for word in words
        )

    def _learn(self, word: str) -> bool:
        if len(word) > 16 or not _PLAIN.fullmatch(word):
            return False
        lower = folded(word)
        if self._stems.search(lower) or patterns.WORDS_BEFORE_SECRETS.search(lower):
            return False
        if len(self._words) >= _MOST_WORDS:
            self._words.clear()
        self._words.add(word)
        return True
