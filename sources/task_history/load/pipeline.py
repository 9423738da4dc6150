"""The loader: prepares the tables of one dlt pipeline, commits batches to them and runs queries on them.

Failures of the warehouse are raised as WarehouseUnavailable with a hint what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration import resolve_configuration
from dlt.common.pipeline import LoadInfo
from dlt.pipeline.exceptions import PipelineStepFailed

from ..core import lock_timeouts
from ..core.batch import Batch
from ..core.columns import LOADED_AT
from ..core.errors import PackageRefused, WarehouseUnavailable
from ..core.log import log
from ..core.models import ColumnLimits, Row, Table
from ..redaction.own_secrets import OwnSecrets
from ..systems.protocol import System
from ..warehouse import common_tables
from ..warehouse.column_rules import ColumnRules
from ..warehouse.former_tables import lacking
from . import (
    destinations,
    dlt_internals,
    migrated_columns,
    migrated_keys,
    migrated_texts,
    refused_packages,
    rows_without_package,
    working_dir,
)
from .commits_per_day import CommitPace
from .descriptions import descriptions
from .dlt_resources import ArrowBatch, ArrowWriter, arrow_batch, empty_schema, resources, source
from .dropped_by_hand import restore_dropped, restore_staging
from .error_kinds import causes, is_conflict
from .errors import warehouse_errors
from .load_package import PackageWriter, can_make_packages, fits_schema
from .loader_queries import LoaderQueries
from .memory import release_memory
from .schema_changes import SchemaChanges
from .stored_state import StoredState
from .vendor_fields import StoredFields, VendorFields


class Loader(LoaderQueries):
    """Loads rows of one system through one dlt pipeline.

    ``has_cursor`` says that the state of this pipeline holds the live cursor. ``secrets`` are written to no table, and
    ``rules`` say which columns are left out or hashed. ``lock_wait_s`` is how long it waits at first for a warehouse that
    another process has open, ``fault_deadline_s`` how long for a database that ended the connection. The vendor may have
    purged what began before ``horizon``; None where it keeps all.
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
        rules: ColumnRules | None = None,
        lock_wait_s: float = lock_timeouts.FILE_WAIT_OF_RUN_S,
        fault_deadline_s: float = 0.0,
        horizon: datetime | None = None,
    ) -> None:
        super().__init__(
            pipeline, system, rules=rules, lock_wait_s=lock_wait_s, fault_deadline_s=fault_deadline_s
        )
        self._horizon = horizon
        self._secrets = secrets or OwnSecrets()
        self._pace = (
            None
            if self.backend.most_commits is None
            else CommitPace(
                Path(pipeline.working_dir).parent, pipeline.dataset_name, self.backend.most_commits
            )
        )
        if self.backend.cost is not None:
            self.backend.cost.name_jobs(system.name, run_id)
        self._has_cursor = has_cursor
        self._limits = limits
        self._warned: set[str] = set()
        self._fields = VendorFields(StoredFields(self), run_id=run_id)
        self.schema_changes = SchemaChanges(self, run_id)
        self._uses_internals = dlt_internals.are_used()
        dlt_internals.warn_of_another_version()
        self._described: set[tuple[str, str]] | None = None
        self._has_dlts_tables = False
        """Whether dlt's own tables are there: it is asked once."""
        self._staged: set[str] = set()
        self._stored_state = StoredState(pipeline, self.backend)
        self._package_writer: PackageWriter | None = None
        with warehouse_errors():
            self._makes_packages = self.backend.takes_packages and can_make_packages()

    def prepare(self) -> None:
        """Restores the state, loads the pending packages of a killed run, and creates or repairs the tables.

        The tables are created before anything long begins: dlt discards a first package whose run is killed before
        the dataset exists.

        Raises:
            ConfigurationError: a setting of dlt's about loads is wrong.
            WarehouseUnavailable: the warehouse cannot be used.
        """
        with warehouse_errors():
            # dlt itself reads them at the first load, which may come after hours, or never.
            resolve_configuration(
                dlt_internals.LoaderConfiguration(), sections=("load",), accept_partial=True
            )
            self.backend.create(self.client)
        self.retried(self._prepare, is_repeatable=False)
        # From now on a refused commit would lose rows.
        self._connection.lock_wait_s = lock_timeouts.FILE_WAIT_OF_RUN_WITH_ROWS_S

    def _prepare(self, client: Any) -> None:
        """Prepares the tables; called again, it goes on."""
        if self._uses_internals:
            working_dir.remove_killed_extracts(Path(self.pipeline.working_dir))
            working_dir.complete_loads(Path(self.pipeline.working_dir))
        self._make_dlts_tables()
        if not (is_known := self._stored_state.is_known(client)):
            self.pipeline.sync_destination()
        self._cached_schema = None
        if self.pipeline.has_pending_data:
            log.info("pending_package", loaded_now=True)
            self._load_pending()
        if not self._has_tables():
            migrated_texts.rewrite(self)
            self._make_tables()
        self._restore_dropped()
        self._migrate()
        self.describe()
        self._stored_state.prepared(client, was_known=is_known)

    def commit(self, batch: Batch) -> LoadInfo:
        """Writes rows, coverage and cursor together, or nothing.

        Raises:
            PackageRefused: the warehouse refused the rows for good; the package is set aside.
            WarehouseUnavailable: it cannot be written now; the next run loads the package.
        """
        if not self.backend.empties_staging:
            self._staged |= batch.filled
        if self.backend.cost is not None:
            self.backend.cost.reserved = 0
        with warehouse_errors(), self._connection.lock:
            # Before the warehouse is opened: rows in files take no memory, and survive an error.
            ready = arrow_batch(self.system, batch, writer := self.writer())
            self.schema_changes.note(writer.added, ready.tables)
            self._make_package(ready)
            written = list(ready.tables)
            # The warehouse reads the rows from the package's files.
            del ready
            release_memory()
            if self._pace is not None:
                # The package is on the disk: a kill loses nothing.
                self._pace.wait()
            try:
                return self._connection.with_retries(self._load_package)
            finally:
                self.forget_answers(written)

    def _load_package(self, client: Any) -> LoadInfo:
        """Loads the package that is pending. Called again, it goes on with what is not loaded, and replaces by keys."""
        self.backend.begin_commit(client)
        try:
            try:
                info = self.pipeline.load()
            except PipelineStepFailed as error:
                # What another process was first with is no sign that something was dropped by hand.
                if is_conflict(error) or not restore_staging(self.pipeline, self._schema()):
                    raise
                info = self.pipeline.load()
        except Exception as error:
            self._set_aside(error, client)
            raise
        self.backend.after_commit(client)
        self._stored_state.committed(client, info)
        if self._uses_internals:
            working_dir.remove_old_loads(Path(self.pipeline.working_dir))
        if any(package.schema_update for package in info.load_packages):
            self.describe()
        return info

    def _load_pending(self) -> None:
        """Loads the package of a run that was killed or failed; one that is refused for good is set aside."""
        with self.opened() as client:
            ended = rows_without_package.newest_failed_run(
                client, runs := self.qualified(common_tables.SYNC_RUNS.name)
            )
            now = self.backend.begin_commit(client)
            try:
                try:
                    self.pipeline.run()
                except Exception as error:
                    if is_conflict(error):
                        raise
                    is_restored = restore_staging(self.pipeline, self._schema())
                    if not is_restored:
                        self._set_aside(error, client)
                    if not self._has_tables():
                        raise
                    # A table or column may have been dropped since the package was made.
                    self._restore_dropped()
                    self.pipeline.run()
            except PackageRefused as refusal:
                log.warning(
                    "package_refused", reason=str(refusal), hint="what it held is read again by this run"
                )
            if ended is not None:
                # The row in the package says that its run is still active.
                has_loaded_at = (common_tables.SYNC_RUNS.name, LOADED_AT.name) in self.stored_columns()
                rows_without_package.write_end(client, runs, ended, now=now if has_loaded_at else None)

    def _set_aside(self, error: Exception, client: Any) -> None:
        """Sets aside the package that is pending if the error says that it is refused for good, else does nothing.

        Its rows of coverage and of the details log are deleted, and the cursor is as it was before the package.

        Raises:
            PackageRefused: it is set aside.
        """
        schema = self._schema()
        found = refused_packages.refusal(
            causes(error), lambda name: schema.tables.get(name, {}).get("columns", {}) if schema else {}
        )
        if found is None or not self.pipeline.list_normalized_load_packages():
            return
        self.backend.note_changes_on_any_day(client)
        kept = refused_packages.set_aside(
            found,
            self.pipeline,
            client,
            refused_packages.deletions(Path(self.pipeline.working_dir), self.system, self.qualified),
            truncates_staging=self.backend.truncates_staging_late,
        )
        self._staged.clear()
        self._cached_schema = self._package_writer = None
        raise PackageRefused(found.message(kept)) from error

    def put(self, table: Table, row: Row) -> None:
        """Writes one row at once and not in a load package, where another one may be pending.

        Raises WarehouseUnavailable.
        """
        name = self.qualified(table.name)
        self.retried(
            lambda client: rows_without_package.write(
                client, name, table, row, now=self.backend.begin_commit(client)
            )
        )

    def note_bytes(self, run_id: str) -> None:
        """Writes into the run's row what it was billed for after that was written, this statement included.

        Raises WarehouseUnavailable.
        """
        cost = self.backend.cost
        if cost is None:
            return

        def note(client: Any) -> None:
            own = self.backend.stored_bytes(client, common_tables.SYNC_RUNS.name)
            noted = cost.billed + destinations.billed(own), cost.processed + own
            client.execute_sql(
                f"UPDATE {self.qualified(common_tables.SYNC_RUNS.name)} SET bytes_billed = %s, bytes_processed = %s, "
                f"{LOADED_AT.name} = {self.backend.begin_commit(client)} WHERE run_id = %s",
                *noted,
                run_id,
            )
            cost.noted = noted

        self.retried(note, is_repeatable=False)

    def _make_package(self, ready: ArrowBatch) -> None:
        """Writes a load package of the batch, by ``PackageWriter`` where possible, else by dlt."""
        system, schema = self.system, self._schema()
        refused_packages.write_loaded_keys(Path(self.pipeline.working_dir), system, ready.tables)
        executions, column = system.executions.name, system.started_column
        if self._makes_packages and schema is not None and fits_schema(schema, ready.tables):
            self._package_writer = self._package_writer or PackageWriter(
                self.pipeline, compression=self.backend.compression
            )
            path = dlt_internals.cursor_path(system.name, executions, column)
            moved = (path, ready.cursor) if self._has_cursor and ready.cursor is not None else None
            self._package_writer.write(schema, ready.tables, moved)
            return
        self._extract(ready, cursor=column if self._has_cursor else None)

    def _extract(self, ready: ArrowBatch, *, cursor: str | None) -> None:
        """Has dlt extract and normalize the batch into a load package."""
        # Each resource takes time, even without rows; the one of executions draws the batches for all.
        chosen = {self.system.executions.name, *ready.tables}
        every = resources(self.system, [ready], self.writer(), cursor=cursor)
        self.pipeline.extract(
            source(self.system, [resource for resource in every if resource.name in chosen])
        )
        self.pipeline.normalize()

    def close(self) -> None:
        """Empties the staging tables where that was postponed to the end, and gives up the connection."""
        with self._connection.lock:
            # Rows that are not merged yet exist only in staging: dlt does not load them a second time.
            if self.backend.truncates_staging_late and self._staged and not self.pipeline.has_pending_data:
                try:
                    with warehouse_errors(), self.opened() as client, client.with_staging_dataset():
                        client.truncate_tables(*sorted(self._staged))
                except WarehouseUnavailable as error:
                    log.debug("staged_rows_stay", reason=str(error))
                self._staged.clear()
            self._connection.leave()

    def writer(self) -> ArrowWriter:
        """A writer of Arrow tables that match the columns of the stored tables."""
        schema = self._schema()
        normalize = schema.naming.normalize_identifier if schema else str
        return ArrowWriter(
            partial(dlt_internals.column_types, schema),
            normalize,
            self._secrets,
            fields=self._fields,
            limits=self._limits,
            rules=self.rules,
            warned=self._warned,
        )

    def cursor(self) -> datetime | None:
        """The live cursor: executions that began before it are loaded. None before the first sync."""
        system = self.system
        path = dlt_internals.cursor_path(system.name, system.executions.name, system.started_column)
        return dlt_internals.cursor(self.pipeline.state, path)

    def checkpoint(self) -> None:
        """Moves written rows into their final place, where that makes reading faster. Raises WarehouseUnavailable."""
        with warehouse_errors(), self.opened() as client:
            self.backend.checkpoint(client)

    def describe_views(self, dataset: str, texts: Mapping[str, Mapping[str, str]]) -> None:
        """Writes descriptions of view columns (``texts``: by view and column). Raises WarehouseUnavailable."""
        self.retried(lambda client: self.backend.describe_views(client, dataset, texts))

    def views_state(self, dataset: str) -> str | None:
        """What views show and are, as text; None where that takes a query. Raises WarehouseUnavailable."""
        with warehouse_errors(), self.opened() as client:
            found = self.backend.views_state(client, dataset)
        return None if found is None else f"{found} {sorted(self.stored_columns())}"

    def describe(self) -> None:
        """Writes the descriptions of tables and columns into the warehouse, where dlt does not."""
        schema = self._schema()
        wanted = descriptions(common_tables.of(self.system), schema.tables if schema else {})
        if self._described is not None and wanted.keys() <= self._described:
            return
        self.retried(lambda client: self.backend.describe(client, wanted))
        self._described = set(wanted)

    def _has_tables(self) -> bool:
        return not lacking(common_tables.of(self.system), self.stored_columns())

    def _make_tables(self) -> None:
        """Creates missing tables and columns without a load, which would double the time of a small sync."""
        name, known = self.system.name, self._schema()
        if known is not None:
            dialect = str(self.client.capabilities.sqlglot_dialect)
            self.execute(migrated_keys.added_columns(self.system, known, self.qualified, dialect))
        if not self._uses_internals:
            writer = self.writer()
            empty = {table.name: writer.arrow(table, []) for table in common_tables.of(self.system)}
            self._extract(ArrowBatch(empty, None), cursor=None)
            self.pipeline.load()
            self._cached_schema = None
            return
        wanted = empty_schema(self.system)
        dlt_internals.mark_as_seen(wanted)
        with self.pipeline.managed_state():
            self.pipeline.schemas.save_schema(migrated_keys.with_new_tables(self.system, known, wanted))
            if self.pipeline.default_schema_name is None:
                self.pipeline.default_schema_name = name  # type: ignore[assignment]  # so says dlt, of None
        self._cached_schema = None

        def make(_: Any) -> None:
            self._make_dlts_tables()
            self.pipeline.sync_schema(name)

        # Within the rest, which takes what dlt's schema names for made.
        self.retried(make)

    def _make_dlts_tables(self) -> None:
        """Creates dlt's own tables in a dataset that was created without: dlt reads them before it creates any table."""
        # Asked first, since to make another client takes dlt as long as a small commit.
        if not self._has_dlts_tables and self._client().has_dataset():
            dlt_internals.make_own_tables(self.pipeline, self._schema() or dlt.Schema(self.system.name))
            self._has_dlts_tables = True

    def _migrate(self) -> None:
        """Brings the rows of an earlier version to the columns and keys of this one, once."""
        with self.opened() as client:
            if migrated_columns.copied(self.pipeline, self._schema(), self.system, client):
                self._cached_schema = None
            own = (self.pipeline, self._schema(), self.system)
            if migrated_keys.extended(*own, client, self._begin_on_any_day, self._horizon):
                self._cached_schema = None

    def _begin_on_any_day(self, client: Any) -> str:
        """Does as ``Backend.begin_commit``, for what changes details of days that are not known."""
        self.backend.note_changes_on_any_day(client)
        return self.backend.begin_commit(client)

    def _restore_dropped(self) -> None:
        """Creates tables and columns again that were dropped by hand. Raises WarehouseUnavailable."""
        own, horizon = (self.pipeline, self._schema(), self.backend), self._horizon
        self._has_forgotten = restore_dropped(*own, system=self.system, opened=self.opened, horizon=horizon)
