"""What works on DuckDB works on Postgres: one of dlt's destinations that this project knows nothing of."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from task_history import systems
from task_history.warehouse import common_tables
from task_history_cli.runtime import views
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import PASSWORD, Server
from tests.support import refusing_warehouse
from tests.support.altering_proxy import altering
from tests.support.killed_runs import kill_first_runs
from tests.support.place import STEP_FIELDS, Place, truth, without_checks
from tests.support.torture import rest_as_torture

NOW = "2026-10-20T12:00:00+00:00"
START = "2026-10-12"
FEW_DAYS = ("--from", "2026-09-26", "--to", "2026-10-01")
MONTH = ("--from", "2026-09-01", "--to", "2026-10-01")
ON_POSTGRES = ("--destination", "postgres")


class PostgresPlace(Place):
    """A place whose warehouse is a database."""

    LOADS_ALL = True

    def __init__(self, folder: Path, sandbox: SandboxProcess | None, server: Server, **settings: Any) -> None:
        super().__init__(folder, sandbox, **settings)
        self.url = server.url
        del self.env["DESTINATION__DUCKDB__CREDENTIALS"]
        self.env["DESTINATION__POSTGRES__CREDENTIALS"] = self.url

    def execute(self, *statements: str) -> None:
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(self.url, options="-c TimeZone=UTC")) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _rows(self, table: str, fields: dict[str, str]) -> dict[str, dict[str, Any]]:
        found = self.query(f"SELECT {', '.join(map(_as_sent, fields))} FROM {table}")
        rows = [dict(zip(fields.values(), row, strict=True)) for row in found]
        by_id = {row["id"]: row for row in rows}
        assert len(by_id) == len(rows), "an id is in the table twice"
        return by_id

    def told(self, command: str, *words: str, expect: int = 0) -> dict[str, Any]:
        """What a command says of itself."""
        done = self.run(command, "paragon", "--json", *ON_POSTGRES, *words, expect=expect)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


class PostgresPlaceWithoutViews(PostgresPlace):
    """One whose runs within this process make no views and check none: for tests of all else."""

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        with without_checks(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(views, "refresh", lambda access: None)
            return super().run(*words, expect=expect)


def _as_sent(column: str) -> str:
    return f'to_char({column}, \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')' if column.startswith("date_") else column


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=240, seed=17, days=60, now=NOW, freeze=True) as found:
        yield found


def test_all_that_works_on_duckdb(postgres: Server, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """Synced, settled, with details, filled back, audited and restored elsewhere, the tables equal the truth."""
    settings: dict[str, Any] = {"steps": "failed", "integrations": None, "retention_days": 0}
    place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, start_date=START, **settings)

    first = place.told("sync")
    assert first["complete"]
    recent = {key: row for key, row in truth(sandbox).items() if row["dateStarted"] >= START}
    assert place.executions() == recent

    sandbox.advance(26 * 3600)
    assert place.told("sync")["complete"]
    assert place.told("backfill", *FEW_DAYS)["complete"]
    right = truth(sandbox)
    held = {
        key: row
        for key, row in right.items()
        if row["dateStarted"] >= START or FEW_DAYS[1] <= row["dateStarted"] < FEW_DAYS[3]
    }
    assert place.executions() == held
    steps = {
        step["id"]: {key: step.get(key) for key in STEP_FIELDS.values()}
        for row in sandbox.truth(steps=True)
        if row["id"] in held and held[row["id"]]["status"] == "FAILED"
        for step in row["_steps"]
    }
    assert steps
    assert place.steps() == steps

    elsewhere = PostgresPlaceWithoutViews(
        tmp_path / "elsewhere", sandbox, postgres, start_date=START, **settings
    )
    elsewhere.folder.mkdir()
    sandbox.reset_counters()
    restored = elsewhere.told("sync")
    assert restored["complete"]
    assert sandbox.counters()["list"] <= 3
    assert elsewhere.executions() == held

    (status,) = place.told("status")["systems"]
    assert status["rows"]["workflow_executions"] == len(held)
    assert (status["details_left"], status["payloads_left"]) == (0, 0)
    assert place.told("audit", "--from", START, "--to", "2026-10-21")["clean"] is not False
    failed = next(key for key, row in held.items() if row["status"] == "FAILED")
    assert {remark["code"] for remark in place.told("why", failed)["remarks"]} == {
        "details_loaded",
        "payloads_loaded",
    }
    assert place.query("SELECT obj_description('paragon.workflow_executions'::regclass)")[0][0]
    kept = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file.name for file in kept if PASSWORD.encode() in file.read_bytes()] == []


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("postgresql://tests:unused@127.0.0.1:1/postgres", 4, "does not answer"),
        ("{url}-that-is-not-there", 3, "check user, password and database"),
        ("nonsense", 3, "not of the form that it takes"),
        (None, 3, "credentials is missing"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_said(
    postgres: Server, sandbox: SandboxProcess, tmp_path: Path, url: str | None, code: int, words: str
) -> None:
    """No request is spent on a warehouse that cannot be reached, and no password is told."""
    place = PostgresPlace(tmp_path, sandbox, postgres)
    del place.env["DESTINATION__POSTGRES__CREDENTIALS"]
    if url is not None:
        place.env["DESTINATION__POSTGRES__CREDENTIALS"] = url.format(url=postgres.url)
    sandbox.reset_counters()
    done = place.run("sync", "paragon", *ON_POSTGRES, expect=code)
    assert words in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert not sandbox.counters().get("list")


EXECUTIONS = 20
WORLDS: dict[str, dict[str, Any]] = {
    "paragon": {"executions": 60, "days": 2},
    "sailpoint": {"executions": 40, "workflows": 2},
    "twinit": {"executions": 8},
    "b3os": {"executions": 40},
}
_NAMED = re.compile("(^|_)id$|I[dD]s?$|[sS]tatus$|_namespaces$|Link$|[tT]oken|^type$|^prev$")


def _with_nul(value: Any, key: str = "") -> Any:
    """The answer with a NUL in each text that is no id, status or instant."""
    if isinstance(value, dict):
        return {name: _with_nul(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_nul(inner, key) for inner in value]
    is_plain = isinstance(value, str) and not _NAMED.search(key) and not re.match(r"\d{4}-|https?:|/", value)
    return f"{value}\0!" if is_plain else value


@pytest.mark.parametrize("system", rest_as_torture(WORLDS, ("twinit",)))
def test_nul_in_any_text_is_stored_as_a_replacement_character(
    postgres: Server, tmp_path: Path, system: str
) -> None:
    """Postgres holds no NUL in a text: U+FFFD stands in its place, as in every warehouse, and the sync ends well."""

    def alter(_: str, body: bytes) -> bytes:
        data = json.loads(body)
        return json.dumps(
            {**_with_nul(data), "extra": "a\0"} if isinstance(data, dict) else _with_nul(data)
        ).encode()

    with (
        SandboxProcess(system, seed=3, freeze=True, **WORLDS[system]) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        settings: dict[str, Any] = {"start_date": None} if system == "b3os" else {}
        place = PostgresPlaceWithoutViews(
            tmp_path, sandbox, postgres, system=system, base_url=url, integrations=None,
            dataset_name=f"nul_{system}", payloads="all" if system == "paragon" else None, **settings,
        )  # fmt: skip
        place.run("sync", system, *ON_POSTGRES)
    texts = place.query(
        "SELECT table_name, column_name FROM information_schema.columns "
        f"WHERE table_schema = 'nul_{system}' AND data_type = 'character varying'"
    )
    replaced = [
        (table, column)
        for table, column in texts
        if place.query(f"SELECT 1 FROM nul_{system}.{table} WHERE {column} LIKE '%\ufffd!' LIMIT 1")
    ]
    assert {table for table, _ in replaced} & {one.name for one in common_tables.of_one(systems.find(system))}


@pytest.mark.torture
def test_a_row_without_an_id_is_kept(postgres: Server, tmp_path: Path) -> None:
    """The others load, it is in ``rejected_rows``, and the next sync, which asks for what is known, doubles none."""
    world: dict[str, Any] = {"executions": 120, "seed": 17, "days": 6, "now": NOW, "freeze": True}
    with SandboxProcess(**world) as sandbox:
        sandbox.advance(4 * 86_400)
        sandbox.switches(odd_rows="null", odd_share=0.05)
        place = PostgresPlaceWithoutViews(
            tmp_path, sandbox, postgres, start_date=START, steps="none", integrations=None, dataset_name="odd"
        )
        place.told("sync")
        kept = "SELECT count(*), min(value), min(reason) FROM odd.rejected_rows"
        [(number, value, reason)] = place.query(kept)
        assert number > 0
        assert (value, reason) == ("null", "it is no object but null")
        assert place.query("SELECT sum(rejected) FROM odd.coverage") == [(number,)]
        assert place.told("sync")["complete"]
        assert place.query(kept) == [(number, value, reason)]


def _first_runs_killed(
    postgres: Server, folder: Path, *, kills: int, prefix: str, executions: int = 60
) -> None:
    with SandboxProcess(executions=executions, seed=31, days=3, now=NOW, freeze=True) as sandbox:

        def make(name: str) -> PostgresPlace:
            """One whose runs make no views: none of the tables is made of them."""
            (folder / name).mkdir()
            settings: dict[str, Any] = {
                "integrations": None,
                "payloads": "all",
                "dataset_name": prefix + name,
            }
            place = PostgresPlaceWithoutViews(folder / name, sandbox, postgres, **settings)
            place.makes_views = False
            return place

        words = ("sync", "paragon", *ON_POSTGRES)
        kill_first_runs(make, words, kills=kills, seed=3, dataset=lambda name: prefix + name)


@pytest.mark.torture
def test_a_first_run_that_is_killed_goes_on(postgres: Server, tmp_path: Path) -> None:
    """Killed at any instant from its first on, the same command goes on, and all tables equal those of a quiet run."""
    _first_runs_killed(postgres, tmp_path, kills=1, prefix="few_", executions=20)


@pytest.mark.torture
def test_twenty_first_runs_that_are_killed_go_on(postgres: Server, tmp_path: Path) -> None:
    """The same, twenty times."""
    _first_runs_killed(postgres, tmp_path, kills=20, prefix="many_")


@pytest.mark.torture
@pytest.mark.parametrize("kind", refusing_warehouse.REFUSED)
def test_a_refused_package_holds_nothing_up(postgres: Server, tmp_path: Path, kind: str) -> None:
    """The run goes on with the rest, and the next one brings what was refused once the vendor's row is clean."""
    with refusing_warehouse.poisoned(kind) as (sandbox, poison, url):
        place = PostgresPlaceWithoutViews(
            tmp_path, sandbox, postgres, base_url=url, **refusing_warehouse.SETTINGS
        )
        place.execute(
            "DROP SCHEMA IF EXISTS paragon CASCADE", "DROP SCHEMA IF EXISTS paragon_staging CASCADE"
        )
        refusing_warehouse.check_that_a_refused_package_holds_nothing_up(
            place, sandbox, poison, *ON_POSTGRES, execute=place.execute
        )


@pytest.mark.parametrize(
    ("refuse", "allow", "reason"),
    [
        pytest.param(
            "CREATE FUNCTION {0}.refuse() RETURNS trigger AS $$ BEGIN RAISE 'not these rows'; END $$ LANGUAGE plpgsql; "
            "CREATE TRIGGER refuse BEFORE INSERT ON {0}.step_executions FOR EACH ROW EXECUTE FUNCTION {0}.refuse()",
            "DROP TRIGGER refuse ON {0}.step_executions",
            "not these rows",
            id="trigger",
        ),
        pytest.param(
            "CREATE FUNCTION {0}.long(text) RETURNS text IMMUTABLE AS $$ SELECT string_agg(md5(i::text || $1), '') "
            "FROM generate_series(1, 1000) AS i $$ LANGUAGE sql; "
            "CREATE INDEX by_long ON {0}.step_executions ({0}.long(id))",
            "DROP INDEX {0}.by_long",
            "index row",
            id="index",
            marks=pytest.mark.torture,
        ),
    ],
)
def test_rows_that_a_trigger_or_an_index_refuses_are_set_aside(
    postgres: Server, tmp_path: Path, refuse: str, allow: str, reason: str
) -> None:
    """The run says what refused them, and no package stays pending; without it, the next run brings all."""
    with SandboxProcess(executions=EXECUTIONS, seed=31, days=3, now=NOW, freeze=True) as sandbox:
        dataset = f"of_{reason.replace(' ', '_')}"
        place = PostgresPlaceWithoutViews(
            tmp_path, sandbox, postgres, integrations=None, dataset_name=dataset
        )
        place.run("sync", "paragon", *ON_POSTGRES, "--max-requests", "0")
        place.execute(refuse.format(dataset))
        done = place.run("sync", "paragon", *ON_POSTGRES, expect=4)
        assert "refused rows of step_executions for good" in done.stderr
        assert reason in done.stderr.splitlines()[-1]
        assert not list(tmp_path.rglob("load/normalized/*/package_state.json"))
        (status,) = place.told("status")["systems"]
        assert {one["table"] for one in status["refused"]} == {"step_executions"}
        assert place.query(f"SELECT count(*) FROM {dataset}.workflow_executions") == [(EXECUTIONS,)]
        place.execute(allow.format(dataset))
        assert place.told("sync")["complete"]
        assert place.query(f"SELECT count(DISTINCT id) FROM {dataset}.workflow_executions") == [(EXECUTIONS,)]
        steps = sum(len(row["_steps"]) for row in sandbox.truth(steps=True) if row["dateEnded"])
        assert place.query(f"SELECT count(*) FROM {dataset}.step_executions") == [(steps,)]


def test_what_may_be_over_later_refuses_nothing(postgres: Server, tmp_path: Path) -> None:
    """A table that is locked for longer than the server waits: the package stays, and the next run loads it unread."""
    with SandboxProcess(executions=60, seed=31, days=3, now=NOW, freeze=True) as sandbox:
        settings: dict[str, Any] = {"integrations": None, "steps": "none", "dataset_name": "locked"}
        place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, **settings)
        place.run("sync", "paragon", *ON_POSTGRES, "--max-requests", "0")
        place.env["DESTINATION__POSTGRES__CREDENTIALS"] += "?options=-clock_timeout%3D200"
        with contextlib.closing(psycopg2.connect(place.url)) as other:
            other.cursor().execute("LOCK TABLE locked.workflow_executions IN ACCESS EXCLUSIVE MODE")
            place.run("sync", "paragon", *ON_POSTGRES, expect=4)
        sandbox.reset_counters()
        assert place.told("sync")["complete"]
        assert sandbox.counters().get("list", 0) <= 2
        (status,) = place.told("status")["systems"]
        assert status["refused"] == []
        assert place.query("SELECT count(*) FROM locked.workflow_executions") == [(60,)]
        assert place.query("SELECT count(*) FROM locked.sync_runs WHERE outcome = 'failed'") == [(1,)]


def test_rows_say_when_they_were_written_and_not_when_they_were_read(
    postgres: Server, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A load package that a failed run leaves behind has the instant of the run that loads it."""
    dataset = "written"
    settings: dict[str, Any] = {"retention_days": 0, "steps": "none", "integrations": None}
    place = PostgresPlaceWithoutViews(
        tmp_path, sandbox, postgres, start_date=START, dataset_name=dataset, **settings
    )
    place.told("sync")
    full = (
        "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; "
        "END $$ LANGUAGE plpgsql",
        f"CREATE TRIGGER full_disk BEFORE INSERT ON {dataset}.workflow_executions EXECUTE FUNCTION full_disk()",
    )
    place.execute(*full)
    place.told("backfill", *FEW_DAYS, expect=4)
    [(failed_at,)] = place.query("SELECT clock_timestamp()")
    place.execute(f"DROP TRIGGER full_disk ON {dataset}.workflow_executions", "DROP FUNCTION full_disk")
    place.told("backfill", *FEW_DAYS)
    executions = f"{dataset}.workflow_executions WHERE date_started < '{FEW_DAYS[3]}'"
    assert place.query(f"SELECT count(*) > 0 FROM {executions}") == [(True,)]
    assert place.query(f"SELECT count(*) FROM {executions} AND loaded_at <= '{failed_at}'") == [(0,)]
    assert place.query(f"SELECT count(*) FROM {executions} AND fetched_at < '{failed_at}'") != [(0,)]
    for table in common_tables.of(systems.find("paragon")):
        sql = f"SELECT count(*) FROM {dataset}.{table.name} WHERE loaded_at IS NULL"
        assert place.query(sql) == [(0,)], table.name
