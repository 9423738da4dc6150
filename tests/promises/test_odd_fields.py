"""Promises about rows of a vendor that hold thousands of fields, fields nested without end, and odd numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from task_history import systems
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import Alter, altering, with_fields
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SYSTEMS = systems.names()
WORLD: dict[str, dict[str, Any]] = {
    "paragon": {"executions": 120, "days": 2},
    "sailpoint": {"executions": 40, "workflows": 2},
    "twinit": {"executions": 40},
    "b3os": {"executions": 40},
}


@contextmanager
def place_of(folder: Path, system: str, alter: Alter, **world: Any) -> Iterator[tuple[Place, SandboxProcess]]:
    with (
        SandboxProcess(system, seed=3, freeze=True, **(WORLD[system] | world)) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        start = {"start_date": None} if system == "b3os" else {}
        yield (
            Place(folder, sandbox, system=system, base_url=url, integrations=None, **start),
            sandbox,
        )


def vendor_columns(place: Place) -> dict[str, set[str]]:
    """The columns of each table that are declared nowhere."""
    found: dict[str, set[str]] = {}
    declared = {
        table.name: {column.name for column in table.columns}
        for table in common_tables.of(systems.find(place.system))
    }
    for table, column in place.query(
        f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{place.system}'"
    ):
        if table in declared and column not in declared[table] and not column.startswith("_dlt"):
            found.setdefault(table, set()).add(column)
    return found


def main_table(system: str) -> str:
    return f"{system}.{systems.find(system).executions.name}"


FEW = {"executions": 3}


@pytest.mark.parametrize(
    ("system", "world"),
    rest_as_torture(product(SYSTEMS, (FEW, {})), kept=[("paragon", FEW)]),
    ids=lambda value: ("few" if value else "many") if isinstance(value, dict) else value,
)
def test_thousands_of_new_fields(tmp_path: Path, system: str, world: dict[str, int]) -> None:
    """At most 200 become columns of a table, also over runs with ever new ones; all values are kept, exact."""
    run, number = 0, 300 if world else 2_000
    answers: Counter[int] = Counter()

    def alter(path: str, body: bytes) -> bytes:
        answers[run] += 1
        fields = {f"run{run}Key{at}": f"{at}.50" for at in range(number)}
        longest = {"K" * 1_000_000: "1e5"} if answers[run] <= 2 else {}
        return with_fields(body, {**fields, "k" * 64: '"long"', **longest})

    with place_of(tmp_path, system, alter, **world) as (place, sandbox):
        said = place.sync()["stderr"]
        count = place.query(f"SELECT count(*) FROM {main_table(system)}")
        columns = vendor_columns(place)
        run = 1
        sandbox.advance(3 * 86_400)
        place.sync()
    assert count[0][0] > 0
    table = main_table(system).partition(".")[2]
    assert said.count(f"fields_without_column table={table} ") == 1
    assert {name: columns[name] - {"other_fields"} for name in columns} == {
        name: found - {"other_fields"} for name, found in vendor_columns(place).items() if name in columns
    }
    assert any("other_fields" in found for found in columns.values())
    for found in vendor_columns(place).values():
        assert len(found - {"other_fields"}) <= 200
        assert max(map(len, found)) <= 63
    texts = [text for (text,) in place.query(f"SELECT other_fields FROM {main_table(system)}") if text]
    assert texts
    for text in texts:
        others = json.loads(text, parse_float=str)
        assert others["k" * 64] == "long"
        assert others.get("K" * 1_000_000, "1e5") == "1e5"
        run = 0 if f"run0Key{number - 1}" in others else 1
        keys = {f"run{run}Key{at}" for at in range(number)}
        assert {key: f"{key.rpartition('y')[2]}.50" for key in keys if key in others} == {
            key: value for key, value in others.items() if key in keys
        }
        assert len(keys - others.keys()) == (200 if run == 0 else 0)


@pytest.mark.parametrize(
    ("system", "depth"),
    rest_as_torture(product(SYSTEMS, (20_000, 150)), kept=[("paragon", 20_000)]),
)
def test_fields_nested_without_end(tmp_path: Path, system: str, depth: int) -> None:
    """What is nested deeper than 100 levels is kept as text, cut; everything else of every answer loads."""
    fields = {
        "deepList": "[" * depth + "]" * depth,
        "deepObject": '{"a":' * depth + "1" + "}" * depth,
        "deepText": json.dumps("[" * depth + '"' + "]" * depth),
        "beside": '"kept"',
    }
    # Each answer about a single one has the fields, and its text is long.
    executions = 40 if depth == 150 else 4
    with place_of(tmp_path, system, lambda path, body: with_fields(body, fields), executions=executions) as (
        place,
        sandbox,
    ):
        place.sync()
        rows = place.query(f"SELECT deep_list, deep_object FROM {main_table(system)} WHERE beside = 'kept'")
        place.sync()
        expected = len(sandbox.truth()) if system == "paragon" else 1
        assert place.query(f"SELECT count(*) FROM {main_table(system)}")[0][0] >= expected
    assert rows
    for deep_list, deep_object in rows:
        for text, begin in ((deep_list, "[" * 80), (deep_object, '{"a":' * 80)):
            assert text.startswith(begin)
            assert len(text) < 5_000
            assert json.loads(text)


ODD = {
    "notANumber": ("NaN", "NaN"),
    "infinite": ("Infinity", "Infinity"),
    "minusInfinite": ("-Infinity", "-Infinity"),
    "huge": ("1e999999999", "1e999999999"),
    "hugest": ("1e" + "9" * 30, "1e" + "9" * 30),
    "long": ("1" * 5_000, "1" * 5_000),
    "precise": ("1.00000000000000000000001", "1.00000000000000000000001"),
    "half": ('"a\\ud800b"', "a\ufffdb"),
    "nul": ('"a\\u0000b"', "a\ufffdb"),
    "within": (
        '{"a":[NaN,-Infinity,1e999999999,1.50]}',
        '{"a":["NaN","-Infinity",1e999999999,1.50]}',
    ),
}


@pytest.mark.parametrize(
    ("system", "in_all"),
    rest_as_torture(
        product(SYSTEMS, (True, False)),
        kept=[("paragon", True), ("paragon", False)],
    ),
)
def test_odd_values_are_kept_as_text(tmp_path: Path, system: str, in_all: bool) -> None:
    """Numbers that no column holds are text as they were sent, however the page was read."""
    fields = {name: sent for name, (sent, _) in ODD.items()}
    with place_of(
        tmp_path, system, lambda path, body: with_fields(body, fields, every=in_all), executions=16
    ) as (place, _):
        place.sync()
        names = ", ".join(map(NamingConvention().normalize_identifier, ODD))
        rows = place.query(f"SELECT {names} FROM {main_table(system)} WHERE huge IS NOT NULL")
    assert rows
    assert set(rows) == {tuple(kept for _, kept in ODD.values())}
