"""Gates for tests, each of which imports Google's analyzer when it is made: that takes a second of a processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from task_history.views import create as creating
from task_history.views.relations import by_default
from task_history.warehouse import common_tables

if TYPE_CHECKING:
    from tests.destinations.bigquery.gate import Gate, Rejected
else:
    Gate, Rejected = object, object

__all__ = ["Gate", "gate_of", "gate_of_tables", "gate_with_views"]

TYPES = {"text": "STRING", "bigint": "INT64", "bool": "BOOL", "timestamp": "TIMESTAMP", "double": "FLOAT64"}


def gate_of(project: str) -> Gate:
    """A gate for the statements of that project."""
    from tests.destinations.bigquery.gate import Gate

    return Gate(project)


def gate_of_tables(query: Callable[[str], Iterable[tuple[Any, ...]]], project: str) -> Gate:
    """A gate for what is said to that project from now on; ``query`` asks it which tables it has."""
    tables_of: dict[tuple[str, str], list[tuple[str, str]]] = {}
    sql = (
        "SELECT table_schema, table_name, column_name, data_type FROM `region-us`.INFORMATION_SCHEMA.COLUMNS"
    )
    for dataset, table, column, kind in query(sql):
        tables_of.setdefault((dataset, table), []).append((column, kind))
    gate = gate_of(project)
    for (dataset, table), columns in tables_of.items():
        gate.declare(dataset, table, columns)
    return gate


@cache
def gate_with_views() -> tuple[Gate, list[Rejected]]:
    """A gate for the project ``lab`` with all systems' tables and the views over them, and what it refuses of these."""
    gate, refused = gate_of("lab"), []
    for dataset in by_default():
        for table in common_tables.of(dataset.system):
            columns = [(column.name, TYPES[column.type]) for column in table.columns]
            gate.declare(dataset.name, table.name, columns)
    for name, sql in creating.texts(by_default(), "bigquery", project="lab").items():
        # Options of columns are beyond the analyzer; the emulator takes them.
        refused += gate.analyse(f"CREATE OR REPLACE VIEW `lab`.`task_history`.`{name}` AS {sql}")
    return gate, refused
