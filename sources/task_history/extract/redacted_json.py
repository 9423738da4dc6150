"""What customers wrote, as texts without secrets and of bounded size: a huge value is shortened before it is searched."""

from __future__ import annotations

from dataclasses import replace

from ..core.json import PayloadText, shortened, to_text
from ..core.models import Json
from ..redaction.redactor import Redactor

_MIN_SEARCHED_BYTES = 1 << 20
_SEARCHED_FACTOR = 4
"""How many times more than can be stored is searched for secrets, because without them a value becomes shorter."""


def redacted_json(redactor: Redactor, value: Json, max_bytes: int) -> tuple[PayloadText, int]:
    """The value as JSON text of at most ``max_bytes`` bytes, and the number of secrets that were removed."""
    short, left_out = shortened(value, _searched_bytes(max_bytes))
    redacted = redactor.payload(short)
    text = to_text(redacted.value, max_bytes)
    if left_out:
        text = replace(text, bytes=text.bytes + left_out, cut=True)
    return text, redacted.count


def redacted_prose(redactor: Redactor, text: str, max_chars: int) -> str:
    """The text itself, without secrets; one longer than ``max_chars`` characters ends with ``…``."""
    short, left_out = shortened(text, _searched_bytes(max_chars))
    redacted = redactor.text(str(short))[0]
    if len(redacted) > max_chars:
        return redacted[:max_chars] + "…"
    return redacted + "…" if left_out else redacted


def _searched_bytes(max_bytes: int) -> int:
    return max(_MIN_SEARCHED_BYTES, _SEARCHED_FACTOR * max_bytes)
