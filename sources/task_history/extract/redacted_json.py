"""What customers wrote, as texts without secrets and of bounded size: a huge text is cut before it is searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..core.json import PayloadText, cut_note, to_text
from ..core.models import Json
from ..redaction.redactor import Redactor

_MIN_SEARCHED_CHARS = 1 << 20
_SEARCHED_FACTOR = 4
"""How many times more than can be stored is searched for secrets: without secrets a text is shorter."""
_UNSAFE_END_CHARS = 4_096
"""The end of what was searched, which is not stored: it may hold the first half of a secret."""
_WORD_ENDS = " \n\t\r,;:=|&\"'<>()[]{}"


def redacted_json(redactor: Redactor, value: Json, max_bytes: int) -> tuple[PayloadText, int]:
    """The value as JSON text of at most ``max_bytes`` bytes, and the number of secrets that were removed.

    Lists and objects keep their parts until they are searched: without its heading a row of a table shows no secret.
    """
    texts = _LongTexts(max_bytes)
    redacted = redactor.payload(texts.cut(value))
    if not texts.notes:
        return to_text(redacted.value, max_bytes), redacted.count
    safe = _with_texts(redacted.value, texts.without_unsafe_end)
    text = to_text(safe, max_bytes, cut_before=texts.notes)
    return replace(text, bytes=text.bytes + texts.cut_bytes, cut=True), redacted.count


def redacted_prose(redactor: Redactor, text: str, max_chars: int) -> str:
    """The text itself, without secrets; one longer than ``max_chars`` characters ends with ``…``."""
    texts = _LongTexts(max_chars)
    redacted = texts.without_unsafe_end(redactor.text(texts.cut_text(text))[0])
    for note in texts.notes:
        redacted = redacted.removesuffix(note)
    return redacted if len(redacted) <= max_chars and not texts.notes else redacted[:max_chars] + "…"


class _LongTexts:
    """The texts of one value that are longer than what is searched, of which ``max_stored`` characters can be stored."""

    def __init__(self, max_stored: int) -> None:
        self._max_chars = max(_MIN_SEARCHED_CHARS, _SEARCHED_FACTOR * max_stored)
        self.notes: dict[str, int] = {}
        """The notes at the ends of texts that were cut, with the number of characters that each states."""
        self.cut_bytes = 0
        """Bytes of what was cut."""

    def cut(self, value: Json) -> Json:
        """The value with each long text cut; the same object where there is none."""
        if not _may_have_longer_text(value, self._max_chars):
            return value
        try:
            return _with_texts(value, self.cut_text)
        except RecursionError:
            return value

    def cut_text(self, text: str) -> str:
        """The text, if it is long with its end cut and a note there."""
        end = self._max_chars
        if len(text) <= end:
            return text
        word = max(text.rfind(sign, 0, end) for sign in _WORD_ENDS) + 1
        # Half a pair of hexadecimal digits, or a part of four characters of base64, would hide what is encoded.
        end -= (end - word) % 4
        cut = len(text) - end + _UNSAFE_END_CHARS
        note = cut_note(cut)
        self.notes[note] = cut
        unstored = text[end - _UNSAFE_END_CHARS :]
        self.cut_bytes += len(unstored.encode(errors="replace")) - len(note.encode())
        return text[:end] + note

    def without_unsafe_end(self, text: str) -> str:
        """The redacted text, if it was cut without the last characters before its note."""
        note = next((note for note in self.notes if text.endswith(note)), None)
        return text if note is None else text.removesuffix(note)[:-_UNSAFE_END_CHARS] + note


def _with_texts(value: Json, change: Callable[[str], str]) -> Json:
    """The value with each of its texts changed, names of fields apart."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _with_texts(inner, change) for name, inner in value.items()}
    return [_with_texts(inner, change) for inner in value] if isinstance(value, list) else value


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
