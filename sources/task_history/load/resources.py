"""Batches as dlt resources: one per table, merged by key, the cursor beside the rows it speaks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import TColumnSchema
from dlt.extract import DltResource

from ..core.arrow import RowColumns
from ..core.batch import Batch
from ..core.log import log
from ..core.models import OTHER_FIELDS, ColumnLimits, Row, Table
from ..redaction.columns import without_own
from ..redaction.own_secrets import OwnSecrets
from ..settings import Settings
from ..systems.protocol import System
from ..warehouse import tables
from .arrow import once, to_arrow
from .destinations.base import PARTITION_MAY_CHANGE
from .dlt_internals import CLUSTER_COLUMNS_HINT, TABLE_DESCRIPTION_HINT, steps

Stored = Callable[[str], Mapping[str, str]]
"""The dlt types of the columns that a table has already."""


def hints(table: Table) -> dict[str, TColumnSchema]:
    """The table's columns as dlt takes them, each with its sentence."""
    found: dict[str, TColumnSchema] = {}
    for column in table.columns:
        hint: dict[str, Any] = {
            "name": column.name,
            "data_type": column.type,
            "description": column.description,
            "nullable": column.name not in table.primary_key,
        }
        if column.name == table.newest:
            hint["dedup_sort"] = "desc"
        if column.name == table.partition:
            hint["partition"] = True
        found[column.name] = hint  # type: ignore[assignment]
    return found


class SystemResource(DltResource):
    """A resource of a system's dlt source, which knows the settings that the source was made with."""

    settings: Settings | None = None
    """None where it was not made by one of the sources."""
    _own_steps = 0

    def made_with(self, settings: Settings) -> SystemResource:
        """The same resource, whose source was made with these settings."""
        self.settings = settings
        self._own_steps = steps(self)
        return self

    @property
    def is_changed(self) -> bool:
        """Whether steps were added to it or taken away, such as by ``add_map`` or ``add_limit``."""
        return steps(self) != self._own_steps


class Writer:
    """Rows → Arrow tables as the warehouse has their columns, without ``secrets``; remembers which names are new.

    ``warned`` holds the tables whose rows were said to have more fields than ``limits`` lets become columns.
    """

    def __init__(
        self,
        stored: Stored,
        normalize: Callable[[str], str],
        secrets: OwnSecrets,
        *,
        limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
        warned: set[str] | None = None,
    ) -> None:
        self.stored = stored
        self.secrets = secrets
        self.normalize = normalize
        self._limits = limits
        self._warned = set() if warned is None else warned
        self._types: dict[str, dict[str, str]] = {}

    def arrow(self, table: Table, rows: list[Row] | RowColumns) -> Any:
        """The rows in columns."""
        known = self._types.setdefault(table.name, dict(self.stored(table.name)))
        columns = to_arrow(rows, table, stored_types=known, normalize=self.normalize, limits=self._limits)
        if columns.beyond and table.name not in self._warned:
            self._warned.add(table.name)
            log.warning(
                "fields_without_column",
                table=table.name,
                fields=columns.beyond,
                max_columns=self._limits.columns,
                max_name_length=self._limits.name_length,
                hint=f"the vendor sends more fields, or longer names, than become columns: their values are in "
                f"{table.name}.{OTHER_FIELDS}, as JSON text",
            )
        known.update(columns.types)
        return _required(table, without_own(columns.table, self.secrets))


def _required(table: Table, columns: Any) -> Any:
    """The columns with those of the key as ones that are never empty, which is what ``hints`` says of them.

    dlt warns about every Arrow table that differs from its hints.
    """
    fields = [
        field.with_nullable(field.name not in table.primary_key or columns[field.name].null_count > 0)
        for field in columns.schema
    ]
    return columns.cast(pa.schema(fields))


@dataclass(frozen=True, slots=True)
class Made:
    """A batch as Arrow tables, by name; of each only if it holds rows of it."""

    tables: dict[str, Any]
    cursor: datetime | None


def made(system: System, batch: Batch, writer: Writer) -> Made:
    """The batch's rows, which it holds no longer: there is room for them once."""
    found: dict[str, Any] = {}
    for table in tables.of(system):
        parts = [writer.arrow(table, part) for part in batch.columnar.pop(table.name, ())]
        if rows := batch.rows.pop(table.name, None):
            parts.append(writer.arrow(table, rows))
        if parts:
            found[table.name] = once(parts, table)
    return Made(found, batch.cursor)


def resources(
    system: System, batches: Iterable[Made], writer: Writer, *, cursor: str | None
) -> list[SystemResource]:
    """A resource per table; the one of executions draws the batches.

    It holds the cursor over the column of that name; None where no cursor is to be touched.
    """
    work = _Work(system, batches, writer)
    return [
        _resource(system.executions, work.drawing(cursor) if cursor else work.drawn()),
        *(
            _resource(table, work.others(table.name))
            for table in tables.of(system)
            if table is not system.executions
        ),
    ]


def without_rows(system: System) -> list[SystemResource]:
    """A resource per table that tells what the table is like, and gives no row."""
    return [_resource(table, lambda: iter(())) for table in tables.of(system)]


def _resource(table: Table, rows: Callable[..., Iterator[Any]]) -> SystemResource:
    made: Any = dlt.resource(
        rows,
        name=table.name,
        primary_key=list(table.primary_key),
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        columns=hints(table),
        schema_contract="evolve",
        _impl_cls=SystemResource,
    )
    of_table: dict[str, Any] = {TABLE_DESCRIPTION_HINT: table.description}
    if table.cluster:
        of_table[CLUSTER_COLUMNS_HINT] = list(table.cluster)
    if table.partition_may_change:
        of_table[PARTITION_MAY_CHANGE] = True
    resource: SystemResource = made.apply_hints(additional_table_hints=of_table)
    return resource


class _Work:
    """Hands out what the batches hold, whichever resource is asked first."""

    def __init__(self, system: System, batches: Iterable[Made], writer: Writer) -> None:
        self._tables = {table.name: table for table in tables.of(system)}
        self._own = system.executions.name
        self._batches = batches
        self._writer = writer
        self._waiting: dict[str, deque[Any]] = {name: deque() for name in self._tables}
        self._is_over = False

    def drawing(self, cursor: str) -> Callable[..., Iterator[Any]]:
        """The rows of executions, the cursor beside them."""

        def executions(
            started: dlt.sources.incremental[datetime] = dlt.sources.incremental(cursor),  # noqa: B008
        ) -> Iterator[Any]:
            # The cursor is ours: whole windows move it, not rows, and no row is filtered by it.
            started.advance(None)  # type: ignore[arg-type]  # dlt's own word for it
            yield from self._drawn(started.advance)

        return executions

    def drawn(self) -> Callable[[], Iterator[Any]]:
        """The rows of executions, without a cursor."""

        def executions() -> Iterator[Any]:
            yield from self._drawn(lambda _: None)

        return executions

    def _drawn(self, advance: Callable[[datetime], object]) -> Iterator[Any]:
        try:
            for batch in self._batches:
                for name, rows in batch.tables.items():
                    self._waiting[name].append(rows)
                while self._waiting[self._own]:
                    yield self._waiting[self._own].popleft()
                if batch.cursor is not None:
                    advance(batch.cursor)
        finally:
            self._is_over = True

    def others(self, name: str) -> Callable[[], Iterator[Any]]:
        """Gives what the batches drawn so far hold for the table."""

        def rows() -> Iterator[Any]:
            while not self._is_over or self._waiting[name]:
                yield self._waiting[name].popleft() if self._waiting[name] else None
            if not self._writer.stored(name):
                yield self._writer.arrow(self._tables[name], [])

        return rows
