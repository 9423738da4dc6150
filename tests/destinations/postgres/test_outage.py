"""The Postgres of the shared state is away, or ends in the middle of statements, amid runs of several machines."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from task_history.core.exit_codes import ExitCode
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.proxy import CuttingProxy
from tests.destinations.postgres.server import PASSWORD, Server
from tests.destinations.postgres.test_backfill_shards import wait_for_requests
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace
from tests.support.budgets import Vendor, most_in_a_period, worker
from tests.support.place import Place, truth

LIMIT, PERIOD_S = 100, 2.0
MACHINES, CONCURRENCY = 3, 8
OUTAGES = [
    pytest.param("stopped", 4.0, id="stopped"),
    *(pytest.param(kind, 20.0, id=f"{kind} for 20 s") for kind in ("stopped", "suspended", "crashed")),
]


@contextmanager
def machines(
    folder: Path, server: Server, *, executions: int, number: int = MACHINES, **settings: Any
) -> Iterator[Any]:
    """A vendor, and machines that each load all of it into a file of their own with one key and one shared state."""
    vendor: dict[str, Any] = {
        "executions": executions,
        "seed": 71,
        "freeze": True,
        "limit": LIMIT,
        "period_s": PERIOD_S,
    }
    with SandboxProcess(**vendor) as sandbox:
        places = []
        for machine in range(number):
            own = folder / f"machine-{machine}"
            own.mkdir()
            place = Place(
                own,
                sandbox,
                rate_limit_requests=LIMIT,
                rate_limit_period_s=PERIOD_S,
                concurrency=CONCURRENCY,
                integrations=None,
                payloads="none",
                **settings,
            )
            place.env["TASK_HISTORY_STATE"] = server.url
            place.makes_views = False
            places.append(place)
        yield sandbox, places


def begin_outage(server: Server, kind: str) -> None:
    if kind == "suspended":
        server.signal(signal.SIGSTOP)
    elif kind == "stopped":
        server.shut_down()
    else:
        server.crash()


def end_outage(server: Server, kind: str) -> None:
    if kind == "suspended":
        server.signal(signal.SIGCONT)
    else:
        server.start()


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a command printed with --json; fails when it did not end well."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert PASSWORD not in out + err
    found: dict[str, Any] = json.loads(out)
    return found


def check_all(sandbox: SandboxProcess, places: list[Place], *, again: int = 0) -> None:
    """No request too many, every machine has every row, and all but ``again`` details are read once by each."""
    counters = sandbox.counters()
    assert counters["violations"] == 0
    assert counters["peak"] <= LIMIT
    assert not any(request["status"] == 429 for request in sandbox.requests())
    right = truth(sandbox)
    for place in places:
        assert place.executions() == right
        assert {row[0] for row in place.query("SELECT id FROM paragon.execution_details")} == set(right)
    details = [request["target"] for request in sandbox.requests() if request["kind"] == "execution"]
    assert len(set(details)) == len(right)
    assert len(details) - len(places) * len(right) <= again


@pytest.mark.torture
@pytest.mark.parametrize(("kind", "away_s"), OUTAGES)
def test_runs_of_three_machines_outlast_an_outage(
    tmp_path: Path, own_postgres: Server, kind: str, away_s: float
) -> None:
    """Amid the work of three, of which one begins while the server is away: none sends, none fails, nothing is lost."""
    with machines(tmp_path, own_postgres, executions=80 if away_s < 20 else 900) as (sandbox, places):
        running = [place.start("sync", "paragon", "--json") for place in places[:-1]]
        wait_for_requests(sandbox, 60)
        begin_outage(own_postgres, kind)
        sent = len(sandbox.requests())
        running.append(places[-1].start("sync", "paragon", "--json"))
        time.sleep(away_s)
        # Each thread may have had its slot.
        assert len(sandbox.requests()) - sent <= CONCURRENCY * MACHINES
        assert [process.poll() for process in running] == [None] * MACHINES
        end_outage(own_postgres, kind)
        results = [ended(process) for process in running]
        assert all(result["complete"] for result in results)
        check_all(sandbox, places)


@pytest.mark.parametrize("kind", ["stopped", pytest.param("crashed", marks=pytest.mark.torture)])
def test_a_restart_in_the_middle_of_statements(tmp_path: Path, own_postgres: Server, kind: str) -> None:
    """The server ends while a statement of each machine runs, and is there again at once: each run goes on."""
    with machines(tmp_path, own_postgres, executions=60, number=2) as (sandbox, places):
        running = [place.start("sync", "paragon", "--json") for place in places]
        wait_for_requests(sandbox, 60)
        with (
            closing(psycopg.connect(own_postgres.url)) as holder,
            closing(psycopg.connect(own_postgres.url, autocommit=True)) as observer,
        ):
            holder.execute("SELECT FROM task_history_state.notes FOR UPDATE")
            end = time.monotonic() + 60
            while _waiting(observer) < len(places):
                assert time.monotonic() < end, "no statement waits"
            begin_outage(own_postgres, kind)
        own_postgres.start()
        assert all(ended(process)["complete"] for process in running)
        check_all(sandbox, places)


def _waiting(observer: psycopg.Connection[Any]) -> int:
    """How many connections wait for the row of the budget in the middle of a statement."""
    (number,) = observer.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active' AND "
        "query LIKE 'SELECT FROM notes%'"
    ).fetchone() or (0,)
    return int(number)


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["crashed", "stopped"])
def test_a_warehouse_that_is_away_amid_a_run(tmp_path: Path, own_postgres: Server, kind: str) -> None:
    """State and warehouse on one server that stops amid a sync and comes back: the sync waits, ends well, and has all."""
    limited = {"rate_limit_requests": LIMIT, "rate_limit_period_s": PERIOD_S}
    vendor: dict[str, Any] = {"limit": LIMIT, "period_s": PERIOD_S}
    with SandboxProcess(executions=120, seed=71, freeze=True, **vendor) as sandbox:
        place = PostgresPlace(
            tmp_path, sandbox, own_postgres, integrations=None, concurrency=CONCURRENCY, **limited
        )
        place.env["TASK_HISTORY_STATE"] = own_postgres.url
        place.makes_views = False
        running = place.start("sync", "paragon", "--json", *ON_POSTGRES)
        wait_for_requests(sandbox, 60)
        begin_outage(own_postgres, kind)
        time.sleep(3.0)
        assert running.poll() is None
        end_outage(own_postgres, kind)
        result = ended(running)
        assert result["complete"]
        right = truth(sandbox)
        assert place.executions() == right
        assert {row[0] for row in place.query("SELECT id FROM paragon.execution_details")} == set(right)
        details = [request["target"] for request in sandbox.requests() if request["kind"] == "execution"]
        assert len(details) == len(set(details)) == len(right)
        assert place.query("SELECT outcome FROM paragon.sync_runs") == [("complete",)]


def test_a_warehouse_that_stays_away(tmp_path: Path, own_postgres: Server) -> None:
    """After ``fault_deadline_s`` without its warehouse a sync ends with exit code 4; the same command goes on."""
    with SandboxProcess(executions=120, seed=71, freeze=True) as sandbox:
        place = PostgresPlace(
            tmp_path,
            sandbox,
            own_postgres,
            integrations=None,
            fault_deadline_s=3.0,
            rate_limit_requests=LIMIT,
            rate_limit_period_s=PERIOD_S,
        )
        place.makes_views = False
        running = place.start("sync", "paragon", *ON_POSTGRES)
        wait_for_requests(sandbox, 60)
        own_postgres.shut_down()
        began = time.monotonic()
        _, err = running.communicate(timeout=300)
        assert running.returncode == ExitCode.UNAVAILABLE, err
        assert time.monotonic() - began >= 3.0
        assert "warehouse_disconnected" in err
        own_postgres.start()
        assert ended(place.start("sync", "paragon", "--json", *ON_POSTGRES))["complete"]
        assert place.executions() == truth(sandbox)


@pytest.mark.torture
def test_an_outage_longer_than_the_deadline(tmp_path: Path, own_postgres: Server) -> None:
    """Not before ``fault_deadline_s`` runs end with exit code 4, with what they read; the same command goes on."""
    deadline_s = 4.0
    with machines(tmp_path, own_postgres, executions=120, number=2, fault_deadline_s=deadline_s) as (
        sandbox,
        places,
    ):
        running = [place.start("sync", "paragon", "--json") for place in places]
        # No machine is done by then, however late the other one began.
        wait_for_requests(sandbox, 100)
        own_postgres.shut_down()
        began = time.monotonic()
        for process in running:
            out, err = process.communicate(timeout=300)
            assert time.monotonic() - began >= deadline_s
            assert process.returncode == ExitCode.UNAVAILABLE, err
            assert "cannot be reached" in json.loads(out)["error"]
            assert "goes on where it stopped" in err
        for place in places:
            assert place.query("SELECT outcome FROM paragon.sync_runs") == [("failed",)]
        own_postgres.start()
        assert all(ended(place.start("sync", "paragon", "--json"))["complete"] for place in places)
        # What the threads had under way as each run ended is read again.
        check_all(sandbox, places, again=8 * CONCURRENCY * len(places))


def test_connections_that_end_at_any_byte(
    vendor: Vendor, own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut within a statement, or between a commit and its answer: two machines stay within the limit and go on."""
    with CuttingProxy(own_postgres.port, seed=3, most_bytes=10_000) as proxy:
        monkeypatch.setenv("TASK_HISTORY_STATE", proxy.url(own_postgres.url))
        workers = [
            worker(name, vendor, None, limit=40, period_s=1.0, threads=4, seconds=5.0) for name in ("a", "b")
        ]
        assert [process.wait(90) for process in workers] == [0, 0]
        assert proxy.cuts >= 10
    assert most_in_a_period(vendor.times, 1.0) <= 40
    assert {name for _, name in vendor.arrivals[len(vendor.arrivals) // 2 :]} == {"a", "b"}
