"""What a person or a machine reads: log lines and errors on stderr, one JSON object on stdout."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

log = logging.getLogger("task_history")


class _Scrubbed(logging.Formatter):
    """Lines without secrets, whoever wrote them."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record), self._secrets)


class _Json(_Scrubbed):
    def format(self, record: logging.LogRecord) -> str:
        message = scrubbed(record.getMessage(), self._secrets)
        line = {
            "at": self.formatTime(record, self.datefmt) + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if record.exc_info:
            line["error"] = scrubbed(self.formatException(record.exc_info), self._secrets)
        return json.dumps(line, ensure_ascii=False)


_SECRETS: list[str] = []


def scrubbed(text: str, secrets: Iterable[str] | None = None) -> str:
    """The text without the secrets of this run."""
    for secret in _SECRETS if secrets is None else secrets:
        text = text.replace(secret, "[redacted]")
    return text


def keep_secret(secrets: Iterable[str]) -> None:
    """From now on these appear in no line."""
    _SECRETS.extend(secret for secret in secrets if len(secret) >= 4 and secret not in _SECRETS)


def start_logging(level: str, form: str) -> None:
    """Log lines of this project at that level, those of libraries only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(_SECRETS) if form == "json" else _Scrubbed(_SECRETS))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(level.upper())
    logging.getLogger("dlt").setLevel(logging.ERROR)


def emit(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(scrubbed(json.dumps(value, default=_plain, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(scrubbed(text) + "\n")


def tell(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(scrubbed(text) + "\n")
    sys.stderr.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def at(instant: datetime | None) -> str:
    """``2026-09-01 12:00``, UTC."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if instant else "nothing"


def spelled(seconds: float) -> str:
    """``47 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def sized(count: float) -> str:
    """``400 KB``, ``14 MB``, ``2.3 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count:.0f} bytes"


def table(rows: list[list[str]], *, heads: list[str], right: set[int] | frozenset[int] = frozenset()) -> str:
    """Rows as columns of text; those in ``right`` stand to the right."""
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]

    def line(row: list[str]) -> str:
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(heads), "  ".join("─" * width for width in widths), *map(line, rows)])
