"""The setting ``user_map`` on Postgres: the views follow the file as in a DuckDB file, and forget erases its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace
from tests.support.user_maps import (
    check_queried_round,
    check_round,
    check_views,
    facts_of,
    queried_table,
    shown,
    user_views,
    users_of,
    users_that_ran,
    write_csv,
)

__all__ = ["user_views"]

QUERY = "-- ours\nSELECT * FROM crm.customers WHERE customer NOT LIKE '%%s;-- %nothing'; -- all of them"
"""One that holds what means something in Python's formats or in a script of statements."""


@pytest.mark.usefixtures("user_views")
def test_the_views_follow_the_file_and_a_forgotten_user_does_not_come_back(
    postgres: Server, tmp_path: Path
) -> None:
    """Neither by the next sync nor by a later file that names the person.

    A registry of the version before gets the column that it lacks.
    """
    with SandboxProcess(executions=60, seed=5, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none", integrations=None)
        place.told("sync")
        place.execute("ALTER TABLE task_history.accounts DROP COLUMN user_map")
        users, path = users_that_ran(place), tmp_path / "users.csv"
        facts, (person, other) = facts_of(users), users[1:3]
        place.set(user_map=str(path))
        write_csv(path, facts)
        place.told("sync")
        check_views(place, facts)
        assert place.told("forget", "--user", person, "--yes")["tables"]["user_map"] == 1
        write_csv(path, {person: ("A", None, None), other: ("C", None, None)})
        place.told("sync")
        assert shown(place, "users") == {other: {("C", None, None)}}


@pytest.mark.usefixtures("user_views")
def test_the_views_follow_the_customers_table(postgres: Server, tmp_path: Path) -> None:
    """As in a DuckDB file; a query that writes is refused, and changes nothing."""
    with SandboxProcess(executions=60, seed=5, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none", integrations=None)
        users = users_of(sandbox)
        place.set(user_map=QUERY)
        for facts in (facts_of(users), {users[0]: ("Only 50 %s", None, None)}):
            place.execute(*queried_table(facts, "postgres"))
            place.told("sync")
            check_views(place, facts)
        for query in (
            "WITH gone AS (DELETE FROM crm.customers RETURNING *) SELECT * FROM gone",
            "SELECT * INTO crm.more FROM crm.customers",
            "SELECT * FROM crm.customers FOR UPDATE",
        ):
            place.set(user_map=query)
            assert "one SELECT that only reads" in place.run("sync", "paragon", *ON_POSTGRES, expect=3).stderr
        assert place.query("SELECT count(*) FROM crm.customers") == [(1,)]


@pytest.mark.torture
@pytest.mark.parametrize("source", ["file", "table"])
def test_the_views_follow_what_comes_and_goes(postgres: Server, tmp_path: Path, source: str) -> None:
    """As in a DuckDB file: one file or table, another one, and none again."""
    with SandboxProcess(executions=60, seed=5, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none")
        place.told("sync")
        if source == "file":
            check_round(place, tmp_path, *ON_POSTGRES)
        else:
            check_queried_round(place, place.execute, *ON_POSTGRES)
