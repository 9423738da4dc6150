"""The tables of Twinit, and the SQL by which views read them."""

from __future__ import annotations

from ...core.models import Column, Table
from ..common_tables import (
    PROVENANCE,
    details_log,
    error_in,
    executions_table,
    shown_executions,
    shown_payloads,
    shown_steps,
    steps_table,
    timestamp_columns,
)
from ..protocol import Views

RUNS = executions_table(
    "workflow_runs",
    "One row per run of a workflow, in the newest state that was read.",
    (
        Column("id", "text", "The run's id.", "_id"),
        Column("workflow_def_id", "text", "The definition that ran (workflow_defs.id).", "_workflowDefId"),
        Column("name", "text", "What the run is called.", "_name"),
        Column("namespace", "text", "The first of its namespaces."),
        Column("namespaces", "text", "JSON list of all its namespaces.", "_namespaces"),
        Column("user_type", "text", "Its type as its author named it.", "_userType"),
        Column(
            "status",
            "text",
            "The vendor's status: RUNNING, COMPLETED, FAILED, TIMED_OUT, TERMINATED, PAUSED or another.",
            "status",
        ),
        Column("result", "text", "Its result as JSON text, secrets redacted.", "_result", is_free=True),
        Column(
            "timeout_seconds",
            "bigint",
            "After how many seconds it is ended; empty for never.",
            "_timeoutSeconds",
        ),
        Column("timeout_policy", "text", "What happens then.", "_timeoutPolicy"),
        *timestamp_columns("created_at", "When it was made (windows are cut by it)", "_createdAt"),
        *timestamp_columns("updated_at", "When the vendor changed it last", "_updatedAt"),
        Column(
            "finished_at_estimate",
            "timestamp",
            "When it probably ended: its last change, once it has ended; empty where that is its making.",
        ),
    ),
    what="the run",
    started="created_at",
    workflow="workflow_def_id",
)

TASKS = steps_table(
    "tasks",
    "One row per task of a run, those of loops once per iteration; read once the run had ended.",
    (
        Column("id", "text", "The task's id.", "_id"),
        Column("workflow_execution_id", "text", "The run (workflow_runs.id)."),
        Column(
            "parent_task_id",
            "text",
            "The task that it is within, such as a loop (tasks.id); empty for others.",
        ),
        Column(
            "name", "text", "What the task is called; its type and position where it has no name.", "_name"
        ),
        Column("type", "text", "The kind of task, such as REST_CONNECTOR or DO_WHILE.", "_type"),
        Column("sequence_no", "bigint", "Its position among the tasks; may repeat.", "_sequenceno"),
        Column("status", "text", "The vendor's status, such as COMPLETED, FAILED or QUEUED.", "_status"),
        Column(
            "input_params", "text", "Its input as JSON text, secrets redacted.", "_inputParams", is_free=True
        ),
        Column("result", "text", "Its result as JSON text, secrets redacted.", "_result", is_free=True),
    ),
    started="When its run was made",
)

LOGS = steps_table(
    "task_logs",
    "One row per line that a task logged, in the vendor's order.",
    (
        Column("id", "text", "The task's id and the line's position in its log."),
        Column("task_id", "text", "The task (tasks.id)."),
        Column("workflow_execution_id", "text", "The run (workflow_runs.id)."),
        Column("position", "bigint", "The line's position in the task's log, from 0: many share a second."),
        Column("timestamp", "timestamp", "When it was logged, to the second; taken for UTC.", "timestamp"),
        Column("level", "text", "How grave it is, such as INFO.", "level"),
        Column("message", "text", "What was logged, secrets redacted.", "message", is_free=True),
    ),
    started="When its run was made",
)

DETAILS = details_log(
    "run_details",
    "One row per run whose tasks and logs were asked for; they are asked for once.",
    execution="The run (workflow_runs.id).",
    steps="How many tasks it has, those of loops once per iteration.",
    started="When the run was made",
)

DEFS = Table(
    "workflow_defs",
    "One row per definition of a workflow as it was when it was last listed.",
    ("id",),
    (
        Column("id", "text", "The definition's id.", "_id"),
        Column("name", "text", "What the workflow is called.", "_name"),
        Column("description", "text", "What its author says of it.", "_description", is_free=True),
        Column("namespaces", "text", "JSON list of its namespaces.", "_namespaces"),
        Column("user_type", "text", "Its type as its author named it.", "_userType"),
        Column("task_defs", "text", "Its tasks as JSON text, secrets redacted.", "_taskDefs", is_free=True),
        Column("timeout_seconds", "bigint", "After how many seconds a run is ended.", "_timeoutSeconds"),
        Column("created_at", "timestamp", "When it was made.", "_createdAt"),
        Column("updated_at", "timestamp", "When it was changed last.", "_updatedAt"),
        Column("created_by", "text", "The user who made it.", "_createdBy"),
        Column("updated_by", "text", "The user who changed it last.", "_updatedBy"),
        *PROVENANCE,
    ),
)

VIEWS = Views(
    statuses={
        "QUEUED": "queued",
        "SCHEDULED": "queued",
        "RUNNING": "running",
        "IN_PROGRESS": "running",
        "PAUSED": "waiting",
        "COMPLETED": "succeeded",
        "COMPLETED_WITH_ERRORS": "partial",
        "FAILED": "failed",
        "FAILED_WITH_TERMINAL_ERROR": "failed",
        "TIMED_OUT": "failed",
        "TERMINATED": "cancelled",
        "CANCELED": "cancelled",
        "CANCELLED": "cancelled",
        "SKIPPED": "skipped",
    },
    executions=shown_executions(
        "{workflow_runs} AS e LEFT JOIN {workflow_defs} AS w ON w.id = e.workflow_def_id",
        {
            "workflow_id": "e.workflow_def_id",
            "workflow_name": "w.name",
            "started_at": "e.created_at",
            "ended_at": "e.finished_at_estimate",
        },
    ),
    # Tasks have no times: their first and last lines are what is known.
    steps=shown_steps(
        "{tasks} AS s LEFT JOIN (SELECT g.task_id, min(g.timestamp) AS first_at, max(g.timestamp) AS last_at "
        "FROM {task_logs} AS g GROUP BY g.task_id) AS t ON t.task_id = s.id "
        "LEFT JOIN {workflow_runs} AS e ON e.id = s.workflow_execution_id",
        {
            # A task's name is one of its definition.
            "step_id": "coalesce(e.workflow_def_id, '') || ':' || coalesce(s.name, '')",
            "step_name": "s.name",
            "started_at": "t.first_at",
            "ended_at": "t.last_at",
            "error": f"CASE WHEN s.status <> 'COMPLETED' THEN {error_in('s.result')} END",
        },
    ),
    payloads=shown_payloads(
        "{tasks} AS p",
        {
            "input": "p.input_params",
            "output": "p.result",
            "error": f"CASE WHEN p.status <> 'COMPLETED' THEN {error_in('p.result')} END",
        },
    ),
    billing_caveat="Twinit counts no tasks.",
)
