"""Answers of queries: kept until a commit changes their tables, and several asked by one statement where each is billed.

BigQuery bills at least 10 MiB for each table of a statement, however often the statement names it, so that questions
about the same tables cost least together: https://cloud.google.com/bigquery/pricing#on_demand_pricing
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from .recent_executions import RecentExecutions
from .sql_text import Answer, Query, Statement

Rows = list[tuple[Any, ...]]

_SELECT = "SELECT "


class AnswerCache:
    """A query function that can keep answers. Safe to use from many threads."""

    max_rows = 1_000
    """Longer answers are not kept."""
    max_age_s = 5.0
    """Seconds after which an answer is asked for anew, because other runs write too."""

    def __init__(self, query: Query, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._query, self._clock = query, clock
        self._lock = Lock()
        self._kept: dict[Statement, tuple[float, Rows]] = {}
        self._commits = 0

    def __call__(self, sql: str, *values: Any) -> Answer:
        """Runs the query; its answer is not kept."""
        return self._query(sql, *values)

    def rows(self, sql: str, *values: Any) -> Rows:
        """The rows of the query, from a former answer where one is kept."""
        statement = (sql, values)
        if (rows := self._found(statement)) is None:
            commits = self._commits
            rows = self._query(sql, *values)[1]
            self._keep([(statement, rows)], commits)
        return rows

    def forget(self, tables: Sequence[str] | None = None) -> None:
        """Forgets the answers about the tables of these qualified names; None forgets all."""
        with self._lock:
            self._commits += 1
            self._kept = (
                {}
                if tables is None
                else {
                    statement: kept
                    for statement, kept in self._kept.items()
                    if not any(table in statement[0] for table in tables)
                }
            )

    def _found(self, statement: Statement) -> Rows | None:
        with self._lock:
            asked_at, rows = self._kept.get(statement, (0.0, None))
        return rows if rows is not None and self._clock() - asked_at < self.max_age_s else None

    def _keep(self, answers: Iterable[tuple[Statement, Rows]], commits: int) -> None:
        now = self._clock()
        with self._lock:
            # A commit that ended meanwhile may have changed what was asked for.
            if commits == self._commits:
                self._kept |= {
                    statement: (now, rows) for statement, rows in answers if len(rows) <= self.max_rows
                }


class BilledAnswerCache(AnswerCache):
    """A query function for a warehouse that bills each query, which keeps answers and asks several by one statement."""

    max_rows = 100_000
    max_age_s = 300.0

    def __init__(self, query: Query, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(query, clock=clock)
        self.recent: tuple[Rows, RecentExecutions] | None = None
        """The rows of the recent executions, and what was read of them."""
        self.starts: dict[str, datetime] = {}
        """When stored executions began, by id, as far as answers told; one that ran again has another start since."""

    def ask_together(self, statements: Iterable[Statement]) -> None:
        """Keeps the answers of those statements that are not kept yet, all asked by one query.

        Each is a SELECT whose columns have names; instants in its answer are texts.
        """
        wanted = [statement for statement in dict.fromkeys(statements) if self._found(statement) is None]
        if len(wanted) < 2:
            return  # asked for when it is needed
        commits = self._commits
        parts = [
            f"SELECT {number} AS statement, place, TO_JSON_STRING(answered) AS answer "
            f"FROM UNNEST(ARRAY(SELECT AS STRUCT {sql.removeprefix(_SELECT)})) AS answered WITH OFFSET AS place"
            for number, (sql, _) in enumerate(wanted)
        ]
        rows = self._query(" UNION ALL ".join(parts), *(value for _, values in wanted for value in values))[1]
        answers: list[Rows] = [[] for _ in wanted]
        for number, _, answer in sorted(rows, key=lambda row: (row[0], row[1])):
            pairs = json.loads(answer, object_pairs_hook=list)
            answers[number].append(tuple(value for _, value in pairs))
        self._keep(zip(wanted, answers, strict=True), commits)


class StatementCollector:
    """A query function that notes the statements whose answers would be kept, and answers them with no rows."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self.statements: list[Statement] = []

    def __call__(self, sql: str, *values: Any) -> Answer:
        """Runs the query."""
        return self._query(sql, *values)

    def rows(self, sql: str, *values: Any) -> Rows:
        """Notes the query; returns no rows."""
        self.statements.append((sql, values))
        return []
