"""Batches as dlt resources: one for each table, merged by primary key; that of executions holds the cursor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema import Schema
from dlt.extract import DltResource

from ..core.arrow_types import ARROW, RowColumns
from ..core.batch import Batch
from ..core.columns import LOADED_AT
from ..core.log import log
from ..core.models import OTHER_FIELDS, ColumnLimits, Row, Table
from ..redaction.arrow_columns import without_own
from ..redaction.own_secrets import OwnSecrets
from ..settings_reader import Settings
from ..systems.protocol import System
from ..warehouse import common_tables
from ..warehouse.column_rules import ColumnRules
from .arrow_table import deduplicated, to_arrow
from .dlt_internals import steps
from .table_hints import column_hints, table_hints
from .vendor_fields import VendorFields

Stored = Callable[[str], Mapping[str, str]]
"""Returns the dlt types of a table's stored columns, by column name."""


class SystemResource(DltResource):
    """A resource of a system's dlt source, which knows the settings that the source was made with."""

    settings: Settings | None = None
    """None for a resource that does not come from one of the sources."""
    _own_steps = 0

    def with_settings(self, settings: Settings) -> SystemResource:
        """Sets the settings of the source that the resource belongs to; returns the resource."""
        self.settings = settings
        self._own_steps = steps(self)
        return self

    @property
    def is_changed(self) -> bool:
        """Whether a user added or removed steps of the resource, such as by ``add_map`` or ``add_limit``."""
        return steps(self) != self._own_steps


class ArrowWriter:
    """Converts rows into Arrow tables that match the stored columns, keep ``rules`` and hold none of ``secrets``.

    It remembers the columns that it added. ``warned`` holds the tables for which a warning was logged that rows have
    more fields than ``limits`` allows as columns.
    """

    def __init__(
        self,
        stored: Stored,
        normalize: Callable[[str], str],
        secrets: OwnSecrets,
        *,
        fields: VendorFields | None = None,
        limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
        rules: ColumnRules | None = None,
        warned: set[str] | None = None,
    ) -> None:
        self.stored = stored
        self.fields = VendorFields() if fields is None else fields
        self.secrets = secrets
        self.normalize = normalize
        self._limits = limits
        self._rules = rules or ColumnRules()
        self._warned = set() if warned is None else warned
        self._types: dict[str, dict[str, str]] = {}
        self.added: dict[tuple[str, str], str] = {}
        """dlt's types of the columns that the warehouse has not yet, by table and column."""

    def arrow(self, table: Table, rows: list[Row] | RowColumns) -> Any:
        """Converts rows of ``table`` into an Arrow table."""
        known = self._types.setdefault(table.name, dict(self.stored(table.name)))
        columns = to_arrow(
            rows,
            table,
            stored_types=known,
            normalize=self.normalize,
            fields=self.fields,
            limits=self._limits,
            rules=self._rules.of(table.name),
        )
        if columns.without_column and table.name not in self._warned:
            self._warned.add(table.name)
            log.warning(
                "fields_without_column",
                table=table.name,
                fields=columns.without_column,
                max_columns=self._limits.columns,
                max_name_length=self._limits.name_length,
                hint=f"the vendor sends more fields, or longer names, than become columns: their values are in "
                f"{table.name}.{OTHER_FIELDS}, as JSON text",
            )
        self.added |= {
            (table.name, name): type_ for name, type_ in columns.types.items() if name not in known
        }
        known.update(columns.types)
        return _required(table, without_own(columns.table, self.secrets))


def _required(table: Table, columns: Any) -> Any:
    """The Arrow table with primary key columns marked as not nullable, as in ``column_hints``.

    dlt warns about every Arrow table that differs from its hints.
    """
    fields = [
        field.with_nullable(field.name not in table.required_columns or columns[field.name].null_count > 0)
        for field in columns.schema
    ]
    return columns.cast(pa.schema(fields))


@dataclass(frozen=True, slots=True)
class ArrowBatch:
    """A batch as Arrow tables by table name; tables without rows are left out."""

    tables: dict[str, Any]
    cursor: datetime | None


def arrow_batch(system: System, batch: Batch, writer: ArrowWriter) -> ArrowBatch:
    """Converts a batch into Arrow tables and empties it, because memory holds the rows only once.

    ``loaded_at`` is the present: backends that can set it in the transaction that writes the rows do so.
    """
    now = pa.scalar(datetime.now(UTC), ARROW[LOADED_AT.type])
    by_name: dict[str, Any] = {}
    for table in common_tables.of(system):
        parts = [writer.arrow(table, part) for part in batch.columnar.pop(table.name, ())]
        listed = batch.rows.pop(table.name, [])
        if table is common_tables.VENDOR_FIELDS:
            listed += writer.fields.unwritten()
        if listed:
            parts.append(writer.arrow(table, listed))
        if parts:
            rows = deduplicated(parts, table)
            index = rows.schema.get_field_index(LOADED_AT.name)
            by_name[table.name] = rows.set_column(index, rows.field(index), pa.repeat(now, len(rows)))
    return ArrowBatch(by_name, batch.cursor)


def resources(
    system: System, batches: Iterable[ArrowBatch], writer: ArrowWriter, *, cursor: str | None
) -> list[SystemResource]:
    """One resource per table; the one of executions draws the batches for all.

    ``cursor`` is the column of the cursor; None leaves the cursor as it is.
    """
    queues = _BatchQueues(system, batches, writer)
    return [
        _resource(
            system.executions, queues.executions_with_cursor(cursor) if cursor else queues.executions()
        ),
        *(
            _resource(table, queues.rows_of(table.name))
            for table in common_tables.of(system)
            if table is not system.executions
        ),
    ]


def empty_schema(system: System) -> Schema:
    """A new schema with all tables of the system; dlt takes as long to make the first one as for a small commit."""
    global _last_schema  # noqa: PLW0603 - accounts of one system follow each other
    naming = dlt.config.get("schema.naming", str)
    if _last_schema is None or _last_schema[0] is not system or _last_schema[1] != naming:
        members = [_resource(table, lambda: iter(())) for table in common_tables.of(system)]
        _last_schema = system, naming, source(system, members).discover_schema()
    return _last_schema[2].clone()


_last_schema: tuple[System, str | None, Schema] | None = None
"""The schema that was made last, with its system and naming convention."""


def _resource(table: Table, rows: Callable[..., Iterator[Any]]) -> SystemResource:
    made: Any = dlt.resource(
        rows,
        name=table.name,
        primary_key=list(table.primary_key),
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        columns=column_hints(table),
        schema_contract="evolve",
        _impl_cls=SystemResource,
    )
    resource: SystemResource = made.apply_hints(additional_table_hints=table_hints(table))
    return resource


class _BatchQueues:
    """Queues the Arrow tables of the batches by table, for the resources that dlt reads in any order."""

    def __init__(self, system: System, batches: Iterable[ArrowBatch], writer: ArrowWriter) -> None:
        self._tables = {table.name: table for table in common_tables.of(system)}
        self._own = system.executions.name
        self._batches = batches
        self._writer = writer
        self._queued: dict[str, deque[Any]] = {name: deque() for name in self._tables}
        self._is_over = False

    def executions_with_cursor(self, cursor: str) -> Callable[..., Iterator[Any]]:
        """A generator function of the execution rows, which advances the cursor."""

        def executions(
            started: dlt.sources.incremental[datetime] = dlt.sources.incremental(cursor),  # noqa: B008
        ) -> Iterator[Any]:
            # The cursor is ours: whole windows move it, not rows, and no row is filtered by it.
            started.advance(None)  # type: ignore[arg-type]  # dlt's own word for it
            yield from self._execution_rows(started.advance)

        return executions

    def executions(self) -> Callable[[], Iterator[Any]]:
        """A generator function of the execution rows, without a cursor."""

        def executions() -> Iterator[Any]:
            yield from self._execution_rows(lambda _: None)

        return executions

    def _execution_rows(self, advance: Callable[[datetime], object]) -> Iterator[Any]:
        try:
            for batch in self._batches:
                for name, rows in batch.tables.items():
                    self._queued[name].append(rows)
                while self._queued[self._own]:
                    yield self._queued[self._own].popleft()
                if batch.cursor is not None:
                    advance(batch.cursor)
        finally:
            self._is_over = True

    def rows_of(self, name: str) -> Callable[[], Iterator[Any]]:
        """A generator function of the rows of another table, from the batches drawn so far."""

        def rows() -> Iterator[Any]:
            while not self._is_over or self._queued[name]:
                yield self._queued[name].popleft() if self._queued[name] else None
            if not self._writer.stored(name):
                yield self._writer.arrow(self._tables[name], [])

        return rows


def source(system: System, members: Iterable[Any]) -> Any:
    """The dlt source of a system with these resources, named as the system."""
    members = list(members)

    # No table is nested, so that no root key is needed.
    @dlt.source(name=system.name, max_table_nesting=0, root_key=False)
    def of_system() -> Any:
        return members

    return of_system()
