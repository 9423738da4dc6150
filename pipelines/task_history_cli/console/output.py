"""What a person or a machine reads: log lines and errors on stderr, one JSON object on stdout."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO, cast

from task_history.redaction.own_secrets import OwnSecrets

log = logging.getLogger("task_history")


_SECRETS: list[OwnSecrets] = []

# What moves the cursor, ends a line or changes the order of letters: C0, DEL, C1, marks, embeddings and isolates
# of writing direction, line and paragraph separators, halves of surrogate pairs.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_UNSEEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_HIDDEN_BUT_NEWLINE = re.compile(f"(?!\n)[{_UNSEEN}]")

# A line of this project is a name and figures: "commit phase=%s rows=%d".
_EVENT = re.compile(r"(\w+)((?: \w+=\S+)+)")


class _Text(logging.Formatter):
    """Lines for a person, without secrets, whoever wrote them."""

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        record.exc_text = None  # another handler's form of it
        if isinstance(record.args, tuple):
            record.args = tuple(map(_word, record.args))
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return visible(scrubbed(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatStack(stack_info))


class _Json(_Text):
    """Lines for a machine: one object each, its figures as fields."""

    def format(self, record: logging.LogRecord) -> str:
        message, fields = _event(record)
        if record.exc_info:
            fields["error"] = logging.Formatter.formatException(self, record.exc_info)
        head = {
            "at": self.formatTime(record, self.datefmt) + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        line = {key: _figure(value) for key, value in (head | fields | getattr(record, "fields", {})).items()}
        return _dumped(line)


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
    for own in _SECRETS:
        text = own.without(text)
    return text


def visible(text: str) -> str:
    """The text on one line, with what a terminal would obey or not show as an escape: ``\\n``, ``\\x1b``, ``\\u202e``."""
    return _HIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _indented(text: str) -> str:
    """Several lines of which none looks like the beginning of another log line."""
    return "\n".join("  " + visible(line) for line in scrubbed(text).split("\n"))


def _dumped(value: Any) -> str:
    """JSON on one line, with escapes for what a terminal would obey or not show."""
    text = scrubbed(json.dumps(value, default=_plain, ensure_ascii=False))
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class _Escaping:
    """A stream that lets nothing through which a terminal would obey, whoever writes to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(_HIDDEN_BUT_NEWLINE.sub(_escape, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def escaped_streams() -> Iterator[None]:
    """For as long as the block lasts nothing hidden reaches stdout and stderr, and no encoding stops a line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out, err = (cast("TextIO", _Escaping(stream)) for stream in (sys.stdout, sys.stderr))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def terminal() -> TextIO:
    """Stderr for what moves the cursor on purpose."""
    return sys.stderr.stream if isinstance(sys.stderr, _Escaping) else sys.stderr


def keep_secret(secrets: OwnSecrets) -> None:
    """From now on these, and what is added to them, appear in no line."""
    if not any(secrets is own for own in _SECRETS):
        # The same settings may have been read before, and these go on: they get to know a token.
        _SECRETS[:] = [own for own in _SECRETS if own.known != secrets.known] + [secrets]


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
    logging.captureWarnings(capture=True)


def is_json() -> bool:
    """Whether the lines on stderr are for a machine."""
    return any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers)


def emit(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(_dumped(value) + "\n")
    sys.stdout.flush()


def say(*lines: str) -> None:
    """Lines on stdout. A line break within one is shown, not made."""
    for line in lines or ("",):
        sys.stdout.write(visible(scrubbed(line)) + "\n")


def tell(*lines: str, level: int = logging.INFO, **fields: Any) -> None:
    """Lines on stderr, whatever lines of a log are shown; for a machine one object with ``fields``."""
    if is_json():
        text = "\n".join(lines)
        record = log.makeRecord(log.name, level, "", 0, "%s", (text,), None, extra={"fields": fields})
        sys.stderr.write(_Json().format(record) + "\n")
    else:
        sys.stderr.writelines(visible(scrubbed(line)) + "\n" for line in lines)
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


def table(
    rows: list[list[str]], *, heads: list[str], right: set[int] | frozenset[int] = frozenset()
) -> list[str]:
    """Rows as lines of columns; those in ``right`` stand to the right."""
    rows = [[visible(scrubbed(cell)) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]

    def line(row: list[str]) -> str:
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(heads), "  ".join("─" * width for width in widths), *map(line, rows)]
