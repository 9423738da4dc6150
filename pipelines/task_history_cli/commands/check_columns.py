"""What ``task-history check`` says of ``exclude_columns`` and ``hash_columns``: which columns they are about."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from task_history.settings_reader import Settings
from task_history.warehouse import common_tables
from task_history.warehouse.column_rules import column_rules
from task_history.warehouse.old_values import OldValues
from task_history.warehouse.sql_text import sql_type

from ..runtime.reader import queried
from ..runtime.target import Target


def column_entries(settings: Settings, sent: Collection[str]) -> list[dict[str, Any]]:
    """One entry per rule; ``sent`` are the fields of the executions that the vendor showed.

    Raises ConfigurationError where a rule cannot be kept.
    """
    rules = column_rules(settings)
    executions = settings.system.executions.name
    fields = [(executions, name) for name in sent]
    unmatched = rules.unmatched(fields)
    return [
        {
            "setting": f"{rule.action}_columns",
            "column": str(rule),
            "known": "no" if rule in unmatched else "documented" if rule.is_documented else "sent",
            "suggestion": rule.suggestion if rule in unmatched else None,
            "stored_values": None,
        }
        for rule in rules.rules
    ]


def count_stored(entries: list[dict[str, Any]], target: Target, settings: Settings) -> None:
    """Adds how many values that were stored before the rules are in the columns; the dataset may not exist yet.

    Raises WarehouseUnavailable.
    """
    rules = column_rules(settings)
    if not rules:
        return
    with queried(target, settings) as reader:
        if reader is None:
            return
        own = {table.name for table in common_tables.of(settings.system)}
        columns = {(table, column) for table, column in reader.columns() if table in own}

        def types(table: str) -> dict[str, str]:
            return {column: "text" for name, column in columns if name == table}

        text_type = sql_type("text", reader.dialect)
        values = OldValues(reader.query, reader.names, settings.system, rules, types, text_type=text_type)
        counts, unmatched = values.counts(), values.unmatched()
        for entry, rule in zip(entries, rules.rules, strict=True):
            if entry["known"] == "no" and rule not in unmatched:
                entry |= {"known": "stored", "suggestion": None}
            entry["stored_values"] = sum(
                number for name, number in counts.items() if values.is_about(rule, *name.split(".", 1))
            )


def column_lines(entries: list[dict[str, Any]]) -> list[str]:
    """The entries as text."""
    words = {
        "documented": "a documented column",
        "sent": "a field that the vendor sends",
        "stored": "a column that is stored",
        "no": "neither documented nor sent in the executions looked at",
    }
    lines = []
    for entry in entries:
        verb = "leaves out" if entry["setting"] == "exclude_columns" else "hashes"
        line = f"{entry['setting']} {verb} {entry['column']}: {words[entry['known']]}"
        if entry["suggestion"]:
            line += f"; did you mean {entry['suggestion']}?"
        elif entry["known"] == "no":
            line += "; the rule takes effect once a row has it"
        if entry["stored_values"]:
            line += f". {entry['stored_values']:,} values were stored before: sync --erase-old-values removes them"
        lines.append(line if line.endswith("?") else f"{line}.")
    return lines
