"""Queries for executions that began lately, by one for many questions where each is billed, and for single ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ..core.models import Row, Window
from .backlog_queries import BacklogQueries
from .dataset import utc
from .query_cache import QueryCache
from .recent_executions import COLUMNS, RecentExecutions
from .table_names import EVER

MAX_IDS_PER_QUERY = 500


class RecentQueries(BacklogQueries):
    """Queries for recent and single executions. Raises, from every method: WarehouseUnavailable."""

    recent_since: datetime | None = None
    """Executions since then are read by one query; None where each question is one."""

    def recent(self) -> RecentExecutions | None:
        """The executions that began lately, by one query; None where each question is one."""
        since = self.recent_since
        if since is None or self._name.literal is None:
            return None
        rows = self._kept_rows(
            f"SELECT e.id, e.{self._start} AS started_at, e.status, {self._partition('e')} AS part, e.{COLUMNS} "
            f"FROM {self._all} AS e WHERE e.{self._start} >= {self._name.literal(since)}"
        )
        kept = self._query
        if not isinstance(kept, QueryCache):
            return RecentExecutions(since, ())
        if kept.recent is None or kept.recent[0] is not rows:
            kept.recent = (rows, RecentExecutions.read(since, rows, utc))
        kept.starts |= {row.id: row.started_at for row in kept.recent[1].rows}
        return kept.recent[1]

    def _recent(self, window: Window) -> RecentExecutions | None:
        """The recent executions, where they tell of this window what is selected."""
        filters = self._selection.filters.keys() - {self._system.listing.partitioned_by}
        if self.recent_since is None or window.start < self.recent_since or filters:
            return None
        is_hashed = self._partition_column and self.rules.of(self._system.executions.name).action(
            self._partition_column
        )
        return None if self._selection.window is not None or is_hashed else self.recent()

    @property
    def _chosen_partition(self) -> str | None:
        """The partition that is selected; None for all."""
        return self._selection.filters.get(self._system.listing.partitioned_by or "")

    def stored(
        self, ids: Sequence[str], starts: Mapping[str, datetime | None] | None = None
    ) -> dict[str, Row]:
        """The stored rows of the executions by id, with the warehouse's column names.

        ``starts`` says when they began, as far as that is known: where reading is billed, only those days are read, and
        of others it is asked first when they began.
        """
        if self._name.literal is None:
            return self._stored(ids, self._executions)
        known = self._query.starts if isinstance(self._query, QueryCache) else {}
        placed = {**known, **{key: start for key, start in (starts or {}).items() if start is not None}}
        rows = self._stored_on_days({key: placed[key] for key in ids if key in placed})
        return rows | self._stored_on_days(self._starts([key for key in ids if key not in rows]))

    def stored_in(self, ids: Sequence[str], window: Window) -> dict[str, Row]:
        """The stored rows of those of the executions that began in the window; where it is not billed, of all."""
        return self._stored(ids, self._name.between(self._system.executions, window))

    def _stored_on_days(self, starts: Mapping[str, datetime | None]) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        for part in by_day(starts):
            rows |= self._stored(part, self._name.on_days(self._system.executions, map(starts.get, part)))
        return rows

    def _starts(self, ids: Sequence[str]) -> dict[str, datetime | None]:
        """When these executions began, of those that are stored."""
        starts: dict[str, datetime | None] = {}
        for part in batched(ids):
            marks = ", ".join(["%s"] * len(part))
            sql = f"SELECT e.id, e.{self._start} FROM {self._executions} AS e WHERE e.id IN ({marks})"
            starts |= {str(key): utc(start) for key, start in self._rows(sql, *part)}
        return starts

    def _stored(self, ids: Sequence[str], executions: str) -> dict[str, Row]:
        rows_by_id: dict[str, Row] = {}
        for part in batched(ids):
            marks = ", ".join(["%s"] * len(part))
            rows = self._records(f"SELECT e.* FROM {executions} AS e WHERE e.id IN ({marks})", *part)
            rows_by_id |= {str(row["id"]): row for row in rows}
        return rows_by_id


def batched(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in parts, each for one query."""
    for start in range(0, len(ids), MAX_IDS_PER_QUERY):
        yield ids[start : start + MAX_IDS_PER_QUERY]


def by_day(starts: Mapping[str, datetime | None]) -> Iterator[Sequence[str]]:
    """The ids in parts, each for one query, so that those of one day are together."""
    return batched(sorted(starts, key=lambda key: starts[key] or EVER))
