"""The run's own secrets stand in no column of any table, whichever system and whichever way the rows came."""

from __future__ import annotations

from typing import Any

import pytest

from task_history import systems
from task_history.core.arrow_types import RowColumns
from task_history.core.models import Table
from task_history.core.redaction_mark import MARK
from task_history.load.dlt_resources import ArrowWriter
from task_history.redaction.own_secrets import OwnSecrets
from task_history.warehouse import common_tables

KEY = "9fQ2xLw71kPp0aZb3Rt5Yh6J"
EACH_RUN = ("paragon", "b3os")
"""Systems whose tables have columns of all types."""
TABLES = [
    pytest.param(table, id=f"{name}.{table.name}", marks=[] if name in EACH_RUN else [pytest.mark.torture])
    for name in systems.names()
    for table in common_tables.of(systems.find(name))
]


@pytest.mark.parametrize("table", TABLES)
def test_no_column_holds_the_key(table: Table) -> None:
    """A vendor that echoes the key, or half of it, in declared columns and others: no cell shows it."""
    keys = [column.source or column.name for column in table.columns]
    rows: list[dict[str, Any]] = [
        dict.fromkeys([*keys, "another"], f"sent {KEY}!"),
        dict.fromkeys([*keys, "another"], KEY[:12]),
        dict.fromkeys([*keys, "another"], "nothing"),
    ]
    for form in (rows, RowColumns({key: [row[key] for row in rows] for key in rows[0]}, 3)):
        writer = ArrowWriter(lambda _: {}, str, OwnSecrets([KEY]))
        written = writer.arrow(table, form)
        cells = [str(cell) for column in written.columns for cell in column.to_pylist()]
        assert not any(KEY[:12] in cell or KEY[12:] in cell for cell in cells)
        assert {f"sent {MARK}!", MARK, "nothing"} <= set(cells)
