"""Runs the integrity checks of the warehouse: each is a query for the rows that violate it.

A file in ``checks`` is a check. Its header says what is promised (Promise), whether a row breaks it or is worth a look
(Level) and which tables it reads (Reads); ``{since}`` stands for the first day that is checked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ..warehouse.sql_text import BIGQUERY, Query
from .branches import Relation
from .dialects import named, rendered
from .relations import ShownDataset, relations
from .sql_file_reader import Check, checks, views

BROKEN = "broken"
MAX_ROWS_SHOWN = 5
_SINCE = "{since}"
_EVER = "1900-01-01 00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a check."""

    check: Check
    sql: str
    """The query, ready to run."""
    columns: list[str]
    rows: list[tuple[Any, ...]]
    """The first rows that violate it; empty when it holds."""

    @property
    def is_well(self) -> bool:
        return not self.rows


def findings(
    query: Query,
    datasets: list[ShownDataset],
    dialect: str,
    *,
    since: datetime | None = None,
    project: str | None = None,
    missing: Collection[str] = (),
) -> Iterator[Finding]:
    """Runs the checks; with ``since`` only those that can be limited to executions from then on, limited so.

    A check that reads all days also then runs only without ``since``.

    Checks of the views that are ``missing``, as before the first sync of a newer version, are left out.

    With ``since`` they read these datasets only, not all that the stored views show: each runs over the views' SQL.

    Raises:
        WarehouseUnavailable: the views are not there, or the warehouse cannot answer.
    """
    start = _EVER if since is None else since.astimezone(UTC).isoformat(sep=" ")
    chosen = [
        check
        for check in checks()
        if (since is None or (_SINCE in check.sql and not check.reads_all))
        and not any(re.search(rf"\b{view}\b", check.sql) for view in missing)
    ]
    is_limited = since is not None
    texts = {
        check.name: _rendered(check, tuple(datasets), dialect, project, is_limited=is_limited).replace(
            _EVER, start
        )
        for check in chosen
    }
    # Each question to BigQuery is a job of seconds that is billed for itself: one says which of them do not hold.
    suspects = _broken(query, texts) if dialect == BIGQUERY else texts.keys()
    for check in chosen:
        sql = texts[check.name]
        columns, rows = (
            query(f"SELECT * FROM (\n{sql}\n) AS broken LIMIT {MAX_ROWS_SHOWN}")
            if check.name in suspects
            else ([], [])
        )
        yield Finding(check, sql, columns, rows)


def _broken(query: Query, texts: Mapping[str, str]) -> set[str]:
    """The names of the checks that are violated."""
    parts = [
        f"SELECT '{name}' AS name, COUNT(*) AS found FROM (\n{sql}\n) AS broken"
        for name, sql in texts.items()
    ]
    _, rows = query("\nUNION ALL\n".join(parts))
    return {str(name) for name, number in rows if number}


@lru_cache(maxsize=2)
def _relations(datasets: tuple[ShownDataset, ...]) -> tuple[Mapping[str, Relation], Mapping[str, Relation]]:
    """The relations of the checks: those limited to executions since an instant, and those over all time."""
    limited = relations([replace(dataset, since=_EVER) for dataset in datasets])
    return limited, relations(datasets, views().values())


@lru_cache(maxsize=64)
def _rendered(
    check: Check, datasets: tuple[ShownDataset, ...], dialect: str, project: str | None, *, is_limited: bool
) -> str:
    """The check's SQL in the dialect, over all time."""
    text = check.sql.replace(_SINCE, f"TIMESTAMPTZ '{_EVER}'")
    limited, unlimited = _relations(datasets)

    def inserted(view: str) -> str:
        return named(views()[view].sql, unlimited, views().keys(), inserted)

    return rendered(
        text,
        dialect,
        relations=limited,
        views=views().keys(),
        project=project,
        inserted=inserted if is_limited else None,
    )
