"""Decodes texts within text: base64, hexadecimal, gzip, and escapes of URLs, HTML and JSON, with positions."""

from __future__ import annotations

import binascii
import re
import zlib
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator

from .edits import Edit, Span
from .expressions import expression
from .folding import ESCAPED, unescaped

MIN_CHARS = 24
"""Minimum characters of a run that is decoded."""
_SAMPLE_CHARS = 64
"""Characters that are decoded first: most runs hold no text."""
_UNPACKED_BYTES = 1 << 20
_RUN = expression(r"[A-Za-z0-9+/_-]{24,}+(?:\r?\n[A-Za-z0-9+/_-]{16,}+)*+={0,2}")
_HEX = expression(r"(?:0x|\\x)?(?:[0-9a-fA-F]{2})+")
_SPACED_HEX = expression(
    r"\s*[0-9a-fA-F]{2}(?P<sign>[ :])(?:[0-9a-fA-F]{2}(?P=sign)){8,20000}[0-9a-fA-F]{2}\s*"
)
_ENTITY = expression(r"&(?:amp;){0,3}(?P<name>quot|apos|lt|gt|amp|equals|colon);")
_ENTITIES = {"quot": '"', "apos": "'", "lt": "<", "gt": ">", "amp": "&", "equals": "=", "colon": ":"}
_PLUS = expression(r"(?<=%[0-9A-Fa-f]{2})\+|\+(?=%)")
_PERCENT = expression("%(?:25){0,3}(?=[89A-Fa-f])")
_HIGH_BYTES = expression(r"(?:%(?:25){0,3}[89A-Fa-f][0-9A-Fa-f])+")
_ESCAPED_BACKSLASH = expression(r"%(?:25){0,3}5[cC]|&(?:amp;){0,3}#(?:92|x5[cC]);")
_SMTP_LOGIN = re.compile(rb"[^\x00]{0,200}\x00[\x20-\x7e]{1,200}\x00[\x20-\x7e]{1,200}")
"""https://www.rfc-editor.org/rfc/rfc4616"""


def may_be_escaped_again(text: str) -> bool:
    """Whether escapes may stand within escapes, or letters of other alphabets be escaped byte by byte."""
    return _HIGH_BYTES.search(text) is not None or _ESCAPED_BACKSLASH.search(text) is not None


def unescapes(text: str) -> list[Edit]:
    """The replacements that resolve the escapes of URLs, HTML and JSON in a text."""
    edits = [Edit(*match.span(), unescaped(match)) for match in ESCAPED.finditer(text)]
    if "&" in text:
        edits += (Edit(*match.span(), _ENTITIES[match["name"]]) for match in _ENTITY.finditer(text))
    if "%" in text:
        edits += (Edit(*match.span(), " ") for match in _PLUS.finditer(text))
        for match in _HIGH_BYTES.finditer(text):
            try:
                letters = bytes.fromhex(_PERCENT.sub("", match[0])).decode()
            except ValueError:
                continue
            edits.append(Edit(*match.span(), letters))
    return sorted(edits)


def encoded_runs(text: str) -> Iterator[tuple[Span, str]]:
    """Runs of base64 or hexadecimal digits that are text, with that text; a login of SMTP as ``password: …``."""
    for match in _RUN.finditer(text):
        run = match[0]
        start = match.start()
        for piece in (run, run.rpartition("/")[2], run[1:] if run[0] == "x" else ""):
            if len(piece) >= MIN_CHARS and (decoded := _text_of(piece)) is not None:
                begin = start + len(run) - len(piece)
                yield (begin, match.end()), decoded
                break


def spaced_hex(text: str) -> str | None:
    """The text that hexadecimal digits with blanks or colons between them encode; None for any other text."""
    match = _SPACED_HEX.fullmatch(text)
    return _readable(bytes.fromhex(text.replace(match["sign"], ""))) if match else None


def is_encoded_text(run: str) -> bool:
    """Whether a run of base64 or hexadecimal digits is text."""
    return _text_of(run) is not None


def _text_of(run: str) -> str | None:
    if len(run) % 2 == 0 and _HEX.fullmatch(run):
        first = bytes.fromhex(run[: _SAMPLE_CHARS // 2].removeprefix("0x"))
        if not (_is_packed(first) or _is_text(first) or _is_utf16(first)):
            return None
        return _readable(bytes.fromhex(run.removeprefix("0x")))
    sample = _from_base64(run[:_SAMPLE_CHARS])
    if sample is None or not (
        _is_packed(sample) or _is_text(sample[:-4]) or sample[:1] == b"\0" or _is_utf16(sample)
    ):
        return None
    data = _from_base64(run)
    return None if data is None else _readable(data)


def _from_base64(run: str) -> bytes | None:
    run = run.rstrip("=").replace("\r", "").replace("\n", "")
    run = run[: len(run) - (len(run) % 4 == 1)]
    decode = urlsafe_b64decode if "-" in run or "_" in run else b64decode
    try:
        return decode(run + "=" * (-len(run) % 4))
    except (ValueError, binascii.Error):
        return None


def _is_packed(data: bytes) -> bool:
    return data[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda", b"\x78\x5e")


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return not data.translate(None, _PRINTABLE)
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError as error:
        return error.start > len(data) - 4 and error.start > 8 and data[: error.start].decode().isprintable()


def _is_utf16(data: bytes) -> bool:
    """Whether bytes are ASCII letters in UTF-16, as PowerShell encodes commands."""
    return len(data) > 8 and not data[1::2].strip(b"\0") and not data[::2].translate(None, _PRINTABLE)


_PRINTABLE = bytes([9, 10, 13, *range(32, 127)])


def _readable(data: bytes) -> str | None:
    """The text in the bytes, unpacked; None where they are no text."""
    if _is_packed(data):
        try:
            data = zlib.decompressobj(wbits=47).decompress(data, _UNPACKED_BYTES)
        except zlib.error:
            return None
    if _is_utf16(data[:_SAMPLE_CHARS]):
        return data.decode("utf-16-le", "ignore")
    if _SMTP_LOGIN.fullmatch(data):
        secret = data.rpartition(b"\0")[2].decode()
        return f'password: "{secret}"'
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if not data.translate(None, _PRINTABLE) or any(map(str.isalpha, text)) else None
