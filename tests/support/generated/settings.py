"""What is made from the systems and their settings: the dlt sources, tables of a page, files in ``.dlt``."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import datetime
from typing import Any

from task_history import systems
from task_history.settings_reader import settings_of
from task_history.systems.common_settings import Setting, SystemSettings, settings_in
from task_history.systems.protocol import System

FIRST = "paragon"
"""The system whose sections list what all systems have, too."""
ORDER = (FIRST, "sailpoint", "twinit", "b3os")
COMMON = {one.name for one in settings_in(SystemSettings)}
TYPES: dict[type, str] = {str: "str", int: "int", float: "float", tuple: "list[str]", datetime: "str"}


def ordered() -> list[System]:
    """All systems, in the order in which the documents name them."""
    return [systems.find(name) for name in (*ORDER, *sorted(set(systems.names()) - set(ORDER)))]


# The dlt sources


def source(system: System) -> str:
    """The function of a dlt source; only the first system's describes the settings that all systems have."""
    found = [one for one in settings_of(system).values() if not one.command_only]
    found.sort(key=lambda one: not one.is_required)
    parameters = "".join(f"    {one.name}: {_annotated(one)},\n" for one in found)
    arguments = "".join(
        textwrap.fill(
            f"{one.name}: {as_part(one.text)}{_choices(one, '``')}.",
            100,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
        + "\n"
        for one in found
        if system.name == FIRST or one.name not in COMMON
    )
    others = "" if system.name == FIRST else f"        All others: as those of ``{FIRST}``.\n"
    return (
        f'@dlt.source(name="{system.name}", section="task_history", max_table_nesting=0)\n'
        f"def {system.name}(\n{parameters}) -> Sequence[DltResource]:\n"
        f'    """{system.title} as a dlt source.\n\n    {system.docs_url}\n\n    Args:\n{arguments}{others}\n'
        "    Raises:\n        ConfigurationError: a setting is wrong.\n"
        '    """\n'
        f'    return _source("{system.name}", locals())\n'
    )


def _annotated(one: Setting) -> str:
    if one.is_required:
        return f"{TYPES[one.type]} = dlt.{'secrets' if one.is_secret else 'config'}.value"
    return f"{'dlt.TSecretStrValue' if one.is_secret else TYPES[one.type]} | None = None"


def exports() -> str:
    """What the package exports: its dlt sources, beside ``sync`` and its result."""
    names = systems.names()
    exported = ", ".join(f'"{name}"' for name in sorted([*names, "RunResult", "sync"]))
    return (
        "if TYPE_CHECKING:\n"
        "    from .runs.run_result import RunResult\n"
        f"    from .source import {', '.join(names)}\n"
        "    from .sync_pipeline import sync\n\n"
        f"__all__ = [{exported}]\n"
    )


# The page


def own_table() -> str:
    """The settings that one system has alone."""
    rows = [
        f"| `{one.name}` | {system.name} | {_default(one)} | {_meaning(one)} |"
        for system in ordered()
        for one in settings_of(system).values()
        if one.name not in COMMON
    ]
    return "\n".join(["| Setting | Of | Default | Meaning |", "|---|---|---|---|", *rows, ""])


def common_table() -> str:
    """The settings that all systems have, with the defaults of each where they differ."""
    rows = []
    for one in settings_in(SystemSettings):
        found = {
            system.name: _default(settings_of(system)[one.name])
            for system in ordered()
            if one.name in settings_of(system)
        }
        default = next(iter(found.values()))
        if len(set(found.values())) > 1 or len(found) < len(ordered()):
            default = ", ".join(f"{name} {value}" for name, value in found.items())
        rows.append(f"| `{one.name}` | {default} | {_meaning(one)} |")
    return "\n".join(["| Setting | Default | Meaning |", "|---|---|---|", *rows, ""])


def _default(one: Setting) -> str:
    if one.is_required or one.is_secret:
        return ", ".join(["required"] * one.is_required + ["secret"] * one.is_secret)
    if one.default in (None, "", ()):
        return one.unset or "none"
    return f"`{one.default}`" if isinstance(one.default, str) else str(_short(one.default))


def _short(value: Any) -> Any:
    """A whole number without the point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _meaning(one: Setting) -> str:
    is_shown = one.name not in COMMON and one.example not in (None, "…")
    such = f"; for example `{_toml(one.example, one.type)}`" if is_shown else ""
    text = re.sub(r"\b([a-z0-9]+(?:_[a-z0-9]+)+)\b", r"`\1`", as_part(one.text))
    return f"{text}{_choices(one, '`')}{such}".replace("|", "\\|")


def as_part(text: str) -> str:
    """The sentence as a part of another."""
    first = text[0] if text[1:2].isupper() else text[0].lower()
    return first + text[1:].removesuffix(".")


def _choices(one: Setting, quote: str) -> str:
    named = ", ".join(f"{quote}{choice}{quote}" for choice in one.choices)
    return f" ({named})" if named else ""


# The files in .dlt


def config() -> str:
    """The sections of ``config.toml``."""
    return "\n".join(_section(system, is_secret=False) for system in ordered())


def secrets() -> str:
    """The sections of ``example.secrets.toml``."""
    return "\n".join(_section(system, is_secret=True) for system in ordered())


def _section(system: System, *, is_secret: bool) -> str:
    first = settings_of(systems.find(FIRST))
    lines = [f"[sources.task_history.{system.name}]"]
    for one in settings_of(system).values():
        is_as_first = (
            system.name != FIRST and one.name in COMMON and one.name in first and one == first[one.name]
        )
        if one.is_secret != is_secret or is_as_first:
            continue
        if is_secret:
            value = f'{one.name} = ""'
        else:
            has_default = one.default not in (None, "", ())
            shown = one.default if has_default else (one.example if one.example is not None else [])
            value = f"# {one.name} = {_toml(shown, one.type)}"
        has_none = one.default in (None, "", ()) and not is_secret
        needed = "; required" if one.is_required else "; not set" * has_none
        lines.append(f"{value:<52} # {as_part(one.text)}{_choices(one, '')}{needed}")
    if system.name != FIRST and not is_secret:
        lines.append(f"# The others are those of {FIRST}, with the same defaults.")
    return "\n".join(lines) + "\n"


def _toml(value: Any, kind: type) -> str:
    if kind is datetime:
        return str(value)
    return json.dumps(list(value) if isinstance(value, tuple) else _short(value), ensure_ascii=False)


def sources() -> str:
    """The functions of ``source.py``."""
    return "\n\n" + "\n\n".join(source(system) for system in ordered()) + "\n\n"
