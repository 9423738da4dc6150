"""Reads of open executions that show what is stored already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from task_history.core.models import Row
from task_history.extract.open_reads import OpenReads
from task_history.warehouse.backlog import OpenExecution
from task_history.warehouse.status_history import StoredStatus

WRITTEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
SENT: Row = {"id": "a", "status": "DELAYED"}
STORED = OpenExecution("a", WRITTEN, "DELAYED", StoredStatus("DELAYED", WRITTEN, WRITTEN, "execution", "run"))
HOUR = timedelta(hours=1)


@pytest.fixture
def reads(tmp_path: Path) -> Callable[[datetime], OpenReads]:
    """What is kept at an instant, after the execution was read and written once."""
    file = tmp_path / "open.json"

    def at(now: datetime) -> OpenReads:
        return OpenReads(file, lambda row: str(row["id"]), lambda: now)

    first = at(WRITTEN)
    assert not first.is_unchanged(STORED, SENT)
    first.note("a", {"is_open": True, "fetched_at": WRITTEN}, SENT)
    first.save()
    return at


def test_what_is_stored_already_is_unchanged(reads: Callable[[datetime], OpenReads]) -> None:
    """The same answer for the same stored row is unchanged, at each of the next reads."""
    for hours in (1, 2):
        now = reads(WRITTEN + hours * HOUR)
        assert now.is_unchanged(STORED, dict(reversed(SENT.items())))
        now.save()
    last = reads(WRITTEN + 3 * HOUR).last_seen("a", STORED.seen)
    assert last is not None
    assert last.at == WRITTEN + 2 * HOUR


@pytest.mark.parametrize(
    ("stored", "sent", "after"),
    [
        pytest.param(STORED, {**SENT, "status": "SUCCEEDED"}, HOUR, id="another status"),
        pytest.param(STORED, {**SENT, "note": 1}, HOUR, id="a further field"),
        pytest.param(STORED, SENT, 24 * HOUR, id="written a day ago"),
        pytest.param(replace(STORED, tries=1), SENT, HOUR, id="read in vain before"),
        pytest.param(
            replace(STORED, seen=StoredStatus("DELAYED", WRITTEN, WRITTEN + HOUR / 2, "repair", "other")),
            SENT,
            HOUR,
            id="written by another run since",
        ),
        pytest.param(replace(STORED, id="b"), {**SENT, "id": "b"}, HOUR, id="another execution"),
        pytest.param(None, SENT, HOUR, id="not stored open"),
    ],
)
def test_what_may_differ_is_written(
    reads: Callable[[datetime], OpenReads], stored: OpenExecution | None, sent: Row, after: timedelta
) -> None:
    """What is not known to be stored counts as changed, and its status was last seen when it was written."""
    now = reads(WRITTEN + after)
    assert not now.is_unchanged(stored, sent)
    seen = stored.seen if stored else None
    assert now.last_seen("a", seen) == seen


def test_unchanged_rows_of_a_list_are_left_out(reads: Callable[[datetime], OpenReads]) -> None:
    """What a list shows unchanged is no longer asked for; all else of it is given."""
    left, other = {"a": STORED, "b": replace(STORED, id="b")}, {"id": "c"}
    assert reads(WRITTEN + HOUR).without_unchanged([SENT, other], left) == [other]
    assert list(left) == ["b"]


def test_rows_that_a_list_shows_unchanged_are_not_asked_for(reads: Callable[[datetime], OpenReads]) -> None:
    """By the stored statuses; what was seen so needs no other read in this run."""
    assert STORED.seen is not None
    now, stored = reads(WRITTEN + HOUR), {"a": STORED.seen, "b": STORED.seen}
    other: Row = {"id": "b", "status": "DELAYED"}
    assert now.unseen([STORED]) == [STORED]
    assert now.unchanged([SENT, other, {"id": "c"}], stored) == {"a"}
    assert now.unseen([STORED, replace(STORED, id="b")]) == [replace(STORED, id="b")]
    now.save()
    assert not reads(WRITTEN + 2 * HOUR).unchanged([{**SENT, "status": "SUCCEEDED"}], stored)
    last = reads(WRITTEN + 2 * HOUR).last_seen_of(stored)
    assert last == {"a": replace(STORED.seen, at=WRITTEN + HOUR), "b": STORED.seen}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": 1}', b'{"a": ["x", "y", "z"]}', b'{"a": ["x"]}', b"\xff"]
)
def test_a_file_that_holds_something_else_tells_nothing(tmp_path: Path, content: bytes) -> None:
    """A damaged file is as none."""
    file = tmp_path / "open.json"
    file.write_bytes(content)
    assert not OpenReads(file, str, lambda: WRITTEN).is_unchanged(STORED, SENT)


def test_without_a_file_everything_is_written() -> None:
    """Where writing costs nothing, nothing is kept."""
    reads = OpenReads(None, str, lambda: WRITTEN)
    reads.note("a", {"is_open": True, "fetched_at": WRITTEN}, SENT)
    reads.save()
    assert not reads.is_unchanged(STORED, SENT)
