"""The tables of Twinit, and the SQL by which views read them."""

from __future__ import annotations

from ...core.columns import bigint, customer_data, customer_json, json_text, text, timestamp
from ...core.models import Table
from ..table_parts import (
    PROVENANCE,
    details_log,
    executions_table,
    status_column,
    steps_table,
    timestamp_columns,
)
from ..view_mapping import Views, details_log_mapping, error_in, shown_executions, shown_payloads, shown_steps
from .statuses import MEANINGS, RUN_STATUSES

RUNS = executions_table(
    "workflow_runs",
    "One row per run of a workflow, in the newest state that was read.",
    (
        text("id", "The run's id.", "_id"),
        text("workflow_def_id", "The definition that ran (workflow_defs.id).", "_workflowDefId"),
        text("name", "What the run is called.", "_name"),
        text("namespace", "The first of its namespaces."),
        json_text("namespaces", "JSON list of all its namespaces.", "_namespaces"),
        text("user_type", "Its type as its author named it.", "_userType"),
        status_column(RUN_STATUSES, is_derived=True),
        customer_json("result", "Its result as JSON text, secrets redacted.", "_result"),
        bigint("timeout_seconds", "After how many seconds it is ended; empty for never.", "_timeoutSeconds"),
        text("timeout_policy", "What happens then.", "_timeoutPolicy"),
        *timestamp_columns("created_at", "When it was made (windows are cut by it)", "_createdAt"),
        *timestamp_columns("updated_at", "When the vendor changed it last", "_updatedAt"),
        timestamp(
            "finished_at_estimate",
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
        text("id", "The task's id; others, of this run or of another, may have the same one.", "_id"),
        text("workflow_execution_id", "The run (workflow_runs.id)."),
        text("parent_task_id", "The task that it is within, such as a loop (tasks.id); empty for others."),
        text("name", "What the task is called; its type and position where it has no name.", "_name"),
        text("type", "The kind of task, such as REST_CONNECTOR or DO_WHILE.", "_type"),
        bigint("sequence_no", "Its position among the tasks; may repeat.", "_sequenceno"),
        status_column(MEANINGS, "_status"),
        customer_json("input_params", "Its input as JSON text, secrets redacted.", "_inputParams"),
        customer_json("result", "Its result as JSON text, secrets redacted.", "_result"),
    ),
    started="When its run was made",
)

LOGS = steps_table(
    "task_logs",
    "One row per line that a task logged, in the vendor's order.",
    (
        text(
            "id",
            "The task's id and the line's position in its log; tasks of other runs may have the same id.",
        ),
        text("task_id", "The task (tasks.id); those of a run that have the same id have one log."),
        text("workflow_execution_id", "The run (workflow_runs.id)."),
        bigint("position", "The line's position in the task's log, from 0: many share a second."),
        timestamp("timestamp", "When it was logged, to the second; taken for UTC.", "timestamp"),
        text("level", "How grave it is, such as INFO.", "level"),
        customer_data("message", "What was logged, secrets redacted.", "message"),
    ),
    started="When its run was made",
    ids="unique_in_execution",
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
        text("id", "The definition's id.", "_id"),
        text("name", "What the workflow is called.", "_name"),
        customer_data("description", "What its author says of it.", "_description"),
        json_text("namespaces", "JSON list of its namespaces.", "_namespaces"),
        text("user_type", "Its type as its author named it.", "_userType"),
        customer_json("task_defs", "Its tasks as JSON text, secrets redacted.", "_taskDefs"),
        bigint("timeout_seconds", "After how many seconds a run is ended.", "_timeoutSeconds"),
        timestamp("created_at", "When it was made.", "_createdAt"),
        timestamp("updated_at", "When it was changed last.", "_updatedAt"),
        text("created_by", "The user who made it.", "_createdBy"),
        text("updated_by", "The user who changed it last.", "_updatedBy"),
        *PROVENANCE,
    ),
)

VIEWS = Views(
    statuses=MEANINGS,
    # A task that waits for a person. https://twinit.dev/docs/apis/rest/workflowsvc/tasks
    is_waiting_step="upper(step_type) = 'USER_INPUT'",
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
        "{tasks} AS s LEFT JOIN (SELECT g.workflow_execution_id, g.task_id, min(g.timestamp) AS first_at, "
        "max(g.timestamp) AS last_at FROM {task_logs} AS g GROUP BY g.workflow_execution_id, g.task_id) AS t "
        "ON t.workflow_execution_id = s.workflow_execution_id AND t.task_id = s.id "
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
    details=details_log_mapping(DETAILS),
    billing_caveat="Twinit counts no tasks.",
)
