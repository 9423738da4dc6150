"""Has runs ask about what is left to read on those days alone that may have some, see ``warehouse.left_days``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import WarehouseUnavailable
from ..core.log import log
from ..warehouse.left_days import is_worth_noting, wanted_text
from .lanes import SYNC
from .run_row import connector_version

if TYPE_CHECKING:
    from ..load.pipeline import Loader
    from .context import Context
    from .run_loop import RunLoop


def read_left_days(context: Context, loader: Loader) -> None:
    """Reads which days have something left, before anything is asked. Raises WarehouseUnavailable."""
    settings, scope = context.settings, context.scope
    named = context.system.integrations
    integrations = (
        None
        if named is None
        else [named.names(settings.values), sorted(map(str, context.workflow_map.items()))]
    )
    context.left_days = loader.read_left_days(
        wanted_text(
            settings,
            (scope.steps, scope.payloads),
            version=connector_version(),
            others=[integrations, context.warehouse.rules.text],
        )
    )
    # A backfill asks about its range alone.
    context.warehouse.counts_all_open = context.left_days is not None and context.lane == SYNC.name


def note_left_days(loop: RunLoop, loader: Loader) -> None:
    """Notes since when something is left, after a sync that came to its end; what fails is only logged."""
    context, known = loop.context, loop.context.left_days
    if known is None or loop.left is None or loop.failure is not None or loop.stopped is not None:
        return
    if not context.warehouse.counts_all_open or (selection := loop.work.selection) is None:
        return
    # The last commit may write executions that are open.
    written = loader.noted_days(since=loop.left_counted_at)
    if None in written:
        return
    starts = [loop.oldest_left, context.started_at, *(days.start for days in written if days is not None)]
    since = min(start for start in starts if start is not None)
    if not is_worth_noting(known, since, has_packages=bool(loader.noted_days())):
        return
    row = {
        "run_id": context.run_id,
        "selected_since": selection.window.start if selection.window else None,
        "left_since": since,
        **known.next,
        "noted_at": context.now(),
    }
    try:
        loader.note_left_days(row)
    except WarehouseUnavailable as error:
        log.debug("left_days_not_noted", reason=str(error))
