"""Columns that settings exclude or hash: the values are in no file and no table, and everything else goes on working."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.keyed_hash import KeyedHash, is_hash
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering import altering, with_fields
from tests.support.place import Place

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
    for (view,) in place.query("SELECT view_name FROM duckdb_views() WHERE schema_name = 'task_history'"):
        place.query(f"SELECT * FROM task_history.{view}")
