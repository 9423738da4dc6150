"""``task-history report``: one HTML file that says how things went, from the views; it opens offline."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from task_history.core import files
from task_history.core.errors import ConfigurationError, UsageError

from ..console import arguments, date_range, output
from ..report.period import DAYS, MONTH, SPAN, WEEK, Period
from ..runtime import views
from ..runtime.target import find_target

MARK = b"<title>Task history, "
"""A marker near the beginning of each report, by which a report is recognised."""
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
        default="UTC",
        help="time zone of days, such as Europe/Berlin (default UTC)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), help="the file (default report.html)"
    )


def run(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    period = _period(args, now)
    if not args.out.absolute().parent.is_dir():
        raise UsageError(f"--out {args.out}: there is no such folder. Make it, or name another file.")
    _check_is_a_report(args.out)
    try:
        from ..report import page as report_page
    except ModuleNotFoundError as error:
        if error.name not in ("altair", "vl_convert", "jinja2"):
            raise
        raise ConfigurationError(ADVICE.format(missing=error.name)) from None
    from ..report import data as report_data

    target = find_target(args.destination, "task_history_views")
    with views.asked(target) as access:
        report = report_data.report(access, period, now=now)
    page = report_page.page(report)
    totals = report.totals[report_data.ALL]
    _write(args.out, page)
    if args.json:
        output.emit(
            {
                "command": "report",
                "out": str(args.out),
                "bytes": len(page.encode()),
                **period.window.as_json(),
                "totals": totals,
            }
        )
    else:
        output.tell(
            f"{args.out}: {totals['executions']:,} executions, {output.size(len(page.encode()))}. It opens in any "
            "browser, offline."
        )
    return 0


def _check_is_a_report(out: Path) -> None:
    """Raises UsageError when the file at ``out`` is neither a report nor empty."""
    try:
        head = files.head(out, _HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"--out {out}: it {error.strerror}. Name another file.") from None
    if head and MARK not in head:
        raise UsageError(
            f"--out {out}: the file that is there is not a report, so it is not overwritten. Remove it, or name "
            "another file."
        )


def _write(out: Path, page: str) -> None:
    """Writes the page, replacing an earlier report. Raises UsageError when it cannot be written."""
    try:
        files.replace(out, page.encode())
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written ({error.strerror}). Name another file.") from None


def _period(args: argparse.Namespace, now: datetime) -> Period:
    """The days that the arguments name; without any the last ones, of which today is the last. Raises UsageError."""
    zone = date_range.named_zone(args.timezone)
    name = zone.name
    ways = [bool(args.month), bool(args.week), bool(args.start or args.end)]
    if sum(ways) > 1 or bool(args.start) != bool(args.end):
        raise UsageError("Use one of --month, --week, or --from with --to.")
    if args.month:
        return Period(date_range.month(args.month, zone), args.month, name, MONTH)
    if args.week:
        week = Period(date_range.week(args.week, zone), "", name, WEEK)
        return replace(week, title=f"week from {week.days[0]}")
    if args.start:
        chosen = Period(date_range.between(args.start, args.end, zone), "", name, SPAN)
        return replace(chosen, title=f"{chosen.days[0]} to {chosen.days[-1]}")
    today = now.astimezone(ZoneInfo(name)).date()
    first, end = today - timedelta(days=DAYS - 1), today + timedelta(days=1)
    window = date_range.between(first.isoformat(), end.isoformat(), zone)
    return Period(window, f"the last {DAYS} days", name, SPAN)
