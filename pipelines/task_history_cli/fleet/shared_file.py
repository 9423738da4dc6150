"""Makes the tables of all accounts of one DuckDB file, then the views over all of them, before their syncs begin.

Each sync by itself would make the views anew for its account: of 200 accounts the views would be made 200 times, over
up to 200 datasets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from task_history.core.errors import TaskHistoryError
from task_history.core.log import log
from task_history.load.memory import freeze_imports, release_memory
from task_history.settings_reader import load
from task_history.views.create import datasets, refresh
from task_history.warehouse.duckdb_file import is_made

from ..console import output
from ..runtime import views
from ..runtime.command_run import make_tables
from ..runtime.target import Target, find_target


@dataclass(frozen=True, slots=True)
class SharedFile:
    """The accounts, as system and instance, that are loaded into one DuckDB file."""

    accounts: tuple[tuple[str, str | None], ...]
    destination: str | None
    log_level: str
    log_format: str


def prepare(shared: SharedFile) -> frozenset[str]:
    """The datasets whose tables are all there and which the views show, once those that lacked any have been made.

    Never raises: an account that is left out makes its tables and the views in its own sync, or says what is wrong.
    """
    output.start_logging_in_worker(shared.log_level, shared.log_format)
    from task_history.load.connection import leave_open_between_runs

    leave_open_between_runs()
    try:
        return frozenset(_prepared(shared))
    except Exception as error:  # noqa: BLE001 - the syncs make what is missing, or fail with the reason
        log.debug("tables_not_made_yet", reason=f"{type(error).__name__}: {error}")
        return frozenset()


def _prepared(shared: SharedFile) -> Sequence[str]:
    from task_history.load.errors import is_locked

    accounts = [load(system, instance=instance) for system, instance in shared.accounts]
    targets = [
        find_target(shared.destination, account.pipeline_name, dataset=account.dataset_name)
        for account in accounts
    ]
    complete = set(_complete(targets[0]))
    for account, target in zip(accounts, targets, strict=True):
        if account.dataset_name not in complete:
            try:
                make_tables(account, target)
            except TaskHistoryError as error:
                if is_locked(error):
                    # Each of the others would wait as long.
                    raise
                log.debug("tables_not_made_yet", dataset=account.dataset_name, reason=str(error))
            freeze_imports()
            # Else what 200 accounts leave behind takes more memory than a sync.
            release_memory(collects_garbage=True)
    with views.opened(targets[0]) as access:
        return refresh(access).datasets


def _complete(target: Target) -> Iterator[str]:
    """The datasets whose tables are all there."""
    if target.file is not None and is_made(target.file):
        with views.opened(target) as access:
            yield from (dataset.name for dataset in datasets(access) if not dataset.lacking)
