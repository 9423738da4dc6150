"""The interface of the store that counts the requests of a budget: a file (``rate_limit_file``) or Postgres
(``rate_limit_postgres``). Both keep the same columns and follow the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

YIELD_S = 0.005
"""Seconds after which a process asks again that left a free slot to another one before it in the queue."""
GRACE_S = 0.5
"""Seconds for which a free slot is left to a process in the queue whose turn it is."""
EARLY_S = 0.001
"""Seconds before its time from which on a waiting process counts as due."""
WAITING_KEPT_S = 60.0
"""Seconds after its time for which a waiting process keeps its place in the queue."""


@dataclass(frozen=True, slots=True)
class BudgetChanges:
    """What a process has to write to the store, in uptimes of this start of the machine."""

    finished: Sequence[tuple[float, int]]
    """The instant of each answer, and its slot."""
    held_until: float
    """No request is sent before this instant; a later one that is already written stays."""


@dataclass(frozen=True, slots=True)
class BudgetReading:
    """The state of the budget at one moment."""

    used: int
    hold_s: float
    """Seconds for which no request is sent."""
    free_in_s: float
    """Seconds until a slot may be taken by the rule that was asked, hold included; 0 when one may be."""


class StoreBusy(Exception):
    """Another process uses the store; try again."""


class StoreUnreachable(StoreBusy):
    """The store cannot be reached; try again after ``retry_in_s`` seconds. Its text is the reason."""

    def __init__(self, reason: str, *, retry_in_s: float) -> None:
        super().__init__(reason)
        self.retry_in_s = retry_in_s


class RateLimitStore(Protocol):
    """One budget's requests, for one share of it and its rule; used by one thread at a time, of one process."""

    pid: int
    """The process that may use it."""

    def take(self, changes: BudgetChanges) -> tuple[int | None, BudgetReading]:
        """Writes the changes, and reserves a slot: its number, or None when all are taken.

        Raises:
            StoreBusy: nothing is reserved; the changes have to be written again.
            ConfigurationError: the store cannot be used.
        """
        ...

    def write(self, changes: BudgetChanges) -> None:
        """Writes the changes. Raises as ``take`` does."""
        ...

    def look(self) -> BudgetReading:
        """The state of the budget now; reserves nothing. Raises as ``take`` does."""
        ...

    def close(self) -> None:
        """Closes the file or the connection; what it counted stays."""
        ...
