"""Which integrations an account uses, where no setting names them: what ``check``, ``sync`` and ``status`` say about it.

Executions do not name their integration; the vendor gives those of one integration where a list is filtered by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history.core.errors import Rejected, UsageError
from task_history.core.models import Window, floor_ms
from task_history.extract.pages import Pages
from task_history.settings import Settings
from task_history.settings_accounts import Account

from ..console import arguments
from ..runtime.probe import probing

MAX_REQUESTS = 60
"""Requests that a search takes at most."""
_NO_INTEGRATION = "task-history.no-such-integration"
"""A name for which a vendor that filters by integration gives no execution."""


def advice(settings: Settings) -> list[str]:
    """A sentence of advice where no setting says how to learn each workflow's integration; empty otherwise."""
    integrations, values = settings.system.integrations, settings.values
    if integrations is None or integrations.names(values) or integrations.map_file(values):
        return []
    name = settings.system.name + arguments.instance_option(settings.instance)
    return [
        "the column integration stays empty, because neither integrations nor workflow_map is set: task-history check "
        f"{name} --find-integrations asks which names this account uses."
    ]


def search(settings: Settings, *, now: datetime | None = None) -> dict[str, Any]:
    """Asks for the executions of each common integration, one request each.

    Raises:
        UsageError: the system's executions name their integration, or have none.
        TaskHistoryError: the API cannot be used.
    """
    integrations = settings.system.integrations
    if integrations is None:
        raise UsageError(
            f"{settings.system.title} has no integrations to look for: leave --find-integrations out."
        )
    now = now or datetime.now(UTC)
    window = Window(floor_ms(now - (settings.retention or timedelta(days=365))), now + timedelta(days=1))
    found: list[str] = []
    refused: list[str] = []
    names = integrations.common_names[: MAX_REQUESTS - 1]
    with probing(settings, most=MAX_REQUESTS) as (client, _):

        def has_executions(name: str) -> bool:
            filters = {integrations.filter_name: name}
            try:
                page = Pages(client, settings.system, settings.values, filters=filters).one(window)
            except Rejected:
                refused.append(name)
                return False
            return bool(page.rows)

        is_filtered = not has_executions(_NO_INTEGRATION)
        if is_filtered:
            found = [name for name in names if has_executions(name)]
    section = ".".join(Account(settings.system, settings.instance).section)
    return {
        "found": found,
        "asked": len(names),
        "refused": len(set(refused) & set(names)),
        "is_filtered": is_filtered,
        "section": section,
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """What a search found, for a person."""
    if not result["is_filtered"]:
        return [
            "The vendor gives executions for a name that no integration has: it does not filter by integration here. "
            "Name each workflow's integration in a file instead: the setting workflow_map."
        ]
    if result["refused"] == result["asked"]:
        return [
            f"The vendor refuses lists of one integration: it did so for all {result['asked']} names, which says nothing "
            "of what this account uses. Name each workflow's integration in a file instead: the setting workflow_map."
        ]
    if not result["found"]:
        return [
            f"None of the {result['asked']} common integrations has executions here. Custom ones are named "
            "custom.<name>: set integrations to the names under which your project connects them."
        ]
    names = ", ".join(f'"{name}"' for name in result["found"])
    return [
        f"{len(result['found'])} of {result['asked']} common integrations have executions here. Custom ones, named "
        "custom.<name>, are not looked for. To learn each workflow's, set in .dlt/config.toml:",
        f"  [{result['section']}]",
        f"  integrations = [{names}]",
    ]
