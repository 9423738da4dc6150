"""``task_history.sync(pipeline, source)``: loads everything since the last sync, in many commits, as the command does."""

from __future__ import annotations

import time
from functools import partial

import dlt
from dlt.extract import DltResource, DltSource

from . import systems
from .core.errors import UsageError
from .core.stop import StopSignal
from .load.dlt_resources import SystemResource
from .load.pipeline import Loader
from .runs.column_changes import note_old_values
from .runs.context import Context
from .runs.delete_old_rows import delete_old_rows
from .runs.run_lock import lock_path, run_lock
from .runs.run_result import RunResult, result_of
from .runs.runner import commit_batches, note_bytes, start_run
from .runs.sync import Sync
from .settings_reader import Settings


def sync(
    pipeline: dlt.Pipeline,
    source: DltSource,
    *,
    max_requests: int | None = None,
    max_minutes: float | None = None,
) -> RunResult:
    """Loads everything since the last sync, settles what was open, and loads the details that are left.

    It commits many times, each time rows, coverage and cursor together: a kill or ``KeyboardInterrupt`` loses at most
    the commit under way, and the next call goes on there. It may be called from any thread and sets no signal handler.
    Of the source only its settings are used; the pipeline's destination has to be a database that dlt can ask in SQL.

    Args:
        pipeline: the dlt pipeline, with its destination and dataset. One process at a time may sync it.
        source: what a function of ``source``, such as ``paragon()``, gave, unchanged.
        max_requests: stop after so many requests; None for any number.
        max_minutes: stop after so many minutes; None for any number.

    Raises:
        UsageError: the source is not one of this package, or was changed.
        ConfigurationError: a setting is wrong; its AuthenticationError: the vendor refuses the key.
        AlreadyRunning: another process or thread syncs this pipeline; what it brings need not be brought twice.
        VendorError: the vendor failed; what was fetched before is written.
        WarehouseUnavailable: the destination failed; what was committed before stays.
    """
    began = time.monotonic()
    settings = settings_of(source)
    stop = StopSignal(max_requests=max_requests, max_s=None if max_minutes is None else max_minutes * 60)
    name = pipeline.pipeline_name
    with run_lock(lock_path(pipeline.pipelines_dir, name), name):
        # Another pipeline of this process may have been made since: dlt looks settings up by the active one's name.
        pipeline.activate()
        with start_run(settings, pipeline, _work, stop=stop, command="sync") as run:
            commit_batches(run)
            note_bytes(run)
            return result_of(run, time.monotonic() - began)


def settings_of(source: DltSource) -> Settings:
    """The settings that the source was made with. Raises UsageError when its rows would not be those of a sync."""
    if not isinstance(source, DltSource):
        raise UsageError(
            f"task_history.sync takes a source such as task_history.paragon(), and was given a {type(source).__name__}."
        )
    resources: list[DltResource] = list(source.resources.values())
    own = [resource for resource in resources if isinstance(resource, SystemResource)]
    settings = own[0].settings if own else None
    if (
        settings is None
        or any(resource.settings is not settings for resource in own)
        or len(own) != len(resources)
    ):
        sources = ", ".join(f"task_history.{name}()" for name in systems.names())
        raise UsageError(
            f"task_history.sync takes what one of {sources} gave, and the source "
            f"{source.name!r} is another one, or holds other resources beside. Load those with pipeline.run()."
        )
    if source.name != settings.system.name:
        raise UsageError(
            f"The source {source.name!r} was renamed: task_history.sync keeps the cursor of {settings.system.name} under "
            "that name. Take the source as it is; two accounts have two pipelines."
        )
    changed = [resource.name for resource in own if resource.is_changed]
    changed += sorted(set(source.resources) - set(source.selected_resources))
    if changed:
        raise UsageError(
            f"The resource {changed[0]} of {source.name} is deselected, or has steps of its own (add_map, add_filter, "
            "add_limit): task_history.sync would not heed that. Take the source as it is, or use pipeline.run(); what "
            "is loaded is chosen by the settings steps and payloads."
        )
    return settings


def _work(context: Context, loader: Loader) -> Sync:
    note_old_values(context, loader)
    return Sync(context, cursor=loader.cursor(), delete_old_rows=partial(delete_old_rows, loader))
