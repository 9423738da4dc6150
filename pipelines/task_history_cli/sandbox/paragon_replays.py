"""Executions that run again: in a world, what the documented and the undocumented kind of replay bring about."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from .paragon_world import World

TAKES_MS = 30_000


@dataclass(slots=True)
class Replays:
    """What was run again in ``world``, and which execution came of it."""

    world: World
    began: dict[str, list[str]] = field(default_factory=dict)
    """By the id of what was run again: the ids that began."""

    def anew(self, index: int, now_ms: int, *, is_failing: bool) -> int:
        """A new execution like that one begins now; its number. Numbers of what begins later move by one."""
        world = self.world
        new = bisect_right(world.starts, now_ms)
        for numbers in (world.slow, world.late):
            numbers[:] = [number + (number >= new) for number in numbers]
        for some in (world.gone, world.held_back):
            moved = {number + (number >= new) for number in some}
            some.clear()
            some.update(moved)
        world.starts.insert(new, now_ms)
        world.ends.insert(new, now_ms + TAKES_MS)
        world.visible.insert(new, now_ms)
        world.finals.insert(new, is_failing)
        world.like[new] = world.like.get(index, index)
        self._note(index, new)
        return new

    def in_place(self, index: int, now_ms: int, *, is_failing: bool) -> int:
        """The execution itself begins again, with the start that it had; its number."""
        world = self.world
        world.again[index] = now_ms
        world.ends[index] = now_ms + TAKES_MS
        world.finals[index] = is_failing
        if index not in world.slow:
            insort(world.slow, index)
        self._note(index, index)
        return index

    def _note(self, index: int, new: int) -> None:
        self.began.setdefault(self.world.identity(index), []).append(self.world.identity(new))
