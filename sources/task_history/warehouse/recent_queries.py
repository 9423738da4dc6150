"""Queries for executions that began lately, by one for many questions where each is billed, and for single ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..core.models import Row, Window
from .backlog_queries import BacklogQueries
from .coverage import midnight
from .dataset import utc
from .days import within
from .kept_answers import KeptAnswers
from .recent import COLUMNS, RecentExecutions

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
        if not isinstance(kept, KeptAnswers):
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

    def stored(self, ids: Sequence[str]) -> dict[str, Row]:
        """The stored rows of the executions by id, with the warehouse's column names."""
        starts = self._query.starts if isinstance(self._query, KeptAnswers) else {}
        days = {midnight(starts[key]) for key in ids if key in starts}
        placed = [key for key in ids if key in starts]
        rows_by_id: dict[str, Row] = {}
        if placed:
            condition = within(self._start, days)
            rows_by_id |= self._stored(placed, f"(SELECT * FROM {self._all} WHERE {condition})")
        return rows_by_id | self._stored([key for key in ids if key not in rows_by_id], self._executions)

    def _stored(self, ids: Sequence[str], executions: str) -> dict[str, Row]:
        rows_by_id: dict[str, Row] = {}
        for start in range(0, len(ids), MAX_IDS_PER_QUERY):
            part = ids[start : start + MAX_IDS_PER_QUERY]
            marks = ", ".join(["%s"] * len(part))
            rows = self._records(f"SELECT e.* FROM {executions} AS e WHERE e.id IN ({marks})", *part)
            rows_by_id |= {str(row["id"]): row for row in rows}
        return rows_by_id
