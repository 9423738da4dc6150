"""Progress of a run: one log line per commit, and a live line on a terminal."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from task_history.client.rate_limit import Usage
from task_history.core.log import NAME, log
from task_history.runs.estimate_formulas import seconds
from task_history.runs.pace import Pace
from task_history.runs.runner import ActiveRun

from ..console.output import is_json
from ..console.times import duration

if TYPE_CHECKING:
    from ..console.live_line import ProgressContent


class Progress:
    """Shows the progress of a run within its block."""

    def __init__(self, run: ActiveRun) -> None:
        self._run = run
        self._is_live = sys.stderr.isatty() and not is_json()
        self._live = ExitStack()
        self._began = time.monotonic()
        self._pace = Pace()

    def __enter__(self) -> Progress:
        if self._is_live:
            from ..console.live_line import LiveLine

            logger = logging.getLogger(NAME)
            self._live.callback(logger.setLevel, logger.level)
            # Warnings go above the live line; the rest it shows itself.
            logger.setLevel(max(logger.level, logging.WARNING))
            self._live.enter_context(LiveLine(self._shown))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.close()

    def committed(self, rows: int, seconds: float) -> None:
        """Reports a finished commit."""
        tally = self._run.loop.context.tally
        usage = self._run.usage()
        left = self._seconds_left(usage)
        log.info(
            "commit",
            phase=tally.phase,
            rows=rows,
            seconds=seconds,
            executions=tally.executions,
            steps=tally.steps,
            payloads=tally.payloads,
            requests=self._sent,
            budget_left=usage.left if usage else None,
            requests_remaining=None if tally.requests_remaining is None else round(tally.requests_remaining),
            seconds_left=None if left is None else round(left),
            cursor=tally.cursor,
        )

    @property
    def _sent(self) -> int:
        return sum(self._run.client.stats.sent.values())

    def _shown(self) -> ProgressContent:
        from ..console.live_line import ProgressContent

        tally = self._run.loop.context.tally
        usage = self._run.usage()
        sent = self._sent
        total = None if tally.requests_remaining is None else sent + round(tally.requests_remaining)
        parts = []
        left = self._seconds_left(usage)
        if left is not None:
            parts.append(f"{duration(left)} left")
        parts.append(f"{tally.executions:,} executions, {tally.steps:,} steps, {tally.payloads:,} payloads")
        of_total = f" of about {total:,}" if tally.requests_remaining else ""
        parts.append(f"{sent:,}{of_total} requests{_spare(usage)}")
        if usage and usage.hold_s:
            parts.append(f"vendor asked to wait {duration(usage.hold_s)}")
        elif usage and usage.next_free_in_s > 1:
            parts.append(f"next in {duration(usage.next_free_in_s)}")
        title = f"{self._run.loop.context.settings.system.name} {tally.phase}"
        return ProgressContent(title, " · ".join(parts), done=sent, total=total)

    def _seconds_left(self, usage: Usage | None) -> float | None:
        """Seconds left: by the budget where it is the limit, otherwise by the pace so far."""
        requests_remaining = self._run.loop.context.tally.requests_remaining
        if requests_remaining is None:
            return None
        budget, free = self._run.budget, usage.left if usage else None
        now = time.monotonic()
        return self._pace.seconds_left(
            now - self._began,
            self._sent,
            requests_remaining,
            by_budget=seconds(requests_remaining, limit=budget.limit, period_s=budget.period_s, free=free),
            period_s=budget.period_s if budget.limit else 0.0,
        )


def _spare(usage: Usage | None) -> str:
    """Requests left in the budget; None where it is unknown."""
    if usage is None:
        return ""
    return " (no limit)" if usage.left is None else f" ({usage.left:,} of {usage.limit:,} left)"
