"""When a window or a day counts as verified: by the evidence that ``coverage`` stores, or not, by the reasons against it.

What is evidence that all rows of a window were read is another question, which ``extract.evidence`` answers. Analysts
see the state of each day in the view ``loaded_days``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_EVIDENCE = ("none", "repeat", "chain", "count")
"""The kinds of evidence, the weakest first."""
_REJECTED = re.compile(r"[0-9,]+ rows? without a usable id")
_MAX_REASON = 500
"""Maximum characters of the stored reasons of one day."""


def rejected_reason(number: int) -> str:
    """The reason why a window with ``number`` rejected rows is not verified."""
    return f"{number:,} row{'' if number == 1 else 's'} without a usable id"


@dataclass(frozen=True, slots=True)
class Completeness:
    """The evidence that a window is loaded completely, and the reasons against it."""

    evidence: str | None = None
    """``count``, ``chain``, ``repeat`` or ``none``; None where an earlier version of this connector stored none."""
    reasons: tuple[str, ...] = ()
    """Reasons why the window is not verified, without the one about rejected rows."""
    rejected: int = 0
    """Number of rows without a usable id."""

    @property
    def is_verified(self) -> bool:
        """Whether the window is known to be loaded completely."""
        return self.evidence not in (None, "none") and not self.rejected

    @property
    def is_complete_but_rejected(self) -> bool:
        """Whether rejected rows are the only reason why the window is not verified."""
        return self.evidence not in (None, "none") and self.rejected > 0

    @property
    def reason(self) -> str | None:
        """The reasons why the window is not verified, as text; None where it is, or where none was stored."""
        parts = (*self.reasons, *([rejected_reason(self.rejected)] if self.rejected else ()))
        return "; ".join(parts)[:_MAX_REASON] or None

    def __and__(self, other: Completeness) -> Completeness:
        """The completeness of two windows together: the weaker evidence, and the reasons of both."""
        both = (self.evidence, other.evidence)
        kinds = [kind for kind in both if kind in _EVIDENCE]
        weakest = min(kinds, key=_EVIDENCE.index) if kinds else None
        # An unknown evidence makes that of both unknown, unless the other is ``none``.
        evidence = weakest if None not in both or weakest == "none" else None
        reasons = tuple(dict.fromkeys((*self.reasons, *other.reasons)))
        return Completeness(evidence, reasons, self.rejected + other.rejected)

    def compared(
        self, comparison: Completeness, *, was_verified: bool, is_whole: bool, rejected: int
    ) -> tuple[Completeness, bool]:
        """The completeness of this day after a comparison, which rejected so many rows; whether it is verified.

        A day that was compared whole is as complete as the comparison; of others a part was, and they are at most as
        complete as they were. What an earlier version verified (``was_verified``) has no evidence that is known.
        """
        before = replace(self, rejected=0)
        of_day = replace(comparison if is_whole else before & comparison, rejected=rejected)
        is_as_before = was_verified or before.is_verified
        return of_day, comparison.is_verified and not rejected and (is_whole or is_as_before)

    @classmethod
    def stored(cls, evidence: str | None, reason: str | None, rejected: int | None) -> Completeness:
        """The completeness from the columns of a row of ``coverage``."""
        parts = filter(None, (reason or "").split("; "))
        return cls(evidence, tuple(part for part in parts if not _REJECTED.fullmatch(part)), rejected or 0)
