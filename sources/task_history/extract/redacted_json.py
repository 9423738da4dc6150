"""What customers wrote, as texts without secrets and of bounded size: a huge text is cut before it is searched."""

from __future__ import annotations

from dataclasses import replace

from ..core.json import PayloadText, cut_note, to_text
from ..core.models import Json
from ..redaction.redactor import Redactor

_MIN_SEARCHED_CHARS = 1 << 20
_SEARCHED_FACTOR = 4
"""How many times more than can be stored is searched for secrets, because without them a text becomes shorter."""
_UNSAFE_END_CHARS = 4_096
"""The end of what was searched, which is not stored: it may hold the first half of a secret."""
_WORD_ENDS = " \n\t\r,;:=|&\"'<>()[]{}"


def redacted_json(redactor: Redactor, value: Json, max_bytes: int) -> tuple[PayloadText, int]:
    """The value as JSON text of at most ``max_bytes`` bytes, and the number of secrets that were removed."""
    short = _ShortTexts(max(_MIN_SEARCHED_CHARS, _SEARCHED_FACTOR * max_bytes))
    redacted = redactor.payload(short.cut(value))
    if not short.notes:
        return to_text(redacted.value, max_bytes), redacted.count
    text = to_text(short.without_unsafe_ends(redacted.value), max_bytes, cut_before=short.final_notes)
    return replace(text, bytes=text.bytes + short.cut_bytes, cut=True), redacted.count


def redacted_prose(redactor: Redactor, text: str, max_chars: int) -> str:
    """The text itself, without secrets; one longer than ``max_chars`` characters ends with ``…``."""
    short = _ShortTexts(max(_MIN_SEARCHED_CHARS, _SEARCHED_FACTOR * max_chars))
    redacted = short.without_unsafe_ends(redactor.text(str(short.cut(text)))[0])
    for note in short.final_notes:
        redacted = str(redacted).removesuffix(note)
    found = str(redacted)
    return found if len(found) <= max_chars and not short.notes else found[:max_chars] + "…"


class _ShortTexts:
    """Cuts each text of one value that is longer than ``max_chars``; lists and objects keep their parts.

    Without its other parts a table's row or an object's field could no longer be told for a secret.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self.notes: dict[str, int] = {}
        """The notes at the ends of texts that were cut, with the characters that each tells."""
        self.cut_bytes = 0

    @property
    def final_notes(self) -> dict[str, int]:
        """The notes at the ends of these texts once their unsafe ends are cut, too."""
        characters = (cut + _UNSAFE_END_CHARS for cut in self.notes.values())
        return {cut_note(number): number for number in characters}

    def cut(self, value: Json) -> Json:
        """The value with each long text cut; the same object where there is none."""
        if isinstance(value, str):
            return value if len(value) <= self._max_chars else self._cut_text(value)
        try:
            return self._cut(value) if _may_have_longer_text(value, self._max_chars) else value
        except RecursionError:
            return value

    def without_unsafe_ends(self, value: Json) -> Json:
        """The redacted value, without the last characters of texts that were cut."""
        if isinstance(value, str):
            for note, characters in self.notes.items():
                if value.endswith(note):
                    return value.removesuffix(note)[:-_UNSAFE_END_CHARS] + cut_note(
                        characters + _UNSAFE_END_CHARS
                    )
            return value
        if not self.notes:
            return value
        if isinstance(value, dict):
            return {name: self.without_unsafe_ends(inner) for name, inner in value.items()}
        return [self.without_unsafe_ends(inner) for inner in value] if isinstance(value, list) else value

    def _cut(self, value: Json) -> Json:
        if isinstance(value, str):
            return value if len(value) <= self._max_chars else self._cut_text(value)
        if isinstance(value, dict):
            return {name: self._cut(inner) for name, inner in value.items()}
        return [self._cut(inner) for inner in value] if isinstance(value, list) else value

    def _cut_text(self, text: str) -> str:
        end = self._max_chars
        word = max(text.rfind(sign, 0, end) for sign in _WORD_ENDS) + 1
        # Half a pair of hexadecimal digits, or a part of four characters of base64, would hide what is encoded.
        end -= (end - word) % 4
        note = cut_note(len(text) - end)
        self.notes[note] = len(text) - end
        self.cut_bytes += len(text[end:].encode(errors="replace")) - len(note.encode())
        return text[:end] + note


def _may_have_longer_text(value: Json, max_chars: int) -> bool:
    """Whether the texts of the value have together more characters; ends as soon as that is known."""
    seen, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            seen += len(item)
            if seen > max_chars:
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
