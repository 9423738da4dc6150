"""What a run is doing, while it does it: a line per commit in a log, a live line on a terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import TracebackType
from typing import Any

from .output import scrubbed, spelled
from .running import Run

log = logging.getLogger("task_history")

_EVERY_S = 0.5


class Progress:
    """Shows a run for as long as its block lasts."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_live = sys.stderr.isatty()
        self._live: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._phase = ("", 0.0, 0)
        self._before = logging.INFO

    def __enter__(self) -> Progress:
        if self._is_live:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=sys.stderr), transient=True, auto_refresh=False)
            self._live.start()
            # Lines of a log would tear the live one: warnings go above it, the rest it shows itself.
            self._before = log.level
            log.setLevel(max(log.level, logging.WARNING))
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.setStream(_Above(self._live.console))
            self._thread = threading.Thread(target=self._refresh, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._live.stop()
            log.setLevel(self._before)
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.setStream(sys.stderr)

    def committed(self, rows: int, seconds: float) -> None:
        """A commit is done."""
        tally = self._run.session.context.tally
        usage = self._run.budget.usage()
        log.info(
            "commit phase=%s rows=%d seconds=%.2f executions=%d steps=%d payloads=%d requests=%d budget_left=%s "
            "cursor=%s",
            tally.phase,
            rows,
            seconds,
            tally.executions,
            tally.steps,
            tally.payloads,
            sum(self._run.client.stats.sent.values()),
            "unlimited" if usage.left is None else usage.left,
            tally.cursor.isoformat(timespec="milliseconds").replace("+00:00", "Z") if tally.cursor else "-",
        )

    def _refresh(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._live.update(scrubbed(self._line()), refresh=True)

    def _line(self) -> str:
        tally = self._run.session.context.tally
        now = time.monotonic()
        if self._phase[0] != tally.phase:
            self._phase = (tally.phase, now, tally.done)
        parts = [self._run.session.context.settings.system.name, tally.phase]
        if tally.goal:
            parts.append(f"{_bar(tally.done / tally.goal)} {tally.done:,} of {tally.goal:,}")
            left = self._seconds_left(now)
            if left is not None:
                parts.append(f"{spelled(left)} left")
        parts.append(f"{tally.executions:,} executions, {tally.steps:,} steps, {tally.payloads:,} payloads")
        usage = self._run.budget.usage()
        sent = sum(self._run.client.stats.sent.values())
        spare = "no limit" if usage.left is None else f"{usage.left:,} of {usage.limit:,} left"
        parts.append(f"{sent:,} requests ({spare})")
        if usage.hold_s:
            parts.append(f"told to wait {spelled(usage.hold_s)}")
        elif usage.next_free_in_s > 1:
            parts.append(f"next in {spelled(usage.next_free_in_s)}")
        return " · ".join(parts)

    def _seconds_left(self, now: float) -> float | None:
        """By the budget where it is what limits, otherwise by the pace so far."""
        tally = self._run.session.context.tally
        todo = max(0, (tally.goal or 0) - tally.done)
        budget = self._run.budget
        _, since, before = self._phase
        done = tally.done - before
        by_pace = todo * (now - since) / done if done > 0 and now - since > 1 else None
        if budget.limit == 0:
            return by_pace
        free = budget.usage().left or 0
        by_budget = max(0, todo - free) * budget.period_s / budget.limit
        return max(by_budget, by_pace or 0.0) if free else by_budget


class _Above:
    """A stream whose lines appear above the live one."""

    def __init__(self, console: Any) -> None:
        self._console = console

    def write(self, text: str) -> None:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)

    def flush(self) -> None:
        pass


def _bar(part: float) -> str:
    filled = round(min(part, 1.0) * 20)
    return "█" * filled + "░" * (20 - filled)
