"""The data classes that all modules share: windows, requests, answers, pages, columns, tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol

Json = Any
"""Any JSON value of a vendor; only ``systems`` modules look inside."""

Row = dict[str, Json]
"""One row, by the vendor's keys or by the columns of a table."""

VARIANT = "__v_text"
"""End of the name of the text column with the values that do not fit a column."""
MS = timedelta(milliseconds=1)
FIRST_INSTANT, LAST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""A vendor's dates before the first, and from the last on, stand for "never" or "for ever" and are kept as text.

.NET's ``DateTime.MinValue`` is one; in a zone east of Greenwich it is in no year at all. Days can be added to all others.
https://learn.microsoft.com/dotnet/api/system.datetime.minvalue
"""


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

    def as_json(self) -> dict[str, datetime]:
        """The window as ``--json`` prints it."""
        return {"from": self.start, "until": self.end}


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of executions: those that began in the window and match all filters."""

    window: Window | None = None
    """None for any time."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Values by the names that the system gives its filters."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which executions have their steps loaded, and which steps their payloads: ``all``, ``failed`` or ``none``."""

    steps: str
    payloads: str
    first: Literal["newest", "oldest"] = "newest"
    """The order of the executions that did not fail, which come after the failed ones."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a vendor. ``path`` is relative to the configured base URL."""

    kind: str
    """The purpose by which requests are counted: ``list``, ``execution``, ``payload`` …"""
    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    is_once: bool = False
    """Whether it changes something at the vendor. Such a request is sent at most once, also where it fails."""
    body: Json = None
    """The JSON body; None for no body."""
    is_partial: bool = False
    """Whether it reads one part of many: after a 403, the credentials may still be right for the others."""
    fault_deadline_s: float | None = None
    """Seconds for which faults are retried where they may concern only this item: then the request ends with ReadFailed,
    and other requests go on. None for the time that any request is retried, after which the run ends."""
    may_be_text: bool = False
    """Whether an answer that does not look like JSON or HTML is read as text, which is then its ``data``."""
    instead: Request | None = None
    """An alternative form of the request, for a vendor that does not know this one."""
    unknown: tuple[int, ...] = (400,)
    """The statuses by which the vendor says that it does not know this form."""

    def with_fault_deadline(self, seconds: float | None) -> Request:
        """The request in all its forms, with that ``fault_deadline_s``."""
        return replace(
            self, fault_deadline_s=seconds, instead=self.instead and self.instead.with_fault_deadline(seconds)
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful (2xx) answer that was read completely and is JSON, or text where that is allowed."""

    data: Json
    """None, too, where it was to be given raw: then only its ends were seen to be those of a list or an object."""
    body: bytes
    """The bytes ``data`` was parsed from, for payloads that must stay exact."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of a list that cannot be stored under an id: it names none, or is no object."""

    position: int
    """Its position in the page, from 0."""
    value: Json
    """The row as the vendor sent it."""
    reason: str
    """Why it cannot be stored."""


@dataclass(frozen=True, slots=True)
class OutsideRow:
    """A row that stands in the answer for a window and began far outside of it."""

    position: int
    """Its position in the page, from 0."""
    row: Row


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    rows: Sequence[Row]
    """The rows that have an id and belong to the window that was asked for, in order."""
    total: int | None
    """Number of rows in the whole listing, where the vendor states it."""
    more: bool | None
    """Whether the vendor states that another page follows; None when it does not state it."""
    body: bytes = field(default=b"", repr=False, compare=False)
    """The answer that the page was read from, where it was kept."""
    rejected: tuple[RejectedRow, ...] = ()
    """The rows without a usable id, in order."""
    outside: tuple[OutsideRow, ...] = ()
    """The rows that began outside of the window that was asked for, in order."""

    @property
    def size(self) -> int:
        """Number of positions in the listing that the page takes: all rows of the answer."""
        return len(self.rows) + len(self.rejected) + len(self.outside)

    @property
    def positions(self) -> Sequence[int]:
        """The position of each of ``rows`` in the page, from 0."""
        taken = self.other_positions
        return (
            [position for position in range(self.size) if position not in taken]
            if taken
            else range(self.size)
        )

    @property
    def other_positions(self) -> set[int]:
        """The positions of the page that hold other rows than ``rows``."""
        return {row.position for row in self.rejected} | {row.position for row in self.outside}

    def of(self, body: bytes) -> Page:
        """The page, read from the answer and keeping it."""
        return replace(self, body=body)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, with one of dlt's types ``text bigint double bool timestamp``."""

    name: str
    type: str
    description: str
    source: str | None = None
    """The vendor's key for it; None for a column that this connector fills by ``name``."""
    is_customer_data: bool = False
    """Whether it holds customer data, which is redacted, cut at ``payload_max_bytes`` and stored as text."""
    is_json: bool = False
    """Whether it holds any value as JSON text, in which a text has quotes; a text elsewhere is as it was sent."""
    is_derived: bool = False
    """Whether ``source`` is a key that this connector adds to the vendor's, made of other fields."""
    former_name: str | None = None
    """The name that an earlier version gave it: that column stays, and its values are copied into this one once."""

    @property
    def key(self) -> str:
        """The key of its value in a row that is not written yet."""
        return self.source or self.name


OTHER_FIELDS = "other_fields"
"""The column of fields that are beyond ``ColumnLimits``: a JSON object of the vendor's keys, or empty."""


@dataclass(frozen=True, slots=True)
class ColumnLimits:
    """Limits for columns that are made of undocumented fields of a vendor."""

    columns: int = 200
    """Maximum number of such columns in a table."""
    name_length: int = 63
    """Characters of a column's name. https://www.postgresql.org/docs/current/limits.html"""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the warehouse, with a description of every column."""

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    newest: str = "fetched_at"
    """The column whose highest value wins when a primary key occurs twice in a commit."""
    partition: str | None = None
    """The timestamp by whose day the table is partitioned, where the warehouse can; None for a small table."""
    partition_may_change: bool = False
    """Whether a row may come back with another value there."""
    cluster: tuple[str, ...] = ()
    """The columns by which the rows of a partition are sorted, where the warehouse can."""
    former_key: tuple[str, ...] = ()
    """The primary key of earlier versions, where it was shorter; empty where it is the same."""
    own_keys: frozenset[str] = field(init=False, compare=False, repr=False)
    """The keys of rows that hold values of this connector's own, see ``fields.apart``."""

    def __post_init__(self) -> None:
        own = (column for column in self.columns if column.source is None or column.is_derived)
        object.__setattr__(self, "own_keys", frozenset(column.key for column in own))

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the warehouse refuses to hold without a value; warehouses of earlier versions do, too."""
        return self.former_key or self.primary_key


class Sender(Protocol):
    """The interface of a client, as readers need it."""

    def send(self, request: Request) -> Answer:
        """Sends the request, with retries, and returns the answer."""
        ...

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """Yields the answers in order; with ``is_raw``, ``data`` may be None and the body unread, see ``Answer``.

        With ``ahead`` so many are asked for at once, before the first is waited for.
        """
        ...
