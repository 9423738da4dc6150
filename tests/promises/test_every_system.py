"""The promises that every system keeps: complete, once, settled, resumable, within budget, frugal, discreet."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.models import Table
from task_history.systems.protocol import System
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import INTEGRATIONS, Place
from tests.support.torture import rest_as_torture
from tests.support.views_of_runs import without_views

WORLD: dict[str, Any] = {"days": 8, "workflows": 5, "failed": 0.2, "open_days": 0.05, "freeze": True}


def held(place: Place, system: System) -> dict[str, tuple[str, bool]]:
    """Status and openness by id; fails when an id is there twice."""
    rows = place.query(f"SELECT id, status, is_open FROM {place.system}.{system.executions.name}")
    found = {str(row[0]): (str(row[1]), bool(row[2])) for row in rows}
    assert len(found) == len(rows), "an id is in the table twice"
    return found


def truth(sandbox: SandboxProcess, system: System) -> dict[str, tuple[str, bool]]:
    """The same of a perfect copy."""
    rows = sandbox.truth()
    for row in rows:
        row.setdefault("id", row.get("_id"))
        row.setdefault("status", row.get("_status"))
    return {str(row["id"]): (str(row["status"]), system.is_open(row)) for row in rows}


@dataclass
class Copied:
    """A system after three syncs, a day apart, and an idle one."""

    name: str
    system: System
    place: Place
    sandbox: SandboxProcess
    results: list[dict[str, Any]]
    copies: list[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module", params=systems.names())
def copied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    name = request.param
    system = systems.find(name)
    with SandboxProcess(name, executions=40, seed=11, future_hours=30, **WORLD) as sandbox:
        own = {"integrations": INTEGRATIONS} if name == "paragon" else {}
        place = Place(tmp_path_factory.mktemp(name), sandbox, system=name, **own)
        results, copies = [], []
        for hours in (0, 26, 0):
            sandbox.advance(hours * 3600)
            with without_views():
                done = place.run("sync", name, "--json")
            results.append({**json.loads(done.stdout), "stderr": done.stderr})
            copies.append((held(place, system), truth(sandbox, system)))
        yield Copied(name, system, place, sandbox, results, copies)


def test_a_copy_is_complete_once_and_settled(copied: Copied) -> None:
    """After every sync each execution that the vendor shows is there, once, in the state that it has now."""
    for mine, right in copied.copies:
        assert mine == right
    assert all(result["complete"] for result in copied.results)


def test_each_detail_is_asked_for_once(copied: Copied) -> None:
    """What has ended has its details, and none was asked for a second time."""
    counters = copied.sandbox.counters()
    assert counters["reads_more_than_once"] == []
    ended = sum(not is_open for _, is_open in copied.copies[-1][1].values())
    details_log = f"{copied.name}.{copied.system.details.log.name}"
    assert copied.place.query(f"SELECT count(*), count(DISTINCT id) FROM {details_log}") == [(ended, ended)]
    steps = f"{copied.name}.{copied.system.details.steps.name}"
    assert copied.place.query(f"SELECT count(*) > 0, count(*) = count(DISTINCT id) FROM {steps}") == [
        (True, True)
    ]


def test_an_idle_sync_is_cheap(copied: Copied) -> None:
    """A sync that finds nothing new asks for each list once, and for what is open."""
    idle = copied.results[-1]
    still_open = sum(is_open for _, is_open in copied.copies[-1][1].values())
    partitioned = copied.system.listing.partitioned_by is not None
    lists = (1 + WORLD["workflows"]) if partitioned else 1 + len(copied.system.companions)
    # A further request shows where a list ends. A list of one row has no row to overlap with, so that
    # its empty end is asked for twice: which workflows have one row depends on the time of day.
    each = 3 if partitioned else 2
    assert idle["requests"] <= 3 + each * lists + 2 * still_open
    assert not idle["steps"]


def test_no_secret_is_anywhere(copied: Copied) -> None:
    """Neither credentials nor tokens nor the secrets that stand in what customers wrote are in any file."""
    told = copied.sandbox.settings
    secrets = [value for key, value in told.items() if "secret" in key or "key" in key or "token" in key]
    secrets += ["sandbox-token-", "hunter2-", "hush-hush-"]
    with copied.place.reading() as query:
        dumped = [
            str(row)
            for (table,) in query(f"SELECT table_name FROM duckdb_tables WHERE schema_name = '{copied.name}'")
            for row in query(f'SELECT * FROM {copied.name}."{table}"')
        ]
    files = [path for path in copied.place.folder.rglob("*") if path.is_file() and path.suffix != ".duckdb"]
    texts = ["\n".join(dumped), *(result["stderr"] for result in copied.results)]
    texts += [path.read_bytes().decode("latin-1") for path in files]
    assert secrets
    for secret in secrets:
        assert not [text for text in texts if secret in text], secret


def test_every_row_that_belongs_to_an_execution_has_one(copied: Copied) -> None:
    """Steps name an execution that is there, and when it began."""
    for one in (copied.system, *copied.system.companions):
        name, own = f"{copied.name}.{one.details.steps.name}", f"{copied.name}.{one.executions.name}"
        assert copied.place.query(
            f"SELECT count(*) FROM {name} AS s LEFT JOIN {own} AS e ON e.id = s.workflow_execution_id "
            f"WHERE e.id IS NULL OR s.execution_date_started IS NULL"
        ) == [(0,)]


def test_status_tells_what_is_loaded(copied: Copied) -> None:
    """``status`` names the rows, until when all is loaded, and covered days."""
    found = json.loads(copied.place.run("status", copied.name, "--json").stdout)["systems"][0]
    assert found["rows"][copied.system.executions.name] == len(copied.copies[-1][1])
    assert found["covered_until"]
    assert found["coverage"]


def test_runs_tell_the_retention(copied: Copied) -> None:
    """As the vendor documents it; empty where that is not known, which 0, for ever, does not mean."""
    days = copied.system.retention.days if copied.system.retention else None
    rows = copied.place.query(f"SELECT DISTINCT retention_days FROM {copied.name}.sync_runs")
    assert rows == [(days,)]


@pytest.mark.parametrize("copied", rest_as_torture(systems.names(), ("twinit",)), indirect=True)
def test_the_views_show_it(copied: Copied) -> None:
    """Every execution is in the views, with a status that has a meaning, and what must hold of views does."""
    copied.place.run("views")
    found = json.loads(copied.place.run("views", "--check", "--json").stdout)
    assert [one for one in found["checks"] if one["rows"]] == []
    executions = dict(
        copied.place.query(
            "SELECT execution_id, status FROM task_history.executions WHERE status <> 'unknown'"
        )
    )
    assert executions.keys() >= copied.copies[-1][1].keys()
    ended = {"succeeded", "failed", "cancelled", "partial"}
    assert {executions[key] for key, (_, is_open) in copied.copies[-1][1].items() if not is_open} <= ended
    steps = copied.place.query("SELECT count(*), count(started_at) FROM task_history.steps")
    assert steps[0][0] > 0


def test_check_accepts_the_credentials(copied: Copied) -> None:
    """``check`` takes at most three requests, and one more to log in (SailPoint) or for the second namespace (Twinit)."""
    found = json.loads(copied.place.run("check", copied.name, "--json").stdout)
    assert 1 <= found["requests"] <= 3 + (copied.name in ("sailpoint", "twinit"))


@pytest.mark.parametrize("copied", rest_as_torture(systems.names(), ("sailpoint",)), indirect=True)
def test_an_audit_finds_what_was_deleted(copied: Copied) -> None:
    """A row that was deleted by hand is named and mended; then the copy is clean."""
    import duckdb

    table = f"{copied.name}.{copied.system.executions.name}"
    with duckdb.connect(str(copied.place.file)) as connection:
        oldest = f"SELECT id FROM {table} WHERE NOT is_open ORDER BY {copied.system.started_column} LIMIT 1 OFFSET 3"
        connection.execute(f"DELETE FROM {table} WHERE id = ({oldest})")
    first, last = copied.place.query(f"SELECT min({copied.system.started_column}), now() FROM {table}")[0]
    words = ("--from", f"{first:%Y-%m-%d}", "--to", f"{last:%Y-%m-%dT%H:%M}", "--json")
    found = json.loads(copied.place.run("audit", copied.name, "--repair", *words).stdout)
    assert (found["missing"], found["surplus"], found["different"], found["repaired"]) == (1, 0, 0, 1)
    found = json.loads(copied.place.run("audit", copied.name, *words).stdout)
    assert found["clean"] is not False
    assert held(copied.place, copied.system) == copied.copies[-1][1]


@pytest.mark.torture
@pytest.mark.parametrize("name", systems.names())
def test_a_killed_sync_goes_on(tmp_path: Path, name: str) -> None:
    """Killed once it has committed something, the next sync brings everything; nothing is there twice."""
    system = systems.find(name)
    with SandboxProcess(name, executions=40, seed=5, latency_ms=4, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox, system=name)
        process = place.start("sync", name)
        time.sleep(1.5)
        process.kill()
        process.communicate()
        place.sync()
        assert held(place, system) == truth(sandbox, system)


@pytest.mark.parametrize("name", rest_as_torture(systems.names(), ("sailpoint",)))
def test_a_sync_stays_within_its_budget(tmp_path: Path, name: str) -> None:
    """However many lists and threads: never more requests in a period than allowed."""
    with SandboxProcess(name, executions=60, seed=5, **WORLD, limit=30, period_s=1.0) as sandbox:
        place = Place(tmp_path, sandbox, system=name, rate_limit_requests=30, rate_limit_period_s=1.0)
        result = place.sync()
        assert result["requests"] > 30
        assert sandbox.counters()["violations"] == 0


def test_systems_have_tables_of_their_own() -> None:
    """No two tables of a dataset share a name with different columns."""
    from task_history.warehouse import common_tables

    for name in systems.names():
        found: dict[str, Table] = {}
        for table in common_tables.of(systems.find(name)):
            assert table.name not in found
            found[table.name] = table


@pytest.mark.parametrize(
    "name",
    rest_as_torture(
        [name for name in systems.names() if not systems.find(name).listing.is_countable],
        ("sailpoint",),
    ),
)
def test_a_backfill_brings_the_past_once(tmp_path: Path, name: str) -> None:
    """What lies before the first sync comes with a backfill, list by list; the same once more has nothing to do."""
    system = systems.find(name)
    with SandboxProcess(name, executions=60, seed=9, **WORLD) as sandbox:
        now = datetime.now(UTC)
        place = Place(
            tmp_path, sandbox, system=name, steps="none", start_date=f"{now - timedelta(days=2):%Y-%m-%d}"
        )
        place.sync()
        known = held(place, system)
        right = truth(sandbox, system)
        assert 0 < len(known) < len(right)
        words = ("--from", f"{now - timedelta(days=9):%Y-%m-%d}", "--to", f"{now:%Y-%m-%d}", "--json")
        done = json.loads(place.run("backfill", name, *words).stdout)
        assert done["complete"]
        assert done["not_covered"] == []
        assert held(place, system) == right
        again = json.loads(place.run("backfill", name, *words).stdout)
        assert again["executions"] == 0
        assert "list" not in again["requests_by_kind"]


@pytest.mark.parametrize("name", rest_as_torture(systems.names(), ("twinit",)))
def test_what_a_backfill_and_a_sync_cover_is_counted_once(tmp_path: Path, name: str) -> None:
    """Days that a backfill loaded before the first sync read them again have as many executions as are stored."""
    system = systems.find(name)
    with SandboxProcess(name, executions=60, seed=9, **WORLD) as sandbox:
        now = datetime.now(UTC)
        place = Place(
            tmp_path, sandbox, system=name, steps="none", start_date=f"{now - timedelta(days=4):%Y-%m-%d}"
        )
        words = ("--from", f"{now - timedelta(days=9):%Y-%m-%d}", "--to", f"{now:%Y-%m-%d}", "--json")
        place.run("backfill", name, *words)
        place.sync()
        assert held(place, system) == truth(sandbox, system)
        counted = place.query(
            f"SELECT sum(executions) FROM {name}.coverage WHERE lane <> 'audit' AND filters NOT LIKE 'list=%'"
        )
        # A run of Twinit stands in the list of each of its namespaces.
        each = "json_array_length(namespaces)" if name == "twinit" else "1"
        assert counted == place.query(f"SELECT sum({each}) FROM {name}.{system.executions.name}")
        assert place.sync()["executions"] <= 12


def test_the_organization_of_each_run_is_stored(copied: Copied) -> None:
    """The log of a run's details names its organization, where there is one (B3OS)."""
    if copied.name == "b3os":
        organizations = copied.place.query("SELECT DISTINCT organization_id FROM b3os.run_details")
        assert organizations == [(copied.sandbox.settings["organization_id"],)]


@pytest.mark.torture
def test_the_organization_of_each_run_of_b3os_is_stored(tmp_path: Path) -> None:
    """However a run was settled, by a list or by a read of its own: the log of its details names its organization."""
    with SandboxProcess("b3os", executions=60, seed=7, days=4, open_days=0.4, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system="b3os", retention_days=0)
        place.sync()
        sandbox.advance(12 * 3600)
        place.sync()
        organizations = place.query("SELECT DISTINCT organization_id FROM b3os.run_details")
        assert organizations == [(sandbox.settings["organization_id"],)]
        assert place.query("SELECT count(*) > 50 FROM b3os.run_details") == [(True,)]
