"""Which integrations an account uses, where no setting names them: a search that ``check`` makes.

Executions do not name their integration; the vendor gives those of one integration where a list is filtered by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history.core.errors import AuthenticationError, Rejected, TaskHistoryError, UsageError
from task_history.core.models import Window, floor_ms
from task_history.extract.counted_window import Pages
from task_history.settings_accounts import Account
from task_history.settings_reader import Settings

from ..runtime.interactive_client import probing

MAX_REQUESTS = 60
"""Requests that a search takes at most."""
_FORBIDDEN = 403
_NO_INTEGRATION = "task-history.no-such-integration"
"""A name for which a vendor that filters by integration gives no execution."""


def search(settings: Settings) -> tuple[dict[str, Any], TaskHistoryError | None]:
    """Asks for the executions of each common integration, one request each, as long as the vendor answers.

    Returns what was found, and the error that ended the search early, or None.

    Raises:
        UsageError: the system's executions name their integration, or have none.
    """
    integrations = settings.system.integrations
    if integrations is None:
        raise UsageError(
            f"{settings.system.title} has no integrations to look for: leave --find-integrations out."
        )
    now = datetime.now(UTC)
    window = Window(floor_ms(now - (settings.retention or timedelta(days=365))), now + timedelta(days=1))
    names = integrations.common_names[: MAX_REQUESTS - 1]
    shown: dict[str, bool | None] = {}
    """By the names that were asked for, whether there are executions; None where the vendor refuses the list."""
    stopped: TaskHistoryError | None = None
    try:
        with probing(settings, most=MAX_REQUESTS) as (client, _):
            for name in (_NO_INTEGRATION, *names):
                filters = {integrations.filter_name: name}
                shown[name] = _has_executions(
                    Pages(client, settings.system, settings.values, filters=filters), window
                )
                if shown.get(_NO_INTEGRATION):
                    break
    except TaskHistoryError as error:
        stopped = error
    is_filtered = not shown.pop(_NO_INTEGRATION, False)
    result = {
        "found": [name for name, has_any in shown.items() if has_any],
        "asked": len(shown),
        "refused": sum(has_any is None for has_any in shown.values()),
        "is_filtered": is_filtered,
        "section": ".".join(Account(settings.system, settings.instance).section),
        "stopped_by": None if stopped is None else str(stopped),
    }
    return result, stopped


def _has_executions(pages: Pages, window: Window) -> bool | None:
    """Whether the list has any; None where the vendor refuses just this list, since others were given for the key."""
    try:
        return bool(pages.one(window).rows)
    except Rejected:
        return None
    except AuthenticationError as error:
        if error.status != _FORBIDDEN:
            raise
        return None


def lines(result: Mapping[str, Any]) -> list[str]:
    """What a search found, for a person."""
    if not result["is_filtered"]:
        return [
            "The vendor gives executions for a name that no integration has: it does not filter by integration here. "
            "Name each workflow's integration in a file instead: the setting workflow_map."
        ]
    if result["asked"] and result["refused"] == result["asked"]:
        return [
            f"The vendor refuses lists of one integration: it did so for all {result['asked']} names, which says nothing "
            "of what this account uses. Name each workflow's integration in a file instead: the setting workflow_map."
        ]
    if result["stopped_by"] and not result["found"]:
        return [f"None of the {result['asked']} common integrations asked for so far has executions here."]
    if not result["found"]:
        return [
            f"None of the {result['asked']} common integrations has executions here. Custom ones are named "
            "custom.<name>: set integrations to the names under which your project connects them."
        ]
    names = ", ".join(f'"{name}"' for name in result["found"])
    so_far = " asked for so far" if result["stopped_by"] else ""
    return [
        f"{len(result['found'])} of {result['asked']} common integrations{so_far} have executions here. Custom ones, "
        "named custom.<name>, are not looked for. To learn each workflow's, set in .dlt/config.toml:",
        f"  [{result['section']}]",
        f"  integrations = [{names}]",
    ]
