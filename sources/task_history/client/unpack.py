"""Reads the body of an answer within a bound: one packing (gzip or deflate), bytes counted while it is unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

ACCEPT_ENCODING = "gzip, deflate"

_GZIP = ("gzip", "x-gzip")
_GZIP_MAGIC = b"\x1f\x8b"
_PLAIN = ("", "identity")


class TooLarge(Exception):
    """A body is larger than the bound, packed or unpacked."""


class UnpackError(Exception):
    """A body cannot be unpacked; the text says why, and holds nothing of the body."""


def read_body(encoding: str, pieces: Iterable[bytes], *, max_bytes: int) -> bytes:
    """The unpacked body that comes in those pieces; ``encoding`` is the answer's ``Content-Encoding``.

    https://www.rfc-editor.org/rfc/rfc9110#field.content-encoding

    Raises:
        TooLarge: as soon as more than ``max_bytes`` have come, or more than that have been unpacked.
        UnpackError: the packing is another one, there is more than one, or the body is not packed so.
    """
    name = encoding.strip().lower()
    bounded = _bounded(pieces, max_bytes)
    if name in _PLAIN:
        return b"".join(bounded)
    if name not in (*_GZIP, "deflate"):
        raise UnpackError(f"an answer packed as {name[:40]!r}: one of {ACCEPT_ENCODING} was asked for, once")
    try:
        return b"".join(_unpacked(name, bounded, max_bytes))
    except zlib.error:
        raise UnpackError("an answer that could not be unpacked") from None


def _bounded(pieces: Iterable[bytes], max_bytes: int) -> Iterable[bytes]:
    left = max_bytes
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise TooLarge
        yield piece


def _unpacked(name: str, pieces: Iterable[bytes], max_bytes: int) -> Iterable[bytes]:
    """The unpacked pieces of one member after the other. Raises zlib.error, also when the last one is cut off."""
    left = max_bytes
    unpacker, waiting, is_first = None, b"", True
    for piece in pieces:
        waiting += piece
        while waiting:
            if unpacker is None:
                # What follows the last member and begins none is left unread.
                if not is_first and waiting[:2] != _GZIP_MAGIC[: len(waiting)]:
                    return
                if len(waiting) < 2:
                    break  # two bytes show which format it is
                unpacker, is_first = zlib.decompressobj(_window_bits(name, waiting)), False
            unpacked = unpacker.decompress(waiting, left + 1)
            left -= len(unpacked)
            if left < 0:
                raise TooLarge
            yield unpacked
            waiting = unpacker.unconsumed_tail
            if unpacker.eof:
                waiting, unpacker = unpacker.unused_data, None
    if unpacker is not None or waiting:
        raise zlib.error


def _window_bits(name: str, start: bytes) -> int:
    if name in _GZIP or start[:2] == _GZIP_MAGIC:
        return 16 + zlib.MAX_WBITS
    # Some servers take "deflate" for the format without zlib's header.
    has_header = start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
