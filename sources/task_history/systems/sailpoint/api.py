"""SailPoint Identity Security Cloud: executions of workflows.

https://developer.sailpoint.com/docs/api/v2025/workflows

There is no list of all executions: workflows are listed first, then the executions of each. What a step did is in
an execution's history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import unquote

from ...core.errors import ConfigurationError, UnexpectedResponse
from ...core.models import MS, Json, Page, Request, Row, Window, iso_ms
from ...core.row_keys import fields_beside_own
from ..checked_ids import path_of
from ..parsing import instant, not_stored, rows_with_id, timed
from ..protocol import (
    Access,
    Detail,
    Details,
    Filter,
    Filters,
    Listing,
    Login,
    System,
    Workflows,
)
from ..statuses import one_of
from ..table_parts import instant_fields
from ..token_answer import read_token
from .settings import RATE_LIMIT, SailPointSettings
from .statuses import FAILED, FILTER_VALUES, OPEN_RULE, STEP_EVENTS
from .tables import DETAILS, EVENTS, EXECUTIONS, VIEWS, WORKFLOWS

PAGE = 250
_MAX_PAGE = 250
"""The vendor's longest page, which it also gives where nothing can be asked for.
https://developer.sailpoint.com/docs/api/standard-collection-parameters"""
_PAGED_WORKFLOWS = ("v3", "beta")
_WITH_HISTORY_V2 = ("v2025", "v2026", "v1")
_COUNTED_FORMS = 2
"""How many forms of the filter are tried with the parameter that asks for a count."""
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_TIMES = instant_fields(EXECUTIONS)
_TIMES_OF_EVENTS = instant_fields(EVENTS)
_TIMES_OF_WORKFLOWS = instant_fields(WORKFLOWS)
_LAST_WORD = re.compile(f"({'|'.join(sorted(STEP_EVENTS))})$")

FILTERS = (
    Filter("workflow", "id", "workflow_id", "a workflow's id"),
    Filter("status", "status", "status", one_of(FILTER_VALUES), FILTER_VALUES),
)


def base_url(values: SailPointSettings) -> str:
    if values.base_url:
        return values.base_url
    return f"https://{values.tenant}.api.identitynow.com" if values.tenant else ""


def check(values: SailPointSettings) -> None:
    tenant = values.tenant
    if not tenant and not values.base_url:
        raise ConfigurationError(
            "The setting tenant of sailpoint is missing: it is the word before .api.identitynow.com. Set it, or "
            "base_url for another host, in .dlt/config.toml under [sources.task_history.sailpoint], or in the "
            "environment as SOURCES__TASK_HISTORY__SAILPOINT__TENANT."
        )
    if tenant and not values.base_url and not _TENANT.fullmatch(str(tenant)):
        raise ConfigurationError(
            f"tenant: {tenant!r} is no tenant: it is one word, such as acme of https://acme.api.identitynow.com."
        )


def warnings(values: SailPointSettings) -> tuple[str, ...]:
    # https://developer.sailpoint.com/docs/api/api-versioning-migration
    listing = (
        "SailPoint removes the list of executions in July 2028, in every version; it names no successor yet."
    )
    if values.api_version in _PAGED_WORKFLOWS:
        version = values.api_version
        return (
            f"api_version {version} is deprecated: SailPoint removes its history in October 2027. Set api_version "
            f"to v2025. {listing}",
        )
    return ()


def login(values: SailPointSettings) -> Login:
    # https://developer.sailpoint.com/docs/api/authentication
    form = {
        "grant_type": "client_credentials",
        "client_id": values.client_id,
        "client_secret": values.client_secret,
    }
    return Login(Request("token", "/oauth/token", method="POST"), form)


HINTS = {
    401: (
        "Set client_id and client_secret to those of a personal access token (PAT) that was not deleted, and "
        "tenant to the tenant that made it."
    ),
    404: "Check tenant, or base_url where it is set, and api_version: this address has no such list.",
    403: (
        "The token is known but may not read this: it has to be a personal access token of a user (a client of "
        "its own has none) with the scopes sp:workflow:read and sp:workflow-execution:read, whose level is "
        "ORG_ADMIN, SOURCE_ADMIN or SOURCE_SUBADMIN."
    ),
}
"""What to do where the vendor refuses with that status."""


def workflows_request(values: SailPointSettings, partition: str, offset: int) -> Request:
    version = values.api_version
    if version in _PAGED_WORKFLOWS:
        return Request("workflows", f"/{version}/workflows", _paged(offset))
    if offset:
        # The newer versions take no parameters; whether they give more than 250 is not documented.
        return Request("workflows", "/v3/workflows", _paged(offset), is_partial=True)
    return Request("workflows", _path(version, "workflows"))


def read_workflows(data: Json) -> Page:
    rows, rejected = rows_with_id(data, (), "id", what="list of workflows", table=WORKFLOWS)
    workflows = []
    for row in rows:
        trigger, owner = row.get("trigger"), row.get("owner")
        workflows.append(
            {
                **timed(row, _TIMES_OF_WORKFLOWS),
                "trigger_type": trigger.get("type") if isinstance(trigger, dict) else None,
                "owner_name": owner.get("name") if isinstance(owner, dict) else None,
            }
        )
    size = len(rows) + len(rejected)
    return Page(
        workflows, total=None, more=size > 0 and 0 in (size % PAGE, size % _MAX_PAGE), rejected=rejected
    )


def list_request(
    values: SailPointSettings, window: Window | None, *, offset: int = 0, filters: Filters | None = None
) -> Request:
    filters = filters or {}
    workflow = path_of(_path(values.api_version, "workflows"), str(filters["workflow"]))
    path = f"{workflow}/executions"
    paging = (("limit", str(PAGE)), ("offset", str(offset)))
    forms = [
        (*paging, ("filters", filter_text)) if filter_text else paging
        for filter_text in _filters(window, filters.get("status"))
    ]
    # https://developer.sailpoint.com/docs/api/standard-collection-parameters: no longer documented for this list, so a
    # server may count, ignore it, or refuse it.
    counted = [(*form, ("count", "true")) for form in forms[:_COUNTED_FORMS]]
    request: Request | None = None
    # https://github.com/sailpoint-oss/api-specs/issues/67: the filter's name and form differ by version; the
    # last resort is none, and the caller cuts.
    for params in reversed([*counted, *forms]):
        request = Request("list", path, params, is_partial=True, instead=request)
    assert request is not None  # noqa: S101 - there is always one form
    return request


def read_page(data: Json) -> Page:
    rows, rejected = rows_with_id(data, (), "id", what="list of executions", table=EXECUTIONS)
    return Page(list(map(_execution, rows)), total=None, more=None, rejected=rejected)


def execution_request(values: SailPointSettings, execution_id: str, partition: str) -> Request:
    # Only an ORG_ADMIN may read one execution; others may list them.
    return Request("execution", _single(values, execution_id), is_partial=True)


def read_execution(data: Json) -> Detail:
    # The schema says a list of one; servers give the object.
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict) or data.get("id") in (None, ""):
        raise UnexpectedResponse("execution: expected an object with the key 'id'.")
    return Detail(_execution(fields_beside_own(EXECUTIONS, data)), {}, [])


def steps_request(values: SailPointSettings, execution_id: str, partition: str) -> Request:
    path = _single(values, execution_id)
    # One that may not be read holds up no other.
    history = Request("execution", f"{path}/history", is_partial=True)
    if values.api_version not in _WITH_HISTORY_V2:
        return history
    return Request("execution", f"{path}/history-v2", instead=history, unknown=(400, 404), is_partial=True)


def read_steps(values: SailPointSettings, request: Request, data: Json) -> Detail:
    extra: Row = {}
    history: Json = data
    if isinstance(data, dict):
        if "history" not in data:
            raise UnexpectedResponse(
                "history: expected a list of events, or an object with the key 'history'."
            )
        history = data["history"] if data["history"] is not None else []
        extra = fields_beside_own(DETAILS, {name: value for name, value in data.items() if name != "history"})
    if isinstance(history, dict):
        history = [history]
    events, rejected = rows_with_id(history, (), None, what="history", table=EVENTS)
    page = Page(events, None, None, rejected=rejected)
    execution_id = _execution_id(request)
    offset = next((int(value) for name, value in request.params if name == "offset"), 0)
    further: tuple[Request, ...] = ()
    if isinstance(data, list) and page.size in (PAGE, _MAX_PAGE):
        # A page as long as one may be: older servers know no parameters, and then it was all.
        path = request.path.removesuffix("-v2")
        further = (Request("execution", path, _paged(offset + page.size), is_partial=True),)
    rows = [
        _event(execution_id, offset + position, event)
        for position, event in zip(page.positions, events, strict=True)
    ]
    return Detail({}, extra, rows, more=further, unreadable=not_stored("history", rejected))


def _path(version: str, service: str) -> str:
    return f"/{service}/v1" if version == "v1" else f"/{version}/{service}"


def _single(values: SailPointSettings, execution_id: str) -> str:
    return path_of(_path(values.api_version, "workflow-executions"), execution_id)


def _paged(offset: int) -> tuple[tuple[str, str], ...]:
    return (("limit", str(PAGE)), ("offset", str(offset)))


def _filters(window: Window | None, status: str | None) -> Iterable[str]:
    """The filter in each form that servers are known to accept, the most likely first, and no filter last."""
    state = [f'status eq "{_quoted(status)}"'] if status else []
    if window is None:
        yield " and ".join(state)
        return
    start, end = iso_ms(window.start - MS), iso_ms(window.end)
    for name, mark in (("start_time", '"'), ("startTime", '"'), ("start_time", "")):
        yield " and ".join([f"{name} ge {mark}{start}{mark}", f"{name} lt {mark}{end}{mark}", *state])
    yield ""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _execution(row: Row) -> Row:
    return {"closeTime": None, **timed(row, _TIMES)}


def _execution_id(request: Request) -> str:
    return unquote(request.path.rsplit("/", 2)[1])


def _event(execution_id: str, position: int, event: Row) -> Row:
    """An event as a row. Attribute names are undocumented; those that clients use become columns."""
    attributes = event.get("attributes")
    by_name = attributes if isinstance(attributes, dict) else {}
    kind = str(event.get("type") or "")
    outcome = _LAST_WORD.search(kind)
    return {
        **timed(event, _TIMES_OF_EVENTS),
        "id": f"{execution_id}:{position}",
        "workflow_execution_id": execution_id,
        "position": position,
        "status": outcome[0] if outcome else None,
        "step_name": by_name.get("stepName"),
        "display_name": by_name.get("displayName"),
        "technical_name": by_name.get("technicalName"),
        "error": by_name.get("error"),
    }


SYSTEM = System(
    name="sailpoint",
    title="SailPoint Identity Security Cloud Workflows",
    docs_url="https://developer.sailpoint.com/docs/api/v2025/workflows",
    settings=SailPointSettings,
    access=Access(
        address="tenant or base_url",
        base_url=base_url,
        credential=lambda values: f"{values.client_id}\0{values.api_version}",
        headers=lambda values, token: {"Authorization": f"Bearer {token}"},
        hints=HINTS,
        check=check,
        warnings=warnings,
        login=login,
        read_login=read_token,
    ),
    rate_limit=RATE_LIMIT,
    retention=timedelta(days=90),
    executions=EXECUTIONS,
    identity=lambda row: str(row["id"]),
    started_at=lambda row: instant(row.get("startTime")),
    is_open=OPEN_RULE.is_open,
    started_column="start_time",
    workflow_column="workflow_id",
    failed_statuses=FAILED,
    listing=Listing(
        kind="unsorted",
        page_size=PAGE,
        request=list_request,
        read=read_page,
        total_header="x-total-count",
        filters=FILTERS,
        partitioned_by="workflow",
        partitions=lambda values, workflows: tuple(str(row["id"]) for row in workflows),
    ),
    details=Details(
        steps=EVENTS,
        log=DETAILS,
        execution_request=execution_request,
        read_execution=read_execution,
        # A history names no execution, and neither do its events.
        execution_ids=("id",),
        steps_request=steps_request,
        read_steps=read_steps,
    ),
    workflows=Workflows(table=WORKFLOWS, request=workflows_request, read=read_workflows),
    views=VIEWS,
)
