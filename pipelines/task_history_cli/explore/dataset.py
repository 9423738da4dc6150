"""The views as a dlt dataset: frames, SQL and ibis, on DuckDB, BigQuery or Postgres.

from task_history_cli.explore.dataset import dataset
history = dataset()                              # or dataset("bigquery")
history.daily_usage.where("failures > 0").df()
history("SELECT status, count(*) FROM executions GROUP BY 1").df()
history.table("executions").to_ibis()
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.schema import Schema

from task_history.views.dialects import DATASET
from task_history.views.sql_file_reader import views

from ..runtime.target import find_target


def dataset(name: str | None = None) -> Any:
    """The views in the named destination, resolved as ``sync`` resolves it; DuckDB by default.

    https://dlthub.com/docs/general-usage/dataset-access/dataset

    Raises:
        ConfigurationError: its credentials cannot be used.
    """
    target = find_target(name, "task_history_views")
    return dlt.dataset(target.reader(DATASET), DATASET, schema=schema())


def schema() -> Schema:
    """The views as a dlt schema: names, types and descriptions."""
    views_schema = Schema(DATASET)
    for view in views().values():
        columns: Any = {
            column.name: {
                "name": column.name,
                "data_type": column.type,
                "description": column.description,
                "nullable": True,
            }
            for column in view.columns
        }
        views_schema.update_table(
            {"name": view.name, "resource": view.name, "write_disposition": "append", "columns": columns}
        )
    return views_schema
