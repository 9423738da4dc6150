"""Creates the tables of a DuckDB dataset as copies of another one's, since dlt takes a second to create them."""

from __future__ import annotations

from collections.abc import Iterator

from .sql_text import Query, quoted_name, quoted_text

_VERSIONS = "_dlt_version"
"""dlt's table of the schemas that were stored: with its row dlt takes the tables for made."""
_CREATE = "CREATE TABLE "


def schema_names(query: Query) -> frozenset[str]:
    """The datasets of the file. Raises WarehouseUnavailable."""
    sql = "SELECT schema_name FROM information_schema.schemata WHERE catalog_name = current_database()"
    return frozenset(str(name) for (name,) in query(sql)[1])


class TablesOfDataset:
    """The tables of a dataset that dlt has just made and that holds no rows, as statements that make them elsewhere.

    Without descriptions: to write these takes most of the time, and each account's sync writes those that are missing,
    side by side.

    Raises WarehouseUnavailable.
    """

    def __init__(self, query: Query, dataset: str) -> None:
        self._dataset = dataset
        self._tables = [
            (str(name), str(sql))
            for name, sql in query(
                "SELECT table_name, sql FROM duckdb_tables() "
                f"WHERE database_name = current_database() AND schema_name = {quoted_text(dataset)}"
            )[1]
        ]

    def copied(self, dataset: str) -> str:
        """The statements that make a new dataset with such tables, as one transaction."""
        return ";\n".join(["BEGIN", *self._statements(dataset), "COMMIT"])

    def _statements(self, dataset: str) -> Iterator[str]:
        yield f"CREATE SCHEMA {quoted_name(dataset)}"
        for table, sql in self._tables:
            yield f"{_CREATE}{quoted_name(dataset, table)}{sql[sql.index('(') :].rstrip(';')}"
        versions = quoted_name(dataset, _VERSIONS)
        yield f"INSERT INTO {versions} SELECT * FROM {quoted_name(self._dataset, _VERSIONS)}"
