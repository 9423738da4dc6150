"""A warehouse made in SQL, of any size: what a vendor may show, the odd rows among it, without a vendor."""

from __future__ import annotations

from typing import Any

from task_history import systems
from task_history.warehouse import common_tables

TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}
NOW = "TIMESTAMPTZ '2026-11-20 12:00:00+00'"
ENDED = {"period_over_period": " WHERE NOT is_current"}
"""Conditions of views for rows that do not change from one moment to the next."""


def empty(connection: Any, dataset: str = "paragon", system: str = "paragon") -> None:
    """The tables of a system's dataset, as a first sync leaves them."""
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
    for table in common_tables.of(systems.find(system)):
        columns = ", ".join(f'"{column.name}" {TYPES[column.type]}' for column in table.columns)
        connection.execute(f'CREATE TABLE "{dataset}"."{table.name}" ({columns}, _dlt_load_id VARCHAR)')
    connection.execute(f'CREATE TABLE "{dataset}"._dlt_loads (load_id VARCHAR)')


def fill(
    connection: Any,
    dataset: str = "paragon",
    *,
    executions: int = 2_000,
    steps_each: int = 5,
    days: int = 30,
    workflows: int = 12,
    users: int = 40,
    now: str = NOW,
    seed: int = 0,
) -> None:
    """Executions of that many days before ``now``, some open, unknown, purged, without start, end, user or tasks."""
    salt = f"{dataset}/{seed}"
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE made AS
        WITH numbered AS (
            SELECT i, hash(i, '{salt}') AS h, hash(i, '{salt}/2') AS g FROM range({executions}) AS r(i)
        )
        SELECT
            i, h, g,
            substr(md5('{salt}/' || i), 1, 8) || '-' || substr(md5('{salt}/' || i), 9, 24) AS id,
            CASE WHEN h % 251 = 0 THEN NULL
                 ELSE {now} - to_microseconds(CAST(g % {days * 86_400_000} AS BIGINT) * 1000) END AS started,
            CASE WHEN h % 100 < 8 THEN 'FAILED' WHEN h % 100 < 10 THEN 'EXECUTING' WHEN h % 100 < 11 THEN 'DELAYED'
                 WHEN h % 100 < 12 THEN 'CANCELLED' WHEN h % 100 < 13 THEN 'HELD' WHEN h % 1000 = 999 THEN NULL
                 ELSE 'SUCCEEDED' END AS status,
            h % 211 = 0 AS is_purged,
            CAST(h // 7 % {workflows} * (h // 7 % {workflows}) // {workflows} AS BIGINT) AS workflow,
            CAST(g // 13 % {users} AS BIGINT) AS user_number
        FROM numbered
        """
    )
    _insert(
        connection,
        dataset,
        "workflow_executions",
        {
            "id": "id",
            "user_id": "CASE WHEN user_number = 0 THEN NULL ELSE 'user ' || user_number END",
            "workflow_id": "CASE WHEN workflow = 0 AND h % 5 = 0 THEN NULL ELSE md5('w' || workflow) END",
            "status": "status",
            "date_started": "started",
            "date_ended": "CASE WHEN status IN ('EXECUTING', 'DELAYED', 'HELD') AND h % 1009 <> 0 THEN NULL "
            "WHEN h % 499 = 0 THEN started - INTERVAL 1 SECOND "
            "ELSE started + to_microseconds(CAST(1000 + g % 90000000 AS BIGINT)) END",
            "task_count": "CASE WHEN h % 97 = 0 THEN NULL ELSE CAST(h % 6 AS BIGINT) END",
            "is_open": "coalesce(status, '') IN ('EXECUTING', 'DELAYED', 'HELD', '') AND NOT is_purged "
            "AND h % 1009 <> 0",
            "resolution": "CASE WHEN status NOT IN ('EXECUTING', 'DELAYED', 'HELD') THEN 'ended' "
            "WHEN is_purged THEN 'unresolved_at_retention' WHEN h % 1009 = 0 THEN 'ended' END",
            "purged_at_source": f"CASE WHEN is_purged THEN {now} END",
            "status_seen_at": "started",
            "read_by": "CASE WHEN h % 50 = 0 THEN 'late' ELSE 'list' END",
            "fetched_at": now,
            "run_id": "'run'",
        },
        "made",
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE made_steps AS
        SELECT m.*, s.place, md5(m.id || '/' || s.place) AS step_id,
               s.place = {steps_each} - 1 AS is_last, hash(m.h, s.place) AS k
        FROM made AS m CROSS JOIN range({steps_each}) AS s(place)
        WHERE m.status NOT IN ('EXECUTING', 'DELAYED') OR s.place = 0
        """
    )
    _insert(
        connection,
        dataset,
        "step_executions",
        {
            "id": "step_id",
            "workflow_execution_id": "id",
            "occurrence": "CAST(0 AS BIGINT)",
            "step_id": "md5('s' || workflow || '/' || place)",
            "type": "CASE WHEN place = 0 THEN 'TRIGGER/CRON' ELSE 'ACTION/KIND' || k % 5 END",
            "status": "CASE WHEN is_last AND status = 'FAILED' THEN 'FAILED' WHEN k % 5003 = 0 THEN 'ODD' "
            "WHEN status IN ('EXECUTING', 'DELAYED') THEN 'EXECUTING' ELSE 'SUCCEEDED' END",
            "date_started": "started + to_microseconds(CAST(1000 * place AS BIGINT))",
            "date_ended": "CASE WHEN status IN ('EXECUTING', 'DELAYED') THEN NULL "
            "ELSE started + to_microseconds(CAST(1000 * place + k % 40000000 AS BIGINT)) END",
            "next": "'[]'",
            "input_size": "CAST(k % 5000 AS BIGINT)",
            "output_size": "CAST(k % 50000 AS BIGINT)",
            "execution_date_started": "started",
            "fetched_at": now,
            "run_id": "'run'",
        },
        "made_steps",
    )
    _insert(
        connection,
        dataset,
        "step_payloads",
        {
            "step_execution_id": "step_id",
            "workflow_execution_id": "id",
            "input": """'{"method": "GET", "items": [12345678901234567890, ' || i || ']}'""",
            "output": f"({_OUTPUTS})[1 + CAST(k % 9 AS BIGINT)]",
            "outcome": "'loaded'",
            "execution_date_started": "started",
            "fetched_at": now,
            "run_id": "'run'",
        },
        "(FROM made_steps WHERE is_last AND status = 'FAILED' AND k % 10 <> 0)",
    )
    _insert(
        connection,
        dataset,
        "execution_details",
        {"id": "id", "outcome": "'loaded'", "date_started": "started", "fetched_at": now, "run_id": "'run'"},
        "(FROM made WHERE status NOT IN ('EXECUTING', 'DELAYED') AND (h % 3 <> 0 OR day(started) % 3 <> 0))",
    )
    _insert(
        connection,
        dataset,
        "workflows",
        {
            "workflow_id": "md5('w' || w)",
            "integration": "CASE WHEN w % 7 = 6 THEN NULL ELSE "
            "['salesforce', 'hubspot', 'slack', 'jira'][1 + w % 4] END",
            "workflow_name": "CASE WHEN w % 2 = 0 THEN 'Workflow <b>' || w || '</b>' END",
            "origin": "'asked'",
            "fetched_at": now,
        },
        f"(SELECT * FROM range({max(1, workflows - 1)}) AS r(w))",
    )
    start = "CAST(d AS TIMESTAMPTZ)"
    end = f"least({start} + INTERVAL 24 HOUR, {now})"
    _insert(
        connection,
        dataset,
        common_tables.COVERAGE.name,
        {
            "day": "CAST(d AS TIMESTAMPTZ)",
            "lane": "'sync'",
            "filters": "''",
            "window_start": "CAST(d AS TIMESTAMPTZ)",
            "window_end": f"least(CAST(d AS TIMESTAMPTZ) + INTERVAL 24 HOUR, {now})",
            "covered_ms": f"date_diff('millisecond', CAST(d AS TIMESTAMPTZ), "
            f"least(CAST(d AS TIMESTAMPTZ) + INTERVAL 24 HOUR, {now}))",
            "windows": f"""'[["' || {_iso(start)} || '", "' || {_iso(end)} || '"]]'""",
            "executions": "n",
            "api_total": "n",
            "is_verified": "day(d) <> 13",
            "checked_at": now,
            "run_id": "'run'",
        },
        f"(SELECT CAST(s.d AS DATE) AS d, coalesce(any_value(c.n), 0) AS n "
        f"FROM unnest(generate_series(CAST({now} AS DATE) - {days} + 1, CAST({now} AS DATE), INTERVAL 1 DAY)) AS s(d) "
        "LEFT JOIN (SELECT CAST(started AS DATE) AS day, count(*) AS n FROM made GROUP BY 1) AS c ON c.day = s.d "
        "WHERE day(s.d) <> 10 GROUP BY 1)",
    )
    _insert(
        connection,
        dataset,
        common_tables.SYNC_RUNS.name,
        {
            "run_id": "'run'",
            "command": "'sync'",
            "started_at": f"{now} - INTERVAL 5 MINUTE",
            "ended_at": now,
            "duration_ms": "300000",
            "outcome": "'complete'",
            "is_complete": "TRUE",
            "covered_until": now,
            "details_left": "3",
            "payloads_left": "4",
            "written_at": now,
            "filters": "''",
        },
        "(SELECT 1)",
    )


def fill_history(connection: Any, dataset: str = "paragon", *, now: str = NOW) -> None:
    """Replays, each with another outcome, earlier states of some executions, and an hour in which a workflow failed.

    Some of those have as many tasks as 64 bits can say, so that their sum is beyond that.

    ``fill`` has to come first.
    """
    _insert(
        connection,
        dataset,
        "workflow_executions",
        {
            "id": "'burst ' || n",
            "user_id": "CASE WHEN n % 4 > 0 THEN 'user ' || n % 4 END",
            "workflow_id": "md5('w1')",
            "status": "CASE WHEN n % 5 = 0 THEN 'SUCCEEDED' ELSE 'FAILED' END",
            "date_started": f"{now} - INTERVAL 50 HOUR + to_minutes(2 * n)",
            "date_ended": f"{now} - INTERVAL 50 HOUR + to_minutes(2 * n + 1)",
            "task_count": "CASE WHEN n < 5 THEN 9223372036854775807 END",
            "is_open": "FALSE",
            "resolution": "'ended'",
            "fetched_at": now,
            "run_id": "'run'",
        },
        "(FROM range(40) AS r(n))",
    )
    _insert(
        connection,
        dataset,
        common_tables.REPLAYS.name,
        {
            "replay_id": "'run ' || id",
            "execution_id": "id",
            "new_execution_id": "CASE WHEN h % 3 = 0 THEN other END",
            "outcome": "['replayed', 'refused', 'unknown', 'intended', 'unsent'][1 + CAST(g % 5 AS BIGINT)]",
            "intended_at": "started + INTERVAL 1 DAY",
            "answered_at": "CASE WHEN g % 5 < 2 THEN started + INTERVAL 25 HOUR END",
            "written_at": now,
        },
        "(FROM (SELECT *, lag(id) OVER (ORDER BY i) AS other FROM made WHERE started IS NOT NULL) AS all_of_them "
        "WHERE status = 'FAILED' AND h % 7 = 0 ORDER BY i LIMIT 60)",
    )
    for status, minutes in (("QUEUED", 0), ("EXECUTING", 5), ("DELAYED", 17)):
        _insert(
            connection,
            dataset,
            common_tables.EXECUTION_STATES.name,
            {
                "execution_id": "id",
                "seen_at": f"started + INTERVAL {minutes} MINUTE",
                "last_seen_at": f"started + INTERVAL {minutes + 3} MINUTE",
                "status": f"'{status}'",
                "read_by": "'list'",
            },
            f"(FROM made WHERE started IS NOT NULL AND h % 11 = {minutes % 2})",
        )


def _iso(instant: str) -> str:
    return f"strftime({instant}, '%Y-%m-%dT%H:%M:%S.%gZ')"


_OUTPUTS = """[
    '"Error: request failed with status 429; sent at 2026-11-01T12:00:00.000Z"',
    '"Error: record \\"a0B5e00000\\" not found"',
    '"Error: record \\"a0B5e00001\\" not found"',
    '{"error": {"message": "field Email is required"}, "name": "Erika Mustermann"}',
    '{"name": "Erika Mustermann"}',
    '"no access for erika@example.com to https://example.com/items/7?x=1 from 10.0.0.1"',
    '[1, 2',
    'null',
    '"Ünïcode fails as d1f142cd-1dfe-4d76-ab4c-8f64901a9c5c after 15.7 s"'
]"""


def _insert(connection: Any, dataset: str, name: str, columns: dict[str, str], source: str) -> None:
    (table,) = (one for one in common_tables.of(systems.find("paragon")) if one.name == name)
    known = {column.name for column in table.columns}
    assert columns.keys() <= known, columns.keys() - known
    names = ", ".join(f'"{name}"' for name in columns)
    connection.execute(
        f'INSERT INTO "{dataset}"."{table.name}" ({names}) SELECT {", ".join(columns.values())} FROM {source} AS source'
    )
