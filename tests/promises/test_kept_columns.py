"""A vendor's field keeps its column over syncs, lanes and machines, and a row that is written again its texts."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import altering
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SYSTEMS = systems.names()
WORLD: dict[str, dict[str, Any]] = {
    "paragon": {"executions": 120, "days": 2},
    "sailpoint": {"executions": 40, "workflows": 2},
    "twinit": {"executions": 40},
    "b3os": {"executions": 40},
}


def with_fields(value: Any, fields: dict[str, Any]) -> Any:
    """The answer with these fields in each object that has an id."""
    if isinstance(value, list):
        return [with_fields(inner, fields) for inner in value]
    if not isinstance(value, dict):
        return value
    inner = {key: with_fields(one, fields) for key, one in value.items()}
    return {**inner, **fields} if {"id", "_id"} & value.keys() else inner


@pytest.mark.parametrize("system", rest_as_torture(SYSTEMS, ("paragon",)))
def test_fields_keep_their_columns(tmp_path: Path, system: str) -> None:
    """Whatever other spellings come later, and on a machine that has the warehouse alone; no column comes by itself."""
    fields: dict[str, Any] = {"newField": "first", "mixed": 1}

    def alter(_: str, body: bytes) -> bytes:
        return json.dumps(with_fields(json.loads(body), fields)).encode()

    table = f"{system}.{systems.find(system).executions.name}"
    every = f"SELECT DISTINCT new_field, new_field__v2, mixed, mixed__v_text FROM {table}"
    with (
        SandboxProcess(system, seed=3, freeze=True, future_hours=72, **WORLD[system]) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        start = {"start_date": None} if system == "b3os" else {}
        place = Place(
            tmp_path, sandbox, system=system, base_url=url, integrations=None, steps="none", **start
        )
        place.quick_sync()
        first = place.query(f"SELECT DISTINCT new_field, mixed FROM {table}")
        fields |= {"new_field": "second", "newField": "changed", "mixed": "text"}
        sandbox.advance(86_400)
        place.quick_sync()
        second = place.query(every)
        (tmp_path / "elsewhere").mkdir()
        elsewhere = Place(
            tmp_path / "elsewhere",
            sandbox,
            system=system,
            base_url=url,
            integrations=None,
            steps="none",
            **start,
        )
        elsewhere.env["DESTINATION__DUCKDB__CREDENTIALS"] = str(place.file)
        fields.clear()
        fields |= {"new_field": "third", "mixed": "text"}
        sandbox.advance(86_400)
        elsewhere.sync()
    assert first == [("first", 1)]
    assert ("changed", "second", None, "text") in second
    third = place.query(every)
    # In the other worlds no execution becomes visible so late.
    assert system != "paragon" or (None, "third", None, "text") in third
    assert {*second, *third} <= {
        ("first", None, 1, None),
        ("changed", "second", None, "text"),
        (None, "third", None, "text"),
        # Of one that was open before, what the vendor leaves out now stays.
        ("changed", "third", None, "text"),
    }
    columns = {
        column
        for (column,) in place.query(
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_schema || '.' || table_name = '{table}' AND column_name SIMILAR TO 'new.*|mixed.*'"
        )
    }
    assert columns == {"new_field", "new_field__v2", "mixed", "mixed__v_text"}


NUMBER = {"paragon": ("taskCount", "task_count"), "twinit": ("_timeoutSeconds", "timeout_seconds")}
"""A documented number of executions: the vendor's key and the column."""


@pytest.mark.torture
@pytest.mark.parametrize(("system", "vanishes"), list(product(NUMBER, (False, True))))
def test_a_misfit_of_an_open_execution(tmp_path: Path, system: str, vanishes: bool) -> None:
    """A text instead of a number is beside the column until the execution settles with a number, or for good.

    A field that is named like a column of ours is kept in the same way, and no further column comes to be.
    """
    own = systems.find(system)
    key, column = NUMBER[system]
    table = f"{system}.{own.executions.name}"
    columns = f"{column}, {column}__v_text, is_open__v2"

    def alter(_: str, body: bytes) -> bytes:
        return json.dumps(altered(json.loads(body))).encode()

    def altered(value: Any) -> Any:
        if isinstance(value, list):
            return [altered(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        inner: dict[str, Any] = {name: altered(one) for name, one in value.items()}
        if not {"workflowId", "_workflowDefId"} & inner.keys() or not {"id", "_id"} & inner.keys():
            return inner
        is_open = own.is_open(inner)
        return {**inner, key: "1.5 tasks" if is_open else 7, "isOpen": "was open" if is_open else "is over"}

    world: dict[str, Any] = {"executions": 80, "days": 2, "open_days": 0.4, "freeze": True, "seed": 4}
    with (
        SandboxProcess(system, future_hours=72, **world) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        place = Place(tmp_path, sandbox, system=system, base_url=url, integrations=None, retention_days=0)
        place.quick_sync()
        opened = [row[0] for row in place.query(f"SELECT id FROM {table} WHERE is_open")]
        assert len(opened) > 2
        assert place.query(f"SELECT DISTINCT {columns} FROM {table} WHERE is_open") == [
            (None, "1.5 tasks", "was open")
        ]
        before = place.query(
            f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{own.executions.name}'"
        )
        if vanishes:
            sandbox.post("purge", {"ids": opened})
        sandbox.advance(2 * 86_400)
        place.quick_sync()
        settled = f"FROM {table} WHERE NOT is_open AND id IN (SELECT unnest({opened}))"
        assert place.query(f"SELECT count(*) > 2 {settled}") == [(True,)]
        assert place.query(f"SELECT DISTINCT {columns}, resolution {settled}") == [
            (None, "1.5 tasks", "was open", "gone") if vanishes else (7, None, "is over", "ended")
        ]
        assert before == place.query(
            f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{own.executions.name}'"
        )
