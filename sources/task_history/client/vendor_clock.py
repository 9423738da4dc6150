"""The vendor's clock, as the Date headers of its answers show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..core.models import floor_ms
from .retry_after import http_date

_SECOND = timedelta(seconds=1)


class VendorClock:
    """By how much the vendor's clock is ahead of this machine's."""

    def __init__(self, offset_s: float | None = None) -> None:
        self.offset_s = offset_s
        """Seconds by which it is ahead, to about one; None before an answer."""
        self._dated = ""

    def note(self, date_header: str) -> None:
        """Reads the ``Date`` header of an answer that came just now. https://www.rfc-editor.org/rfc/rfc9110#field.date"""
        # It says whole seconds: the same one again tells nothing.
        if date_header == self._dated:
            return
        self._dated = date_header
        date = http_date(date_header)
        if date is not None:
            self.offset_s = (date - datetime.now(UTC)).total_seconds()

    def present(self, now: datetime) -> datetime:
        """The present instant by the vendor's clock; ``now``, by this machine's, before an answer has shown it.

        One second is added, because the Date header is cut to whole seconds.
        """
        if self.offset_s is None:
            return floor_ms(now)
        return floor_ms(now + timedelta(seconds=self.offset_s) + _SECOND)
