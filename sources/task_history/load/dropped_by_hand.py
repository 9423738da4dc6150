"""Creates tables and columns again that were dropped by hand, and raises an error for those that were changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import dlt
from dlt.common.schema import Schema

from ..core.columns import LOADED_AT, OCCURRENCE
from ..core.errors import WarehouseUnavailable
from ..core.log import log
from ..core.models import Table
from ..systems.protocol import System
from ..warehouse import common_tables
from ..warehouse.forgotten_people import FORGOTTEN
from . import dlt_internals, working_dir
from .destinations import Backend

_REASON = (
    "What was loaded was dropped from the warehouse by hand after the vendor's retention had passed over it."
)
_NOTED = ("unreadable_reason", "date_started", LOADED_AT.name)
"""The columns of a details log that a note of what is lost needs; that of an earlier version may lack one."""


def restore_dropped(
    pipeline: dlt.Pipeline,
    schema: Schema,
    backend: Backend,
    *,
    system: System,
    opened: Callable[[], AbstractContextManager[Any]],
    horizon: datetime | None = None,
) -> bool:
    """Creates tables and columns again that were dropped by hand; dlt would assume that they exist.

    Returns whether people were forgotten in this dataset: whether it has the table of them.

    Where the table of executions lacks something, all coverage is deleted; where a table of steps does, the notes which
    details are loaded are. ``opened`` gives an open client. What began before ``horizon`` the vendor no longer holds: a
    note says of each execution that its steps are lost; None where the vendor keeps all.

    Raises:
        WarehouseUnavailable: a column was given another type by hand, which would lose values.
    """
    there = _stored_types(pipeline, schema, [*schema.data_table_names(), FORGOTTEN.name])
    has_forgotten = any(table == FORGOTTEN.name for table, _ in there)
    wanted = {
        (str(table["name"]), column): str(hint["data_type"])
        for table in schema.data_tables()
        for column, hint in table["columns"].items()
        if "data_type" in hint
    }
    lost = sorted(key for key in wanted if key not in there)
    changed = sorted(key for key, kind in wanted.items() if there.get(key, kind) != kind)
    if changed:
        table, column = changed[0]
        raise WarehouseUnavailable(
            f"The column {table}.{column} was given another type by hand: it holds {there[changed[0]]}, and "
            f"{wanted[changed[0]]} belongs there. Give it back its type, or drop the column and it is filled again. "
            "Nothing was written."
        )
    tables_there = {table for table, _ in there}
    hints = {key: schema.tables[key[0]]["columns"][key[1]] for key in lost if key[0] in tables_there}
    unfilled = [key for key in hints if key[1] == OCCURRENCE.name]
    keys = [
        key
        for key, hint in hints.items()
        if key not in unfilled and (hint.get("primary_key") or not hint.get("nullable", True))
    ]
    if keys:
        raise WarehouseUnavailable(
            f"The column {'.'.join(keys[0])} was dropped by hand, without which the rows of {keys[0][0]} have no key. "
            "Put it back with its values, or drop the table: it is made again, empty. Nothing was written."
        )
    if not lost:
        return has_forgotten
    log.warning(
        "altered_by_hand",
        missing=",".join(".".join(key) for key in lost),
        hint="put back empty; rows that were dropped with them are read again where the vendor still has them",
    )
    backend.forget_tables()
    with opened() as client:
        backend.note_changes_on_any_day(client)
        version = client.make_qualified_table_name(schema.version_table_name)
        client.execute_sql(f"DELETE FROM {version} WHERE version_hash = %s", schema.stored_version_hash)
        altered = {table for table, _ in lost}
        if system.executions.name in altered:
            _delete_coverage(client, there, horizon)
        for one in common_tables.listings(system):
            filled = altered & {table.name for table in (one.details.steps, *one.details.children)}
            if filled and (one.details.log.name, "outcome") in there:
                can_note = all((one.details.log.name, column) in there for column in _NOTED)
                note = {"outcome": "expired"} if one.details.steps.name in filled else {}
                _delete_details_notes(
                    client,
                    one.details.log,
                    horizon if can_note else None,
                    {**note, "unreadable_reason": _REASON},
                    now=backend.begin_commit(client),
                )
    pipeline.sync_schema()
    with opened() as client:
        for table, column in unfilled:
            client.execute_sql(
                f"UPDATE {client.make_qualified_table_name(table)} SET {column} = 0 WHERE TRUE"
            )
    return has_forgotten


def restore_staging(pipeline: dlt.Pipeline, schema: Schema) -> bool:
    """Creates staging tables and columns again that were dropped by hand; returns whether there are such.

    Pending packages stage the rows of these tables again.
    """
    lost = dlt_internals.completed_staging(pipeline, schema)
    if not lost:
        return False
    working_dir.stage_again(Path(pipeline.working_dir), lost.keys())
    missing = sorted(
        name if columns is None else f"{name}.{column}"
        for name, columns in lost.items()
        for column in columns or [""]
    )
    log.warning(
        "altered_by_hand",
        missing=",".join(missing),
        hint="of staging; put back, and the rows are staged again",
    )
    return True


def _delete_coverage(client: Any, there: Mapping[tuple[str, str], str], horizon: datetime | None) -> None:
    """Deletes the coverage, because the loaded executions were dropped; the next sync begins anew."""
    if (common_tables.COVERAGE.name, "day") not in there:
        return
    name = client.make_qualified_table_name(common_tables.COVERAGE.name)
    rows = client.execute_sql(f"SELECT min(window_start), max(window_end) FROM {name}")
    client.execute_sql(f"DELETE FROM {name} WHERE TRUE")
    if rows and rows[0][0]:
        start, end = rows[0]
        log.warning(
            "coverage_deleted",
            window_start=start,
            window_end=end,
            lost_until=horizon if horizon is not None and start < horizon else None,
            hint="this sync lists again from start_date on; task-history backfill brings what lies before. What began "
            "before lost_until the vendor may no longer hold",
        )


def _delete_details_notes(
    client: Any, details_log: Table, horizon: datetime | None, note: Mapping[str, str], *, now: str
) -> None:
    """Deletes which executions' steps are loaded, because these were dropped; they are read again.

    Those that began before ``horizon`` get the values of ``note`` instead. ``now`` is the present as an SQL expression.
    """
    name = client.make_qualified_table_name(details_log.name)
    condition, lost = "outcome = 'loaded'", 0
    values: tuple[datetime, ...] = ()
    if horizon is not None:
        past = f"{condition} AND date_started < %s"
        ((lost,),) = client.execute_sql(f"SELECT count(*) FROM {name} WHERE {past}", horizon)
        if lost:
            settings = ", ".join([*(f"{column} = %s" for column in note), f"{LOADED_AT.name} = {now}"])
            client.execute_sql(f"UPDATE {name} SET {settings} WHERE {past}", *note.values(), horizon)
        condition, values = f"{condition} AND (date_started IS NULL OR date_started >= %s)", (horizon,)
    ((executions,),) = client.execute_sql(f"SELECT count(*) FROM {name} WHERE {condition}", *values)
    client.execute_sql(f"DELETE FROM {name} WHERE {condition}", *values)
    log.warning(
        "details_deleted",
        table=details_log.name,
        executions=executions,
        lost=lost,
        hint="this sync reads the steps again; task-history backfill reads those from before the syncs; the vendor no "
        f"longer holds the lost ones, see {details_log.name}.unreadable_reason",
    )


def _stored_types(pipeline: dlt.Pipeline, schema: Schema, names: Sequence[str]) -> dict[tuple[str, str], str]:
    """dlt's data types of the columns of these tables in the warehouse, by table and column."""
    with pipeline.destination_client(schema.name) as client:
        return {
            (table, column): str(hint.get("data_type"))
            for table, columns in client.get_storage_tables(names)  # type: ignore[attr-defined]
            for column, hint in columns.items()
        }
