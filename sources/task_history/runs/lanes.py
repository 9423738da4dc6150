"""The lanes: the kinds of runs that one dataset has, each with a pipeline and a share of the budget of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..client.rate_limit_rule import BudgetShare
from ..core import dataset_names
from ..settings_reader import Settings


@dataclass(frozen=True, slots=True)
class Lane:
    """A kind of run on a dataset. All lanes may run side by side, each with as many processes as it allows."""

    name: str
    """The value of the column ``lane`` in coverage."""
    has_cursor: bool
    """Whether it moves the live cursor; the others have pipelines, states and staging tables of their own."""
    budget: BudgetShare = BudgetShare.FOREGROUND
    """Which share of the budget it spends."""
    most: int = 1
    """Maximum number of processes that use the lane at once, each with a number."""
    number: int = 1

    @property
    def staging(self) -> str:
        """What its pipeline and staging dataset are called, beside the name of the account; empty with the cursor."""
        if self.has_cursor:
            return ""
        return self.name if self.number == 1 else f"{self.name}_{self.number}"

    def pipeline(self, settings: Settings) -> str:
        """The name of its dlt pipeline."""
        return "_".join(filter(None, (settings.pipeline_name, self.staging)))

    @property
    def numbered(self) -> list[Lane]:
        """The lane with each of its numbers."""
        return [replace(self, number=number) for number in range(1, self.most + 1)]


SYNC = Lane(dataset_names.SYNC, has_cursor=True)
BACKFILL = Lane(dataset_names.BACKFILL, has_cursor=False, budget=BudgetShare.BACKGROUND)
SHARDS = replace(BACKFILL, most=64)
"""Backfills that share the days of a range, and may run side by side."""
AUDIT = Lane(dataset_names.AUDIT, has_cursor=False, budget=BudgetShare.BACKGROUND)
REPLAY = Lane(dataset_names.REPLAY, has_cursor=False)
LANES = (SYNC, BACKFILL, AUDIT, REPLAY)
