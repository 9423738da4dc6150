"""Reads the body of an answer within a bound: one packing (gzip or deflate), bytes counted while it is unpacked.

A large body waits for its turn in an unnamed temporary file, read to its end: a vendor waits only so long for a client
that does not read.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from io import FileIO

ACCEPT_ENCODING = "gzip, deflate"
LARGE_BYTES = 2 << 20
"""Beyond this a body is held in memory only in its turn: few may be held at a time."""

_PIECE_BYTES = 1 << 20
"""The most bytes that are unpacked at once."""
_GZIP = ("gzip", "x-gzip")
_GZIP_MAGIC = b"\x1f\x8b"
_PLAIN = ("", "identity")


class TooLarge(Exception):
    """A body is larger than the bound, packed or unpacked."""


class UnpackError(Exception):
    """A body cannot be unpacked; the text says why, and holds nothing of the body."""


class _Turn:
    """Calls ``when_large``, once."""

    def __init__(self, when_large: Callable[[], None]) -> None:
        self._when_large = when_large
        self.is_over = False

    def wait(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._when_large()


def read_body(
    encoding: str, pieces: Iterable[bytes], *, max_bytes: int, when_large: Callable[[], None]
) -> bytes:
    """The unpacked body that comes in those pieces; ``encoding`` is the answer's ``Content-Encoding``.

    ``when_large`` is called once, before more than LARGE_BYTES are held in memory: after all pieces came, or earlier
    where there is no room for a temporary file.
    https://www.rfc-editor.org/rfc/rfc9110#field.content-encoding

    Raises:
        TooLarge: as soon as more than ``max_bytes`` have come, or more than that have been unpacked.
        UnpackError: the packing is another one, there is more than one, or the body is not packed so.
    """
    name = encoding.strip().lower()
    if name not in (*_PLAIN, *_GZIP, "deflate"):
        raise UnpackError(f"an answer packed as {name[:40]!r}: one of {ACCEPT_ENCODING} was asked for, once")
    turn = _Turn(when_large)
    received = _received(pieces, max_bytes, turn)
    held: list[bytes] = []
    size = 0
    try:
        for piece in received if name in _PLAIN else _unpacked(name, received):
            size += len(piece)
            if size > max_bytes:
                raise TooLarge
            if size > LARGE_BYTES:
                turn.wait()
            held.append(piece)
    except zlib.error:
        raise UnpackError("an answer that could not be unpacked") from None
    return b"".join(held)


def _received(pieces: Iterable[bytes], max_bytes: int, turn: _Turn) -> Iterator[bytes]:
    """The pieces, once all have come. Raises TooLarge."""
    held: list[bytes] = []
    file: FileIO | None = None
    size = 0
    with ExitStack() as stack:
        for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise TooLarge
            held.append(piece)
            if size > LARGE_BYTES and not turn.is_over:
                try:
                    file = file or stack.enter_context(tempfile.TemporaryFile(buffering=0))
                    _move(held, file)
                except OSError:
                    turn.wait()
        if file is not None:
            file.seek(0)
            yield from iter(partial(file.read, _PIECE_BYTES), b"")
        yield from held


def _move(pieces: list[bytes], file: FileIO) -> None:
    """Moves the pieces to the end of the file. Raises OSError where it has no room: the others stay."""
    while pieces:
        end = file.tell()
        if file.write(pieces[0]) != len(pieces[0]):
            file.truncate(end)
            raise OSError("no room")
        del pieces[0]


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
