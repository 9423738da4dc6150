"""Names that stand as values: which values of an object, list or table they make secret.

``{"key": "Authorization", "value": …}``, ``["X-Api-Key", …]`` and ``{"columns": ["user", "password"], "rows": …}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from ..core.models import Json
from .data_files import rules
from .expressions import expression
from .judging import is_no_name, is_ordinary, is_prose
from .kinds_of_names import (
    ANSWERS,
    FIELD_TYPES,
    IN_OBJECTS,
    KEYS_THAT_NAME,
    NO_SECRET_BY_NAME,
    PAIR_NAMES,
    PAIR_VALUES,
    PROSE_PAIR_VALUES,
    Kind,
    squash,
    words_of,
)
from .kinds_of_names import (
    kind_of as kind_of_name,
)
from .randomness import is_random

_KEY_CHARS = 128
"""Maximum characters of a key that can mark a name/value pair."""
_NAME_CHARS = 64
"""Maximum characters of a name that stands as a value."""
_COLUMNS = 20_000
"""Maximum columns of a table."""
_IDENTIFIER = expression(r"[^\W\d][\w. :-]{0,63}")
_NAMES_WITHIN = 12
"""Maximum fields of an object in which the name of a pair is looked for."""
_COLUMN_KEY = expression(r"(?i)(?:[a-z]{1,2}|(?:col(?:umn)?|field|f|c|_)?_?[0-9]{1,3}_?)")
_SHEET_CELL = expression(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
TABLE_HEADS = frozenset({"schema", "meta", "metadata", "header", "head", "table", "structure"})
"""Objects in which the names of a table's columns stand beside its rows."""
JSON_WEB_KEY = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
"""The private parts of a key: https://www.rfc-editor.org/rfc/rfc7518#section-6"""
_TYPES = frozenset(
    {"type", "inputtype", "fieldtype", "controltype", "elementtype", "questiontype", "widgettype"}
)
_HEADER_NAME = expression(r"[A-Za-z]+(?:-[A-Za-z]+)*")

KindOf = Callable[[str], Kind]


@lru_cache(20_000)
def role(key: str) -> str:
    """What a key says of its value in a name/value pair: "name", "type", "value", "text", "answer" or nothing."""
    if len(key) > _KEY_CHARS:
        return "value" if squash(key[-_KEY_CHARS:]).endswith("value") else ""
    word = squash(key)
    if word in _TYPES:
        return "type"
    last_word = (words_of(key) or [word])[-1]
    if word in PAIR_VALUES or last_word in PAIR_VALUES or word.endswith("value"):
        return "value"
    if word in ANSWERS or last_word in ANSWERS:
        return "answer"
    if word in PROSE_PAIR_VALUES or last_word in PROSE_PAIR_VALUES:
        return "text"
    return "name" if word in PAIR_NAMES or last_word in PAIR_NAMES else ""


def is_secret_text(value: Json) -> bool:
    """Whether a value beside a name of a secret may be the secret where prose may stand, too."""
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return len(value) >= 4 and not value.isalpha() and not is_ordinary(value)


def is_secret_answer(value: Json) -> bool:
    """Whether a value that answers the question for a secret is the secret."""
    return is_secret_text(value) or (isinstance(value, str) and len(value) >= 4 and not is_ordinary(value))


def holds_secret(key: str, value: Json) -> bool:
    """Whether a field of an object beside a name of a secret may be the secret."""
    return role(key) == "value" or (role(key) in ("text", "answer") and is_secret_text(value))


def pair_kind(value: Mapping[str, Json], roles: Sequence[str], kind_of: KindOf) -> tuple[Kind, str]:
    """The kind of the value in a pair such as ``{"key": "Authorization", "value": …}``, and the key of the name."""
    for word, (key, name) in zip(roles, value.items(), strict=True):
        if word == "name" and isinstance(name, dict) and (kind := _kind_within(name, kind_of)):
            return kind, key
        if not word or not isinstance(name, str):
            continue
        if word == "type" and squash(name) in FIELD_TYPES:
            return Kind.SECRET, key
        if word == "text" and _holds_digits(name):
            continue  # a message that holds its secret itself
        if word in ("name", "text") and (kind := kind_of(name) or _kind_of_question(name)):
            return kind, key
    return Kind.HARMLESS, ""


def _holds_digits(text: str) -> bool:
    return " " in text and _DIGITS.search(text) is not None


_DIGITS = expression(r"[0-9]{4}")
_HOLDING = frozenset({"value", "text", "answer"})
_QUESTION = expression("|".join(rules("no_secrets")["security_questions"]), re.IGNORECASE)


def _kind_of_question(text: str) -> Kind:
    """The kind of the answer to a question by which a person is recognised."""
    return Kind.SECRET if text.endswith("?") and _QUESTION.search(text) else Kind.HARMLESS


def _kind_within(name: Mapping[str, Json], kind_of: KindOf) -> Kind:
    """The kind of the name in an object that stands in the place of one: ``{"field": {"label": "Door code"}, …}``."""
    for key, inner in islice(name.items(), _NAMES_WITHIN):
        is_name = role(key) in ("name", "text") or len(name) == 1
        if is_name and isinstance(inner, str) and (kind := kind_of(inner)):
            return kind
    return Kind.HARMLESS


def may_pair(roles: list[str]) -> bool:
    """Whether an object whose fields have these roles may be a pair."""
    return len(roles) > 1 and not _HOLDING.isdisjoint(roles)


def is_paired(roles: Iterable[str]) -> bool:
    """Whether one field of an object may say what stands in another."""
    roles = list(filter(None, roles))
    return len(roles) > 1 and not _HOLDING.isdisjoint(roles)


@lru_cache(20_000)
def secrets_in_object(name: str) -> frozenset[str]:
    """The names that are those of secrets in an object of that name only."""
    if len(name) > _NAME_CHARS:
        return frozenset()
    if name.endswith("s") and (singular := secrets_in_object(name[:-1])):
        return singular
    if kind_of_name(f"{name} code") is Kind.IF_CODE:
        return IN_OBJECTS.get(squash(name), frozenset()) | {"code"}
    plurals = (word for word in ("keys", "codes") if kind_of_name(f"{name} {word}") not in NO_SECRET_BY_NAME)
    return IN_OBJECTS.get(squash(name), frozenset()).union(plurals)


@lru_cache(20_000)
def has_key_that_names(name: str) -> bool:
    """Whether a "key" in an object of that name names something."""
    return squash(name) in KEYS_THAT_NAME if len(name) <= _NAME_CHARS else False


def are_cells(names: Sequence[str]) -> bool:
    """Whether the names are those of a spreadsheet's cells."""
    return bool(names) and all(map(_SHEET_CELL.fullmatch, names))


def sheet_kinds(value: Mapping[str, Json], kind_of: KindOf) -> dict[str, Kind]:
    """The kinds of the cells of a spreadsheet below a first row of names, ``{"A1": "user", "B1": "password", …}``."""
    places = {key: match.groups() for key in value if (match := _SHEET_CELL.fullmatch(key))}
    first = min(int(row) for _, row in places.values())
    kinds = {
        column: kind_of(name)
        for key, (column, row) in places.items()
        if int(row) == first and isinstance(name := value[key], str) and len(name) <= _NAME_CHARS
    }
    return {
        key: kinds.get(column, Kind.HARMLESS) for key, (column, row) in places.items() if int(row) > first
    }


def first_row_kinds(rows: list[Json], kind_of: KindOf) -> dict[str, Kind] | None:
    """The kinds of the columns that the first of a list of objects names: ``[{"0": "user", "1": "password"}, …]``."""
    first = rows[0] if len(rows) > 1 else None
    if not isinstance(first, dict) or len(first) < 2 or not all(map(_COLUMN_KEY.fullmatch, first)):
        return None
    kinds = column_kinds(list(first.values()), kind_of)
    return dict(zip(first, kinds, strict=True)) if kinds else None


def column_kinds(value: Json, kind_of: KindOf) -> list[Kind] | None:
    """The kinds of the columns that a list of names, or of objects with a name, describes; None for other lists."""
    if not isinstance(value, list) or not value or len(value) > _COLUMNS:
        return None
    names = []
    for column in value:
        if isinstance(column, dict):
            given = [inner for key, inner in column.items() if isinstance(inner, str) and role(key) == "name"]
            name = next((inner for inner in given if kind_of(inner)), given[0] if given else None)
        else:
            name = column
        if not isinstance(name, str) or len(name) > _NAME_CHARS:
            return None
        names.append(name)
    kinds = [kind_of(name) for name in names]
    return kinds if any(kinds) else None


def cells(row: Json) -> list[Json] | None:
    """The cells of a row: a list, or an object that holds nothing but one."""
    if isinstance(row, dict) and len(row) <= 2:
        row = next((inner for inner in row.values() if isinstance(inner, list)), None)
    return row if isinstance(row, list) else None


def alternating_kinds(value: list[Json], kind_of: KindOf) -> list[Kind] | None:
    """The kinds of the items of a list of alternating names and values; None for other lists."""
    if len(value) % 2 or len(value) > 2 * _COLUMNS:
        return None
    names, values = value[::2], value[1::2]
    if not all(
        isinstance(name, str) and len(name) <= _NAME_CHARS and _IDENTIFIER.fullmatch(name) for name in names
    ):
        return None
    kinds = [kind_of(str(name)) for name in names]
    if not any(kinds):
        return None
    is_two = len(value) == 2
    return [
        kind if kind and _is_beside(inner, kind_of, is_two=is_two) else Kind.HARMLESS
        for kind, inner in zip(kinds, values, strict=True)
    ]


def _is_beside(value: Json, kind_of: KindOf, *, is_two: bool) -> bool:
    """Whether a text beside a name is the name's value, and no further name."""
    if not isinstance(value, str) or (kind_of(value) and not is_random(value)):
        return False
    if is_two:
        return is_no_name(value)
    if " " in value:
        return not is_prose(value)
    return (
        len(value) >= 6
        and _HEADER_NAME.fullmatch(value) is None
        and not re.fullmatch(r"[A-Za-z_]+\d{0,2}", value)
    )


def may_be_table(lists: int, value: dict[str, Json]) -> bool:
    """Whether one of so many lists in an object may name the columns of another."""
    return lists > 1 or (lists == 1 and not TABLE_HEADS.isdisjoint(value))


def are_columns(value: list[Json], kinds: list[Kind]) -> bool:
    """Whether a list holds a list of cells for each column, and not for each row."""
    lengths = {len(cells) if isinstance(cells, list) else 0 for cells in value}
    return len(value) == len(kinds) and len(lengths) == 1 and lengths.isdisjoint({0, len(kinds)})
