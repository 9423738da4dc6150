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

    def anew(self, at: int, now_ms: int, *, is_failing: bool) -> int:
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
        world.like[new] = world.like.get(at, at)
        self._note(at, new)
        return new

    def in_place(self, at: int, now_ms: int, *, is_failing: bool) -> int:
        """The execution itself begins again, with the start that it had; its number."""
        world = self.world
        world.again[at] = now_ms
        world.ends[at] = now_ms + TAKES_MS
        world.finals[at] = is_failing
        if at not in world.slow:
            insort(world.slow, at)
        self._note(at, at)
        return at

    def _note(self, at: int, new: int) -> None:
        self.began.setdefault(self.world.identity(at), []).append(self.world.identity(new))
