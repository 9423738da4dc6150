"""Reader of JSON inside other text, with the position of each value; documents may be cut off or several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import simplejson

from ..core.models import Json
from .edits import Edit, Span, applied
from .expressions import expression

_INT_DIGITS = 4_300
"""Python converts no longer digits to int; they stay exact as Decimal."""

_STRUCTURE = expression(r'\{\s*+["}]|\[\s*+(?:["{\[\]\-0-9]|true|false|null)')
_STRING = expression(r'[\s\ufeff]*+"')
_ONE_STRING = expression(r'[\s\ufeff]*+(?P<string>"(?:[^"\\]++|\\.)*+"?)[\s\ufeff]*+', re.DOTALL)
_BLANK = expression(r"[\s\ufeff\x1e,]*+")
"""Characters between two documents."""
_TOKEN = expression(
    r'\s*+(?:(?P<open>[{\[])|(?P<close>[}\]])|(?P<sign>[,:])|(?P<string>"(?:[^"\\]++|\\.)*+"?)'
    r"|(?P<scalar>true|false|null|-?Infinity|NaN|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)(?![\w.]))",
    re.DOTALL,
)
_ESCAPE = expression(
    r"\\(?:u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|u(?P<code>[0-9a-fA-F]{4})"
    # No JSON, but what JavaScript and Python read beside it.
    r"|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[01][0-7]{2})|(?P<sign>.))",
    re.DOTALL,
)
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CONSTANTS = {"true": True, "false": False, "null": None}
_UNSEEN = str.maketrans("01", "\u200b\u200c")


@dataclass(slots=True)
class Part:
    """One value with its span in the text, and the span of its name (``name``) if it has one."""

    value: Json
    begin: int
    end: int
    name: Span | None = None
    parts: list[Part] = field(default_factory=list)

    def replaced(self, text: str, new: str) -> Edit:
        """The replacement of the value by other JSON; a string that was cut off stays cut off."""
        is_cut = text[self.begin] == '"' and not _is_closed(text, self.begin, self.end)
        return Edit(self.begin, self.end, new[:-1] if is_cut and new[-1:] == '"' else new)


@dataclass(frozen=True, slots=True)
class Document:
    """The part of a document that was read, complete if ``is_whole``; the next may begin at ``end``."""

    root: Part
    end: int
    is_whole: bool


def may_hold(text: str) -> bool:
    """Whether the text may contain JSON with names or strings."""
    return '"' in text and (_STRUCTURE.search(text) or _STRING.match(text)) is not None


def next_begin(text: str, position: int) -> int | None:
    """Start of the next document; a string is a document only if the text holds nothing else."""
    if position == 0 and (string := _ONE_STRING.fullmatch(text)):
        return string.start("string")
    match = _STRUCTURE.search(text, position)
    return match.start() if match else None


def is_blank(text: str, begin: int, end: int) -> bool:
    """Whether the span holds only blanks and separators."""
    match = _BLANK.match(text, begin)
    return match is not None and match.end() >= end


def parse(text: str, begin: int) -> tuple[Json, int]:
    """Parses the valid JSON at the position; returns it with its end. Raises ValueError, RecursionError."""
    value, end = _DECODER.raw_decode(text, begin)
    return value, end


def read(text: str, begin: int) -> Document:
    """Reads the value at the position as far as it is valid JSON."""
    reading = _Reading(text, begin)
    while reading.take():
        pass
    reading.cut_off()
    # Where no JSON follows a string, its second quotation mark may be the first of another, and JSON begin before.
    end = reading.at
    if not reading.is_whole and reading.last_string is not None and end < len(text):
        end = reading.last_string + 1
    return Document(reading.root, end, reading.is_whole)


def escapes(text: str, part: Part) -> list[Edit]:
    """The replacements that resolve the escapes in a JSON string."""
    end = part.end - _is_closed(text, part.begin, part.end)
    return list(_escapes(text[part.begin + 1 : end]))


class _Reading:
    """State of reading one value: the open lists and objects."""

    def __init__(self, text: str, begin: int) -> None:
        self.text = text
        self.at = begin
        self.root = Part(None, begin, begin)
        self.is_whole = False
        self._open: list[Part] = []
        self._name: tuple[str, Span] | None = None
        self._wanted = "value"
        self.last_string: int | None = None
        """Start of the last token, if it is a string."""
        self._repeated: dict[int, int] = {}

    def take(self) -> bool:
        """Reads the next token; False at the end of the value or at a token that is not part of it."""
        token = _TOKEN.match(self.text, self.at)
        kind = token.lastgroup if token else None
        if token is None or kind is None:
            return False
        sign = token[kind]
        if kind == "sign":
            return self._sign(token, sign)
        if kind == "close":
            return self._close(token, sign)
        if self._wanted == "name" and kind == "string":
            self._name = self._free(_unescaped(sign)), token.span(kind)
            self._go_on(token, "colon")
            return True
        if self._wanted != "value":
            return False
        value: Json = {"{": {}, "[": []}.get(sign) if kind == "open" else _scalar(sign)
        part = self._add(value, token.span(kind))
        if kind == "open":
            self._open.append(part)
        self._go_on(token, "comma" if kind != "open" else "name" if sign == "{" else "value")
        is_closed = kind != "string" or _is_closed(self.text, *token.span(kind))
        self.is_whole = is_closed and not self._open
        return bool(self._open)

    def cut_off(self) -> None:
        """Closes the open strings, lists and objects at the end of the text that was read."""
        for part in self._open:
            part.end = self.at

    def _go_on(self, token: re.Match[str], wanted: str) -> None:
        self.at, self._wanted = token.end(), wanted
        self.last_string = token.start("string") if token["string"] else None

    def _sign(self, token: re.Match[str], sign: str) -> bool:
        if sign == ":" and self._wanted == "colon":
            self._go_on(token, "value")
            return True
        if sign == "," and self._wanted == "comma" and self._open:
            self._go_on(token, "name" if isinstance(self._open[-1].value, dict) else "value")
            return True
        return False

    def _close(self, token: re.Match[str], sign: str) -> bool:
        if not self._open or self._wanted == "colon" or self._name is not None:
            return False
        if isinstance(self._open[-1].value, dict) != (sign == "}"):
            return False
        self._open.pop().end = token.end()
        self._go_on(token, "comma")
        self.is_whole = not self._open
        return bool(self._open)

    def _free(self, name: str) -> str:
        """The name; for a duplicate in its object, a distinct name that looks the same."""
        inner = self._open[-1].value
        if name not in inner:
            return name
        # Names are compared without what shows nothing.
        number = self._repeated.get(id(inner), 0) + 1
        self._repeated[id(inner)] = number
        return self._free(name + f"{number:b}".translate(_UNSEEN))

    def _add(self, value: Json, span: Span) -> Part:
        part = Part(value, *span)
        if not self._open:
            self.root = part
            return part
        outer = self._open[-1]
        if self._name is None:
            outer.value.append(value)
        else:
            name, part.name = self._name
            outer.value[name] = value
            self._name = None
        outer.parts.append(part)
        return part


def _scalar(token: str) -> Json:
    if token[0] == '"':
        return _unescaped(token)
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    try:
        return _exact_int(token) if token.lstrip("-").isdigit() else Decimal(token)
    except InvalidOperation:
        return token


def _is_closed(text: str, begin: int, end: int) -> bool:
    """Whether the string has its closing quotation mark."""
    if end - begin < 2 or text[end - 1] != '"':
        return False
    inner = text[begin + 1 : end - 1]
    return (len(inner) - len(inner.rstrip("\\"))) % 2 == 0


def _unescaped(token: str) -> str:
    inner = token[1:-1] if _is_closed(token, 0, len(token)) else token[1:]
    return applied(inner, list(_escapes(inner))) if "\\" in inner else inner


def _escapes(inner: str) -> Iterator[Edit]:
    for match in _ESCAPE.finditer(inner):
        if pair := match["pair"]:
            high, low = int(pair[:4], 16), int(pair[-4:], 16)
            new = chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
        elif code := match["code"] or match["byte"]:
            new = chr(int(code, 16))
        elif octal := match["octal"]:
            new = chr(int(octal, 8))
        else:
            new = _SIGNS.get(match["sign"], match["sign"])
        yield Edit(*match.span(), new)


def _exact_int(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _INT_DIGITS else Decimal(digits)


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return parsed


_DECODER = simplejson.JSONDecoder(parse_float=Decimal, parse_int=_exact_int, object_pairs_hook=_no_duplicates)
