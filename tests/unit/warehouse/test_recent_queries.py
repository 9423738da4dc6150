"""What is answered of executions that were read lately is what a query would answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from task_history import systems
from task_history.core.batch import Batch, Chunk
from task_history.core.commit_limits import CommitLimits
from task_history.core.models import Row, Window
from task_history.warehouse.queries import Warehouse
from task_history.warehouse.query_cache import BilledAnswerCache
from task_history.warehouse.table_names import Names
from tests.support.memory_warehouse import MemoryWarehouse

DAY = timedelta(days=1)
SINCE = datetime(2026, 11, 10, tzinfo=UTC)
SAILPOINT = systems.find("sailpoint")


class Asked:
    """A warehouse whose queries are billed, with the statements that it was asked."""

    def __init__(self) -> None:
        memory = MemoryWarehouse(SAILPOINT)
        self.statements: list[str] = []

        def query(sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
            self.statements.append(sql)
            return memory.query(sql, *values)

        names = Names(lambda name: f'"{name}"', lambda at: f"TIMESTAMPTZ '{at.isoformat()}'")
        self.plain = Warehouse(BilledAnswerCache(query), names, SAILPOINT)
        self.recent = Warehouse(BilledAnswerCache(query), names, SAILPOINT)
        self.recent.recent_since = SINCE
        batch = Batch(CommitLimits(), began_at=0.0)
        batch.add(Chunk({SAILPOINT.executions.name: [_row(number) for number in range(12)]}))
        memory.take(batch)


def _row(number: int) -> Row:
    """One execution a half day, each third open, each fifth purged, in two partitions."""
    start = SINCE + (number - 4) * DAY / 2
    is_purged = number % 5 == 4
    sources = {column.name: column.source or column.name for column in SAILPOINT.executions.columns}
    return {
        "id": str(number),
        sources[SAILPOINT.started_column]: start.isoformat(),
        sources[SAILPOINT.workflow_column]: "ab"[number % 2],
        "status": "Running",
        "is_open": number % 3 == 0 and not is_purged,
        "purged_at_source": start if is_purged else None,
        "fetched_at": start,
        "status_seen_at": start,
        "run_id": "run",
        "read_by": "list",
    }


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


def test_which_are_unsettled(asked: Asked) -> None:
    """Stored ones that are open, ones that began on another day, and unknown ones; only older ones are asked for."""
    starts: dict[str, datetime | None] = {str(number): SINCE + (number - 4) * DAY / 2 for number in range(12)}
    starts |= {"7": SINCE + 5 * DAY, "new": SINCE + DAY, "old": SINCE - DAY, "unknown": None}
    expected = asked.plain.unsettled(starts)
    assert {"0", "3", "6", "new", "old", "unknown"} <= expected
    assert "5" not in expected
    # Its other day is read for others, so that only one of the two tells that it began again.
    expected |= {"7"}
    assert asked.recent.unsettled(starts) == expected
    newer = {key: at for key, at in starts.items() if at is not None and at >= SINCE}
    before = len(asked.statements)
    assert asked.recent.unsettled(newer) == expected & newer.keys()
    assert len(asked.statements) == before


def test_starts_by_partition(asked: Asked) -> None:
    """The same by partition, without purged ones, for a window that was read lately, without a query."""
    window = Window(SINCE, SINCE + 3 * DAY)
    expected = asked.plain.by_partition(window)
    assert {name: len(starts) for name, starts in expected.items()} == {"a": 2, "b": 2}
    asked.recent.recent()
    before = len(asked.statements)
    assert asked.recent.by_partition(window) == expected
    assert len(asked.statements) == before


def test_newest_by_partition(asked: Asked) -> None:
    """The newest start of each partition of what the vendor still lists."""
    newest = {name: max(starts.values()) for name, starts in asked.plain.by_partition(_ALL).items()}
    assert asked.recent.newest_by_partition() == newest


_ALL = Window(SINCE - 30 * DAY, SINCE + 30 * DAY)
