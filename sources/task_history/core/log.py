"""The log of this project: events with fields, through the standard library's logger ``task_history``.

``log.info("commit", rows=5_000)`` is ``commit rows=5000`` wherever a host program sends its log lines, at the level
and in the form that it chose; nothing of it is configured here. The fields, unchanged, are the record's ``fields``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from .escapes import visible
from .models import iso_ms

NAME = "task_history"


class Log:
    """Writes log events. structlog is imported with the first event, to keep commands without events fast."""

    def debug(self, event: str, /, **fields: object) -> None:
        _write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        _write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        _write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        _write(logging.ERROR, event, fields)


log = Log()


def as_text(event: str, fields: Mapping[str, object]) -> str:
    """The event on one line: its name, then ``key=value`` pairs, quoted where needed; ``-`` for None."""
    values = {key: "-" if value is None else _plain(value) for key, value in fields.items()}
    return visible(f"{event} {_logfmt()(None, '', values)}" if values else event)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, datetime):
        return iso_ms(value)
    return value


def _write(level: int, event: str, fields: dict[str, object]) -> None:
    if logging.getLogger(NAME).isEnabledFor(level):
        _structlog().log(level, event, **fields)


@lru_cache(maxsize=1)
def _structlog() -> Any:
    import structlog

    # Not structlog.configure(): that is the host program's.
    return structlog.wrap_logger(
        logging.getLogger(NAME), processors=[_to_record], wrapper_class=structlog.stdlib.BoundLogger
    ).bind()


@lru_cache(maxsize=1)
def _logfmt() -> Any:
    from structlog.processors import LogfmtRenderer

    return LogfmtRenderer(bool_as_flag=False)


def _to_record(
    _: object, __: str, event_dict: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, dict[str, Any]]]:
    """The arguments for the standard library's logger. Percent signs stay single: there are no format arguments."""
    fields = dict(event_dict)
    event = str(fields.pop("event"))
    return (as_text(event, fields),), {"extra": {"event": event, "fields": fields}}
