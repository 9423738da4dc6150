"""Reads the body of an answer within a bound: one packing (gzip or deflate), bytes counted while it is unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

ACCEPT_ENCODING = "gzip, deflate"
LARGE_BYTES = 2 << 20
"""Beyond this a body is held only in its turn: few may be held at a time."""

_PIECE_BYTES = 1 << 20
"""How much is unpacked at once, whatever a piece holds."""
_GZIP = ("gzip", "x-gzip")
_GZIP_MAGIC = b"\x1f\x8b"
_PLAIN = ("", "identity")


class TooLarge(Exception):
    """A body is larger than the bound, packed or unpacked."""


class UnpackError(Exception):
    """A body cannot be unpacked; the text says why, and holds nothing of the body."""


class Meter:
    """Counts bytes: calls ``when_large`` once beyond LARGE_BYTES, and raises TooLarge beyond ``max_bytes``."""

    def __init__(self, max_bytes: int, when_large: Callable[[], None]) -> None:
        self._max_bytes = max_bytes
        self._when_large: Callable[[], None] | None = when_large
        self._bytes = 0

    def count(self, size: int) -> None:
        """So many more bytes came."""
        self._bytes += size
        if self._bytes > self._max_bytes:
            raise TooLarge
        if self._bytes > LARGE_BYTES and self._when_large is not None:
            when_large, self._when_large = self._when_large, None
            when_large()


def read_body(
    encoding: str, pieces: Iterable[bytes], *, max_bytes: int, when_large: Callable[[], None]
) -> bytes:
    """The unpacked body that comes in those pieces; ``encoding`` is the answer's ``Content-Encoding``.

    ``when_large`` is called once, before more than LARGE_BYTES are held.
    https://www.rfc-editor.org/rfc/rfc9110#field.content-encoding

    Raises:
        TooLarge: as soon as more than ``max_bytes`` have come, or more than that have been unpacked.
        UnpackError: the packing is another one, there is more than one, or the body is not packed so.
    """
    name = encoding.strip().lower()
    counted = _counted(pieces, Meter(max_bytes, when_large))
    if name in _PLAIN:
        return b"".join(counted)
    if name not in (*_GZIP, "deflate"):
        raise UnpackError(f"an answer packed as {name[:40]!r}: one of {ACCEPT_ENCODING} was asked for, once")
    try:
        return b"".join(_counted(_unpacked(name, counted), Meter(max_bytes, when_large)))
    except zlib.error:
        raise UnpackError("an answer that could not be unpacked") from None


def _counted(pieces: Iterable[bytes], meter: Meter) -> Iterator[bytes]:
    for piece in pieces:
        meter.count(len(piece))
        yield piece


def _unpacked(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The unpacked pieces of one member after the other. Raises zlib.error, also when the last one is cut off."""
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
            yield unpacker.decompress(waiting, _PIECE_BYTES)
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
