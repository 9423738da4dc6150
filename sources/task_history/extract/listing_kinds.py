"""Which class reads which kind of listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.models import Sender
from ..systems.common_settings import SystemSettings
from ..systems.protocol import System
from .counted_window import Pages
from .evidence import PageLengths
from .full_scan import FullScan
from .listing import ROWS_PER_PIECE, WindowReader
from .seen_order import SeenOrder
from .sorted_listing import SortedListing
from .unsorted_listing import UnsortedListing

_MAX_ROWS_PER_PIECE = 12_500


def rows_per_piece(rows_per_commit: int) -> int:
    """How many rows a piece has where a commit has so many: few large ones wait less for the vendor's next count."""
    return min(_MAX_ROWS_PER_PIECE, max(ROWS_PER_PIECE, rows_per_commit))


class Readers:
    """Makes the readers of a system's partitions; they share what they learn of its pages.

    ``rows_per_piece`` holds for listings that are filtered by time; a full scan gives pieces of its own size.
    """

    def __init__(
        self, sender: Sender, system: System, values: SystemSettings, *, rows_per_piece: int = ROWS_PER_PIECE
    ) -> None:
        self._sender = sender
        self._system = system
        self._values = values
        self._rows_per_piece = rows_per_piece
        self._lengths = PageLengths()
        self._order = SeenOrder()

    def of(self, filters: Mapping[str, Any]) -> WindowReader:
        """The reader of the partition that these filters name."""
        pages, kind = (
            Pages(self._sender, self._system, self._values, filters=filters),
            self._system.listing.kind,
        )
        if kind == "sorted":
            return SortedListing(pages, rows_per_piece=self._rows_per_piece)
        if kind == "unsorted":
            return UnsortedListing(
                pages, lengths=self._lengths, order=self._order, rows_per_piece=self._rows_per_piece
            )
        return FullScan(pages, lengths=self._lengths, order=self._order)
