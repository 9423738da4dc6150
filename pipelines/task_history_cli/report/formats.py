"""The report in other formats than HTML: PDF, printed by Chromium, and its figures as CSV files in a zip."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from task_history.core import child_python, files
from task_history.core.errors import ConfigurationError, TaskHistoryError
from task_history.core.folders import temporary_folder

from .figures import Report
from .headline import headline
from .sections import sections

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
"""Programs that print a page without a window, by the names under which systems install them."""
FOLDER = "task-history-report"
"""The folder of the CSV files in the zip, by which it is recognised."""
_PRINT_TIMEOUT_S = 180
_DRAWING_MS = 20_000
"""The time that the page has to draw its charts, of its own clock."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a cell that spreadsheets run as a formula; the last four, wide ones, do so in Japanese ones.

https://owasp.org/www-community/attacks/CSV_Injection
"""


def pdf(page: str) -> bytes:
    """The page as it is printed.

    Raises:
        ConfigurationError: there is no Chromium.
        TaskHistoryError: it did not print.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise ConfigurationError(
            f"report --format pdf prints with Chromium, and none of {', '.join(BROWSERS)} is on the PATH. Install one "
            "(Debian: apt-get install chromium), or open the report of --format html in a browser and print it there."
        )
    with temporary_folder() as folder:
        html, out = folder / "report.html", folder / "report.pdf"
        files.write_new(html, page.encode("utf-8"))
        said = _print(program, folder, html, out)
        if not out.exists():
            raise TaskHistoryError(
                f"{program} printed no PDF: {said or 'it said nothing'}. Print the report of --format html in a browser."
            )
        return out.read_bytes()


def _print(program: str, folder: Path, html: Path, out: Path) -> str:
    """Prints the page and returns the last line of the browser's output."""
    command = [
        program,
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--no-pdf-header-footer",
        f"--virtual-time-budget={_DRAWING_MS}",
        f"--user-data-dir={folder / 'profile'}",
        f"--print-to-pdf={out}",
        # As root it starts only without its sandbox; the page is ours, and its policy loads nothing.
        *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        html.as_uri(),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own words # nosec B603
            command,
            env=child_python.environment(folder, HOME=str(folder)),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PRINT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {_PRINT_TIMEOUT_S} seconds"
    except OSError as error:
        return str(error.strerror)
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else ""


def csv_files(report: Report) -> bytes:
    """A zip with a CSV file for each table of the report: whole numbers, milliseconds, and instants in UTC."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in _tables(report).items():
            archive.writestr(f"{FOLDER}/{name}.csv", _csv(rows))
    return content.getvalue()


def _tables(report: Report) -> dict[str, Sequence[Mapping[str, Any]]]:
    found = sections(report)
    texts = [("headline", text) for text in headline(report)]
    texts += [(section.id, text) for section in found for text in section.points]
    period = report.period
    about = {"period": period.title, "timezone": period.zone, **_bounds("", period.window)}
    if report.is_compared and period.before:
        about |= _bounds("before_", period.before)
    return {
        "about": [about],
        "texts": [{"part": part, "text": text} for part, text in texts],
        "totals": [
            {
                "system": scope[0],
                "instance": scope[1],
                "integration": scope[2],
                **totals,
                **{f"{name}_before": value for name, value in report.totals_before.get(scope, {}).items()},
            }
            for scope, totals in report.totals.items()
        ],
        **{name: rows for section in found for name, rows in section.csv.items()},
    }


def _bounds(prefix: str, window: Any) -> dict[str, datetime]:
    return {f"{prefix}{name}": value for name, value in window.as_json().items()}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    names: Iterable[str] = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
