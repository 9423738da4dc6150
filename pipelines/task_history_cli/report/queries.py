"""The queries of the report over the views, in DuckDB SQL with the period's bounds in braces.

``{since}`` and ``{until}`` are the period's, ``{before}`` and ``{before_until}`` those of the one before it. A new column
stands in the tables of ``explore`` at once, and in the report where ``sections`` shows it.
"""

from __future__ import annotations

# BigQuery takes QUALIFY only after WHERE, GROUP BY or HAVING.
TOP = 15
"""Rows of a table, at most; for each account and integration, so that a filter has its own first rows."""
STEP_RUNS = 20
"""A step that ran less often comes after all others: its percentiles say little."""

_PERIODS = """
    SELECT
        system, instance, execution_id, integration, workflow_id, workflow_name, user_id, started_at, is_open, task_count,
        CASE WHEN status = 'failed' THEN 1 ELSE 0 END AS failed,
        CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END AS succeeded,
        CASE WHEN started_at >= {since} THEN 1 ELSE 0 END AS is_current
    FROM executions
    WHERE (started_at >= {since} AND started_at < {until}) OR (started_at >= {before} AND started_at < {before_until})
"""

USAGE = f"""
WITH dated AS (
    SELECT
        CAST(started_at AT TIME ZONE '{{zone}}' AS DATE) AS day,
        system, instance, integration, is_current, is_open, failed, task_count
    FROM ({_PERIODS}) AS periods
)
SELECT
    is_current, day, system, instance, integration,
    count(*) AS executions,
    CAST(sum(failed) AS BIGINT) AS failures,
    coalesce(sum(CAST(task_count AS DECIMAL(29, 0))), 0) AS tasks,
    count(CASE WHEN is_open THEN 1 END) AS open_executions
FROM dated
GROUP BY is_current, day, system, instance, integration
ORDER BY is_current, day, system, instance, integration
"""


def _people(scope: str) -> str:
    columns = ", ".join(
        name if name in scope else f"CAST(NULL AS VARCHAR) AS {name}"
        for name in ("system", "instance", "integration")
    )
    names = ", ".join(filter(None, ("is_current", scope)))
    return f"""
    SELECT
        '{scope}' AS scope, is_current, {columns},
        count(DISTINCT user_id) AS users,
        count(DISTINCT CASE WHEN failed = 1 THEN user_id END) AS users_affected,
        count(DISTINCT workflow_id) AS workflows
    FROM periods
    GROUP BY {names}
    """


SCOPES = ("", "system, instance", "integration", "system, instance, integration")
PEOPLE = f"WITH periods AS ({_PERIODS})" + "UNION ALL".join(map(_people, SCOPES))

WORKFLOWS = f"""
WITH counted AS (
    SELECT
        system, instance, integration, workflow_id, workflow_name,
        CAST(sum(is_current) AS BIGINT) AS executions,
        CAST(sum(is_current * failed) AS BIGINT) AS failures,
        CAST(sum(1 - is_current) AS BIGINT) AS executions_before,
        CAST(sum((1 - is_current) * failed) AS BIGINT) AS failures_before,
        count(DISTINCT CASE WHEN is_current = 1 AND failed = 1 THEN user_id END) AS users_affected
    FROM ({_PERIODS}) AS periods
    GROUP BY system, instance, integration, workflow_id, workflow_name
    HAVING sum(periods.is_current * periods.failed) > 0
)
SELECT
    system, instance, integration, workflow_id, workflow_name, executions, failures, executions_before, failures_before,
    users_affected
FROM counted
WHERE TRUE
QUALIFY row_number() OVER (PARTITION BY system, instance, integration ORDER BY failures DESC, workflow_id) <= {TOP}
ORDER BY failures DESC, workflow_id, workflow_name, integration, system, instance
"""

# The commonest three of each workflow; counted in the executions that began in the period.
REASONS = """
WITH counted AS (
    SELECT
        f.system, f.instance, f.workflow_id, f.reason, count(*) AS failures,
        count(DISTINCT f.execution_id) AS executions, count(DISTINCT f.user_id) AS users,
        max(f.started_at) AS last_seen_at
    FROM failed_steps AS f
    WHERE f.execution_started_at >= {since} AND f.execution_started_at < {until}
    GROUP BY f.system, f.instance, f.workflow_id, f.reason
)
SELECT system, instance, workflow_id, reason, failures, executions, users, last_seen_at
FROM counted
WHERE TRUE
QUALIFY row_number() OVER (PARTITION BY system, instance, workflow_id ORDER BY failures DESC, reason) <= 3
ORDER BY failures DESC, reason, workflow_id, system, instance
"""

_CUSTOMERS = f"""
WITH counted AS (
    SELECT
        system, instance, user_id, integration,
        CAST(sum(is_current) AS BIGINT) AS executions,
        CAST(sum(is_current * failed) AS BIGINT) AS failures,
        CAST(sum((1 - is_current) * failed) AS BIGINT) AS failures_before,
        count(DISTINCT CASE WHEN is_current = 1 AND failed = 1 THEN workflow_id END) AS workflows,
        max(CASE WHEN is_current = 1 AND failed = 1 THEN started_at END) AS last_failure_at,
        max(CASE WHEN is_current = 1 AND succeeded = 1 THEN started_at END) AS last_success_at
    FROM ({_PERIODS}) AS periods
    WHERE user_id IS NOT NULL
    GROUP BY system, instance, user_id, integration
    HAVING sum(periods.is_current * periods.failed) > 0
)
"""
USERS_AFFECTED = f"""
{_CUSTOMERS}
SELECT
    system, instance, user_id, integration, executions, failures, failures_before, workflows, last_failure_at,
    last_success_at
FROM counted
WHERE TRUE
QUALIFY row_number() OVER (PARTITION BY system, instance, integration ORDER BY failures DESC, user_id) <= {TOP}
ORDER BY failures DESC, user_id, integration, system, instance
"""


def _still_failing(scope: str) -> str:
    columns = ", ".join(
        name if name in scope else f"CAST(NULL AS VARCHAR) AS {name}"
        for name in ("system", "instance", "integration")
    )
    distinct = ", ".join(dict.fromkeys(("system", "instance", "user_id", *filter(None, scope.split(", ")))))
    return f"""
    SELECT '{scope}' AS scope, {columns}, count(*) AS users
    FROM (
        SELECT DISTINCT {distinct} FROM counted WHERE coalesce(last_success_at < last_failure_at, TRUE)
    ) AS hit
    {f"GROUP BY {scope}" if scope else ""}
    """


STILL_FAILING = _CUSTOMERS + "UNION ALL".join(map(_still_failing, SCOPES))

# Of all times, since what stands out is known by what is usual. No text of an error.
INCIDENTS = f"""
SELECT
    system, instance, kind, integration, workflow_id, workflow_name, started_at, last_failed_at, is_over, executions,
    failures, failure_rate, usual_failure_rate, users
FROM incidents
WHERE last_failed_at >= {{since}} AND started_at < {{until}}
QUALIFY row_number() OVER (
    PARTITION BY system, instance, integration ORDER BY CASE WHEN is_over THEN 1 ELSE 0 END, failures DESC, started_at,
    workflow_id
) <= {TOP}
ORDER BY CASE WHEN is_over THEN 1 ELSE 0 END, failures DESC, started_at, workflow_id, integration, system, instance
"""

STEPS = f"""
SELECT
    system, instance, integration, workflow_id, workflow_name, step_id, step_name, step_type,
    ended_runs, complete_runs, complete_failures, p50_duration_ms, p95_duration_ms, max_duration_ms
FROM measured_steps
WHERE ended_runs > 0 AND NOT coalesce({{waits}}, FALSE)
QUALIFY row_number() OVER (
    PARTITION BY system, instance, integration
    ORDER BY CASE WHEN ended_runs >= {STEP_RUNS} THEN 0 ELSE 1 END, p95_duration_ms DESC, step_id, step_name, step_type
) <= {{top}}
ORDER BY CASE WHEN ended_runs >= {STEP_RUNS} THEN 0 ELSE 1 END, p95_duration_ms DESC, step_id, step_name, step_type,
    workflow_id, integration, system, instance
"""

QUIET_USERS = f"""
WITH counted AS (
    SELECT
        system, instance, user_id, max(started_at) AS last_execution_at, count(*) AS executions,
        count(CASE WHEN status = 'failed' THEN 1 END) AS failures
    FROM executions
    WHERE started_at >= {{quiet_from}} AND started_at < {{until}} AND user_id IS NOT NULL
    GROUP BY system, instance, user_id
)
SELECT system, instance, user_id, last_execution_at, executions, failures
FROM counted
WHERE last_execution_at < {{quiet}}
QUALIFY row_number() OVER (PARTITION BY system, instance ORDER BY executions DESC, user_id) <= {TOP}
ORDER BY executions DESC, user_id, system, instance
"""

STUCK_EXECUTIONS = f"""
SELECT
    system, instance, execution_id, integration, workflow_id, workflow_name, user_id, vendor_status, started_at,
    open_ms, p99_duration_ms, ended_executions,
    count(*) OVER (PARTITION BY system, instance, integration) AS stuck_executions
FROM stuck_executions
WHERE TRUE
QUALIFY row_number() OVER (PARTITION BY system, instance, integration ORDER BY open_ms DESC, execution_id) <= {TOP}
ORDER BY open_ms DESC, execution_id, system, instance
"""

COVERAGE = """
SELECT system, instance, day, state, executions, api_total, reason, checked_at
FROM loaded_days
WHERE day BETWEEN {first} AND {last}
ORDER BY system, instance, day
"""

FRESHNESS = "SELECT * FROM freshness ORDER BY system, instance"
CAVEATS = "SELECT DISTINCT caveat FROM billing_tasks WHERE caveat IS NOT NULL ORDER BY caveat"
