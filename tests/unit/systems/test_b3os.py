"""B3OS: envelopes, loops, secrets, statistics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.errors import UnexpectedResponse
from task_history.core.json_reading import parse
from task_history.core.models import Window
from task_history.settings_reader import build
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

SYSTEM = systems.find("b3os")
RUNS = SYSTEM.companions[0]
VALUES = build(SYSTEM, {"api_key": "b3sk_k"}).values
HOUR = timedelta(hours=1)
RECENT = (datetime.now(UTC) - timedelta(days=20)).strftime("%Y-%m-%d")
"""Before all executions; each hour since then has a row of statistics."""
DAY = Window(datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 10, 4, tzinfo=UTC))


def test_requests_are_those_of_the_documentation() -> None:
    """Paths and parameters, milliseconds for statistics; the organization only where it is set."""
    assert SYSTEM.listing.request(VALUES, None, offset=99).params == (("limit", "100"), ("offset", "99"))
    assert SYSTEM.listing.request(VALUES, DAY).path == "/v1/executions"
    assert RUNS.listing.request(VALUES, DAY).path == "/v1/runs"
    assert RUNS.details.execution_request(VALUES, "run_1", "").path == "/v1/runs/run_1"
    assert SYSTEM.statistics is not None
    stats = SYSTEM.statistics.request(VALUES, DAY)
    assert stats.path == "/v1/executions/stats"
    assert dict(stats.params) == {"from": "1773100800000", "to": "1773115200000", "granularity": "hourly"}
    assert SYSTEM.access.headers(VALUES, "") == {"Authorization": "Bearer b3sk_k"}
    named = build(SYSTEM, {"api_key": "b3sk_k", "organization_id": "org_1"}).values
    assert SYSTEM.access.headers(named, "")["X-Org-ID"] == "org_1"


@pytest.mark.parametrize(
    ("answer", "rows", "more"),
    [
        ({"code": 200, "data": {"items": [{"id": "e"}], "hasMore": True}}, 1, True),
        ({"code": 0, "data": {"items": None, "hasMore": False}}, 0, False),
        ({"success": True, "data": [{"id": "e"}], "hasMore": False}, 1, False),
    ],
    ids=["documented", "go_null", "stale"],
)
def test_envelopes(answer: Any, rows: int, more: bool) -> None:
    """Codes say nothing; null is an empty list; the older form is read too."""
    page = SYSTEM.listing.read(answer)
    assert (len(page.rows), page.more) == (rows, more)


@pytest.mark.parametrize("answer", [{}, [], {"data": {}}, {"data": {"items": "a"}}, {"data": None}])
def test_other_answers_are_refused(answer: Any) -> None:
    """What has not the form is an error, never an empty list."""
    with pytest.raises(UnexpectedResponse):
        SYSTEM.listing.read(answer)


def test_go_s_zero_time_is_none() -> None:
    """A run that Go says ended in year 1 has not ended; numbers are milliseconds."""
    zero = "0001-01-01T00:00:00Z"
    (row,) = RUNS.listing.read(
        {"data": {"items": [{"id": "r", "status": "auto", "startedAt": 1773100800000, "finishedAt": zero}]}}
    ).rows
    assert row["finishedAt"] is None
    assert RUNS.started_at(row) == DAY.start
    assert RUNS.is_open(row)
    assert RUNS.is_open({"id": "r", "status": "waiting", "finishedAt": zero})


def test_loops_are_flattened_and_secret_keys_masked() -> None:
    """Each node within a loop has a path with its iteration; what the vendor calls secret is gone."""
    state = {
        "root": {"type": "webhook", "status": "success"},
        "loop": {
            "type": "for-each",
            "status": "success",
            "iterations": [
                {"a": {"type": "log"}},
                {"a": {"type": "log", "iterations": [{"b": {"type": "x"}}]}},
            ],
        },
        "send": {"input": {"deep": [{"pin": "1234"}], "to": "x"}, "secretKeys": ["pin"], "context": {"s": 1}},
    }
    detail = RUNS.details.read_execution({"data": {"id": "r", "status": "success", "executionState": state}})
    assert [step["path"] for step in detail.steps] == [
        "root",
        "loop",
        "loop[0].a",
        "loop[1].a",
        "loop[1].a[0].b",
        "send",
    ]
    assert detail.steps[4]["parent_path"] == "loop[1].a"
    assert detail.steps[-1]["input"] == {"deep": [{"pin": "[redacted]"}], "to": "x"}
    assert "context" not in detail.steps[-1]


def test_missing_executions_are_known_by_what_is_said() -> None:
    """The documentation knows no 404 here: a 400 means gone only where it says so."""
    assert SYSTEM.details.is_gone(404, "")
    assert SYSTEM.details.is_gone(400, "refused with HTTP 400: execution not found")
    assert not SYSTEM.details.is_gone(400, "refused with HTTP 400: invalid parameter")


def _stats(series: list[dict[str, Any]], before: datetime) -> dict[str, list[dict[str, Any]]]:
    answer = {
        "data": {
            "timeSeries": series,
            "summary": {"total": 3, "succeeded": 1, "failed": 1, "successRate": 50},
            "statuses": None,
            "sourceSystems": [{"sourceSystem": "shop", "total": 3, "succeeded": 1, "failed": 1}],
            "recentFailures": None,
        }
    }
    assert SYSTEM.statistics is not None
    return {
        name: list(rows)
        for name, rows in SYSTEM.statistics.read(VALUES, DAY, answer, settled_before=before).items()
    }


def test_gaps_are_filled_and_rates_computed() -> None:
    """Hours without a row have one with zeros; rates come from counts, whatever the vendor's own scale."""
    series = [
        {"bucketStart": "2026-03-10T01:00:00Z", "total": 3, "succeeded": 1, "failed": 1, "cancelled": 0}
    ]
    found = _stats(series, DAY.end)
    buckets = found["execution_stats"]
    assert [row["total"] for row in buckets] == [0, 3, 0, 0]
    assert [row["is_filled"] for row in buckets] == [True, False, True, True]
    # One of the second hour has not ended; it is asked for again.
    assert [row["is_closed"] for row in buckets] == [True, False, True, True]
    assert buckets[1]["success_rate"] == 0.5
    assert buckets[0]["success_rate"] is None
    (summary,) = found["execution_stats_summary"]
    assert (summary["success_rate"], summary["successRate"]) == (0.5, 50)
    assert not any(row["is_closed"] for row in _stats(series, DAY.start)["execution_stats"])


def test_statistics_are_asked_for_once_and_prove_the_copy(tmp_path: Path) -> None:
    """Closed hours are not asked for again, and an audit that they agree with reads hardly any list."""
    with SandboxProcess(
        "b3os", executions=250, seed=4, days=6, future_hours=30, freeze=True, switch={"success_rate": "share"}
    ) as sandbox:
        place = Place(tmp_path, sandbox, system="b3os", steps="none")
        place.quick_sync()
        first = place.query("SELECT min(window_start) FROM b3os.execution_stats_summary")[0][0]
        sandbox.advance(20 * 3600)
        place.quick_sync()
        last = place.query("SELECT max(window_start) FROM b3os.execution_stats_summary")[0][0]
        assert last > first + timedelta(days=20)
        rows = place.query(
            "SELECT sum(total), count(*), count(DISTINCT bucket_start) FROM b3os.execution_stats"
        )
        shown = len(sandbox.truth())
        assert (rows[0][0], rows[0][1]) == (shown, rows[0][2])
        first = place.query("SELECT min(created_at) FROM b3os.executions")[0][0]
        words = (
            "--from",
            f"{first - timedelta(days=1):%Y-%m-%d}",
            "--to",
            f"{first + timedelta(days=4):%Y-%m-%d}",
            "--json",
        )
        sandbox.reset_counters()
        assert json.loads(place.run("audit", "b3os", *words).stdout)["clean"] is None
        counters = sandbox.counters()
        assert (counters["stats"], counters.get("list", 0)) == (1, 0)
        import duckdb

        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "DELETE FROM b3os.executions WHERE id = "
                "(SELECT id FROM b3os.executions ORDER BY created_at LIMIT 1 OFFSET 40)"
            )
        found = json.loads(place.run("audit", "b3os", *words, expect=10).stdout)
        assert (found["missing"], found["surplus"]) == (1, 0)


def test_a_copy_that_differs_from_the_statistics_says_so(tmp_path: Path) -> None:
    """Of a row that is not stored, the sync and status tell by numbers, and of a whole copy nothing."""
    with SandboxProcess("b3os", executions=120, seed=4, days=6, open_days=0.0, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system="b3os", steps="none", start_date=RECENT)
        assert place.sync()["statistics_difference"] is None
        import duckdb

        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "DELETE FROM b3os.executions WHERE id = "
                "(SELECT id FROM b3os.executions ORDER BY created_at LIMIT 1 OFFSET 9)"
            )
        again = place.sync()
        difference = again["statistics_difference"]
        assert difference["vendor"] - difference["stored"] == 1
        assert "statistics_differ" in again["stderr"]
        status = json.loads(place.run("status", "b3os", "--json").stdout)["systems"][0]
        assert status["statistics_difference"] == difference


def test_closed_buckets_count_what_became_visible_late(tmp_path: Path) -> None:
    """Closed buckets are read again where they differ from the copy, and once a day, and only then."""
    import duckdb

    bucket = (
        "bucket_start = (SELECT bucket_start FROM b3os.execution_stats WHERE total > 0 AND is_closed "
        "ORDER BY 1 LIMIT 1)"
    )
    with SandboxProcess("b3os", executions=120, seed=4, days=6, open_days=0.0, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system="b3os", steps="none", start_date=RECENT)
        place.quick_sync()
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(f"UPDATE b3os.execution_stats SET total = total - 1 WHERE {bucket}")
        sandbox.reset_counters()
        assert place.quick_sync()["statistics_difference"] is None
        assert sandbox.counters()["stats"] == 2
        sandbox.reset_counters()
        assert place.quick_sync()["statistics_difference"] is None
        assert sandbox.counters()["stats"] == 1
        # A row that neither was counted nor is listed among the newest.
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "DELETE FROM b3os.executions WHERE id = (SELECT e.id FROM b3os.executions AS e JOIN b3os.execution_stats "
                f"ON e.created_at >= bucket_start AND e.created_at < bucket_end WHERE {bucket} LIMIT 1)"
            )
            connection.execute(
                "UPDATE b3os.execution_stats SET fetched_at = fetched_at - INTERVAL 25 HOUR, "
                f"total = CASE WHEN {bucket} THEN total - 1 ELSE total END"
            )
        difference = place.quick_sync()["statistics_difference"]
        assert difference["vendor"] - difference["stored"] == 1


def test_instants_finer_than_a_microsecond_keep_their_digits() -> None:
    """As text and as number of milliseconds; a field that is named like what holds them keeps its own value."""
    sent = '{"data":[{"id":"a","createdAt":1773100800000.123456789,"createdAtExact":"theirs"}]}'
    [row] = SYSTEM.listing.read(parse(sent.encode())).rows
    assert row["createdAt"] == datetime(2026, 3, 10, 0, 0, 0, 123, tzinfo=UTC)
    assert str(row["createdAtExact"]) == "1773100800000.123456789"
    assert "theirs" in row.values()
