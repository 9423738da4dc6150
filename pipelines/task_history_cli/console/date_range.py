"""Which executions a command is about: a month or a range of time, and filters."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import pendulum
from pendulum.tz import timezones
from pendulum.tz.exceptions import InvalidTimezone

from task_history import systems
from task_history.core.errors import UsageError
from task_history.core.models import Selection, Window, floor_ms
from task_history.settings import Settings

from . import output

_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_YEARS = range(1970, 9001)
"""Years that a range may name: no arithmetic leaves the years of Python and of the warehouses."""


@dataclass(frozen=True, slots=True)
class Range:
    """What was asked for, and what of it can be had."""

    asked: Window
    window: Window
    """Without the future and what may still become visible late."""
    name: str
    """As the user said it."""
    zone: str
    is_cut: bool
    """Whether the end was moved back."""
    words: tuple[str, ...]
    """The options that name it."""
    purged_before: datetime | None
    """The vendor has purged what of it began before; None where all of it should be there."""


def add_range(parser: argparse.ArgumentParser) -> None:
    """A month, or from when until when."""
    parser.add_argument("--month", metavar="YYYY-MM", help="all executions that began in that month")
    parser.add_argument(
        "--from", dest="start", metavar="WHEN", help="from that day or instant on, such as 2026-09-01"
    )
    parser.add_argument("--to", dest="end", metavar="WHEN", help="until that day or instant, itself excluded")
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        default="UTC",
        help="where days and months begin, such as Europe/Berlin (default UTC)",
    )


def add_filters(parser: argparse.ArgumentParser, *, but: Collection[str] = ()) -> None:
    """Only some executions; a system takes those filters that it has, ``but`` for some."""
    known = {one.name: one.text for name in systems.names() for one in systems.find(name).listing.filters}
    for name, text in known.items():
        if name in but:
            continue
        parser.add_argument(f"--{name}", metavar=name[0].upper(), help=f"only those: {text}")


def filters(args: argparse.Namespace, settings: Settings) -> dict[str, str]:
    """The filters that were given. Raises UsageError where the system has no such filter."""
    known = {one.name for name in systems.names() for one in systems.find(name).listing.filters}
    given = {name: str(getattr(args, name)) for name in sorted(known) if getattr(args, name, None)}
    own = {one.name for one in settings.system.listing.filters}
    for name in given:
        if name not in own:
            raise UsageError(
                f"{settings.system.name} cannot be asked by --{name}: it has {', '.join(sorted(own))}."
            )
    return given


def selection(asked: Range, chosen: Mapping[str, str]) -> Selection:
    """Both as one."""
    return Selection(asked.window, dict(chosen))


def window(args: argparse.Namespace, settings: Settings, now: datetime, *, lookback: bool = True) -> Range:
    """The range that was asked for, without what has not happened yet.

    What may still become visible late belongs to a sync, which looks at it again: with ``lookback`` a range
    ends that long before now.

    Raises:
        UsageError: there is no such range, or nothing of it can be had.
    """
    zone = _zone(args.timezone)
    if args.month and (args.start or args.end):
        raise UsageError("Give either --month or --from and --to, not both.")
    if args.month:
        asked, name = month(args.month, zone), args.month
    elif args.start and args.end:
        asked = _window(_when(args.start, zone, "--from"), _when(args.end, zone, "--to"))
        name = f"{args.start} to {args.end}"
    else:
        raise UsageError(
            "Say which time: --month 2026-09, or --from 2026-09-01 --to 2026-09-15 (end excluded)."
        )
    if asked.is_empty:
        raise UsageError(
            f"--from {args.start} is not before --to {args.end}: nothing lies between them. The end is excluded; "
            "for one day give the day after as --to."
        )
    latest = floor_ms(now - settings.lookback if lookback else now)
    if asked.start >= latest:
        raise UsageError(
            f"{name} has not happened yet: now is {_shown(now)}."
            if asked.start >= now
            else f"{name} is too young: executions of the last {settings.values.lookback_minutes:g} minutes may still "
            "become visible. task-history sync reads them."
        )
    horizon = None if settings.retention is None else floor_ms(now - settings.retention)
    if horizon is not None and asked.end <= horizon:
        raise UsageError(
            f"{name} is purged: {settings.system.title} keeps {settings.values.retention_days:g} days, and everything "
            f"before {_shown(horizon)} is gone. If yours keeps more, set retention_days."
        )
    return Range(
        asked,
        Window(asked.start, min(asked.end, latest)),
        name,
        str(args.timezone),
        asked.end > latest,
        (
            *(("--month", args.month) if args.month else ("--from", args.start, "--to", args.end)),
            *(("--timezone", args.timezone) if args.timezone.upper() != "UTC" else ()),
        ),
        horizon if horizon is not None and asked.start < horizon else None,
    )


def lines(asked: Range) -> list[str]:
    """The range for a person, and what of it cannot be had."""
    window = asked.window
    zone = "" if asked.zone.upper() == "UTC" else f", in {asked.zone}"
    found = [
        f"{asked.name}{zone}: {output.minute(window.start)} to {output.minute(window.end)} UTC, the end excluded."
    ]
    if asked.is_cut:
        found.append("What is younger may still become visible late; task-history sync reads it.")
    if asked.purged_before:
        found.append(
            f"What began before {output.minute(asked.purged_before)} UTC is probably purged at the vendor; whatever it "
            "still shows is read."
        )
    return found


def around(text: str, zone_name: str, option: str = "--around") -> Window:
    """The day that is named, or the millisecond of an instant. Raises UsageError."""
    start = _when(text, _zone(zone_name), option)
    is_instant = len(text.strip()) > len("2026-09-01")
    return _window(start, start.add(microseconds=1_000) if is_instant else start.add(days=1))


def month(text: str, zone: pendulum.Timezone | pendulum.FixedTimezone = pendulum.UTC) -> Window:
    """The month ``2026-09`` as it begins and ends in that time zone. Raises UsageError."""
    found = _MONTH.fullmatch(text.strip())
    if found is None or not 1 <= int(found[2]) <= 12 or int(found[1]) not in _YEARS:
        raise UsageError(f"--month {text} is no month: write it like 2026-09.")
    first = pendulum.datetime(int(found[1]), int(found[2]), 1, tz=zone)
    return _window(first, first.add(months=1))


def _zone(name: str) -> pendulum.Timezone | pendulum.FixedTimezone:
    """The time zone of that name. Raises UsageError."""
    try:
        return pendulum.timezone("UTC" if name.upper() == "UTC" else name)
    except (InvalidTimezone, ValueError, OSError):
        near = difflib.get_close_matches(name, sorted(timezones()), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "It must be a name such as Europe/Berlin."
        raise UsageError(f"There is no time zone {name!r}. {hint}") from None


def _when(text: str, zone: pendulum.Timezone | pendulum.FixedTimezone, option: str) -> pendulum.DateTime:
    """A day or instant in ISO 8601; in ``zone`` where it names none. Raises UsageError."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{option} {text} is no day or instant: write it like 2026-09-01 or 2026-09-01T12:00."
        ) from None
    if instant.year not in _YEARS:
        raise UsageError(f"{option} {text} lies outside the years {_YEARS[0]} to {_YEARS[-1]}.")
    return pendulum.instance(instant, tz=zone)


def _window(start: pendulum.DateTime, end: pendulum.DateTime) -> Window:
    return Window(_utc(start), _utc(end))


def _utc(instant: pendulum.DateTime) -> datetime:
    """The same instant as the rest of the project has it: a plain datetime in UTC, of whole milliseconds."""
    return floor_ms(datetime.fromisoformat(instant.isoformat()))


def _shown(instant: datetime) -> str:
    return pendulum.instance(instant).in_timezone("UTC").format("YYYY-MM-DD HH:mm [UTC]")
