"""Parsing of the JSON that vendors send: exact numbers, repaired text, bounded depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import accumulate, islice

import orjson

from .cutting import cut_note
from .models import Json

MAX_DEPTH = 100
"""Maximum levels of lists and objects in an answer; deeper values are kept as text."""
_MAX_DEEP_CHARS = 1_000
"""Maximum characters of a value that is kept as text because of its depth."""
_INT_DIGITS = 4_300
"""Python converts no longer digits to int; they stay exact as Decimal."""
_LONE_SURROGATE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
_NOT_SYNTAX = bytes(byte for byte in range(256) if byte not in b'[]{}"\\')
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = bytes({91: 1, 123: 1, 93: 255, 125: 255}.get(byte, 0) for byte in range(256))
"""1 for a bracket that opens, -1 for one that closes, as signed bytes."""
_CHUNK_BYTES = 1 << 16


class SentNumber(Decimal):
    """A number whose text a float does not reproduce: 1.50, 1e5, 1e999999999."""

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: str) -> SentNumber:
        number = super().__new__(cls, text)
        number._text = text
        return number

    def __str__(self) -> str:
        return self._text


def parse(body: bytes) -> Json:
    """The JSON in ``body``; numbers stay exact. Raises ValueError, RecursionError.

    Broken UTF-8 and halves of surrogate pairs, which JavaScript writes and no table takes, become U+FFFD:
    one bad character in one row is no reason to lose a page. NaN and the infinities, which are no JSON and which
    Python writes, become texts.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if "\\u" in text:
        text = _LONE_SURROGATE.sub(_whole_escape, text)
    return parse_text(text)


def parse_text(text: str) -> Json:
    """The JSON in the text, which stays as it is, halves of surrogate pairs too. Raises ValueError, RecursionError."""
    return _DECODER.decode(text)


def exact_int(digits: str) -> int | Decimal:
    """The integer, however many digits it has."""
    return int(digits) if len(digits) <= _INT_DIGITS else SentNumber(digits)


def _exact_float(text: str) -> float | SentNumber | str:
    number = float(text)
    if orjson.dumps(number) == text.encode():
        return number
    try:
        return SentNumber(text)
    except InvalidOperation:
        return text  # an exponent beyond those of Decimal


_DECODER = json.JSONDecoder(parse_int=exact_int, parse_float=_exact_float, parse_constant=str)


def _whole_escape(escape: re.Match[str]) -> str:
    text = escape[0]
    is_half = len(text) == 6 and text[2] in "dD" and text[3] in "89abAB" + "cdefCDEF"
    return r"\ufffd" if is_half else text


def shallow(body: bytes) -> bytes:
    """The JSON with values deeper than ``MAX_DEPTH`` levels as shortened text; the same object if there are none.

    Readers of JSON call themselves for each level: Arrow's ends the process at some ten thousand.
    """
    return body if _is_shallow(body) else _with_deep_as_text(body)


def _is_shallow(body: bytes) -> bool:
    # Two pairs of quotes at once: most of a page is names and texts in a row.
    brackets = body.translate(None, _NOT_SYNTAX).replace(b'""' * 2, b"").replace(b'""', b"")
    if b'"' in brackets or b"\\" in brackets:
        # Strings hold brackets or quotes: they are taken out by a closer, slower look.
        outside = (b"".join(pieces[is_inside::2]) for pieces, is_inside in _split_at_quotes(body))
        brackets = b"".join(outside).translate(None, _NOT_BRACKETS)
    # Without the innermost lists and objects, which are most of a page, it is two levels less deep at most.
    rest = brackets
    for levels in range(0, 8, 2):
        if len(rest) + levels <= MAX_DEPTH:
            return True
        rest = rest.replace(b"{}", b"").replace(b"[]", b"")
    return b"\1" not in _deep_marks(_chunks(brackets))


def _deep_marks(chunks: Iterable[bytes]) -> bytes:
    """For each byte of a text without strings 1 where it is too deep, as an opening bracket is from ``MAX_DEPTH`` on."""
    depth = 0
    marks = []
    for chunk in chunks:
        steps = chunk.translate(_STEPS)
        opened, closed = steps.count(b"\x01"), steps.count(b"\xff")
        if depth + opened <= MAX_DEPTH or depth - closed > MAX_DEPTH:
            marks.append(bytes([depth > MAX_DEPTH]) * len(chunk))
        else:
            depths = accumulate(memoryview(steps).cast("b"), initial=depth)
            marks.append(bytes(map(MAX_DEPTH.__lt__, islice(depths, 1, None))))
        depth += opened - closed
    return b"".join(marks)


def _without_strings(body: bytes) -> Iterator[bytes]:
    """The text in chunks, with zeros for what strings hold."""
    for pieces, is_inside in _split_at_quotes(body):
        for index in range(not is_inside, len(pieces), 2):
            pieces[index] = bytes(len(pieces[index]))
        yield b'"'.join(pieces)


def _split_at_quotes(body: bytes) -> Iterator[tuple[list[bytes], bool]]:
    """The pieces outside and inside JSON strings, alternating, and whether the first of them is inside; chunk by chunk.

    A piece for each of millions of strings would take more memory than the text. Escape sequences are zeros.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"\0\0").replace(b'\\"', b"\0\0")
    is_inside = False
    for chunk in _chunks(body):
        pieces = chunk.split(b'"')
        is_next_inside = is_inside ^ (len(pieces) % 2 == 0)
        yield pieces, is_inside
        is_inside = is_next_inside


def _chunks(text: bytes) -> Iterator[bytes]:
    return (text[begin : begin + _CHUNK_BYTES] for begin in range(0, len(text), _CHUNK_BYTES))


def around_strings(body: bytes) -> list[bytes]:
    """The pieces of the text outside and inside JSON strings, alternating, without escape sequences."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return body.split(b'"')


def _with_deep_as_text(body: bytes) -> bytes:
    parts: list[bytes] = []
    marks = _deep_marks(_without_strings(body))
    end = 0
    while (begin := marks.find(1, end)) >= 0:
        parts.append(body[end:begin])
        # Its last bracket is as deep as what is around it.
        end = marks.find(0, begin) + 1
        if end == 0:
            # Where the end is missing it is no JSON, and must not be read as deep as it goes.
            return b"".join(parts)
        parts.append(_as_cut_string(body[begin:end]))
    return b"".join([*parts, body[end:]])


def _as_cut_string(raw: bytes) -> bytes:
    text = raw.decode(errors="replace")
    if len(text) > _MAX_DEEP_CHARS:
        text = text[:_MAX_DEEP_CHARS] + cut_note(len(text) - _MAX_DEEP_CHARS)
    return json.dumps(text).encode()
