"""An audit finds what differs between warehouse and API, with few requests, and mends exactly that."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_backfill import MONTH, NOW, backfill, inside
from tests.support.place import Place, truth
from tests.support.snapshot import Snapshot
from tests.support.torture import rest_as_torture


def audit(place: Place, *words: str, expect: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        place.run("audit", "paragon", "--json", *MONTH, *words, expect=expect).stdout
    )
    return found


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Snapshot, SandboxProcess]]:
    """A place into which the month was loaded, and its vendor."""
    with SandboxProcess(executions=3_000, seed=97, days=75, now=NOW, freeze=True) as sandbox:
        yield Snapshot(_loaded(tmp_path_factory.mktemp("loaded"), sandbox)), sandbox


@pytest.fixture
def loaded(month: tuple[Snapshot, SandboxProcess]) -> tuple[Place, SandboxProcess]:
    """The place as it was after the load."""
    snapshot, sandbox = month
    sandbox.reset_counters()
    return snapshot.restore(), sandbox


def _loaded(folder: Path, sandbox: SandboxProcess, *span: str) -> Place:
    quiet = {"steps": "none", "payloads": "none", "start_date": "2026-01-01"}
    place = Place(folder, sandbox, retention_days=0, **quiet)
    backfill(place, *(span or MONTH))
    return place


def _damage(place: Place, windows: int, *, seed: int = 3) -> dict[str, set[str]]:
    """In each of so many windows one row is deleted, one altered and one invented."""
    rng = random.Random(seed)
    ids = [
        row[0]
        for row in place.query(
            "SELECT id FROM paragon.workflow_executions WHERE NOT is_open ORDER BY date_started, id"
        )
    ]
    done: dict[str, set[str]] = {"missing": set(), "surplus": set(), "different": set()}
    size = len(ids) // windows
    with duckdb.connect(str(place.file)) as connection:
        for window in range(windows):
            deleted, altered, copied = rng.sample(ids[window * size + 5 : (window + 1) * size - 5], 3)
            invented = f"invented-{window}"
            connection.execute("DELETE FROM paragon.workflow_executions WHERE id = ?", [deleted])
            connection.execute(
                "UPDATE paragon.workflow_executions SET task_count = coalesce(task_count, 0) + 1 WHERE id = ?",
                [altered],
            )
            connection.execute(
                "INSERT INTO paragon.workflow_executions SELECT * REPLACE (? AS id) "
                "FROM paragon.workflow_executions WHERE id = ?",
                [invented, copied],
            )
            done["missing"].add(deleted)
            done["different"].add(altered)
            done["surplus"].add(invented)
    return done


def _named(found: dict[str, Any], kind: str) -> set[str]:
    return {identity for one in found["differences"] for identity in one[kind]}


def test_a_clean_month_costs_three_requests(loaded: tuple[Place, SandboxProcess]) -> None:
    """Where counts agree, three requests show it, exit code 0 says it and coverage keeps it; what else is not shown is
    said.
    """
    place, sandbox = loaded
    found = audit(place)
    assert found["clean"] is None
    assert found["not_looked_at"] == found["executions"] - found["rows_compared"] > 0
    assert found["requests"] <= 3
    assert sandbox.counters()["list"] <= 3
    days = place.query("SELECT count(*), bool_and(is_verified) FROM paragon.coverage WHERE lane = 'audit'")
    assert days == [(30, True)]


def test_rows_that_were_changed_added_or_deleted_are_found_and_mended(
    loaded: tuple[Place, SandboxProcess],
) -> None:
    """Deleted, altered and invented rows are all named, though their counts cancel; only they are read again."""
    place, sandbox = loaded
    done = _damage(place, 10)
    found = audit(place, "--sample", "1000000", expect=10)
    for kind, ids in done.items():
        assert _named(found, kind) == ids
    sandbox.reset_counters()
    mended = audit(place, "--sample", "1000000", "--repair")
    assert mended["repaired"] == 30
    # Beyond what comparing takes, only what no listing shows is asked for.
    assert sandbox.counters()["execution"] == 10
    held = {key: row for key, row in place.executions().items() if not key.startswith("invented")}
    assert inside(held) == inside(truth(sandbox))
    marked = place.query("SELECT id FROM paragon.workflow_executions WHERE purged_at_source IS NOT NULL")
    assert {row[0] for row in marked} == done["surplus"]
    assert audit(place, "--sample", "1000000")["clean"]


def test_without_a_sample_counts_show_what_is_missing(tmp_path: Path) -> None:
    """Deleted rows are found by counting alone, for far fewer requests than reading the month."""
    with SandboxProcess(executions=24_000, seed=93, days=75, now=NOW, freeze=True) as sandbox:
        place = _loaded(tmp_path, sandbox)
        rng = random.Random(1)
        ids = [
            row[0]
            for row in place.query("SELECT id FROM paragon.workflow_executions ORDER BY date_started, id")
        ]
        gone = set(rng.sample(ids, 2))
        with duckdb.connect(str(place.file)) as connection:
            connection.executemany(
                "DELETE FROM paragon.workflow_executions WHERE id = ?", [[one] for one in gone]
            )
        found = audit(place, expect=10)
        assert _named(found, "missing") == gone
        assert all(
            datetime.fromisoformat(one["until"]) - datetime.fromisoformat(one["from"]) < timedelta(hours=12)
            for one in found["differences"]
        )
        assert found["requests"] < 0.6 * len(ids) / 100
        assert audit(place, "--repair")["repaired"] == 2
        assert inside(place.executions()) == inside(truth(sandbox))


def test_what_the_vendor_purged_is_marked_and_kept(tmp_path: Path) -> None:
    """Beyond the retention a row that the vendor dropped is no difference: it stays, marked."""
    # A range that is gone by this machine's clock is refused: the vendor's last present is that of this machine.
    now = datetime.now(UTC) - timedelta(days=25)
    span = ("--from", f"{now - timedelta(days=50):%Y-%m-%d}", "--to", f"{now - timedelta(days=20):%Y-%m-%d}")
    with SandboxProcess(
        executions=600, seed=94, days=75, now=now.isoformat(), freeze=True, retention_days=60
    ) as sandbox:
        place = _loaded(tmp_path, sandbox, *span)
        count = len(place.executions())
        sandbox.advance(25 * 86_400)
        place.set(retention_days=60)
        found = audit(place, *span)
        assert found["purged"] > 70
        assert found["differences"] == []
        mended = audit(place, *span, "--repair")
        assert mended["clean"] is not False
        assert len(place.executions()) == count
        marked = place.query(
            "SELECT count(*), bool_and(resolution IN ('ended', 'unresolved_at_retention')) "
            "FROM paragon.workflow_executions WHERE purged_at_source IS NOT NULL"
        )
        assert marked == [(found["purged"], True)]
        assert audit(place, *span)["purged"] == 0


def test_what_is_not_covered_is_said_not_compared(tmp_path: Path) -> None:
    """An audit of more than is loaded names what is not covered, calls nothing of it a difference, and exits with 10."""
    with SandboxProcess(executions=600, seed=95, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        backfill(place, "--from", "2026-09-05", "--to", "2026-09-12")
        found = audit(place, expect=10)
        assert found["clean"] is False
        assert found["differences"] == []
        assert [(gap["from"], gap["until"]) for gap in found["not_covered"]] == [
            ("2026-09-01T00:00:00Z", "2026-09-05T00:00:00Z"),
            ("2026-09-12T00:00:00Z", "2026-10-01T00:00:00Z"),
        ]
        said = place.run("audit", "paragon", "--from", "2026-09-20", "--to", "2026-09-25", expect=10).stdout
        assert "Nothing of this range is loaded" in said
        assert "No differences" not in said


@pytest.mark.parametrize(
    "switch",
    rest_as_torture(
        [
            {"total": "absent"},
            {"ignore_sort": True},
            {"after": "inclusive"},
            {"ignore_sort": True, "after": "inclusive"},
            {"total": "absent", "ignore_sort": True, "after": "inclusive"},
        ],
        [{"total": "absent"}],
    ),
    ids=str,
)
def test_an_audit_needs_no_friendly_vendor(tmp_path: Path, switch: dict[str, Any]) -> None:
    """Without a count, in another order or with inclusive bounds an audit finds the same."""
    with SandboxProcess(
        executions=600, seed=96, days=75, now=NOW, freeze=True, switch={**switch, "before": "inclusive"}
    ) as sandbox:
        place = _loaded(tmp_path, sandbox)
        done = _damage(place, 3)
        found = audit(place, "--sample", "100000", "--repair")
        for kind, ids in done.items():
            assert _named(found, kind) == ids
        assert audit(place, "--sample", "100000")["clean"]


def test_rows_that_cancel_each_other_in_counts_are_all_found_once_one_pair_is(
    loaded: tuple[Place, SandboxProcess],
) -> None:
    """Rows deleted and invented at random places are all mended, though many of them cancel in the counts of a day."""
    place, sandbox = loaded
    rng = random.Random(5)
    ids = [row[0] for row in place.query("SELECT id FROM paragon.workflow_executions ORDER BY id")]
    with duckdb.connect(str(place.file)) as connection:
        for number, (deleted, copied) in enumerate(
            zip(rng.sample(ids, 40), rng.sample(ids, 40), strict=True)
        ):
            connection.execute(
                "INSERT INTO paragon.workflow_executions SELECT * REPLACE (? AS id) "
                "FROM paragon.workflow_executions WHERE id = ?",
                [f"invented-{number}", copied],
            )
            connection.execute("DELETE FROM paragon.workflow_executions WHERE id = ?", [deleted])
    mended = audit(place, "--repair")
    assert mended["not_looked_at"] == 0
    held = {key: row for key, row in place.executions().items() if not key.startswith("invented")}
    assert inside(held) == inside(truth(sandbox))


def test_rows_that_cancel_each_other_are_named_by_a_thorough_audit(
    loaded: tuple[Place, SandboxProcess],
) -> None:
    """A pair that no count shows: the cheap audit says how many rows it did not look at, the thorough one finds it."""
    place, _ = loaded
    with duckdb.connect(str(place.file)) as connection:
        connection.execute(
            "UPDATE paragon.workflow_executions SET id = 'invented' WHERE id = ("
            "SELECT id FROM paragon.workflow_executions WHERE date_started > '2026-09-15' ORDER BY id LIMIT 1)"
        )
    found = json.loads(place.run("audit", "paragon", "--json", *MONTH, expect=None).stdout)
    assert found["clean"] is False or (found["clean"] is None and found["not_looked_at"] > 0)
    thorough = audit(place, "--thorough", expect=10)
    assert _named(thorough, "surplus") == {"invented"}
    assert len(_named(thorough, "missing")) == 1


def test_steps_are_counted_and_of_a_sample_compared(tmp_path: Path) -> None:
    """A deleted step shows by counting, an altered one in the sample; both are mended, one that was invented is named."""
    with SandboxProcess(executions=60, seed=99, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="all", payloads="none", integrations=None, retention_days=0)
        backfill(place, *MONTH)
        # A pair of executions with steps.
        (deleted,), (altered,), (grown,) = place.query(
            "SELECT workflow_execution_id FROM paragon.step_executions GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 3"
        )
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "DELETE FROM paragon.step_executions WHERE id = ("
                "SELECT min(id) FROM paragon.step_executions WHERE workflow_execution_id = ?)",
                [deleted],
            )
            connection.execute(
                "UPDATE paragon.step_executions SET status = 'ALTERED' WHERE workflow_execution_id = ?",
                [altered],
            )
        sandbox.reset_counters()
        found = audit(place, expect=10)
        assert _named(found, "steps") == {deleted}
        assert sandbox.counters().get("execution", 0) == 0
        sampled = audit(place, "--sample", "1000", "--repair")
        assert _named(sampled, "steps") == {deleted, altered}
        assert sampled["repaired"] == 2
        assert audit(place, "--sample", "1000")["clean"]
        assert place.query("SELECT count(*) FROM paragon.step_executions WHERE status = 'ALTERED'") == [(0,)]
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "INSERT INTO paragon.step_executions SELECT * REPLACE ('invented' AS id) "
                "FROM paragon.step_executions WHERE workflow_execution_id = ? LIMIT 1",
                [grown],
            )
        left = place.run("audit", "paragon", *MONTH, "--repair", expect=10).stdout
        assert grown in left
        assert "Delete them from the warehouse" in left
