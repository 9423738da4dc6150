"""Bytes that a query of the emulator would process on BigQuery (https://cloud.google.com/bigquery/pricing).

Part of ``launcher``'s process.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.errors import STATUSES, BigQueryError
from local_bigquery.jobs import query
from local_bigquery.models import Table
from sqlglot import exp

from tests.destinations.bigquery import templates, translations
from tests.destinations.bigquery.pruning import Use, bound, uses

MIB = 1 << 20
LEAST = 10 * MIB  # billed for each table that a query reads
# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
SIZES = {"NUMERIC": 16, "BIGNUMERIC": 32, "BOOL": 1, "BOOLEAN": 1, "INTERVAL": 16}
# In DuckDB's words: to have them translated from BigQuery's took most of the time that a statement takes.
TEXTS = {
    "STRING": "strlen({0})",
    "BYTES": "octet_length({0})",
    "JSON": "strlen(CAST(json({0}) AS VARCHAR))",
}

STATUSES["bytesBilledLimitExceeded"] = (400, "INVALID_ARGUMENT")


class Size(NamedTuple):
    """Bytes that a query processes, and how many tables it reads."""

    processed: int
    tables: int

    @property
    def billed(self) -> int:
        """Whole MiB, at least ten of them for each table; nothing for nothing."""
        return max(LEAST * self.tables, -(-self.processed // MIB) * MIB) if self.processed else 0


NOTHING = Size(0, 0)


def limited(project: str, config: Any) -> Size:
    """What the query will read.

    Raises BigQueryError when it is more than it may be billed for.
    """
    found = read(project, config)
    limit = config.maximumBytesBilled
    if limit is not None and found.billed > int(limit):
        raise BigQueryError(
            "bytesBilledLimitExceeded",
            f"Query exceeded limit for bytes billed: {limit}. {found.billed} or higher required.",
        )
    return found


def told(statistics: Any, size: Size) -> Any:
    """The statistics of a job, with its bytes."""
    if statistics.query is None:
        return statistics
    sizes = {"totalBytesProcessed": str(size.processed), "totalBytesBilled": str(size.billed)}
    return statistics.replace(
        totalBytesProcessed=str(size.processed),
        query=type(statistics.query).model_validate(statistics.query.dump() | sizes),
    )


def read(project: str, config: Any) -> Size:
    parameters = [parameter.dump() for parameter in config.queryParameters or []]
    default = config.defaultDataset.datasetId if config.defaultDataset else None
    sql, literals = templates.template(config.query or "")
    try:
        trees = translations.parse(sql)
    except BigQueryError:
        return NOTHING  # refused where it runs
    found, known = 0, _Known(project, default)
    referenced = set()
    with templates.using(literals):
        for tree in trees:
            # Trees are shared, those with parameters in them are not.
            own = bound(tree.copy(), parameters) if parameters else tree
            used = list(uses(own, known.partition_column))
            found += sum(_bytes(use, known) for use in used)
            referenced |= {known.reference(use.table) for use in used if known.stored(use.table) is not None}
    return Size(found, len(referenced))


class _Known:
    """The tables of what is being weighed, each looked up once."""

    def __init__(self, project: str, default: str | None) -> None:
        self.project = project
        self.default = default
        self._tables: dict[tuple[str, str, str], Table | None] = {}

    def reference(self, table: exp.Table) -> tuple[str, str, str] | None:
        parts = [part for piece in table.parts for part in piece.name.split(".")]
        if len(parts) == 1 and self.default:
            return self.project, self.default, parts[0]
        if len(parts) == 2:
            return self.project, parts[0], parts[1]
        return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None

    def stored(self, table: exp.Table) -> Table | None:
        """What takes bytes; None for a view, a temporary table, and what is not there."""
        reference = self.reference(table)
        if reference is None:
            return None
        if reference not in self._tables:
            found = tables.load(*reference) if tables.exists(*reference) else None
            self._tables[reference] = found if found is not None and found.type == "TABLE" else None
        return self._tables[reference]

    def partition_column(self, table: exp.Table) -> str | None:
        """None for what takes no bytes; an empty name for a table without partitions."""
        stored = self.stored(table)
        if stored is None:
            return None
        return (stored.timePartitioning and stored.timePartitioning.field) or ""


def _bytes(use: Use, known: _Known) -> int:
    reference, stored = known.reference(use.table), known.stored(use.table)
    if reference is None or stored is None:
        return 0
    whole = "*" in use.columns or use.is_changed
    sizes = [_size(field) for field in tables.fields(stored) if whole or field.name.casefold() in use.columns]
    if not sizes:
        return 0
    parameters: dict[str, Any] = {}
    sql = f"SELECT sum({' + '.join(sizes)}) FROM {tables.name(*reference)} AS t"
    with database.cursor() as cursor:
        database.attach(known.project)
        if use.predicate is not None:
            name = ".".join(f"`{part}`" for part in reference)
            day = f"IFNULL(DATE(t.`{use.column}`), DATE '0001-01-01')"
            rows = translations.parse(f"SELECT {day} FROM {name} AS t WHERE {use.predicate.sql('bigquery')}")
            text, parameters = translations.translate(rows[0], query.Context(known.project, known.default))
            column = f"t.{database.quote(use.column)}"
            sql += f" WHERE coalesce(CAST({column} AS DATE), DATE '0001-01-01') IN ({text})"
        return int(cursor.execute(sql, parameters).fetchone()[0] or 0)


def _size(field: Any) -> str:
    column = f"t.{database.quote(field.name)}"
    if field.type in TEXTS and field.mode != "REPEATED":
        return f"coalesce(2 + {TEXTS[field.type].format(column)}, 0)"
    return f"CASE WHEN {column} IS NULL THEN 0 ELSE {SIZES.get(field.type, 8)} END"
