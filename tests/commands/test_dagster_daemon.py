"""Six accounts on three keys under Dagster's own daemon: schedules, a backfill by months, and workers that are killed."""

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
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_dagster import dagster_environment
from tests.commands.test_fleet import add_account
from tests.destinations.postgres.conftest import postgres  # noqa: F401 - a fixture
from tests.destinations.postgres.server import Server
from tests.support import environments
from tests.support.place import Place, truth

LIMIT, PERIOD_S = 100, 5.0
KILLS = 2
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
FINISHED_RUNS = """
query { runsOrError(limit: 500) { ... on Runs { results { jobName status } } } }
"""


class Dagster:
    """``dagster dev``: daemon, web server and code location of one place."""

    def __init__(self, place: Place, home: Path) -> None:
        home.mkdir()
        (home / "dagster.yaml").write_text(
            "concurrency:\n  pools:\n    default_limit: 1\n  runs:\n    max_concurrent_runs: 4\n"
            "telemetry:\n  enabled: false\nrun_retries:\n  enabled: true\n  max_retries: 3\n"
        )
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
                env=dagster_environment(place, home),
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


def commands_at_work(folder: Path) -> list[int]:
    """The processes of ``task-history sync`` and ``backfill`` that run in that folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or (entry / "cwd").readlink() != folder:
                continue
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"task_history_cli.cli" in words and {b"sync", b"backfill"} & set(words):
                found.append(int(entry.name))
    return found


@pytest.mark.torture
def test_six_accounts_on_three_keys(tmp_path: Path, postgres: Server) -> None:  # noqa: F811
    """No request beyond a key's limit, every account equal to its vendor, whatever is killed meanwhile."""
    now = datetime.now(UTC).replace(microsecond=0)
    with ExitStack() as stack:
        vendors = [
            stack.enter_context(
                SandboxProcess(
                    executions=240,
                    days=80,
                    seed=seed,
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
            schedule="* * * * *",
            start_date=(now - timedelta(days=15)).isoformat(),
            rate_limit_requests=LIMIT,
            rate_limit_period_s=PERIOD_S,
        )
        place.env["TASK_HISTORY_STATE"] = postgres.url
        owners = {"paragon": vendors[0]}
        for instance, vendor in zip(("a", "b", "c", "d", "e"), vendors[:1] + vendors[1:] * 2, strict=True):
            add_account(place, instance, vendor)
            owners[f"paragon_{instance}"] = vendor
        dagster = Dagster(place, tmp_path / "dagster")
        stack.callback(dagster.stop)
        months = sorted({(now - timedelta(days=days)).strftime("%Y-%m-01") for days in (20, 45, 70)})
        launched = dagster.wait(
            lambda: dagster.query(
                LAUNCH,
                assets=[{"path": ["paragon", "backfill"]}, {"path": ["paragon_b", "backfill"]}],
                months=months,
            ),
            "no web server",
        )["launchPartitionBackfill"]
        assert "backfillId" in launched, launched
        for _ in range(KILLS):
            victim = dagster.wait(lambda: commands_at_work(tmp_path), "no command runs")[0]
            os.kill(victim, signal.SIGKILL)
            time.sleep(5)
        identity = launched["backfillId"]
        dagster.wait(
            lambda: dagster.query(PROGRESS, id=identity)["partitionBackfillOrError"]["status"].startswith(
                "COMPLETED"
            ),
            "the backfill does not end",
        )
        assert (
            dagster.query(PROGRESS, id=identity)["partitionBackfillOrError"]["status"] == "COMPLETED_SUCCESS"
        )

        def are_all_synced() -> bool:
            runs = dagster.query(FINISHED_RUNS)["runsOrError"]["results"]
            return {f"{dataset}_scheduled_sync" for dataset in owners} <= {
                run["jobName"] for run in runs if run["status"] == "SUCCESS"
            }

        dagster.wait(are_all_synced, "a schedule did not run")
        dagster.stop()
        place.run("fleet", "sync", "--jobs", "1")
        for vendor in vendors:
            counters = vendor.counters()
            assert counters["violations"] == 0
            assert counters["peak"] <= LIMIT
        oldest = {"paragon": min(months), "paragon_b": min(months)}
        for dataset, vendor in owners.items():
            since = oldest.get(dataset, (now - timedelta(days=15)).isoformat())
            expected = {
                identity: row for identity, row in truth(vendor).items() if row["dateStarted"] >= since[:10]
            }
            stored = {
                identity: row
                for identity, row in place.executions(dataset).items()
                if row["dateStarted"] >= since[:10]
            }
            if dataset in oldest:
                assert stored == expected
            else:
                assert stored.items() <= expected.items()
                assert len(stored) >= 0.8 * len(expected)
