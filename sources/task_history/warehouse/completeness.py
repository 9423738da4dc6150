"""On which evidence a window counts as loaded completely, or why it does not, as ``coverage`` stores it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EVIDENCE = ("none", "repeat", "chain", "count")
"""The kinds of evidence, the weakest first."""
_REJECTED = re.compile(r"[0-9,]+ rows? without a usable id")
_MAX_REASON = 500
"""Characters of the reasons of one day."""


def rejected_reason(number: int) -> str:
    """Why a window with so many rejected rows is not verified."""
    return f"{number:,} row{'' if number == 1 else 's'} without a usable id"


@dataclass(frozen=True, slots=True)
class Completeness:
    """On which evidence what is loaded of a window counts as all of it, or why it does not."""

    evidence: str | None = None
    """``count``, ``chain``, ``repeat`` or ``none``; None where a version of this connector noted nothing."""
    reasons: tuple[str, ...] = ()
    """Why it does not, rejected rows apart."""
    rejected: int = 0
    """Rows of the vendor's that have no usable id."""

    @property
    def is_verified(self) -> bool:
        """Whether it counts as all."""
        return self.evidence not in (None, "none") and not self.rejected

    @property
    def is_whole_but_rejected(self) -> bool:
        """Whether nothing but rejected rows stands against it."""
        return self.evidence not in (None, "none") and self.rejected > 0

    @property
    def reason(self) -> str | None:
        """Why it does not count as all, in words; None where it does, or where nothing was noted."""
        parts = (*self.reasons, *([rejected_reason(self.rejected)] if self.rejected else ()))
        return "; ".join(parts)[:_MAX_REASON] or None

    def __and__(self, other: Completeness) -> Completeness:
        """Of two windows together: the weaker evidence, and the reasons of both."""
        both = (self.evidence, other.evidence)
        kinds = [kind for kind in both if kind in _EVIDENCE]
        weakest = min(kinds, key=_EVIDENCE.index) if kinds else None
        # What was not noted of one is not known of both, unless one is enough.
        evidence = weakest if None not in both or weakest == "none" else None
        reasons = tuple(dict.fromkeys((*self.reasons, *other.reasons)))
        return Completeness(evidence, reasons, self.rejected + other.rejected)

    @classmethod
    def stored(cls, evidence: str | None, reason: str | None, rejected: int | None) -> Completeness:
        """As a row of ``coverage`` says it."""
        parts = filter(None, (reason or "").split("; "))
        return cls(evidence, tuple(part for part in parts if not _REJECTED.fullmatch(part)), rejected or 0)
