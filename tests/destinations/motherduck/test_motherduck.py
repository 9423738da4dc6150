"""What works on DuckDB works on MotherDuck, as far as a file that stands in for it shows that."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.motherduck.place import (
    DATABASE,
    TOKEN,
    MotherDuck,
    MotherDuckPlace,
    MotherDuckPlaceWithoutViews,
)
from tests.support.few_views import few_views
from tests.support.place import PERFECT, STEP_FIELDS, differences

START = "2026-10-20T12:00:00+00:00"
WORLD: dict[str, Any] = {
    "seed": 5,
    "days": 4,
    "failed": 0.3,
    "future_hours": 40,
    "now": START,
    "freeze": True,
}
SETTINGS: dict[str, Any] = {"integrations": None, "start_date": "2026-10-15", "retention_days": 0}
UPDATE = f'UPDATE "{DATABASE}"."paragon"."sync_runs"'
MERGE = f'DELETE FROM "{DATABASE}"."paragon"."workflow_executions"'
DELETE_STAGED = """
DELETE FROM paragon.workflow_executions WHERE id IN (SELECT id FROM paragon_staging.workflow_executions) RETURNING id
"""
OWN = "DESTINATION__MOTHERDUCK__CREDENTIALS"


@pytest.fixture
def server(tmp_path: Path) -> MotherDuck:
    return MotherDuck(tmp_path / "motherduck")


def files_with(text: str, folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


@pytest.mark.parametrize("reads_days", [False, pytest.param(True, marks=pytest.mark.torture)])
def test_two_syncs_bring_what_the_vendor_has(server: MotherDuck, tmp_path: Path, reads_days: bool) -> None:
    """Checked, synced and settled, the tables equal the truth; the views show it; the token is nowhere.

    An audit finds no difference, and a backfill reads earlier days.
    """
    with (
        SandboxProcess(executions=20, open_days=0.5, **WORLD) as sandbox,
        few_views("executions"),
    ):
        place = MotherDuckPlace(tmp_path / "place", sandbox, server, **SETTINGS)
        assert "will be created by the first sync" in place.run("check", "paragon").stdout
        assert place.told("sync")["complete"]
        assert differences(place, sandbox) == PERFECT
        assert place.query("SELECT count(*) FROM paragon.workflow_executions WHERE date_ended IS NULL") != [
            (0,)
        ]
        before = place.query("SELECT max(loaded_at) FROM paragon.workflow_executions")[0][0]
        sandbox.advance(26 * 3600)
        second = place.told("sync")
        assert second["settled"]
        assert differences(place, sandbox) == PERFECT
        assert place.steps() == {
            step["id"]: {key: step.get(key) for key in STEP_FIELDS.values()}
            for row in sandbox.truth(steps=True)
            if row.get("dateEnded")
            for step in row["_steps"]
        }
        late = place.query(f"SELECT count(*) FROM paragon.workflow_executions WHERE loaded_at > '{before}'")
        assert late[0][0] >= second["executions"]
        number = len(sandbox.truth())
        assert place.query("SELECT count(*) FROM task_history.executions") == [(number,)]
        (status,) = json.loads(place.run("status", "paragon", "--json").stdout)["systems"]
        assert status["rows"]["workflow_executions"] == number
        if reads_days:
            audited = place.run("audit", "paragon", "--from", "2026-10-15", "--to", "2026-10-21")
            assert "No differences" in audited.stdout
            assert place.told("backfill", "--from", "2026-10-01", "--to", "2026-10-15")["complete"]
        assert place.query("SELECT comment FROM duckdb_tables() WHERE table_name = 'workflow_executions'")[0][
            0
        ]
        assert [text for text in place.outputs if "warning" in text.lower() or TOKEN in text] == []
        assert files_with(TOKEN, tmp_path) == []


@pytest.mark.torture
def test_the_report_shows_what_was_synced(server: MotherDuck, tmp_path: Path) -> None:
    """The report is made of the views, and the token is not in it."""
    with SandboxProcess(executions=20, seed=5, days=4, freeze=True) as sandbox:
        place = MotherDuckPlace(tmp_path / "place", sandbox, server, integrations=None)
        place.run("sync", "paragon")
        assert "report.html: 20 executions" in place.run("report").stderr
        place.run("views", "--check")
        assert files_with(TOKEN, tmp_path) == []


@pytest.mark.torture
def test_a_killed_sync_goes_on(server: MotherDuck, tmp_path: Path) -> None:
    """Killed where its second package waits, a sync is ended by the same command, with no row lost or doubled."""
    with SandboxProcess(executions=20, **WORLD) as sandbox:
        place = MotherDuckPlaceWithoutViews(tmp_path / "place", sandbox, server, **SETTINGS)
        assert place.run_killed(2, "sync", "paragon") == -signal.SIGKILL
        assert place.told("sync")["complete"]
        assert differences(place, sandbox) == PERFECT
        assert place.steps()
        assert [text for text in place.outputs if TOKEN in text] == []


def test_what_another_process_changed_at_once_is_written_again(server: MotherDuck, tmp_path: Path) -> None:
    """A merge that meets rows which another process deleted, and a row of a run changed at once, are tried again.

    The merge deletes and inserts in one transaction: else it would not meet the other process.
    """
    with SandboxProcess(executions=20, open_days=0.5, **WORLD) as sandbox:
        place = MotherDuckPlaceWithoutViews(
            tmp_path / "place", sandbox, server, steps="none", payloads="none", **SETTINGS
        )
        place.run("sync", "paragon")
        sandbox.advance(26 * 3600)
        met: list[Any] = []
        updated: list[str] = []

        def delete_first(sql: str, connection: Any) -> None:
            if UPDATE in sql and not updated:
                updated.append(sql)
                raise duckdb.TransactionException("TransactionContext Error: Conflict on update!")
            if MERGE in sql and not met:
                # With its first query a transaction sees what is there at that instant.
                connection.execute("SELECT count(*) FROM paragon.workflow_executions")
                met.extend(connection.cursor().execute(DELETE_STAGED).fetchall())

        server.before = delete_first
        done = place.run("sync", "paragon")
        assert met
        assert "workflow_executions" in done.stderr
        assert "retried in load" in done.stderr
        assert "Conflict on update!" in next(
            line for line in done.stderr.splitlines() if "warehouse_conflict" in line
        )
        assert differences(place, sandbox) == PERFECT


@pytest.mark.torture
def test_a_forgotten_person_is_in_no_table(server: MotherDuck, tmp_path: Path) -> None:
    """After forget no table holds the person's id, staging tables included, nor does it come back with the next sync."""
    with SandboxProcess(executions=20, **WORLD) as sandbox:
        place = MotherDuckPlaceWithoutViews(tmp_path / "place", sandbox, server, **SETTINGS)
        place.run("sync", "paragon")
        ((user, number),) = place.query(
            "SELECT user_id, count(*) FROM paragon.workflow_executions WHERE user_id IS NOT NULL "
            "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
        )
        done = place.told("forget", "--user", user, "--yes")
        assert done["tables"]["workflow_executions"] == number
        sandbox.advance(3600)
        assert place.told("sync")["complete"]
        tables = place.query(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'paragon%' "
            "AND table_type = 'BASE TABLE'"
        )
        held = [
            (schema, table)
            for schema, table in tables
            for (row,) in place.query(f"SELECT t::VARCHAR FROM {schema}.{table} AS t")
            if user in row
        ]
        assert held == []


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({f"{OWN}__PASSWORD": "wrong-token-of-somebody"}, 3, "does not take this token"),
        ({f"{OWN}__PASSWORD": None}, 3, "MOTHERDUCK_TOKEN must be set"),
        (
            {f"{OWN}__PASSWORD": None, "MOTHERDUCK_TOKEN": "wrong-token-of-somebody"},
            3,
            "does not take this token",
        ),
        ({f"{OWN}__DATABASE": "Paragon"}, 3, "has the name of a dataset"),
        ({f"{OWN}__DATABASE": "_share/theirs"}, 3, "is no name of a database"),
        ({f"{OWN}__QUERY": '{"saas_mode": "true"}'}, 3, "saas_mode cannot be set"),
        ({f"{OWN}__PRAGMAS": "[\"threads=1; COPY (SELECT 1) TO 'a'\"]"}, 3, "is not of the form"),
        ({f"{OWN}__LOCAL_CONFIG": '{"custom_user_agent": "a"}'}, 3, "cannot be set here"),
    ],
)
@pytest.mark.parametrize("command", ["check", "sync"])
def test_what_is_refused_is_told_in_one_sentence(
    settings: dict[str, str | None], code: int, message: str, command: str, server: MotherDuck, tmp_path: Path
) -> None:
    """Settings and tokens that cannot be used end a command with their own exit code; no token is told."""
    with SandboxProcess(executions=2, **WORLD) as sandbox:
        place = MotherDuckPlaceWithoutViews(tmp_path / "place", sandbox, server, **SETTINGS)
        for name, value in settings.items():
            if value is None:
                del place.env[name]
            else:
                place.env[name] = value
        done = place.run(command, "paragon", expect=code)
        assert message in done.stderr
        assert [line for line in done.stderr.splitlines() if "Traceback" in line] == []
        assert "wrong-token" not in done.stdout + done.stderr
        assert files_with("wrong-token", tmp_path) == []


def test_a_token_of_the_environment_is_taken(server: MotherDuck, tmp_path: Path) -> None:
    """MOTHERDUCK_TOKEN stands for the password of the credentials."""
    with SandboxProcess(executions=2, **WORLD) as sandbox:
        place = MotherDuckPlaceWithoutViews(tmp_path / "place", sandbox, server, **SETTINGS)
        place.env["MOTHERDUCK_TOKEN"] = place.env.pop(f"{OWN}__PASSWORD")
        assert "The warehouse is motherduck analytics." in place.run("check", "paragon").stdout


def test_a_machine_without_the_extension_loses_nothing(server: MotherDuck, tmp_path: Path) -> None:
    """Where DuckDB cannot load its extension, a command says so and ends with 4; the next sync loads what was fetched."""
    with SandboxProcess(executions=20, **WORLD) as sandbox:
        place = MotherDuckPlaceWithoutViews(tmp_path / "place", sandbox, server, **SETTINGS)
        server.is_reached = False
        for command in ("check", "sync", "status"):
            done = place.run(command, "paragon", expect=4)
            assert "cannot load its extension for MotherDuck" in done.stderr
            assert TOKEN not in done.stdout + done.stderr
        server.is_reached = True
        assert place.told("sync")["complete"]
        assert differences(place, sandbox) == PERFECT
        assert {address.partition("?")[0] for address in server.addresses} == {f"md:{DATABASE}"}
