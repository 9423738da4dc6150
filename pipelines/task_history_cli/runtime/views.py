"""Creates, updates, checks and queries the analysts' views."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from task_history.core import files, lock_timeouts
from task_history.core.errors import TaskHistoryError, UsageError, WarehouseUnavailable
from task_history.core.log import log
from task_history.settings_accounts import Account
from task_history.settings_reader import Settings, datasets
from task_history.views.access import ViewAccess
from task_history.views.account_registry import holdings
from task_history.views.check_runner import BROKEN, Finding, findings
from task_history.views.create import definition, refresh
from task_history.views.dialects import DATASET, DIALECTS
from task_history.views.relations import ShownDataset, found
from task_history.views.sql_file_reader import View
from task_history.views.sql_file_reader import views as view_files
from task_history.views.user_map import configured_map, stated_map
from task_history.warehouse import common_tables
from task_history.warehouse.duckdb_file_reader import is_made, open_for_reading
from task_history.warehouse.former_tables import lacking, lacking_text
from task_history.warehouse.sql_text import BIGQUERY
from task_history.warehouse.user_map import is_query, map_source

from ..console.arguments import instance_option
from .dlt_defaults import make_pipeline
from .target import Target, working_folder

if TYPE_CHECKING:
    from task_history.load.pipeline import Loader
    from task_history.runs.runner import ActiveRun

_CHECK_INTERVAL = timedelta(days=1)
"""Time between two checks of what runs changed, where each query is billed."""
ADVICE = "the rows are loaded; once that is mended, make the views with: task-history views"


def before_first_commit(current: ActiveRun) -> None:
    """Makes the views where this working folder never made any and no query is billed.

    It takes place while the first rows are read, so that the commit of these does not wait for it.
    """
    if current.loader.backend.cost is None and not _views_file(current.loader).exists():
        _make_early(current)


def after_first_commit(
    current: ActiveRun, on_commit: Callable[[int, float], None]
) -> Callable[[int, float], None]:
    """``on_commit``, which also makes the views after the first commit: they are there if the run fails or is killed."""
    is_first = True

    def committed(rows: int, seconds: float) -> None:
        nonlocal is_first
        on_commit(rows, seconds)
        if is_first and rows:
            is_first = False
            _make_early(current)

    return committed


def _make_early(current: ActiveRun) -> None:
    """Makes the views unless they are up to date. Never raises: the end of the run makes them, or says why not."""
    loader = current.loader
    try:
        with loader.kept_open():
            access = _access(loader)
            if access.dialect in DIALECTS and not _are_up_to_date(current, access):
                _refresh(current, access)
    except Exception as error:  # noqa: BLE001 - made, or failed with a reason, at the end of the run
        log.debug("views_not_made_yet", reason=f"{type(error).__name__}: {error}")


def check_users(settings: Settings, loader: Loader) -> None:
    """Runs the table or query that ``user_map`` names; the views take what it gives.

    Raises:
        ConfigurationError: it cannot be run, or a row of it is wrong.
    """
    if is_query(map_source(settings)) and (access := _access(loader)).dialect in DIALECTS:
        stated_map(settings, access)


def after(current: ActiveRun, *, has_views: bool = False) -> None:
    """Updates the views unless ``has_views``, and checks what the run changed.

    What is wrong with a view or a check only warns: the rows are loaded.

    Raises:
        WarehouseUnavailable: what was written cannot be moved into its place, as on a full disk. It is in the file's log,
            and the next run moves it.
    """
    tally = current.loop.context.tally
    has_changed = bool(tally.executions or tally.settled or tally.steps or tally.payloads)
    is_in_place = True
    try:
        with current.loader.kept_open():
            # Another run follows in a file of many accounts: what all wrote is moved when this process closes the file.
            if has_changed and not has_views and _access(current.loader).dialect in DIALECTS:
                is_in_place = False
                current.loader.checkpoint()
                is_in_place = True
            _after(current, has_changed=has_changed, has_views=has_views)
    except TaskHistoryError as error:
        if not is_in_place:
            raise
        log.warning("views_failed", reason=str(error), hint=ADVICE)
    except Exception as error:  # noqa: BLE001 - no error of a view undoes the commit of the rows
        log.warning("views_failed", reason=f"{type(error).__name__}: {error}", hint=ADVICE)


def _after(current: ActiveRun, *, has_changed: bool, has_views: bool) -> None:
    context, loader = current.loop.context, current.loader
    access = _access(loader)
    if access.dialect not in DIALECTS:
        return
    name = context.settings.dataset_name
    if not (has_views or _are_up_to_date(current, access)):
        _refresh(current, access)
    own = _own(loader, access, name) if has_changed else None
    if own is None or not has_changed or current.loop.stopped:
        return
    if context.tally.oldest_start is None:
        return
    oldest = max(context.tally.oldest_start, context.warehouse.since)
    since = _since_last_checks(loader, oldest) if access.dialect == BIGQUERY else oldest
    if since is None:
        return
    for finding in findings(access.query, [own], access.dialect, since=since, project=access.project):
        warn(finding)


def _refresh(current: ActiveRun, access: ViewAccess) -> None:
    """Makes the views unless they are up to date, and notes that they are."""
    refresh(access)
    _note_unchanged(current.loader, access)
    current.viewed_columns = frozenset(current.loader.stored_columns())


def _are_up_to_date(current: ActiveRun, access: ViewAccess) -> bool:
    """Whether this run made the views over the columns that are stored now, or a former run left them so."""
    columns = frozenset(current.loader.stored_columns())
    return current.viewed_columns == columns or _are_unchanged(current.loader, access)


def _since_last_checks(loader: Loader, since: datetime) -> datetime | None:
    """From when on a day's changes are checked, ``since`` among them; None until it is over: checks are billed."""
    file, now = Path(loader.pipeline.working_dir) / "task_history_checks", datetime.now(UTC)
    checked_at = None
    try:
        noted = json.loads(file.read_bytes())
        checked_at = datetime.fromisoformat(noted["checked_at"])
        if noted["since"] is not None:
            since = min(since, datetime.fromisoformat(noted["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing was checked yet
    is_due = checked_at is None or now - checked_at >= _CHECK_INTERVAL
    note = {
        "checked_at": (now if is_due or checked_at is None else checked_at).isoformat(),
        "since": None if is_due else since.isoformat(),
    }
    files.replace(file, json.dumps(note).encode())
    return since if is_due else None


def _own(loader: Loader, access: ViewAccess, name: str) -> ShownDataset | None:
    """The run's own dataset as views show it, from what the run knows of its columns; None where they do not."""
    names = [(name, table, column) for table, column in sorted(loader.stored_columns())]
    return next((shown for shown in found(names, access.owners)[0] if shown.name == name), None)


def _are_unchanged(loader: Loader, access: ViewAccess) -> bool:
    """Whether views, registry and datasets are as a former run from this working folder left them.

    False where asking that takes a query.
    """
    mark = _views_mark(loader, access)
    try:
        return mark is not None and _views_file(loader).read_text("utf-8") == mark
    except (OSError, UnicodeDecodeError):
        return False


def _note_unchanged(loader: Loader, access: ViewAccess) -> None:
    """Notes that the views are up to date."""
    if (mark := _views_mark(loader, access)) is not None:
        files.replace(_views_file(loader), mark.encode())


def _views_file(loader: Loader) -> Path:
    return Path(loader.pipeline.working_dir) / "task_history_views"


def _views_mark(loader: Loader, access: ViewAccess) -> str | None:
    """A hash of what the views depend on; None where asking that takes a query."""
    state = loader.views_state(DATASET)
    if state is None:
        return None
    owners = sorted(
        f"{name} {account.system.name} {account.instance} {account.calendar} {_users_mark(account, access)}"
        for name, account in (access.owners or {}).items()
    )
    return hashlib.sha256(f"{definition()} {owners} {state}".encode()).hexdigest()


def _users_mark(account: Account, access: ViewAccess) -> str | None:
    """A hash of what the account's ``user_map`` says; None where that cannot be read."""
    stated = configured_map(account, access)
    return None if stated is None else stated.content_hash


def warn(finding: Finding) -> None:
    """The line about a failed check, with the query that shows the rows."""
    if finding.is_well:
        return
    write = log.warning if finding.check.level == BROKEN else log.info
    write(
        "check",
        name=finding.check.name,
        broken=finding.check.level == BROKEN,
        promise=finding.check.promise,
        query=" ".join(finding.sql.split()),
    )


@contextmanager
def asked(target: Target) -> Iterator[ViewAccess]:
    """A warehouse whose views are only read, a DuckDB file also while a sync is active.

    Raises:
        WarehouseUnavailable: there is none, it cannot be reached, or it lacks tables, columns or views: the message
            names them.
    """
    with _reading(target) as access:
        try:
            yield access
        except WarehouseUnavailable as error:
            raise WarehouseUnavailable(_missing(access, target) or str(error)) from error


def _missing(access: ViewAccess, target: Target) -> str:
    """What the warehouse lacks, with the command that brings it; empty where it lacks nothing, or does not answer."""
    stored: dict[str, set[tuple[str, str]]] = {}
    try:
        for dataset, table, column in holdings(access).columns:
            stored.setdefault(dataset, set()).add((table, column))
    except WarehouseUnavailable:
        return ""
    owners = access.owners or {}
    for dataset, account in owners.items():
        if dataset in stored and (names := lacking(common_tables.of(account.system), stored[dataset])):
            return (
                f"The dataset {dataset} lacks {lacking_text(names)}: an earlier version wrote it, or they were dropped "
                f"by hand. The next sync adds them: task-history sync {account.system.name}"
                f"{instance_option(account.instance)}"
            )
    if names := _not_made(stored):
        command = "views" if stored.keys() & owners.keys() else "sync"
        return f"The views {lacking_text(names)} are missing in {target.place}: task-history {command} makes them."
    return ""


def missing_views(access: ViewAccess) -> list[str]:
    """The views that are not made yet, as before the first sync of a newer version. Raises WarehouseUnavailable."""
    stored: dict[str, set[tuple[str, str]]] = {}
    for dataset, table, column in holdings(access).columns:
        stored.setdefault(dataset, set()).add((table, column))
    return _not_made(stored)


def _not_made(stored: Mapping[str, set[tuple[str, str]]]) -> list[str]:
    made = {table for table, _ in stored.get(DATASET, ())}
    return [name for name in view_files() if name not in made]


@contextmanager
def _reading(target: Target) -> Iterator[ViewAccess]:
    if target.file is None:
        with opened(target) as access:
            yield access
        return
    if not is_made(target.file):
        raise WarehouseUnavailable(f"There is no warehouse in {target.file} yet: task-history sync makes it.")
    import duckdb

    connection = open_for_reading(target.file)

    def query(sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        try:
            cursor = connection.execute(sql.replace("%s", "?") if values else sql, list(values))
            return [column[0] for column in cursor.description or ()], cursor.fetchall()
        except duckdb.Error as error:
            raise WarehouseUnavailable(
                f"The warehouse cannot answer: {str(error).splitlines()[0]}."
            ) from error

    def execute(statements: Iterable[str]) -> None:
        for statement in statements:
            query(statement)

    try:
        yield ViewAccess("duckdb", query, execute, owners=datasets(os.environ))
    finally:
        connection.close()


@contextmanager
def opened(target: Target) -> Iterator[ViewAccess]:
    """A warehouse in which views are made without a run.

    Raises:
        UsageError: it is one for which there are no views.
        WarehouseUnavailable: it cannot be opened for writing.
    """
    loader = views_loader(target)
    try:
        loader.backend.create(loader.client)
        access = _access(loader)
        if access.dialect not in DIALECTS:
            raise UsageError(
                f"There are views for {', '.join(DIALECTS)}, and this warehouse is {access.dialect}."
            )
        yield access
    finally:
        loader.close()


def views_loader(target: Target, *, lock_wait_s: float = lock_timeouts.FILE_WAIT_OF_RUN_S) -> Loader:
    """A loader that opens the warehouse and loads nothing; ``lock_wait_s`` is how long it waits for a DuckDB file."""
    from task_history import systems
    from task_history.load.pipeline import Loader

    pipeline = make_pipeline(
        "task_history_views",
        pipelines_dir=str(working_folder(target)),
        destination=target.destination(),
        dataset_name=DATASET,
    )
    # Whichever system: nothing of it is read or written here.
    return Loader(pipeline, systems.find(systems.names()[0]), lock_wait_s=lock_wait_s)


def _access(loader: Loader) -> ViewAccess:
    client = loader.client
    dialect = str(client.capabilities.sqlglot_dialect)
    is_bigquery = dialect == "bigquery"

    def describe(views: Sequence[View]) -> None:
        loader.describe_views(
            DATASET,
            {view.name: {column.name: column.description for column in view.columns} for view in views},
        )

    return ViewAccess(
        dialect,
        loader.query,
        loader.execute,
        describe=describe,
        describes_columns=loader.backend.describes_view_columns,
        project=client.project_id if is_bigquery else None,
        owners=datasets(os.environ),
        datasets=loader.datasets,
        tables=loader.tables,
        users=loader.users,
    )
