"""Promises about the two shares of a budget: a sync beside a backfill, on moved clocks and on real processes."""

from __future__ import annotations

import itertools
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.client.account_client import connected
from task_history.client.rate_limit import Budget, Slot
from task_history.client.rate_limit_rule import BudgetShare, RateLimitRule, owed
from task_history.core.errors import Stopped
from task_history.core.stop import StopSignal
from task_history.runs import runner
from task_history.settings_reader import build
from task_history.systems import find
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.budgets import KEY, ORIGIN, ManualClock, Vendor, most_in_a_period, no_wait, worker
from tests.support.place import Place
from tests.support.torture import rest_as_torture

FORE, BACK = BudgetShare.FOREGROUND, BudgetShare.BACKGROUND


def budget_of(
    tmp_path: Path,
    hands: ManualClock,
    share: BudgetShare,
    *,
    limit: int = 100,
    period_s: float = 5.0,
    reserved_share: float = 0.1,
) -> Budget:
    return Budget(
        limit,
        period_s,
        origin=ORIGIN,
        key=KEY,
        share=share,
        reserved_share=reserved_share,
        state_dir=tmp_path,
        clock=hands,
    )


def takes(budget: Budget) -> int:
    """Sends until it would have to wait, every request answered at once; how many it were."""
    for count in range(10_000):
        try:
            budget.reserve(no_wait).done()
        except Stopped:
            return count
    raise AssertionError("no end")


# The rule.


@pytest.mark.parametrize(
    ("limit", "reserved_share", "expected"),
    [
        (100, 0.0, 0),
        (100, 0.01, 5),
        (100, 0.1, 50),
        (1000, 0.1, 500),
        (100, 0.9, 90),
        (10, 0.05, 5),
        (3, 0.1, 1),
        (2, 0.9, 1),
        (1, 0.9, 0),
    ],
)
def test_what_the_background_owes(limit: int, reserved_share: float, expected: int) -> None:
    """Five times the reserve, half of the limit at most, at least the reserve, and never the whole limit."""
    assert owed(limit, reserved_share) == expected


def test_the_foreground_owes_nothing() -> None:
    """The foreground may take every free slot, whatever is reserved."""
    assert RateLimitRule.of(FORE, 100, 5.0, reserved_share=0.5) == RateLimitRule(100, 5.0)
    assert RateLimitRule(100, 5.0).free_in_s(99, [], 0.0) == 0.0


def test_the_background_leaves_a_slot_for_every_turn() -> None:
    """A slot is taken when the others are free, or come free no later than their turns."""
    rule = RateLimitRule(limit=10, period_s=100.0, owed=4)
    turn_s = 95.0 / 4
    assert rule.turn_s == turn_s
    assert rule.free_in_s(5, [], 0.0) == 0.0
    # Four are left of which one is taken: the fourth turn needs the slot that comes free first.
    assert rule.free_in_s(6, [0.0], 0.0) == pytest.approx(100.1 - 4 * turn_s)
    assert rule.free_in_s(6, [-5.2], 0.0) == 0.0
    # The last free one: of those that come free, each must be in time for a turn of its own.
    assert rule.free_in_s(9, [-80.0, -60.0, -40.0, -20.0], 0.0) == 0.0
    assert rule.free_in_s(9, [-80.0, -60.0, -20.0, -20.0], 0.0) == pytest.approx(80.1 - 3 * turn_s)
    assert rule.free_in_s(10, [-90.0, -80.0, -60.0, -40.0, -20.0], 0.0) == pytest.approx(10.1)


def test_a_request_in_flight_keeps_no_turn_and_is_not_asked_for_all_the_time() -> None:
    """What waits for its answer comes free a period from now at the earliest: the pause is that long."""
    rule = RateLimitRule(limit=10, period_s=100.0, owed=4)
    assert rule.free_in_s(6, [], 0.0) == pytest.approx(5.1)


# One budget, two shares.


def test_the_background_leaves_what_it_owes(tmp_path: Path, hands: ManualClock) -> None:
    """A backfill takes half at once; the rest is the sync's, at once."""
    assert takes(budget_of(tmp_path, hands, BACK)) == 50
    assert takes(budget_of(tmp_path, hands, FORE)) == 50
    assert takes(budget_of(tmp_path, hands, FORE)) == 0


def test_without_a_share_the_background_takes_all(tmp_path: Path, hands: ManualClock) -> None:
    """With ``reserved_share`` 0 a sync only goes first."""
    assert takes(budget_of(tmp_path, hands, BACK, reserved_share=0.0)) == 100


def test_what_is_owed_is_lent_evenly(tmp_path: Path, hands: ManualClock) -> None:
    """With nobody else, the backfill sends the whole limit in every period, the owed half one after the other."""
    background = budget_of(tmp_path, hands, BACK)
    began = hands.now.uptime
    sent = []
    for _ in range(300):
        background.reserve(hands.sleep).done()
        sent.append(hands.now.uptime - began)
    assert sent[49] == 0.0
    gaps = [after - before for before, after in itertools.pairwise(sent[50:100])]
    assert gaps == pytest.approx([0.095] * 49, abs=1e-6)
    assert [sent[number] for number in (99, 199, 299)] == pytest.approx([5.0, 10.0, 15.0], abs=0.1)


def test_the_background_wakes_when_there_is_a_slot(tmp_path: Path, hands: ManualClock) -> None:
    """A backfill that is alone sleeps once for a slot: it neither wakes in vain nor asks again and again."""
    background = budget_of(tmp_path, hands, BACK)
    sleeps = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        hands.sleep(seconds)

    for _ in range(1_000):
        background.reserve(sleep).done()
    assert len(sleeps) <= 1_000


def test_a_waiting_sync_goes_first(tmp_path: Path, hands: ManualClock) -> None:
    """A slot that comes free is the sync's, however much longer the backfill waits."""
    foreground, background = (budget_of(tmp_path, hands, share, limit=1) for share in (FORE, BACK))
    assert takes(foreground) == 1
    assert takes(background) == 0
    hands.sleep(2.0)
    assert takes(foreground) == 0
    hands.sleep(3.006)
    with pytest.raises(Stopped, match=r"would wait 0\.005"):
        background.reserve(no_wait)
    assert takes(foreground) == 1


def test_a_sync_that_does_not_come_is_not_waited_for(tmp_path: Path, hands: ManualClock) -> None:
    """A slot left to a sync that was suspended or killed meanwhile is the backfill's half a second later."""
    foreground, background = (budget_of(tmp_path, hands, share, limit=1) for share in (FORE, BACK))
    assert takes(foreground) == 1
    assert takes(foreground) == 0
    hands.sleep(5.006)
    assert takes(background) == 0
    hands.sleep(0.5)
    assert takes(background) == 1


def test_unlimited_background_writes_no_file(tmp_path: Path, hands: ManualClock) -> None:
    """With limit 0 there are no shares: requests are not counted and do not wait."""
    background = budget_of(tmp_path, hands, BACK, limit=0)
    for _ in range(100):
        background.reserve(no_wait).done()
    background.close()
    assert list(tmp_path.iterdir()) == []


def test_the_share_and_its_reserve_reach_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is connected in the background keeps the share that is set."""
    monkeypatch.setenv("TASK_HISTORY_STATE_DIR", str(tmp_path))
    given = {"project_id": "p", "api_key": KEY, "rate_limit_requests": 20, "reserved_share": 0.6}
    settings = build(find("paragon"), given)
    with connected(settings, StopSignal(), share=BACK) as (_, background):
        assert takes(background) == 8
    with connected(settings, StopSignal()) as (_, foreground):
        assert takes(foreground) == 12


def test_a_backfill_and_an_audit_leave_the_budget_to_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync is in the foreground, what reads older days in the background."""
    shares: list[BudgetShare] = []

    def noted(*values: Any, share: BudgetShare = FORE) -> Any:
        shares.append(share)
        return connected(*values, share=share)

    monkeypatch.setattr(runner, "connected", noted)
    with SandboxProcess(executions=5, days=2, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none")
        place.quick_sync()
        place.set(retention_days=0)
        days = ("--from", "2026-01-01", "--to", "2026-01-03")
        place.run("backfill", "paragon", *days)
        place.run("audit", "paragon", *days)
    assert shares == [FORE, BACK, BACK]


# Traffic on moved clocks.


@dataclass
class Sender:
    """Somebody with ``threads`` requests side by side, in one share."""

    budget: Budget
    threads: int
    wants: int = 0
    """Requests that it has to send."""
    is_patient_until: float = 0.0
    began: float = 0.0
    flying: dict[int, tuple[float, Slot]] = field(default_factory=dict)


@dataclass
class Traffic:
    """A backfill that always has work, and a sync that begins at random moments."""

    hands: ManualClock
    rng: random.Random
    fore: Sender
    back: Sender
    longest_s: float
    """No answer takes longer."""
    arrivals: list[float] = field(default_factory=list)
    sync_seconds: list[float] = field(default_factory=list)
    _number: int = 0

    def run(self, seconds: float, *, syncs: int, requests: int) -> None:
        end = self.hands.now.uptime + seconds
        begins = sorted(self.hands.now.uptime + self.rng.random() * seconds * 0.9 for _ in range(syncs))
        self.back.wants = 1_000_000
        while self.hands.now.uptime < end:
            now = self.hands.now.uptime
            if begins and begins[0] <= now and not self.fore.wants and not self.fore.flying:
                begins.pop(0)
                self.fore.wants, self.fore.began = requests, now
            moments = [end, *(at for at in begins[:1] if at > now)]
            for sender in self.rng.sample((self.fore, self.back), 2):
                moments += self._step(sender)
            self.hands.sleep(max(1e-6, min(moments) - self.hands.now.uptime))

    def _step(self, sender: Sender) -> list[float]:
        """Lets it take its answers and send what it may; the moments at which it has to be asked again."""
        now = self.hands.now.uptime
        for number in [number for number, (at, _) in sender.flying.items() if at <= now]:
            sender.flying.pop(number)[1].done()
        if sender is self.fore and sender.began and not sender.wants and not sender.flying:
            self.sync_seconds.append(now - sender.began)
            sender.began = 0.0
        while sender.wants and len(sender.flying) < sender.threads and sender.is_patient_until <= now:
            self._send(sender)
        waits = sender.wants and len(sender.flying) < sender.threads
        return [at for at, _ in sender.flying.values()] + [sender.is_patient_until] * bool(waits)

    def _send(self, sender: Sender) -> None:
        def later(seconds: float) -> None:
            sender.is_patient_until = self.hands.now.uptime + seconds
            raise Stopped("later")

        now = self.hands.now.uptime
        try:
            slot = sender.budget.reserve(later)
        except Stopped:
            return
        latency = self.rng.choice([0.001, self.rng.random() * self.longest_s])
        self.arrivals.append(now + self.rng.choice([0.0, 1.0, self.rng.random()]) * latency)
        self._number += 1
        sender.flying[self._number] = (now + latency, slot)
        sender.wants -= 1


def traffic(
    tmp_path: Path, hands: ManualClock, seed: int, *, limit: int, longest_s: float, sync_threads: int = 1
) -> Traffic:
    return Traffic(
        hands,
        random.Random(seed),
        Sender(budget_of(tmp_path, hands, FORE, limit=limit), sync_threads),
        Sender(budget_of(tmp_path, hands, BACK, limit=limit), 8),
        longest_s,
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_period_sees_more_than_the_limit_in_any_mix(tmp_path: Path, hands: ManualClock, seed: int) -> None:
    """Both shares, restarts of both, answers that take up to half a period: never limit + 1 in a period."""
    limit = (2, 7, 20)[seed % 3]
    found = traffic(tmp_path, hands, seed, limit=limit, longest_s=2.5, sync_threads=3)
    for part in range(6):
        found.run(12.0, syncs=4, requests=limit)
        # Who starts again knows only what the file says.
        for sender in (found.fore, found.back)[: 1 + part % 2]:
            share = FORE if sender is found.fore else BACK
            sender.budget = budget_of(tmp_path, hands, share, limit=limit)
    assert most_in_a_period(found.arrivals, 5.0) == limit


@pytest.mark.parametrize("seed", rest_as_torture(range(4), [0]))
def test_a_sync_is_done_within_the_period_and_nothing_is_left_over(
    tmp_path: Path, hands: ManualClock, seed: int
) -> None:
    """Twenty requests one by one, begun at any moment of a backfill: each gets its turn; all is spent."""
    found = traffic(tmp_path, hands, seed, limit=100, longest_s=0.02)
    began = hands.now.uptime
    found.run(60.0, syncs=8, requests=20)
    assert len(found.sync_seconds) == 8
    # A fifth of a period for the reserve of ten, and twenty answers.
    assert max(found.sync_seconds) < 2 * 5.0 / 5 + 20 * 0.02
    assert sum(at < began + 60.0 for at in found.arrivals) >= 0.99 * 100 * 12
    assert most_in_a_period(found.arrivals, 5.0) <= 100


def test_what_a_sync_leaves_the_backfill_gets_back(tmp_path: Path, hands: ManualClock) -> None:
    """After a sync that took the whole budget, a backfill alone spends 99 % of it again."""
    found = traffic(tmp_path, hands, 1, limit=100, longest_s=0.01, sync_threads=8)
    found.run(12.0, syncs=1, requests=150)
    hands.sleep(0.1)
    began = hands.now.uptime
    found.run(50.0, syncs=0, requests=0)
    assert sum(began <= at < began + 50.0 for at in found.arrivals) >= 0.99 * 100 * 10


# Processes.


@pytest.mark.parametrize(
    ("limit", "period_s", "periods"),
    [(60, 3.0, 4), pytest.param(100, 5.0, 6, marks=pytest.mark.torture)],
    ids=["12 s", "30 s"],
)
def test_a_sync_beside_a_backfill(
    vendor: Vendor, tmp_path: Path, limit: int, period_s: float, periods: int
) -> None:
    """Beside eight threads flat out, a sync's 20 requests are done within a period, 95 % is used, no 429."""
    vendor.latency_s = 0.02
    rng = random.Random()
    backfill = worker(
        "backfill",
        vendor,
        tmp_path,
        limit=limit,
        period_s=period_s,
        threads=8,
        seconds=periods * period_s + 2.0,
        share=BACK,
    )
    vendor.wait_for(1)
    first = vendor.arrivals[0][0]
    took = []
    while time.monotonic() < first + (periods - 1.5) * period_s:
        time.sleep(rng.random() * period_s)
        sync = worker(
            "sync", vendor, tmp_path, limit=limit, period_s=period_s, threads=1, seconds=30.0, requests=20
        )
        took.append(float(sync.communicate(timeout=30)[0]))
    assert backfill.wait(30) == 0
    assert sum(name == "sync" for _, name in vendor.arrivals) == 20 * len(took)
    assert most_in_a_period(vendor.times, period_s) <= limit
    used = sum(at < first + periods * period_s for at in vendor.times) / (limit * periods)
    assert used >= 0.95
    assert max(took) < period_s, took


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.torture)])
def test_killed_in_any_share(vendor: Vendor, tmp_path: Path, kills: int) -> None:
    """Backfill and sync killed again and again: no period sees more than the limit, and both go on."""
    vendor.latency_s = 0.05
    rng = random.Random()

    def start(share: BudgetShare) -> None:
        running[share] = worker(
            share.name, vendor, tmp_path, limit=30, period_s=1.0, threads=6, seconds=60.0, share=share
        )

    running: dict[BudgetShare, subprocess.Popen[bytes]] = {}
    start(BACK)
    for _ in range(kills):
        start(FORE)
        vendor.wait_for(40)
        for share in (FORE, BACK):
            running[share].kill()
            running[share].communicate()
        start(BACK)
        vendor.wait_for(20 + rng.randrange(30))
    running[BACK].kill()
    running[BACK].communicate()
    assert most_in_a_period(vendor.times, 1.0) <= 30


def test_a_backfill_does_not_keep_the_file_to_itself(vendor: Vendor, tmp_path: Path) -> None:
    """Beside sixteen threads that ask without pause, a sync gets at the file in its turn."""
    backfill = worker(
        "backfill", vendor, tmp_path, limit=100_000, period_s=60.0, threads=16, seconds=60.0, share=BACK
    )
    vendor.wait_for(100)
    sync = worker(
        "sync", vendor, tmp_path, limit=100_000, period_s=60.0, threads=1, seconds=30.0, requests=20
    )
    assert sync.wait(60) == 0
    backfill.kill()
    backfill.communicate()
    names = [name for _, name in vendor.arrivals]
    turns = [at for at, name in enumerate(names) if name == "sync"]
    assert len(turns) == 20
    # On average no more than ten times what sixteen threads have when all take turns.
    assert turns[-1] - turns[0] < 20 * 16 * 10


def test_nobody_waits_for_the_file_of_a_run_that_waits(tmp_path: Path) -> None:
    """While a sync waits for its budget, another process opens the DuckDB file."""
    with SandboxProcess(executions=150, seed=5, days=3, future_hours=30, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none", payloads="none")
        place.quick_sync()
        sandbox.advance(26 * 3600)
        sandbox.reset_counters()
        place.set(rate_limit_requests=1, rate_limit_period_s=600)
        waiting = place.start("sync", "paragon")
        try:
            _wait_until(lambda: bool(sandbox.requests()))
            _wait_until(lambda: _can_open(place))
            assert waiting.poll() is None
        finally:
            waiting.terminate()
            _, said = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, said


def _wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _can_open(place: Place) -> bool:
    try:
        return bool(place.query("SELECT 1"))
    except duckdb.IOException:
        return False


def _beside_a_backfill(tmp_path: Path, *, limit: int, period_s: float, least_use: float) -> None:
    with SandboxProcess(
        executions=60_000, seed=41, days=80, future_hours=2, freeze=True, limit=limit, period_s=period_s
    ) as sandbox:
        place = Place(
            tmp_path,
            sandbox,
            rate_limit_requests=limit,
            rate_limit_period_s=period_s,
            start_date=(datetime.now(UTC) - timedelta(days=4)).strftime("%Y-%m-%dT%H:%M"),
            integrations=None,
            steps="none",
            payloads="none",
        )
        old = place.start(
            "backfill", "paragon", "--from", "2026-01-01", "--to", "2100-01-01", "--steps", "all"
        )
        try:
            _wait_until(lambda: bool(sandbox.requests()))
            time.sleep(1.5 * period_s)
            new = place.sync()
            time.sleep(0.5 * period_s)
        finally:
            old.kill()
            old.communicate()
        stamps = sorted(request["at"] for request in sandbox.requests())
        assert sandbox.counters()["violations"] == 0
        assert sandbox.counters()["peak"] <= limit
        assert new["requests"] >= 20
        assert new["complete"]
        assert new["waited_s"]["budget"] <= period_s
        periods = int((stamps[-1] - stamps[0]) // period_s)
        used = sum(1 for at in stamps if stamps[0] <= at < stamps[0] + periods * period_s)
        assert used >= least_use * limit * periods


@pytest.mark.torture
def test_a_sync_does_not_wait_for_a_backfill(tmp_path: Path) -> None:
    """While a backfill spends the budget, a sync gets its requests within a period, and no request is refused."""
    # Commits of two processes on a busy machine take seconds: the period is long enough for them.
    _beside_a_backfill(tmp_path, limit=100, period_s=8.0, least_use=0.85)


@pytest.mark.torture
def test_a_sync_and_a_backfill_spend_it_all(tmp_path: Path) -> None:
    """The same in short periods, on a machine of one's own: 95 % of the budget is used by both together."""
    _beside_a_backfill(tmp_path, limit=100, period_s=5.0, least_use=0.95)
