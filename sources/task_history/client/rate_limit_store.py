"""What the budget asks of the store in which requests are counted: a file (``rate_limit_file``) or Postgres
(``rate_limit_postgres``). Both keep the same columns and go by the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

YIELD_S = 0.005
"""How soon a process asks again that left a free slot to one which goes before it."""
GRACE_S = 0.5
"""How long a free slot is left to a process that should have woken up for it."""
EARLY_S = 0.001
"""How long before its time a process that waits is due already."""
FORGET_S = 60.0
"""How long after its time a process that waited keeps its place."""


@dataclass(frozen=True, slots=True)
class News:
    """What a process has to write down, in uptimes of this start of the machine."""

    finished: Sequence[tuple[float, int]]
    """When the answer came, and of which slot."""
    held_until: float
    """Nobody sends before; a later one that is already written stays."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the store says at one moment."""

    used: int
    hold_s: float
    """Seconds for which nobody sends."""
    free_in_s: float
    """Seconds until a slot may be taken by the rule that was asked, hold included; 0 when one may be."""


class Busy(Exception):
    """Another process is at the store; try again."""


class Away(Busy):
    """The store cannot be reached; try again after ``retry_in_s`` seconds. Its text is the reason."""

    def __init__(self, reason: str, *, retry_in_s: float) -> None:
        super().__init__(reason)
        self.retry_in_s = retry_in_s


class Store(Protocol):
    """One budget's requests, for one share of it and its rule; used by one thread at a time, of one process."""

    pid: int
    """The process that may use it."""

    def take(self, news: News) -> tuple[int | None, Reading]:
        """Writes the news and reserves a slot: its number, or None when all are taken.

        Raises:
            Busy: nothing is reserved; the news have to be written again.
            ConfigurationError: the store cannot be used.
        """
        ...

    def write(self, news: News) -> None:
        """Writes the news. Raises as ``take`` does."""
        ...

    def look(self) -> Reading:
        """What the store says now; reserves nothing. Raises as ``take`` does."""
        ...

    def close(self) -> None:
        """Lets the file or the connection go; what it counted stays."""
        ...
