"""Rows of a listing in one container: in columns where Arrow read their page, one by one where the page is odd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast, overload

from ..core.intervals import is_ascending
from ..core.models import Json, Row, Window
from ..systems.protocol import System

if TYPE_CHECKING:
    from .columnar import ColumnarRows


class PageRows(Protocol):
    """Rows that were read alike."""

    is_columnar: ClassVar[bool]
    """Whether they are in columns."""

    def __len__(self) -> int: ...

    @property
    def ids(self) -> Sequence[str]:
        """The ids, in order."""
        ...

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last of them began; None where it is not known of any."""
        ...

    @property
    def is_sorted(self) -> bool:
        """Whether it is known of all of them when they began, and none began before one that stands before it."""
        ...

    def rows(self) -> Sequence[Row]:
        """The rows as the vendor sent them."""
        ...

    def within(self, window: Window) -> PageRows:
        """Those that began in the window; those of which it is not known stay too."""
        ...

    def followed_by(self, part: PageRows) -> PageRows | None:
        """Both as one part; None where they are not alike."""
        ...

    def values(self, key: str) -> Iterable[Json]:
        """The different values under the key."""
        ...


class RowByRow:
    """Rows that were read one by one."""

    is_columnar: ClassVar[bool] = False

    def __init__(
        self, system: System, given: Sequence[Row], starts: Sequence[datetime | None] | None = None
    ) -> None:
        self._system = system
        self._given = given
        self._known_starts = starts

    def __len__(self) -> int:
        return len(self._given)

    @property
    def ids(self) -> list[str]:
        return list(map(self._system.identity, self._given))

    @property
    def _starts(self) -> Sequence[datetime | None]:
        if self._known_starts is None:
            self._known_starts = list(map(self._system.started_at, self._given))
        return self._known_starts

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        starts = [at for at in self._starts if at is not None]
        return (min(starts), max(starts)) if starts else None

    @property
    def is_sorted(self) -> bool:
        return None not in self._starts and is_ascending(self._starts)

    def rows(self) -> Sequence[Row]:
        return self._given

    def within(self, window: Window) -> RowByRow:
        starts = self._starts
        if all(at is None or at in window for at in starts):
            return self
        kept = [position for position, at in enumerate(starts) if at is None or at in window]
        return RowByRow(
            self._system,
            [self._given[position] for position in kept],
            [starts[position] for position in kept],
        )

    def followed_by(self, part: PageRows) -> RowByRow | None:
        if not isinstance(part, RowByRow):
            return None
        return RowByRow(self._system, [*self._given, *part.rows()])

    def values(self, key: str) -> list[Json]:
        return list(dict.fromkeys(value for row in self._given if isinstance(value := row.get(key), str)))


class Rows(Sequence[Row]):
    """Rows of a listing; what reads them row by row gets them as the vendor sent them."""

    def __init__(self, parts: Iterable[PageRows] = ()) -> None:
        self.parts: list[PageRows] = []
        for part in parts:
            joined = self.parts[-1].followed_by(part) if self.parts else None
            if joined is not None:
                self.parts[-1] = joined
            elif len(part):
                self.parts.append(part)
        self._size = sum(map(len, self.parts))
        self._all: list[Row] | None = None
        self._is_distinct = False
        """Whether it is known that no id occurs twice."""

    @classmethod
    def of(cls, system: System, rows: Iterable[Row]) -> Rows:
        """Rows that were read one by one, or those of the container itself."""
        return rows if isinstance(rows, Rows) else cls([RowByRow(system, list(rows))])

    @classmethod
    def joined(cls, system: System, several: Iterable[Iterable[Row]]) -> Rows:
        """All of these, in this order."""
        filled = [rows for rows in (cls.of(system, rows) for rows in several) if rows.parts]
        return filled[0] if len(filled) == 1 else cls(part for rows in filled for part in rows.parts)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Row]:
        if self._all is None:
            self._all = [row for part in self.parts for row in part.rows()]
        return iter(self._all)

    @overload
    def __getitem__(self, position: int) -> Row: ...
    @overload
    def __getitem__(self, position: slice) -> list[Row]: ...
    def __getitem__(self, position: int | slice) -> Any:
        iter(self)
        return cast("list[Row]", self._all)[position]

    @property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return list(chain.from_iterable(part.ids for part in self.parts))

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last of them began; None where it is not known of any."""
        spans = [span for part in self.parts if (span := part.span) is not None]
        return (min(map(itemgetter(0), spans)), max(map(itemgetter(1), spans))) if spans else None

    def distinct(self, system: System) -> Rows:
        """Each id once, in the version that came last."""
        if self._is_distinct:
            return self
        ids = self.ids
        if len(set(ids)) < len(ids):
            return Rows.of(system, dict(zip(ids, self, strict=True)).values())
        self._is_distinct = True
        return self

    def within(self, system: System, window: Window) -> Rows:
        """Those that began in the window, oldest first; those of which it is not known stay too."""
        kept = Rows(part.within(window) for part in self.parts)
        kept._is_distinct = self._is_distinct
        if kept._is_sorted:
            return kept
        starts = [system.started_at(row) or window.start for row in kept]
        in_order = sorted(zip(starts, kept, strict=True), key=itemgetter(0))
        return Rows.of(system, [row for _, row in in_order])

    @property
    def _is_sorted(self) -> bool:
        if not all(part.is_sorted for part in self.parts):
            return False
        spans = [part.span for part in self.parts]
        return all(one[1] <= two[0] for one, two in pairwise(span for span in spans if span is not None))

    def values(self, key: str) -> list[Json]:
        """The different texts under the key."""
        return list(dict.fromkeys(chain.from_iterable(part.values(key) for part in self.parts)))

    def split(self, *, in_columns: bool) -> tuple[list[ColumnarRows], list[Row]]:
        """Those in columns, where these are wanted, and the others row by row."""
        if not in_columns or not any(part.is_columnar for part in self.parts):
            return [], list(self)
        from .columnar import ColumnarRows, merged

        columnar = merged(part for part in self.parts if isinstance(part, ColumnarRows))
        return columnar, [row for part in self.parts if not part.is_columnar for row in part.rows()]
