"""A run that waits for long has written what it read: a kill while it waits costs no request twice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_hostile_answers import SINGLE
from tests.support.place import Place
from tests.support.sandbox_proxy import Between
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 120,
    "days": 4,
    "workflows": 2,
    "failed": 0.5,
    "open_days": 0.3,
    "seed": 5,
}
AT_ONCE = 2
"""Requests that may be under way. As many details again are begun ahead, each of a few requests."""
DEADLINE_S = 120
"""The wait that is looked at takes an hour."""


@pytest.fixture(autouse=True)
def processes_make_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are started as processes make views."""
    monkeypatch.setattr(Place, "makes_views", True)


def _details(place: Place, system: str) -> int:
    log = f"{system}.{systems.find(system).details.log.name}"
    try:
        return int(place.query(f"SELECT count(*) FROM {log}")[0][0])
    except duckdb.Error:  # it is not there yet, or the run has it open
        return 0


def _killed_while_it_waits(place: Place, system: str) -> int:
    """How many details a sync had in the warehouse that is killed once it waits for long."""
    deadline = time.monotonic() + DEADLINE_S
    process = place.start("sync", system)
    try:
        while not (details := _details(place, system)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "nothing is written"
            time.sleep(0.2)
        return details
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("system", rest_as_torture(sorted(SINGLE), ("twinit",)))
def test_what_was_read_is_written_before_the_budget_is_waited_for(tmp_path: Path, system: str) -> None:
    """A run whose budget is spent in the middle of the details has committed them, and reads none of them again."""
    with SandboxProcess(system, freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        place = Place(tmp_path, sandbox, system=system, concurrency=AT_ONCE, integrations=None)
        place.set(rate_limit_requests=60, rate_limit_period_s=3600)
        assert _killed_while_it_waits(place, system) > 2 * AT_ONCE
        # So are the views, from the first commit on.
        assert place.query("SELECT count(*) > 0 FROM task_history.executions") == [(True,)]
        place.set(rate_limit_requests=0)
        assert place.sync()["complete"]
        assert len(sandbox.counters()["reads_more_than_once"]) <= 8 * AT_ONCE


def _retry_after(out: BinaryIO) -> None:
    out.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")


def _fault(out: BinaryIO) -> None:
    out.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.torture
@pytest.mark.parametrize("say", [_retry_after, _fault], ids=["Retry-After", "faults"])
def test_what_was_read_is_written_while_the_vendor_is_waited_for(
    tmp_path: Path, say: Callable[[BinaryIO], None]
) -> None:
    """So has a run that the vendor asked to wait, or that tries again after faults."""
    with SandboxProcess(freeze=True, **WORLD) as sandbox, Between(sandbox.base_url) as between:
        sandbox.advance(4 * 86_400)
        place = Place(
            tmp_path,
            sandbox,
            base_url=between.url,
            concurrency=AT_ONCE,
            integrations=None,
            fault_deadline_s=3600,
        )
        read: list[str] = []

        def speaks(target: str, out: BinaryIO) -> bool:
            if not re.search(SINGLE["paragon"], target):
                return False
            if len(read) < 40:
                read.append(target)
                return False
            say(out)
            return True

        between.speaks = speaks
        # Answers are taken in the order of their requests: those behind one that waits wait with it,
        # at most as many as are under way or begun ahead.
        assert 40 - 2 * AT_ONCE < _killed_while_it_waits(place, "paragon") <= 40


def test_views_are_there_before_the_first_row(tmp_path: Path) -> None:
    """The first sync of a warehouse makes the views while it waits for its first page: queries find them, empty."""
    with SandboxProcess(freeze=True, **WORLD) as sandbox, Between(sandbox.base_url) as between:
        place = Place(tmp_path, sandbox, base_url=between.url, integrations=None)

        def speaks(target: str, out: BinaryIO) -> bool:
            _retry_after(out)
            return True

        between.speaks = speaks
        deadline = time.monotonic() + DEADLINE_S
        process = place.start("sync", "paragon")
        try:
            while (rows := _executions(place)) is None:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "no view is made"
                time.sleep(0.2)
        finally:
            process.kill()
            process.communicate()
        assert rows == 0


def _executions(place: Place) -> int | None:
    """How many executions the view shows; None where it is not there yet."""
    try:
        return int(place.query("SELECT count(*) FROM task_history.executions")[0][0])
    except duckdb.Error:  # or the run has the file open
        return None
