"""The tables of SailPoint, and the SQL by which views read them."""

from __future__ import annotations

from ...core.columns import bigint, boolean, customer_data, customer_json, text, timestamp
from ...core.models import Table
from ..table_parts import (
    PROVENANCE,
    details_log,
    executions_table,
    status_column,
    steps_table,
    timestamp_columns,
)
from ..view_mapping import Views, details_log_mapping, error_in, shown_executions, shown_steps
from .statuses import EXECUTION_STATUSES, MEANINGS, OPEN_STEP_EVENTS

EXECUTIONS = executions_table(
    "workflow_executions",
    "One row per execution of a workflow, in the newest state that was read.",
    (
        text("id", "The execution's id.", "id"),
        text("workflow_id", "The workflow that ran (workflows.id).", "workflowId"),
        text("request_id", "The id by which the vendor traces the request that started it.", "requestId"),
        *timestamp_columns("start_time", "When the execution began", "startTime"),
        timestamp("close_time", "When the execution ended; empty while it is open.", "closeTime"),
        text(
            "close_time_exact",
            "The same as the vendor sent it, where that is finer than a microsecond.",
            "closeTimeExact",
            is_derived=True,
        ),
        status_column(EXECUTION_STATUSES),
    ),
    what="the execution",
    started="start_time",
    workflow="workflow_id",
)

EVENTS = steps_table(
    "execution_events",
    "One row per event of an execution's history, read once the execution had ended.",
    (
        text("id", "The execution's id and the event's position in its history."),
        text("workflow_execution_id", "The execution (workflow_executions.id)."),
        bigint("position", "The event's position in the history, from 0."),
        text(
            "type",
            "The event: ActivityTaskScheduled, ActivityTaskFailed, WorkflowExecutionCompleted and so on.",
            "type",
        ),
        *timestamp_columns("timestamp", "When it happened", "timestamp"),
        text("status", "The last word of the type: Scheduled, Started, Completed, Failed and so on."),
        text("step_name", "The step of the workflow's definition, where the event is of one."),
        text("display_name", "How the step is called, where the event is of one."),
        text("technical_name", "What the step does, such as sp:send-email."),
        customer_json("error", "What failed, as JSON text, secrets redacted."),
        customer_json(
            "attributes", "All attributes of the event as JSON text, secrets redacted.", "attributes"
        ),
    ),
    started="When the event's execution began",
    ids="unique",
)

DETAILS = details_log(
    "execution_details",
    "One row per execution whose history was asked for; each history is asked for once.",
    execution="The execution (workflow_executions.id).",
    steps="How many events the history has.",
    started="When the execution began",
    more=(
        customer_json("trigger", "The trigger that history-v2 gives, as JSON text.", "trigger"),
        customer_json(
            "definition",
            "The workflow's definition as it ran, as JSON text, where history-v2 gives it.",
            "definition",
        ),
    ),
)

WORKFLOWS = Table(
    "workflows",
    "One row per workflow as it was when it was last listed.",
    ("id",),
    (
        text("id", "The workflow's id.", "id"),
        text("name", "The workflow's name.", "name"),
        customer_data("description", "What its author says of it.", "description"),
        boolean("enabled", "Whether it can be triggered.", "enabled"),
        text("trigger_type", "EVENT, EXTERNAL, SCHEDULED, or empty."),
        customer_json("trigger", "The whole trigger as JSON text.", "trigger"),
        customer_json("definition", "Its steps as JSON text, secrets redacted.", "definition"),
        text("owner_name", "Who owns it."),
        customer_json("owner", "The owner as JSON text.", "owner"),
        customer_json("creator", "Who made it, as JSON text.", "creator"),
        customer_json("modified_by", "Who changed it last, as JSON text.", "modifiedBy"),
        bigint("execution_count", "The vendor's count of its executions, of all time.", "executionCount"),
        bigint("failure_count", "The vendor's count of those that failed, of all time.", "failureCount"),
        *timestamp_columns("created", "When it was made", "created"),
        *timestamp_columns("modified", "When it was changed last", "modified"),
        *PROVENANCE,
    ),
)

# A history names no steps: those of one name, in their order, are scheduled, started and ended.
_STEP = (
    "(SELECT n.workflow_execution_id, n.step_name, max(n.technical_name) AS technical_name, n.place, "
    "n.execution_date_started, min(n.timestamp) AS started_at, "
    "max(CASE WHEN n.phase = 'ended' THEN n.timestamp END) AS ended_at, "
    "coalesce(max(CASE WHEN n.phase = 'ended' THEN n.status END), max(n.status)) AS status, max(n.error) AS error, "
    "max(n.fetched_at) AS fetched_at, max(n.loaded_at) AS loaded_at, max(n.run_id) AS run_id "
    "FROM (SELECT v.*, row_number() OVER (PARTITION BY v.workflow_execution_id, v.step_name, v.phase "
    "ORDER BY v.position) AS place FROM (SELECT o.*, CASE WHEN o.status IN "
    f"{OPEN_STEP_EVENTS} THEN o.status ELSE 'ended' END AS phase FROM {{execution_events}} AS o "
    "WHERE o.step_name IS NOT NULL) AS v) AS n GROUP BY n.workflow_execution_id, n.step_name, n.place, "
    "n.execution_date_started) AS s"
)

VIEWS = Views(
    statuses=MEANINGS,
    executions=shown_executions(
        "{workflow_executions} AS e LEFT JOIN {workflows} AS w ON w.id = e.workflow_id",
        {
            "workflow_name": "w.name",
            "started_at": "e.start_time",
            "ended_at": "e.close_time",
        },
    ),
    steps=shown_steps(
        _STEP + " LEFT JOIN {workflow_executions} AS e ON e.id = s.workflow_execution_id",
        {
            "step_execution_id": "s.workflow_execution_id || ':' || s.step_name || ':' || CAST(s.place AS VARCHAR)",
            # A step's name is one of its workflow.
            "step_id": "coalesce(e.workflow_id, '') || ':' || s.step_name",
            "step_name": "s.step_name",
            "step_type": "s.technical_name",
            "started_at": "s.started_at",
            "ended_at": "s.ended_at",
            "error": f"coalesce({error_in('s.error')}, s.error)",
        },
    ),
    details=details_log_mapping(DETAILS),
    billing_caveat="SailPoint counts no tasks.",
)
