"""BigQuery's types and tables as Google's analyzer takes them."""

from __future__ import annotations

from typing import Any, TypeVar

from zetasql.types import ArrayType, SimpleTable, Type, TypeKind

_Model = TypeVar("_Model")
Columns = list[tuple[str, Any]]
"""Names with their types."""
KINDS = {
    "BIGNUMERIC": TypeKind.TYPE_BIGNUMERIC,
    "BOOL": TypeKind.TYPE_BOOL,
    "BYTES": TypeKind.TYPE_BYTES,
    "DATE": TypeKind.TYPE_DATE,
    "DATETIME": TypeKind.TYPE_DATETIME,
    "FLOAT64": TypeKind.TYPE_DOUBLE,
    "INT64": TypeKind.TYPE_INT64,
    "JSON": TypeKind.TYPE_JSON,
    "NUMERIC": TypeKind.TYPE_NUMERIC,
    "STRING": TypeKind.TYPE_STRING,
    "TIME": TypeKind.TYPE_TIME,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
}


def type_of(parameter: dict[str, Any]) -> Any:
    def named(kind: dict[str, Any]) -> Any:
        if kind["type"] == "ARRAY":
            return Type(
                type_kind=TypeKind.TYPE_ARRAY, array_type=ArrayType(element_type=named(kind["arrayType"]))
            )
        return Type(type_kind=KINDS[kind["type"]])

    return named(parameter["parameterType"])


def table_of(name: str, columns: Columns, identity: int) -> SimpleTable:
    table = SimpleTable(name=name, serialization_id=identity)
    message = table.to_proto()
    for column, kind in columns:
        message.column.add(name=column, is_writable_column=True).type.CopyFrom(message_of(kind))
    return sent_as(message, table)


def message_of(kind: Any) -> Any:
    if kind.type_kind not in _MESSAGES:
        if kind.type_kind not in KINDS.values():
            return kind.to_proto()
        _MESSAGES[kind.type_kind] = kind.to_proto()
    return _MESSAGES[kind.type_kind]


_MESSAGES: dict[Any, Any] = {}
"""Of the types without parts."""


def sent_as(message: Any, model: _Model) -> _Model:
    """The model, which is always sent as this message: to make one field by field takes longer than the analysis."""
    model.to_proto = lambda: message  # type: ignore[attr-defined]
    return model
