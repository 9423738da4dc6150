"""What dlt is told of each table: types of its columns, partition, clustering, which row wins, descriptions.

dlt makes the tables by these hints. Those of the primary key stand with the resource (``dlt_resources``).
"""

from __future__ import annotations

from typing import Any

from dlt.common.schema.typing import TColumnSchema

from ..core.models import Table
from .destinations.base import PARTITION_MAY_CHANGE
from .dlt_internals import CLUSTER_COLUMNS_HINT, TABLE_DESCRIPTION_HINT


def column_hints(table: Table) -> dict[str, TColumnSchema]:
    """dlt's hints of the columns: type, description, whether it may be null, and whether it partitions by day."""
    by_name: dict[str, TColumnSchema] = {}
    for column in table.columns:
        hint: dict[str, Any] = {
            "name": column.name,
            "data_type": column.type,
            "description": column.description,
            "nullable": column.name not in table.required_columns,
        }
        if column.name == table.newest:
            hint["dedup_sort"] = "desc"
        if column.name == table.partition:
            hint["partition"] = True
        by_name[column.name] = hint  # type: ignore[assignment]
    return by_name


def table_hints(table: Table) -> dict[str, Any]:
    """dlt's hints of the table itself: description, clustering, and whether a row may change its partition."""
    hints: dict[str, Any] = {TABLE_DESCRIPTION_HINT: table.description}
    if table.cluster:
        hints[CLUSTER_COLUMNS_HINT] = list(table.cluster)
    if table.partition_may_change:
        hints[PARTITION_MAY_CHANGE] = True
    return hints
