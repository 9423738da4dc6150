"""The one text of a view, as DuckDB or BigQuery takes it.

It is written for DuckDB: there only names are put in, and nothing is parsed, which takes longer than a sync.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from ..core.dataset_names import VIEWS_DATASET
from ..warehouse.sql_text import BIGQUERY, DUCKDB, quoted_name

DIALECTS = (DUCKDB, BIGQUERY)
DATASET = VIEWS_DATASET
"""Where the views are."""

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
"""DuckDB asks a calendar for the zone of each row, which takes nine times as long as to count microseconds."""
_CTE = re.compile(r"\b([a-z_]+) AS \(")


def carried(
    sql: str,
    dialect: str,
    *,
    relations: Mapping[str, str],
    views: Collection[str],
    project: str | None = None,
) -> str:
    """The SQL with every relation put in and every view's full name, in that dialect.

    ``project`` is what BigQuery's names begin with; None leaves them without.
    """
    text = _named(sql, relations, views)
    if dialect != BIGQUERY:
        return _UTC_DAY.sub(r"CAST(make_timestamp(epoch_us(\1)) AS DATE)", text)
    from .bigquery import from_duckdb

    return from_duckdb(text, project=project)


def _named(sql: str, relations: Mapping[str, str], views: Collection[str]) -> str:
    own = set(_CTE.findall(sql))

    def put(place: re.Match[str]) -> str:
        name = place["name"]
        if place["systems"]:
            what = f"(\n{relations[name]}\n)"
        elif name is not None and name in views and name not in own:
            what = f"{quoted_name(DATASET)}.{name}"
        else:
            return place[0]
        return f"{place['word']} {what}{place['alias'] or f' AS {name}'}"

    return _PLACE.sub(put, sql)
