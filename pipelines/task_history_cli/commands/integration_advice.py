"""What ``check``, ``sync`` and ``status`` say of an account whose integrations no setting names."""

from __future__ import annotations

from task_history.settings_reader import Settings

from ..console import arguments


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
