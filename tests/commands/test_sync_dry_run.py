"""``sync --dry-run`` says what the next sync asks and writes, and changes nothing."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SYSTEMS = systems.names()


def _dry(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run("sync", place.system, "--dry-run", "--json").stdout)
    return found


def _files(folder: Path) -> dict[str, str]:
    """The files of the warehouse and of the working folder, but for the record of requests."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "state" not in path.relative_to(folder).parts
    }


@pytest.mark.parametrize("system", rest_as_torture(SYSTEMS, ["b3os"]))
def test_a_dry_run_writes_nothing_and_asks_little(tmp_path: Path, system: str) -> None:
    """Before the first sync and after it: no file changes, and the vendor gets at most five requests."""
    with SandboxProcess(system, executions=40, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system=system, integrations=None, steps="none")
        before = _files(tmp_path)
        first = _dry(place)
        assert (first["is_first"], _files(tmp_path)) == (True, before)
        assert sandbox.counters().get("status_200", 0) == first["asked"] <= 5
        place.quick_sync()
        before = _files(tmp_path)
        sandbox.reset_counters()
        later = _dry(place)
        assert (later["is_first"], _files(tmp_path)) == (False, before)
        assert sandbox.counters().get("status_200", 0) == later["asked"] <= 5
        assert (later["lists"] > 1) == (system != "paragon")
        assert place.run("sync", system, "--dry-run").stdout.endswith("Nothing was written.\n")


def test_a_dry_run_predicts_the_sync(tmp_path: Path) -> None:
    """The executions are those that the sync reads; its requests are about as many as it was said."""
    with SandboxProcess(executions=120, seed=6, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="all", payloads="none", integrations=None)
        for advance_s in (0, 20 * 3600):
            sandbox.advance(advance_s)
            predicted = _dry(place)
            sandbox.reset_counters()
            result = place.quick_sync()
            assert predicted["is_counted"]
            assert abs(predicted["executions"] - (result["executions"] - result["settled"])) <= 3
            asked = sandbox.counters()["status_200"]
            assert abs(predicted["requests"] - asked) <= max(4, asked // 5)


def test_a_dry_run_refuses_what_changes_rows(tmp_path: Path) -> None:
    """With --erase-old-values or --new-hash-key it is a usage error; nothing is asked."""
    place = Place(tmp_path, None, api_key="k", project_id="p", base_url="http://127.0.0.1:9")
    done = place.run("sync", "paragon", "--dry-run", "--erase-old-values", expect=2)
    assert "--erase-old-values changes what is stored" in done.stderr


def test_a_dry_run_goes_by_the_vendors_clock(tmp_path: Path) -> None:
    """With a vendor whose clock is ahead it counts what a sync reads: up to the vendor's present, and no further."""
    with SandboxProcess(executions=700, seed=6, freeze=True, future_hours=60) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.quick_sync()
        sandbox.advance(40 * 3600)
        predicted, asked_at = _dry(place), datetime.now(UTC)
        result = place.quick_sync()
        assert predicted["executions"] == result["executions"] > 0
        until = datetime.fromisoformat(predicted["until"])
        assert abs(until - asked_at - timedelta(hours=40)) < timedelta(hours=1)
