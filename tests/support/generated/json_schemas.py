"""The JSON schemas of what each command prints with ``--json``, and the page on them, from ``json_fields.toml``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from task_history.warehouse.tables import SYNC_RUNS

Schema = dict[str, Any]
_TYPES: dict[str, Schema] = {
    **{name: {"type": name} for name in ("integer", "number", "string", "boolean")},
    "instant": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "any": {},
}
_MORE = "*"
"""The key of what an object may have beside its named fields."""
_COLUMN_TYPES = {"bigint": "integer", "double": "number", "bool": "boolean", "timestamp": "instant"}


@cache
def _fields() -> dict[str, dict[str, dict[str, str]]]:
    found = tomllib.loads(Path(__file__).with_name("json_fields.toml").read_text("utf-8"))
    found["objects"]["SyncRun"] = {
        f"{column.name}?": f"{_COLUMN_TYPES.get(column.type, 'string')}?: {column.description.rstrip('.')}"
        for column in SYNC_RUNS.columns
    } | {_MORE: "any: columns that an earlier version made"}
    return found


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
    assert not errors, f"{name}: {errors[0].json_path}: {errors[0].message[:500]}. See json_fields.toml"


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
