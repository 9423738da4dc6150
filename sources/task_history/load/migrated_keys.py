"""Migration of primary keys: extends those of an earlier version, and has the rows that it overwrote read again, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import dlt

from ..core.columns import LOADED_AT, OCCURRENCE
from ..core.log import log
from ..core.models import Table
from ..systems.protocol import System
from ..warehouse import common_tables

_KEY = "x-task-history-key"
"""The hint of a table that names the primary key for which this has been done."""
_FILLING_DIALECTS = frozenset({"duckdb", "postgres"})
"""Databases that fill a new column with its default at once, without rewriting a row."""
_REASON = (
    "An earlier version of task-history kept only some of its steps, since others have the same id, and the vendor no "
    "longer holds it."
)


def with_new_tables(system: System, stored: Any, wanted: Any) -> Any:
    """dlt's stored schema with the tables and columns of ``wanted``; None is that of a new dataset.

    The tables of a new dataset are marked: no earlier version wrote into them.
    """
    if stored is not None:
        # Keeps the columns of undocumented fields.
        stored = stored.clone()
        stored.update_schema(wanted)
        return stored
    for table in common_tables.of(system):
        if table.former_key:
            wanted.tables[table.name][_KEY] = list(table.primary_key)
    return wanted


def added_columns(
    system: System, schema: Any, qualified: Callable[[str], str], dialect: str
) -> Iterator[str]:
    """SQL statements that add the columns of longer keys filled, where the database can; ``schema`` is dlt's."""
    if dialect in _FILLING_DIALECTS:
        for table in _not_extended(system, schema):
            if OCCURRENCE in table.columns:
                yield (
                    f"ALTER TABLE IF EXISTS {qualified(table.name)} ADD COLUMN IF NOT EXISTS {OCCURRENCE.name} BIGINT "
                    "DEFAULT 0"
                )


def extended(
    pipeline: dlt.Pipeline,
    schema: Any,
    system: System,
    client: Any,
    begin: Callable[[Any], str],
    horizon: datetime | None,
) -> bool:
    """Fills the longer keys of stored tables, and has what was overwritten read again; False where nothing is to do.

    ``client`` is an open SQL client, ``begin`` gives the present as an SQL expression. The tables are marked last: a run
    that is killed in between does it again.
    """
    found = _not_extended(system, schema)
    if not found:
        return False
    qualified, name = client.make_qualified_table_name, OCCURRENCE.name
    for table in found:
        if OCCURRENCE in table.columns:
            client.execute_sql(f"UPDATE {qualified(table.name)} SET {name} = 0 WHERE {name} IS NULL")
    _read_again(system, found, qualified, client.execute_sql, horizon=horizon, now=begin(client))
    marked = schema.clone()
    for table in found:
        marked.tables[table.name][_KEY] = list(table.primary_key)
    with pipeline.managed_state():
        pipeline.schemas.save_schema(marked)
    pipeline.sync_schema(schema.name)
    return True


def _not_extended(system: System, schema: Any) -> list[Table]:
    """The stored tables that rows may be missing from because an earlier version gave them a shorter key."""
    return [
        table
        for table in common_tables.of(system)
        if table.former_key
        and table.name in schema.tables
        and schema.tables[table.name].get(_KEY) != list(table.primary_key)
    ]


def _read_again(
    system: System,
    found: list[Table],
    qualified: Callable[[str], str],
    execute: Callable[..., Any],
    *,
    horizon: datetime | None,
    now: str,
) -> None:
    """Has the steps of executions read again of which steps of the same id were overwritten.

    Those that began before ``horizon``, or that the vendor no longer holds, get a reason in the details log.
    ``execute`` runs SQL with values, ``now`` is the present as an SQL expression.
    """
    names = {table.name for table in found}
    for listing in common_tables.listings(system):
        details, executions = listing.details, qualified(listing.executions.name)
        if details.steps.name not in names:
            continue
        log_table, steps = qualified(details.log.name), qualified(details.steps.name)
        runs = qualified(common_tables.SYNC_RUNS.name)
        stored = (
            "SELECT s.workflow_execution_id AS id, s.execution_date_started AS started, count(*) AS number "
            f"FROM {steps} AS s GROUP BY 1, 2"
        )
        lost = (
            f"SELECT x.id FROM {log_table} AS x LEFT JOIN ({stored}) AS k ON k.id = x.id "
            "AND coalesce(k.started = x.date_started, x.date_started IS NULL) "
            "WHERE x.steps > coalesce(k.number, 0) "
            # What keep_days_steps deleted is not to be read again.
            "AND (x.date_started IS NULL OR x.date_started >= coalesce("
            f"(SELECT max(r.steps_kept_since) FROM {runs} AS r), x.date_started))"
        )
        may_lack = f"id IN ({lost})"
        if details.may_lack_steps:
            may_lack = f"({may_lack} OR id IN ({details.may_lack_steps.format(steps=steps)}))"
        start = f"e.{listing.started_column}"
        held = "NOT e.is_open AND e.purged_at_source IS NULL"
        values: tuple[Any, ...] = ()
        if horizon is not None:
            held += f" AND ({start} IS NULL OR {start} >= %s)"
            values = (horizon,)
        readable = f"SELECT e.id FROM {executions} AS e WHERE {held}"
        changes = (
            ("outcome", "again", f"{may_lack} AND id IN ({readable})"),
            ("unreadable_reason", _REASON, f"id IN ({lost}) AND id NOT IN ({readable})"),
        )
        counts = []
        for column, value, condition in changes:
            chosen = f"WHERE outcome = 'loaded' AND {condition}"
            (counted,) = execute(f"SELECT count(*) FROM {log_table} {chosen}", *values)
            counts.append(int(counted[0]))
            if counts[-1]:
                setting = f"{column} = %s, {LOADED_AT.name} = {now}"
                execute(f"UPDATE {log_table} SET {setting} {chosen}", value, *values)
        if any(counts):
            log.warning(
                "steps_read_again",
                table=details.steps.name,
                executions=counts[0],
                lost=counts[1],
                hint="an earlier version kept one of several steps with the same id; this sync reads them again, "
                "task-history backfill those from before the syncs; the vendor no longer holds the lost ones, see "
                f"{details.log.name}.unreadable_reason",
            )
