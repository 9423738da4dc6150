"""What is stored of a person can be erased, and does not come back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.systems.protocol import System
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

WITH_PEOPLE = ("b3os", "paragon")
WORLD: dict[str, Any] = {"days": 8, "workflows": 4, "failed": 0.3, "open_days": 0.05, "freeze": True}


def forget(place: Place, user: str, *words: str, expect: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        place.run("forget", place.system, "--user", user, "--json", *words, expect=expect).stdout
    )
    return found


def people(place: Place, system: System) -> dict[str, Counter[str]]:
    """How many executions of each person are stored, by table."""
    return {
        one.executions.name: Counter(
            dict(
                place.query(
                    f"SELECT {one.person.column}, count(*) FROM {place.system}.{one.executions.name} "
                    f"WHERE {one.person.column} <> '' GROUP BY 1"
                )
            )
        )
        for one in (system, *system.companions)
        if one.person is not None
    }


def ids_of(place: Place, system: System, user: str) -> set[str]:
    """The ids of all rows that belong to a person's executions, of these and of their steps."""
    dataset, ids = place.system, set()
    for one in (system, *system.companions):
        assert one.person is not None
        table = f"{dataset}.{one.executions.name}"
        ids |= {row[0] for row in place.query(f"SELECT id FROM {table} WHERE {one.person.column} = '{user}'")}
        for column in one.person.linked:
            sql = (
                f"SELECT {column} FROM {table} WHERE {one.person.column} = '{user}' AND {column} IS NOT NULL"
            )
            ids |= {row[0] for row in place.query(sql)}
    for one in (system, *system.companions):
        sql = f"SELECT id, workflow_execution_id FROM {dataset}.{one.details.steps.name}"
        ids |= {key for key, parent in place.query(sql) if parent in ids}
    return ids


def traces(folder: Path, words: set[str]) -> dict[str, list[str]]:
    """Which of the words stand in which file below the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            there = [word for word in sorted(words) if word.encode() in content]
            if there:
                found[str(path.relative_to(folder))] = there[:3]
    return found


@pytest.fixture(params=WITH_PEOPLE)
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, SandboxProcess, System]]:
    name = request.param
    with SandboxProcess(name, executions=300, seed=5, future_hours=60, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox, system=name, retention_days=0)
        place.sync()
        sandbox.advance(3600)
        place.sync()
        yield place, sandbox, systems.find(name)


def test_a_forgotten_person_is_in_no_file_and_does_not_come_back(
    loaded: tuple[Place, SandboxProcess, System],
) -> None:
    """After forget no byte of the warehouse and the working folder holds the id of the person or of their rows.

    Syncs, a backfill, a repair and a machine without a working folder leave them out, days stay verified, and an audit
    counts them as left out and not as missing.
    """
    place, sandbox, system = loaded
    tables = people(place, system)
    user, number = tables[system.executions.name].most_common(1)[0]
    ids, others = ids_of(place, system, user), people(place, system)
    assert number > 2
    assert traces(place.folder, ids)

    shown = forget(place, user)
    assert not shown["erased"]
    assert shown["tables"][system.executions.name] == number
    assert people(place, system) == tables

    done = forget(place, user, "--yes")
    assert done["erased"]
    assert done["tables"] == shown["tables"]
    gone = {user, *ids}

    def check() -> None:
        assert traces(place.folder, gone) == {}
        for table, counts in people(place, system).items():
            assert user not in counts
            for other, stored in others[table].items():
                assert other == user or counts[other] >= stored

    check()
    assert place.query(f"SELECT row_count, ended_at IS NOT NULL FROM {system.name}.erasures") == [
        (done["rows"], True)
    ]
    for _ in range(3):
        sandbox.advance(6 * 3600)
        assert place.sync()["complete"]
        check()
    (start, end) = place.query(f"SELECT min(day)::DATE - 5, max(day)::DATE + 1 FROM {system.name}.coverage")[
        0
    ]
    month = ("--from", str(start), "--to", str(end))
    place.run("backfill", system.name, *month)
    check()
    audit = json.loads(place.run("audit", system.name, "--repair", "--json", *month, expect=None).stdout)
    check()
    assert audit["left_out"] > 0
    assert audit["missing"] == audit["surplus"] == 0
    assert audit["clean"] is not False
    days = place.query(
        f"SELECT day, executions, left_out FROM {system.name}.coverage WHERE NOT is_verified AND lane <> 'audit'"
    )
    assert days == []
    place.env["DLT_DATA_DIR"] = str(place.folder / "another_machine")
    sandbox.advance(3600)
    assert place.sync()["complete"]
    check()
    assert place.run("views", "--check").returncode == 0
