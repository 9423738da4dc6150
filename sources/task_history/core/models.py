"""The values that modules hand to each other. Frozen, no logic beyond their own arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol

Json = Any
"""Whatever a vendor sends; only ``systems`` modules look inside."""

Row = dict[str, Json]
"""One record, as the vendor sends it or as a table takes it."""

MS = timedelta(milliseconds=1)


@lru_cache(maxsize=256)
def iso_ms(instant: datetime) -> str:
    """``2026-09-01T00:00:00.000Z``: the one form in which instants are sent and stored as text."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def floor_ms(instant: datetime) -> datetime:
    """The instant cut to whole milliseconds, in UTC."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The half-open span ``[start, end)``, UTC."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"[{iso_ms(self.start)}, {iso_ms(self.end)})"

    @property
    def is_empty(self) -> bool:
        return self.end <= self.start


@dataclass(frozen=True, slots=True)
class Selection:
    """Which executions something is about: those that began in the window and fit all filters."""

    window: Window | None = None
    """None for any time."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Values by the names that the system gives its filters."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose details are wanted: ``all``, ``failed`` or ``none`` of each."""

    steps: str
    payloads: str
    first: Literal["newest", "oldest"] = "newest"
    """Which come first, after those that failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a vendor. ``path`` is relative to the configured base URL."""

    kind: str
    """What it is for: ``list``, ``execution``, ``payload`` … Requests are counted by it."""
    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    is_once: bool = False
    """Whether it has effects: then it leaves this machine at most once, whatever comes back or does not."""
    body: Json = None
    """What is sent as JSON; None for nothing."""
    is_partial: bool = False
    """Whether it asks for one part of many: refused with 403, the credentials may be right for all others."""
    patience_s: float | None = None
    """How long server errors are met with another attempt, where they may mean this one thing only: then it is
    refused. None for as long as for any request."""
    instead: Request | None = None
    """The same question in another form, for a vendor that does not know this one."""
    unknown: tuple[int, ...] = (400,)
    """The statuses by which the vendor says that it does not know this form."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good (2xx) answer, already read and found to be JSON."""

    data: Json
    """None, too, where it was to be given raw: then only its ends were seen to be those of a list or an object."""
    body: bytes
    """The bytes ``data`` was parsed from, for payloads that must stay exact."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    rows: Sequence[Row]
    total: int | None
    """How many rows match the whole question, where the vendor tells."""
    more: bool | None
    """Whether the vendor says that another page follows; None when it says nothing."""
    body: bytes = field(default=b"", repr=False, compare=False)
    """The answer that it was read from, where it is at hand."""

    def of(self, body: bytes) -> Page:
        """The page with the answer that it was read from."""
        return replace(self, body=body)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its type is one of dlt's ``text bigint double bool timestamp``."""

    name: str
    type: str
    description: str
    source: str | None = None
    """The vendor's key for it; None for a column that this connector fills by ``name``."""
    is_free: bool = False
    """Whether customers write what stands in it: it is redacted, cut at ``payload_max_bytes`` and kept as text."""


OTHER_FIELDS = "other_fields"
"""The column of fields that are beyond ``ColumnLimits``: a JSON object of the vendor's keys, or empty."""


@dataclass(frozen=True, slots=True)
class ColumnLimits:
    """What becomes a column of the fields that a vendor sends and that no column is declared for."""

    columns: int = 200
    """So many of a table at most."""
    name_length: int = 63
    """Characters of a column's name. https://www.postgresql.org/docs/current/limits.html"""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the warehouse, complete with a sentence for every column."""

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    newest: str
    """The column whose highest value wins when one key arrives twice in a commit."""
    partition: str | None = None
    """The timestamp by whose day the table is partitioned, where the warehouse can; None for a small table."""
    may_move: bool = False
    """Whether a row may come back with another value there."""
    cluster: tuple[str, ...] = ()
    """The columns by which the rows of a partition are sorted, where the warehouse can."""


class Sender(Protocol):
    """What reading needs of a client."""

    def send(self, request: Request) -> Answer:
        """The answer, however many attempts it takes."""
        ...

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in order; with ``is_raw``, ``data`` may be None and the body unread, see ``Answer``.

        With ``ahead`` so many are asked for at once, before the first is waited for.
        """
        ...
