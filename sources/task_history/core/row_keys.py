"""Keys of a row: a field of the vendor never takes the place of a column that this connector writes.

Also the texts that a column holds as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from .json_reading import parse
from .models import OTHER_FIELDS, VARIANT, Json, Row, Table

_MARK = "\0"
_STORED = "\0stored:"


class JsonText(str):
    """A text that is JSON already: a column of JSON holds it as it is, where another text gets quotes."""

    __slots__ = ()


class StoredText(str):
    """A text that was read back from the warehouse, and goes back into its column as it is."""

    __slots__ = ()


class MisfitText(str):
    """The text of a value that does not fit its column, as the warehouse keeps it beside the column."""

    __slots__ = ()


def fields_beside_own(table: Table, fields: Mapping[str, Json]) -> Row:
    """The vendor's fields of a row of ``table``; one with the name of a column of ours gets a key of its own.

    The key becomes a column beside ours, see ``vendors_key``. Values of ours are added after this.
    """
    if table.own_keys.isdisjoint(fields):
        return fields if isinstance(fields, dict) else dict(fields)
    return {key_beside_own(table, name, fields): value for name, value in fields.items()}


def rows_beside_own(table: Table, rows: list[Row]) -> list[Row]:
    """``fields_beside_own`` for many rows, most of which need no change."""
    own = table.own_keys
    return rows if all(map(own.isdisjoint, rows)) else [fields_beside_own(table, row) for row in rows]


def key_beside_own(table: Table, name: str, others: Mapping[str, Json] | frozenset[str] = frozenset()) -> str:
    """The key of one field of the vendor's in a row of ``table``; ``others`` are the names of all its fields."""
    if name not in table.own_keys:
        return name
    key = name + _MARK
    while key in others:
        key += _MARK
    return key


def vendors_key(table: Table, key: str) -> str:
    """The vendor's own key, of one in a row of ``table`` that ``fields_beside_own`` may have changed."""
    name = key.removesuffix(_MARK)
    return name if name in table.own_keys else key


def read_back(table: Table, stored: Mapping[str, Json]) -> Row:
    """A stored row of ``table`` by the keys that the vendor's rows have.

    A text beside a column (``__v_text``) has the key of that column. Values of undocumented columns have a
    ``stored_key``; fields in ``other_fields`` have the vendor's own key.
    """
    keys = {column.name: column.key for column in table.columns}
    written = {column.name for column in table.columns if column.is_json or column.is_customer_data}
    row: Row = {}
    for name, value in stored.items():
        base = name.removesuffix(VARIANT)
        if base != name:
            if value is not None and stored.get(base) is None:
                row[keys.get(base) or stored_key(base)] = MisfitText(value)
        elif name in keys:
            is_written = name in written and isinstance(value, str)
            row.setdefault(keys[name], StoredText(value) if is_written else value)
        elif name != OTHER_FIELDS and not name.startswith("_dlt_") and value is not None:
            row[stored_key(name)] = StoredText(value) if isinstance(value, str) else value
    return {**fields_beside_own(table, fields_in(stored.get(OTHER_FIELDS))), **row}


def fields_in(text: Json) -> Row:
    """The fields in a text of ``other_fields``, as the vendor sent them; what is no object is left as it is."""
    if text is None:
        return {}
    try:
        fields = parse(text.encode())
    except (AttributeError, ValueError):
        fields = None
    return fields if isinstance(fields, dict) else {OTHER_FIELDS: text}


def stored_key(column: str) -> str:
    """The key of a value that was read back from a column of an undocumented field."""
    return _STORED + column


def stored_column(key: str) -> str | None:
    """The column that ``stored_key`` made the key of; None for any other key."""
    return key[len(_STORED) :] if key.startswith(_STORED) else None
