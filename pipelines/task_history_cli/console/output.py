"""What a person or a machine reads: log lines and errors on stderr, one JSON object on stdout."""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

log = logging.getLogger("task_history")


_SECRETS: list[str] = []

# A line of this project is a name and figures: "commit phase=%s rows=%d".
_EVENT = re.compile(r"(\w+)((?: \w+=\S+)+)")


class _Text(logging.Formatter):
    """Lines for a person, without secrets, whoever wrote them."""

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, tuple):
            values = tuple(map(_word, record.args))
            record = copy.copy(record)
            record.args = values
        return scrubbed(super().format(record))


class _Json(_Text):
    """Lines for a machine: one object each, its figures as fields."""

    def format(self, record: logging.LogRecord) -> str:
        message, fields = _event(record)
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        head = {
            "at": self.formatTime(record, self.datefmt) + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        line = {key: _figure(value) for key, value in (head | fields | getattr(record, "fields", {})).items()}
        return json.dumps(line, ensure_ascii=False)


class _Onward(logging.Handler):
    """Gives lines to the handlers of the root logger, which know form and secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


def _event(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The name and the figures of a line of this project; any other line is a message and no more."""
    found = _EVENT.fullmatch(str(record.msg)) if record.name == log.name else None
    if found is None:
        return record.getMessage(), {}
    values = iter(record.args if isinstance(record.args, tuple) else ())
    words = (word.split("=", 1) for word in found[2].split())
    return found[1], {key: next(values) if value.startswith("%") else value for key, value in words}


def _word(value: Any) -> Any:
    """A value for a person; scrubbed before it is written in another way, such as with quotes."""
    return "-" if value is None else scrubbed(value) if isinstance(value, str) else value


def _figure(value: Any) -> Any:
    """A value for a machine."""
    if isinstance(value, float):
        return round(value, 3)
    return value if value is None or isinstance(value, int) else scrubbed(str(_plain(value)))


def scrubbed(text: str) -> str:
    """The text without the secrets of this run."""
    for secret in _SECRETS:
        text = text.replace(secret, "[redacted]")
    return text


def keep_secret(secrets: Iterable[str]) -> None:
    """From now on these appear in no line."""
    _SECRETS.extend(secret for secret in secrets if len(secret) >= 4 and secret not in _SECRETS)


def start_logging(level: str, form: str) -> None:
    """Log lines of this project at that level, those of libraries only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(level.upper())
    # dlt gives its logger a form and a handler of its own, unless it has one already.
    of_dlt = logging.getLogger("dlt")
    of_dlt.handlers[:] = [_Onward()]
    of_dlt.propagate = False
    of_dlt.setLevel(logging.WARNING)
    logging.captureWarnings(form == "json")


def is_json() -> bool:
    """Whether the lines on stderr are for a machine."""
    return any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers)


def emit(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(scrubbed(json.dumps(value, default=_plain, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(scrubbed(text) + "\n")


def tell(text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """A line on stderr, whatever lines of a log are shown; ``fields`` are for a machine."""
    line = scrubbed(text)
    if is_json():
        record = log.makeRecord(log.name, level, "", 0, "%s", (text,), None, extra={"fields": fields})
        line = _Json().format(record)
    sys.stderr.write(line + "\n")
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
