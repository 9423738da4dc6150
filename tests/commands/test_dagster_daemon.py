"""Accounts under Dagster's own daemon: hourly schedules on a moved clock, backfills by months, processes killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_dagster import dagster_environment
from tests.destinations.postgres.conftest import own_postgres, postgres, postgres_of_all_tests  # noqa: F401 - fixtures
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import PostgresPlace
from tests.support import environments
from tests.support.budgets import wait_for_full_use
from tests.support.place import Place, truth

LIMIT, PERIOD_S = 100, 5.0
KILLS, HOURS = 2, 4
LAUNCH = """
mutation ($assets: [AssetKeyInput!], $months: [String!]) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $months, fromFailure: false}) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
PROGRESS = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""
TERMINATE = """
mutation ($id: String!) { terminateRun(runId: $id) { __typename } }
"""
RUNS = """
query { runsOrError(limit: 500) { ... on Runs { results { runId jobName status parentRunId } } } }
"""
LIMITS = """
query { instance { concurrencyLimits { concurrencyKey slotCount } } }
"""
# Dagster's own functions that its tests move; the processes of the command have no Dagster and keep the real clock.
MOVED_CLOCK = """
from contextlib import suppress
from datetime import datetime
from pathlib import Path
with suppress(ImportError):
    from dagster import _time
    def now():
        return datetime.fromisoformat(Path(__file__).with_name("now").read_text())
    _time._mockable_get_current_datetime = now
    _time._mockable_get_current_timestamp = lambda: now().timestamp()
"""


class Dagster:
    """``dagster dev``: daemon, web server and code location of one place; their clock stands until it is set."""

    def __init__(self, place: Place, home: Path, now: datetime) -> None:
        home.mkdir()
        (home / "dagster.yaml").write_text(
            "concurrency:\n  pools:\n    granularity: run\n  runs:\n    max_concurrent_runs: 4\n"
            "telemetry:\n  enabled: false\nrun_retries:\n  enabled: true\n  max_retries: 3\n"
        )
        self._clock = home / "clock"
        self._clock.mkdir()
        (self._clock / "sitecustomize.py").write_text(MOVED_CLOCK)
        self.set_clock(now)
        environment = dagster_environment(place, home)
        environment["PYTHONPATH"] = os.pathsep.join([str(self._clock), environment["PYTHONPATH"]])
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._log = home / "dagster.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(environments.dagster_python()),
                    *("-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(self._port)),
                    *("-m", "task_history_cli.fleet.definitions"),
                ],
                cwd=place.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ends it; the commands that it runs commit what they have read."""
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=120)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def set_clock(self, now: datetime) -> None:
        """Moves the clock of all processes of Dagster."""
        fresh = self._clock / "next"
        fresh.write_text(now.isoformat())
        fresh.replace(self._clock / "now")

    def runs(self) -> list[dict[str, Any]]:
        """All runs."""
        data = self.query(RUNS)
        return data["runsOrError"]["results"] if data else []

    def backfill(self, datasets: list[str], months: list[str]) -> str:
        """Launches the months' partitions as the UI does, once the limits of the pools are set; its id."""
        self.wait(self.limits, "no limits of pools")
        launched = self.query(
            LAUNCH, assets=[{"path": [dataset, "backfill"]} for dataset in datasets], months=months
        )["launchPartitionBackfill"]
        assert "backfillId" in launched, launched
        return str(launched["backfillId"])

    def limits(self) -> dict[str, int]:
        """The limits of the pools."""
        data = self.query(LIMITS)
        found = data["instance"]["concurrencyLimits"] if data else []
        return {limit["concurrencyKey"]: limit["slotCount"] for limit in found}

    def wait_for_backfill(self, identity: str) -> None:
        """Waits until the backfill has ended well."""

        def status() -> str:
            data = self.query(PROGRESS, id=identity)
            return str(data["partitionBackfillOrError"]["status"]) if data else ""

        self.wait(lambda: status().startswith("COMPLETED"), "the backfill does not end")
        assert status() == "COMPLETED_SUCCESS"

    def query(self, text: str, **variables: Any) -> Any:
        """The data of a GraphQL answer; None while the web server is not there."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/graphql",
            json.dumps({"query": text, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None
        assert "errors" not in found, found
        return found["data"]

    def wait(self, condition: Callable[[], Any], what: str, within_s: float = 900) -> Any:
        """What the condition gives once it gives something."""
        end = time.monotonic() + within_s
        while not (value := condition()):
            assert self._process.poll() is None, self._log.read_text()[-5000:]
            assert time.monotonic() < end, f"{what}: {self._log.read_text()[-5000:]}"
            time.sleep(0.5)
        return value


def half_past() -> datetime:
    """Half past the present hour, a second before a minute: at each minute Dagster looks which schedules are due."""
    return datetime.now(UTC).replace(minute=30, second=59, microsecond=0)


def commands_at_work(folder: Path, *commands: bytes) -> list[int]:
    """The processes of these commands of ``task-history`` that run in that folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or (entry / "cwd").readlink() != folder:
                continue
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"task_history_cli.cli" in words and {*commands} & {*words}:
                found.append(int(entry.name))
    return found


@pytest.mark.torture
def test_six_accounts_on_three_keys(tmp_path: Path, postgres: Server) -> None:  # noqa: F811
    """No request beyond a key's limit, one sync of each account an hour, all equal to the vendor, whatever is killed."""
    began = half_past()
    first = (began - timedelta(days=15)).strftime("%Y-%m-%d")
    with ExitStack() as stack:
        vendors = [
            stack.enter_context(
                SandboxProcess(
                    executions=900,
                    days=80,
                    future_hours=HOURS + 1,
                    seed=seed,
                    now=began.isoformat(),
                    freeze=True,
                    limit=LIMIT,
                    period_s=PERIOD_S,
                    api_key=f"key-{seed}",
                )
            )
            for seed in (1, 2, 3)
        ]
        place = Place(
            tmp_path,
            vendors[0],
            integrations=None,
            start_date=first,
            rate_limit_requests=LIMIT,
            rate_limit_period_s=PERIOD_S,
        )
        place.env["TASK_HISTORY_STATE"] = postgres.url
        owners = {"paragon": vendors[0]}
        for instance, vendor in zip(("a", "b", "c", "d", "e"), vendors[:1] + vendors[1:] * 2, strict=True):
            place.add_account(instance, vendor)
            owners[f"paragon_{instance}"] = vendor
        dagster = Dagster(place, tmp_path / "dagster", began)
        stack.callback(dagster.stop)
        months = sorted({(began - timedelta(days=days)).strftime("%Y-%m-01") for days in (20, 45, 70)})
        backfill = dagster.backfill(["paragon", "paragon_b"], months)
        for _ in range(KILLS):
            victim = dagster.wait(
                lambda: commands_at_work(tmp_path, b"sync", b"backfill"), "no command runs"
            )[0]
            os.kill(victim, signal.SIGKILL)
            time.sleep(5)

        def syncs() -> Counter[str]:
            """How often the schedule of each account has begun a run; those that are tried again count once."""
            return Counter(
                run["jobName"]
                for run in dagster.runs()
                if run["jobName"].endswith("_scheduled_sync") and run["parentRunId"] is None
            )

        for hour in range(1, HOURS + 1):
            for vendor in vendors:
                vendor.advance(3600)
            dagster.set_clock(began + timedelta(hours=hour))
            # Each is begun once, also where the one of the hour before has not ended.
            wanted = hour * len(owners)
            dagster.wait(partial(lambda number: syncs().total() >= number, wanted), f"no sync of hour {hour}")
        dagster.wait_for_backfill(backfill)
        ended = {"SUCCESS", "FAILURE", "CANCELED"}
        dagster.wait(lambda: {run["status"] for run in dagster.runs()} <= ended, "a run does not end")
        assert syncs() == {f"{dataset}_scheduled_sync": HOURS for dataset in owners}
        dagster.stop()
        place.run("fleet", "sync", "--jobs", "1")
        for vendor in vendors:
            counters = vendor.counters()
            assert counters["violations"] == 0
            assert counters["peak"] <= LIMIT
        for dataset, vendor in owners.items():
            since = min(months) if dataset in {"paragon", "paragon_b"} else first
            right = {identity: row for identity, row in truth(vendor).items() if row["dateStarted"] >= since}
            assert place.executions(dataset) == right
            details = place.query(f"SELECT id FROM {dataset}.execution_details")
            assert len(details) == len(set(details))


@pytest.mark.torture
def test_accounts_of_one_key_use_all_of_its_budget(tmp_path: Path, postgres: Server) -> None:  # noqa: F811
    """While there is work, at least 95 % of what the key allows is used by the accounts together, and never more."""
    began = half_past()
    with SandboxProcess(
        executions=2_500,
        days=40,
        seed=5,
        now=began.isoformat(),
        freeze=True,
        limit=LIMIT,
        period_s=PERIOD_S,
    ) as vendor:
        place = Place(
            tmp_path, vendor, integrations=None, rate_limit_requests=LIMIT, rate_limit_period_s=PERIOD_S
        )
        place.env["TASK_HISTORY_STATE"] = postgres.url
        place.add_account("b", vendor)
        dagster = Dagster(place, tmp_path / "dagster", began)
        try:
            dagster.backfill(["paragon", "paragon_b"], [(began - timedelta(days=31)).strftime("%Y-%m-01")])
            dagster.wait(lambda: len(commands_at_work(tmp_path, b"backfill")) == 2, "not two at once")
            wait_for_full_use(
                lambda: [request["at"] for request in vendor.requests()],
                limit=LIMIT,
                period_s=PERIOD_S,
                periods=5,
            )
        finally:
            dagster.stop()
        counters = vendor.counters()
    assert counters["violations"] == 0
    assert counters["peak"] <= LIMIT


@pytest.mark.torture
def test_two_months_at_once(tmp_path: Path, own_postgres: Server) -> None:  # noqa: F811
    """Of the months of an account's backfill two are loaded at a time where the warehouse takes it; all are complete."""
    began = half_past()
    with SandboxProcess(executions=600, days=150, seed=4, now=began.isoformat(), freeze=True) as vendor:
        place = PostgresPlace(
            tmp_path, vendor, own_postgres, integrations=None, payloads="none", retention_days="200"
        )
        place.env |= {"TASK_HISTORY_STATE": own_postgres.url, "TASK_HISTORY_DESTINATION": "postgres"}
        dagster = Dagster(place, tmp_path / "dagster", began)
        try:
            vendor.post("latency", {"ms": 2_000})
            months = sorted(
                {(began - timedelta(days=days)).strftime("%Y-%m-01") for days in (20, 50, 80, 110)}
            )
            backfill = dagster.backfill(["paragon"], months)
            assert dagster.limits() == {"paragon_sync": 1, "paragon_backfill": 2}
            dagster.wait(lambda: len(commands_at_work(tmp_path, b"backfill")) == 2, "not two at once")
            end = time.monotonic() + 30
            while time.monotonic() < end:
                assert len(commands_at_work(tmp_path, b"backfill")) == 2
                time.sleep(1)
            vendor.post("latency", {"ms": 0})
            dagster.wait_for_backfill(backfill)
        finally:
            dagster.stop()
        right = {identity: row for identity, row in truth(vendor).items() if row["dateStarted"] >= months[0]}
        stored = place.executions()
        # The present month ends before now.
        assert stored.items() <= right.items()
        assert {row["id"] for row in right.values() if row["dateStarted"] < months[-1]} <= stored.keys()
        assert vendor.counters()["reads_more_than_once"] == []


@pytest.mark.torture
def test_a_run_that_is_terminated_in_the_ui(tmp_path: Path) -> None:
    """Terminating a run ends its command by SIGTERM, with what it has read; the next run goes on."""
    began = half_past()
    with SandboxProcess(executions=200, days=40, seed=4, now=began.isoformat(), freeze=True) as vendor:
        place = Place(tmp_path, vendor, integrations=None, payloads="none")
        dagster = Dagster(place, tmp_path / "dagster", began)
        try:
            vendor.post("latency", {"ms": 1_000})
            dagster.backfill(["paragon"], [(began - timedelta(days=31)).strftime("%Y-%m-01")])
            dagster.wait(lambda: vendor.counters().get("execution", 0) > 10, "no details are read")
            (run,) = [run["runId"] for run in dagster.runs() if run["status"] == "STARTED"]
            dagster.query(TERMINATE, id=run)
            dagster.wait(lambda: not commands_at_work(tmp_path, b"backfill"), "the command does not end")
            dagster.wait(lambda: dagster.runs()[0]["status"] == "CANCELED", "the run does not end")
        finally:
            dagster.stop()
        assert place.query("SELECT outcome, reason FROM paragon.sync_runs") == [("stopped", "SIGTERM")]
        ((details,),) = place.query("SELECT count(*) FROM paragon.execution_details")
        assert details > 0
