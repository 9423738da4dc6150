"""The analysts' views over warehouses made in SQL: what they say equals what the raw tables say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history.systems.statuses import STATUSES
from task_history.views import create as creating
from task_history.views.access import ViewAccess
from task_history.views.check_runner import findings
from task_history.views.dialects import DIALECTS
from task_history.views.relations import EXECUTIONS, PAYLOADS, STEPS, by_default, relations
from task_history.views.sql_file_reader import checks, header, views
from tests.support import made_warehouse

SHOWN_AS = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "decimal": "DECIMAL(29,0)",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "json": "JSON",
}


def access(connection: Any, *, describes_columns: bool = False) -> ViewAccess:
    """The connection as the views are made through it: to describe their columns takes as long as all the rest."""

    def query(sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = connection.execute(sql.replace("%s", "?"), list(values))
        return [column[0] for column in cursor.description or ()], cursor.fetchall()

    def execute(statements: Any) -> None:
        for statement in statements:
            connection.execute(statement)

    return ViewAccess("duckdb", query, execute, describes_columns=describes_columns)


def made(*datasets: str, executions: int = 6_000, describes_columns: bool = False) -> Any:
    """A warehouse with these datasets, and the views over it."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for at, dataset in enumerate(datasets):
        made_warehouse.empty(connection, dataset)
        made_warehouse.fill(
            connection, dataset, executions=executions, seed=at, days=30 + 5 * at, workflows=12 + 60 * at
        )
    creating.refresh(access(connection, describes_columns=describes_columns))
    return connection


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Any]:
    connection = made("paragon", "paragon_eu", describes_columns=True)
    yield connection
    connection.close()


def rows(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
    return sorted(found, key=str)


# Raw rows of both accounts, in the vendor's words: what every total below is counted from.
RAW = """
(SELECT '' AS instance, e.*, w.integration FROM paragon.workflow_executions AS e
 LEFT JOIN paragon.workflows AS w USING (workflow_id)
 UNION ALL BY NAME
 SELECT 'eu' AS instance, e.*, w.integration FROM paragon_eu.workflow_executions AS e
 LEFT JOIN paragon_eu.workflows AS w USING (workflow_id)) AS raw
"""
RAW_STEPS = """
(SELECT '' AS instance, * FROM paragon.step_executions
 UNION ALL BY NAME SELECT 'eu' AS instance, * FROM paragon_eu.step_executions) AS raw
"""


@pytest.mark.parametrize("name", views())
def test_a_view_is_as_its_header_says(warehouse: Any, name: str) -> None:
    """Columns come in the order and types of the header, and each has its sentence in the warehouse."""
    view = views()[name]
    found = warehouse.execute(f"DESCRIBE task_history.{name}").fetchall()
    assert [(row[0], row[1]) for row in found] == [(one.name, SHOWN_AS[one.type]) for one in view.columns]
    said = warehouse.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'task_history' AND table_name = ?",
        [name],
    ).fetchall()
    assert dict(said) == {one.name: one.description for one in view.columns}
    comment = warehouse.execute("SELECT comment FROM duckdb_views() WHERE view_name = ?", [name]).fetchone()
    assert comment == (view.grain,)


@pytest.mark.parametrize("name", views())
def test_sentences_are_sentences(name: str) -> None:
    """Questions end as questions, everything else as sentences."""
    view = views()[name]
    assert view.question.endswith("?")
    for text in (view.grain, *(column.description for column in view.columns)):
        assert len(text) >= 10, text
        assert text.endswith("."), text
    assert not view.note or view.note.endswith(".")


def test_executions_are_the_raw_rows(warehouse: Any) -> None:
    """One row per raw row, its status in both words, its duration from the two instants, whatever is missing."""
    assert rows(
        warehouse,
        "SELECT instance, execution_id, vendor_status, is_open, started_at, ended_at, user_id, task_count, "
        "integration, duration_ms FROM task_history.executions",
    ) == rows(
        warehouse,
        "SELECT instance, id, status, is_open, date_started, date_ended, user_id, task_count, integration, "
        f"(epoch_us(date_ended) - epoch_us(date_started)) // 1000 FROM {RAW}",
    )
    said = rows(warehouse, "SELECT DISTINCT vendor_status, is_open, status FROM task_history.executions")
    assert {status for *_, status in said} == set(STATUSES) - {"queued", "partial", "skipped"}
    assert set(said) <= {
        ("SUCCEEDED", False, "succeeded"),
        ("FAILED", False, "failed"),
        ("CANCELLED", False, "cancelled"),
        ("EXECUTING", True, "running"),
        ("EXECUTING", False, "unresolved"),
        ("DELAYED", True, "waiting"),
        ("DELAYED", False, "unresolved"),
        ("HELD", True, "unknown"),
        ("HELD", False, "unknown"),
        (None, True, "unknown"),
    }


def test_steps_are_the_raw_rows(warehouse: Any) -> None:
    """One row per raw step, beside it what its execution says."""
    assert rows(
        warehouse,
        "SELECT s.instance, step_execution_id, execution_id, vendor_status, started_at, ended_at, user_id, "
        "execution_started_at FROM task_history.steps AS s",
    ) == rows(
        warehouse,
        f"SELECT raw.instance, raw.id, workflow_execution_id, raw.status, raw.date_started, raw.date_ended, e.user_id, "
        f"execution_date_started FROM {RAW_STEPS} LEFT JOIN (FROM {RAW}) AS e "
        "ON e.instance = raw.instance AND e.id = raw.workflow_execution_id",
    )


def test_payloads_are_json(warehouse: Any) -> None:
    """Inputs and outputs come as JSON; what is none as nothing, and no row goes missing."""
    total, inputs, outputs = warehouse.execute(
        "SELECT count(*), count(input), count(output) FROM task_history.step_payloads"
    ).fetchone()
    raw, broken = warehouse.execute(
        "SELECT count(*), count(CASE WHEN output = '[1, 2' THEN 1 END) FROM "
        "(FROM paragon.step_payloads UNION ALL FROM paragon_eu.step_payloads)"
    ).fetchone()
    assert broken > 0
    assert (total, inputs, outputs) == (raw, raw, raw - broken)


def test_daily_usage_counts_everything(warehouse: Any) -> None:
    """Executions, failures, tasks and percentiles of each day and workflow are those of the raw rows."""
    assert rows(
        warehouse,
        "SELECT day, instance, integration, workflow_id, executions, failures, open_executions, tasks, "
        "round(failure_rate, 9), p50_duration_ms, p95_duration_ms, p99_duration_ms "
        "FROM task_history.daily_usage WHERE executions > 0",
    ) == rows(
        warehouse,
        f"""
        SELECT CAST(date_started AS DATE), instance, integration, workflow_id, count(*),
               count(*) FILTER (status = 'FAILED'), count(*) FILTER (is_open), coalesce(sum(task_count), 0)::BIGINT,
               round(avg((coalesce(status, '') = 'FAILED')::INT), 9),
               list_sort(list(ms) FILTER (ms IS NOT NULL))[(count(ms) * 50 + 99) // 100],
               list_sort(list(ms) FILTER (ms IS NOT NULL))[(count(ms) * 95 + 99) // 100],
               list_sort(list(ms) FILTER (ms IS NOT NULL))[(count(ms) * 99 + 99) // 100]
        FROM (SELECT *, (epoch_us(date_ended) - epoch_us(date_started)) // 1000 AS ms FROM {RAW})
        GROUP BY ALL
        """,
    )


def test_days_on_which_nothing_ran_show_zero(warehouse: Any) -> None:
    """Every workflow has a row for every day from its first to the last that is loaded, once."""
    found = warehouse.execute(
        """
        SELECT instance, workflow_id, min(day), max(day), count(day), count(DISTINCT day),
               count(*) FILTER (executions = 0 AND failure_rate IS NULL AND p50_duration_ms IS NULL)
        FROM task_history.daily_usage WHERE day IS NOT NULL GROUP BY ALL
        """
    ).fetchall()
    assert {row[3].isoformat() for row in found} == {"2026-11-20"}
    for row in found:
        assert row[4] == row[5] == (row[3] - row[2]).days + 1, row
    assert sum(row[6] for row in found) > 0


def test_a_missing_start_is_counted(warehouse: Any) -> None:
    """Executions without a start are under an empty day or month, so that sums over all rows are complete."""
    (number,) = warehouse.execute(f"SELECT count(*) FROM {RAW} WHERE date_started IS NULL").fetchone()
    assert number > 0
    for view, column in (("daily_usage", "day"), ("billing_tasks", "month")):
        sql = f"SELECT sum(executions) FROM task_history.{view} WHERE {column} IS NULL"
        assert warehouse.execute(sql).fetchone() == (number,), view


def test_users_and_their_tasks(warehouse: Any) -> None:
    """user_activity and billing_tasks count per user what the raw rows hold, users without an id too."""
    assert rows(
        warehouse,
        "SELECT instance, user_id, executions, failures, tasks, executions_7d, failures_30d, executions_90d, "
        "first_execution_at, last_execution_at FROM task_history.user_activity",
    ) == rows(
        warehouse,
        f"""
        SELECT instance, user_id, count(*), count(*) FILTER (status = 'FAILED'),
               coalesce(sum(task_count), 0)::BIGINT,
               count(*) FILTER (date_started >= now() - INTERVAL 7 DAY),
               count(*) FILTER (date_started >= now() - INTERVAL 30 DAY AND status = 'FAILED'),
               count(*) FILTER (date_started >= now() - INTERVAL 90 DAY), min(date_started), max(date_started)
        FROM {RAW} GROUP BY ALL
        """,
    )
    assert rows(
        warehouse,
        "SELECT instance, user_id, month, executions, tasks, executions_without_count FROM task_history.billing_tasks",
    ) == rows(
        warehouse,
        f"SELECT instance, user_id, date_trunc('month', date_started)::DATE, count(*), "
        f"coalesce(sum(task_count), 0)::BIGINT, count(*) FILTER (task_count IS NULL) FROM {RAW} GROUP BY ALL",
    )
    (caveat,) = warehouse.execute("SELECT DISTINCT caveat FROM task_history.billing_tasks").fetchone()
    assert "lower bound" in caveat


def test_sums_may_be_beyond_64_bits() -> None:
    """Counts of tasks and durations near the largest number break no view and no check; sums are exact."""
    connection = made("paragon", executions=300)
    made_warehouse.fill_history(connection)
    connection.execute(
        "UPDATE paragon.step_executions SET date_started = TIMESTAMPTZ '0001-01-01 00:00:00+00', "
        "date_ended = TIMESTAMPTZ '9999-12-31 00:00:00+00'"
    )
    (tasks,) = connection.execute("SELECT sum(task_count) FROM paragon.workflow_executions").fetchone()
    assert tasks > 2**63
    for name in ("daily_usage", "usage_by_user", "user_activity", "billing_tasks"):
        assert rows(connection, f"SELECT sum(tasks) FROM task_history.{name}") == [(tasks,)], name
    sums = "max(tasks), max(previous_tasks) FROM task_history.period_over_period"
    ((now, before),) = rows(connection, f"SELECT {sums}")
    assert min(now, before) > 2**63
    (steps,) = connection.execute("SELECT count(*) FROM task_history.steps").fetchone()
    for view in views():
        connection.execute(f"SELECT * FROM task_history.{view}").fetchall()
    assert steps > 1_000
    found = findings(access(connection).query, creating.datasets(access(connection)), "duckdb")
    assert [one.check.name for one in found if one.rows and "totals" in one.check.name] == []


def test_failures_have_reasons(warehouse: Any) -> None:
    """What differs from failure to failure is masked; every failed step is in one reason."""
    found = dict(
        warehouse.execute(
            "SELECT reason, sum(failures) FROM task_history.failure_reasons GROUP BY 1 ORDER BY 2 DESC"
        ).fetchall()
    )
    assert set(found) == {
        "Error: request failed with status 429; sent at #",
        "Error: record <text> not found",
        "field Email is required",
        "no access for <email> to <url> from #",
        "Ünïcode fails as # after # s",
        "(no error text)",
        "(not loaded)",
    }
    (failed,) = warehouse.execute(f"SELECT count(*) FROM {RAW_STEPS} WHERE status = 'FAILED'").fetchone()
    assert sum(found.values()) == failed
    assert (
        warehouse.execute("SELECT sum(users), sum(executions) FROM task_history.failure_reasons").fetchone()[
            1
        ]
        == failed
    )


def test_steps_are_measured(warehouse: Any) -> None:
    """Runs are those of the raw rows; figures, and the nearest ranks of durations, those of complete days."""
    measured = rows(
        warehouse,
        "SELECT instance, step_id, step_type, runs, failures, complete_runs, complete_failures, ended_runs, "
        "p50_duration_ms, p99_duration_ms, max_duration_ms FROM task_history.step_performance",
    )
    assert measured == rows(
        warehouse,
        f"""
        WITH complete AS (
            SELECT instance, date_started::DATE AS day FROM {RAW}
            LEFT JOIN (SELECT '' AS instance, id, outcome FROM paragon.execution_details
                       UNION ALL SELECT 'eu', id, outcome FROM paragon_eu.execution_details) AS log USING (instance, id)
            WHERE NOT is_open AND coalesce(status, '') NOT IN ('EXECUTING', 'DELAYED') AND day(date_started) <> 10
                AND date_started::DATE > DATE '2026-11-20' - CASE instance WHEN 'eu' THEN 35 ELSE 30 END
            GROUP BY ALL HAVING count(*) = count(*) FILTER (outcome = 'loaded')
        )
        SELECT instance, step_id, type, count(*), count(*) FILTER (status = 'FAILED'), count(day),
               count(day) FILTER (status = 'FAILED'), count(ms),
               list_sort(list(ms) FILTER (ms IS NOT NULL))[(count(ms) * 50 + 99) // 100],
               list_sort(list(ms) FILTER (ms IS NOT NULL))[(count(ms) * 99 + 99) // 100], max(ms)
        FROM (SELECT raw.*, day, CASE WHEN day IS NOT NULL THEN (epoch_us(date_ended) - epoch_us(date_started)) // 1000
              END AS ms FROM {RAW_STEPS} LEFT JOIN complete
              ON complete.instance = raw.instance AND complete.day = raw.execution_date_started::DATE) GROUP BY ALL
        """,
    )
    assert 0 < sum(row[5] for row in measured) < sum(row[3] for row in measured)


def test_stuck_is_longer_than_the_workflow_ever_takes(warehouse: Any) -> None:
    """Open executions whose age is beyond their own workflow's p99, and no others."""
    assert rows(warehouse, "SELECT instance, execution_id FROM task_history.stuck_executions") == rows(
        warehouse,
        f"""
        WITH raws AS (SELECT *, epoch_ms(date_ended) - epoch_ms(date_started) AS ms FROM {RAW}),
        usual AS (
            SELECT instance, workflow_id, list_sort(list(ms) FILTER (ms IS NOT NULL))[(count(ms) * 99 + 99) // 100] AS p99
            FROM raws WHERE NOT is_open GROUP BY ALL HAVING count(ms) >= 20
        )
        SELECT o.instance, o.id FROM raws AS o JOIN usual AS u
            ON u.instance = o.instance AND u.workflow_id IS NOT DISTINCT FROM o.workflow_id
        WHERE o.is_open AND epoch_ms(now()) - epoch_ms(o.date_started) > u.p99
        """,
    )


def test_replay_candidates_are_not_replayed_twice(warehouse: Any) -> None:
    """Failed ones that the vendor holds; what was or may have been sent is none, what was refused is."""
    sql = "SELECT instance, execution_id FROM task_history.replay_candidates"
    before = rows(warehouse, sql)
    assert before == rows(
        warehouse,
        f"SELECT instance, id FROM {RAW} WHERE status = 'FAILED' AND purged_at_source IS NULL "
        "AND (date_started IS NULL OR date_started > now() - INTERVAL 90 DAY)",
    )
    own = [identity for instance, identity in before if instance == ""]
    outcomes = ("replayed", "unknown", "intended", "refused", "unsent")
    warehouse.execute("BEGIN")
    for identity, outcome in zip(own, outcomes, strict=False):
        warehouse.execute(
            "INSERT INTO paragon.replays (replay_id, execution_id, outcome) VALUES (?, ?, ?)",
            [identity, identity, outcome],
        )
    left = set(rows(warehouse, sql))
    warehouse.execute("ROLLBACK")
    assert set(before) - left == {("", identity) for identity in own[:3]}


@pytest.fixture(scope="module")
def purging() -> Iterator[Any]:
    """A warehouse of 120 days until now, of which the vendor does not hold all."""
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    made_warehouse.fill(connection, executions=4_000, days=120, now="now()")
    creating.refresh(access(connection))
    connection.execute(
        "UPDATE paragon.execution_details SET outcome = CASE WHEN hash(id) % 2 = 0 THEN 'gone' ELSE 'expired' END "
        "WHERE hash(id, 1) % 3 = 0"
    )
    connection.execute(
        "INSERT INTO paragon.sync_runs (run_id, command, started_at) VALUES "
        "('older', 'sync', now() - INTERVAL 2 DAY), ('newest', 'backfill', now())"
    )
    yield connection
    connection.close()


@pytest.mark.parametrize(("days", "kept"), [(None, 90), (7.0, 7), (0.5, 0.5), (0.0, 36_500)])
def test_replay_candidates_are_what_the_vendor_holds(purging: Any, days: float | None, kept: float) -> None:
    """By retention_days of the newest run; without one by the vendor's own, and 0 is for ever. What is gone is none."""
    connection = purging
    if days is None:
        connection.execute("UPDATE paragon.sync_runs SET retention_days = NULL")
    else:
        connection.execute(
            "UPDATE paragon.sync_runs SET retention_days = CASE run_id WHEN 'newest' THEN ? ELSE 1 END",
            [days],
        )
    found = connection.execute(
        "SELECT execution_id, purged_from FROM task_history.replay_candidates ORDER BY ALL"
    ).fetchall()
    hours = round(24 * kept)
    expected = connection.execute(
        f"""
        SELECT id, CASE WHEN {kept} < 36500 THEN date_started + INTERVAL {hours} HOUR END
        FROM paragon.workflow_executions
        WHERE status = 'FAILED' AND purged_at_source IS NULL
            AND (date_started IS NULL OR date_started > now() - INTERVAL {hours} HOUR)
            AND id NOT IN (SELECT id FROM paragon.execution_details WHERE outcome IN ('gone', 'expired'))
        ORDER BY ALL
        """
    ).fetchall()
    assert found == expected


def test_a_few_that_ended_judge_nothing() -> None:
    """An open execution is stuck only where at least 20 of its workflow ended; more than one are needed for a p99."""
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    creating.refresh(access(connection))
    for workflow, ended in (("few", 19), ("enough", 20)):
        connection.execute(
            "INSERT INTO paragon.workflow_executions (id, workflow_id, status, is_open, date_started, date_ended) "
            "SELECT $1 || i, $1, CASE WHEN i = 0 THEN 'EXECUTING' ELSE 'SUCCEEDED' END, i = 0, now() - INTERVAL 1 DAY, "
            "CASE WHEN i > 0 THEN now() - INTERVAL 23 HOUR END FROM range($2 + 1) AS r(i)",
            [workflow, ended],
        )
    assert rows(connection, "SELECT execution_id, ended_executions FROM task_history.stuck_executions") == [
        ("enough0", 20)
    ]


@pytest.mark.parametrize("system", systems.names())
def test_statuses_that_vendors_share_have_a_meaning(system: str) -> None:
    """Each status by which a list can be filtered is known, and so are those of Paragon's dashboard."""
    found = systems.find(system)
    assert found.views is not None
    meanings = {status.upper(): meaning for status, meaning in found.views.statuses.items()}
    filtered = {value for one in found.listing.filters for value in one.values if one.name == "status"}
    assert {value for value in filtered if value.upper() not in meanings} == set()
    if system == "paragon":
        own = {name: meanings.get(name) for name in ("QUEUED", "NOT_STARTED", "PAUSED", "DELAYED")}
        assert own == {"QUEUED": "queued", "NOT_STARTED": "queued", "PAUSED": "waiting", "DELAYED": "waiting"}


def test_loaded_days_follow_coverage(warehouse: Any) -> None:
    """Gaps are missing, the last day is partial, the rest is as verified as coverage says."""
    states = dict(
        warehouse.execute(
            "SELECT day::TEXT, state FROM task_history.loaded_days WHERE instance = ''"
        ).fetchall()
    )
    assert states["2026-11-20"] == "partial"
    assert states["2026-11-10"] == "missing"
    assert states["2026-11-13"] == "unverified"
    assert states["2026-11-12"] == "verified"
    assert len(states) == 30


def test_lanes_that_overlap_are_not_counted_twice() -> None:
    """Two lanes that cover the same half day cover half a day; an audit of all of it has the last word."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    made_warehouse.empty(connection)
    creating.refresh(access(connection))

    def note(lane: str, spans: str, *, covered_ms: int, is_verified: bool, checked: str) -> None:
        connection.execute(
            "INSERT INTO paragon.coverage (day, lane, filters, window_start, window_end, covered_ms, windows, "
            "executions, api_total, is_verified, checked_at) VALUES ('2026-11-01', ?, '', '2026-11-01', '2026-11-02', "
            "?, ?, 5, 5, ?, ?)",
            [lane, covered_ms, spans, is_verified, checked],
        )

    half = '[["2026-11-01T00:00:00.000Z", "2026-11-01T12:00:00.000Z"]]'
    inside = '["2026-11-01T06:00:00.000Z", "2026-11-01T09:00:00.000Z"]'
    other = f'[{inside}, ["2026-11-01T18:00:00.000Z", "2026-11-01T19:00:00.000Z"]]'
    sql = "SELECT state, covered_ms FROM task_history.loaded_days"
    note("sync", half, covered_ms=43_200_000, is_verified=True, checked="2026-11-02")
    note("backfill", other, covered_ms=14_400_000, is_verified=True, checked="2026-11-02")
    assert connection.execute(sql).fetchall() == [("partial", 13 * 3_600_000)]
    whole = '[["2026-11-01T12:00:00.000Z", "2026-11-02T00:00:00.000Z"]]'
    connection.execute(
        "UPDATE paragon.coverage SET windows = ?, is_verified = FALSE WHERE lane = 'backfill'", [whole]
    )
    assert connection.execute(sql).fetchall() == [("unverified", 86_400_000)]
    note("audit", "[]", covered_ms=86_400_000, is_verified=True, checked="2026-11-03")
    assert connection.execute(sql).fetchall() == [("verified", 86_400_000)]


def test_freshness_says_what_is_missing(warehouse: Any) -> None:
    """Bounds, gaps and counts of each account, from coverage and its runs."""
    found = warehouse.execute(
        "SELECT instance, loaded_until::TEXT, days_missing, days_unverified, days_partial, executions, details_left, "
        "last_run_outcome FROM task_history.freshness ORDER BY 1"
    ).fetchall()
    assert [row[:5] for row in found] == [
        ("", "2026-11-20 12:00:00+00", 1, 1, 1),
        ("eu", "2026-11-20 12:00:00+00", 1, 1, 1),
    ]
    assert [row[5:] for row in found] == [(6_000, 3, "complete")] * 2


def test_a_filter_reaches_the_raw_tables(warehouse: Any) -> None:
    """A filter by the start is applied where the raw rows are read, so that partitions are pruned."""
    since = "TIMESTAMPTZ '2026-11-19'"
    for view, column, raw, theirs in (
        ("executions", "started_at", "workflow_executions", "date_started"),
        ("replay_candidates", "started_at", "workflow_executions", "date_started"),
        ("stuck_executions", "started_at", "workflow_executions", "date_started"),
        ("steps", "execution_started_at", "step_executions", "execution_date_started"),
        ("step_payloads", "execution_started_at", "step_payloads", "execution_date_started"),
    ):
        sql = f"SELECT * FROM task_history.{view} WHERE {column} >= {since}"
        found = scans(warehouse, sql)
        assert {table for table, filters in found if f"{theirs} >= '2026-11-19" in filters} == {
            f"memory.{dataset}.{raw}" for dataset in ("paragon", "paragon_eu")
        }, found


def scans(connection: Any, sql: str) -> list[tuple[str, str]]:
    """The raw tables that the query reads, each with what is filtered where it is read or right above."""
    (_, plan) = connection.execute(f"EXPLAIN (FORMAT JSON) {sql}").fetchone()

    def walk(node: Any, above: str) -> Iterator[tuple[str, str]]:
        own = str(node["extra_info"].get("Filters", "")) + str(node["extra_info"].get("Expression", ""))
        if "Table" in node["extra_info"]:
            yield node["extra_info"]["Table"], above + own
        for child in node["children"]:
            yield from walk(child, own if "FILTER" in node["name"].upper() else "")

    return list(walk(json.loads(plan)[0], ""))


def test_views_are_made_once() -> None:
    """A second refresh makes nothing; a dropped view, another account or other texts do."""
    connection = made("paragon", executions=10)
    way = access(connection)
    assert not creating.refresh(way).is_new
    connection.execute("DROP VIEW task_history.daily_usage")
    assert creating.refresh(way).is_new
    connection.execute("CREATE OR REPLACE VIEW task_history.questions AS SELECT 'older' AS fingerprint")
    assert creating.refresh(way).is_new
    made_warehouse.empty(connection, "paragon_eu")
    found = creating.refresh(way)
    assert (found.is_new, found.datasets) == (True, ("paragon", "paragon_eu"))
    assert not creating.refresh(way).is_new
    assert rows(connection, "SELECT instance FROM task_history.freshness") == [("",), ("eu",)]
    asked = connection.execute(
        "SELECT count(*), count(DISTINCT view_name) FROM task_history.questions"
    ).fetchone()
    assert asked == (len(views()), len(views()))


def test_only_what_is_loaded_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No dataset, no views; staging is none; one that lacks columns is left out, with a word; empty ones have no rows."""
    connection = duckdb.connect()
    way = access(connection)
    assert creating.refresh(way).views == ()
    made_warehouse.empty(connection)
    made_warehouse.empty(connection, "paragon_staging")
    connection.execute("DROP TABLE paragon_staging._dlt_loads")
    made_warehouse.empty(connection, "paragon_old")
    connection.execute("ALTER TABLE paragon_old.workflow_executions DROP COLUMN task_count")
    made_warehouse.empty(connection, "paragon_older")
    connection.execute("ALTER TABLE paragon_older.sync_runs DROP COLUMN lost_from")
    connection.execute("DROP TABLE paragon_older.replays")
    with caplog.at_level("WARNING", "task_history"):
        assert creating.refresh(way).datasets == ("paragon", "paragon_older")
    assert "paragon_old lacks workflow_executions.task_count" in caplog.text
    for name in views():
        if name not in ("freshness", "questions"):
            assert rows(connection, f"SELECT * FROM task_history.{name}") == [], name


def test_every_system_can_be_shown() -> None:
    """With empty tables of every system that says how, each view has its columns and no rows."""
    connection = duckdb.connect()
    for dataset in by_default():
        made_warehouse.empty(connection, dataset.name, dataset.system.name)
    assert creating.refresh(access(connection)).datasets == tuple(sorted(one.name for one in by_default()))
    for view in views().values():
        found = connection.execute(f"DESCRIBE task_history.{view.name}").fetchall()
        assert [(row[0], row[1]) for row in found] == [(one.name, SHOWN_AS[one.type]) for one in view.columns]
        if view.name not in ("freshness", "questions"):
            assert rows(connection, f"SELECT * FROM task_history.{view.name}") == []
    assert {row[0] for row in rows(connection, "SELECT system FROM task_history.freshness")} == {
        one.system.name for one in by_default()
    }


@pytest.fixture(scope="module")
def sound() -> Iterator[Any]:
    connection = made("paragon", executions=400)
    yield connection
    connection.close()


def found_by(connection: Any, *, since: Any = None) -> dict[str, bool]:
    return {
        one.check.name: one.is_well
        for one in findings(
            access(connection).query, creating.datasets(access(connection)), "duckdb", since=since
        )
    }


def test_checks_hold_on_a_sound_warehouse(sound: Any) -> None:
    """Nothing is broken; what the vendor leaves open is noticed."""
    found = found_by(sound)
    assert {name for name, holds in found.items() if not holds} == {
        check.name for check in checks() if check.level == "notice"
    }


BREAKS = {
    "unique_executions": "INSERT INTO paragon.workflow_executions FROM paragon.workflow_executions LIMIT 1",
    "unique_steps": "INSERT INTO paragon.step_executions FROM paragon.step_executions LIMIT 1",
    "executions_are_filled": "UPDATE paragon.workflow_executions SET is_open = NULL WHERE id = (SELECT min(id) FROM "
    "paragon.workflow_executions)",
    "steps_are_counted": "INSERT INTO paragon.execution_details (id, outcome, steps) VALUES ('x', 'loaded', 1)",
    "steps_are_filled": "UPDATE paragon.step_executions SET workflow_execution_id = NULL WHERE id = (SELECT min(id) "
    "FROM paragon.step_executions)",
    "steps_have_executions": "UPDATE paragon.step_executions SET workflow_execution_id = 'x' WHERE id = (SELECT min(id) "
    "FROM paragon.step_executions)",
    "payloads_have_steps": "UPDATE paragon.step_payloads SET step_execution_id = 'x' WHERE step_execution_id = (SELECT "
    "min(step_execution_id) FROM paragon.step_payloads)",
    "covered_days_are_stored": "DELETE FROM paragon.workflow_executions WHERE date_started::DATE = '2026-11-17'",
    "daily_usage_totals": "CREATE OR REPLACE VIEW task_history.daily_usage AS SELECT DATE '2026-11-17' AS day, "
    "1 AS executions, 0 AS failures, 0 AS tasks",
    "user_activity_totals": "CREATE OR REPLACE VIEW task_history.user_activity AS SELECT 1 AS executions, 0 AS "
    "failures, 0 AS tasks",
    "usage_by_user_totals": "CREATE OR REPLACE VIEW task_history.usage_by_user AS SELECT 1 AS executions, 0 AS "
    "failures, 0 AS tasks",
    "customer_health_totals": "CREATE OR REPLACE VIEW task_history.customer_health AS SELECT 1 AS executions, 0 AS "
    "failures",
    "billing_tasks_totals": "CREATE OR REPLACE VIEW task_history.billing_tasks AS SELECT 1 AS executions, 0 AS tasks",
    "failure_reasons_totals": "CREATE OR REPLACE VIEW task_history.failure_reasons AS SELECT 1 AS failures",
    "step_performance_totals": "CREATE OR REPLACE VIEW task_history.step_performance AS SELECT 1 AS runs",
    # A workflow that is there twice shows every execution of it twice.
    "steps_totals": "INSERT INTO paragon.workflows FROM paragon.workflows",
}


def test_every_check_is_seen_to_break() -> None:
    """There is a break for each check that calls something broken."""
    assert set(BREAKS) == {check.name for check in checks() if check.level == "broken"}


@pytest.mark.parametrize("name", BREAKS)
def test_a_check_finds_what_breaks_it(sound: Any, name: str) -> None:
    """The check no longer holds, and its query gives the rows."""
    sound.execute("BEGIN")
    try:
        sound.execute(BREAKS[name])
        every = findings(access(sound).query, creating.datasets(access(sound)), "duckdb")
        found = next(one for one in every if one.check.name == name)  # those behind it are not asked for
        assert not found.is_well
        assert found.rows[0] in sound.execute(found.sql).fetchall()
    finally:
        sound.execute("ROLLBACK")


def test_checks_of_a_run_look_at_what_it_changed(sound: Any) -> None:
    """With a time only what began since is looked at, by the checks that can."""
    from datetime import UTC, datetime

    sound.execute("BEGIN")
    try:
        sound.execute(
            "INSERT INTO paragon.workflow_executions FROM paragon.workflow_executions "
            "WHERE date_started < '2026-11-01' LIMIT 1"
        )
        assert not found_by(sound)["unique_executions"]
        found = found_by(sound, since=datetime(2026, 11, 5, tzinfo=UTC))
        assert found["unique_executions"]
        assert "user_activity_totals" not in found
    finally:
        sound.execute("ROLLBACK")


def test_checks_of_a_run_look_at_its_dataset_alone() -> None:
    """Another account's days and rows break no check of this account's run, and its own still do."""
    from datetime import UTC, datetime

    since = datetime(2026, 11, 5, tzinfo=UTC)
    connection = made("paragon", executions=400)
    connection.execute("CREATE SCHEMA paragon_other")
    for (table,) in connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'paragon'"
    ).fetchall():
        connection.execute(f'CREATE TABLE paragon_other."{table}" AS FROM paragon."{table}"')
    connection.execute(
        "DELETE FROM paragon_other.workflow_executions WHERE date_started::DATE = '2026-11-17'"
    )
    creating.refresh(access(connection))
    own, other = creating.datasets(access(connection))
    for dataset, holds in ((own, True), (other, False)):
        found = {
            one.check.name: one.is_well
            for one in findings(access(connection).query, [dataset], "duckdb", since=since)
        }
        assert found["covered_days_are_stored"] is holds, dataset.name
    connection.close()


def test_an_execution_that_was_ordered_before_the_time_has_the_steps_of_its_later_run() -> None:
    """With a time between order and run, the steps are those of an execution that is there; another one's are not."""
    from datetime import UTC, datetime

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    made_warehouse.empty(connection, "b3os", "b3os")
    connection.execute(
        "INSERT INTO b3os.executions (id, workflow_run_id, created_at, is_open) "
        "VALUES ('x', 'r', '2026-11-04 22:00:00+00', FALSE)"
    )
    connection.execute("INSERT INTO b3os.runs (id, started_at) VALUES ('r', '2026-11-05 02:00:00+00')")
    steps = (
        "INSERT INTO b3os.run_nodes (id, workflow_execution_id, execution_date_started) "
        "VALUES (?, ?, '2026-11-05 02:00:00+00')"
    )
    connection.execute(steps, ["n", "r"])
    creating.refresh(access(connection))
    since = datetime(2026, 11, 5, tzinfo=UTC)
    assert found_by(connection)["steps_have_executions"]
    assert found_by(connection, since=since)["steps_have_executions"]
    connection.execute(steps, ["m", "another"])
    assert not found_by(connection, since=since)["steps_have_executions"]
    connection.close()


@pytest.mark.parametrize("name", systems.names())
def test_a_system_says_how_it_is_shown(name: str) -> None:
    """Columns and statuses are those that there are, and what the views cannot do without is given."""
    shown = systems.find(name).views
    assert shown is not None, f"{name} says nothing of how the views show it"
    assert set(shown.statuses.values()) <= set(STATUSES)
    for part, columns in ((shown.executions, EXECUTIONS), (shown.steps, STEPS), (shown.payloads, PAYLOADS)):
        if part is not None:
            assert set(part.columns) <= set(columns)
    needed = {"execution_id", "workflow_id", "vendor_status", "is_open", "started_at", "ended_at"}
    assert needed <= set(shown.executions.columns)
    # A bare column: partitions are pruned by no expression.
    assert re.fullmatch(r"\w+\.\w+", shown.executions.columns["started_at"])
    if shown.steps is not None:
        assert {"step_execution_id", "execution_id", "step_id", "vendor_status"} <= set(shown.steps.columns)
        assert re.fullmatch(r"\w+\.\w+", shown.steps.columns["execution_started_at"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_text_for_each_dialect(dialect: str) -> None:
    """Each text is whole: no relation of ours and no function of another dialect is left in it."""
    for name, sql in creating.texts(by_default(), dialect, project="lab").items():
        assert "systems." not in sql, name
        if dialect == "bigquery":
            assert not re.search(
                r"epoch_us|TRY_CAST|SAFE_CAST|quantile|'g'|GENERATE_ARRAY", sql, re.IGNORECASE
            ), name
            assert re.findall(r"(?:FROM|JOIN) `(?!lab`)", sql) == [], name


def test_json_is_parsed_safely_on_bigquery() -> None:
    """What is no JSON is nothing there, and numbers beyond a double do not make it nothing."""
    sql = creating.texts(by_default(), "bigquery")["step_payloads"]
    assert "SAFE.PARSE_JSON(output, wide_number_mode => 'round') AS output" in sql


def test_a_header_that_says_nothing_is_refused() -> None:
    """A line that belongs to no field is an error, not lost."""
    with pytest.raises(ValueError, match="neither a field"):
        header("-- just words\nSELECT 1")


def test_relations_without_any_dataset_have_their_columns() -> None:
    """Where no system has rows of a kind, its relation is empty and not missing."""
    connection = duckdb.connect()
    for name, relation in relations([]).items():
        if name != "questions":
            assert connection.execute(relation(None)).fetchall() == [], name
