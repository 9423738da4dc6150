"""What a vendor's module has to say, so that the rest can do the work.

A system is facts and pure functions: a request goes out as a value, an answer comes in as a
value. Nothing here or in a system's module opens a connection, reads a clock or knows dlt.

To add a system, write one module in this folder that ends in ``SYSTEM = YourSystem()``, a class that extends
``Defaults``: what ``Defaults`` holds may stay unsaid, the rest of ``System`` has to be said.
``tests/test_systems.py`` finds it and says what is missing.

What a system's listing can do decides how it is read::

    lists = "sorted"    narrowed to a window, oldest first; counted, too, if it says how many there are
    lists = "unsorted"  narrowed to a window, in any order, not counted
    lists = "whole"     not narrowed at all: read from its beginning, and no further than can be shown safe
    partition = NAME    one listing per value of that filter, each with coverage of its own
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from ..core.errors import UnexpectedResponse
from ..core.models import Column, Json, Page, Request, Row, Table, Window

Values = Mapping[str, Any]
"""Settings by name, already checked."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing a user may set."""

    name: str
    type: type
    """str, int, float, datetime, or tuple for a list of texts."""
    default: Any
    text: str
    is_secret: bool = False
    is_required: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """One way to ask for some executions only."""

    name: str
    """As a user names it: status, workflow, user, integration."""
    param: str
    """As the vendor names it."""
    column: str | None
    """The column of ``executions`` that holds it; None where only the workflow's row tells."""
    text: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the vendor says when it runs an execution again."""

    execution_id: str | None
    status: str | None
    row: Row = field(default_factory=dict)
    """The execution that runs, as a listing's row would show it."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What a single read of one execution holds."""

    execution: Row
    """The fields that a listing's row has too; empty where the read does not repeat them."""
    extra: Row
    """The fields that only the single read has; they go into the ledger."""
    steps: list[Row]
    children: Mapping[str, list[Row]] = field(default_factory=dict)
    """Rows of further tables, by the table's name."""
    more: tuple[Request, ...] = ()
    """What else has to be asked before the detail is whole; ``read_detail`` reads these answers too."""


@dataclass(frozen=True, slots=True)
class Login:
    """The request that makes a token: ``form`` is sent as its body, ``headers`` with it."""

    request: Request
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """What a login gave; ``expires_in_s`` is None where it does not say how long that is good."""

    value: str = field(repr=False)
    expires_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A step's input and output, still exactly as sent."""

    input: Json
    output: Json
    flags: Row = field(default_factory=dict)
    """What else the vendor says of it."""


STATUSES: Mapping[str, str] = {
    "queued": "It has not begun yet.",
    "running": "It is at work.",
    "waiting": "It waits for something: a time, an event, a person.",
    "succeeded": "It ended well.",
    "partial": "It ended, and a part of it failed.",
    "failed": "It ended with an error.",
    "cancelled": "Somebody or something ended it early.",
    "skipped": "It was not to run: a branch that was not taken.",
    "unresolved": "It is not open any more, and how it ended is not known.",
    "unknown": "The vendor's status has no meaning here.",
}
"""The statuses of the views. A system gives them for its own; ``unresolved`` and ``unknown`` are found by themselves."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How the views show one kind of a system's rows, as SQL that DuckDB takes and sqlglot carries to BigQuery.

    Instants that partition the tables are given as the bare column, so that filters by them prune.
    """

    rows: str
    """What stands after FROM; tables of the dataset in braces: ``{workflow_executions} AS e``."""
    columns: Mapping[str, str]
    """The views' column → an expression over ``rows``. What a system does not have is left out, and is NULL."""


@dataclass(frozen=True, slots=True)
class Views:
    """What the views over all systems show of this one; ``views/relations.py`` names the columns that there are."""

    statuses: Mapping[str, str]
    """The vendor's status of an execution or step, in any capitals → one of ``STATUSES``."""
    executions: Shown
    steps: Shown | None = None
    """None where the vendor has none."""
    payloads: Shown | None = None
    billing_caveat: str = "A lower bound: executions that gave no count or are still open take more."
    """Why the sum of the vendor's task counts is not its invoice."""


def error_in(column: str) -> str:
    """The error in a JSON text, as SQL of ``Shown``: the text that it is, or that an object holds under a usual name."""
    parsed = f"TRY_CAST({column} AS JSON)"
    return (
        f"CASE WHEN starts_with({column}, '\"') THEN {parsed} ->> '$' WHEN starts_with({column}, '{{') THEN coalesce("
        f"{parsed} ->> '$.error.message', {parsed} ->> '$.message', {parsed} ->> '$.errorMessage', "
        # DuckDB gives an object's text where BigQuery gives nothing.
        f"CASE WHEN NOT starts_with({parsed} ->> '$.error', '{{') THEN {parsed} ->> '$.error' END) END"
    )


@dataclass(frozen=True, slots=True)
class PageForm:
    """The documented form of a list's answer, an object, and what tells of its rows whether they are open."""

    rows: str
    """The key under which the rows stand, objects of texts, numbers and truths."""
    total: str
    """The key of the number of rows that match the whole question."""
    status: str
    """A row's key of its status."""
    ended: str
    """A row's key of what is there once it is over."""
    terminal: frozenset[str]
    """The statuses of what is over."""


class System(Protocol):
    """One vendor API."""

    name: str
    title: str
    docs_url: str
    default_base_url: str
    address: str
    """The settings that say where the API is, as errors name them."""
    rate_limit: tuple[int, float]
    """The vendor's limit: requests, in this many seconds."""
    retention: timedelta | None
    """How long the vendor keeps an execution; None when it does not say."""
    page_size: int
    settings: tuple[Setting, ...]
    executions: Table
    steps: Table
    payloads: Table | None
    """None where steps have no inputs and outputs of their own."""
    ledger: Table
    workflows: Table | None
    """What is learned of each workflow, where rows do not name its integration."""
    definitions: Table | None
    """The workflows as the vendor lists them, one row per ``id``."""
    others: tuple[Table, ...]
    """Further tables that details fill (``Detail.children``)."""
    companions: tuple[System, ...]
    """Further lists of the same account, synced after this one into the same dataset."""
    stats: tuple[Table, ...]
    """Tables of statistics that the vendor keeps itself; the first has a row per bucket of time."""
    lists: Literal["sorted", "unsorted", "whole"]
    """What a listing can do, see above."""
    page_form: PageForm | None
    """The form of pages that are read in columns, many at once; None where each row has to be looked at."""
    partition: str
    """The filter without which there is no listing; empty where there is one list of all."""
    has_status_lists: bool
    """Whether one list can be narrowed to what has a status."""
    has_steps_in_execution: bool
    """Whether ``execution_request`` brings the steps too; else ``detail_request`` does."""
    has_details_in_parts: bool
    """Whether ``read_detail`` may ask for ``more``."""
    can_answer: bool
    """Whether an execution that waits for a person can be answered; then ``answer_request`` says how."""
    open_statuses: tuple[str, ...]
    """The statuses by which the vendor lists open executions."""
    failed_statuses: tuple[str, ...]
    started_column: str
    """The column of ``executions`` by which windows are cut."""
    workflow_column: str
    """The column of ``executions`` that names the workflow."""
    filters: tuple[Filter, ...]
    """By what a listing can be narrowed."""
    list_only_columns: tuple[str, ...]
    """Columns of ``executions`` whose value a single read does not give as a listing does."""
    can_replay: bool
    """Whether an execution can be run again; then ``replay_request`` and ``read_replay`` say how."""
    replay_caveat: str
    """What somebody has to know before that; empty where there is nothing."""
    views: Views | None
    """What the analysts' views show of it; None where they leave it out."""

    def credential(self, values: Values) -> str:
        """What the vendor counts its rate limit by; only told apart, never written."""
        ...

    def base_url(self, values: Values) -> str:
        """Where the API is."""
        ...

    def check(self, values: Values) -> None:
        """Raises ConfigurationError where settings do not go together."""
        ...

    def warnings(self, values: Values) -> tuple[str, ...]:
        """What a user should know of these settings although they work."""
        ...

    def login(self, values: Values) -> Login | None:
        """How a token is made of the credentials; None where they are sent as they are."""
        ...

    def read_login(self, data: Json) -> Token:
        """A login's answer. Raises UnexpectedResponse."""
        ...

    def headers(self, values: Values, token: str = "") -> dict[str, str]:
        """The headers that authenticate a request, with the token that a login gave."""
        ...

    def definitions_request(self, values: Values, partition: str, offset: int) -> Request | None:
        """The question for the workflows from that place on; None where they are not listed."""
        ...

    def read_definitions(self, data: Json) -> Page:
        """The answer to it. Raises UnexpectedResponse."""
        ...

    def partitions(self, values: Values, definitions: Sequence[Row]) -> tuple[str, ...]:
        """The values of the filter ``partition``; those of settings, or of the workflows that are listed."""
        ...

    def hint(self, status: int) -> str:
        """What a user should look at when the vendor refuses with 401 or 403."""
        ...

    def list_request(
        self, values: Values, window: Window | None, *, offset: int = 0, filters: Values | None = None
    ) -> Request:
        """The question for one page of the executions that started in ``window``, oldest first."""
        ...

    def read_page(self, data: Json) -> Page:
        """A listing's answer. Raises UnexpectedResponse when it has not the documented form."""
        ...

    def started_at(self, row: Row) -> datetime | None:
        """When the execution began, UTC; None when the vendor does not say (yet)."""
        ...

    def identity(self, row: Row) -> str:
        """The execution's id, as text."""
        ...

    def is_open(self, row: Row) -> bool:
        """Whether the execution may still change."""
        ...

    def status_in(self, data: Json) -> int | None:
        """The status of an error that an answer holds although it says success; None where it holds none."""
        ...

    def execution_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        """The question for one execution with its steps; ``part`` is the list that shows it."""
        ...

    def read_execution(self, data: Json) -> Detail:
        """A single read's answer. Raises UnexpectedResponse."""
        ...

    def detail_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        """The question for the steps of one execution."""
        ...

    def read_detail(self, values: Values, request: Request, data: Json) -> Detail:
        """The answer to it, or to one of its ``more``. Raises UnexpectedResponse."""
        ...

    def is_gone(self, status: int, said: str = "") -> bool:
        """Whether that refusal of a single read says that the vendor holds the execution no longer."""
        ...

    def stats_buckets(self, values: Values) -> tuple[str, timedelta]:
        """What the statistics' column ``granularity`` says, and how long a bucket is: from midnight on, UTC."""
        ...

    def stats_request(self, values: Values, window: Window) -> Request:
        """The question for the statistics of a window of whole buckets."""
        ...

    def read_stats(
        self, values: Values, window: Window, data: Json, *, settled_before: datetime
    ) -> Mapping[str, list[Row]]:
        """The answer to it: rows by table. A bucket that ends by then is closed once all in it has ended."""
        ...

    def integration_request(self, values: Values, workflow_id: str, integration: str) -> Request | None:
        """The question whether executions of the workflow belong to the integration, told by their count.

        None where the vendor's rows say it themselves.
        """
        ...

    def payload_request(self, values: Values, execution_id: str, step_id: str) -> Request:
        """The question for one step's input and output."""
        ...

    def read_payload(self, data: Json) -> Payload:
        """A payload's answer. Raises UnexpectedResponse."""
        ...

    def answer_request(
        self, values: Values, execution_id: str, input_id: str, answers: Mapping[str, str], part: str
    ) -> Request:
        """The request that answers what an execution asks a person: it has effects, and must be sent once."""
        ...

    def replay_request(self, values: Values, execution_id: str) -> Request:
        """The request to run the execution again: it has effects, and must be sent once."""
        ...

    def read_replay(self, data: Json) -> Replayed:
        """A replay's answer; whatever form it has, the execution runs again."""
        ...


class Defaults:
    """What a system need not say."""

    default_base_url = ""
    address = "base_url"
    retention: timedelta | None = None
    payloads: Table | None = None
    workflows: Table | None = None
    definitions: Table | None = None
    others: tuple[Table, ...] = ()
    companions: tuple[System, ...] = ()
    stats: tuple[Table, ...] = ()
    views: Views | None = None
    lists: Literal["sorted", "unsorted", "whole"] = "sorted"
    page_form: PageForm | None = None
    partition = ""
    has_status_lists = False
    has_steps_in_execution = True
    has_details_in_parts = False
    can_answer = False
    open_statuses: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    list_only_columns: tuple[str, ...] = ()
    can_replay = False
    replay_caveat = ""

    def base_url(self, values: Values) -> str:
        return str(values["base_url"] or "")

    def check(self, values: Values) -> None:
        pass

    def warnings(self, values: Values) -> tuple[str, ...]:
        return ()

    def login(self, values: Values) -> Login | None:
        return None

    def read_login(self, data: Json) -> Token:
        raise NotImplementedError

    def definitions_request(self, values: Values, partition: str, offset: int) -> Request | None:
        return None

    def read_definitions(self, data: Json) -> Page:
        raise NotImplementedError

    def partitions(self, values: Values, definitions: Sequence[Row]) -> tuple[str, ...]:
        return ("",)

    def status_in(self, data: Json) -> int | None:
        return None

    def execution_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        raise NotImplementedError

    def read_execution(self, data: Json) -> Detail:
        raise NotImplementedError

    def detail_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        return self.execution_request(values, execution_id, part)

    def read_detail(self, values: Values, request: Request, data: Json) -> Detail:
        return self.read_execution(data)

    def is_gone(self, status: int, said: str = "") -> bool:
        return status in (404, 410)

    def stats_buckets(self, values: Values) -> tuple[str, timedelta]:
        raise NotImplementedError

    def stats_request(self, values: Values, window: Window) -> Request:
        raise NotImplementedError

    def read_stats(
        self, values: Values, window: Window, data: Json, *, settled_before: datetime
    ) -> Mapping[str, list[Row]]:
        raise NotImplementedError

    def integration_request(self, values: Values, workflow_id: str, integration: str) -> Request | None:
        return None

    def payload_request(self, values: Values, execution_id: str, step_id: str) -> Request:
        raise NotImplementedError

    def read_payload(self, data: Json) -> Payload:
        raise NotImplementedError

    def answer_request(
        self, values: Values, execution_id: str, input_id: str, answers: Mapping[str, str], part: str
    ) -> Request:
        raise NotImplementedError

    def replay_request(self, values: Values, execution_id: str) -> Request:
        raise NotImplementedError

    def read_replay(self, data: Json) -> Replayed:
        raise NotImplementedError


# What several vendors' answers have in common.


def tells_status_within(system: System) -> bool:
    """Whether only what an answer holds tells if it is a success."""
    return getattr(type(system), "status_in", None) is not Defaults.status_in


def instant(value: Json) -> datetime | None:
    """An ISO 8601 instant as the vendor sends it; UTC when it names no zone, None when it is none."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


_ZERO_YEAR = 1
_LONG_FRACTION = re.compile(r"\.[0-9]{7,}")


def timed(row: Row, names: Sequence[str]) -> Row:
    """The row with these fields as instants: ISO 8601, or milliseconds since 1970 where they are numbers.

    Absent, ``null``, empty and Go's zero time are all "not set". What is finer than a microsecond stays beside it,
    exactly as sent, under the field's name with ``Exact`` added; what is no instant stays as it is.
    """
    found = dict(row)
    for name in names:
        value = found.get(name)
        at = (
            millis(value)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else instant(value)
        )
        if at is not None and at.year == _ZERO_YEAR:
            found[name] = None
        elif at is not None:
            if isinstance(value, str) and _LONG_FRACTION.search(value):
                found[f"{name}Exact"] = value
            found[name] = at
        elif value == "":
            found[name] = None
    return found


def millis(value: float) -> datetime | None:
    """Milliseconds since 1970 as an instant; None beyond what there is."""
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)
    except (OverflowError, ValueError):
        return None


_NAME = re.compile(r"(?!(?=[^0-9]*[0-9]).{20})[A-Za-z_][A-Za-z0-9_]{0,40}")
"""What an error may show as the name of a field: long ones with digits may be tokens."""


def rows_under(data: Json, keys: Sequence[str], *, what: str) -> list[Row]:
    """The list of objects under the first of ``keys`` that is there, or the answer itself if it is a list.

    Raises:
        UnexpectedResponse: none of the keys is there, or what is there is no list of objects.
    """
    if isinstance(data, list):
        found: Json = data
        path = "$"
    elif not keys:
        raise UnexpectedResponse(
            f"{what}: expected a list, found {type(data).__name__}. The vendor's API may have changed; nothing was "
            "loaded from this answer."
        )
    elif isinstance(data, dict):
        path = next((key for key in keys if key in data), "")
        if not path:
            # What stands where names should may be anything, a secret too.
            names = [key for key in sorted(data) if _NAME.fullmatch(key)]
            raise UnexpectedResponse(
                f"{what}: expected the key {' or '.join(map(repr, keys))} in the answer, found "
                f"{names[:8]}. The vendor's API may have changed; nothing was loaded from this answer."
            )
        found = data[path]
    else:
        raise UnexpectedResponse(f"{what}: expected an object, found {type(data).__name__}.")
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise UnexpectedResponse(f"{what}: expected a list of objects at {path!r}.")
    return found


def own_columns(*, what: str) -> tuple[Column, ...]:
    """The columns that this connector adds to every table of executions."""
    return (
        Column("is_open", "bool", f"Whether {what} may still change; it is read again until it is false."),
        Column(
            "resolution",
            "text",
            f"Why {what} is not open any more: ended; unresolved_at_retention, when it was still open as the vendor's "
            "retention passed over it; gone, when the vendor no longer held it before that. Empty while it is open.",
        ),
        Column(
            "purged_at_source",
            "timestamp",
            f"When the vendor was found to hold {what} no longer; empty while it does.",
        ),
        Column("status_seen_at", "timestamp", f"When this connector first saw {what} in its status."),
        Column(
            "read_by",
            "text",
            "The kind of request that brought this version of the row: list; late, when it became visible behind the "
            "cursor; status, a list of what is open; execution, a single read; repair, after an audit; replay, when it "
            "was run again under its own id.",
        ),
        Column("fetched_at", "timestamp", "When this connector read the row from the vendor."),
        Column("run_id", "text", "The run that brought this version of the row (sync_runs.run_id)."),
    )
