"""The protocol of all kinds of listing: reads the executions of one partition, such as an integration, in windows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ..core.errors import Rejected
from ..core.models import Row, Window
from ..systems.protocol import System
from ..warehouse.verified_days import Completeness
from .counted_window import Pages
from .evidence import unverified
from .listed_rows import Rows
from .lookback import LastSync
from .window_comparison import Comparison, CountedExecutions, StoredExecutions

VendorNow = Callable[[], datetime]
"""Now, by the vendor's clock as far as it is known."""

ROWS_PER_PIECE = 10_000
"""About how many executions a piece holds."""
AHEAD = timedelta(days=400)
"""How far beyond now a window may reach: the vendor's clock may differ from ours."""


@dataclass(frozen=True, slots=True)
class ListedWindow:
    """All executions that started in ``window``."""

    window: Window
    rows: Rows
    """Oldest first, each id once."""
    total: int | None
    """How many of the rows the vendor's count confirms; None where the evidence is no count."""
    completeness: Completeness
    """The evidence that they are all, or the reasons against it."""
    order: str | None = None
    """newest_first, or none where rows came otherwise; None where the vendor filters by time."""
    outside: Sequence[Row] = ()
    """Rows that stood in the answers, began in windows that were loaded before, and are not stored, or stored as open."""

    @property
    def is_verified(self) -> bool:
        """Whether the rows are verified to be complete."""
        return self.completeness.is_verified


@dataclass(frozen=True, slots=True)
class ComparedWindow:
    """A window that was loaded before, compared again."""

    comparison: Comparison
    window: Window
    counts_rejected: bool = False
    """Whether rejected rows that are known were counted as stored: they need not have been read again."""

    @property
    def completeness(self) -> Completeness:
        """On which evidence the window is complete now."""
        if self.comparison.is_verified:
            return self.comparison.evidence
        return unverified("a comparison left differences unexplained")


class NewestExecutions(StoredExecutions, Protocol):
    """What is stored of a partition's executions."""

    def newest_start(self) -> datetime | None:
        """When the newest of them began."""
        ...

    def unsettled(self, starts: Mapping[str, datetime | None]) -> set[str]:
        """Those of the ids that are not stored, or whose executions are stored as open."""
        ...


class StoredAndRejected:
    """What is stored of a listing, with the rejected rows that are known of it: the vendor counts both."""

    def __init__(self, stored: NewestExecutions, rejected: Iterable[datetime]) -> None:
        self._stored = stored
        self._rejected = sorted(rejected)

    def count(self, window: Window) -> int:
        """How many began in the window."""
        number = bisect_left(self._rejected, window.end) - bisect_left(self._rejected, window.start)
        return self._stored.count(window) + number

    def ids(self, window: Window) -> set[str]:
        """Which began in the window, of those that have ids."""
        return self._stored.ids(window)

    def newest_start(self) -> datetime | None:
        """When the newest of those began that have ids."""
        return self._stored.newest_start()

    def unsettled(self, starts: Mapping[str, datetime | None]) -> set[str]:
        """Those of the executions, by id with their start, that are not stored, or are stored as open."""
        return self._stored.unsettled(starts)


class WindowReader(Protocol):
    """Reads the executions of one partition in windows.

    Raises, while pieces are drawn: what the client raises, UnexpectedResponse and PaginationLoop; what was read
    before comes as pieces first.
    """

    @property
    def system(self) -> System:
        """Whose executions these are."""
        ...

    @property
    def pages(self) -> Pages:
        """Single pages of the same listing."""
        ...

    @property
    def rest_rows(self) -> int | None:
        """How many rows of what is being read are still to come, where the vendor counts them."""
        ...

    def pieces(
        self, window: Window, *, in_columns: bool = False, stored: StoredExecutions | None = None
    ) -> Iterator[ListedWindow]:
        """The window in pieces.

        ``in_columns`` says that pages may be asked for ahead and read in columns; ``stored`` are the partition's rows.
        """
        ...

    def incremental(
        self, since: LastSync, stored: NewestExecutions, *, edge: VendorNow
    ) -> Iterator[ListedWindow | ComparedWindow]:
        """What is new or late since the last sync, up to the edge."""
        ...

    def compare(self, window: Window, stored: StoredExecutions) -> Comparison:
        """Where the vendor's rows of the window differ from those stored."""
        ...

    def audit(self, window: Window, stored: CountedExecutions, *, positions: Sequence[float]) -> Comparison:
        """The same, and in as few requests as is safe where the copy may be equal."""
        ...

    def elapsed_part(self, piece: ListedWindow, edge: datetime) -> Window:
        """The part of the piece's window that is over by then: later rows may still come."""
        ...


def compared_whole(reader: WindowReader, window: Window, stored: StoredExecutions) -> Comparison:
    """Where the vendor's rows of the window differ from those stored; all of them are read for it."""
    comparison = Comparison()
    for piece in reader.pieces(window):
        comparison.add_whole(reader.system, piece.window, piece.rows, stored, piece.completeness)
        if not piece.is_verified:
            comparison.unverified.append(piece.window)
    return comparison


def rows_in(reader: WindowReader, window: Window) -> tuple[list[Row], bool]:
    """The rows that a listing shows of a window, and whether these are verified to be all.

    None, and not all, where the vendor refuses the listing.
    """
    try:
        pieces = list(reader.pieces(window))
    except Rejected:
        return [], False
    return [row for piece in pieces for row in piece.rows], all(piece.is_verified for piece in pieces)
