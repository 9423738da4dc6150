"""In which columns a stored execution differs from what the vendor shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..core.json import exact_json
from ..core.models import Json
from ..systems.parsing import instant
from ..systems.protocol import System


def differing(system: System, row: Mapping[str, Json], stored: Mapping[str, Any]) -> tuple[str, ...]:
    """The documented columns whose stored value is not what the row says.

    What only a listing gives is not compared where the stored version came by a single read.
    """
    passed = system.details.list_only_columns if stored.get("read_by") == "execution" else ()
    return tuple(
        column.name
        for column in system.executions.columns
        if column.source is not None
        and column.name not in passed
        and column.name in stored
        and _as(column.type, row.get(column.source)) != _as(column.type, stored[column.name])
    )


def _as(kind: str, value: Json) -> Any:
    """Both sides in one form; None, an absent key and an empty text are alike."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, list | dict):
        return exact_json(value)
    if kind == "timestamp":
        return instant(value) or str(value)
    if kind == "bigint":
        try:
            return int(value)
        except (TypeError, ValueError):
            return str(value)
    if kind == "bool":
        return bool(value)
    return str(value)
