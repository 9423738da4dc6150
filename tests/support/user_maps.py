"""A file of ``user_map`` for an account that is synced, and what the views then say, in any warehouse."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from task_history.warehouse.sql_text import DUCKDB, quoted_text
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.few_views import few_views
from tests.support.place import Place

Facts = tuple[str | None, str | None, str | None]
ODD_NAMES = ("O'Neil; -- \\ & 100%s", 'Müller "GmbH"', "{customer}", "50 % off;")
"""Names of customers that mean something in SQL, in Python's formats or in a script of statements."""
QUIET: dict[str, Any] = {"steps": "none"}
"""Settings without requests for details."""
WORLD: dict[str, Any] = {"executions": 60, "seed": 5, "freeze": True}
"""Options of the sandbox's worlds."""
HASH_KEY = "a key of more than sixteen characters"
QUERY = (
    "-- ours\nWITH own AS (SELECT * FROM crm.customers WHERE customer NOT LIKE '%%s;-- %nothing')\n"
    "SELECT user_id AS user_id, customer, plan, region FROM own; -- all of them"
)
"""A query with all that a query may hold, of the table that ``queried_table`` makes."""
VIEWS = ("customer_health", "usage_by_user", "user_activity", "billing_tasks")


@pytest.fixture
def user_views() -> Iterator[None]:
    """Of the views there are those that tell of users, and what they read."""
    with few_views("users", "executions", *VIEWS):
        yield


def facts_of(users: list[str]) -> dict[str, Facts]:
    """Something about each user but the first, who stays unknown."""
    return {
        user: (ODD_NAMES[number % len(ODD_NAMES)], "pro" if number % 2 else None, f"r{number % 3}")
        for number, user in enumerate(users[1:])
    }


def write_csv(path: Path, facts: Mapping[str, Facts]) -> None:
    """The file that says so."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("user_id", "customer", "plan", "region"))
        rows.writerows((user, *(fact or "" for fact in own)) for user, own in facts.items())


def users_of(sandbox: SandboxProcess) -> list[str]:
    """The users of Paragon's executions, in order."""
    return sorted({str(row["userId"]) for row in sandbox.truth() if row.get("userId")})


def users_that_ran(place: Place) -> list[str]:
    """The users in the views, in order."""
    rows = place.query(
        "SELECT DISTINCT user_id FROM task_history.executions WHERE user_id IS NOT NULL AND user_id <> '' ORDER BY 1"
    )
    return [str(user) for (user,) in rows]


def shown(place: Place, view: str) -> dict[str, set[Facts]]:
    """What a view says of each user."""
    found: dict[str, set[Facts]] = {}
    for user, *facts in place.query(f"SELECT user_id, customer, plan, region FROM task_history.{view}"):
        found.setdefault(str(user or ""), set()).add(tuple(facts))
    return found


def check_views(place: Place, facts: Mapping[str, Facts]) -> None:
    """Every view says of each user what the file says, of others nothing, and counts each execution once."""
    assert shown(place, "users") == {user: {own} for user, own in facts.items()}
    for view in VIEWS:
        found = shown(place, view)
        assert found
        nothing = (None, None, None)
        assert found == {user: {facts.get(user, nothing)} for user in found}
        counted = place.query(f"SELECT sum(executions) FROM task_history.{view}")
        assert counted == place.query("SELECT count(*) FROM task_history.executions")


def check_round(place: Place, folder: Path, *on: str) -> None:
    """A synced account gets a file, another one, and none again: the views follow, and are made only when it changes."""
    users = users_that_ran(place)
    assert len(users) > 2
    first, second = facts_of(users), {users[0]: ("Only one", None, None)}
    path = folder / "users.csv"
    place.set(user_map=str(path))
    for facts in (first, second):
        write_csv(path, facts)
        place.run("sync", place.system, *on)
        check_views(place, facts)
    entered = place.query("SELECT * FROM task_history.accounts")
    assert "views_created" not in place.run("sync", place.system, *on).stderr
    assert place.query("SELECT * FROM task_history.accounts") == entered
    [status] = json.loads(place.run("status", place.system, "--json", *on).stdout)["systems"]
    ran = len(users)
    assert status["user_map"] == {"users": 1, "ran": ran, "unknown": ran - 1, "first_unknown": users[1]}
    place.set(user_map=None)
    place.run("sync", place.system, *on)
    check_views(place, {})


def queried_table(facts: Mapping[str, Facts], dialect: str = DUCKDB) -> list[str]:
    """The statements that make a table ``crm.customers`` which says so."""
    values = ", ".join(
        f"({', '.join('NULL' if one is None else quoted_text(one, dialect) for one in (user, *own))})"
        for user, own in facts.items()
    )
    types = "user_id VARCHAR(200), customer VARCHAR(200), plan VARCHAR(200), region VARCHAR(200)"
    return [
        "CREATE SCHEMA IF NOT EXISTS crm",
        "DROP TABLE IF EXISTS crm.customers",
        f"CREATE TABLE crm.customers ({types})",
        *([f"INSERT INTO crm.customers VALUES {values}"] if facts else []),
    ]


def check_queried_round(place: Place, execute: Callable[..., None], *on: str) -> None:
    """The views follow a table that changes, then a query with all that a query may hold, then none."""
    users, dialect = users_that_ran(place), on[-1] if on else DUCKDB
    first, second = facts_of(users), {users[0]: ("Only 50 %s", None, None)}
    for source, facts in (("crm.customers", first), (QUERY, {}), (QUERY, second)):
        place.set(user_map=source)
        execute(*queried_table(facts, dialect))
        place.run("sync", place.system, *on)
        check_views(place, facts)
    entered = place.query("SELECT * FROM task_history.accounts")
    assert "views_created" not in place.run("sync", place.system, *on).stderr
    assert place.query("SELECT * FROM task_history.accounts") == entered
    [status] = json.loads(place.run("status", place.system, "--json", *on).stdout)["systems"]
    assert (status["user_map"]["users"], status["user_map"]["first_unknown"]) == (1, users[1])
    assert "are not in user_map, such as " in place.run("check", place.system, *on).stdout
    place.set(user_map=None)
    place.run("sync", place.system, *on)
    check_views(place, {})
