"""How deep a listing may be read, and how many rows a piece has: vendors refuse large offsets, or leave pages empty."""

from __future__ import annotations

from ..core.errors import Rejected
from ..core.log import log

MAX_ROWS_FACTOR = 1.7
"""A piece may hold this many times the rows that it is to have."""


def refused_depth(error: Exception | None, offset: int) -> bool:
    """Whether the vendor refuses to go as deep as that offset."""
    return isinstance(error, Rejected) and error.status in (400, 413, 414, 416, 422) and offset > 0


class PieceSize:
    """How many rows a piece has, as deep as the vendor lets its listing be read."""

    def __init__(self, rows_per_piece: int) -> None:
        self._rows_per_piece = rows_per_piece
        self._refused: int | None = None
        """The smallest offset that the vendor refused."""
        self._empty: int | None = None
        """The offset from which on pages came empty; more is tried after each piece that came whole."""

    @property
    def rows(self) -> int:
        """How many rows a piece has."""
        depths = [int(depth / MAX_ROWS_FACTOR) for depth in (self._refused, self._empty) if depth is not None]
        return max(1, min([self._rows_per_piece, *depths]))

    def is_refused(self, error: Exception | None, offset: int) -> bool:
        """Whether the vendor refused that offset, so that smaller pieces help."""
        if not refused_depth(error, offset):
            return False
        log.info("listing_depth_refused", offset=offset)
        self._refused = offset if self._refused is None else min(self._refused, offset)
        return True

    def note_empty_page(self, offset: int) -> None:
        """Pages from that offset on came empty behind rows: smaller pieces may help."""
        log.warning("pages_came_empty", offset=offset)
        self._empty = max(1, offset)

    def note_complete_piece(self) -> None:
        """A piece was read to its end: the next may be larger again."""
        if self._empty is not None:
            self._empty = self._empty * 2 if self._empty < self._rows_per_piece else None
