"""The JSON schemas of what each command prints with ``--json``, and the page on them.

The fields stand in ``<command>_json.toml`` beside each command's module, and those of a run in ``RunResult``.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema

from task_history.core.models import Window
from task_history.runs.run_counters import Remaining
from task_history.runs.run_result import BudgetLeft, BytesUsed, RunResult
from task_history.warehouse.common_tables import SYNC_RUNS
from task_history_cli import commands

from .settings import as_part

Schema = dict[str, Any]
_TYPES: dict[str, Schema] = {
    **{name: {"type": name} for name in ("integer", "number", "string", "boolean")},
    "instant": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "any": {},
}
_MORE = "*"
"""The key of what an object may have beside its named fields."""
_FIELD_TYPES: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    datetime: "instant",
    Window: "@Window",
    Remaining: "@Left",
    BudgetLeft: "@Budget",
    BytesUsed: "@Bytes",
}
"""The types of fields of ``RunResult``."""
_COLUMN_TYPES = {"bigint": "integer", "double": "number", "bool": "boolean", "timestamp": "instant"}


@cache
def _fields() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {"commands": {}, "objects": {}}
    paths = Path(commands.__path__[0]).glob("*_json.toml")
    for path in sorted(paths, key=lambda path: path.stem.removesuffix("_json")):
        for kind, entries in tomllib.loads(path.read_text("utf-8")).items():
            found[kind] |= entries
    found["objects"]["Run"] = _run_fields(found["objects"]["Run"])
    found["objects"]["SyncRun"] = {
        f"{column.name}?": f"{_COLUMN_TYPES.get(column.type, 'string')}?: {column.description.rstrip('.')}"
        for column in SYNC_RUNS.columns
    } | {_MORE: "any: columns that an earlier version made"}
    return found


def _run_fields(stated: Mapping[str, str]) -> dict[str, str]:
    """The fields of ``RunResult`` by their names in JSON; ``stated`` are more, and some of these otherwise."""
    [definition] = ast.parse(inspect.getsource(RunResult)).body
    assert isinstance(definition, ast.ClassDef)
    described = {
        field.target.id: str(text.value.value)
        for field, text in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    fields = {}
    for name, kind in get_type_hints(RunResult).items():
        if name in stated:
            fields[name] = stated[name]
        elif name not in ("command", "left_s"):
            key = "complete" if name == "is_complete" else name
            fields[key] = f"{_field_type(kind)}: {_json_words(described[name])}"
    return {**fields, **stated}


def _json_words(text: str) -> str:
    """A docstring as the description of a field."""
    return re.sub(r"\bNone\b", "null", as_part(text)).replace("``", "`")


def _field_type(kind: Any) -> str:
    if get_origin(kind) is Mapping:
        return f"map {_field_type(get_args(kind)[1])}"
    if NoneType in get_args(kind):
        return f"{_field_type(get_args(kind)[0])}?"
    return _FIELD_TYPES[kind]


def names() -> list[str]:
    """The names of the schemas."""
    return list(_fields()["commands"])


@cache
def schema(name: str) -> Schema:
    """The schema of that name. https://json-schema.org/draft/2020-12"""
    fields = dict(_fields()["commands"][name])
    title = fields.pop("title")
    used: dict[str, Schema] = {}
    found = _object(fields, used)
    definitions = {key: used[key] for key in sorted(used)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **found,
        **({"$defs": definitions} if definitions else {}),
    }


def _object(fields: dict[str, str], used: dict[str, Schema]) -> Schema:
    properties: Schema = {}
    required = []
    for key, text in _with_inherited(fields):
        kind, _, meaning = text.partition(": ")
        name = key.removesuffix("?")
        properties[name] = {"description": meaning, **_type(kind, used)}
        if name == key:
            required.append(name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": _MORE in fields,
    }


def _with_inherited(fields: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, text in fields.items():
        if key == "like":
            yield from _with_inherited(_fields()["objects"][text.removeprefix("@")])
        elif key != _MORE:
            yield key, text


def _type(kind: str, used: dict[str, Schema]) -> Schema:
    if kind.endswith("?"):
        return {"anyOf": [_type(kind[:-1], used), {"type": "null"}]}
    if kind.startswith("'"):
        return {"const": kind.strip("'")}
    if kind.startswith("list "):
        return {"type": "array", "items": _type(kind.removeprefix("list "), used)}
    if kind.startswith("map "):
        return {"type": "object", "additionalProperties": _type(kind.removeprefix("map "), used)}
    if kind.startswith("@"):
        name = kind.removeprefix("@")
        if name not in used:
            used[name] = {}
            used[name] = _object(_fields()["objects"][name], used)
        return {"$ref": f"#/$defs/{name}"}
    return _TYPES[kind]


# What a command printed


def name_of(words: Sequence[str], printed: Any) -> str:
    """The name of the schema for what the command with these words printed."""
    if set(printed) == {"command", "exit_code", "error"}:
        return "error"
    command = str(printed.get("command", "systems")).replace(" ", "-")
    if printed.get("dry_run"):
        return f"{command}-dry-run"
    if command == "backfill" and "shards" in printed:
        return "backfill-shards"
    if command == "replay" and printed["sent"]:
        return "replay-yes"
    if command == "views":
        return next((f"views-{name}" for name in ("check", "print") if f"--{name}" in words), "views")
    return command


def check(words: Sequence[str], printed: Any) -> None:
    """Fails where what a command printed does not fit its schema."""
    name = name_of(words, printed)
    errors = sorted(_validator(name).iter_errors(printed), key=str)
    assert not errors, f"{name}: {errors[0].json_path}: {errors[0].message[:500]}. See {name}_json.toml"


@cache
def _validator(name: str) -> Any:
    return jsonschema.Draft202012Validator(schema(name))


# The files and the page


def file(name: str) -> str:
    """The text of the schema's file."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The fields of each command's object, and the objects that they hold."""
    lines: list[str] = []
    for name in names():
        found = schema(name)
        lines += [f"## {found['title']}", "", f"Schema: [`{name}.schema.json`](json/{name}.schema.json).", ""]
        lines += [*_table(found), ""]
    lines += ["## Objects", "", "What fields above hold.", ""]
    for name in sorted(_fields()["objects"]):
        used: dict[str, Schema] = {}
        found = _object(_fields()["objects"][name], used)
        lines += [f"### {name}", "", *_table(found), ""]
    return "\n".join(lines)


def _table(found: Schema) -> Iterator[str]:
    yield "| Field | Type | Meaning |"
    yield "|---|---|---|"
    for name, field in found["properties"].items():
        kind = _words(field)
        often = "" if name in found["required"] else "; not always there"
        yield f"| `{name}` | {kind}{often} | {field['description'].replace('|', chr(92) + '|')} |"


def _words(field: Schema) -> str:
    if "anyOf" in field:
        return f"{_words(field['anyOf'][0])} or null"
    if "const" in field:
        return f'`"{field["const"]}"`'
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if field.get("type") == "array":
        return f"list of {_words(field['items'])}"
    if field.get("type") == "object":
        return f"object of {_words(field['additionalProperties'])}"
    kind = str(field.get("type", "any"))
    return {"date-time": "instant", "date": "day"}.get(field.get("format", ""), kind)
