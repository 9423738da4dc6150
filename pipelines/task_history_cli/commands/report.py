"""``task-history report``: one file that says how things went, from the views: HTML, PDF, or CSV in a zip."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from task_history.core import files
from task_history.core.calendars import Calendar
from task_history.core.errors import ConfigurationError, UsageError
from task_history.views import create
from task_history.views.calendars import common_calendar

from ..console import arguments, date_range, output
from ..report.period import DAYS, MONTH, SPAN, WEEK, Period
from ..runtime import views
from ..runtime.target import find_target

MAX_DAYS = 4_000
"""Days of a report at most, some 11 years: each has a line in its table and bars in its charts."""
FILES = {"html": "report.html", "pdf": "report.pdf", "csv": "report.zip"}
"""The file that is written where none is named, by format."""
MARK = b"<title>Task history, "
MARKS = (MARK, b"/Title (Task history", b"task-history-report/")
"""Markers near the beginning of each report, by which a report is recognised: of HTML, PDF and the zip."""
_HEAD_BYTES = 2_000
ADVICE = (
    "task-history report draws its charts with Altair, which is not installed ({missing} is missing). Install it with: "
    "pip install 'task-history[report]', or: pip install altair vl-convert-python jinja2"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_warehouse(parser)
    parser.add_argument("--month", metavar="YYYY-MM", help=f"the month; the last {DAYS} days if not given")
    parser.add_argument("--week", metavar="WEEK", help="the week: 2026-W48, or a day in it, 2026-11-23")
    parser.add_argument("--from", dest="start", metavar="DAY", help="first day, such as 2026-11-01")
    parser.add_argument("--to", dest="end", metavar="DAY", help="end day, excluded")
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="time zone of days, such as Europe/Berlin (default: that of the accounts, UTC where they differ)",
    )
    parser.add_argument(
        "--format",
        choices=list(FILES),
        default="html",
        help="html; pdf, printed by Chromium; csv, a zip with a file for each table (default html)",
    )
    parser.add_argument("--out", type=Path, help="the file (default report.html, report.pdf or report.zip)")


def run(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    _period(args, now, Calendar())  # what is wrong with the arguments is said before the warehouse is opened
    out = args.out or Path(FILES[args.format])
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no such folder. Make it, or name another file.")
    _check_is_a_report(out)
    try:
        from ..report import figures as report_data
        from ..report import formats
        from ..report import page as report_page
    except ModuleNotFoundError as error:
        if error.name not in ("altair", "vl_convert", "jinja2"):
            raise
        raise ConfigurationError(ADVICE.format(missing=error.name)) from None

    target = find_target(args.destination, "task_history_views")
    with views.asked(target) as access:
        calendar = common_calendar(dataset.calendar for dataset in create.datasets(access))
        period = _period(args, now, calendar)
        report = report_data.report(access, period, now=now)
    if args.format == "csv":
        content = formats.csv_files(report)
    else:
        page = report_page.page(report)
        content = formats.pdf(page) if args.format == "pdf" else page.encode()
    _write(out, content)
    totals = report.totals[report_data.ALL]
    if args.json:
        output.emit(
            {
                "command": "report",
                "format": args.format,
                "out": str(out),
                "bytes": len(content),
                **period.window.as_json(),
                "timezone": period.zone,
                "totals": totals,
                "totals_before": report.totals_before.get(report_data.ALL),
            }
        )
    else:
        hint = " It opens in any browser, offline." if args.format == "html" else ""
        output.tell(f"{out}: {totals['executions']:,} executions, {output.size(len(content))}.{hint}")
    return 0


def _check_is_a_report(out: Path) -> None:
    """Raises UsageError when the file at ``out`` is neither a report nor empty."""
    try:
        head = files.head(out, _HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"--out {out}: it {error.strerror}. Name another file.") from None
    if head and not any(mark in head for mark in MARKS):
        raise UsageError(
            f"--out {out}: the file that is there is not a report, so it is not overwritten. Remove it, or name "
            "another file."
        )


def _write(out: Path, content: bytes) -> None:
    """Writes the report, replacing an earlier one. Raises UsageError when it cannot be written."""
    try:
        files.replace(out, content)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written ({error.strerror}). Name another file.") from None


def _period(args: argparse.Namespace, now: datetime, calendar: Calendar) -> Period:
    """The days that the arguments name; without any the last ones, of which today is the last. Raises UsageError."""
    zone = date_range.named_zone(args.timezone or calendar.timezone)
    name = zone.name
    ways = [bool(args.month), bool(args.week), bool(args.start or args.end)]
    if sum(ways) > 1 or bool(args.start) != bool(args.end):
        raise UsageError("Use one of --month, --week, or --from with --to.")
    if args.month:
        return Period(date_range.month(args.month, zone), args.month, name, MONTH)
    if args.week:
        week = Period(date_range.week(args.week, zone, calendar.week_start_number), "", name, WEEK)
        return replace(week, title=f"week from {week.days[0]}")
    if args.start:
        chosen = Period(date_range.between(args.start, args.end, zone), "", name, SPAN)
        if chosen.window.end - chosen.window.start > timedelta(days=MAX_DAYS):
            raise UsageError(
                f"--from {args.start} to --to {args.end} is longer than the {MAX_DAYS:,} days that a report may have."
            )
        return replace(chosen, title=f"{chosen.days[0]} to {chosen.days[-1]}")
    today = now.astimezone(ZoneInfo(name)).date()
    first, end = today - timedelta(days=DAYS - 1), today + timedelta(days=1)
    window = date_range.between(first.isoformat(), end.isoformat(), zone)
    return Period(window, f"the last {DAYS} days", name, SPAN)
