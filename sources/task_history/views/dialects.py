"""Rendering of a view's SQL for DuckDB, BigQuery or Postgres.

Views are written in DuckDB SQL: for DuckDB only names are inserted, without parsing, which would take longer than a
sync.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from ..core.dataset_names import VIEWS_DATASET
from ..warehouse.sql_text import BIGQUERY, DUCKDB, POSTGRES, quoted_name
from .branches import Relation, named_columns

DIALECTS = (DUCKDB, BIGQUERY, POSTGRES)
DATASET = VIEWS_DATASET
"""The dataset of the views."""

_PLACE = re.compile(
    r"""
    '(?:[^']|'')*' | "[^"]*" | --[^\n]*                   # what is no name
    | (?<!DISTINCT\ )\b(?P<word>FROM|JOIN)\s+             # of IS DISTINCT FROM it is a column that follows
      (?P<systems>systems\.)?(?P<name>[a-z_]+)\b(?!\s*[.(])
      (?P<alias>\s+AS\s+[a-z_]+)?
    """,
    re.VERBOSE,
)
_UTC_DAY = re.compile(r"CAST\(([a-z_.]+) AT TIME ZONE 'UTC' AS DATE\)")
"""DuckDB looks up the time zone for every row, which takes nine times as long as counting microseconds."""
_PERCENTILE = re.compile(r"quantile_disc\((\w+), (0\.5|0\.95|0\.99)\)")
_PERCENTILES = ("0.5", "0.95", "0.99")
"""DuckDB collects the values of each percentile for itself, and those of a list of percentiles once."""
_CTE = re.compile(r"\b([a-z_]+) AS \(")


def rendered(
    sql: str,
    dialect: str,
    *,
    relations: Mapping[str, Relation],
    views: Collection[str],
    project: str | None = None,
    inserted: Callable[[str], str] | None = None,
) -> str:
    """Renders SQL in the dialect, with relations inserted and names of views qualified.

    ``project`` prefixes BigQuery's names; None adds no prefix. ``inserted`` gives SQL to read in place of a view.
    """
    text = named(sql, relations, views, inserted)
    if dialect == DUCKDB:
        text = _UTC_DAY.sub(r"CAST(make_timestamp(epoch_us(\1)) AS DATE)", text)
        return _PERCENTILE.sub(_of_list, text)
    # Imported where they are needed: sqlglot takes a while.
    if dialect == POSTGRES:
        from . import postgres

        return postgres.from_duckdb(text)
    from . import bigquery

    return bigquery.from_duckdb(text, project=project)


def _of_list(percentile: re.Match[str]) -> str:
    """The percentile as an element of a list, which is the same for all percentiles of a column."""
    place = _PERCENTILES.index(percentile[2]) + 1
    return f"quantile_disc({percentile[1]}, [{', '.join(_PERCENTILES)}])[{place}]"


def named(
    sql: str,
    relations: Mapping[str, Relation],
    views: Collection[str],
    inserted: Callable[[str], str] | None = None,
) -> str:
    """The SQL with relations inserted, and views qualified or replaced by what ``inserted`` gives.

    Of a relation it gets the columns that it names.
    """
    own = set(_CTE.findall(sql))
    columns = named_columns(sql)

    def put(match: re.Match[str]) -> str:
        name = match["name"]
        if match["systems"]:
            replacement = f"(\n{relations[name](columns)}\n)"
        elif name is not None and name in views and name not in own:
            replacement = f"(\n{inserted(name)}\n)" if inserted else f"{quoted_name(DATASET)}.{name}"
        else:
            return match[0]
        return f"{match['word']} {replacement}{match['alias'] or f' AS {name}'}"

    return _PLACE.sub(put, sql)
