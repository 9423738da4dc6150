"""Which runs ask on fewer days what is left to read, and which of them note what they found."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from task_history import systems
from task_history.core.errors import WarehouseUnavailable
from task_history.load.loader_queries import LoaderQueries
from task_history.runs import left_days_notes
from task_history.warehouse.left_days import KnownDays, LeftDays

SYSTEM = systems.find("paragon")
KNOWN = KnownDays(None, None, {})


def read(lane: str, answer: KnownDays | Exception) -> tuple[bool, Any]:
    """Whether such a run reads the notes, and what its context has then."""
    asked = []

    def read_left_days(wanted: str, **_: Any) -> KnownDays:
        asked.append(wanted)
        if isinstance(answer, Exception):
            raise answer
        return answer

    context: Any = SimpleNamespace(
        lane=lane,
        settings=None,
        scope=SimpleNamespace(steps="all", payloads="all"),
        system=SimpleNamespace(integrations=None),
        warehouse=SimpleNamespace(rules=SimpleNamespace(text=None), counts_all_open=False),
        started_at=None,
        left_days=None,
    )
    loader: Any = SimpleNamespace(read_left_days=read_left_days)
    left_days_notes.read_left_days(context, loader)
    return bool(asked), context


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_days_notes, "settings_hash", lambda *_, **__: "all")


def test_a_sync_reads_the_notes() -> None:
    """And counts all open executions at its end."""
    is_read, context = read("sync", KNOWN)
    assert (is_read, context.left_days, context.warehouse.counts_all_open) == (True, KNOWN, True)


@pytest.mark.parametrize("lane", ["backfill", "audit", "replay"])
def test_other_runs_do_not(lane: str) -> None:
    """While they run, for days perhaps, others write packages."""
    is_read, context = read(lane, KNOWN)
    assert (is_read, context.left_days, context.warehouse.counts_all_open) == (False, None, False)


@pytest.mark.parametrize("error", [WarehouseUnavailable("no"), ValueError("no JSON"), KeyError("noted_at")])
def test_notes_that_cannot_be_read(error: Exception) -> None:
    """They end no run: it asks of all days, and notes nothing."""
    is_read, context = read("sync", error)
    assert (is_read, context.left_days, context.warehouse.counts_all_open) == (True, None, False)


@pytest.mark.parametrize(
    ("has_written", "state", "is_own", "written"),
    [
        (False, "before", True, ["before"]),
        (False, "changed", True, []),
        (True, "changed", True, ["changed"]),
        (True, "changed", False, []),
    ],
    ids=[
        "nothing changed",
        "others changed the tables",
        "the run changed them itself",
        "another run began in a thread",
    ],
)
def test_a_row_is_written_where_no_change_is_unexplained(
    *, has_written: bool, state: str, is_own: bool, written: list[str]
) -> None:
    """Another machine, or another run with the same destination object, may have changed a table meanwhile."""
    rows: list[str] = []
    notes = SimpleNamespace(
        has_written=has_written,
        tables_state=lambda *_: state,
        write=lambda _, __, row, **options: rows.append(row["tables_state"]) if options["replaces"] else None,
    )
    loader: Any = SimpleNamespace(
        backend=SimpleNamespace(package_days=notes),
        system=SYSTEM,
        retried=lambda action: action(None),
        _are_own_notes=is_own,
    )
    LoaderQueries.note_left_days(loader, {"tables_state": "before"})
    assert rows == written


def test_days_of_a_run_are_not_known_once_another_has_begun_with_its_destination() -> None:
    """Two syncs in threads may share one destination object, which notes the days of both."""
    loader: Any = LoaderQueries.__new__(LoaderQueries)
    notes = SimpleNamespace(runs=1, own_notes=[])
    loader.backend, loader._notes_run = SimpleNamespace(package_days=notes), 1
    loader._left_days = LeftDays(datetime(2026, 5, 1, tzinfo=UTC))
    assert loader.left_days() == loader._left_days
    notes.runs = 2
    assert loader.left_days() is None
