"""What the vendor sends for the first time: fields, types and statuses, noted once in ``schema_changes``.

What a first sync brings is no news, nor is what is documented. Where nothing is new the warehouse is not asked. One
commit logs one line, and one row stands for all statuses of a table beyond the first ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from ..core.log import log
from ..core.models import OTHER_FIELDS, VARIANT, Row
from ..redaction.redactor import Redactor
from ..systems.protocol import System
from ..warehouse import common_tables
from ..warehouse.common_tables import SCHEMA_CHANGES, SYNC_RUNS
from . import rows_without_package

if TYPE_CHECKING:
    from .pipeline import Loader

STATUS = "status"
NEW_STATUS = "new_status"
_MAX_STATUSES = 50
"""New statuses of one table that are noted, over all runs: a vendor that sends more sends something else there."""
_MAX_STATUS_CHARS = 100
_MAX_NAMES = 5
"""Changes that one line of the log names."""
_SEARCHED_SPAN = timedelta(days=120)
"""Time back to which rows are looked at for a status, where reading is billed."""

AddedColumns = Mapping[tuple[str, str], str]
"""dlt's types of columns that rows have and the warehouse has not yet, by table and column."""


class SchemaChanges:
    """Notes what is new in the rows of one run."""

    def __init__(self, loader: Loader, run_id: str | None) -> None:
        self._loader = loader
        self._run_id = run_id
        self._seen: set[str] = set()
        """Ids of the columns that this run has looked at."""
        self._seen_statuses: dict[str, set[str]] = {}
        """Statuses that this run has looked at, by table."""
        self._too_many: set[str] = set()
        """Tables whose new statuses are no longer noted."""
        self.noted: list[Row] = []
        """The changes that this run saw first."""
        self.exclusive: Callable[[], AbstractContextManager[object]] = nullcontext
        """Gives a context in which no other run notes changes of this dataset, where runs can know of each other."""
        self.redactor = Redactor()
        """Removes secrets from statuses."""

    def note(self, added: AddedColumns, written: Mapping[str, Any]) -> None:
        """Notes what is new in rows that are about to be written: Arrow tables by table. Raises WarehouseUnavailable."""
        columns = [row for row in _of_columns(added) if row["change_id"] not in self._seen]
        statuses = {
            name: fresh
            for name, values in _undocumented(self._loader.system, written).items()
            if name not in self._too_many and (fresh := values - self._seen_statuses.get(name, set()))
        }
        if not columns and not statuses:
            return
        self._seen.update(row["change_id"] for row in columns)
        with self.exclusive():
            _, rows = self._loader.query(
                f"SELECT change_id, kind, table_name FROM {self._loader.qualified(SCHEMA_CHANGES.name)} AS c"
            )
            known = {str(change_id) for change_id, _, _ in rows}
            new = [row for row in columns if self._was_written(row["table_name"])]
            for name, values in statuses.items():
                stored = sum(row[1:] == (NEW_STATUS, name) for row in rows)
                new += self._of_statuses(name, values, known, limit=max(0, _MAX_STATUSES - stored))
            self._note([row for row in new if row["change_id"] not in known])

    def _was_written(self, table: str) -> bool:
        """Whether a run that wrote rows of that table has ended before."""
        loader = self._loader
        _, earlier = loader.query(
            f"SELECT 1 FROM {loader.qualified(SYNC_RUNS.name)} AS r WHERE r.run_id <> %s "
            f"AND r.outcome IN ('complete', 'stopped') AND r.{_counter(loader.system, table)} > 0 LIMIT 1",
            self._run_id or "",
        )
        return bool(earlier)

    def _of_statuses(self, name: str, values: set[str], known: set[str], *, limit: int) -> Iterator[Row]:
        """The changes of a table for statuses that no stored row has: ``limit`` of them, then one for all others."""
        if _many_statuses(name)["change_id"] in known:
            self._too_many.add(name)
            return
        looked_at = sorted(values)[: _MAX_STATUSES + 1]
        self._seen_statuses.setdefault(name, set()).update(looked_at)
        if not self._was_written(name):
            return
        stored = self._stored_statuses(name, looked_at)
        changes = {
            row["change_id"]: row
            for value in looked_at
            if value not in stored
            and (row := _change(NEW_STATUS, name, STATUS, "text", self._shown(value)))["change_id"]
            not in known
        }
        yield from list(changes.values())[:limit]
        if len(changes) > limit:
            self._too_many.add(name)
            yield _many_statuses(name)

    def _stored_statuses(self, name: str, statuses: list[str]) -> set[str]:
        """Those of the statuses that a stored row of the table has."""
        loader = self._loader
        table = next(table for table in common_tables.of(loader.system) if table.name == name)
        recent = replace(loader.names, since=datetime.now(UTC) - _SEARCHED_SPAN).recent(table)
        marks = ", ".join(["%s"] * len(statuses))
        _, rows = loader.query(
            f"SELECT DISTINCT t.{STATUS} FROM {recent} AS t WHERE t.{STATUS} IN ({marks})", *statuses
        )
        return {row[0] for row in rows}

    def _shown(self, status: str) -> str:
        """A status without secrets, of bounded length."""
        return self.redactor.text(status)[0][:_MAX_STATUS_CHARS]

    def _note(self, changes: list[Row]) -> None:
        """Writes rows of ``schema_changes``, and one line of the log that counts them."""
        if not changes:
            return
        now = datetime.now(UTC)
        rows = [{**row, "seen_at": now, "run_id": self._run_id} for row in changes]
        backend, name = self._loader.backend, self._loader.qualified(SCHEMA_CHANGES.name)
        self._loader.retried(
            lambda client: rows_without_package.insert(
                client, name, SCHEMA_CHANGES, rows, now=backend.begin_commit(client)
            ),
            is_repeatable=False,
        )
        self.noted += rows
        counts = Counter(row["kind"] for row in rows)
        names = [
            f"{row['table_name']}.{row['column_name']}" + (f"={row[STATUS]}" if row[STATUS] else "")
            for row in rows[:_MAX_NAMES]
        ]
        log.warning(
            "schema_changed",
            changes=len(rows),
            kinds=", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())),
            first=", ".join(names),
            hint="the vendor sends them for the first time; they are kept, and schema_changes names them",
        )


def _counter(system: System, table: str) -> str:
    """The column of ``sync_runs`` that counts the rows of a table, or of those that come with them."""
    for listing in common_tables.listings(system):
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


def _undocumented(system: System, written: Mapping[str, Any]) -> dict[str, set[str]]:
    """Statuses that the system does not document, of executions and of steps whose status is the vendor's, by table."""
    documented = {status.upper() for status in system.views.statuses} if system.views else set()
    found: dict[str, set[str]] = {}
    for listing in common_tables.listings(system):
        for table in (listing.executions, listing.details.steps):
            is_sent = any(column.name == STATUS and column.source for column in table.columns)
            if not documented or not is_sent or table.name not in written:
                continue
            values = pc.unique(written[table.name][STATUS]).to_pylist()
            found[table.name] = {value for value in values if value and value.upper() not in documented}
    return found


def _many_statuses(table: str) -> Row:
    """The change that stands for all statuses of a table beyond those that are noted one by one."""
    return _change("many_statuses", table, STATUS, "text")


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
