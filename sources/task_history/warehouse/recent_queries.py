"""Queries for executions that began lately, by one for many questions where each is billed, and for single ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ..core.models import Row, Window
from .backlog_queries import BacklogQueries
from .coverage import midnight
from .dataset import utc, utc_or_epoch
from .forgotten_people import LeftOut
from .query_cache import BilledAnswerCache
from .recent_executions import COLUMNS, RecentExecutions
from .sql_text import SqlCondition
from .status_history import StoredStatus
from .table_names import EVER

MAX_IDS_PER_QUERY = 500


class RecentQueries(BacklogQueries):
    """Queries for recent and single executions. Raises, from every method: WarehouseUnavailable."""

    left_out: LeftOut | None = None
    """The executions of forgotten people, which count as stored; None where no person was forgotten."""
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
        if not isinstance(kept, BilledAnswerCache):
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

    def by_partition(self, window: Window) -> dict[str, dict[str, datetime]]:
        """Start instants by partition and id of the executions that began in the window, without purged ones."""
        starts: dict[str, dict[str, datetime]] = {}
        if (recent := self._recent(window)) is not None:
            for row in recent.in_window(window, partition=self._chosen_partition):
                starts.setdefault(row.partition, {})[row.id] = row.started_at
            return starts
        condition = self._held(window)
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, {self._partition('e')} FROM {self._all} AS e WHERE {condition.sql}",
            *condition.values,
        )
        for identity, start, partition in rows:
            starts.setdefault(str(partition or ""), {})[str(identity)] = utc_or_epoch(start)
        return starts

    def newest_by_partition(self) -> dict[str, datetime]:
        """When the newest execution of each partition began, of those that the vendor still lists."""
        grouped = f"GROUP BY {self._partition('e')}" if self._partition_column else ""
        rows = self._kept_rows(
            f"SELECT {self._partition('e')} AS part, max(e.{self._start}) AS newest FROM {self._executions} AS e "
            f"WHERE e.purged_at_source IS NULL AND e.{self._start} IS NOT NULL {grouped}"
        )
        return {str(part or ""): start for part, newest in rows if (start := utc(newest)) is not None}

    def unsettled(self, starts: Mapping[str, datetime | None]) -> set[str]:
        """Those of the executions that are not stored as they began then, or are stored open.

        ``starts`` says by id when they began.
        """
        settled, unknown = self._settled_recently(starts)
        for part in by_day(unknown):
            executions = self._name.on_days(self._system.executions, map(starts.get, part))
            marks = ", ".join(["%s"] * len(part))
            sql = f"SELECT e.id FROM {executions} AS e WHERE NOT e.is_open AND e.id IN ({marks})"
            settled.update(str(row[0]) for row in self._rows(sql, *part))
        return set(starts) - settled - self._seen_left_out()

    def _seen_left_out(self, window: Window | None = None) -> set[str]:
        return (
            set() if self.left_out is None else self.left_out.seen_ids(self._system.executions.name, window)
        )

    def _settled_recently(
        self, starts: Mapping[str, datetime | None]
    ) -> tuple[set[str], dict[str, datetime | None]]:
        """The ids of executions that are known to be settled, and the starts of the others, which a query answers."""
        if (recent := self.recent()) is None:
            return set(), dict(starts)
        settled = {
            row.id
            for row in recent.rows
            if not row.is_open
            and (start := starts.get(row.id))
            and midnight(start) == midnight(row.started_at)
        }
        return settled, {key: at for key, at in starts.items() if at is None or at < recent.since}

    def _held(self, window: Window) -> SqlCondition:
        condition = self._chosen("e")
        sql = f"e.{self._start} >= %s AND e.{self._start} < %s AND e.purged_at_source IS NULL AND {condition.sql}"
        return SqlCondition(sql, (window.start, window.end, *condition.values))

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
        known = self._query.starts if isinstance(self._query, BilledAnswerCache) else {}
        placed = {**known, **{key: start for key, start in (starts or {}).items() if start is not None}}
        rows = self._stored_on_days({key: placed[key] for key in ids if key in placed})
        return rows | self._stored_on_days(self._starts([key for key in ids if key not in rows]))

    def statuses(self, ids: Sequence[str], starts: Mapping[str, datetime | None]) -> dict[str, StoredStatus]:
        """The stored statuses of the executions by id; ``starts`` says when they began, as for ``stored``."""
        recent = self.recent() if ids else None
        known = {} if recent is None else {row.id: row.status for row in recent.rows}
        rest = [key for key in ids if key not in known]
        rows = self.stored(rest, starts) if rest else {}
        read = {key: status for key, row in rows.items() if (status := StoredStatus.in_row(row)) is not None}
        return {key: known[key] for key in ids if key in known} | read

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
