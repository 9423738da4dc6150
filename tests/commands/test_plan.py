"""A plan says beforehand what a backfill costs, for at most five requests."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history.core.models import Scope, Window
from task_history.runs.estimate_formulas import ExecutionCounts, details, list_requests, seconds
from task_history.runs.pace import Pace
from task_history.runs.plan import at_risk
from task_history.warehouse.averages import Averages
from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_backfill import MONTH, NOW, backfill
from tests.support.place import Place

DAY = timedelta(days=1)


def plan(place: Place, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run("plan", "paragon", "--json", *words).stdout)
    return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=2_500, seed=81, days=75, now=NOW, freeze=True) as server:
        yield server


def _ranges(rng: random.Random, number: int) -> Iterator[tuple[str, str]]:
    first = datetime(2026, 8, 8, tzinfo=UTC)
    for _ in range(number):
        start = first + timedelta(hours=rng.randrange(0, 60 * 24))
        end = start + timedelta(hours=rng.randrange(12, 10 * 24))
        yield start.strftime("%Y-%m-%dT%H:%M"), end.strftime("%Y-%m-%dT%H:%M")


def _predictions_hold(folder: Path, sandbox: SandboxProcess, number: int) -> None:
    rng = random.Random(7)
    for at, (start, end) in enumerate(_ranges(rng, number)):
        place_folder = folder / str(at)
        place_folder.mkdir()
        place = Place(place_folder, sandbox, retention_days=0, integrations=None)
        words: tuple[str, ...] = (
            "--from",
            start,
            "--to",
            end,
            "--steps",
            rng.choice(["failed", "none", "all"]),
        )
        words = (*words, "--payloads", rng.choice(["failed", "none"]))
        sandbox.reset_counters()
        predicted = plan(place, *words)
        assert predicted["asked"] <= 5
        assert (
            sum(sandbox.counters().get(kind, 0) for kind in ("list", "execution", "payload"))
            == predicted["asked"]
        )
        sandbox.reset_counters()
        done = backfill(place, *words)
        assert abs(done["requests"] - predicted["requests"]) <= max(1, 0.05 * done["requests"]), (
            words,
            predicted,
        )


def test_predicted_requests_are_those_that_are_sent(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """On ranges at random the prediction is within 5 % of what a backfill then sends, for at most 5 requests."""
    _predictions_hold(tmp_path, sandbox, 2)


@pytest.mark.torture
def test_predictions_in_a_large_world(tmp_path: Path) -> None:
    """The same on ten ranges of a world of 300,000."""
    with SandboxProcess(executions=300_000, seed=82, days=75, now=NOW, freeze=True) as large:
        _predictions_hold(tmp_path, large, 10)


def test_what_is_covered_costs_nothing(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """A covered month needs no request to plan and none to load; steps of what is held are counted from it."""
    place = Place(tmp_path, sandbox, retention_days=0, integrations=None)
    backfill(place, *MONTH, "--steps", "none")
    found = plan(place, *MONTH, "--steps", "failed")
    failed = place.query("SELECT count(*) FROM paragon.workflow_executions WHERE status = 'FAILED'")[0][0]
    assert (found["asked"], found["executions"]) == (0, 0)
    assert found["requests_by_kind"] == {"list": 0, "execution": failed, "payload": failed, "integration": 0}
    wider = plan(place, "--from", "2026-08-20", "--to", "2026-10-10", "--steps", "none")
    assert len(wider["gaps"]) == 2
    assert (
        wider["covered_executions"] == place.query("SELECT count(*) FROM paragon.workflow_executions")[0][0]
    )


def test_a_plan_speaks_to_a_person(tmp_path: Path) -> None:
    """It names rows, requests, time, size, how sure it is, and the command that does it."""
    with SandboxProcess(executions=30_000, seed=81, days=75, now=NOW, freeze=True) as large:
        place = Place(tmp_path, large, retention_days=0, rate_limit_requests=1000, rate_limit_period_s=600)
        told = place.run("plan", "paragon", *MONTH, "--status", "FAILED").stdout
    for words in (
        "executions",
        "requests",
        "a guess",
        "1,000 requests in 10 minutes",
        "MB",
        "--status FAILED",
        "Nothing was",
    ):
        assert words in told


def test_a_vendor_that_does_not_count_is_estimated(tmp_path: Path) -> None:
    """Without ``total`` the plan says that it is an estimate, from how dense the first page is."""
    with SandboxProcess(
        executions=9_000, seed=83, days=75, now=NOW, freeze=True, switch={"total": "absent"}
    ) as server:
        place = Place(tmp_path, server, retention_days=0, integrations=None)
        found = plan(place, *MONTH, "--steps", "none")
        assert not found["is_counted"]
        assert 2_000 < found["executions"] < 6_000


@pytest.mark.parametrize(("rows", "requests"), [(0, 1), (1, 1), (100, 1), (101, 2), (9_950, 100)])
def test_pages_are_counted(rows: int, requests: int) -> None:
    """A window costs a request a page, an empty one too."""
    assert list_requests(rows, 100) == requests


def test_details_follow_the_scope() -> None:
    """Steps cost one request for each settled execution in scope, payloads one for each step in scope."""
    averages = Averages(1_000, 100, 0, 200, 1_000, 40, 20, 60)
    amount = ExecutionCounts(executions=500, failed=50, open=10)
    assert details(amount, Scope("none", "all"), averages) == (0, 0)
    assert details(amount, Scope("failed", "failed"), averages) == (50, 100)
    assert details(amount, Scope("failed", "all"), averages) == (50, 150)
    assert details(amount, Scope("all", "none"), averages) == (490, 0)
    assert details(amount, Scope("all", "all"), averages) == (490, 440 * 5 + 150)


def test_time_is_what_the_budget_leaves() -> None:
    """What may be sent at once takes no time; the rest a period for each limit of requests."""
    assert seconds(1_000, limit=0, period_s=600, free=None) is None
    assert seconds(900, limit=1_000, period_s=600, free=1_000) == 0
    assert seconds(3_000, limit=1_000, period_s=600, free=1_000) == 1_200


def test_risk_is_what_passes_the_retention_first() -> None:
    """The part that is purged before its turn comes is named; a range that is far from it is not."""
    now = datetime(2026, 10, 1, tzinfo=UTC)
    window = Window(now - 89 * DAY, now - 59 * DAY)
    assert at_risk(window, now=now, retention=None, listing_s=600, details_s=0) is None
    assert at_risk(window, now=now, retention=90 * DAY, listing_s=600, details_s=3_600) is None
    slow = at_risk(window, now=now, retention=90 * DAY, listing_s=0, details_s=60 * 86_400)
    assert slow is not None
    assert slow.share == 1.0
    late = at_risk(window, now=now, retention=90 * DAY, listing_s=3 * 86_400, details_s=0)
    assert late is None or late.share < 0.1


@pytest.mark.parametrize(("limit", "period_s"), [(100, 5.0), (1_000, 600.0)])
def test_the_end_is_foretold(limit: int, period_s: float) -> None:
    """With bursts at the start of each period, what is left is right within a tenth from the second period on."""
    pace, total, sent = Pace(), 20 * limit, 0
    for step in range(1, 19 * 40):
        now = step * period_s / 40
        # All of a period's requests go out in its first quarter.
        sent = min(
            total, int(now // period_s) * limit + min(limit, int((now % period_s) / (period_s / 4) * limit))
        )
        free = 0 if sent % limit == 0 and now % period_s > period_s / 4 else 1
        left = pace.seconds_left(
            now,
            sent,
            total - sent,
            by_budget=seconds(total - sent, limit=limit, period_s=period_s, free=free),
            period_s=period_s,
        )
        true_left = 19 * period_s + period_s / 4 - now
        if now > max(60.0, period_s) and now < 15 * period_s:
            assert left is not None
            assert abs(left - true_left) <= 0.1 * true_left + period_s


def test_what_the_retention_passes_over_is_told_by_the_vendors_clock(tmp_path: Path) -> None:
    """With a vendor whose clock is days ahead, what it purges soon is at risk, also where this machine's differs."""
    now = datetime.now(UTC)
    words = ("--from", f"{now - 29 * DAY:%Y-%m-%d}", "--to", f"{now - 27 * DAY:%Y-%m-%d}")
    with SandboxProcess(executions=100, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, retention_days=30)
        assert plan(place, *words)["at_risk"] is None
        sandbox.advance(5 * 86_400)
        assert plan(place, *words)["at_risk"] is not None
