"""Parsing shared by several vendors: instants, lists of rows, error texts. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ..core.errors import UnexpectedResponse
from ..core.escapes import NUL
from ..core.models import FIRST_INSTANT, LAST_INSTANT, Json, RejectedRow, Row, Table
from ..core.row_keys import rows_beside_own


def instant(value: Json) -> datetime | None:
    """Parses an ISO 8601 instant; UTC when it names no zone, None when it is none or stands for "never" or "for ever"."""
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
            parsed = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    else:
        return None
    return parsed if FIRST_INSTANT <= parsed < LAST_INSTANT else None


_ZERO_TIME = re.compile("0001-01-01[T ]00:00:00(?:[.]0+)?(?:Z|[+]00:?00)?")
_ZERO_MS = -62_135_596_800_000
"""What Go writes where no time is set: https://pkg.go.dev/time#Time.IsZero"""
_MAX_DIGITS = 18
"""Digits of milliseconds that a date can have, and some more."""
_LONG_FRACTION = re.compile(r"\.[0-9]{7,}")


def timed(row: Row, names: Sequence[str]) -> Row:
    """The row with these fields parsed as instants: ISO 8601 texts, or numbers of milliseconds since 1970.

    Absent, ``null``, empty and Go's zero time are all "not set". What is finer than a microsecond stays beside it,
    exactly as sent, under the field's name with ``Exact`` added; what is no instant stays as it is.
    """
    parsed = dict(row)
    for name in names:
        value = parsed.get(name)
        if value in ("", _ZERO_MS) or (isinstance(value, str) and _ZERO_TIME.fullmatch(value)):
            parsed[name] = None
        elif (moment := instant_or_millis(value)) is not None:
            if _is_finer_than_microseconds(value):
                exact = f"{name}Exact"
                if exact in row:
                    parsed[f"{exact}{NUL}"] = row[exact]
                parsed[exact] = value
            parsed[name] = moment
    return parsed


def _is_finer_than_microseconds(value: Json) -> bool:
    if isinstance(value, str):
        return _LONG_FRACTION.search(value) is not None
    return isinstance(value, float | Decimal) and Decimal(str(value)) * 1000 % 1 != 0


def instant_or_millis(value: Json) -> datetime | None:
    """Parses a text as ISO 8601, or a number as milliseconds since 1970; None when it is neither."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return millis(value)
    return instant(value)


def millis(value: float | Decimal) -> datetime | None:
    """Converts milliseconds since 1970 to an instant, cut to microseconds; None as for ``instant``."""
    try:
        if isinstance(value, Decimal) and value.adjusted() < _MAX_DIGITS:
            return instant(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(value * 1000)))
        return instant(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=float(value)))
    except (OverflowError, ValueError):
        return None


_NAME = re.compile(r"(?!(?=[^0-9]*[0-9]).{20})[A-Za-z_][A-Za-z0-9_]{0,40}")
"""Field names that an error may show; long ones with digits may be tokens."""


def rows_under(data: Json, keys: Sequence[str], *, what: str, table: Table) -> list[Row]:
    """The list of objects under the first of ``keys`` that is present, or the answer itself if it is a list.

    They are rows of ``table``, see ``fields.apart``.

    Raises:
        UnexpectedResponse: none of the keys is there, or what is there is no list of objects.
    """
    rows, path = _list_under(data, keys, what=what)
    if not all(isinstance(row, dict) for row in rows):
        raise UnexpectedResponse(f"{what}: expected a list of objects at {path!r}.")
    return rows_beside_own(table, rows)


def rows_with_id(
    data: Json, keys: Sequence[str], identity: str | None, *, what: str, table: Table
) -> tuple[list[Row], tuple[RejectedRow, ...]]:
    """The list under the first of ``keys`` in two parts: objects with an id under ``identity``, and all other values.

    ``identity`` is None where objects need no id. They are rows of ``table``, see ``fields.apart``.

    Raises:
        UnexpectedResponse: none of the keys is there, or what is there is no list.
    """
    rows, _ = _list_under(data, keys, what=what)
    faults = [_fault(row, identity) for row in rows]
    if not any(faults):
        return rows_beside_own(table, rows), ()
    kept = rows_beside_own(table, [row for row, fault in zip(rows, faults, strict=True) if not fault])
    rejected = (
        RejectedRow(position, row, fault)
        for position, (row, fault) in enumerate(zip(rows, faults, strict=True))
        if fault
    )
    return kept, tuple(rejected)


def not_stored(what: str, rejected: Sequence[RejectedRow]) -> tuple[str, ...]:
    """Why some rows of a detail are not stored, for ``Detail.unreadable``: the others are."""
    if not rejected:
        return ()
    first, number = rejected[0], len(rejected)
    named = f"Row {first.position} of the {what} is not stored: {first.reason}"
    return (f"{named}." if number == 1 else f"{named}, and {number - 1:,} more.",)


def _fault(row: Json, identity: str | None) -> str:
    """Why the value has no usable id; empty where it has one."""
    if not isinstance(row, dict):
        return f"it is no object but {_KINDS.get(type(row), 'a number')}"
    if identity is None:
        return ""
    value = row.get(identity)
    if isinstance(value, str):
        if NUL in value:
            return f"its {identity!r} has a NUL character"
        return "" if value else f"its {identity!r} is empty"
    if value is None:
        return f"its {identity!r} is null" if identity in row else f"it has no {identity!r}"
    return f"its {identity!r} is {_KINDS[type(value)]}" if type(value) in _KINDS else ""


_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def _list_under(data: Json, keys: Sequence[str], *, what: str) -> tuple[list[Json], str]:
    """The list, and where it stands in the answer. Raises UnexpectedResponse."""
    if isinstance(data, list):
        return data, "$"
    if not keys:
        raise UnexpectedResponse(
            f"{what}: expected a list, found {type(data).__name__}. The vendor's API may have changed; nothing was "
            "loaded from this answer."
        )
    if isinstance(data, dict):
        path = next((key for key in keys if key in data), "")
        if not path:
            # What stands where names should may be anything, a secret too.
            names = [key for key in sorted(data) if _NAME.fullmatch(key)]
            raise UnexpectedResponse(
                f"{what}: expected the key {' or '.join(map(repr, keys))} in the answer, found "
                f"{names[:8]}. The vendor's API may have changed; nothing was loaded from this answer."
            )
        rows = data[path]
    else:
        raise UnexpectedResponse(f"{what}: expected an object, found {type(data).__name__}.")
    if not isinstance(rows, list):
        raise UnexpectedResponse(f"{what}: expected a list of objects at {path!r}.")
    return rows, path
