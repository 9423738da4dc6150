"""Which days may have something left to read: read before a sync, noted after it; see ``warehouse.left_days``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.connector_version import connector_version
from ..core.log import log
from ..warehouse.left_days import is_worth_noting, settings_hash
from .lanes import SYNC

if TYPE_CHECKING:
    from ..load.pipeline import Loader
    from .context import Context
    from .run_loop import RunLoop


def read_left_days(context: Context, loader: Loader) -> None:
    """Reads which days have something left, before a sync asks anything; without an answer it asks of all.

    Other kinds of runs ask of their range, or of all: while they run, others write packages that they do not know of.
    """
    if context.lane != SYNC.name:
        return
    settings, scope = context.settings, context.scope
    named = context.system.integrations
    integrations = (
        None
        if named is None
        else [named.names(settings.values), sorted(map(str, context.workflow_map.items()))]
    )
    version = connector_version()
    wanted = settings_hash(
        settings,
        (scope.steps, scope.payloads),
        version=version,
        others=[integrations, context.warehouse.rules.text],
    )
    try:
        context.left_days = loader.read_left_days(wanted, began_at=context.started_at, version=version)
    except Exception as error:  # noqa: BLE001 - the notes save money, and nothing is lost without
        log.warning("left_days_not_read", reason=f"{type(error).__name__}: {error}")
    context.warehouse.counts_all_open = context.left_days is not None


def note_left_days(loop: RunLoop, loader: Loader) -> None:
    """Notes since when something is left, after a sync that came to its end; what fails is only logged."""
    context, known = loop.context, loop.context.left_days
    if known is None or loop.left is None or loop.failure is not None or loop.stopped is not None:
        return
    if (selection := loop.work.selection) is None:
        return
    # The last commit may write executions that are open.
    written = loader.noted_days(since=loop.left_counted_at)
    if None in written:
        return
    starts = [loop.oldest_left, context.started_at, *(days.start for days in written if days is not None)]
    since = min(start for start in starts if start is not None)
    if not is_worth_noting(known, since, has_written=loader.has_written_packages):
        return
    row = {
        **known.next,
        "selected_since": selection.window.start if selection.window else None,
        "left_since": since,
        "noted_at": context.now(),
    }
    try:
        loader.note_left_days(row)
    except Exception as error:  # noqa: BLE001 - the rows are loaded, and the next sync asks of more days
        log.debug("left_days_not_noted", reason=f"{type(error).__name__}: {error}")
