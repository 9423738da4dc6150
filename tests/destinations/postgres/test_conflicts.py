"""Postgres: what another process does at the same instant is met by trying again within the run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import psycopg2
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace, PostgresPlaceWithoutViews
from tests.support.altering_proxy import altering, with_fields
from tests.support.few_views import few_views
from tests.support.place import truth

WORLD: dict[str, Any] = {
    "executions": 40,
    "seed": 5,
    "days": 4,
    "future_hours": 40,
    "now": "2026-03-01T00:00:00Z",
    "freeze": True,
}
SETTINGS: dict[str, Any] = {"retention_days": 0, "integrations": None, "dataset_name": "at_once"}
BACKFILLS = [
    ("backfill", "paragon", "--from", start, "--to", end)
    for start, end in (("2026-02-24", "2026-02-26"), ("2026-02-26", "2026-02-27"))
]
GATE = """
CREATE FUNCTION public.wait_at_gate() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_lock_shared(77); PERFORM pg_advisory_unlock_shared(77); END $$;
CREATE EVENT TRIGGER gate ON ddl_command_start WHEN TAG IN ('{tag}') EXECUTE FUNCTION public.wait_at_gate()
"""
"""A statement of that kind waits, before it changes anything, while the lock 77 is held."""
OPEN_GATE = ("DROP EVENT TRIGGER gate", "DROP FUNCTION public.wait_at_gate")
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"
Faults = Sequence[tuple[str, str, str]]
FAULTS: Faults = [
    ("40P01", "deadlock detected", ""),
    ("40001", "could not serialize access due to concurrent update", ""),
    ("42701", 'column "late_field" of relation "workflow_executions" already exists', ""),
    ("42P07", 'relation "workflow_executions" already exists', ""),
    ("XX000", "tuple concurrently updated", ""),
    (
        "23505",
        'duplicate key value violates unique constraint "pg_type_typname_nsp_index"',
        ", SCHEMA = 'pg_catalog'",
    ),
]
"""SQLSTATE, message and further fields of errors that say that another session was first."""
OF_ROWS = FAULTS[:2]
"""Those that statements meet which change rows."""


def _faults(faults: Faults, returns: str, counter: str, end: str = "", name: str = "fail") -> str:
    """A function that fails once with each of the faults; ``counter`` is its sequence as an SQL expression."""
    cases = " ".join(
        f"WHEN {number} THEN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = '{message}'{fields};"
        for number, (state, message, fields) in enumerate(faults, start=1)
    )
    return (
        f"CREATE FUNCTION public.{name}() RETURNS {returns} LANGUAGE plpgsql AS $$ "
        f"BEGIN CASE nextval({counter}) {cases} ELSE NULL; END CASE; {end} END $$"
    )


def _check_all_met(place: PostgresPlace, faults: Faults, counters: list[str]) -> None:
    for name in counters:
        assert place.query(f"SELECT last_value FROM public.{name}")[0][0] > len(faults), name


def _all_at_the_gate(place: PostgresPlace, *commands: tuple[PostgresPlace, tuple[str, ...]]) -> None:
    """Starts the commands, lets them through the gate once all wait there, and expects all to succeed."""
    with contextlib.closing(psycopg2.connect(place.url)) as keeper:
        keeper.autocommit = True
        keeper.cursor().execute("SELECT pg_advisory_lock(77)")
        runs: list[Popen[str]] = [one.start(*words, *ON_POSTGRES) for one, words in commands]
        while place.query(WAITING) != [(len(runs),)]:
            ended = [run for run in runs if run.poll() is not None]
            assert not ended, [run.communicate() for run in ended]
            time.sleep(0.05)
    results = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs), results
    assert any("warehouse_conflict" in err for _, err in results)
    assert not any("altered_by_hand" in err for _, err in results)


@pytest.mark.torture
def test_first_syncs_and_new_fields_of_two_processes_at_once(postgres: Server, tmp_path: Path) -> None:
    """Two machines make the same dataset, and later the same column, at the same instant: both runs succeed."""
    fields: dict[str, str] = {}

    def alter(_: str, body: bytes) -> bytes:
        return with_fields(body, fields, every=True) if fields else body

    with SandboxProcess("paragon", **WORLD) as sandbox, altering(sandbox.base_url, alter) as url:
        places = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            places.append(
                PostgresPlace(
                    tmp_path / name, sandbox, postgres, base_url=url, start_date="2026-02-27", **SETTINGS
                )
            )
        one, other = places
        one.execute(GATE.format(tag="CREATE SCHEMA"))
        _all_at_the_gate(one, (one, ("sync", "paragon")), (other, BACKFILLS[0]))
        one.execute(*OPEN_GATE)
        fields["lateField"] = "true"
        sandbox.advance(30 * 3600)
        one.execute(GATE.format(tag="ALTER TABLE"))
        _all_at_the_gate(one, (one, ("sync", "paragon")), (other, BACKFILLS[1]))
        assert one.executions(dataset="at_once") == truth(sandbox)
        new = "SELECT count(*) FROM at_once.workflow_executions WHERE NOT late_field"
        assert one.query(new) == [(0,)]


def test_definitions_that_met_another_session_are_sent_again(postgres: Server, tmp_path: Path) -> None:
    """Each error by which Postgres says so is met by each kind of definition of a first sync, which loads all."""
    tags = ["CREATE TABLE", "COMMENT", "CREATE VIEW"]
    counters = [tag.lower().replace(" ", "_") for tag in tags]
    with SandboxProcess("paragon", **WORLD) as sandbox, few_views("executions"):
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none", **SETTINGS)
        place.execute(
            *(f"CREATE SEQUENCE public.{name}" for name in counters),
            _faults(FAULTS, "event_trigger", "'public.' || replace(lower(tg_tag), ' ', '_')"),
            f"CREATE EVENT TRIGGER fail ON ddl_command_start WHEN TAG IN ({', '.join(map(repr, tags))}) "
            "EXECUTE FUNCTION public.fail()",
            "CREATE SEQUENCE public.create_schema",
            _faults(FAULTS[-1:], "event_trigger", "'public.create_schema'", name="fail_to_begin"),
            "CREATE EVENT TRIGGER fail_to_begin ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') "
            "EXECUTE FUNCTION public.fail_to_begin()",
        )
        place.run("sync", "paragon", *ON_POSTGRES)
        _check_all_met(place, FAULTS, counters)
        _check_all_met(place, FAULTS[-1:], ["create_schema"])
        assert place.executions(dataset="at_once") == truth(sandbox)
        assert place.query("SELECT count(*) FROM task_history.executions") == [(len(truth(sandbox)),)]


def test_rows_that_met_another_session_are_written_again(postgres: Server, tmp_path: Path) -> None:
    """Each error is met where rows are written, in load packages and beside them: none is lost or doubled.

    So is each that the definition of a new column meets.
    """
    tables = ["workflow_executions", "sync_runs", "schema_changes", "_dlt_pipeline_state", "vendor_fields"]
    fields: dict[str, str] = {}

    def alter(_: str, body: bytes) -> bytes:
        return with_fields(body, fields, every=True) if fields else body

    with SandboxProcess("paragon", **WORLD) as sandbox, altering(sandbox.base_url, alter) as url:
        place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, base_url=url, steps="none", **SETTINGS)
        place.run("sync", "paragon", *ON_POSTGRES)
        fields["lateField"] = "true"
        sandbox.advance(30 * 3600)
        place.execute(
            _faults(OF_ROWS, "trigger", "'public.' || TG_TABLE_NAME", "RETURN NULL;"),
            *(f"CREATE SEQUENCE public.{table}" for table in tables),
            *(
                f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON at_once.{table} EXECUTE FUNCTION public.fail()"
                for table in tables
            ),
            "CREATE SEQUENCE public.alter_table",
            _faults(FAULTS, "event_trigger", "'public.alter_table'", name="fail_to_alter"),
            "CREATE EVENT TRIGGER fail_to_alter ON ddl_command_start WHEN TAG IN ('ALTER TABLE') "
            "EXECUTE FUNCTION public.fail_to_alter()",
        )
        place.run("sync", "paragon", *ON_POSTGRES)
        _check_all_met(place, OF_ROWS, tables)
        _check_all_met(place, FAULTS, ["alter_table"])
        assert place.executions(dataset="at_once") == truth(sandbox)
        doubled = "SELECT change_id FROM at_once.schema_changes GROUP BY 1 HAVING count(*) > 1"
        assert place.query(doubled) == []
        assert place.query("SELECT 1 FROM at_once.sync_runs WHERE outcome <> 'complete'") == []
