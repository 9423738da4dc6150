"""Which days of a range a process loads where several share it: the shards of ``backfill``, and other machines.

A run takes the lease of a day before it reads the day's coverage, and releases it once the day is committed, with a mark
that says what was done. So no day is loaded twice, and the days of a run that was killed are taken by another.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from ..core import lock_timeouts
from ..core.errors import AlreadyRunning
from ..core.intervals import days
from ..core.log import log
from ..core.models import Window, iso_ms
from ..state.locks import Locks

_BLOCKS_PER_SHARD = 4
"""A shard takes about a quarter of its share of the remaining days at once; the last blocks are single days."""


class DayLeases:
    """Leases of days under ``locks``; ``purpose`` is the same for runs that would load the same of a day.

    ``name`` is the same for runs that would change the same rows of coverage. With ``shards``, as many processes of this
    machine share the days; without, all that are free are taken at once.
    """

    def __init__(
        self,
        locks: Locks,
        *,
        name: str,
        purpose: str,
        shards: int | None = None,
    ) -> None:
        self._locks = locks
        self._name = name
        self._purpose = purpose
        self._shards = shards
        self._left: dict[str, Window] = {}
        """Windows that are not loaded yet, by the name of their day's lease."""
        self._held: list[str] = []

    def begin(self, window: Window) -> None:
        """Takes the first days of the window.

        Raises:
            AlreadyRunning: other runs load all that is left of it, and none shares it with this one.
            ConfigurationError, StateUnavailable, WarehouseUnavailable: the leases cannot be used.
        """
        self._left = {f"{self._name}/{piece.start.astimezone(UTC):%Y-%m-%d}": piece for piece in days(window)}
        self._held = self._next()
        if self._left and not self._held and self._shards is None:
            raise AlreadyRunning(
                f"Another backfill loads these days{self._locks.holder(next(iter(self._left)))}. Let it finish: it loads "
                "the same data. With --shards N several processes, also of several machines, share the days of a range."
            )

    def windows(self) -> Iterator[Window]:
        """Stretches of the window that began, oldest first, each leased until the next is asked for.

        Days that other runs load are waited for: should one of those be killed, this one loads them.

        Raises:
            Stopped: the run is to end.
            AlreadyRunning, ConfigurationError, StateUnavailable, WarehouseUnavailable: the leases cannot be used.
        """
        is_announced = False
        while self._left:
            if self._held:
                pieces = {name: self._left.pop(name) for name in self._held}
                stretch = list(pieces.values())
                yield Window(stretch[0].start, stretch[-1].end)
                self._locks.mark({name: self._mark(piece) for name, piece in pieces.items()})
                self._locks.release(self._held)
            else:
                if not is_announced:
                    days_left = len(self._left)
                    log.info(
                        "waiting", cause="lease", reason="other backfills load these days", days=days_left
                    )
                is_announced = True
                self._locks.wait(lock_timeouts.DAYS_POLL_S)
            self._held = self._next()

    def _next(self) -> list[str]:
        """Takes leases of days one after the other; what other runs have done is no longer left."""
        left = self._left
        names = list(left)
        size = (
            len(names) if self._shards is None else max(1, len(names) // (_BLOCKS_PER_SHARD * self._shards))
        )
        while names:
            block, names = names[:size], names[size:]
            taken = self._locks.take(block)
            marks = self._locks.marks(taken)
            done = {name for name in taken if marks.get(name) == self._mark(left[name])}
            held: list[str] = []
            for name in block:
                if name in taken - done and (not held or left[held[-1]].end == left[name].start):
                    held.append(name)
            self._locks.release(taken - set(held))
            for name in done:
                del left[name]
            if held:
                return held
        return []

    def _mark(self, piece: Window) -> str:
        return f"{self._purpose} {iso_ms(piece.start)} {iso_ms(piece.end)}"
