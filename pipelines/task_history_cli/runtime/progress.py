"""What a run is doing, while it does it: a line per commit in a log, a live line on a terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import TracebackType
from typing import Any

from task_history.client.rate_limit import Usage
from task_history.runs.estimate import Pace, seconds

from ..console.output import is_json, scrubbed, spelled, terminal, visible
from .run import Run

log = logging.getLogger("task_history")

_EVERY_S = 0.5


class Progress:
    """Shows a run for as long as its block lasts."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_live = sys.stderr.isatty() and not is_json()
        self._live: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = time.monotonic()
        self._pace = Pace()
        self._before = logging.INFO

    def __enter__(self) -> Progress:
        if self._is_live:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=terminal()), transient=True, auto_refresh=False)
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
        usage = self._run.usage()
        left = self._seconds_left(usage)
        log.info(
            "commit phase=%s rows=%d seconds=%.2f executions=%d steps=%d payloads=%d requests=%d budget_left=%s "
            "to_come=%s seconds_left=%s cursor=%s",
            tally.phase,
            rows,
            seconds,
            tally.executions,
            tally.steps,
            tally.payloads,
            self._sent,
            usage.left if usage else None,
            None if tally.to_come is None else round(tally.to_come),
            None if left is None else round(left),
            tally.cursor.isoformat(timespec="milliseconds").replace("+00:00", "Z") if tally.cursor else None,
        )

    @property
    def _sent(self) -> int:
        return sum(self._run.client.stats.sent.values())

    def _refresh(self) -> None:
        from rich.text import Text

        while not self._over.wait(_EVERY_S):
            self._live.update(Text(visible(scrubbed(self._line()))), refresh=True)

    def _line(self) -> str:
        tally = self._run.session.context.tally
        usage = self._run.usage()
        sent = self._sent
        parts = [self._run.session.context.settings.system.name, tally.phase]
        if tally.to_come is not None:
            parts.append(_bar(sent / max(1.0, sent + tally.to_come)))
            left = self._seconds_left(usage)
            if left is not None:
                parts.append(f"{spelled(left)} left")
        parts.append(f"{tally.executions:,} executions, {tally.steps:,} steps, {tally.payloads:,} payloads")
        to_come = f" of about {sent + round(tally.to_come):,}" if tally.to_come else ""
        parts.append(f"{sent:,}{to_come} requests{_spare(usage)}")
        if usage and usage.hold_s:
            parts.append(f"told to wait {spelled(usage.hold_s)}")
        elif usage and usage.next_free_in_s > 1:
            parts.append(f"next in {spelled(usage.next_free_in_s)}")
        return " · ".join(parts)

    def _seconds_left(self, usage: Usage | None) -> float | None:
        """By the budget where it is what limits, otherwise by the pace so far."""
        to_come = self._run.session.context.tally.to_come
        if to_come is None:
            return None
        budget, free = self._run.budget, usage.left if usage else None
        now = time.monotonic()
        return self._pace.seconds_left(
            now - self._began,
            self._sent,
            to_come,
            by_budget=seconds(to_come, limit=budget.limit, period_s=budget.period_s, free=free),
            period_s=budget.period_s if budget.limit else 0.0,
        )


class _Above:
    """A stream whose lines appear above the live one."""

    def __init__(self, console: Any) -> None:
        self._console = console

    def write(self, text: str) -> None:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False, emoji=False, soft_wrap=True)

    def flush(self) -> None:
        pass


def _spare(usage: Usage | None) -> str:
    """What the budget has left; nothing where it cannot be said."""
    if usage is None:
        return ""
    return " (no limit)" if usage.left is None else f" ({usage.left:,} of {usage.limit:,} left)"


def _bar(part: float) -> str:
    filled = round(min(part, 1.0) * 20)
    return "█" * filled + "░" * (20 - filled)
