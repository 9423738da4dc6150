"""Migration of texts that an earlier version wrote in another form: JSON without the quotes of a text, prose as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlt.common.destination.exceptions import DestinationException

from ..core.log import log
from ..core.models import Column
from ..warehouse import common_tables

if TYPE_CHECKING:
    from .pipeline import Loader

_IS_JSON = {"duckdb": "json_valid({0})", "postgres": "pg_temp.is_json({0})"}
_CONTENT = {"duckdb": "json_extract_string({0}, '$')", "postgres": "pg_temp.json_content({0})"}
_BRACKET = r"'^\s*[\[{]'"
_BEGINS_WITH_BRACKET = {"duckdb": f"regexp_matches({{0}}, {_BRACKET})", "postgres": f"{{0}} ~ {_BRACKET}"}
_FUNCTIONS = (
    "CREATE OR REPLACE FUNCTION pg_temp.is_json(given text) RETURNS boolean LANGUAGE plpgsql AS $$ "
    "BEGIN PERFORM given::json; RETURN TRUE; EXCEPTION WHEN others THEN RETURN FALSE; END $$",
    "CREATE OR REPLACE FUNCTION pg_temp.json_content(given text) RETURNS text LANGUAGE plpgsql AS $$ "
    "BEGIN RETURN given::json #>> '{}'; EXCEPTION WHEN others THEN RETURN NULL; END $$",
)
"""Functions of the session: Postgres before 16 has no IS JSON, and a text with U+0000 is JSON without a content."""


def rewrite(loader: Loader) -> None:
    """Rewrites the texts of an earlier version, once: before the first run of this one adds its tables.

    What is valid JSON without quotes, such as 5, stays: whether it was sent as a text is not known. On other
    warehouses than DuckDB and Postgres all stays, and one line of the log says so.
    """
    stored = loader.stored_columns()
    dialect = str(loader.client.capabilities.sqlglot_dialect)
    if not stored or (common_tables.VENDOR_FIELDS.name, "field") in stored:
        return
    if dialect not in _IS_JSON:
        log.warning(
            "former_texts_not_rewritten",
            warehouse=dialect,
            reason="they are rewritten on DuckDB and Postgres only: elsewhere reading all of them may be billed",
            hint="rows of an earlier version keep prose as a JSON string where it began with a bracket, and texts "
            "without quotes in columns of JSON; rows written from now on have neither",
        )
        return
    for table in common_tables.of(loader.system):
        for column in table.columns:
            if (column.is_json or column.is_customer_data) and (table.name, column.name) in stored:
                try:
                    with loader.opened() as client:
                        for statement in statements(loader.qualified(table.name), column, dialect):
                            client.execute_sql(statement)
                except DestinationException as error:
                    # Such as a table that was dropped by hand.
                    log.warning(
                        "former_texts_not_rewritten", column=f"{table.name}.{column.name}", reason=str(error)
                    )


def statements(name: str, column: Column, dialect: str) -> Iterator[str]:
    """SQL statements that rewrite the texts of a column; running them again changes nothing."""
    if dialect == "postgres":
        yield from _FUNCTIONS
    is_json = _IS_JSON[dialect].format(column.name)
    if column.is_json:
        quoted = f"CAST(to_json({column.name}) AS VARCHAR)"
        yield f"UPDATE {name} SET {column.name} = {quoted} WHERE {column.name} IS NOT NULL AND NOT ({is_json})"
    else:
        # The order of conditions is not fixed, and what is no JSON would be an error.
        content = f"CASE WHEN {is_json} THEN {_CONTENT[dialect].format(column.name)} END"
        is_bracket = _BEGINS_WITH_BRACKET[dialect].replace("{0}", f"({content})")
        yield (
            f"UPDATE {name} SET {column.name} = {content} WHERE starts_with({column.name}, '\"') AND {is_bracket}"
        )
