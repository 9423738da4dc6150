"""Answers of Paragon's list that hold fewer rows than they should, or say of themselves what is not so."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson

SWITCHES: dict[str, Any] = {
    "empty_at": 0,  # the list's request, counted from 1, whose page is empty; 0 for none
    "empty_times": 1,  # so many requests in a row
    "empty_from": 0,  # an offset from which on pages are empty; 0 for none
    "half_at": 0,  # the list's request whose page is cut to its half; 0 for none
    "half_times": 1,  # so many requests in a row
    "misled_says": "all",  # what such pages have beside rows: all, link, total, nothing, list (a bare one), end
    "total_added": 0,  # how many rows the total counts that are not there
    "outside_share": 0.0,  # of the rows, the same ones in each answer: they say that they began two years before
}
_KEYS: Mapping[str, tuple[str, ...]] = {"link": ("nextLink",), "total": ("total",), "nothing": ()}
_ROWS = "workflowExecutions"


def misled(body: bytes, switches: Mapping[str, Any], *, number: int, offset: int) -> bytes:
    """The answer to the list's request of that number, as the switches say."""
    is_empty = _is_in(number, "empty", switches) or 0 < int(switches["empty_from"]) <= offset
    is_half = _is_in(number, "half", switches)
    added, share = int(switches["total_added"]), float(switches["outside_share"])
    if not (is_empty or is_half or added or share):
        return body
    data = orjson.loads(body)
    if isinstance(data, dict) and "total" in data:
        data["total"] += added
    rows = data if isinstance(data, list) else data[_ROWS]
    for row in rows:
        if is_outside(row["id"], share):
            row["dateStarted"] = f"{int(row['dateStarted'][:4]) - 2}{row['dateStarted'][4:]}"
    if is_empty or is_half:
        return orjson.dumps(
            _cut(data, [] if is_empty else rows[: len(rows) // 2], str(switches["misled_says"]))
        )
    return orjson.dumps(data)


def is_outside(identity: str, share: float) -> bool:
    """Whether the row of that id is one of those that say that they began two years before."""
    return zlib.crc32(identity.encode()) < share * 2**32


def _is_in(number: int, kind: str, switches: Mapping[str, Any]) -> bool:
    first = int(switches[f"{kind}_at"])
    return 0 < first <= number < first + int(switches[f"{kind}_times"])


def _cut(data: Any, rows: list[Any], says: str) -> Any:
    """The answer with these rows instead of its own, and what it still says beside them."""
    if isinstance(data, list) or says == "list":
        return rows
    if says == "end":
        return {_ROWS: rows, "nextLink": None, "total": 0}
    kept = data if says == "all" else {name: data[name] for name in _KEYS[says] if name in data}
    return {**kept, _ROWS: rows}
