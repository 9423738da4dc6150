"""Log lines and errors on stderr, results on stdout; nothing written contains secrets or control characters."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TextIO, cast

from task_history.core.errors import ConfigurationError
from task_history.core.escapes import visible, visible_json, visible_lines
from task_history.core.log import NAME as LOGGER
from task_history.core.log import as_text
from task_history.redaction.own_secrets import OwnSecrets

from .invocation import NAME as INVOKED
from .times import iso

_SECRETS: list[OwnSecrets] = []
_LABEL = re.compile(r" *[\w ,./-]{1,30}?  +")
_COMMAND = re.compile(rf"  \S*{INVOKED} | *export ")


class _Lines(logging.Formatter):
    """One line for each record, without secrets: text, or a JSON object with the record's fields.

    What renders it is imported with the first line: most commands write none.
    """

    def __init__(self, form: str) -> None:
        super().__init__()
        self.is_json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        if isinstance(record.args, tuple):
            # Before they are written in another way, such as with quotes.
            record.args = tuple(scrubbed(arg) if isinstance(arg, str) else arg for arg in record.args)
        return self._structlog.format(record)

    @cached_property
    def _structlog(self) -> logging.Formatter:
        from structlog.processors import JSONRenderer, StackInfoRenderer, format_exc_info
        from structlog.stdlib import ProcessorFormatter

        render = JSONRenderer(serializer=lambda value, **_: _dumped(value)) if self.is_json else _as_text
        return ProcessorFormatter(processors=[_described, StackInfoRenderer(), format_exc_info, render])


def import_structlog() -> None:
    """Imports structlog without rich, which its renderer for terminals would load: a tenth of a second, unused here."""
    if "structlog" in sys.modules:
        return
    rich = sys.modules.get("rich")
    # Importing a module for which ``None`` stands fails, as it does where it is not installed.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
        if rich is not None:
            sys.modules["rich"] = rich


def _described(_: object, __: str, event_dict: MutableMapping[str, Any]) -> dict[str, Any]:
    """The fields of a log line for a record of this project or of a library."""
    record: logging.LogRecord = event_dict.pop("_record")
    event_dict.pop("_from_structlog")
    event = event_dict.pop("event")
    fields = getattr(record, "fields", {})
    return {
        "at": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": scrubbed(getattr(record, "event", event)),
        **{key: _figure(value) for key, value in fields.items()},
        **event_dict,
    }


def _as_text(_: object, __: str, line: MutableMapping[str, Any]) -> str:
    """The log line as text: without the logger's name, a traceback indented below it."""
    at, level, message, _ = (line.pop(name) for name in ("at", "level", "message", "logger"))
    traces = [text for name in ("stack", "exception") if (text := line.pop(name, None))]
    head = _fitted(visible(f"{at} {level.upper()} {as_text(message, line)}"), sys.stderr)
    return "\n".join([head, *map(_indented, traces)])


_TRACE_FOLLOWS = " with message Traceback (most recent call last):"


class _Onward(logging.Handler):
    """Passes the first line of dlt's events to the handlers of the root logger, which format and redact them.

    The lines after it and traces end with the warehouse's words, which may quote a row. The command prints the error.
    """

    def emit(self, record: logging.LogRecord) -> None:
        record = copy.copy(record)
        error = record.exc_info[1] if record.exc_info else None
        message = record.getMessage().split("\n")[0].removesuffix(_TRACE_FOLLOWS)
        record.msg = message if error is None else f"{message}: {type(error).__name__}"
        record.args = record.exc_info = record.exc_text = record.stack_info = None
        logging.getLogger().handle(record)


def _figure(value: Any) -> Any:
    """A field's JSON value: numbers stay numbers, everything else becomes redacted text."""
    if isinstance(value, float):
        return round(value, 3)
    return value if value is None or isinstance(value, int) else scrubbed(str(_plain(value)))


def scrubbed(text: str) -> str:
    """The text with this run's secrets redacted."""
    for own in _SECRETS:
        text = own.without(text)
    return text


def _indented(text: str) -> str:
    """Several lines, none of which can be mistaken for the beginning of a log line."""
    return "\n".join("  " + visible(line) for line in scrubbed(text).split("\n"))


def _dumped(value: Any) -> str:
    """JSON on one line, with control and invisible characters escaped."""
    text = scrubbed(json.dumps(value, default=_plain, ensure_ascii=False))
    return visible_json(text)


class Unwritable(ConfigurationError):
    """Stdout cannot be written."""


class _Escaping:
    """A stream that escapes control characters in everything written to it.

    Where it cannot be written, all further output is dropped, and the first time raises Unwritable
    or BrokenPipeError if ``is_result``.
    """

    def __init__(self, stream: TextIO, *, is_result: bool) -> None:
        self.stream = stream
        self._is_result = is_result

    def write(self, text: str) -> int:
        with self._checked():
            self.stream.write(visible_lines(text))
        return len(text)

    def flush(self) -> None:
        with self._checked():
            self.stream.flush()

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What the stream holds back would fail again when the process ends.
            _to_null(self.stream.fileno())
            if self._is_result:
                if isinstance(error, BrokenPipeError):
                    raise
                raise Unwritable(
                    f"The output cannot be written ({error.strerror}): send it elsewhere."
                ) from error

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def escaped_streams() -> Iterator[None]:
    """Within the block, stdout and stderr escape control characters and characters that their encoding lacks."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out, err = (
        cast("TextIO", _Escaping(stream, is_result=stream is sys.stdout))
        for stream in (sys.stdout, sys.stderr)
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def _open_closed_streams() -> None:
    """Opens the null device in the place of each standard stream that is closed: no other file gets its number.

    https://docs.python.org/3/library/sys.html#sys.stdin
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            _to_null(number)
        mode = "w" if number else "r"
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open


def _to_null(number: int) -> None:
    """Makes the file descriptor that of the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)


def terminal() -> TextIO:
    """The unescaped stderr, for output that moves the cursor on purpose."""
    return sys.stderr.stream if isinstance(sys.stderr, _Escaping) else sys.stderr


def start_logging_in_worker(level: str, form: str, **fields: object) -> None:
    """Logs a worker process's lines with these fields: text only from warnings on by default, JSON complete."""
    is_quiet = form == "text" and level == "info"
    start_logging("warning" if is_quiet else level, form)
    name_lines(**fields)


def name_lines(**fields: object) -> None:
    """Each log line of this process has these fields from now on."""

    def named(record: logging.LogRecord) -> bool:
        record.fields = {**fields, **getattr(record, "fields", {})}
        return True

    for handler in logging.getLogger().handlers:
        handler.filters[:] = [named]


def keep_secret(secrets: OwnSecrets) -> None:
    """Redacts these secrets, and those added to them later, in all output from now on."""
    if not any(secrets is own for own in _SECRETS):
        # The same settings may have been read before, and these go on: they get to know a token.
        _SECRETS[:] = [own for own in _SECRETS if own.known != secrets.known] + [secrets]


def start_logging(level: str, form: str) -> None:
    """Logs this project's lines at the level, and only warnings and errors of libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(level.upper())
    # dlt gives its logger a form and a handler of its own, unless it has one already.
    of_dlt = logging.getLogger("dlt")
    of_dlt.handlers[:] = [_Onward()]
    of_dlt.propagate = False
    of_dlt.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def is_json() -> bool:
    """Whether log lines are JSON."""
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    return any(isinstance(formatter, _Lines) and formatter.is_json for formatter in formatters)


def emit(value: Any) -> None:
    """Prints one JSON object to stdout."""
    sys.stdout.write(_dumped(value) + "\n")
    sys.stdout.flush()


def show(result: Mapping[str, Any], lines: Iterable[str], *, is_json: bool) -> None:
    """Prints a command's result to stdout: as one JSON object, or as lines for a person."""
    if is_json:
        emit(result)
    else:
        for line in lines:
            say(line)


def say(*lines: str) -> None:
    """Prints lines to stdout; a line break within a line is escaped."""
    for line in lines or ("",):
        sys.stdout.write(_fitted(visible(scrubbed(line)), sys.stdout) + "\n")


def tell(*lines: str, level: int = logging.INFO, **fields: Any) -> None:
    """Prints lines to stderr at any log level; as JSON, one object with ``fields``."""
    if is_json():
        record = logging.LogRecord(LOGGER, level, "", 0, "\n".join(lines), None, None)
        record.fields = fields
        sys.stderr.write(_Lines("json").format(record) + "\n")
    else:
        sys.stderr.writelines(_fitted(visible(scrubbed(line)), sys.stderr) + "\n" for line in lines)
    sys.stderr.flush()


def say_verbatim(text: str) -> None:
    """Prints SQL, YAML or a script to stdout, in its own lines also on a terminal."""
    sys.stdout.writelines(visible(scrubbed(line)) + "\n" for line in text.splitlines())


def _fitted(line: str, stream: TextIO) -> str:
    """The line, on a terminal broken between words so that it is no wider; commands to copy are not broken.

    What goes on below stands under the text after its label, such as ``requests    210: …``.
    """
    if not stream.isatty():
        return line
    width = max(40, shutil.get_terminal_size().columns)
    if len(line) <= width or _COMMAND.match(line):
        return line
    import textwrap

    label = _LABEL.match(line)
    indent = len(label[0]) if label else len(line) - len(line.lstrip(" "))
    return textwrap.fill(
        line[indent:],
        width,
        initial_indent=line[:indent],
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def counted(number: int, noun: str) -> str:
    """``1 step``, ``1,200 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: float) -> str:
    """``400 KB``, ``14 MB``, ``2.3 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}" if count < 10 * factor else f"{count / factor:.0f} {unit}"
    return f"{count:.0f} bytes"


def table(
    rows: list[list[str]],
    *,
    heads: list[str],
    right: set[int] | frozenset[int] = frozenset(),
    spare: set[int] | frozenset[int] = frozenset(),
    indent: int = 0,
) -> list[str]:
    """Rows as lines of columns after ``indent`` spaces; those in ``right`` stand to the right.

    On a terminal the lines are no longer than it is wide: what does not fit goes on below, between words where that is
    enough, and the columns in ``spare`` are left out where it is not. Elsewhere nothing is broken into lines.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(visible(scrubbed(cell))) for cell in row] for row in [heads, *rows]]
    columns = list(range(len(heads)))
    longest = [max(row[column].cell_len for row in cells) for column in columns]
    width = sum(2 + size for size in longest)
    widths: list[int] | None = None
    if sys.stdout.isatty():
        width = max(40, shutil.get_terminal_size().columns - indent)
        words = [
            max(Text(word).cell_len for row in cells for word in [*row[column].plain.split(), ""])
            for column in columns
        ]
        if _widths(longest, words, width) is None:
            columns = [column for column in columns if column not in spare]
        widths = _widths(
            [longest[column] for column in columns], [words[column] for column in columns], width
        )
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        shown.add_column(
            cells[0][column],
            justify="right" if column in right else "left",
            overflow="fold",
            width=widths[place] if widths else None,
        )
    for row in cells[1:]:
        shown.add_row(*(row[column] for column in columns))
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(shown)
    return [" " * indent + line.rstrip() for line in captured.get().splitlines()]


def _widths(longest: list[int], words: list[int], width: int) -> list[int] | None:
    """The columns' widths in a table that is no wider, the widest made narrower first; None where words had to break."""
    widths = list(longest)
    while sum(widths) + 2 * (len(widths) - 1) > width:
        wide = [column for column in range(len(widths)) if widths[column] > words[column]]
        if not wide:
            return None
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths
