"""The dlt pipeline as a run needs it: made ready, committed to, asked.

Every failure of the warehouse is a WarehouseUnavailable that says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
from dlt.common.pipeline import LoadInfo

from ..core.batch import Batch
from ..core.errors import WarehouseUnavailable
from ..core.log import log
from ..core.models import OTHER_FIELDS, ColumnLimits, Table
from ..redaction.own_secrets import OwnSecrets
from ..systems.protocol import System
from ..warehouse import tables
from ..warehouse.names import Names
from ..warehouse.queries import Warehouse
from . import destinations, dlt_internals, former_columns
from .connection import LONG_PATIENCE_S, Holder
from .errors import failures
from .load_package import Packer, are_wanted, fits
from .memory import give_back
from .resources import Made, Writer, made, resources, without_rows

OWN = {
    "_dlt_load_id": "The load that wrote the row (_dlt_loads.load_id).",
    "_dlt_id": "A key of the row, made by dlt.",
    OTHER_FIELDS: "Fields that the vendor sent beyond max_columns or max_name_length: a JSON object, values exact.",
}


class Loader:
    """One pipeline of one system. ``has_cursor`` says that it is the one whose state holds the live cursor.

    ``secrets`` are written to no table.
    """

    def __init__(
        self,
        pipeline: dlt.Pipeline,
        system: System,
        *,
        has_cursor: bool = True,
        run_id: str | None = None,
        secrets: OwnSecrets | None = None,
        limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
    ) -> None:
        self.pipeline = pipeline
        self._secrets = secrets or OwnSecrets()
        self.system = system
        self.backend = destinations.of(pipeline.destination)
        if self.backend.cost is not None:
            run = {} if run_id is None else {"task_history_run": run_id}
            self.backend.cost.labels |= {"task_history_system": system.name, **run}
        self._has_cursor = has_cursor
        self._limits = limits
        self._warned: set[str] = set()
        self._uses_internals = dlt_internals.are_used()
        dlt_internals.warn_of_another_version()
        self._holder = Holder(
            self._client, is_exclusive=self.backend.is_exclusive, stays_open=self._uses_internals
        )
        self._names: dict[str, str] = {}
        self._described: set[tuple[str, str]] | None = None
        self._kept: Any = None
        self._staged: set[str] = set()
        self._live: Any = None
        self._packer: Packer | None = None
        with failures():
            self._packs = self.backend.takes_packages and are_wanted()

    def ready(self) -> None:
        """Restores the state, loads what a killed run left, and makes or mends the tables.

        The tables exist before anything long begins: dlt throws a first package away when its run is
        killed before there is a dataset.

        Raises:
            WarehouseUnavailable: the warehouse cannot be used.
        """
        with failures(), self._held():
            if self._uses_internals:
                dlt_internals.forget_killed_extracts(Path(self.pipeline.working_dir))
                dlt_internals.finish_loads(Path(self.pipeline.working_dir))
            self.pipeline.sync_destination()
            self._live = None
            self._make_version_table()
            if self.pipeline.has_pending_data:
                log.info("pending_package", loaded_now=True)
                self.pipeline.run()
            if not self._has_tables():
                self._make_tables()
            self._mend()
            self._copy_former_columns()
            self.describe()
        # From now on there is something to lose.
        self._holder.patience_s = LONG_PATIENCE_S

    def commit(self, batch: Batch) -> LoadInfo:
        """Writes rows, coverage and cursor together, or nothing. Raises WarehouseUnavailable."""
        self._staged |= batch.filled
        if self.backend.cost is not None:
            self.backend.cost.reserved = 0
        with failures(), self._holder.lock:
            # First, and not only once the warehouse is there: in files the rows take no memory, and are kept.
            self._prepare(made(self.system, batch, self.writer()))
            give_back()
            with self._held() as client:
                info = self.pipeline.load()
                self.backend.committed(client)
                if self._uses_internals:
                    dlt_internals.forget_old_loads(Path(self.pipeline.working_dir))
                if any(package.schema_update for package in info.load_packages):
                    self.describe()
        return info

    def _prepare(self, ready: Made) -> None:
        """Leaves a load package for dlt."""
        system, schema = self.system, self._schema()
        executions, column = system.executions.name, system.started_column
        if self._packs and schema is not None and fits(schema, ready.tables):
            self._packer = self._packer or Packer(self.pipeline, compression=self.backend.compression)
            path = dlt_internals.cursor_path(system.name, executions, column)
            moved = (path, ready.cursor) if self._has_cursor and ready.cursor is not None else None
            self._packer.pack(schema, ready.tables, moved)
            return
        self._extract(ready, cursor=column if self._has_cursor else None)

    def _extract(self, ready: Made, *, cursor: str | None) -> None:
        """Leaves a load package for dlt, made by dlt itself."""
        # Each resource costs its time, also one that gives no rows; that of executions draws what all give.
        chosen = {self.system.executions.name, *ready.tables}
        told = resources(self.system, [ready], self.writer(), cursor=cursor)
        self.pipeline.extract(self._source(one for one in told if one.name in chosen))
        self.pipeline.normalize()

    def close(self) -> None:
        """Removes what is staged, where that was left for the end, and gives back what was kept open."""
        with self._holder.lock:
            # What is not merged yet stands nowhere else: dlt does not load it a second time.
            if self.backend.empties_late and self._staged and not self.pipeline.has_pending_data:
                try:
                    with failures(), self._held() as client, client.with_staging_dataset():
                        client.truncate_tables(*sorted(self._staged))
                except WarehouseUnavailable as error:
                    log.debug("staged_rows_stay", reason=str(error))
                self._staged.clear()
            self._holder.close()

    def writer(self) -> Writer:
        """Makes Arrow tables that fit the tables that are there."""
        schema = self._schema()
        normalize = schema.naming.normalize_identifier if schema else str

        def stored(name: str) -> Mapping[str, str]:
            columns = schema.tables.get(name, {}).get("columns", {}) if schema else {}
            return {key: column["data_type"] for key, column in columns.items() if "data_type" in column}

        return Writer(stored, normalize, self._secrets, limits=self._limits, warned=self._warned)

    def cursor(self) -> datetime | None:
        """How far everything is loaded; None before the first sync."""
        state: Any = self.pipeline.state
        path = dlt_internals.cursor_path(
            self.system.name, self.system.executions.name, self.system.started_column
        )
        value = dlt_internals.cursor(state, path)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return value.astimezone(UTC) if isinstance(value, datetime) else None

    def query(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The columns' names and the rows. Raises WarehouseUnavailable."""
        with failures(), self._held() as client, client.execute_query(sql, *values) as cursor:
            names = [column[0] for column in cursor.description or ()]
            return names, [tuple(row) for row in cursor.fetchall()]

    def execute(self, statements: Iterable[str]) -> None:
        """Runs statements that give no rows, in order. Raises WarehouseUnavailable."""
        with failures(), self._held() as client:
            for statement in statements:
                client.execute_sql(statement)

    def settle(self) -> None:
        """Has the warehouse put in order what was written, where it reads it faster then."""
        with failures(), self._held() as client:
            self.backend.settle(client)

    def describe_views(self, dataset: str, texts: Mapping[str, Mapping[str, str]]) -> None:
        """Gives the columns of views their sentences, by view and column. Raises WarehouseUnavailable."""
        with failures(), self._held() as client:
            self.backend.describe_views(client, dataset, texts)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The warehouse stays open meanwhile, where each question would open it anew."""
        with failures(), self._held():
            yield

    def query_if_any(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Like ``query``; no rows while there are no tables."""
        return self.query(sql, *values) if self._has_tables() and not self.pipeline.first_run else ([], [])

    def warehouse(self, *, is_ready: bool = True) -> Warehouse:
        """What the tables are asked; ``is_ready`` says that they are there."""
        query = self.query if is_ready else self.query_if_any
        return Warehouse(query, self.names, self.system, has_tries=is_ready or self._has_tries())

    def _has_tries(self) -> bool:
        """Whether the log of details has the columns of tries, which an earlier version did not make."""
        schema = self._schema()
        log = schema.tables.get(self.system.details.log.name, {}) if schema else {}
        return "next_try_at" in log.get("columns", {})

    @property
    def client(self) -> Any:
        """dlt's client of the warehouse, to be asked what it is; what it holds is asked of ``query``."""
        with self._holder.lock:
            return self._client()

    @property
    def names(self) -> Names:
        """How tables are named in SQL."""
        return Names(self.qualified, self.backend.literal)

    def datasets(self) -> list[str]:
        """All that there are, where the warehouse has to be asked for each. Raises WarehouseUnavailable."""
        with failures(), self._held() as client:
            return self.backend.datasets(client)

    def qualified(self, name: str) -> str:
        """The table's full name in SQL."""
        if name not in self._names:
            # While a commit is written dlt's schema may be without its naming for a moment.
            with self._holder.lock:
                self._names[name] = str(self._client().make_qualified_table_name(name))
        return self._names[name]

    def describe(self) -> None:
        """Writes the sentence of every column into the warehouse, where dlt does not."""
        schema = self._schema()
        wanted = _sentences(tables.of(self.system), schema.tables if schema else {})
        if self._described is not None and wanted.keys() <= self._described:
            return
        with failures(), self._held() as client:
            self.backend.describe(client, wanted)
        self._described = set(wanted)

    def _held(self) -> AbstractContextManager[Any]:
        return self._holder.held()

    def let_go(self) -> AbstractContextManager[None]:
        """Meanwhile the run waits for something else, and a warehouse that takes one process at a time is given up."""
        return self._holder.let_go()

    def _client(self) -> Any:
        """dlt's client, made once: each one that dlt makes has all its settings looked up again."""
        if self._kept is None:
            self._kept = self.pipeline.sql_client()
        return self._kept

    def _source(self, made: Iterable[Any]) -> Any:
        made = list(made)

        # No table has others within it, so that no key of a root has to reach them.
        @dlt.source(name=self.system.name, max_table_nesting=0, root_key=False)
        def system() -> Any:
            return made

        return system()

    def _schema(self) -> Any:
        """The pipeline's schema, which dlt reads from its file whenever it is asked for it."""
        schemas: Any = self.pipeline.schemas
        if self._live is None and self.system.name in schemas:
            self._live = schemas[self.system.name]
        return self._live

    def _has_tables(self) -> bool:
        schema = self._schema()
        return schema is not None and all(
            column.name in schema.tables.get(table.name, {}).get("columns", {})
            for table in tables.of(self.system)
            for column in table.columns
        )

    def _make_tables(self) -> None:
        """Makes what is not there, without a load: that takes as long as all else that a small sync does."""
        name = self.system.name
        if not self._uses_internals:
            writer = self.writer()
            empty = {table.name: writer.arrow(table, []) for table in tables.of(self.system)}
            self._extract(Made(empty, None), cursor=None)
            self.pipeline.load()
            self._live = None
            return
        wanted = self._source(without_rows(self.system)).discover_schema()
        dlt_internals.mark_as_seen(wanted)
        with self.pipeline.managed_state():
            known = self._schema()
            if known is not None:
                # Columns that only the vendor knows are no less there.
                known = known.clone()
                known.update_schema(wanted)
            self.pipeline.schemas.save_schema(known or wanted)
            if self.pipeline.default_schema_name is None:
                self.pipeline.default_schema_name = name  # type: ignore[assignment]  # so says dlt, of None
        self._live = None
        self._make_version_table()
        self.pipeline.sync_schema(name)

    def _make_version_table(self) -> None:
        """Makes dlt's table of schema versions in a dataset that lacks it, which dlt asks before it makes any table.

        A dataset is there without tables when a first run was killed between the two, or when it was made by hand.
        """
        schema = self._schema()
        if schema is None:
            return
        with self.pipeline.destination_client(schema.name) as client:
            dlt_internals.make_version_table(client)

    def _copy_former_columns(self) -> None:
        """Copies what an earlier version wrote under a column's former name.

        The note that it is done is written after the values: a run that is killed between the two copies them again.
        """
        schema = self._schema()
        former = former_columns.not_copied(tables.of(self.system), schema.tables)
        if not former:
            return
        self.execute(former_columns.statements(former, self.qualified))
        with self.pipeline.managed_state():
            self.pipeline.schemas.save_schema(former_columns.noted(schema, former))
        self.pipeline.sync_schema(self.system.name)
        self._live = None
        log.info("former_columns_copied", tables=",".join(sorted(former)))

    def _mend(self) -> None:
        """Puts back tables and columns that somebody dropped; dlt would go on as if they were there.

        Raises:
            WarehouseUnavailable: somebody gave a column another type, in which values would be lost.
        """
        schema = self._schema()
        there = self._stored_types()
        wanted = {
            (table["name"], column): hint["data_type"]
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
        if not lost:
            return
        log.warning(
            "altered_by_hand",
            missing=",".join(".".join(key) for key in lost),
            hint="put back empty; rows that were dropped with them are read again where the vendor still has them",
        )
        self.backend.forget()
        with self._held() as client:
            version = client.make_qualified_table_name(schema.version_table_name)
            client.execute_sql(f"DELETE FROM {version} WHERE version_hash = %s", schema.stored_version_hash)
            if any(table == self.system.executions.name for table, _ in lost):
                self._forget_coverage(client, there)
        self.pipeline.sync_schema()

    def _forget_coverage(self, client: Any, there: Mapping[tuple[str, str], str]) -> None:
        """What was noted as loaded is not there any more: the next sync begins anew."""
        if (tables.COVERAGE.name, "day") not in there:
            return
        name = client.make_qualified_table_name(tables.COVERAGE.name)
        rows = client.execute_sql(f"SELECT min(window_start), max(window_end) FROM {name}")
        client.execute_sql(f"DELETE FROM {name} WHERE TRUE")
        if rows and rows[0][0]:
            start, end = rows[0]
            log.warning(
                "coverage_forgotten",
                window_start=start,
                window_end=end,
                hint="this sync lists again from start_date on; task-history backfill brings what lies before",
            )

    def _stored_types(self) -> dict[tuple[str, str], str]:
        """The types of the columns that are in the warehouse, as dlt names them."""
        schema = self._schema()
        names = [table["name"] for table in schema.data_tables()]
        with self.pipeline.destination_client(schema.name) as client:
            return {
                (table, column): str(hint.get("data_type"))
                for table, columns in client.get_storage_tables(names)  # type: ignore[attr-defined]
                for column, hint in columns.items()
            }


def _sentences(own: Iterable[Table], stored: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The sentence of every column, by table and column; a table's own under the empty name."""
    found: dict[tuple[str, str], str] = {}
    for table in own:
        found[(table.name, "")] = table.description
        known = {column.name: column.description for column in table.columns}
        known |= {
            column.former_name: f"The former name of {column.name}: what earlier versions wrote."
            for column in table.columns
            if column.former_name is not None
        }
        for column in stored.get(table.name, {}).get("columns", {}):
            base, _, rest = column.partition("__v_text")
            if column in known:
                text = known[column]
            elif column in OWN:
                text = OWN[column]
            elif rest == "" and base in known and base != column:
                text = (
                    f"What the vendor sent for {base} where it is not of that column's type, as exact text."
                )
            else:
                text = "Sent by the vendor; its documentation does not name it."
            found[(table.name, column)] = text
    return found
