"""``task-history report``: one HTML file that says how things went, from the views; it opens offline."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from task_history.core import files
from task_history.core.errors import ConfigurationError, UsageError
from task_history.core.models import Window

from ..console import arguments, date_range, output
from ..runtime import views
from ..runtime.target import find_target

_DAYS = 30
MARK = b"<title>Task history, "
"""A marker near the beginning of each report, by which a report is recognised."""
_HEAD_BYTES = 2_000
ADVICE = (
    "task-history report draws its charts with Altair, which is not installed ({missing} is missing). Install it with: "
    "pip install 'task-history[report]', or: pip install altair vl-convert-python jinja2"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_warehouse(parser)
    parser.add_argument(
        "--month", metavar="YYYY-MM", help=f"the month, UTC; the last {_DAYS} days if not given"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), help="the file (default report.html)"
    )


def run(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    window = _window(args.month, now)
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
        report = report_data.report(access, window, now=now)
    title = args.month or f"the last {_DAYS} days"
    page = report_page.page(report, title)
    _write(args.out, page)
    if args.json:
        output.emit(
            {
                "command": "report",
                "out": str(args.out),
                "bytes": len(page.encode()),
                **window.as_json(),
                "totals": report.totals,
            }
        )
    else:
        output.tell(
            f"{args.out}: {report.totals['executions']:,} executions, {output.size(len(page.encode()))}. It opens in any "
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


def _window(month: str | None, now: datetime) -> Window:
    """The days of the report; the last one is today."""
    if month is not None:
        return date_range.month(month)
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return Window(tomorrow - timedelta(days=_DAYS), tomorrow)
