"""What the setting ``user_map`` says of users stands in the views, and nothing of it that may not be stored."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture
from tests.support.user_maps import (
    HASH_KEY,
    QUIET,
    VIEWS,
    WORLD,
    check_round,
    check_views,
    facts_of,
    shown,
    user_views,
    users_of,
    users_that_ran,
    write_csv,
)

__all__ = ["user_views"]

pytestmark = pytest.mark.usefixtures("views", "user_views")

PERSON = {"paragon": "workflow_executions.user_id", "b3os": "*.triggered_by"}


def test_the_views_have_what_the_file_says(tmp_path: Path) -> None:
    """With any characters; without a file nothing is left of it."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        facts = facts_of(users_of(sandbox))
        write_csv(tmp_path / "users.csv", facts)
        place.set(user_map=str(tmp_path / "users.csv"))
        place.run("sync", "paragon")
        check_views(place, facts)
        [status] = json.loads(place.run("status", "paragon", "--json").stdout)["systems"]
        assert (status["user_map"]["users"], status["user_map"]["unknown"]) == (len(facts), 1)
        ran = users_that_ran(place)
        for words in (("check", "paragon"), ("status", "paragon")):
            said = place.run(*words).stdout
            assert f"1 of the {len(ran)} users that ran are not in user_map, such as {ran[0]}" in said
        place.set(user_map=None)
        place.run("sync", "paragon")
        check_views(place, {})


@pytest.mark.torture
@pytest.mark.parametrize("system", ["paragon", "b3os"])
def test_the_views_follow_the_file(tmp_path: Path, system: str) -> None:
    """Each sync takes the file as it is then, with any characters; without a file nothing is left of it."""
    with SandboxProcess(system, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox, system=system, **QUIET)
        place.run("sync", system)
        check_round(place, tmp_path)


@pytest.mark.torture
def test_a_file_that_is_wrong_stops_before_anything_is_read(tmp_path: Path) -> None:
    """``sync`` and ``check`` end with 3, name line and value, and send nothing; the views keep what they have."""
    with SandboxProcess(**WORLD) as sandbox:
        path = tmp_path / "users.csv"
        place = Place(tmp_path, sandbox, **QUIET)
        facts = facts_of(users_of(sandbox))
        write_csv(path, facts)
        place.set(user_map=str(path))
        place.run("sync", "paragon")
        path.write_text("user_id,customer\nu1,Acme\nu1,Other\n")
        sandbox.reset_counters()
        for words in (("sync", "paragon"), ("check", "paragon"), ("status", "paragon")):
            said = place.run(*words, expect=3).stderr
            assert "user_map" in said
            assert "line 3: 'u1' is customer 'Other' here and customer 'Acme' in line 2" in said
        assert not sandbox.counters().get("status_200")
        place.run("views")
        check_views(place, facts)


@pytest.mark.torture
def test_users_that_ran_and_are_not_in_the_file_are_named(tmp_path: Path) -> None:
    """By ``check`` of the executions that it looks at, by ``status`` of all that are loaded."""
    with SandboxProcess(**WORLD) as sandbox:
        path = tmp_path / "users.csv"
        place = Place(tmp_path, sandbox, **QUIET)
        place.run("sync", "paragon")
        users = users_that_ran(place)
        write_csv(path, facts_of(users))
        place.set(user_map=str(path))
        for words in (("check", "paragon"), ("status", "paragon")):
            said = place.run(*words).stdout
            assert f"1 of the {len(users)} users that ran are not in user_map, such as {users[0]}" in said
        write_csv(path, dict.fromkeys(users, ("Acme", None, None)))
        for words in (("check", "paragon"), ("status", "paragon")):
            assert f"user_map names each of the {len(users)} users that ran" in place.run(*words).stdout


@pytest.mark.torture
def test_a_row_that_is_there_twice_doubles_nothing(tmp_path: Path) -> None:
    """Two machines that store the same file at once may leave two rows of a user: views still count once."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        facts = facts_of(users_of(sandbox))
        write_csv(tmp_path / "users.csv", facts)
        place.set(user_map=str(tmp_path / "users.csv"))
        place.run("sync", "paragon")
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("INSERT INTO task_history.user_map SELECT * FROM task_history.user_map")
        check_views(place, facts)


@pytest.mark.parametrize("rule", rest_as_torture(["hash_columns", "exclude_columns"], ["exclude_columns"]))
def test_ids_that_may_not_be_stored_are_not(tmp_path: Path, rule: str) -> None:
    """Where the executions' column is hashed, users join by the same hash; where it is excluded, no row is stored."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        users = users_of(sandbox)
        facts = facts_of(users)
        write_csv(tmp_path / "users.csv", facts)
        place.set(user_map=str(tmp_path / "users.csv"), hash_key=HASH_KEY, **{rule: ["*.user_id"]})
        place.run("sync", "paragon")
        rows = place.query("SELECT * FROM task_history.users")
        assert not [user for user in users if user in str(rows)]
        if rule == "exclude_columns":
            assert rows == []
            return
        assert len(rows) == len(facts)
        for view in VIEWS:
            known = {own for of_user in shown(place, view).values() for own in of_user} - {(None, None, None)}
            assert known == set(facts.values())
        [status] = json.loads(place.run("status", "paragon", "--json").stdout)["systems"]
        assert status["user_map"]["unknown"] == 1


@pytest.mark.parametrize("hashed", rest_as_torture([False, True], [True]))
def test_a_forgotten_user_does_not_come_back(tmp_path: Path, hashed: bool) -> None:
    """``forget`` erases the person's row, and no later file that names the person brings it back."""
    with SandboxProcess(**WORLD) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        if hashed:
            place.set(hash_key=HASH_KEY, hash_columns=["*.user_id"])
        users = users_of(sandbox)
        person, secret = users[1], "Of the forgotten"
        facts = dict.fromkeys(users, ("Acme", None, None)) | {person: (secret, None, None)}
        write_csv(tmp_path / "users.csv", facts)
        place.set(user_map=str(tmp_path / "users.csv"))
        place.run("sync", "paragon")
        customers = "SELECT customer FROM task_history.users WHERE customer <> 'Acme'"
        assert place.query(customers) == [(secret,)]
        erased = json.loads(place.run("forget", "paragon", "--user", person, "--yes", "--json").stdout)
        assert erased["tables"]["user_map"] == 1
        assert place.query(customers) == []
        assert secret.encode() not in place.file.read_bytes()
        place.run("sync", "paragon")
        assert place.query(customers) == []
        write_csv(tmp_path / "users.csv", {**facts, "new user": ("Newer", None, None)})
        place.run("sync", "paragon")
        assert place.query(customers) == [("Newer",)]


def test_a_configuration_without_the_account_leaves_its_users(tmp_path: Path) -> None:
    """Views that it makes still show them, and a table that was dropped by hand is filled again by the account's sync."""
    with (
        SandboxProcess(**WORLD) as sandbox,
        SandboxProcess(executions=10, seed=7, freeze=True) as other_world,
    ):
        place = Place(tmp_path, sandbox, **QUIET)
        facts = facts_of(users_of(sandbox))
        write_csv(tmp_path / "users.csv", facts)
        place.set(user_map=str(tmp_path / "users.csv"))
        place.run("sync", "paragon")
        (tmp_path / "other").mkdir()
        other = Place(tmp_path / "other", other_world, dataset_name="other", **QUIET)
        other.env["DESTINATION__DUCKDB__CREDENTIALS"] = str(place.file)
        other.run("sync", "paragon")
        assert shown(place, "users") == {user: {own} for user, own in facts.items()}
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("DROP TABLE task_history.user_map")
        place.run("sync", "paragon")
        assert shown(place, "users") == {user: {own} for user, own in facts.items()}
