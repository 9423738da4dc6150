"""The pace of commits into a warehouse that takes only so many of them a day, counted by destination and day.

BigQuery takes 1,500 load jobs a day into each table, and every commit loads a row into dlt's table of loads:
https://cloud.google.com/bigquery/quotas#load_jobs
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core import files
from ..core.log import log

_DAY_S = 86_400.0
_SHARE_FREE = 0.4
"""Commits of a day that are not paced: syncs at any usual interval need no more."""
_SHARE_USED = 0.9
"""Commits of a day that are made at most: other lanes and machines may commit, too."""


@dataclass(slots=True)
class CommitPace:
    """Counts the commits of a day, and tells how long the next one waits so that the day never has too many."""

    folder: Path
    """Where the count is kept: the folder of the pipelines of one warehouse."""
    dataset: str
    most: int
    """Maximum commits a day that the warehouse takes."""
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.dataset}.commits.json"

    def wait(self) -> None:
        """Waits until the next commit may begin, and counts it."""
        day, count, last_at = self._noted()
        if (seconds := self._seconds(day, count, last_at)) > 0:
            log.info(
                "commit_waits",
                seconds=round(seconds),
                commits_today=count,
                most=self.most,
                reason="the warehouse takes no more load jobs a day",
            )
            self.sleep(seconds)
        today = self._today()
        self._note(today, count + 1 if today == day else 1)

    def _seconds(self, day: str, count: int, last_at: float) -> float:
        free = int(self.most * _SHARE_FREE)
        if day != self._today() or count < free:
            return 0.0
        paced = int(self.most * _SHARE_USED) - free
        now = self.clock()
        if count >= free + paced:
            return _DAY_S - now % _DAY_S
        return max(0.0, last_at + _DAY_S / paced - now)

    def _today(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).date().isoformat()

    def _noted(self) -> tuple[str, int, float]:
        try:
            noted = json.loads((self._file).read_bytes())
            return str(noted["day"]), int(noted["commits"]), float(noted["last_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return "", 0, 0.0

    def _note(self, day: str, commits: int) -> None:
        noted = {"day": day, "commits": commits, "last_at": self.clock()}
        files.replace(self._file, json.dumps(noted).encode())
