"""What the budget promises, on files, processes and kills that are real; only clocks are moved by hand."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import statistics
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from task_history.client.rate_limit import Budget, Slot, budget_path, usage
from task_history.client.rate_limit_rule import (
    BudgetShare,
    Instant,
    RateLimitRule,
    answered_when_orphaned,
    shift_s,
)
from task_history.core.errors import ConfigurationError, Stopped
from task_history.core.stop import StopSignal
from tests.support.budgets import KEY, ORIGIN, ManualClock, Vendor, most_in_a_period, no_wait, worker


def budget_at(tmp_path: Path, hands: ManualClock, *, limit: int = 3, period_s: float = 10.0) -> Budget:
    return Budget(limit, period_s, origin=ORIGIN, key=KEY, state_dir=tmp_path, clock=hands)


def take_all(budget: Budget, hands: ManualClock, *, seconds_each: float = 0.0) -> int:
    """Sends until there is nothing left; how many it were."""
    for count in range(10_000):
        try:
            slot = budget.reserve(no_wait)
        except Stopped:
            return count
        if seconds_each:
            hands.sleep(seconds_each)
        slot.done()
    raise AssertionError("no end")


# The rule.


def test_a_slot_is_free_one_period_after_the_answer_and_not_before() -> None:
    """A full budget opens when the answer that blocks it is a period old."""
    rule = RateLimitRule(limit=2, period_s=100.0)
    assert [rule.decisive(taken) for taken in range(5)] == [0, 0, 1, 2, 3]
    assert rule.free_in_s(1, [], 50.0) == 0.0
    assert rule.free_in_s(2, [20.0], 50.0) == pytest.approx(70.1)
    assert rule.free_in_s(2, [], 50.0) == pytest.approx(100.1)
    assert rule.free_in_s(3, [20.0, 30.0], 50.0) == pytest.approx(80.1)


def test_an_orphan_counts_from_its_death_or_the_longest_flight() -> None:
    """A request of a dead process may have arrived as late as its death, but not hours after it left."""
    assert answered_when_orphaned(reserved=100.0, noticed=102.0) == 103.0
    assert answered_when_orphaned(reserved=100.0, noticed=9_000.0) == 161.0


@pytest.mark.parametrize("wall_change_s", [-86_400.0, 0.0, 86_400.0], ids=["back", "steady", "forward"])
def test_the_wall_clock_changes_nothing_within_one_start(wall_change_s: float) -> None:
    """Uptimes of one start of the machine are compared as they are."""
    written = Instant(1_000.0, 5_000.0, "boot")
    assert shift_s(written, Instant(1_001.0, 5_001.0 + wall_change_s, "boot")) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_no_period_sees_more_than_the_limit_whatever_the_latency(
    tmp_path: Path, hands: ManualClock, seed: int
) -> None:
    """Wherever between sending and answer a request arrives: never limit + 1 in a period, and full use."""
    rng = random.Random(seed)
    budget = budget_at(tmp_path, hands, limit=20, period_s=10.0)
    flying: list[tuple[float, int]] = []
    slots: dict[int, Slot] = {}
    arrivals: list[float] = []
    for number in range(400):

        def until_something_happens(seconds: float) -> None:
            hands.sleep(min([seconds, *(max(1e-6, at - hands.now.uptime) for at, _ in flying)]))
            for at, key in [f for f in flying if f[0] <= hands.now.uptime]:
                flying.remove((at, key))
                slots.pop(key).done()

        while len(flying) >= 4:
            until_something_happens(60.0)
        slots[number] = budget.reserve(until_something_happens)
        latency = rng.choice([0.001, 0.05, rng.random() * 3])
        arrivals.append(hands.now.uptime + rng.choice([0.0, 1.0, rng.random()]) * latency)
        flying.append((hands.now.uptime + latency, number))
    assert most_in_a_period(arrivals, 10.0) == 20


# The file.


def test_a_slot_costs_the_same_however_many_are_taken(tmp_path: Path, hands: ManualClock) -> None:
    """To take one among ten thousand costs about as much CPU as among none."""
    budget = budget_at(tmp_path, hands, limit=100_000)
    costs = []
    for _ in range(21):
        began = time.process_time()
        for _ in range(500):
            budget.reserve(no_wait).done()
        costs.append(time.process_time() - began)
    assert min(costs[-5:]) < 2 * min(costs[:5])


def test_a_restart_finds_what_was_spent(tmp_path: Path, hands: ManualClock) -> None:
    """A second run goes on with what the first left."""
    assert take_all(budget_at(tmp_path, hands), hands) == 3
    assert take_all(budget_at(tmp_path, hands), hands) == 0
    hands.sleep(10.011)
    assert take_all(budget_at(tmp_path, hands), hands) == 3


def test_a_request_in_flight_keeps_its_slot(tmp_path: Path, hands: ManualClock) -> None:
    """An answer that takes longer than a period frees nothing before it has come."""
    budget = budget_at(tmp_path, hands, limit=1)
    slot = budget.reserve(no_wait)
    hands.sleep(35.0)
    assert take_all(budget, hands) == 0
    slot.done()
    hands.sleep(9.9)
    assert take_all(budget, hands) == 0
    hands.sleep(0.2)
    assert take_all(budget, hands) == 1


def test_an_abandoned_request_counts_a_second_longer(tmp_path: Path, hands: ManualClock) -> None:
    """What we stopped waiting for may still arrive."""
    budget = budget_at(tmp_path, hands, limit=1)
    with pytest.raises(OSError, match="reset"), budget.reserve(no_wait):
        raise OSError("reset")
    hands.sleep(10.5)
    assert take_all(budget, hands) == 0
    hands.sleep(0.6)
    assert take_all(budget, hands) == 1


@pytest.mark.parametrize("change_s", [-86_400.0, 86_400.0], ids=["back", "forward"])
def test_setting_the_clock_neither_frees_nor_blocks(
    tmp_path: Path, hands: ManualClock, change_s: float
) -> None:
    """A wall clock set by a day while the machine runs leaves the period a period."""
    budget = budget_at(tmp_path, hands)
    assert take_all(budget, hands) == 3
    hands.set_wall(change_s)
    assert take_all(budget, hands) == 0
    assert take_all(budget_at(tmp_path, hands), hands) == 0
    hands.sleep(10.011)
    assert take_all(budget, hands) == 3


@pytest.mark.parametrize(
    ("off_s", "wall_change_s", "free_in_s"),
    [(4.0, 0.0, 6.01), (60.0, 0.0, 0.0), (4.0, -86_400.0, 10.01)],
    ids=["soon", "later", "clock-set-back"],
)
def test_a_reboot_ages_by_wall_time_and_blocks_a_period_at_most(
    tmp_path: Path, hands: ManualClock, off_s: float, wall_change_s: float, free_in_s: float
) -> None:
    """After a reboot the wall clock counts; set back meanwhile, it costs one period and no more."""
    take_all(budget_at(tmp_path, hands), hands)
    hands.reboot(off_s=off_s, wall_change_s=wall_change_s)
    assert usage(3, 10.0, origin=ORIGIN, key=KEY, state_dir=tmp_path, clock=hands).next_free_in_s == (
        pytest.approx(free_in_s)
    )
    before = hands.now.uptime
    budget_at(tmp_path, hands).reserve(hands.sleep)
    assert hands.now.uptime - before == pytest.approx(free_in_s)


def test_a_longer_period_than_before_counts_what_the_shorter_one_sent(
    tmp_path: Path, hands: ManualClock
) -> None:
    """Settings may change between two runs; what was sent meanwhile still counts."""
    long = budget_at(tmp_path, hands, limit=5, period_s=100.0)
    long.reserve(no_wait).done()
    take_all(budget_at(tmp_path, hands, limit=3, period_s=10.0), hands)
    hands.sleep(20.0)
    take_all(budget_at(tmp_path, hands, limit=3, period_s=10.0), hands)
    assert take_all(long, hands) == 0
    assert long.usage().used == 6


def test_a_hold_is_everybodys_and_outlives_a_restart(tmp_path: Path, hands: ManualClock) -> None:
    """After a 429 no process sends before the vendor allows it; a shorter hold does not shorten it."""
    first, second = budget_at(tmp_path, hands), budget_at(tmp_path, hands)
    assert second.usage().left == 3
    first.hold(42.0)
    first.hold(1.0)
    with pytest.raises(Stopped, match=r"would wait 42\.000"):
        second.reserve(no_wait)
    assert second.hold_s == pytest.approx(42.0)
    assert usage(3, 10.0, origin=ORIGIN, key=KEY, state_dir=tmp_path, clock=hands).hold_s == pytest.approx(
        42.0
    )
    hands.sleep(41.9)
    assert take_all(budget_at(tmp_path, hands), hands) == 0
    hands.sleep(0.2)
    assert take_all(second, hands) == 3


def test_unlimited_costs_nothing_and_still_holds(tmp_path: Path, hands: ManualClock) -> None:
    """Limit 0 makes no file; a hold is kept by the process itself."""
    budget = budget_at(tmp_path, hands, limit=0)
    for _ in range(1_000):
        budget.reserve(no_wait).done()
    budget.hold(5.0)
    with pytest.raises(Stopped):
        budget.reserve(no_wait)
    assert budget.usage().left is None
    budget.close()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_counts_as_a_spent_budget(tmp_path: Path, hands: ManualClock) -> None:
    """What cannot be read is replaced, and nobody sends for a period: less is known, so less is risked."""
    take_all(budget_at(tmp_path, hands), hands)
    path = budget_path(ORIGIN, KEY, tmp_path)
    path.write_bytes(b"nonsense" * 1_000)
    before = hands.now.uptime
    budget_at(tmp_path, hands).reserve(hands.sleep)
    assert hands.now.uptime - before == pytest.approx(10.01, abs=0.1)


def test_a_deleted_file_counts_as_a_spent_budget(tmp_path: Path, hands: ManualClock) -> None:
    """Deleting the file under a running process does not open the budget twice."""
    budget = budget_at(tmp_path, hands)
    budget.reserve(no_wait).done()
    budget_path(ORIGIN, KEY, tmp_path).unlink()
    with pytest.raises(Stopped, match=r"would wait 10\.0"):
        budget.reserve(no_wait)
    assert take_all(budget_at(tmp_path, hands), hands) == 0


def test_the_key_is_nowhere(tmp_path: Path, hands: ManualClock) -> None:
    """Neither the key nor the origin can be read from the file, its name or the object."""
    budget = budget_at(tmp_path, hands)
    take_all(budget, hands)
    seen = repr(budget) + str(vars(budget))
    for path in tmp_path.iterdir():
        seen += path.name + path.read_bytes().decode("latin-1")
    assert KEY not in seen
    assert ORIGIN not in seen
    assert budget_path(ORIGIN, "other", tmp_path) != budget_path(ORIGIN, KEY, tmp_path)


def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    """A status command makes neither folder nor file."""
    found = usage(7, 10.0, origin=ORIGIN, key=KEY, state_dir=tmp_path / "none")
    assert (found.used, found.left, found.hold_s, found.next_free_in_s) == (0, 7, 0.0, 0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_opened", [False, True], ids=["empty", "opened"])
def test_a_file_without_tables_counts_nothing(tmp_path: Path, hands: ManualClock, is_opened: bool) -> None:
    """Between its making and its first count the file says that nothing is used; whoever looks is not failed."""
    path = budget_path(ORIGIN, KEY, tmp_path)
    path.touch()
    if is_opened:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = PERSIST")
        connection.execute("PRAGMA user_version = 1")
        connection.close()
    budget = budget_at(tmp_path, hands)
    assert budget.usage().left == 3
    assert take_all(budget, hands) == 3
    assert budget.usage().left == 0


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path, kind: str) -> None:
    """A link or a file in place of the folder is not followed: the error names the folder and the way out."""
    (tmp_path / "real").mkdir()
    place = tmp_path / "place"
    if kind == "link":
        place.symlink_to(tmp_path / "real")
    else:
        place.touch()
    budget = Budget(1, 1.0, origin=ORIGIN, key=KEY, state_dir=place)
    with pytest.raises(ConfigurationError, match=r"place.*TASK_HISTORY_STATE_DIR"):
        budget.reserve(no_wait)


def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    """In a folder that all may write to, another user's folder is not used."""
    if os.getuid() != 0:
        tmp_path = Path("/usr")  # belongs to root, who we are not
    else:
        os.chown(tmp_path, 12_345, -1)
    budget = Budget(1, 1.0, origin=ORIGIN, key=KEY, state_dir=tmp_path)
    with pytest.raises(ConfigurationError, match="belongs to user"):
        budget.reserve(no_wait)


@pytest.mark.parametrize(("limit", "period_s"), [(-1, 10.0), (1, 0.0), (1, float("nan"))])
def test_a_budget_that_cannot_work_is_refused(limit: int, period_s: float) -> None:
    """The error names both settings with their values."""
    with pytest.raises(ConfigurationError, match=f"rate_limit_requests.*{limit} and {period_s}"):
        Budget(limit, period_s, origin=ORIGIN, key=KEY)


# Threads and processes.


def test_a_stop_ends_the_wait_for_a_slot(tmp_path: Path) -> None:
    """Waiting for the budget ends as soon as the run is asked to stop, in every thread; the quickest of ten counts."""
    assert any(_stopped_in_s(tmp_path / str(number)) < 0.5 for number in range(10))


def _stopped_in_s(folder: Path) -> float:
    budget = Budget(1, 600.0, origin=ORIGIN, key=KEY, state_dir=folder)
    budget.reserve(no_wait).done()
    stop = StopSignal()
    reasons: list[str] = []

    def work() -> None:
        try:
            budget.reserve(stop.wait)
        except Stopped as stopped:
            reasons.append(stopped.reason)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    stop.request("SIGTERM")
    for thread in threads:
        thread.join(60)
    assert reasons == ["SIGTERM"] * 8
    return time.monotonic() - began


def test_three_processes_share_one_budget(vendor: Vendor, tmp_path: Path) -> None:
    """Three processes of eight threads: no period sees more than the limit, and it is used."""
    vendor.latency_s = 0.02
    workers = [
        worker(str(i), vendor, tmp_path, limit=40, period_s=2.0, threads=8, seconds=8.5) for i in range(3)
    ]
    assert [w.wait(30) for w in workers] == [0, 0, 0]
    assert most_in_a_period(vendor.times, 2.0) == 40
    first = min(vendor.times)
    whole = [at for at in vendor.times if at < first + 6.0]
    assert len(whole) >= 0.95 * 3 * 40


@pytest.mark.parametrize(
    ("limit", "share"),
    [
        (4, BudgetShare.FOREGROUND),
        pytest.param(20, BudgetShare.FOREGROUND, marks=pytest.mark.torture),
        (20, BudgetShare.BACKGROUND),
    ],
    ids=["4-foreground", "20-foreground", "20-background"],
)
def test_a_small_process_is_not_starved(
    vendor: Vendor, tmp_path: Path, limit: int, share: BudgetShare
) -> None:
    """One thread beside sixteen of another process in its share gets its turn whenever slots come free."""
    workers = [
        worker(name, vendor, tmp_path, limit=limit, period_s=1.0, threads=threads, seconds=4.5, share=share)
        for name, threads in (("big", 16), ("small", 1))
    ]
    assert [w.wait(30) for w in workers] == [0, 0]
    turns = [at for at, name in vendor.arrivals if name == "small"]
    gaps = [after - before for before, after in itertools.pairwise(turns)]
    assert len(turns) >= 3
    # A gap may hold a moment in which the machine was busy with something else; half of them do not.
    assert statistics.median(gaps) < 1.5, gaps
    assert max(gaps) < 3.0, gaps


def test_a_killed_process_neither_frees_nor_keeps_its_slots(vendor: Vendor, tmp_path: Path) -> None:
    """Requests in flight at SIGKILL still count for a period, and are free again soon after."""
    vendor.latency_s = 5.0
    victim = worker("victim", vendor, tmp_path, limit=8, period_s=2.0, threads=8, seconds=60)
    vendor.wait_for(8)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    killed = time.monotonic()
    vendor.latency_s = 0.0
    # In this process, which need not be started first.
    heir = Budget(8, 2.0, origin="o", key=KEY, state_dir=tmp_path)
    connection = HTTPConnection("127.0.0.1", vendor.server_port)
    heirs = []
    for _ in range(12):
        with heir.reserve(time.sleep):
            heirs.append(time.monotonic())
            connection.request("GET", "/heir")
            connection.getresponse().read()
    connection.close()
    assert most_in_a_period(vendor.times, 2.0) <= 8
    # A second more for what may have arrived late, and three for a busy machine.
    assert 2.0 < heirs[0] - killed < 2.0 + 1.0 + 3.0


def test_a_process_killed_at_any_instant_leaves_a_good_file(vendor: Vendor, tmp_path: Path) -> None:
    """Six SIGKILLs in the midst of thousands of writes: the file stays sound and the count right."""
    for number in range(6):
        victim = worker(str(number), vendor, tmp_path, limit=100_000, period_s=60.0, threads=4, seconds=60)
        vendor.wait_for(20 + number)
        victim.kill()
        victim.wait()
    time.sleep(0.1)
    found = usage(100_000, 60.0, origin="o", key=KEY, state_dir=tmp_path)
    assert len(vendor.arrivals) <= found.used <= len(vendor.arrivals) + 6 * 4
