"""Text made safe to print and to store: control characters, invisible ones and NUL are replaced."""

from __future__ import annotations

import re

# What moves the cursor, ends a line or changes the order of letters: C0, DEL, C1, marks, embeddings and isolates
# of writing direction, line and paragraph separators, halves of surrogate pairs.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_SET = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
NUL, NUL_STORED_AS = "\x00", "\ufffd"
"""The character that Postgres holds in no text, and the one that every warehouse gets in its place.
https://www.postgresql.org/docs/current/datatype-character.html"""
_HIDDEN = re.compile(f"[{_SET}]")
_HIDDEN_BUT_NEWLINE = re.compile(f"(?!\n)[{_SET}]")


def visible(text: str) -> str:
    r"""The text on one line, with escapes such as ``\n``, ``\x1b`` and ``\u202e``."""
    return _HIDDEN.sub(_escape, text)


def visible_lines(text: str) -> str:
    """The text with escapes in place of control and invisible characters; line breaks stay."""
    return _HIDDEN_BUT_NEWLINE.sub(_escape, text)


def visible_json(text: str) -> str:
    """JSON of equal value, with JSON escapes in place of invisible characters in its strings."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_nul(text: str) -> str:
    """The text as it is stored, with U+FFFD in place of NUL."""
    return text.replace(NUL, NUL_STORED_AS)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
