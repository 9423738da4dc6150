"""How long the rest of a run takes, by its recent rate of requests."""

from __future__ import annotations

from collections import deque


class Pace:
    """The recent rate of requests, to estimate how long the rest of a run takes."""

    _MIN_LOOKBACK_S = 10.0

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    def seconds_left(
        self, now_s: float, sent: int, requests_remaining: float, *, by_budget: float | None, period_s: float
    ) -> float | None:
        """Seconds until ``requests_remaining`` more are answered; None while nothing can be said.

        ``now_s`` are seconds since the start. The pace is that of the last period, or ten seconds, at least;
        a shorter look would take the burst at the start of each period for the pace. ``by_budget`` is what the
        budget allows at best.
        """
        look_s = max(self._MIN_LOOKBACK_S, 2 * period_s)
        self._marks.append((now_s, sent))
        while len(self._marks) > 2 and self._marks[1][0] <= now_s - look_s:
            self._marks.popleft()
        since, before = self._marks[0]
        is_enough = now_s - since >= max(1.0, period_s)
        by_pace = (
            requests_remaining * (now_s - since) / (sent - before) if is_enough and sent > before else None
        )
        if by_budget is None or by_pace is None:
            return by_pace if by_budget is None else by_budget
        return max(by_budget, by_pace)
