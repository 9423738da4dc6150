"""Redaction of tables in text, such as CSV: a line of names, then lines with as many values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .edits import Span
from .names import Kind, is_secret

_CELL = r"\"?[A-Za-z_][\w.-]{0,63}+(?: [\w.-]{1,64}+){0,2}+\"?"
_HEADER = re.compile(
    rf"^{_CELL}(?:(?P<sign>[,;|\t]){_CELL})(?:(?P=sign){_CELL}){{0,200}}+(?=\r?\n)", re.MULTILINE
)
_CELLS = {
    sign: re.compile(rf"\"(?:[^\"\r\n]|\"\")*+\"(?=[{sign}\r\n]|\Z)|[^{sign}\r\n]*+") for sign in ",;|\t"
}


def secrets_in_columns(text: str, kind_of: Callable[[str], Kind]) -> Iterator[Span]:
    """Spans of values in columns with a secret name; a line with another number of values ends the table."""
    at = 0
    while header := _HEADER.search(text, at):
        at = header.end()
        sign = header["sign"]
        kinds = [kind_of(name.strip('"')) for name in header[0].split(sign)]
        if not any(kinds):
            continue
        while (begin := text.find("\n", at) + 1) and len(spans := list(_spans(text, begin, sign))) == len(
            kinds
        ):
            at = spans[-1][1]
            for kind, span in zip(kinds, spans, strict=True):
                value = text[slice(*span)].strip('" ')
                # A value that is a name again belongs to another list of names.
                if value and is_secret(kind, value) and not kind_of(value):
                    yield span


def _spans(text: str, begin: int, sign: str) -> Iterator[Span]:
    cell = _CELLS[sign].match(text, begin)
    while cell is not None:
        is_quoted = len(cell[0]) > 1 and cell[0][0] == cell[0][-1] == '"'
        yield cell.start() + is_quoted, cell.end() - is_quoted
        cell = _CELLS[sign].match(text, cell.end() + 1) if text.startswith(sign, cell.end()) else None
