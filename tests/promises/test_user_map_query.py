"""The setting ``user_map`` as a table or query of the warehouse: read at each sync, and only read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture
from tests.support.user_maps import (
    HASH_KEY,
    QUERY,
    QUIET,
    WORLD,
    Facts,
    check_queried_round,
    check_views,
    facts_of,
    queried_table,
    shown,
    user_views,
    users_of,
)

__all__ = ["user_views"]

pytestmark = pytest.mark.usefixtures("views")


def execute(place: Place, *statements: str) -> None:
    """Runs statements of the company in its warehouse."""
    with duckdb.connect(str(place.file)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.usefixtures("user_views")
def test_the_views_follow_a_query(tmp_path: Path) -> None:
    """Each sync takes what a query, with all that a query may hold, gives then."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        users = users_of(sandbox)
        place.set(user_map=QUERY)
        given: list[dict[str, Facts]] = [facts_of(users), {users[0]: ("50 %s", None, None)}]
        for facts in given:
            execute(place, *queried_table(facts))
            place.run("sync", "paragon")
            check_views(place, facts)


@pytest.mark.torture
@pytest.mark.usefixtures("user_views")
@pytest.mark.parametrize("system", ["paragon", "b3os"])
def test_the_views_follow_the_customers_table(tmp_path: Path, system: str) -> None:
    """Each sync takes a table, or a query, as it is then; without the setting nothing is left of it."""
    with SandboxProcess(system, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox, system=system, **QUIET)
        place.run("sync", system)
        check_queried_round(place, lambda *statements: execute(place, *statements))


WRONG = {
    "another table": ("crm.nothing", "nothing"),
    "another column": ("SELECT id, company AS customer FROM crm.people", "lacks user_id"),
    "a misspelled column": (
        "SELECT id AS userid, company AS customer FROM crm.people",
        "Did you mean user_id?",
    ),
    "no fact": ("SELECT id AS user_id FROM crm.people", "lacks customer, plan and region"),
    "a user twice": (
        "SELECT id AS user_id, company AS customer FROM crm.people UNION ALL SELECT id, 'Other' FROM crm.people",
        "'u1' is customer 'Other' here and customer 'Acme' in row",
    ),
    "no user": (
        "SELECT nullif(id, 'u1') AS user_id, company AS customer FROM crm.people",
        "user_id is empty",
    ),
    "a list": ("SELECT id AS user_id, [company] AS customer FROM crm.people", "which is no text"),
    "no SQL": ("SELECT FROM WHERE", "user_map"),
    "a deletion": ("DELETE FROM crm.people", "one SELECT that only reads"),
    "two statements": (
        "SELECT id AS user_id, company AS customer FROM crm.people; DROP TABLE crm.people",
        "one SELECT that only reads",
    ),
    "a comment that ends brackets": (
        "SELECT id AS user_id, company AS customer FROM crm.people) AS x; DROP TABLE crm.people --",
        "user_map",
    ),
    "a table made": ("CREATE TABLE crm.more AS SELECT * FROM crm.people", "one SELECT that only reads"),
    "another file": ("COPY crm.people TO 'out.csv'", "one SELECT that only reads"),
}


@pytest.mark.parametrize(
    "name",
    rest_as_torture(
        WRONG,
        ("another table", "a user twice", "two statements", "a comment that ends brackets", "another file"),
    ),
)
def test_a_query_that_is_wrong_stops_before_anything_is_read(
    wrong_place: tuple[Place, SandboxProcess], name: str
) -> None:
    """``sync``, ``check`` and ``status`` end with 3 and say what is wrong; nothing is changed, views keep their users."""
    (place, sandbox), (query, expected) = wrong_place, WRONG[name]
    tables = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'crm'"
    before = (place.query(tables), place.query("SELECT * FROM task_history.users ORDER BY ALL"))
    place.set(user_map=query)
    sandbox.reset_counters()
    for words in (("sync", "paragon"), ("check", "paragon"), ("status", "paragon")):
        said = place.run(*words, expect=3).stderr
        assert expected in said
        assert "user_map" in said
    assert not sandbox.counters().get("status_200")
    assert (place.query(tables), place.query("SELECT * FROM task_history.users ORDER BY ALL")) == before


@pytest.fixture(scope="module")
def wrong_place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An account that was synced with a table of customers."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path_factory.mktemp("wrong"), sandbox, **QUIET)
        execute(
            place,
            "CREATE SCHEMA crm",
            "CREATE TABLE crm.people AS SELECT 'u1' AS id, 'Acme' AS company",
        )
        place.set(user_map="SELECT id AS user_id, company AS customer FROM crm.people")
        place.run("sync", "paragon")
        yield place, sandbox


@pytest.mark.usefixtures("user_views")
@pytest.mark.parametrize("rule", rest_as_torture(["hash_columns", "exclude_columns"], ["hash_columns"]))
def test_ids_that_may_not_be_stored_are_not(tmp_path: Path, rule: str) -> None:
    """As for files: a hashed column joins by its hash, and of an excluded one no row is stored."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        users = users_of(sandbox)
        facts = facts_of(users)
        execute(place, *queried_table(facts))
        place.set(user_map="crm.customers", hash_key=HASH_KEY, **{rule: ["*.user_id"]})
        place.run("sync", "paragon")
        rows = place.query("SELECT * FROM task_history.users")
        assert not [user for user in users if user in str(rows)]
        assert len(rows) == (len(facts) if rule == "hash_columns" else 0)


@pytest.mark.torture
@pytest.mark.usefixtures("user_views")
def test_a_forgotten_user_does_not_come_back(tmp_path: Path) -> None:
    """``forget`` erases the person's row, and no later query that names the person brings it back."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        person, *others = users_of(sandbox)
        facts: dict[str, Any] = dict.fromkeys([person, *others], ("Acme", None, None))
        execute(place, *queried_table(facts))
        place.set(user_map="crm.customers")
        place.run("sync", "paragon")
        check_views(place, facts)
        erased = json.loads(place.run("forget", "paragon", "--user", person, "--yes", "--json").stdout)
        assert erased["tables"]["user_map"] == 1
        execute(place, "INSERT INTO crm.customers VALUES ('new', 'Newer', NULL, NULL)")
        place.run("sync", "paragon")
        assert shown(place, "users").keys() == {*others, "new"}


@pytest.mark.usefixtures("user_views")
def test_other_commands_run_no_query(tmp_path: Path) -> None:
    """Views of another configuration take what the last sync stored."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        facts = facts_of(users_of(sandbox))
        execute(place, *queried_table(facts))
        place.set(user_map="crm.customers")
        place.run("sync", "paragon")
        execute(place, "DROP TABLE crm.customers")
        assert "user_map_skipped" in place.run("views").stderr
        check_views(place, facts)


@pytest.mark.torture
def test_the_report_runs_no_query(tmp_path: Path) -> None:
    """It takes what the last sync stored."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        execute(place, *queried_table(facts_of(users_of(sandbox))))
        place.set(user_map="crm.customers")
        place.run("sync", "paragon")
        execute(place, "DROP TABLE crm.customers")
        assert "user_map" not in place.run("report").stderr
