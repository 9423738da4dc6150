"""``task-history systems``: the systems, their tables and their settings."""

from __future__ import annotations

import argparse
from typing import Any

from task_history import systems
from task_history.settings_reader import settings_of
from task_history.warehouse import common_tables

from ..console import output, times


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "system", nargs="?", metavar="SYSTEM", help="only this one, with its tables and settings"
    )


def run(args: argparse.Namespace) -> int:
    names = (args.system,) if args.system else systems.names()
    described_systems = [described(name) for name in names]
    if args.json:
        output.emit({"systems": described_systems})
        return 0
    for system in described_systems:
        limit = system["rate_limit"]
        output.say(f"{system['name']}: {system['title']} ({system['docs_url']})")
        output.say(
            f"  rate limit {limit['requests']:,} requests in {times.duration(limit['period_s'])}, "
            f"retention {system['retention_days'] or 'unknown'} days"
        )
        output.say(f"  tables: {', '.join(table['name'] for table in system['tables'])}")
        if args.system:
            for table in system["tables"]:
                output.say("", f"  {table['name']}: {table['description']}")
                for column in table["columns"]:
                    output.say(f"    {column['name']:<24} {column['type']:<10} {column['description']}")
            output.say("", "  settings:")
            for setting in system["settings"]:
                default = "required" if setting["is_required"] else f"default {setting['default']!r}"
                output.say(f"    {setting['name']:<20} {setting['text']} ({default})")
    return 0


def described(name: str) -> dict[str, Any]:
    """The description of a system as a JSON object."""
    system = systems.find(name)
    requests, period_s = system.rate_limit
    return {
        "name": system.name,
        "title": system.title,
        "docs_url": system.docs_url,
        "rate_limit": {"requests": requests, "period_s": period_s},
        "retention_days": system.retention.days if system.retention else None,
        "tables": [
            {
                "name": table.name,
                "description": table.description,
                "primary_key": list(table.primary_key),
                "columns": [
                    {"name": column.name, "type": column.type, "description": column.description}
                    for column in table.columns
                ],
            }
            for table in common_tables.of(system)
        ],
        "settings": [
            {
                "name": setting.name,
                "type": setting.type.__name__,
                "default": list(setting.default) if isinstance(setting.default, tuple) else setting.default,
                "is_required": setting.is_required,
                "is_secret": setting.is_secret,
                "choices": list(setting.choices),
                "text": setting.text,
            }
            for setting in settings_of(system).values()
        ],
    }
