"""Descriptions of the stored tables and columns, also of those that the vendor's documentation does not name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.models import OTHER_FIELDS, VARIANT, Table

_OWN_DESCRIPTIONS = {
    "_dlt_load_id": "The load that wrote the row (_dlt_loads.load_id).",
    "_dlt_id": "A key of the row, made by dlt.",
    OTHER_FIELDS: "Fields that the vendor sent beyond max_columns or max_name_length: a JSON object, values exact.",
}


def descriptions(own: Iterable[Table], stored: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Descriptions by table and column; the description of a table is under the empty column name."""
    texts: dict[tuple[str, str], str] = {}
    for table in own:
        texts[(table.name, "")] = table.description
        known = {column.name: column.description for column in table.columns}
        known |= {
            column.former_name: f"The former name of {column.name}: what earlier versions wrote."
            for column in table.columns
            if column.former_name is not None
        }
        for column in stored.get(table.name, {}).get("columns", {}):
            base, _, rest = column.partition(VARIANT)
            if column in known:
                text = known[column]
            elif column in _OWN_DESCRIPTIONS:
                text = _OWN_DESCRIPTIONS[column]
            elif rest == "" and base in known and base != column:
                text = (
                    f"What the vendor sent for {base} where it is not of that column's type: texts as they were, all "
                    "else as JSON."
                )
            else:
                text = (
                    "Sent by the vendor; its documentation does not name it. vendor_fields has its name and what "
                    "the column holds."
                )
            texts[(table.name, column)] = text
    return texts
