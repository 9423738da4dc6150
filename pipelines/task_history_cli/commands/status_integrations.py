"""The part of ``status`` about ``workflow_map``, ``integrations`` and ``user_map``: how much of them matches what ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from task_history.extract.integrations import read_map, unmatched_integrations, workflow_map_match
from task_history.settings_reader import Settings
from task_history.warehouse.queries import Warehouse
from task_history.warehouse.user_map import user_map
from task_history.warehouse.user_map_query import Users

from ..runtime.reader import Reader
from .integration_advice import advice


def matches(reader: Reader, warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """How much of the settings matches what is stored. Raises ConfigurationError where a file or query is wrong."""
    users = user_map(settings, Users(reader.dialect, reader.query))
    return {
        **_workflows(warehouse, settings),
        "user_map": users.match(warehouse.users() if users.users else ()),
    }


def _workflows(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    integrations, values = settings.system.integrations, settings.values
    if integrations is None or not (integrations.names(values) or integrations.map_file(values)):
        return {"workflow_map": None, "unmatched_integrations": [], "integrations_advice": advice(settings)}
    workflows = warehouse.workflows()
    return {
        "workflow_map": workflow_map_match(read_map(integrations.map_file(values)), workflows),
        "unmatched_integrations": unmatched_integrations(integrations.names(values), workflows),
        "integrations_advice": [],
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """What ``matches`` found, for a person."""
    text = [f"  note      {sentence}" for sentence in result["integrations_advice"]]
    if found := result["workflow_map"]:
        first = f"; {found['first_unmatched']} did not" if found["first_unmatched"] else ""
        text.append(
            f"  map       {found['matched']:,} of the {found['workflows']:,} workflows in workflow_map ran here{first}"
        )
    if found := result["user_map"]:
        text.append(f"  users     {described_users(found)}")
    return text + [
        f"  unmatched no workflow belongs to the integration {name}: check its spelling"
        for name in result["unmatched_integrations"]
    ]


def described_users(match: Mapping[str, Any]) -> str:
    """How many users that ran ``user_map`` does not name, and the first of them."""
    if not match["unknown"]:
        return f"user_map names each of the {match['ran']:,} users that ran"
    return (
        f"{match['unknown']:,} of the {match['ran']:,} users that ran are not in user_map, such as "
        f"{match['first_unknown']}"
    )
