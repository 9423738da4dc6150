"""A person is forgotten on Postgres as in a DuckDB file."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import (
    NOW,
    ON_POSTGRES,
    PostgresPlace,
    PostgresPlaceWithoutViews,
)
from tests.promises.test_forget import KILLS, run_killed

MACHINE = ("DLT_DATA_DIR", "TASK_HISTORY_STATE_DIR")
"""The folders that each machine has for itself."""


def _mentions(place: PostgresPlace, words: list[str]) -> list[str]:
    """The tables, staging ones too, of which a row holds one of the words."""
    tables = place.query(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'paragon%' "
        "AND table_type = 'BASE TABLE'"
    )
    found = []
    for schema, table in tables:
        texts = place.query(f"SELECT t::text FROM {schema}.{table} AS t")
        if any(word in text for (text,) in texts for word in words):
            found.append(f"{schema}.{table}")
    return found


def _runs(sandbox: SandboxProcess, user: str) -> int:
    """How many executions the vendor has of the person."""
    return sum(row["userId"] == user for row in sandbox.truth())


def _ids_of(place: PostgresPlace, user: str) -> list[str]:
    """The ids of a person's executions, and of their steps."""
    rows = place.query(
        f"SELECT id FROM paragon.workflow_executions WHERE user_id = '{user}' UNION ALL "
        "SELECT s.id FROM paragon.step_executions AS s JOIN paragon.workflow_executions AS e "
        f"ON e.id = s.workflow_execution_id WHERE user_id = '{user}'"
    )
    return [key for (key,) in rows]


def _most_active(place: PostgresPlace) -> tuple[str, int]:
    """A person, and the number of the executions that are stored of them."""
    ((user, number),) = place.query(
        "SELECT user_id, count(*) FROM paragon.workflow_executions WHERE user_id IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )
    return user, number


def test_a_forgotten_person_is_in_no_table_and_comes_back_on_no_machine(
    postgres: Server, tmp_path: Path
) -> None:
    """After forget no table holds the id of the person or of their rows; a machine that never ran leaves them out."""
    with SandboxProcess(
        executions=40, seed=13, days=4, now=NOW, failed=0.3, future_hours=40, freeze=True
    ) as sandbox:
        place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, integrations=None, payloads="none")
        place.told("sync")
        user, number = _most_active(place)
        ids = _ids_of(place, user)
        assert "paragon.step_executions" in _mentions(place, ids)
        assert place.told("forget", "--user", user, "--yes")["tables"]["workflow_executions"] == number
        assert _mentions(place, [user, *ids]) == []
        place.env |= {name: str(tmp_path / "elsewhere" / name) for name in MACHINE}
        ran = _runs(sandbox, user)
        sandbox.advance(30 * 3600)
        assert _runs(sandbox, user) > ran
        assert place.told("sync")["complete"]
        assert _mentions(place, [user, *ids]) == []
        assert place.query("SELECT count(*) FROM paragon.coverage WHERE NOT is_verified") == [(0,)]


@pytest.mark.torture
def test_later_runs_of_any_kind_leave_a_forgotten_person_out(postgres: Server, tmp_path: Path) -> None:
    """Neither a sync nor a backfill nor an audit that repairs brings them back; the audit counts what is left out."""
    with SandboxProcess(
        executions=40, seed=13, days=4, now=NOW, failed=0.3, future_hours=40, open_days=0.05, freeze=True
    ) as sandbox:
        place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, integrations=None, retention_days=0)
        place.told("sync")
        user, number = _most_active(place)
        ids = _ids_of(place, user)
        shown = place.told("forget", "--user", user)
        done = place.told("forget", "--user", user, "--yes")
        assert done["tables"] == shown["tables"]
        assert done["tables"]["workflow_executions"] == number
        assert _mentions(place, [user, *ids]) == []
        ran = _runs(sandbox, user)
        sandbox.advance(20 * 3600)
        assert _runs(sandbox, user) > ran
        assert place.told("sync")["complete"]
        (start, end) = place.query("SELECT min(day)::date - 3, max(day)::date + 1 FROM paragon.coverage")[0]
        month = ("--from", str(start), "--to", str(end))
        place.run("backfill", "paragon", *ON_POSTGRES, *month)
        audit = place.told("audit", "--repair", *month)
        assert audit["left_out"] > 0
        assert place.query("SELECT count(*) FROM paragon.left_out_executions")[0][0] >= number
        assert audit["missing"] == audit["surplus"] == 0
        assert _mentions(place, [user, *ids]) == []
        assert place.query("SELECT count(*) FROM paragon.coverage WHERE NOT is_verified") == [(0,)]


@pytest.mark.torture
@pytest.mark.parametrize(("where", "name", "call"), KILLS, ids=str)
def test_an_erasure_whose_process_was_killed_is_ended_and_holds_on_another_machine(
    postgres: Server, tmp_path: Path, where: str, name: str, call: int
) -> None:
    """The same command ends it; a machine with a working folder of its own leaves the person out by its next sync."""
    with SandboxProcess(
        executions=30, seed=17, days=2, now=NOW, failed=0.3, future_hours=40, freeze=True
    ) as sandbox:
        place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, integrations=None, retention_days=0)
        elsewhere = {name: str(tmp_path / "elsewhere" / name) for name in MACHINE}
        here = {name: place.env[name] for name in MACHINE}
        place.told("sync")
        place.env |= elsewhere
        sandbox.advance(3600)
        place.told("sync")
        place.env |= here
        user, _ = _most_active(place)
        ids = _ids_of(place, user)
        words = ("forget", "paragon", "--user", user, "--yes", "--json", *ON_POSTGRES)
        run_killed(place, where, name, call, words)
        assert place.told("forget", "--user", user, "--yes")["erased"]
        assert _mentions(place, [user, *ids]) == []
        assert place.query("SELECT count(*), count(ended_at) FROM paragon.erasures") == [(1, 1)]
        place.env |= elsewhere
        ran = _runs(sandbox, user)
        sandbox.advance(30 * 3600)
        assert _runs(sandbox, user) > ran
        assert place.told("sync")["complete"]
        (start, end) = place.query("SELECT min(day)::date, max(day)::date FROM paragon.coverage")[0]
        audit = place.told("audit", "--repair", "--from", str(start), "--to", str(end))
        assert audit["missing"] == audit["surplus"] == 0
        assert _mentions(place, [user, *ids]) == []
