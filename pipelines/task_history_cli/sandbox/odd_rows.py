"""Rows of a list that a vendor should not send: without an id, or no objects at all."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from .server import HttpResponse

SWITCHES: dict[str, Any] = {
    "odd_rows": "none",  # no_id, null_id, empty_id, nul_id, object_id, null, text, number, list
    "odd_share": 0.02,  # of the rows, the same ones in each answer
}
KINDS = ("list", "runs", "workflows", "definitions")
"""The kinds of requests for lists."""
_PLACES = ("workflowExecutions", "data", "items", "_list")
"""The keys under which answers have their rows."""
_INSTEAD: Mapping[str, Any] = {"null": None, "text": "gone", "number": 7, "list": ["gone"]}
_IDS: Mapping[str, Any] = {"null_id": None, "empty_id": "", "nul_id": "a\0", "object_id": {"value": 1}}


def with_odd_rows(response: HttpResponse, switches: Mapping[str, Any]) -> HttpResponse:
    """The answer with some of its rows made odd, as the switches say."""
    kind, share = switches["odd_rows"], float(switches["odd_share"])
    if kind == "none" or response.status != 200:
        return response
    return replace(response, body=orjson.dumps(_with_odd(orjson.loads(response.body), kind, share)))


def _with_odd(data: Any, kind: str, share: float) -> Any:
    if isinstance(data, list):
        return [_odd(row, kind) if is_odd(_id(row), share) else row for row in data]
    if isinstance(data, dict):
        return {
            name: _with_odd(value, kind, share) if name in _PLACES else value for name, value in data.items()
        }
    return data


def is_odd(identity: str, share: float) -> bool:
    """Whether the row of that id is one of those that are made odd."""
    return zlib.crc32(identity.encode()) < share * 2**32


def _id(row: Mapping[str, Any]) -> str:
    return str(row.get("id") or row.get("_id"))


def _odd(row: Mapping[str, Any], kind: str) -> Any:
    if kind in _INSTEAD:
        return _INSTEAD[kind]
    name = "_id" if "_id" in row else "id"
    others = {key: value for key, value in row.items() if key != name}
    return others if kind == "no_id" else {**others, name: _IDS[kind]}
