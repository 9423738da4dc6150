"""A vendor's field keeps its column over syncs, lanes and machines, and a row that is written again its texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering import altering
from tests.support.place import Place
from tests.support.short import short

SYSTEMS = ("b3os", "paragon", "sailpoint", "twinit")
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


@pytest.mark.parametrize("system", short(SYSTEMS, ("paragon", "twinit")))
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
        place.sync()
        first = place.query(f"SELECT DISTINCT new_field, mixed FROM {table}")
        fields |= {"new_field": "second", "newField": "changed", "mixed": "text"}
        sandbox.advance(86_400)
        place.sync()
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
