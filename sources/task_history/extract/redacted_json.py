"""What customers wrote, as texts without secrets and of bounded size (``core.cutting``)."""

from __future__ import annotations

from dataclasses import replace

from ..core.cutting import LongTexts, PayloadText, cut_prose, to_text, with_texts
from ..core.models import Json
from ..redaction.redactor import Redactor


def redacted_json(redactor: Redactor, value: Json, max_bytes: int) -> tuple[PayloadText, int]:
    """The value as JSON text of at most ``max_bytes`` bytes, and the number of secrets that were removed.

    Lists and objects keep their parts until they are searched: without its heading a row of a table shows no secret.
    """
    texts = LongTexts(max_bytes)
    redacted = redactor.payload(texts.cut(value))
    if not texts.notes:
        return to_text(redacted.value, max_bytes), redacted.count
    safe = with_texts(redacted.value, texts.without_unsafe_end)
    text = to_text(safe, max_bytes, cut_before=texts.notes)
    return replace(text, bytes=text.bytes + texts.cut_bytes, cut=True), redacted.count


def redacted_prose(redactor: Redactor, text: str, max_chars: int) -> str:
    """The text itself, without secrets; one longer than ``max_chars`` characters ends with ``…``."""
    texts = LongTexts(max_chars)
    redacted = texts.without_unsafe_end(redactor.text(texts.cut_text(text))[0])
    for note in texts.notes:
        redacted = redacted.removesuffix(note)
    return cut_prose(redacted, max_chars, has_more=bool(texts.notes))
