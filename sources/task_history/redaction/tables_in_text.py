"""Redaction of tables in text: CSV, TSV, Markdown and query results, and SQL's INSERT with names of columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .edits import Span
from .expressions import expression
from .judging import Judge, is_no_name
from .kinds_of_names import NO_SECRET_BY_NAME, Kind
from .names_as_values import is_secret_text, role
from .randomness import is_random

# \u0e00 and on: letters of Thai and Lao are followed by marks that are none.
_CELL = r"(?:\"[^\"\r\n|,;\t]{1,64}\"|\w[\w.\u0900-\u0eff-]{0,63}+(?: [\w.()'’\u0900-\u0eff-]{1,64}+){0,4}+)"
_ALIGNED = r"[\w.-]{1,64}+(?: [\w.-]{1,64}+){0,2}+"
_DRAWN = rf"[ ]{{0,40}}+{_CELL}[ ]{{0,40}}+"
_HEADER = expression(
    rf"^(?:{_CELL}(?P<sign>[,;\t]){_CELL}(?:(?P=sign){_CELL}){{0,20000}}+"
    rf"|(?P<double>\|\|)(?P<doubly>[^|\r\n]{{1,64}}(?:\|\|[^|\r\n]{{1,64}}){{1,20000}}+)\|\|"
    rf"|{_ALIGNED}(?P<blanks>  )(?: *+{_ALIGNED}(?=  |[ ]?\r?\n))++"
    rf"|(?:[ ]{{0,8}}+\|)?{_DRAWN}(?:\|{_DRAWN}){{1,20000}}+(?:\|[ \t]*+)?)(?=\r?\n)",
    re.MULTILINE,
)
_CELLS = {
    sign: expression(rf"[ ]*+\"(?:[^\"\r\n]|\"\")*+\"[ ]*+(?=[{sign}\r\n]|\Z)|[^{sign}\r\n]*+")
    for sign in ",;|\t"
} | {"  ": expression(r" *+(?:[^\s]++(?: [^\s]++)*+)?(?=  |[ ]?\r?\n|[ ]?\Z)")}
_DOUBLY_PARTED = expression(r"[^|]+")
_MARKUP_CELL = expression(
    r"(?i)<(?:t[dh]|dt|dd)(?:\s[^<>]{0,200})?>\s{0,40}(?:<\w{1,9}(?:\s[^<>]{0,99})?>\s{0,9})?(?P<value>[^<>]{1,400})"
)
_ROW_END = expression(r"(?i)</(?:tr|dd)")
_CODE = r"[A-Za-z0-9]{4,10}(?:[ -][A-Za-z0-9]{4,10}){0,4}"
_MARK_OF_ITEM = r"[ \t]{0,8}(?:[0-9]{1,2}[.)][ ]{1,4}|[-*•][ ]{1,4})?"
_LISTED_CODES = expression(
    r"(?i)(?<![a-z])(?:backup|recovery|scratch|emergency|one[- ]time|2fa|mfa|verification)"
    r"(?: \w{1,12})? codes\b[^\r\n]{0,80}"
    rf"(?:\r?\n){{1,2}}(?P<codes>(?:{_MARK_OF_ITEM}{_CODE}[ \t]{{0,8}}(?:\r?\n|\Z)){{2,30}})"
)
_LISTED_CODE = expression(rf"^{_MARK_OF_ITEM}(?P<code>{_CODE})", re.MULTILINE)
_DRAWN_SIGNS = str.maketrans(dict.fromkeys("│┃║", "|") | dict.fromkeys("─━═┄┼├┤┌┐└┘┬┴╬╠╣╔╗╚╝╦╩╪╞╡", "-"))
_RULER = expression(r"[ \t|:+-]*+(?=\r?\n|\Z)")
_INSERT = expression(
    r"(?i)\b(?:insert|replace)\s{1,9}(?:ignore\s{1,9})?into\s{1,9}[\w.\"`\[\]]{1,200}\s{0,9}\((?P<names>[\w\s,.\"`\[\]-]{1,1000000}+)\)"
    r"\s{0,9}(?:output\s[^()]{1,200})?(?:values?\s{0,9}(?=\()|select(?=\s))"
)
_SQL_VALUE = expression(
    r"\s*+(?:[NnEeXx]?'(?P<text>(?:[^'\\]|''|\\.)*+)'|\"(?P<quoted>[^\"]*+)\""
    r"|(?P<bare>[^,()']*+(?:\([^()]*+\))?))\s*+",
    re.DOTALL,
)


def secrets_in_columns(text: str, kind_of: Callable[[str], Kind], is_secret: Judge) -> Iterator[Span]:
    """Spans of values in columns with a secret name; a line with another number of values ends the table."""
    text = text if text.isascii() else text.translate(_DRAWN_SIGNS)
    at = 0
    while header := _HEADER.search(text, at):
        at = header.end()
        sign = header["sign"] or header["blanks"] or "|"
        first = header.start() + len(header["double"] or "")
        spans = _doubly_parted(header) if header["double"] else list(_spans(text, first, sign))
        names = [text[slice(*span)].strip(' "*`') for span in spans]
        kinds = [kind_of(name) for name in names]
        named = _named_values(names) if NO_SECRET_BY_NAME.issuperset(kinds) else None
        if not any(kinds) and named is None:
            at = _end_of_body(text, at, len(names)) if sign == "|" else at
            continue
        while begin := text.find("\n", at) + 1:
            ruler = _RULER.match(text, begin)
            if ruler is not None and ruler.end() > begin:
                at = ruler.end()
                continue
            spans = list(_spans(text, begin, sign))
            if len(spans) != len(names):
                break
            at = spans[-1][1]
            if named is not None:
                kind = kind_of(text[slice(*spans[named[0]])].strip('" `'))
                kinds = [kind if index in named[1] else Kind.HARMLESS for index in range(len(names))]
            for kind, span in zip(kinds, spans, strict=True):
                value = text[slice(*span)].strip('" ')
                # A value that is a name again belongs to another list of names.
                if named is not None and not is_secret_text(value):
                    continue
                if value and is_secret(kind, value) and (not kind_of(value) or is_random(value)):
                    yield _stripped(text, *span)


def _end_of_body(text: str, at: int, columns: int) -> int:
    """The end of the rows below a heading of Markdown: none of them is a heading. ``at`` where no ruler follows."""
    begin = text.find("\n", at) + 1
    ruler = _RULER.match(text, begin) if begin else None
    if ruler is None or ruler.end() == begin:
        return at
    at = ruler.end()
    while (begin := text.find("\n", at) + 1) and len(spans := list(_spans(text, begin, "|"))) == columns:
        at = spans[-1][1]
    return at


def listed_codes(text: str) -> Iterator[Span]:
    """Spans of the codes in the lines below a heading such as ``Backup codes``."""
    for listed in _LISTED_CODES.finditer(text):
        for code in _LISTED_CODE.finditer(text, *listed.span("codes")):
            if sum(map(str.isdigit, code["code"])) > 1:
                yield code.span("code")


def _named_values(names: list[str]) -> tuple[int, set[int]] | None:
    """The column of names and those of values in a table of settings, such as ``name,value``; None in any other."""
    roles = [role(name) for name in names]
    values = {index for index, word in enumerate(roles) if word in ("value", "text", "answer")}
    return (roles.index("name"), values) if "name" in roles and values else None


def _doubly_parted(header: re.Match[str]) -> list[Span]:
    """Spans of the names in a heading of Confluence: ``||user||password||``."""
    return [match.span() for match in _DOUBLY_PARTED.finditer(header.string, *header.span("doubly"))]


def secrets_in_markup(text: str, kind_of: Callable[[str], Kind], is_secret: Judge) -> Iterator[Span]:
    """Spans of values in tables of HTML, in columns with a secret name or beside a cell with one."""
    kinds: list[Kind] = []
    position = 0
    while position < len(text):
        row_end = _ROW_END.search(text, position)
        end = row_end.start() if row_end else len(text)
        cells = [match for match in _MARKUP_CELL.finditer(text, position, end) if match["value"].strip()]
        found = [kind_of(cell["value"].strip(" :")) for cell in cells]
        if any(kinds) and len(cells) == len(kinds):
            for kind, cell in zip(kinds, cells, strict=True):
                if kind and is_secret(kind, cell["value"]):
                    yield cell.span("value")
        elif any(found):
            is_pair = len(cells) == 2 and found[0] and is_no_name(cells[1]["value"])
            if is_pair and is_secret(found[0], cells[1]["value"]):
                yield cells[1].span("value")
            kinds = [] if is_pair else found
        position = end + 4


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
        while any(kinds) and at < len(text) and (text[at] == "(" or text[at].isspace()):
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


def secrets_in_copies(text: str, kind_of: Callable[[str], Kind], is_secret: Judge) -> Iterator[Span]:
    """Spans of the values that PostgreSQL's ``COPY … (names) FROM stdin`` gives columns with a secret name."""
    for copy in _COPY.finditer(text):
        kinds = [kind_of(name.strip(' "')) for name in copy["names"].split(",")]
        begin = copy.end()
        while any(kinds) and begin < len(text) and not text.startswith("\\.", begin):
            end = text.find("\n", begin)
            end = len(text) if end < 0 else end
            cells = list(_spans(text, begin, "\t"))
            if len(cells) == len(kinds):
                for kind, cell in zip(kinds, cells, strict=True):
                    value = text[slice(*cell)]
                    if kind and value not in ("", "\\N") and is_secret(kind, value):
                        yield cell
            begin = end + 1


# https://www.postgresql.org/docs/current/sql-copy.html
_COPY = expression(
    r"(?i)\bcopy\s{1,9}[\w.\"]{1,200}\s{0,9}\((?P<names>[\w\s,\"]{1,1000000}+)\)\s{1,9}from\s{1,9}stdin[^\r\n]{0,100}\r?\n"
)
_NEXT_ROW = expression(r"\)\s{0,200}+,\s{0,200}+\(")
