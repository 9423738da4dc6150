"""Paragon Task History.

https://docs.useparagon.com/apis/task-history
"""

from __future__ import annotations

from datetime import timedelta

from ...core.errors import ConfigurationError, UnexpectedResponse, UnusableId
from ...core.models import MS, Json, Page, Request, Window, iso_ms
from ...core.row_keys import fields_beside_own
from ..checked_ids import path_of
from ..parsing import instant, not_stored, rows_with_id
from ..person import Person
from ..protocol import (
    Access,
    Detail,
    Details,
    Filters,
    Integrations,
    Listing,
    PageForm,
    Payload,
    Payloads,
    Replay,
    Replayed,
    System,
)
from .integration_names import COMMON_NAMES
from .settings import BASE_URL, RATE_LIMIT, ParagonSettings
from .statuses import FAILED, OPEN_FILTER_VALUES, OPEN_RULE
from .tables import DETAILS, EXECUTIONS, FILTERS, PAYLOADS, STEPS, VIEWS, WORKFLOWS

_PARAMS = {item.name: item.param for item in FILTERS}
_ROW_FIELDS = frozenset(column.source for column in EXECUTIONS.columns if column.source)


# https://docs.useparagon.com/apis/task-history and
# https://docs.useparagon.com/workflows/viewing-workflow-executions disagree.
REPLAY_CAVEAT = (
    "Replay is beta, says https://docs.useparagon.com/apis/task-history. Which version of the workflow then runs "
    "is documented in two contradictory ways: that of the original run, and the one that is deployed now. "
    "It repeats all that the workflow does in other apps."
)


def check(values: ParagonSettings) -> None:
    try:
        _path(values)
    except UnusableId as error:
        raise ConfigurationError(f"project_id: {error}") from None


def headers(values: ParagonSettings, token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {values.api_key}"}


HINTS = {
    401: (
        "Set api_key to a project-level API key (dashboard: Settings > API Keys); a Paragon User Token "
        "is refused here, and so is a key that was rotated or deleted."
    ),
    404: (
        "Check project_id, the project's id in the dashboard's address bar, and base_url, on-premise "
        "https://zeus.<your domain>."
    ),
    403: (
        "The key is known but may not read this: check that project_id is the project of the key, that the "
        "plan includes Task History (Enterprise), and on-premise that Task History is not switched off."
    ),
}
"""What to do where the vendor refuses with that status."""


def list_request(
    values: ParagonSettings, window: Window | None, *, offset: int = 0, filters: Filters | None = None
) -> Request:
    # Whether the bounds are inclusive is not documented: ask for one millisecond more at the
    # start, and let the caller cut. sortBy always, since nextLink may name another order than
    # the one that was used.
    params = [(_PARAMS[name], str(value)) for name, value in (filters or {}).items()]
    if window is not None:
        params += [("afterDate", iso_ms(window.start - MS)), ("beforeDate", iso_ms(window.end))]
    params.append(("sortBy", "ASC"))
    if offset:
        params.append(("offset", str(offset)))
    return Request("list", _path(values), tuple(params))


def read_page(data: Json) -> Page:
    keys = ("workflowExecutions", "data")
    rows, rejected = rows_with_id(data, keys, "id", what="list of executions", table=EXECUTIONS)
    if not isinstance(data, dict):
        return Page(rows, total=None, more=None, rejected=rejected)
    total = data.get("total")
    # nextLink only ever means "more": it may name another host, another order or no filters.
    return Page(
        rows,
        total=total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None,
        more=bool(data["nextLink"]) if "nextLink" in data else None,
        rejected=rejected,
    )


def execution_request(values: ParagonSettings, execution_id: str, partition: str) -> Request:
    return Request("execution", path_of(_path(values), execution_id), is_partial=True)


def read_execution(data: Json) -> Detail:
    if not isinstance(data, dict) or data.get("id") in (None, ""):
        raise UnexpectedResponse("execution: expected an object with the key 'id'.")
    steps = data.get("stepExecutions")
    rows, rejected = rows_with_id(
        {"stepExecutions": steps or []}, ("stepExecutions",), "id", what="execution", table=STEPS
    )
    for row in rows:
        if row.get("workflowExecutionId") in (None, ""):
            row["workflowExecutionId"] = data["id"]
    execution = {name: value for name, value in data.items() if name in _ROW_FIELDS}
    duration = execution.pop("runDuration", None)
    started, ended = instant(data.get("dateStarted")), instant(data.get("dateEnded"))
    if duration is not None and started and ended:
        execution["runDuration"] = round((ended - started) / MS)
    extra = {
        name: value for name, value in data.items() if name not in _ROW_FIELDS and name != "stepExecutions"
    }
    unreadable = not_stored("stepExecutions", rejected)
    extra = {**fields_beside_own(DETAILS, extra), "run_duration": duration}
    return Detail(execution, extra, rows, unreadable=unreadable)


def integration_request(values: ParagonSettings, workflow_id: str, integration: str) -> Request:
    params = (("workflowId", workflow_id), ("integration", integration), ("sortBy", "ASC"))
    return Request("integration", _path(values), params, is_partial=True)


def payload_request(values: ParagonSettings, execution_id: str, step_id: str) -> Request:
    path = path_of(_path(values), execution_id)
    return Request("payload", path_of(f"{path}/step-executions", step_id), is_partial=True)


def read_payload(data: Json) -> Payload:
    if not isinstance(data, dict) or not data.keys() & {"input", "output"}:
        raise UnexpectedResponse("step: expected an object with the keys 'input' and 'output'.")
    flags = {name: value for name, value in data.items() if name not in ("input", "output")}
    return Payload(data.get("input"), data.get("output"), fields_beside_own(PAYLOADS, flags))


def replay_request(values: ParagonSettings, execution_id: str) -> Request:
    path = path_of(_path(values), execution_id)
    return Request("replay", f"{path}/replay", method="POST", is_once=True)


def read_replay(data: Json) -> Replayed:
    # Documented is 201 with the execution that was started; whether its id is a new one is not.
    content = data if isinstance(data, dict) else {}
    identity, status = (str(content[name]) if content.get(name) else None for name in ("id", "status"))
    fields = {name: value for name, value in content.items() if name in _ROW_FIELDS}
    return Replayed(identity, status, {"dateEnded": None, "runDuration": None, "taskCount": None, **fields})


def _path(values: ParagonSettings) -> str:
    return f"{path_of('/projects', values.project_id)}/task-history/workflow-executions"


SYSTEM = System(
    name="paragon",
    title="Paragon Task History",
    docs_url="https://docs.useparagon.com/apis/task-history",
    settings=ParagonSettings,
    access=Access(
        default_base_url=BASE_URL,
        credential=lambda values: values.api_key,
        headers=headers,
        hints=HINTS,
        check=check,
    ),
    rate_limit=RATE_LIMIT,
    retention=timedelta(days=90),
    executions=EXECUTIONS,
    identity=lambda row: str(row["id"]),
    started_at=lambda row: instant(row.get("dateStarted")),
    is_open=OPEN_RULE.is_open,
    started_column="date_started",
    workflow_column="workflow_id",
    person=Person("user_id"),
    open_statuses=OPEN_FILTER_VALUES,
    failed_statuses=FAILED,
    listing=Listing(
        kind="sorted",
        page_size=100,
        request=list_request,
        read=read_page,
        page_form=PageForm("workflowExecutions", "total", OPEN_RULE),
        filters=FILTERS,
        filters_by_status=True,
    ),
    details=Details(
        steps=STEPS,
        log=DETAILS,
        execution_request=execution_request,
        read_execution=read_execution,
        execution_ids=("id", "stepExecutions.workflowExecutionId"),
        list_only_columns=("run_duration",),
    ),
    payloads=Payloads(
        table=PAYLOADS,
        request=payload_request,
        read=read_payload,
        # The documented answer has no id; one that has is compared.
        execution_ids=("workflowExecutionId",),
        step_ids=("id", "stepExecutionId"),
    ),
    replay=Replay(caveat=REPLAY_CAVEAT, request=replay_request, read=read_replay),
    integrations=Integrations(
        table=WORKFLOWS,
        names=lambda values: values.integrations,
        map_file=lambda values: values.workflow_map,
        request=integration_request,
        common_names=COMMON_NAMES,
        filter_name="integration",
    ),
    views=VIEWS,
)
