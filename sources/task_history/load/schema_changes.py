"""What the vendor sends for the first time: fields, types and statuses, each logged and noted once in ``schema_changes``.

What a first sync brings is no news, nor is what is documented. Where nothing is new the warehouse is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from ..core.log import log
from ..core.models import OTHER_FIELDS, VARIANT, Row
from ..systems.protocol import System
from ..warehouse import tables
from ..warehouse.tables import SCHEMA_CHANGES, SYNC_RUNS

if TYPE_CHECKING:
    from .pipeline import Loader

STATUS = "status"
_MAX_STATUSES = 20
"""New statuses of one table that one commit notes: a vendor that sends more sends something else there."""
_MAX_STATUS_CHARS = 100
_REACH = timedelta(days=120)
"""Time back to which rows are looked at for a status, where reading is billed."""

AddedColumns = Mapping[tuple[str, str], str]
"""dlt's types of columns that rows have and the warehouse has not yet, by table and column."""


class SchemaChanges:
    """Notes what is new in the rows of one run."""

    def __init__(self, loader: Loader, run_id: str | None) -> None:
        self._loader = loader
        self._run_id = run_id
        self._seen: set[str] = set()
        """Ids of changes that this run has looked at."""
        self.noted: list[Row] = []
        """The changes that this run saw first."""
        self.alone: Callable[[], AbstractContextManager[object]] = nullcontext
        """Gives a context in which no other run notes changes of this dataset, where runs can know of each other."""

    def note(self, added: AddedColumns, written: Mapping[str, Any]) -> None:
        """Notes what is new in rows that are about to be written: Arrow tables by table. Raises WarehouseUnavailable."""
        found = {
            row["change_id"]: row
            for row in (*_of_columns(added), *_of_statuses(self._loader.system, written))
            if row["change_id"] not in self._seen
        }
        if not found:
            return
        self._seen.update(found)
        with self.alone():
            _, rows = self._loader.query(
                f"SELECT change_id FROM {self._loader.qualified(SCHEMA_CHANGES.name)} AS c"
            )
            known = {str(row[0]) for row in rows}
            for change_id, row in found.items():
                if change_id not in known and self._is_news(row):
                    self._note(row)

    def _is_news(self, row: Row) -> bool:
        """Whether a run that wrote such rows has ended before, and no stored row has that status."""
        loader, name = self._loader, row["table_name"]
        _, earlier = loader.query(
            f"SELECT 1 FROM {loader.qualified(SYNC_RUNS.name)} AS r WHERE r.run_id <> %s "
            f"AND r.outcome IN ('complete', 'stopped') AND r.{_counter(loader.system, name)} > 0 LIMIT 1",
            self._run_id or "",
        )
        if not earlier or row["status"] is None:
            return bool(earlier)
        table = next(table for table in tables.of(loader.system) if table.name == name)
        recent = replace(loader.names, since=datetime.now(UTC) - _REACH).recent(table)
        _, alike = loader.query(f"SELECT 1 FROM {recent} AS t WHERE t.{STATUS} = %s LIMIT 1", row["status"])
        return not alike

    def _note(self, row: Row) -> None:
        row = {**row, "seen_at": datetime.now(UTC), "run_id": self._run_id}
        self._loader.put(SCHEMA_CHANGES, row)
        self.noted.append(row)
        log.warning(
            "schema_changed",
            kind=row["kind"],
            table=row["table_name"],
            column=row["column_name"],
            type=row["type"],
            status=row["status"],
            hint="the vendor sends it for the first time; it is kept, and noted in schema_changes",
        )


def _counter(system: System, table: str) -> str:
    """The column of ``sync_runs`` that counts the rows of a table, or of those that come with them."""
    for listing in tables.listings(system):
        if listing.payloads is not None and table == listing.payloads.table.name:
            return "payloads"
        if table in {
            one.name for one in (listing.details.steps, listing.details.log, *listing.details.children)
        }:
            return "steps"
    return "executions"


def _of_columns(added: AddedColumns) -> Iterator[Row]:
    for (table, column), type_ in sorted(added.items()):
        base = column.removesuffix(VARIANT)
        if column != OTHER_FIELDS:
            yield _change("new_column" if base == column else "changed_type", table, base, type_)


def _of_statuses(system: System, written: Mapping[str, Any]) -> Iterator[Row]:
    """Statuses that the system does not document, of executions and of steps whose status is the vendor's."""
    documented = {status.upper() for status in system.views.statuses} if system.views else set()
    for listing in tables.listings(system):
        for table in (listing.executions, listing.details.steps):
            is_sent = any(column.name == STATUS and column.source for column in table.columns)
            if not documented or not is_sent or table.name not in written:
                continue
            values = [value for value in pc.unique(written[table.name][STATUS]).to_pylist() if value]
            fresh = sorted(value for value in values if value.upper() not in documented)
            for value in fresh[:_MAX_STATUSES]:
                yield _change("new_status", table.name, STATUS, "text", value[:_MAX_STATUS_CHARS])


def _change(kind: str, table: str, column: str, type_: str, status: str | None = None) -> Row:
    named = (kind, f"{table}.{column}", *([] if status is None else [status]))
    return {
        "change_id": " ".join(named),
        "kind": kind,
        "table_name": table,
        "column_name": column,
        "type": type_,
        "status": status,
    }
