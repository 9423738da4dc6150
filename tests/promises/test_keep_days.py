"""Rows older than ``keep_days_…`` are deleted by a sync, once a day, and are neither missing nor asked for again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SYSTEMS = systems.names()
DAYS = 40
KEEP = {"keep_days_executions": 20, "keep_days_steps": 10}


@contextmanager
def place_of(folder: Path, system: str, **settings: Any) -> Iterator[tuple[Place, SandboxProcess]]:
    start = (datetime.now(UTC) - timedelta(days=DAYS)).date().isoformat()
    own: dict[str, Any] = {"start_date": start, "retention_days": 0, "integrations": None, "payloads": "all"}
    if systems.find(system).payloads is None:
        del own["payloads"]
    with SandboxProcess(system, executions=50, days=DAYS - 1, seed=6, open_days=0.2) as sandbox:
        yield Place(folder, sandbox, system=system, **own, **settings), sandbox


def midnight_before(days: int) -> datetime:
    now = datetime.now(UTC) - timedelta(days=days)
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def oldest(place: Place, table: str, column: str, where: str = "TRUE") -> datetime:
    found: datetime = place.query(f"SELECT min({column}) FROM {place.system}.{table} WHERE {where}")[0][0]
    return found.astimezone(UTC)


@pytest.mark.parametrize("system", rest_as_torture(SYSTEMS, ("paragon",)))
def test_what_is_older_is_deleted_and_not_missed(tmp_path: Path, system: str) -> None:
    """A sync deletes what is older; later syncs, audits and backfills neither miss it nor ask for it."""
    found = systems.find(system)
    kept = KEEP | ({"keep_days_payloads": 5} if found.payloads else {})
    with place_of(tmp_path, system) as (place, sandbox):
        place.sync()
        loaded = place.query(f"SELECT count(*) FROM {system}.{found.executions.name}")[0][0]
        place.set(**kept)
        deleting = place.sync()
        # What was deleted is not asked for though it may be kept again.
        place.set(keep_days_payloads=None)
        requests = len(sandbox.requests())
        idle = place.sync()
        asked = sandbox.requests()[requests:]
        end = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        start = (datetime.now(UTC) - timedelta(days=DAYS)).date().isoformat()
        audit = json.loads(place.run("audit", system, "--from", start, "--to", end, "--json").stdout)
        backfill = place.run("backfill", system, "--from", start, "--to", end, "--json")
        refused = place.run(
            "backfill", system, "--from", start, "--to", f"{midnight_before(25):%Y-%m-%d}", expect=2
        )
        status = json.loads(place.run("status", system, "--json").stdout)
    assert deleting["deleted_rows"] > 0
    assert idle["deleted_rows"] is None
    assert oldest(place, found.executions.name, found.started_column, "NOT is_open") >= midnight_before(20)
    assert oldest(place, found.details.steps.name, "execution_date_started") >= midnight_before(10)
    assert oldest(place, "coverage", "day") == midnight_before(20)
    if found.payloads:
        payloads = found.payloads.table.name
        assert oldest(place, payloads, "execution_date_started") >= midnight_before(5)
    left = place.query(f"SELECT count(*) FROM {system}.{found.executions.name}")[0][0]
    assert 0 < left < loaded
    assert deleting["complete"]
    assert idle["complete"]
    assert idle["steps"] == idle["payloads"] == 0, asked
    assert audit["clean"] is not False, audit
    assert audit["missing"] == audit["steps"] == 0
    assert json.loads(backfill.stdout)["executions"] == 0
    assert "keep_days_executions" in backfill.stderr
    assert "keep_days_steps" in backfill.stderr
    assert "is older than keep_days_executions = 20" in refused.stderr
    assert status["systems"][0]["details_left"] == 0


@pytest.mark.torture
def test_payloads_are_not_asked_for_again(tmp_path: Path) -> None:
    """Payloads that were deleted are never read a second time, also after the setting was taken away; steps stay."""
    with place_of(tmp_path, "paragon") as (place, sandbox):
        place.sync()
        steps = place.query("SELECT count(*) FROM paragon.step_executions")
        place.set(keep_days_payloads=15)
        deleting = place.sync()
        left = place.query("SELECT count(*), min(execution_date_started) FROM paragon.step_payloads")[0]
        place.set(keep_days_payloads=None)
        sandbox.reset_counters()
        later = place.sync()
        kinds = {one["kind"] for one in sandbox.requests()}
        status = json.loads(place.run("status", "paragon", "--json").stdout)
    assert deleting["deleted_rows"] > 0
    assert left[0] > 0
    assert left[1].astimezone(UTC) >= midnight_before(15)
    assert later["deleted_rows"] is None
    assert later["left"]["payloads"] == status["systems"][0]["payloads_left"] == 0
    assert "payload" not in kinds
    assert place.query("SELECT count(*) FROM paragon.step_executions") == steps
    assert place.query("SELECT count(*) FROM paragon.step_payloads")[0][0] == left[0]


def test_open_executions_stay(tmp_path: Path) -> None:
    """An execution that is still open is not deleted, whatever its age, and goes once it has ended."""
    with SandboxProcess("paragon", executions=60, days=9, seed=8, open_days=30, freeze=True) as sandbox:
        start = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
        place = Place(
            tmp_path, sandbox, start_date=start, retention_days=0, keep_days_executions=2, integrations=None
        )
        place.sync()
        old = f"is_open AND date_started < '{midnight_before(2):%Y-%m-%d}'"
        sql = f"SELECT count(*) FROM paragon.workflow_executions WHERE {old}"
        assert place.query(sql)[0][0] == 0, "a first sync begins where executions are kept"
        place.set(keep_days_executions=None)
        place.file.unlink()
        place.sync()
        open_ones = place.query(sql)[0][0]
        place.set(keep_days_executions=2)
        deleted = place.sync()["deleted_rows"]
        assert open_ones > 0
        assert place.query(sql)[0][0] == open_ones
        assert deleted > 0


def test_why_says_that_it_is_too_old(tmp_path: Path) -> None:
    """``why`` says of an execution that began before executions are kept that it was deleted, and what to do."""
    with place_of(tmp_path, "paragon", keep_days_executions=20, steps="none") as (place, _):
        place.sync()
        around = f"{midnight_before(30):%Y-%m-%d}"
        done = place.run("why", "paragon", "an-old-one", "--around", around, "--json", expect=None)
    why = json.loads(done.stdout)
    assert why["code"] == "deleted"
    assert "raise keep_days_executions" in done.stdout
