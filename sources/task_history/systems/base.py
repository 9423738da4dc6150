"""What a vendor's module has to say, so that the rest can do the work.

A system is facts and pure functions: a request goes out as a value, an answer comes in as a
value. Nothing here or in a system's module opens a connection, reads a clock or knows dlt.

To add a system, write one module in this folder that ends in ``SYSTEM = YourSystem()``;
``tests/test_systems.py`` finds it and says what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ..errors import UnexpectedResponse
from ..model import Column, Json, Page, Request, Row, Table, Window

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
    """The fields that a listing's row has too."""
    extra: Row
    """The fields that only the single read has; they go into the ledger."""
    steps: list[Row]


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


class System(Protocol):
    """One vendor API."""

    name: str
    title: str
    docs_url: str
    default_base_url: str
    rate_limit: tuple[int, float]
    """The vendor's limit: requests, in this many seconds."""
    retention: timedelta | None
    """How long the vendor keeps an execution; None when it does not say."""
    page_size: int
    settings: tuple[Setting, ...]
    executions: Table
    steps: Table
    payloads: Table
    ledger: Table
    workflows: Table
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

    def headers(self, values: Values) -> dict[str, str]:
        """The headers that authenticate a request."""
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

    def execution_request(self, values: Values, execution_id: str) -> Request:
        """The question for one execution with its steps."""
        ...

    def read_execution(self, data: Json) -> Detail:
        """A single read's answer. Raises UnexpectedResponse."""
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

    def replay_request(self, values: Values, execution_id: str) -> Request:
        """The request to run the execution again: it has effects, and must be sent once."""
        ...

    def read_replay(self, data: Json) -> Replayed:
        """A replay's answer; whatever form it has, the execution runs again."""
        ...


# What several vendors' answers have in common.


def instant(value: Json) -> datetime | None:
    """An ISO 8601 instant as the vendor sends it; UTC when it names no zone, None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


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
