"""Commits are paced so that no day has more than the warehouse takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from task_history.load.commits_per_day import CommitPace

_DAY_S = 86_400.0
_MOST = 1500


class _Clock:
    """A clock that sleeping moves."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def _pace(folder: Path, clock: _Clock, most: int = _MOST) -> CommitPace:
    return CommitPace(folder, "paragon", most, clock=clock, sleep=clock.sleep)


def test_a_sync_every_three_minutes_never_waits(tmp_path: Path) -> None:
    """480 commits a day are made when they come."""
    clock = _Clock(20_000 * _DAY_S)
    for _ in range(3 * 480):
        _pace(tmp_path, clock).wait()
        clock.now += 180
    assert clock.slept == 0


def test_no_day_has_more_commits_than_the_warehouse_takes(tmp_path: Path) -> None:
    """A backfill that could commit every two seconds for days, in many runs: each day stays below, and none is idle."""
    clock = _Clock(20_000 * _DAY_S + 50_000)
    days: Counter[int] = Counter()
    while clock.now < 20_004 * _DAY_S:
        _pace(tmp_path, clock, most=300).wait()
        days[int(clock.now // _DAY_S)] += 1
        clock.now += 2
    assert max(days.values()) < 300
    assert min(days[20_000 + number] for number in (1, 2, 3)) > 0.8 * 300


def test_a_note_that_is_none_begins_a_new_count(tmp_path: Path) -> None:
    """A file that somebody spoiled ends no run."""
    (tmp_path / "paragon.commits.json").write_text("[]")
    clock = _Clock(20_000 * _DAY_S)
    _pace(tmp_path, clock).wait()
    assert clock.slept == 0
