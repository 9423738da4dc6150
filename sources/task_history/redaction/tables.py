"""Redaction of tables in text: CSV, TSV, Markdown and query results, and SQL's INSERT with names of columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .edits import Span
from .judging import Judge, is_random
from .names import Kind

_CELL = r"(?:\"[^\"\r\n|,;\t]{1,64}\"|\w[\w.-]{0,63}+(?: [\w.()-]{1,64}+){0,4}+)"
_DRAWN = rf"[ ]{{0,40}}+{_CELL}[ ]{{0,40}}+"
_HEADER = re.compile(
    rf"^(?:{_CELL}(?P<sign>[,;\t]){_CELL}(?:(?P=sign){_CELL}){{0,200}}+"
    rf"|(?:[ ]{{0,8}}+\|)?{_DRAWN}(?:\|{_DRAWN}){{1,200}}+(?:\|[ \t]*+)?)(?=\r?\n)",
    re.MULTILINE,
)
_CELLS = {
    sign: re.compile(rf"[ ]*+\"(?:[^\"\r\n]|\"\")*+\"[ ]*+(?=[{sign}\r\n]|\Z)|[^{sign}\r\n]*+")
    for sign in ",;|\t"
}
_RULER = re.compile(r"[ \t|:+-]*+(?=\r?\n|\Z)")
_INSERT = re.compile(
    r"(?i)\b(?:insert|replace)\s{1,9}(?:ignore\s{1,9})?into\s{1,9}[\w.\"`\[\]]{1,200}\s{0,9}\((?P<names>[\w\s,.\"`\[\]-]{1,4000})\)"
    r"\s{0,9}(?:output\s[^()]{1,200})?values?\s{0,9}(?=\()"
)
_SQL_VALUE = re.compile(
    r"\s*+(?:[NnEeXx]?'(?P<text>(?:[^'\\]|''|\\.)*+)'|\"(?P<quoted>[^\"]*+)\""
    r"|(?P<bare>[^,()']*+(?:\([^()]*+\))?))\s*+",
    re.DOTALL,
)


def secrets_in_columns(text: str, kind_of: Callable[[str], Kind], is_secret: Judge) -> Iterator[Span]:
    """Spans of values in columns with a secret name; a line with another number of values ends the table."""
    at = 0
    while header := _HEADER.search(text, at):
        at = header.end()
        sign = header["sign"] or "|"
        names = [text[slice(*span)].strip(' "') for span in _spans(text, header.start(), sign)]
        kinds = [kind_of(name) for name in names]
        if not any(kinds):
            continue
        while begin := text.find("\n", at) + 1:
            ruler = _RULER.match(text, begin)
            if ruler is not None and ruler.end() > begin:
                at = ruler.end()
                continue
            spans = list(_spans(text, begin, sign))
            if len(spans) != len(kinds):
                break
            at = spans[-1][1]
            for kind, span in zip(kinds, spans, strict=True):
                value = text[slice(*span)].strip('" ')
                # A value that is a name again belongs to another list of names.
                if value and is_secret(kind, value) and (not kind_of(value) or is_random(value)):
                    yield _stripped(text, *span)


def _stripped(text: str, begin: int, end: int) -> Span:
    while begin < end and text[begin] in ' "':
        begin += 1
    while end > begin and text[end - 1] in ' "':
        end -= 1
    return begin, end


def _spans(text: str, begin: int, sign: str) -> Iterator[Span]:
    """Spans of the cells of a line; those outside the edges of a table that is drawn with ``|`` are left out."""
    spans: list[Span] = []
    cell = _CELLS[sign].match(text, begin)
    while cell is not None:
        spans.append(cell.span())
        cell = _CELLS[sign].match(text, cell.end() + 1) if text.startswith(sign, cell.end()) else None
    if sign == "|" and len(spans) > 1:
        for index in (0, -1):
            if not text[slice(*spans[index])].strip():
                del spans[index]
    yield from spans


def secrets_in_inserts(text: str, kind_of: Callable[[str], Kind], is_secret: Judge) -> Iterator[Span]:
    """Spans of the values that ``INSERT INTO … (names) VALUES (…), (…)`` gives columns with a secret name."""
    at = 0
    while insert := _INSERT.search(text, at):
        at = insert.end()
        kinds = [kind_of(name.strip(' \t\r\n"`[]')) for name in insert["names"].split(",")]
        while any(kinds) and at < len(text) and text[at] == "(":
            for kind in kinds:
                value = _SQL_VALUE.match(text, at + 1)
                if value is None:
                    break
                part = (
                    "text"
                    if value["text"] is not None
                    else "quoted"
                    if value["quoted"] is not None
                    else "bare"
                )
                if kind and value[part] and value[part].lower() != "null" and is_secret(kind, value[part]):
                    yield value.span(part)
                at = value.end()
                if not text.startswith(",", at):
                    break
            following = _NEXT_ROW.match(text, at)
            if following is None:
                break
            at = following.end() - 1


_NEXT_ROW = re.compile(r"\)\s{0,200}+,\s{0,200}+\(")
