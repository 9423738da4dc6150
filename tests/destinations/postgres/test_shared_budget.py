"""The budget of several machines in one Postgres: what it promises, on servers, processes and kills that are real."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from task_history.client.rate_limit import Budget, usage
from task_history.core.errors import ConfigurationError, StateUnavailable, Stopped
from task_history.core.exit_codes import ExitCode
from task_history.core.stop import StopSignal
from task_history.state.postgres import Connection, SharedState, Unreachable
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import PASSWORD, Server
from tests.support.budgets import (
    KEY,
    ORIGIN,
    ManualClock,
    Vendor,
    check_shared_budget,
    most_in_a_period,
    no_wait,
    wait_for_full_use,
    worker,
)
from tests.support.place import Place
from tests.support.torture import rest_as_torture

MOVED_CLOCK = """
import time
_time, _gettime = time.time, time.clock_gettime
time.time = lambda: _time() + {seconds}
time.clock_gettime = lambda clock: _gettime(clock) + {seconds} + 1000
"""


@pytest.fixture
def budget_url(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shared state of this process, empty."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS task_history_state CASCADE")
    monkeypatch.setenv("TASK_HISTORY_STATE", postgres.url)
    return postgres.url


def budget(*, limit: int = 3, period_s: float = 10.0, **options: Any) -> Budget:
    return Budget(limit, period_s, origin=ORIGIN, key=KEY, **options)


def take_all(own: Budget) -> int:
    """Sends until there is nothing left; how many it were."""
    for count in range(10_000):
        try:
            own.reserve(no_wait).done()
        except Stopped:
            return count
    raise AssertionError("no end")


@contextmanager
def moved_clock(folder: Path, seconds: float) -> Iterator[dict[str, str]]:
    """The environment of a process whose clocks are off by so much."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(MOVED_CLOCK.format(seconds=seconds))
    yield {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[3])])}


# One process.


def test_two_stores_count_in_one_place(budget_url: str) -> None:
    """What one connection spends, another one of the same key has not; another key has all of its own."""
    first, second = budget(limit=5), budget(limit=5)
    first.reserve(no_wait).done()
    in_flight = second.reserve(no_wait)
    assert first.usage().used == 2
    assert take_all(first) == 3
    assert take_all(second) == 0
    assert take_all(Budget(5, 10.0, origin=ORIGIN, key="another")) == 5
    in_flight.done()
    found = usage(5, 10.0, origin=ORIGIN, key=KEY)
    assert (found.used, found.left) == (5, 0)
    assert 9.0 < found.next_free_in_s <= 10.1


def test_looking_makes_nothing(budget_url: str) -> None:
    """Without a request there is no schema, and ``status`` makes none."""
    assert usage(7, 10.0, origin=ORIGIN, key=KEY).left == 7
    with psycopg.connect(budget_url) as connection:
        assert connection.execute("SELECT to_regnamespace('task_history_state')").fetchone() == (None,)


def test_without_a_limit_nothing_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit 0 asks no server, not even one that is not there."""
    monkeypatch.setenv("TASK_HISTORY_STATE", "postgresql://127.0.0.1:1/none")
    own = budget(limit=0)
    for _ in range(1_000):
        own.reserve(no_wait).done()
    assert own.usage().left is None


def test_the_servers_clock_decides(budget_url: str) -> None:
    """Machines whose clocks are a day apart see the same slots taken, and the same one free."""
    ahead, behind = ManualClock(), ManualClock()
    ahead.sleep(86_400.0)
    first, second = budget(limit=2, clock=ahead), budget(limit=2, clock=behind)
    first.reserve(no_wait).done()
    second.reserve(no_wait).done()
    assert take_all(first) == take_all(second) == 0
    assert first.usage().used == second.usage().used == 2


def test_a_clock_of_the_server_that_is_set_back_costs_one_period_at_most(budget_url: str) -> None:
    """What was written by a clock that was then set back by a day counts as just now, not for a day."""
    own = budget(limit=2, period_s=1.0)
    assert take_all(own) == 2
    with psycopg.connect(budget_url, autocommit=True) as connection:
        day = 86_400
        connection.execute(
            "UPDATE task_history_state.slots SET reserved = reserved + %s, answered = answered + %s",
            (day, day),
        )
        connection.execute(
            "UPDATE task_history_state.notes SET written = written + %s, hold = hold + %s", (day, day)
        )
    began = time.monotonic()
    own.reserve(time.sleep).done()
    assert time.monotonic() - began < 30.0
    assert own.usage().next_free_in_s <= 1.1


def test_a_hold_is_everybodys(budget_url: str) -> None:
    """After a 429 no machine sends before the vendor allows it; a shorter hold does not shorten it."""
    first, second = budget(), budget()
    first.hold(42.0)
    first.hold(1.0)
    with pytest.raises(Stopped, match=r"would wait 4[12]\."):
        second.reserve(no_wait)
    assert 40.0 < usage(3, 10.0, origin=ORIGIN, key=KEY).hold_s <= 42.0


def test_a_lost_connection_gives_nothing_back(budget_url: str) -> None:
    """A process whose connection is ended by the server takes another: its request under way keeps its slot."""
    own, other = budget(limit=2, period_s=1.0), budget(limit=2, period_s=1.0)
    in_flight = own.reserve(no_wait)
    with psycopg.connect(budget_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
        )
    own.reserve(time.sleep).done()
    time.sleep(2.5)
    # Two are free by time, one is still under way.
    other.reserve(time.sleep).done()
    with pytest.raises(Stopped):
        other.reserve(no_wait)
    in_flight.done()
    assert other.usage().used == 2


def test_the_key_is_nowhere(budget_url: str) -> None:
    """Neither the key nor the origin stands in the tables or the object, nor the server's password."""
    own = budget()
    take_all(own)
    seen = repr(own) + str(vars(own))
    with psycopg.connect(budget_url) as connection:
        for table in ("budgets", "notes", "slots", "waiting"):
            seen += str(connection.execute(f"SELECT * FROM task_history_state.{table}").fetchall())
    assert [text for text in (KEY, ORIGIN, PASSWORD) if text in seen] == []


def test_many_that_come_first_make_the_tables_once(budget_url: str) -> None:
    """Twelve connections at once into an empty database: each finds the tables, none fails."""
    errors: list[Exception] = []

    def connect() -> None:
        try:
            Connection(SharedState(budget_url)).close()
        except Exception as error:  # noqa: BLE001 - told by the assertion
            errors.append(error)

    threads = [threading.Thread(target=connect) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with psycopg.connect(budget_url) as connection:
        assert connection.execute("SELECT version FROM task_history_state.version").fetchall() == [(1,)]


# What a user has to set right.


@pytest.fixture(scope="module")
def guarded(postgres_of_the_file: Server) -> Server:
    """A server that asks for passwords, and has a user who may do nothing."""
    with psycopg.connect(postgres_of_the_file.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    postgres_of_the_file.require_passwords()
    return postgres_of_the_file


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://h/d", "must read postgresql://"),
        ("postgresql://user:{password}@127.0.0.1:none/d", "must read postgresql://"),
        ("postgresql://user:{password}@127.0.0.1/d?colour=red", "must read postgresql://"),
        ("postgresql://user:{password}%ZZ@127.0.0.1/d", "must read postgresql://"),
        ("postgresql://tests:{password}@127.0.0.1:{port}/none", 'database "none" does not exist'),
        ("postgresql://reader:wrong-{password}@127.0.0.1:{port}/postgres", "password authentication failed"),
        ("postgresql://reader:{password}@127.0.0.1:{port}/postgres", "permission denied"),
        ("postgresql://reader:{password}@no-such-host.invalid/postgres", "no-such-host.invalid"),
    ],
    ids=["scheme", "port", "option", "percent", "database", "password", "rights", "host"],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    guarded: Server, tmp_path: Path, url: str, told: str
) -> None:
    """A wrong address, password, database or right ends with exit code 3 before a request, without the password."""
    with SandboxProcess(executions=10, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, rate_limit_requests=100)
        place.env["TASK_HISTORY_STATE"] = url.format(password=PASSWORD, port=guarded.port)
        done = place.run("check", "paragon", expect=ExitCode.CONFIGURATION)
        assert sandbox.requests() == []
    shown = done.stdout + done.stderr
    assert told in shown
    assert "TASK_HISTORY_STATE" in shown
    assert PASSWORD not in shown
    assert "Traceback" not in shown


def test_without_psycopg_the_extra_is_named(budget_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where psycopg is not installed the error says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"task-history\[fleet\]"):
        budget()


def test_tables_of_a_newer_version_are_left_alone(budget_url: str) -> None:
    """A machine of an earlier version says so, and counts nothing."""
    take_all(budget())
    with psycopg.connect(budget_url, autocommit=True) as connection:
        connection.execute("UPDATE task_history_state.version SET version = 99")
    with pytest.raises(ConfigurationError, match="version 99"):
        budget().reserve(no_wait)


# A server that is away.


def test_a_server_that_stays_away_ends_the_run(own_postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before ``fault_deadline_s``, and then with the reason and exit code 4."""
    monkeypatch.setenv("TASK_HISTORY_STATE", own_postgres.url)
    own = budget(limit=100, fault_deadline_s=3.0)
    own.reserve(no_wait).done()
    own_postgres.shut_down()
    began = time.monotonic()
    with pytest.raises(StateUnavailable, match=r"cannot be reached for \d+ s") as raised:
        own.reserve(time.sleep)
    assert time.monotonic() - began >= 3.0
    assert raised.value.exit_code == ExitCode.UNAVAILABLE
    assert PASSWORD not in str(raised.value)
    with pytest.raises(StateUnavailable):
        usage(100, 10.0, origin=ORIGIN, key=KEY)
    own_postgres.start()
    time.sleep(1.5)
    own.reserve(time.sleep).done()
    assert own.usage().used == 2


def test_a_stop_ends_the_wait_for_a_server_that_hangs(
    own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is suspended holds up a request, and not the end of the run."""
    monkeypatch.setenv("TASK_HISTORY_STATE", own_postgres.url)
    own = budget(limit=100)
    own.reserve(no_wait).done()
    stop = StopSignal()
    own_postgres.signal(signal.SIGSTOP)
    try:
        threading.Timer(1.0, stop.request, ("SIGTERM",)).start()
        with pytest.raises(Stopped, match="SIGTERM"):
            own.reserve(stop.wait)
    finally:
        own_postgres.signal(signal.SIGCONT)


def test_a_crash_of_the_server_counts_as_a_spent_budget(
    own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash lost may have been the whole budget: nobody sends for a period."""
    monkeypatch.setenv("TASK_HISTORY_STATE", own_postgres.url)
    own = budget(limit=5, period_s=60.0)
    own.reserve(no_wait).done()
    own_postgres.crash()
    own_postgres.start()
    with pytest.raises(Stopped, match=r"would wait (60|5\d)\."):
        own.reserve(lambda seconds: time.sleep(seconds) if seconds < 5 else no_wait(seconds))


# Processes.


def test_three_machines_share_one_budget(vendor: Vendor, budget_url: str, tmp_path: Path) -> None:
    """Three processes whose clocks are 90 s apart: no period sees more than the limit, and it is used."""
    vendor.latency_s = 0.02
    with moved_clock(tmp_path / "ahead", 90.0) as ahead, moved_clock(tmp_path / "behind", -90.0) as behind:
        workers = [
            worker(
                str(i), vendor, None, limit=40, period_s=2.0, threads=8, seconds=600, environment=environment
            )
            for i, environment in enumerate(({}, ahead, behind))
        ]
        try:
            wait_for_full_use(lambda: vendor.times, limit=40, period_s=2.0, periods=3)
            while {name for _, name in list(vendor.arrivals)} != {"0", "1", "2"}:
                assert [w.poll() for w in workers] == [None] * 3
                time.sleep(0.1)
        finally:
            for w in workers:
                w.kill()
                w.wait()
    assert most_in_a_period(vendor.times, 2.0) <= 40


def test_a_killed_process_neither_frees_nor_keeps_its_slots(vendor: Vendor, budget_url: str) -> None:
    """Requests in flight at SIGKILL still count for a period, and are free again soon after."""
    vendor.latency_s = 5.0
    victim = worker("victim", vendor, None, limit=8, period_s=2.0, threads=8, seconds=60)
    vendor.wait_for(8)
    victim.kill()
    victim.wait()
    killed = time.monotonic()
    vendor.latency_s = 0.0
    heir = worker("heir", vendor, None, limit=8, period_s=2.0, threads=4, seconds=7.0)
    assert heir.wait(60) == 0
    assert most_in_a_period(vendor.times, 2.0) <= 8
    heirs = [at for at, name in vendor.arrivals if name == "heir"]
    assert heirs[0] - killed > 2.0
    assert len(heirs) >= 8


@pytest.mark.parametrize("kind", rest_as_torture(["suspended", "stopped", "crashed"], ["suspended"]))
def test_a_server_that_is_away_for_some_seconds(
    vendor: Vendor, own_postgres: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Amid the work of two processes: both pause, no period sees more than the limit, and both go on."""
    monkeypatch.setenv("TASK_HISTORY_STATE", own_postgres.url)
    vendor.latency_s = 0.05
    workers = [
        worker(name, vendor, None, limit=40, period_s=2.0, threads=4, seconds=600.0) for name in ("a", "b")
    ]
    try:
        vendor.wait_for(60)
        if kind == "suspended":
            own_postgres.signal(signal.SIGSTOP)
        elif kind == "stopped":
            own_postgres.shut_down()
        else:
            own_postgres.crash()
        time.sleep(6.0)
        if kind == "suspended":
            own_postgres.signal(signal.SIGCONT)
        else:
            own_postgres.start()
        back = time.monotonic()
        deadline = back + 120
        while not _both_go_on(since := [name for at, name in list(vendor.arrivals) if at > back]):
            assert [w.poll() for w in workers] == [None, None]
            assert time.monotonic() < deadline, since
            time.sleep(0.1)
    finally:
        for w in workers:
            w.kill()
            w.wait()
    assert most_in_a_period(vendor.times, 2.0) <= 40


def _both_go_on(names: list[str]) -> bool:
    """Whether both processes have sent requests, for more than a period."""
    return set(names) == {"a", "b"} and len(names) > 60


@pytest.mark.torture
@pytest.mark.parametrize(
    ("limit", "period_s", "periods"),
    [(20, 3.0, 1), (100, 5.0, 3)],
    ids=["short", "long"],
)
def test_two_machines_sync_one_account_within_its_limit(
    postgres: Server, tmp_path: Path, budget_url: str, limit: int, period_s: float, periods: int
) -> None:
    """Two state folders and one Postgres, clocks 90 s apart, one sync killed: no 429, and the limit is used."""
    with (
        SandboxProcess(executions=5_000, seed=21, freeze=True, limit=limit, period_s=period_s) as sandbox,
        moved_clock(tmp_path / "clock", 90.0) as moved,
    ):
        places = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            place = Place(
                tmp_path / name,
                sandbox,
                rate_limit_requests=limit,
                rate_limit_period_s=period_s,
                integrations=None,
            )
            place.env["TASK_HISTORY_STATE"] = postgres.url
            place.makes_views = False
            places.append(place)
        places[1].env |= moved
        check_shared_budget(sandbox, places, limit=limit, period_s=period_s, periods=periods)
        assert not (tmp_path / "a" / "state").exists()


def test_an_unreachable_server_is_told_apart_from_a_refusal(budget_url: str) -> None:
    """Where nothing listens it may yet come: that is no wrong setting."""
    with pytest.raises(Unreachable):
        Connection(SharedState("postgresql://tests@127.0.0.1:1/postgres"))
