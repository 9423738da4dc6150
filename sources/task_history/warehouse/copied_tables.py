"""Creates the tables of a DuckDB dataset as copies of another one's, since dlt takes a second to create them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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

    Raises WarehouseUnavailable.
    """

    def __init__(self, query: Query, dataset: str) -> None:
        self._dataset = dataset
        of_dataset = f"WHERE database_name = current_database() AND schema_name = {quoted_text(dataset)}"
        self._tables = [
            (str(name), str(sql), comment)
            for name, sql, comment in query(
                f"SELECT table_name, sql, comment FROM duckdb_tables() {of_dataset}"
            )[1]
        ]
        self._columns = query(
            f"SELECT table_name, column_name, comment FROM duckdb_columns() {of_dataset} AND comment IS NOT NULL"
        )[1]

    @property
    def names(self) -> Collection[str]:
        """The names of the tables."""
        return [name for name, _, _ in self._tables]

    def copied(self, dataset: str) -> str:
        """The statements that make a new dataset with such tables, as one transaction."""
        return ";\n".join(["BEGIN", *self._statements(dataset), "COMMIT"])

    def _statements(self, dataset: str) -> Iterator[str]:
        yield f"CREATE SCHEMA {quoted_name(dataset)}"
        for table, sql, comment in self._tables:
            name = quoted_name(dataset, table)
            yield f"{_CREATE}{name}{sql[sql.index('(') :].rstrip(';')}"
            if comment is not None:
                yield f"COMMENT ON TABLE {name} IS {quoted_text(str(comment))}"
        for table, column, comment in self._columns:
            yield f"COMMENT ON COLUMN {quoted_name(dataset, table, column)} IS {quoted_text(str(comment))}"
        versions = quoted_name(dataset, _VERSIONS)
        yield f"INSERT INTO {versions} SELECT * FROM {quoted_name(self._dataset, _VERSIONS)}"
