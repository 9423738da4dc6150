"""A text while it is redacted, with the replacements made so far."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.redaction_mark import MARK
from .edits import Edit, Span, applied, joined
from .folding import lowered
from .placeholders import is_placeholder


class RedactedText:
    """A text that is redacted step by step, with the replacements made so far.

    ``suspect_words`` holds only the words of the text that may tell of a secret, each between blanks. Signs are
    looked for there, since it is much shorter than the text.
    """

    def __init__(self, text: str, suspect_words: str) -> None:
        self.text = text
        self.suspect_words = suspect_words
        self.suspect_words_lower = lowered(suspect_words)
        self.edits: list[Edit] = []
        self.count = 0
        self._lower: str | None = None

    @property
    def lower(self) -> str:
        """The text in lower case, each character at its place."""
        if self._lower is None:
            self._lower = lowered(self.text)
        return self._lower

    def cut(self, spans: Iterable[Span]) -> None:
        """Replaces the spans by the redaction mark."""
        text = self.text
        edits = [
            Edit(begin, end)
            for begin, end in spans
            if text[begin:end] != MARK and not is_placeholder(text[begin:end])
        ]
        if edits:
            self.count += len(edits)
            self.edits = joined(self.edits, edits)
            self.text = applied(text, edits)
            self._lower = None
