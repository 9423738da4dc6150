"""The interface of a system: a vendor's API described by values and pure functions.

A system is a value of ``System``: facts, and functions that turn a question into a request and an answer into rows.
Nothing here or in a vendor's module opens a connection, reads a clock or knows dlt. What a vendor can do besides listing
executions and giving their steps is an object each, such as ``Payloads`` or ``Replay``; None where it cannot.

To add a system, write a package in this folder that ends in ``SYSTEM = System(…)``;
``docs/how-to/add-a-system.md`` lists the other steps. What has no default has to be stated: Python and mypy name what
is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol

from ..core.models import Column, Json, Page, Request, Row, Table, Window
from .common_settings import SystemSettings
from .person import Person
from .statuses import OpenRule
from .view_mapping import Views

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    S = TypeVar("S", bound=SystemSettings, default=Any)
    S_contra = TypeVar("S_contra", bound=SystemSettings, default=Any, contravariant=True)
else:
    from typing import TypeVar

    S, S_contra = TypeVar("S"), TypeVar("S_contra", contravariant=True)

Filters = Mapping[str, Any]
"""Values by the names of filters."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of the vendor's list of executions."""

    name: str
    """The filter's name for users: status, workflow, user, integration."""
    param: str
    """The vendor's request parameter."""
    column: str | None
    """The column of ``executions`` with the value; None where only the row of the workflow has it."""
    text: str
    values: tuple[str, ...] = ()
    """The values that the vendor documents, as it writes them; empty where they are the customer's."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The vendor's answer to a replay."""

    execution_id: str | None
    status: str | None
    row: Row = field(default_factory=dict)
    """The execution that runs, as a listing's row would show it."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The content of a single read of one execution."""

    execution: Row
    """The fields that a listing's row has too; empty where the read does not repeat them."""
    extra: Row
    """The fields that only the single read has; they go into the details log."""
    steps: list[Row]
    children: Mapping[str, list[Row]] = field(default_factory=dict)
    """Rows of further tables, by the table's name."""
    more: tuple[Request, ...] = ()
    """Further requests that the detail needs; ``read_detail`` reads their answers, too."""
    unreadable: tuple[str, ...] = ()
    """Reasons why parts of the detail can never be requested or read."""
    failed: tuple[str, ...] = ()
    """Reasons why parts of the detail could not be read now; a later try may succeed."""


@dataclass(frozen=True, slots=True)
class Login:
    """The request for a token: ``form`` is sent as its body, with ``headers``."""

    request: Request
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token from a login; ``expires_in_s`` is None where the vendor does not state its lifetime."""

    value: str = field(repr=False)
    expires_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A step's input and output, exactly as sent."""

    input: Json
    output: Json
    flags: Row = field(default_factory=dict)
    """Other fields that the vendor sends with it."""


GONE_STATUSES = (404, 410)
"""The HTTP statuses by which an API says that it does not hold, or no longer holds, what was asked for."""


@dataclass(frozen=True, slots=True)
class PageForm:
    """The documented form of a list's answer, an object."""

    rows: str
    """The key of the rows, which are objects of texts, numbers and booleans."""
    total: str
    """The key of the total number of rows."""
    open_rule: OpenRule
    """The rule behind ``System.is_open``, which has a key for the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access(Generic[S]):
    """Address and authentication of the API."""

    default_base_url: str = ""
    address: str = "base_url"
    """The settings that say where the API is, as errors name them."""
    base_url: Callable[[S], str] = lambda values: values.base_url or ""
    """The API's URL by these settings; empty for the default."""
    credential: Callable[[S], str]
    """The identity that the vendor's rate limit applies to; only compared, never written."""
    headers: Callable[[S, str], dict[str, str]]
    """The headers that authenticate a request, with the token that a login gave; empty where there is no login."""
    hints: Mapping[int, str]
    """What a user can do when the vendor refuses with that status."""
    check: Callable[[S], None] = lambda values: None
    """Raises ConfigurationError where settings contradict each other."""
    warnings: Callable[[S], tuple[str, ...]] = lambda values: ()
    """Warnings about settings that are valid."""
    login: Callable[[S], Login | None] = lambda values: None
    """The login that exchanges the credentials for a token; None where they are sent as they are."""
    read_login: Callable[[Json], Token] | None = None
    """Reads a login's answer. Raises UnexpectedResponse."""
    status_in: Callable[[Json], int | None] | None = None
    """The status of an error within an answer that says success; None where the answer's own status always tells."""

    def hint(self, status: int) -> str:
        """What a user can do when the vendor refuses with that status; empty where that is not known."""
        return self.hints.get(status, "")


class PageRequest(Protocol[S_contra]):
    """The request for one page of executions."""

    def __call__(
        self, values: S_contra, window: Window | None, *, offset: int = 0, filters: Filters | None = None
    ) -> Request:
        """The request for the executions that started in ``window``, from ``offset`` on; oldest first if sorted."""
        ...


StepList = tuple[Request, Sequence[Row]]
"""A request and the steps in its answer; a list of several pages is several of them with the same path."""

MIN_PAGE_SIZE = 10
"""No vendor is known to cap its pages below this. What follows from a shorter page stands where it is used."""

ListingKind = Literal["sorted", "unsorted", "full_scan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[S]):
    """How the vendor lists executions."""

    kind: ListingKind
    """``sorted``: filtered by time, oldest first, counted where the vendor counts. ``unsorted``: filtered by time, in any
    order. ``full_scan``: not filtered by time; read from its beginning, no further than can be shown safe."""
    page_size: int
    """Maximum rows of a page, by which requests are estimated; ``request`` asks for them where the API takes a size."""
    request: PageRequest[S]
    read: Callable[[Json], Page]
    """Reads a page. Raises UnexpectedResponse when the answer does not have the documented form."""
    total_header: str = ""
    """The answer's header, in lower case, that counts the whole list where a server gives it; empty for none."""
    page_form: PageForm | None = None
    """The form of pages that are read in columns; None where each row has to be looked at."""
    filters: tuple[Filter, ...] = ()
    """The filters of the listing."""
    filters_by_status: bool = False
    """Whether one listing shows all executions that have a status."""
    partitioned_by: str = ""
    """The filter that names a partition; empty where one listing shows all executions."""
    partitions: Callable[[S, Sequence[Row]], tuple[str, ...]] = lambda values, workflows: ("",)
    """The values of ``partitioned_by``: from settings, or from the listed workflows."""

    @property
    def is_countable(self) -> bool:
        """Whether a window can be estimated and compared page by page, and counted where the vendor gives a total."""
        return self.kind == "sorted"

    @property
    def is_filtered_by_time(self) -> bool:
        """Whether the vendor filters by time, so that a short window takes few requests."""
        return self.kind != "full_scan"

    def windows_to_read(self, days: Sequence[Window]) -> list[Window]:
        """The windows to read for these days: one for all where the vendor does not filter by time."""
        if not days or self.is_filtered_by_time:
            return list(days)
        return [Window(min(days).start, max(day.end for day in days))]

    @property
    def is_oldest_first(self) -> bool:
        """Whether windows are read oldest first, so that the rows read so far are a prefix of all."""
        return self.kind != "full_scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Details(Generic[S]):
    """Reading one execution: its state by a single read, and its steps."""

    steps: Table
    log: Table
    """One row per execution whose steps were asked for."""
    children: tuple[Table, ...] = ()
    """Further tables that details fill (``Detail.children``)."""
    execution_request: Callable[[S, str, str], Request]
    """The request that reads one execution (execution id, partition)."""
    read_execution: Callable[[Json], Detail]
    """Reads the answer to ``execution_request``. Raises UnexpectedResponse."""
    execution_ids: tuple[str, ...]
    """JSON paths of the execution's id in the answer, see ``ids.check_id``."""
    list_only_columns: tuple[str, ...] = ()
    """Columns of ``executions`` whose value a single read does not give as a listing does."""
    steps_request: Callable[[S, str, str], Request] | None = None
    """The request for the steps of an execution; None where the single read brings them."""
    read_steps: Callable[[S, Request, Json], Detail] | None = None
    """Reads the steps' answers, those of ``Detail.more`` included; None where the single read has all steps."""
    merge_steps: Callable[[Sequence[StepList]], list[Row]] = lambda lists: [
        row for _, rows in lists for row in rows
    ]
    """The steps of all answers about one execution, each once. Steps that have the same id stay apart."""
    may_lack_steps: str = ""
    """SQL for the ids of executions of which an earlier version, with the step's id alone as key, may have stored fewer
    steps than there were, unseen in its count; ``{steps}`` is the table of steps. Empty where the count shows it."""
    is_gone: Callable[[int, str], bool] = lambda status, message: status in GONE_STATUSES
    """Whether a refused single read (status, message) means that the vendor no longer has the execution."""

    @property
    def come_with_execution(self) -> bool:
        """Whether the read of one execution includes its steps."""
        return self.steps_request is None

    @property
    def has_more(self) -> bool:
        """Whether steps that come with the execution may need further requests."""
        return self.steps_request is None and self.read_steps is not None

    def request(self, values: S, execution_id: str, partition: str) -> Request:
        """The request for the steps of an execution."""
        return (self.steps_request or self.execution_request)(values, execution_id, partition)

    def read(self, values: S, request: Request, data: Json) -> Detail:
        """Reads the answer to ``request`` or to one of ``Detail.more``. Raises UnexpectedResponse."""
        return self.read_steps(values, request, data) if self.read_steps else self.read_execution(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads(Generic[S]):
    """Reading the inputs and outputs of steps."""

    table: Table
    request: Callable[[S, str, str], Request]
    """The request for the payload of a step (the execution's id, the step's id)."""
    read: Callable[[Json], Payload]
    """Reads its answer. Raises UnexpectedResponse."""
    execution_ids: tuple[str, ...] = ()
    """JSON paths of the execution's id in the answer."""
    step_ids: tuple[str, ...] = ()
    """JSON paths of the step's id in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Generic[S]):
    """Running an execution again. The request has effects and must be sent at most once."""

    caveat: str
    """The warning that a person must see before a replay."""
    request: Callable[[S, str], Request]
    read: Callable[[Json], Replayed]
    """Reads a replay's answer; the execution runs again even where the answer has an unexpected form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(Generic[S]):
    """Answering an execution that waits for a person. The request has effects and must be sent at most once."""

    request: Callable[[S, str, str, Mapping[str, str], str], Request]
    """The request (execution's id, input's id, answers by field, partition)."""
    waits_for: Callable[[Detail, str], bool]
    """Whether an execution waits for that input of a person, as far as its single read shows it."""


class ReadStatistics(Protocol[S_contra]):
    """Reads an answer with statistics."""

    def __call__(
        self, values: S_contra, window: Window, data: Json, *, settled_before: datetime
    ) -> Mapping[str, list[Row]]:
        """Rows by table. A bucket that ends before ``settled_before`` is closed once all its executions have ended.

        Raises UnexpectedResponse.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics(Generic[S]):
    """Reading the vendor's own statistics."""

    tables: tuple[Table, ...]
    """The tables of the statistics; the first has one row per bucket of time.

    ``window_start`` and ``window_end`` of the others are the span that was asked for.
    """
    buckets: Callable[[S], tuple[str, timedelta]]
    """The value of the column ``granularity``, and the length of a bucket, counted from midnight UTC."""
    request: Callable[[S, Window], Request]
    """The request for a window of whole buckets."""
    read: ReadStatistics[S]
    granularity_ids: tuple[str, ...] = ()
    """JSON paths of the granularity in the answer."""
    total_column: str = "total"
    """The column of the first table that says how many executions began in a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflows(Generic[S]):
    """Listing of the workflows."""

    table: Table
    """One row per workflow."""
    request: Callable[[S, str, int], Request]
    """The request for the workflows of a partition, from an offset on; ``""`` where settings name no partition."""
    read: Callable[[Json], Page]
    """Reads its answer. Raises UnexpectedResponse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrations(Generic[S]):
    """Finding the integration of a workflow, where executions do not name it."""

    table: Table
    """One row per workflow that ran."""
    names: Callable[[S], tuple[str, ...]]
    """The integrations that the settings name."""
    map_file: Callable[[S], str | None]
    """The file that maps workflows to integrations instead; None without one."""
    request: Callable[[S, str, str], Request]
    """The request whose count tells whether executions of a workflow belong to an integration."""
    common_names: tuple[str, ...]
    """Integrations that many accounts use, to look for those of this one."""
    filter_name: str
    """The filter of lists by which the vendor gives an integration's executions only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System(Generic[S]):
    """One vendor API, or one of several listings of an account."""

    name: str
    title: str
    docs_url: str
    settings: type[S]
    """The class of the system's settings."""
    access: Access[S]
    rate_limit: tuple[int, float]
    """The vendor's rate limit: number of requests, and seconds of the period."""
    retention: timedelta | None = None
    """Time for which the vendor keeps an execution; None when it does not state one."""
    executions: Table
    identity: Callable[[Row], str]
    """The execution's id, as text."""
    started_at: Callable[[Row], datetime | None]
    """When the execution began, UTC; None when the vendor does not say (yet)."""
    is_open: Callable[[Row], bool]
    """Whether the execution may still change. It gets a row under the vendor's keys, as sent or read back from the
    warehouse, or only ``{"status": …}``, the stored status."""
    started_column: str
    """The column of ``executions`` by which windows are cut."""
    workflow_column: str
    """The column of ``executions`` that names the workflow."""
    person: Person | None = None
    """None where the vendor's executions name no person."""
    open_statuses: tuple[str, ...] = ()
    """The statuses of open executions, as values of the vendor's filter."""
    failed_statuses: tuple[str, ...]
    listing: Listing[S]
    details: Details[S]
    payloads: Payloads[S] | None = None
    replay: Replay[S] | None = None
    answers: Answers[S] | None = None
    statistics: Statistics[S] | None = None
    workflows: Workflows[S] | None = None
    integrations: Integrations[S] | None = None
    companions: tuple[System, ...] = ()
    """Further listings of the same account, synced after this one into the same dataset."""
    views: Views | None = None
    """The system's part of the views; None where the views leave it out."""

    @property
    def partition_column(self) -> Column | None:
        """The column of ``executions`` that names an execution's partition; None where there is none."""
        names = {one.column for one in self.listing.filters if one.name == self.listing.partitioned_by}
        return next((column for column in self.executions.columns if column.name in names), None)
