"""A vendor's field that has the name of a column of ours keeps its value under another name, in every table."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.models import Table
from task_history.systems.protocol import System
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import altering
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SYSTEMS = systems.names()
WORLD: dict[str, dict[str, Any]] = {
    "paragon": {"executions": 30, "days": 2},
    "sailpoint": {"executions": 10, "workflows": 2},
    "twinit": {"executions": 10},
    "b3os": {"executions": 10},
}
_ROW_KEYS = {
    *(
        "id",
        "_id",
        "type",
        "level",
        "eventType",
        "executionId",
        "succeeded",
        "count",
        "history",
        "events",
        "input",
    )
}
"""An object of an answer with any of these is a row of some table, or becomes columns of one."""
_DOCUMENTED = {"stepExecutionId", "granularity", "bucketStart", "input", "output"}
"""The vendors' own names for what this connector writes into columns of ours."""


def vendors_tables(system: System) -> list[Table]:
    """The tables of the vendor's data, but for those that this connector makes of several answers."""
    made = [one.integrations.table for one in (system, *system.companions) if one.integrations]
    return [
        table
        for one in (system, *system.companions)
        for table in common_tables.of_one(one)
        if table not in made
    ]


def spellings(system: System) -> set[str]:
    """The names of all columns of ours in this system's tables, as columns and in camelCase."""
    own = {name for table in vendors_tables(system) for name in table.own_keys}
    sent = {
        column.source for table in vendors_tables(system) for column in table.columns if not column.is_derived
    }
    return (
        (own | {re.sub("_+([a-z])", lambda match: match[1].upper(), name) for name in own})
        - sent
        - _DOCUMENTED
    )


def with_names(value: Any, names: set[str], numbers: Any) -> Any:
    """The answer with a field of each of the names in each of its rows, and one whose type changes."""
    if isinstance(value, list):
        return [with_names(inner, names, numbers) for inner in value]
    if not isinstance(value, dict):
        return value
    inner = {key: with_names(one, names, numbers) for key, one in value.items()}
    if not _ROW_KEYS & value.keys():
        return inner
    mixed = {} if numbers is None else {"mixed": 1 if next(numbers) % 2 else "text"}
    return {**{name: f"their {name}" for name in names - value.keys()}, **inner, **mixed}


@pytest.mark.parametrize(
    ("system", "reads_row_by_row"),
    rest_as_torture(
        [(name, False) for name in SYSTEMS] + [("paragon", True)],
        kept=[("paragon", True)],
    ),
)
def test_fields_named_like_columns_of_ours(tmp_path: Path, system: str, reads_row_by_row: bool) -> None:
    """Their values are in columns of their own, which ``vendor_fields`` names, and ours hold what they say."""
    one = systems.find(system)
    names = spellings(one)
    numbers = count() if reads_row_by_row else None

    def alter(path: str, body: bytes) -> bytes:
        return json.dumps(with_names(json.loads(body), names, numbers)).encode()

    with (
        SandboxProcess(system, seed=3, freeze=True, **WORLD[system]) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        start = {"start_date": None} if system == "b3os" else {}
        place = Place(
            tmp_path, sandbox, system=system, base_url=url, integrations=None, max_columns=400, **start
        )
        place.quick_sync()
    with place.reading() as query:
        kept = {
            (table, field): column
            for table, field, column in query(
                f"SELECT table_name, field, column_name FROM {system}.vendor_fields"
            )
        }
        for table in vendors_tables(one):
            name = f"{system}.{table.name}"
            [(rows,)] = query(f"SELECT count(*) FROM {name}")
            own = {column.name for column in table.columns}
            if not rows:
                continue
            # Some logs of details have no fields but those of the execution.
            has_fields = table.name in {stored for stored, _ in kept}
            assert has_fields or table.name.endswith("_details")
            for spelling in sorted(names & {*table.own_keys, *_camel(table)}) if has_fields else ():
                column = kept[(table.name, spelling)]
                assert column not in own
                values = query(f'SELECT DISTINCT "{column}" FROM {name} WHERE "{column}" IS NOT NULL')
                assert values == [(f"their {spelling}",)], (table.name, column)
            for column_name in table.own_keys & own:
                theirs = f"SELECT count(*) FROM {name} WHERE CAST({column_name} AS VARCHAR) LIKE 'their %'"
                assert query(theirs) == [(0,)], (table.name, column_name)


def _camel(table: Table) -> set[str]:
    return {re.sub("_+([a-z])", lambda match: match[1].upper(), name) for name in table.own_keys}
