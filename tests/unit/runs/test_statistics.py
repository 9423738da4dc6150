"""Statistics that count the same as what is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history.core.batch import Chunk
from task_history.core.models import Row, Window
from task_history.extract.last_reads import LastReads
from task_history.runs.statistics import counts_the_same
from task_history.systems.b3os import SYSTEM
from task_history.warehouse.statistics_buckets import Bucket, Buckets

NOON, HOUR = datetime(2026, 11, 20, 12, tzinfo=UTC), timedelta(hours=1)
READ = NOON + 2 * HOUR
"""When the stored buckets were read."""

Compare = Callable[..., bool]


def _answer(*totals: int, at: datetime, window: Window, named: tuple[str, ...] = ()) -> Chunk:
    own: Row = {"fetched_at": at, "run_id": str(at)}
    span: Row = {"granularity": "hourly", "window_start": window.start, "window_end": window.end, **own}
    buckets = [
        {
            "granularity": "hourly",
            "bucket_start": NOON + hour * HOUR,
            "total": total,
            "is_closed": False,
            **own,
        }
        for hour, total in enumerate(totals)
    ]
    assert SYSTEM.statistics is not None
    rows: dict[str, list[Row]] = {table.name: [] for table in SYSTEM.statistics.tables}
    rows["execution_stats"] = buckets
    rows["execution_stats_summary"] = [{"total": sum(totals), **span}]
    rows["recent_failures"] = [{"execution_id": name, **own} for name in named]
    return Chunk(rows)


def _stored(*totals: int | None, at: datetime = READ) -> Buckets:
    """Stored hours from noon on; None stands for one that is missing."""
    return Buckets(
        tuple(
            Bucket(Window(NOON + hour * HOUR, NOON + (hour + 1) * HOUR), False, total, at)
            for hour, total in enumerate(totals)
            if total is not None
        )
    )


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Compares what is read at an instant with what is stored, after hours with 3 and 0 executions were written once."""
    file = tmp_path / "open.json"

    def at(
        *totals: int, stored: Buckets, after: timedelta = HOUR, file: Path | None = file, **named: Any
    ) -> bool:
        now, window = READ + after, Window(NOON, NOON + len(totals) * HOUR)
        reads = LastReads(file, lambda: now)
        assert SYSTEM.statistics is not None
        answer = _answer(*totals, at=now, window=window, **named)
        is_same = counts_the_same(SYSTEM.statistics, window, answer, stored, reads)
        reads.save()
        return is_same

    assert not at(3, 0, stored=Buckets(()), after=timedelta(0), named=("a",))
    return at


def test_what_counts_the_same_is_not_written_again(compare: Compare) -> None:
    """The same counts are the same at each of the next reads, also where an empty hour has begun since."""
    assert compare(3, 0, stored=_stored(3, 0), named=("a",))
    assert compare(3, 0, 0, stored=_stored(3, 0), named=("a",), after=2 * HOUR)


@pytest.mark.parametrize(
    ("totals", "stored", "options"),
    [
        pytest.param((4, 0), _stored(3, 0), {}, id="another count"),
        pytest.param((3, 1), _stored(3, 0), {}, id="a further execution"),
        pytest.param((3, 0), _stored(3, 0), {"named": ("a", "b")}, id="a further failure"),
        pytest.param((3, 0), _stored(3, 0), {"after": 24 * HOUR}, id="written a day ago"),
        pytest.param((3, 0), _stored(3, 0, at=READ + HOUR / 2), {}, id="written by another run since"),
        pytest.param((3, 0), _stored(2, 0), {}, id="the stored count was changed"),
        pytest.param((3, 0), _stored(None, 0), {}, id="the first stored hour is missing"),
        pytest.param((3, 0, 0), _stored(3, None, 0), {}, id="a stored hour is missing"),
        pytest.param((3, 0), Buckets(()), {}, id="nothing is stored"),
        pytest.param((3, 0), _stored(3, 0), {"file": None}, id="a write is not billed"),
    ],
)
def test_what_may_differ_is_written(
    compare: Compare, totals: tuple[int, ...], stored: Buckets, options: dict[str, Any]
) -> None:
    """What is not known to be stored counts as changed."""
    assert not compare(*totals, stored=stored, **{"named": ("a",), **options})


def test_hours_without_executions_need_no_former_read(compare: Compare, tmp_path: Path) -> None:
    """They are the same as empty stored hours of the last day, also with a lost working folder."""
    (tmp_path / "open.json").unlink()
    assert compare(0, 0, 0, stored=_stored(0, 0))
    assert not compare(0, 0, 0, stored=_stored(0, 0), after=24 * HOUR)
    assert not compare(0, 0, 0, stored=_stored(0, 1))
    assert not compare(0, 0, 0, stored=_stored(0, 0), named=("b",))
    assert not compare(0, 0, 0, stored=_stored(0, 0), file=None)
