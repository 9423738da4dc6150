"""Parsing of the JSON that vendors send: exact numbers, repaired text, bounded depth."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from itertools import accumulate

import orjson

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
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)


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
    return json.loads(text, parse_int=exact_int, parse_float=_exact_float, parse_constant=str)


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
    brackets = body.translate(None, _NOT_SYNTAX).replace(b'""', b"")
    if b'"' in brackets or b"\\" in brackets:
        # Strings hold brackets or quotes: they are taken out by a closer, slower look.
        brackets = b"".join(around_strings(body)[::2]).translate(None, _NOT_BRACKETS)
    # Without the innermost objects, which are most of a page, it is one level less deep at most.
    if len(brackets.replace(b"{}", b"")) < MAX_DEPTH:
        return True
    return max(accumulate(1 if byte in b"[{" else -1 for byte in brackets)) <= MAX_DEPTH


def around_strings(body: bytes) -> list[bytes]:
    """The pieces of the text outside and inside JSON strings, alternating, without escape sequences."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return body.split(b'"')


def _with_deep_as_text(body: bytes) -> bytes:
    parts: list[bytes] = []
    depth = kept_until = begin = 0
    for token in _TOKEN.finditer(body):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == MAX_DEPTH + 1:
                begin = token.start()
        elif token[0] in (b"]", b"}"):
            if depth == MAX_DEPTH + 1:
                parts += [body[kept_until:begin], _as_cut_string(body[begin : token.end()])]
                kept_until = token.end()
            depth -= 1
        elif token[0] == b'"':
            break  # a string without an end
    # Where the end is missing it is no JSON, and must not be read as deep as it goes.
    return b"".join([*parts, body[kept_until : begin if depth > MAX_DEPTH else None]])


def _as_cut_string(raw: bytes) -> bytes:
    text = raw.decode(errors="replace")
    if len(text) > _MAX_DEEP_CHARS:
        text = f"{text[:_MAX_DEEP_CHARS]}…[cut {len(text) - _MAX_DEEP_CHARS} characters]"
    return json.dumps(text).encode()
