"""Date ranges and filters of a command: --month, --from, --to, --timezone, --status and the like."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pendulum
from pendulum.tz import timezones
from pendulum.tz.exceptions import InvalidTimezone

from task_history import systems
from task_history.core.errors import UsageError
from task_history.core.log import log
from task_history.core.models import Selection, Window, floor_ms
from task_history.settings_reader import Settings
from task_history.systems.protocol import Filter
from task_history.warehouse.column_rules import column_rules
from task_history.warehouse.keep_days import kept_since

from . import times

_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_YEARS = range(1970, 9001)
"""First and last year that a range may name, so that no sum overflows in Python or a warehouse."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range that a user requested, and the part of it that can be loaded."""

    requested: Window
    window: Window
    """The requested window without the future and without executions that may still become visible late."""
    name: str
    """The range as the user wrote it."""
    zone: str
    is_cut: bool
    """Whether ``window`` ends before ``requested``."""
    words: tuple[str, ...]
    """The command-line options that name the range."""
    purged_before: datetime | None
    """The instant before which the vendor has purged executions of the range; None when it has purged none."""
    kept_since: datetime | None = None
    """The instant at which ``window`` begins because keep_days_executions keeps nothing before; None otherwise."""
    details_kept_since: Mapping[str, datetime] = field(default_factory=dict)
    """Since when ``steps`` and ``payloads`` are kept, where the window begins before."""


def add_range(parser: argparse.ArgumentParser) -> None:
    """Adds --month, --from, --to and --timezone."""
    parser.add_argument("--month", metavar="YYYY-MM", help="executions that began in that month")
    parser.add_argument(
        "--from", dest="start", metavar="WHEN", help="first day or instant, such as 2026-09-01"
    )
    parser.add_argument("--to", dest="end", metavar="WHEN", help="end day or instant, excluded")
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        default="UTC",
        help="time zone of days and months, such as Europe/Berlin (default UTC)",
    )


def add_filters(parser: argparse.ArgumentParser, *, but: Collection[str] = ()) -> None:
    """Adds an option for each filter of any system, except those named in ``but``."""
    texts: dict[str, dict[str, None]] = {}
    for system in systems.names():
        for kind in systems.find(system).listing.filters:
            text = f"{system}: {kind.text}" if kind.values else kind.text
            texts.setdefault(kind.name, {})[text] = None
    for name, text in ((name, "; ".join(found)) for name, found in texts.items()):
        if name in but:
            continue
        parser.add_argument(f"--{name}", metavar=name[0].upper(), help=f"filter by {name}: {text}")


def filters(args: argparse.Namespace, settings: Settings) -> dict[str, str]:
    """The filters that the arguments set.

    A value that the vendor does not document is named in a warning: new ones may have come.

    Raises:
        UsageError: the system does not support one, or the vendor writes its value with other capitals.
    """
    all_names = {kind.name for name in systems.names() for kind in systems.find(name).listing.filters}
    given = {name: str(getattr(args, name)) for name in sorted(all_names) if getattr(args, name, None)}
    supported = {kind.name: kind for kind in settings.system.listing.filters}
    for name, value in given.items():
        if name not in supported:
            options = ", ".join(f"--{other}" for other in sorted(supported)) or "no filter"
            raise UsageError(f"{settings.system.name} does not support --{name}; it supports {options}.")
        _check_value(settings, supported[name], value)
        _check_rules(settings, supported[name])
        listed = settings.system.listing.partitions(settings.values, ())
        if name == settings.system.listing.partitioned_by and listed and value not in listed:
            raise UsageError(f"--{name} {value}: it is none of those in the settings: {', '.join(listed)}.")
    return given


def _check_rules(settings: Settings, kind: Filter) -> None:
    executions = settings.system.executions.name
    if kind.column is not None and column_rules(settings).of(executions).action(kind.column) == "exclude":
        raise UsageError(
            f"--{kind.name} cannot be used: exclude_columns keeps {executions}.{kind.column} out of the warehouse, where "
            "it is looked up. With hash_columns in its place the filter works: equal values have equal hashes."
        )


def _check_value(settings: Settings, kind: Filter, value: str) -> None:
    if not kind.values or value in kind.values:
        return
    option, choices = f"--{kind.name} {value}", ", ".join(kind.values)
    same = next((known for known in kind.values if known.lower() == value.strip().lower()), None)
    if same is not None:
        raise UsageError(f"{option}: {settings.system.title} writes it {same}. Values: {choices}.")
    hint = f"{settings.system.title} documents {choices}; if there is no such value, nothing matches"
    log.warning("filter", option=option, hint=hint)


def selection(date_range: Range, chosen: Mapping[str, str]) -> Selection:
    """The executions of the range that match the filters."""
    return Selection(date_range.window, dict(chosen))


def window(args: argparse.Namespace, settings: Settings, now: datetime, *, lookback: bool = True) -> Range:
    """The range that the arguments name, cut to the past.

    With ``lookback`` it ends that setting before now: a sync compares those executions again, because some may
    become visible late.

    Raises:
        UsageError: the arguments name no range, or no part of it can be loaded.
    """
    zone = named_zone(args.timezone)
    if args.month and (args.start or args.end):
        raise UsageError("Use either --month, or --from with --to, not both.")
    if args.month:
        requested, name = month(args.month, zone), args.month
    elif args.start and args.end:
        requested = between(args.start, args.end, zone)
        name = f"{args.start} to {args.end}"
    else:
        raise UsageError(
            "No range given. Use --month 2026-09, or --from 2026-09-01 --to 2026-09-15 (end excluded)."
        )
    latest = floor_ms(now - settings.lookback if lookback else now)
    if requested.start >= latest:
        raise UsageError(
            f"{name} has not happened yet: now is {times.minute(now)} UTC."
            if requested.start >= now
            else f"{name} is too recent: executions of the last {settings.values.lookback_minutes:g} minutes may still "
            "become visible late. task-history sync loads them."
        )
    kept = kept_since(settings, now)
    if kept.executions is not None and min(requested.end, latest) <= kept.executions:
        raise UsageError(
            f"{name} is older than keep_days_executions = {settings.values.keep_days_executions} keeps executions in the "
            f"warehouse: what began before {times.minute(kept.executions)} UTC is deleted by each sync. To load it, "
            "raise that setting."
        )
    horizon = None if settings.retention is None else floor_ms(now - settings.retention)
    if horizon is not None and requested.end <= horizon:
        raise UsageError(
            f"{name} is purged: {settings.system.title} keeps {settings.values.retention_days:g} days, and everything "
            f"before {times.minute(horizon)} UTC is gone. If your account keeps more, set retention_days."
        )
    start = max(requested.start, kept.executions or requested.start)
    details = {"steps": kept.steps, "payloads": kept.payloads}
    return Range(
        requested,
        Window(start, min(requested.end, latest)),
        name,
        str(args.timezone),
        requested.end > latest,
        (
            *(("--month", args.month) if args.month else ("--from", args.start, "--to", args.end)),
            *(("--timezone", args.timezone) if args.timezone.upper() != "UTC" else ()),
        ),
        horizon if horizon is not None and start < horizon else None,
        start if start > requested.start else None,
        {name: since for name, since in details.items() if since is not None and start < since},
    )


def lines(date_range: Range) -> list[str]:
    """Lines that state the range, and the part of it that cannot be loaded."""
    window = date_range.window
    zone = "" if date_range.zone.upper() == "UTC" else f", in {date_range.zone}"
    text = [
        f"{date_range.name}{zone}: {times.minute(window.start)} to {times.minute(window.end)} UTC, the end excluded."
    ]
    if date_range.is_cut:
        text.append("Later executions may still become visible late; task-history sync loads them.")
    if date_range.kept_since:
        text.append(
            f"What began before {times.minute(date_range.kept_since)} UTC is left out: keep_days_executions keeps it no "
            "longer in the warehouse."
        )
    text += [
        f"Of what began before {times.minute(since)} UTC no {name} are read or compared: keep_days_{name} keeps them no "
        "longer."
        for name, since in date_range.details_kept_since.items()
    ]
    if date_range.purged_before:
        text.append(
            f"What began before {times.minute(date_range.purged_before)} UTC is probably purged at the "
            "vendor; what the vendor still shows is read."
        )
    return text


def around(text: str, zone_name: str, option: str = "--around") -> Window:
    """The window of a day, or the millisecond of an instant. Raises UsageError."""
    start = _when(text, named_zone(zone_name), option)
    is_instant = len(text.strip()) > len("2026-09-01")
    return _window(start, start.add(microseconds=1_000) if is_instant else start.add(days=1))


def month(text: str, zone: pendulum.Timezone | pendulum.FixedTimezone = pendulum.UTC) -> Window:
    """The month ``2026-09`` as it begins and ends in that time zone. Raises UsageError."""
    match = _MONTH.fullmatch(text.strip())
    if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) not in _YEARS:
        raise UsageError(f"--month {text} is not a month. Write it like 2026-09.")
    first = pendulum.datetime(int(match[1]), int(match[2]), 1, tz=zone)
    return _window(first, first.add(months=1))


def week(text: str, zone: pendulum.Timezone | pendulum.FixedTimezone, first_day: int = 1) -> Window:
    """The week in which a day lies, ``2026-11-23``, or a week of ISO 8601, ``2026-W48``.

    It begins with ``first_day``, 1 for Monday to 7 for Sunday. Raises UsageError.
    """
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"--week {text} is not a week. Write 2026-W48, or a day in it: 2026-11-23."
        ) from None
    if day.year not in _YEARS:
        raise UsageError(f"--week {text} is outside the years {_YEARS[0]} to {_YEARS[-1]}.")
    first = day - timedelta(days=(day.isoweekday() - first_day) % 7)
    start = pendulum.datetime(first.year, first.month, first.day, tz=zone)
    return _window(start, start.add(weeks=1))


def between(start: str, end: str, zone: pendulum.Timezone | pendulum.FixedTimezone) -> Window:
    """From one day or instant to another, which is excluded. Raises UsageError."""
    found = _window(_when(start, zone, "--from"), _when(end, zone, "--to"))
    if found.is_empty:
        raise UsageError(
            f"--from {start} is not before --to {end}. The end is excluded: for a single day, use the next day as --to."
        )
    return found


def named_zone(name: str) -> pendulum.Timezone | pendulum.FixedTimezone:
    """The time zone of that name. Raises UsageError."""
    try:
        return pendulum.timezone("UTC" if name.upper() == "UTC" else name)
    except (InvalidTimezone, ValueError, OSError):
        similar = difflib.get_close_matches(name, sorted(timezones()), n=3)
        hint = (
            f"Did you mean {' or '.join(similar)}?" if similar else "It must be a name such as Europe/Berlin."
        )
        raise UsageError(f"Unknown time zone {name!r}. {hint}") from None


def _when(text: str, zone: pendulum.Timezone | pendulum.FixedTimezone, option: str) -> pendulum.DateTime:
    """A day or instant in ISO 8601; in ``zone`` where it names none. Raises UsageError."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{option} {text} is not a date or time. Write it like 2026-09-01 or 2026-09-01T12:00."
        ) from None
    if instant.year not in _YEARS:
        raise UsageError(f"{option} {text} is outside the years {_YEARS[0]} to {_YEARS[-1]}.")
    return pendulum.instance(instant, tz=zone)


def _window(start: pendulum.DateTime, end: pendulum.DateTime) -> Window:
    return Window(_utc(start), _utc(end))


def _utc(instant: pendulum.DateTime) -> datetime:
    """The same instant as the rest of the project has it: a plain datetime in UTC, of whole milliseconds."""
    return floor_ms(datetime.fromisoformat(instant.isoformat()))
