"""What statuses mean in the views, and the rule that tells open executions from settled ones.

Which statuses a vendor has stands in the module ``statuses`` of its package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.models import Row
from .parsing import instant_or_millis

if TYPE_CHECKING:
    import pyarrow as pa

STATUSES: Mapping[str, str] = {
    "queued": "It has not begun yet.",
    "running": "It is running.",
    "waiting": "It waits for something: a time, an event, a person.",
    "succeeded": "It ended well.",
    "partial": "It ended, and a part of it failed.",
    "failed": "It ended with an error.",
    "cancelled": "It was ended early.",
    "skipped": "It was not to run: a branch that was not taken.",
    "unresolved": "It is not open any more, and how it ended is not known.",
    "unknown": "The vendor's status has no meaning here.",
}
"""The statuses of the views. A system gives them for its own; ``unresolved`` and ``unknown`` are found by themselves."""
_ENDED = frozenset({"succeeded", "partial", "failed", "cancelled", "skipped"})
"""Those of ``STATUSES`` that never change any more."""


def ended(meanings: Mapping[str, str]) -> tuple[str, ...]:
    """Those of a vendor's statuses that never change any more."""
    return tuple(status for status, meaning in meanings.items() if meaning in _ENDED)


def one_of(statuses: Sequence[str]) -> str:
    """The statuses as words of a sentence."""
    return f"{', '.join(statuses[:-1])} or {statuses[-1]}"


@dataclass(frozen=True, slots=True)
class OpenRule:
    """An execution is open while its status, in any capitals, is none of ``ended``, and it has no end."""

    ended: frozenset[str]
    """In capitals."""
    end: str = ""
    """The vendor's key for the instant of the end; empty where executions have none."""

    @classmethod
    def of(cls, meanings: Mapping[str, str], *, end: str = "") -> OpenRule:
        """The rule by the vendor's statuses of executions and what they mean."""
        return cls(frozenset(map(str.upper, ended(meanings))), end)

    def is_open(self, row: Row) -> bool:
        """Whether the execution may still change."""
        if str(row.get("status") or "").upper() in self.ended:
            return False
        return not self.end or instant_or_millis(row.get(self.end)) is None

    def are_open(self, status: pa.Array, end: pa.Array) -> pa.Array:
        """The same of executions in columns, whose ends are texts of instants, empty, or null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        has_ended = pc.is_in(pc.utf8_upper(status), value_set=pa.array(sorted(self.ended)))
        return pc.invert(pc.or_(has_ended, pc.fill_null(pc.not_equal(end, ""), False)))
