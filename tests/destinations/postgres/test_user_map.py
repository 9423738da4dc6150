"""The setting ``user_map`` on Postgres: the views follow the file as in a DuckDB file, and forget erases its row."""

from __future__ import annotations

from pathlib import Path

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace
from tests.support.user_maps import check_queried_round, check_round, shown, users_that_ran, write_csv


def test_the_views_follow_the_file(postgres: Server, tmp_path: Path) -> None:
    """Each sync takes the file as it is then; a registry of the version before gets the column that it lacks."""
    with SandboxProcess(executions=60, seed=5, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none")
        place.told("sync")
        place.execute("ALTER TABLE task_history.accounts DROP COLUMN user_map")
        check_round(place, tmp_path, *ON_POSTGRES)


def test_the_views_follow_the_customers_table(postgres: Server, tmp_path: Path) -> None:
    """As in a DuckDB file; a query that writes is refused, and changes nothing."""
    with SandboxProcess(executions=60, seed=5, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none")
        place.told("sync")
        check_queried_round(place, place.execute, *ON_POSTGRES)
        for query in (
            "WITH gone AS (DELETE FROM crm.customers RETURNING *) SELECT * FROM gone",
            "SELECT * INTO crm.more FROM crm.customers",
            "SELECT * FROM crm.customers FOR UPDATE",
        ):
            place.set(user_map=query)
            assert "one SELECT that only reads" in place.run("sync", "paragon", *ON_POSTGRES, expect=3).stderr
        assert place.query("SELECT count(*) FROM crm.customers") == [(1,)]


def test_a_forgotten_user_does_not_come_back(postgres: Server, tmp_path: Path) -> None:
    """Neither by the next sync nor by a later file that names the person."""
    with SandboxProcess(executions=60, seed=5, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none")
        place.told("sync")
        person, other = users_that_ran(place)[:2]
        place.set(user_map=str(tmp_path / "users.csv"))
        for rows in ({person: "A", other: "B"}, {person: "A", other: "C"}):
            write_csv(tmp_path / "users.csv", {user: (name, None, None) for user, name in rows.items()})
            place.told("sync")
            if rows[other] == "B":
                assert place.told("forget", "--user", person, "--yes")["tables"]["user_map"] == 1
                place.told("sync")
        assert shown(place, "users") == {other: {("C", None, None)}}
