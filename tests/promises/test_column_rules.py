"""Columns that settings exclude or hash: the values are in no file and no table, and everything else goes on working."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history.core.keyed_hash import KeyedHash, is_hash
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_dlt_source import PLAIN_RUN_THEN_SYNC, script
from tests.support.altering_proxy import altering, with_fields
from tests.support.place import Place
from tests.support.torture import rest_as_torture

KEY = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7"
HASH = KeyedHash(KEY)
PERSON = "zelda.quux@example.org"
PLACE_NAME = "Ouagadougou-Quux"
RANGE = ("--from", "2026-02-24", "--to", "2026-03-04")
WORLD: dict[str, Any] = {
    "executions": 60,
    "days": 3,
    "freeze": True,
    "seed": 4,
    "now": "2026-03-01T00:00:00Z",
}


@dataclass(frozen=True)
class Case:
    """What is excluded and hashed of a system: a documented column of each, and one that is not documented."""

    system: str
    excluded: str
    hashed: str


CASES = (
    Case("paragon", "step_executions.step_id", "workflow_executions.user_id"),
    Case("sailpoint", "execution_events.technical_name", "workflow_executions.request_id"),
    Case("twinit", "tasks.name", "workflow_runs.name"),
    Case("b3os", "run_nodes.node_id", "executions.source_system"),
)


def main_table(system: str) -> str:
    return systems.find(system).executions.name


@contextmanager
def place_of(folder: Path, case: Case, **settings: Any) -> Iterator[tuple[Place, SandboxProcess]]:
    """A place whose vendor sends two fields more in every row, one of them in some other capitals."""
    fields = {"contactEmail": json.dumps(PERSON), "birthPlace": json.dumps(PLACE_NAME)}

    def alter(path: str, body: bytes) -> bytes:
        return with_fields(body, fields, every=True)

    with (
        SandboxProcess(case.system, **WORLD) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        own: dict[str, Any] = {"start_date": "2026-02-20", "retention_days": 0, "integrations": None}
        yield Place(folder, sandbox, system=case.system, base_url=url, **own, **settings), sandbox


def rules(case: Case) -> dict[str, Any]:
    return {
        "exclude_columns": [case.excluded, "*.birth_place"],
        "hash_columns": [case.hashed, "*.contact_email"],
        "hash_key": KEY,
    }


def values(place: Place, column: str) -> list[Any]:
    table, name = column.split(".")
    return [
        value for (value,) in place.query(f"SELECT {name} FROM {place.system}.{table}") if value is not None
    ]


def files_with(folder: Path, text: str) -> list[str]:
    """The files under the folder that hold the text."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def test_nothing_excluded_or_hashed_is_written(tmp_path: Path) -> None:
    """Neither the warehouse nor the working folder holds the values, and an audit is clean."""
    case = CASES[0]
    with place_of(tmp_path, case, **rules(case)) as (place, sandbox):
        place.sync()
        sandbox.advance(3 * 86_400)
        place.sync()
        audit = json.loads(place.run("audit", case.system, "--thorough", "--json", *RANGE).stdout)
    assert audit["clean"], audit
    assert values(place, case.excluded) == []
    assert all(map(is_hash, values(place, case.hashed)))
    assert set(values(place, f"{main_table(case.system)}.contact_email")) == {HASH.of(PERSON)}
    for text in (PERSON, PLACE_NAME):
        assert files_with(tmp_path, text) == []


@pytest.mark.torture
@pytest.mark.usefixtures("views")
@pytest.mark.parametrize("case", CASES, ids=[case.system for case in CASES])
def test_nothing_excluded_or_hashed_is_written_anywhere(tmp_path: Path, case: Case) -> None:
    """Neither the warehouse nor the working folder holds the values; audits are clean, and views work."""
    with place_of(tmp_path, case, **rules(case)) as (place, sandbox):
        place.sync()
        sandbox.advance(3 * 86_400)
        last = place.sync()
        audit = json.loads(place.run("audit", case.system, "--thorough", "--json", *RANGE).stdout)
    assert last["complete"], last
    assert audit["clean"], audit
    assert values(place, case.excluded) == []
    hashes = values(place, case.hashed)
    assert hashes
    assert all(map(is_hash, hashes))
    assert set(values(place, f"{main_table(case.system)}.contact_email")) == {HASH.of(PERSON)}
    for text in (PERSON, PLACE_NAME):
        assert files_with(tmp_path, text) == []
    with place.reading() as query:
        for (view,) in query("SELECT view_name FROM duckdb_views() WHERE schema_name = 'task_history'"):
            query(f"SELECT * FROM task_history.{view}")


@pytest.mark.parametrize(
    ("case", "is_long"),
    rest_as_torture([*((case, True) for case in CASES), (CASES[0], False)], [(CASES[0], False)]),
    ids=lambda value: value.system if isinstance(value, Case) else ("long" if value else "short"),
)
def test_values_of_before_are_named_and_erased(tmp_path: Path, case: Case, is_long: bool) -> None:
    """A sync after the setting was added names what is stored; ``--erase-old-values`` removes it."""
    with place_of(tmp_path, case) as (place, sandbox):
        place.sync()
        before = values(place, case.hashed)
        assert set(values(place, f"{main_table(case.system)}.contact_email")) == {PERSON}
        place.set(**rules(case))
        checked = json.loads(place.run("check", case.system, "--destination", "duckdb", "--json").stdout)
        named = place.sync()["stderr"]
        again = place.sync()["stderr"] if is_long else ""
        assert values(place, case.excluded)
        erased = later = place.sync("--erase-old-values")
        if is_long:
            sandbox.advance(86_400)
            later = place.sync()
    assert {one["column"]: bool(one["stored_values"]) for one in checked["columns"]} == dict.fromkeys(
        (case.excluded, "*.birth_place", case.hashed, "*.contact_email"), True
    )
    assert "old_values_stay" in named
    assert "--erase-old-values" in named
    assert "old_values_stay" not in again
    assert erased["erased_values"][case.excluded] > 0
    assert later["complete"]
    assert values(place, case.excluded) == []
    assert values(place, f"{main_table(case.system)}.birth_place") == []
    assert set(values(place, f"{main_table(case.system)}.contact_email")) == {HASH.of(PERSON)}
    assert {HASH.of(value) for value in before} <= set(values(place, case.hashed))
    for text in (PERSON, PLACE_NAME):
        assert files_with(tmp_path, text) == []


@pytest.mark.torture
def test_values_of_before_are_erased_from_a_column_that_is_named_otherwise(tmp_path: Path) -> None:
    """A rule names a field by the vendor's key, of which the warehouse's name for the column may keep nothing."""
    fields = {
        "\u540d\u524d": json.dumps(PERSON),
        "\u4f4f\u6240": json.dumps(PLACE_NAME),
        "e+mail*": json.dumps(PERSON),
        "\u96fb\u8a71": '"stays"',
    }
    with (
        SandboxProcess(**WORLD) as sandbox,
        altering(sandbox.base_url, lambda _, body: with_fields(body, fields, every=True)) as url,
    ):
        place = Place(tmp_path, sandbox, base_url=url, start_date="2026-02-20", integrations=None)
        place.sync()
        ((columns,),) = place.query(
            "SELECT list(column_name) FROM paragon.vendor_fields WHERE table_name = 'workflow_executions'"
        )
        place.set(
            exclude_columns=["*.\u540d\u524d", "*.e+mail*"], hash_columns=["*.\u4f4f\u6240"], hash_key=KEY
        )
        place.sync("--erase-old-values")
    for text in (PERSON, PLACE_NAME):
        assert files_with(tmp_path, text) == []
    stored = {str(value) for name in columns for value in values(place, f"workflow_executions.{name}")}
    assert stored == {"stays", HASH.of(PLACE_NAME)}


@pytest.mark.parametrize("named_by", rest_as_torture(["column", "key", "either"], ["either"]))
def test_a_field_without_ascii_letters_is_ruled_by_its_key_and_by_its_column(
    tmp_path: Path, named_by: str
) -> None:
    """For rows of before and for new ones; ``check`` counts the values, and no rule is called unknown."""
    keys = ("\u540d\u524d", "e+\u00e9", "\u96fb_\u8a71")
    fields = {**dict.fromkeys(keys, json.dumps(PERSON)), "note": '"stays"'}
    with (
        SandboxProcess(**WORLD) as sandbox,
        altering(sandbox.base_url, lambda _, body: with_fields(body, fields, every=True)) as url,
    ):
        place = Place(
            tmp_path, sandbox, base_url=url, start_date="2026-02-20", integrations=None, steps="none"
        )
        place.sync()
        columns = dict(
            place.query(
                "SELECT field, column_name FROM paragon.vendor_fields WHERE table_name = 'workflow_executions'"
            )
        )
        by_column = {"column": keys, "key": (), "either": keys[1:]}[named_by]
        names = [columns[key] if key in by_column else key for key in keys]
        place.set(exclude_columns=[f"*.{name}" for name in names])
        checked = json.loads(place.run("check", "paragon", "--destination", "duckdb", "--json").stdout)
        assert all(entry["stored_values"] for entry in checked["columns"])
        sandbox.advance(24 * 3600)
        later = place.sync("--erase-old-values")
        assert "column_not_known" not in later["stderr"]
        assert later["rows"]["workflow_executions"]
        assert {
            value for key in keys for value in values(place, f"workflow_executions.{columns[key]}")
        } == set()
        assert set(values(place, f"workflow_executions.{columns['note']}")) == {"stays"}
    assert files_with(tmp_path, PERSON) == []


def test_another_key_is_noticed(tmp_path: Path) -> None:
    """A run with another key ends with 3 and asks for nothing, unless it was changed on purpose; no key is shown."""
    case = CASES[0]
    other = KEY[::-1]
    with place_of(tmp_path, case, steps="none", **rules(case)) as (place, sandbox):
        place.sync()
        place.set(hash_key=other)
        requests = len(sandbox.requests())
        refused = [
            place.run(command, "paragon", *words, expect=3)
            for command, *words in (("sync",), ("backfill", *RANGE))
        ]
        assert len(sandbox.requests()) == requests
        sandbox.advance(86_400)
        place.sync("--new-hash-key")
    for done in refused:
        assert "hash_key is another key" in done.stderr
        assert "--new-hash-key" in done.stderr
        assert KEY not in done.stderr
        assert other not in done.stderr
    assert {HASH.of(PERSON), KeyedHash(other).of(PERSON)} == set(
        values(place, "workflow_executions.contact_email")
    )
    assert files_with(tmp_path, KEY) == files_with(tmp_path, other) == []


def test_filter_by_a_hashed_column(tmp_path: Path) -> None:
    """A backfill of one user loads that user's executions, and notes nowhere who it was."""
    case = CASES[0]
    with place_of(tmp_path, case, hash_columns=["*.user_id"], hash_key=KEY) as (place, sandbox):
        users = [row["userId"] for row in sandbox.truth()]
        user = max(users, key=users.count)
        loaded = json.loads(
            place.run("backfill", "paragon", *RANGE, "--user", user, "--steps", "all", "--json").stdout
        )
        audit = json.loads(place.run("audit", "paragon", *RANGE, "--user", user, "--json").stdout)
        place.set(hash_columns=None, exclude_columns=["*.user_id"])
        refused = place.run("backfill", "paragon", *RANGE, "--user", user, expect=2)
    assert loaded["executions"] == users.count(user) > 0
    assert loaded["complete"]
    assert audit["clean"], audit
    assert set(values(place, "workflow_executions.user_id")) == {HASH.of(user)}
    assert values(place, "coverage.filters")
    assert files_with(tmp_path, user) == []
    assert "exclude_columns keeps workflow_executions.user_id out" in refused.stderr


@pytest.mark.torture
@pytest.mark.parametrize("case", CASES, ids=[case.system for case in CASES])
def test_a_stored_hash_is_kept_when_its_execution_settles(tmp_path: Path, case: Case) -> None:
    """A hash that is read back, because the last state of an open execution lacks the field, stays that hash."""
    is_first = True

    def alter(_: str, body: bytes) -> bytes:
        return with_fields(body, {"contactEmail": json.dumps(PERSON)}, every=True) if is_first else body

    world = {**WORLD, "open_days": 3}
    with SandboxProcess(case.system, **world) as sandbox, altering(sandbox.base_url, alter) as url:
        own: dict[str, Any] = {"start_date": "2026-02-20", "retention_days": 0, "integrations": None}
        place = Place(tmp_path, sandbox, system=case.system, base_url=url, **own, **rules(case))
        place.sync()
        table, sql = main_table(case.system), "SELECT count(*) FROM {} WHERE is_open"
        before = place.query(sql.format(f"{case.system}.{table}"))[0][0]
        is_first = False
        sandbox.advance(9 * 86_400)
        place.sync()
    assert before > place.query(sql.format(f"{case.system}.{table}"))[0][0]
    assert set(values(place, f"{table}.contact_email")) <= {HASH.of(PERSON)}
    assert set(values(place, case.hashed)) <= {
        value for value in values(place, case.hashed) if is_hash(value)
    }


@pytest.mark.torture
def test_rules_of_a_dlt_source(tmp_path: Path) -> None:
    """A source in a script keeps the rules as well, in ``pipeline.run`` and in ``task_history.sync``."""
    with SandboxProcess("paragon", **WORLD) as sandbox:
        truth = {row["id"]: row for row in sandbox.truth()}
        settings = sandbox.settings | {
            "start_date": "2026-02-20",
            "retention_days": 0,
            "rate_limit_requests": 0,
            "exclude_columns": ["workflow_executions.task_count"],
            "hash_columns": ["*.user_id"],
            "hash_key": KEY,
        }
        done = script(tmp_path, PLAIN_RUN_THEN_SYNC, "paragon", json.dumps(settings))
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(tmp_path / "task_history_paragon.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT id, user_id, task_count FROM paragon.workflow_executions"
        ).fetchall()
    assert {row[0] for row in rows} == truth.keys()
    for identity, user, count in rows:
        assert count is None
        assert user == (HASH.of(truth[identity]["userId"]) if truth[identity]["userId"] else user)
    assert files_with(tmp_path, KEY) == []
