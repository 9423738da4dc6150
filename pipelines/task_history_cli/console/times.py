"""How the command prints times: instants, all UTC, spans and durations."""

from __future__ import annotations

from datetime import UTC, datetime

from task_history.core.models import Window


def minute(instant: datetime | None) -> str:
    """``2026-09-01 12:00``; the reader knows that it is UTC."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if instant else "nothing"


def second(instant: datetime | None) -> str:
    """``2026-09-01 12:00:07``, for tables."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if instant else "–"


def exact(instant: datetime | None) -> str:
    """``2026-09-01 12:00:07.123 UTC``; without the milliseconds where they are 0."""
    if instant is None:
        return "an unknown time"
    milliseconds = instant.microsecond // 1000
    return second(instant) + (f".{milliseconds:03d}" if milliseconds else "") + " UTC"


def span(window: Window) -> str:
    """``2026-09-01 00:00:00 to 2026-09-02 00:00:00 UTC``."""
    return f"{exact(window.start).removesuffix(' UTC')} to {exact(window.end)}"


def iso(instant: datetime) -> str:
    """``2026-09-01T12:00:07.123Z``, for JSON, with as many digits as there are."""
    return instant.isoformat().replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """``47 seconds``, ``3 minutes``, ``2 hours 5 minutes``; from two days on without minutes."""
    import pendulum

    unit = 1 if seconds < 90 else 60 if seconds < 172_800 else 3_600
    rounded = pendulum.duration(seconds=round(seconds / unit) * unit)
    return rounded.in_words() if rounded else "0 seconds"
