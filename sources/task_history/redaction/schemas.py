"""Recognizes JSON schemas: they describe fields for secrets, and hold secrets only as defaults and examples."""

from __future__ import annotations

from ..core.models import Json
from .data_files import word_set

_SCHEMA_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"}) | word_set(
    "varchar text char nvarchar uuid bytes blob binary int bigint smallint float double decimal date datetime "
    "timestamp json password"
)
SCHEMA_EXAMPLES = frozenset({"default", "example", "examples", "const"})
"""Words of a JSON schema whose values may be secrets."""
_SCHEMA_WORDS = SCHEMA_EXAMPLES | word_set(
    "type $ref $id $comment anyOf oneOf allOf not minLength maxLength pattern writeOnly readOnly format title "
    "description enum properties items required nullable deprecated minimum maximum contentEncoding "
    "additionalProperties contentMediaType x-secret sensitive dataType data_type nullable length unique primary index "
    "precision scale autoIncrement primaryKey size optional readonly encrypted"
)


def is_schema(value: Json) -> bool:
    """Whether a value is a JSON schema: a property named ``password`` holds none."""
    if not isinstance(value, dict) or not value.keys() <= _SCHEMA_WORDS:
        return False
    kinds = next((value[name] for name in ("type", "dataType", "data_type") if name in value), None)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return "$ref" in value or all(
        isinstance(kind, str) and kind.lower().partition("(")[0] in _SCHEMA_TYPES for kind in kinds
    )
