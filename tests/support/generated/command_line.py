"""The page of the command line, from the command's own parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from task_history_cli.cli import COMMANDS, parsers

SHARED = ("help", "json", "log_format", "log_level")
"""Options that every command has."""
PAGES = {
    "demo": "../tutorial.md",
    "systems": "../systems/paragon.md",
    "check": "../tutorial.md",
    "sync": "../how-to/schedule.md",
    "plan": "../how-to/backfill-a-month.md",
    "backfill": "../how-to/backfill-a-month.md",
    "audit": "../how-to/audit.md",
    "status": "../how-to/alerting.md",
    "views": "../how-to/query-the-views.md",
    "explore": "../how-to/query-the-views.md",
    "report": "../how-to/report.md",
    "why": "../how-to/why.md",
    "replay": "../how-to/replay.md",
    "answer": "../systems/twinit.md",
    "forget": "../how-to/forget-a-person.md",
    "fleet": "../how-to/many-accounts.md",
    "sandbox": "../how-to/sandbox.md",
    "init": "../tutorial.md",
    "completion": "../tutorial.md",
}
"""The page that shows how each command is used."""


def page() -> str:
    """All commands, and the options of each."""
    lines = ["| Command | Does |", "|---|---|"]
    lines += [f"| [`{name}`](#task-history-{name}) | {_cell(text)} |" for name, text in COMMANDS.items()]
    lines += ["", "## Options of every command", "", "| Option | Meaning |", "|---|---|"]
    lines += [_row(action) for action in _parser_of("sync")._actions if action.dest in SHARED]
    for name in COMMANDS:
        lines += ["", *_section(name)]
    return "\n".join(lines) + "\n"


def _parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of one command, with its arguments."""
    return parsers([name])[1][name]


def _section(command: str) -> Iterator[str]:
    parser = _parser_of(command)
    own = [action for action in parser._actions if action.dest not in SHARED]
    places = [_name(action) for action in own if not action.option_strings]
    yield f"## task-history {command}"
    yield ""
    yield (parser.description or "").strip()
    yield ""
    yield f"`{' '.join(['task-history', command, *places])}`: [how to use it]({PAGES[command]})"
    if own:
        yield from ("", "| Argument | Meaning |", "|---|---|", *map(_row, own))


def _name(action: argparse.Action) -> str:
    """What stands for the argument's value, as the command's help shows it."""
    if action.metavar is None and action.choices:
        name = "|".join(map(str, action.choices))
    else:
        name = str(action.metavar or action.dest.upper())
    return f"{name}…" if action.nargs in ("*", "+") else name


def _row(action: argparse.Action) -> str:
    name = _name(action)
    if action.option_strings:
        words = ", ".join(action.option_strings)
        name = words if action.nargs == 0 else f"{words} {name}"
    needed = " Required." if action.required and action.option_strings else ""
    values = {"default": action.default, "prog": "task-history"}
    return f"| `{_cell(name)}` | {_cell((action.help or '') % values)}{needed} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
