"""Secrets beside their names in objects and lists whose fields do not say which is the name and which the value.

``{"property": "encryption_key", "is": …}``, ``[{"text": "*Password*"}, {"text": …}]`` and
``{"header": "user,password", "row": "bob,…"}``. Since the fields do not tell, a value has to look like a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise

from ..core.models import Json
from ..core.redaction_mark import MARK
from .expressions import expression
from .judging import Judge
from .kinds_of_names import ABOUT, NEVER_VALUES, NO_SECRET_BY_NAME, Kind, squash, words_of
from .names_as_values import KindOf, role
from .sentences import is_strong, strong_word

_FIELDS = 12
"""Maximum fields of an object in which a name stands as a value."""
_NAME_CHARS, _NAME_WORDS = 48, 5
"""Maximum characters and words of a name that stands as a value."""
_VALUE_CHARS = 512
"""Maximum characters of a value that may be a secret."""
_QUESTION_CHARS, _END_CHARS = 300, 3
"""Characters at the start of a question in which a secret is named, and at its end in which the question mark stands."""
_DOCUMENT_CHARS = 20_000
"""Maximum characters of JSON text that is parsed."""
_ROW_CHARS = 4_000
"""Maximum characters of a line of a table that stands as a text."""
_KINDS = (Kind.SECRET, Kind.UNLESS_ORDINARY, Kind.IF_CODE, Kind.UNLESS_WORD)
"""Kinds of names that seldom name anything else."""
_PLAIN = frozenset({"plaintext", "cleartext"})
"""Fields for the readable text of what is encrypted elsewhere."""
_DECORATION = " \t\r\n:*_`#>-–—"
"""Characters around a name that are no part of it, such as those of Markdown."""
_NAME = expression(r"[^\W\d_][\w .#-]{0,47}")
"""The name of a column in a line of names."""
_SIGNS = ",;|\t:"
"""Signs that separate the columns of a line."""


def kind_of_label(text: Json, kind_of: KindOf) -> Kind:
    """The kind of a text that is only the name of a secret, by its last two words: earlier ones may name another."""
    if not isinstance(text, str) or not 3 <= len(text) <= _NAME_CHARS or text[0] == "/":
        return Kind.HARMLESS
    label = text.strip(_DECORATION)
    words = words_of(label)
    if not words or len(words) > _NAME_WORDS or not kind_of(label):
        return Kind.HARMLESS
    kind = kind_of(" ".join(words[-2:]))
    if len(words) > 1 and not kind_of(words[-1]) and kind_of(words[-2]):
        return Kind.HARMLESS  # what is done with a secret: "password_reset"
    return Kind.HARMLESS if kind in NO_SECRET_BY_NAME else kind


def may_hold(key: str) -> bool:
    """Whether a field may hold a secret that another field names: not one that is named as an id, a time, an address."""
    words = words_of(key)
    return not words or (words[-1] not in ABOUT and words[-1] not in NEVER_VALUES)


def own_fields(kind: Kind, value: Json, kind_of: KindOf) -> dict[str, Json] | None:
    """The fields of an object, or of JSON text of one, whose own names say which are secrets and which are not.

    ``kind`` is that of the name of the object. Under one that has other objects as often,
    all fields speak for themselves.
    """
    if isinstance(value, str) and value.lstrip()[:1] == "{" and len(value) <= _DOCUMENT_CHARS:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, dict):
        return None
    if len(value) == 1:
        return (
            value
            if any(kind_of(name) not in NO_SECRET_BY_NAME or not may_hold(name) for name in value)
            else None
        )
    return value if kind in _OFTEN_OTHERS or not all(map(may_hold, value)) else None


def kind_of_inner_name(name: str, outer: Kind, kind_of: KindOf) -> Kind:
    """The kind of a field of an object under the name of a secret of the kind ``outer``."""
    own = kind_of(name)
    if squash(name) in _CODES and outer is not Kind.OWN:
        return own or Kind.IF_CODE
    if not may_hold(name):
        is_named_one = outer is not Kind.UNLESS_NUMBER_OR_ORDINARY and name.lower() in _IDS
        return own or (Kind.IF_JUMBLED if is_named_one else Kind.HARMLESS)
    if own not in NO_SECRET_BY_NAME:
        return own
    return (
        outer
        if outer in (Kind.OWN, Kind.UNLESS_WORD) or role(name) in ("value", "text")
        else Kind.UNLESS_WORDS_OR_NUMBERS
    )


_IDS = frozenset({"id", "hash"})
_CODES = frozenset({"code", "cardcode", "tan"})
_OFTEN_OTHERS = frozenset(
    {
        Kind.UNLESS_ORDINARY,
        Kind.UNLESS_NUMBER_OR_ORDINARY,
        Kind.UNLESS_NUMBER,
        Kind.UNLESS_WORDS,
        Kind.UNLESS_WORDS_OR_NUMBERS,
    }
)


def _is_secret(value: Json) -> bool:
    return isinstance(value, str) and len(value) <= _VALUE_CHARS and " " not in value and is_strong(value)


def secrets_beside_names(value: Mapping[str, Json], kind_of: KindOf) -> dict[str, Json]:
    """The fields of an object that are secrets, or hold some, because another field is the name of one; redacted."""
    if not 2 <= len(value) <= _FIELDS:
        return {}
    held = {
        key: cut
        for key, inner in value.items()
        if may_hold(key) and not kind_of(key) and (cut := _cut(inner)) is not inner
    }
    if not held:
        return {}
    plain = {key: cut for key, cut in held.items() if squash(key) in _PLAIN}
    labels = [name for key, name in value.items() if key not in held and _may_name(key, kind_of)]
    return held if any(kind_of_label(name, kind_of) in _KINDS for name in labels) else plain


def _may_name(key: str, kind_of: KindOf) -> bool:
    """Whether a field may hold the name of a secret: not one that tells about a secret, such as ``token_type``."""
    return not kind_of(key) and not kind_of(" ".join(words_of(key)[:-1]))


def _cut(value: Json) -> Json:
    if isinstance(value, list) and len(value) <= _FIELDS and any(map(_is_secret, value)):
        return [MARK if _is_secret(inner) else inner for inner in value]
    return MARK if _is_secret(value) else value


def _text_of_item(item: Json) -> tuple[int | str, str] | None:
    """Where in an item of a list its text stands, and the text: of a message its text, of a pair the second part."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[1], str):
        return 1, item[1]
    if isinstance(item, dict) and len(item) <= _FIELDS:
        texts = [
            (key, inner) for key, inner in item.items() if isinstance(inner, str) and key in _TEXT_FIELDS
        ]
        return texts[0] if len(texts) == 1 else None
    return None


_TEXT_FIELDS = frozenset(
    {"text", "content", "value", "body", "label", "string", "t", "#text", "_", "plain_text", "msg", "message"}
)


def secrets_behind_names(items: list[Json], kind_of: KindOf) -> Iterator[tuple[int, int | str, str]]:
    """The items of a list behind the name of a secret, or the question for one: index, place in the item, new text."""
    texts = [_text_of_item(item) for item in items]
    for index, (before, value) in enumerate(pairwise(texts), 1):
        if before is None or value is None or before[0] != value[0]:
            continue
        place, text = value
        if _is_secret(text):
            if kind_of_label(before[1], kind_of):
                yield index, place, MARK
        elif (
            "?" in before[1][-_END_CHARS:]
            and _names_secret(before[1], kind_of)
            and (span := strong_word(text, 0, len(text)))
        ):
            yield index, place, f"{text[: span[0]]}{MARK}{text[span[1] :]}"


def _names_secret(question: str, kind_of: KindOf) -> bool:
    words = words_of(question[:_QUESTION_CHARS])
    kinds = [kind_of(word) for word in (*words, *map(" ".join, pairwise(words)))]
    return any(kind not in NO_SECRET_BY_NAME for kind in kinds)


def delimited_rows(value: Mapping[str, Json], kind_of: KindOf, is_secret: Judge) -> dict[str, Json]:
    """The fields of an object that are rows of a table as text, redacted, where another text names the columns."""
    new: dict[str, Json] = {}
    texts = {
        key: inner for key, inner in value.items() if isinstance(inner, str) and len(inner) <= _ROW_CHARS
    }
    for head, names in texts.items() if len(value) > 1 else ():
        for sign in _SIGNS if "\n" not in names else "":
            if sign not in names:
                continue
            columns = [name.strip(' "') for name in names.split(sign)]
            if len(columns) < 2 or not all(map(_NAME.fullmatch, columns)):
                continue
            kinds = [kind_of(name) for name in columns]
            if not any(kinds):
                continue
            for key, rows in value.items():
                if (
                    key != head
                    and may_hold(key)
                    and (cut := _cut_rows(rows, sign, kinds, is_secret)) is not rows
                ):
                    new[key] = cut
    return new


def _cut_rows(rows: Json, sign: str, kinds: list[Kind], is_secret: Judge) -> Json:
    if isinstance(rows, list):
        cut = [_cut_rows(row, sign, kinds, is_secret) if isinstance(row, str) else row for row in rows]
        return rows if all(a is b for a, b in zip(cut, rows, strict=True)) else cut
    if not isinstance(rows, str) or len(rows) > _ROW_CHARS:
        return rows
    lines = [line.split(sign) for line in rows.split("\n")]
    changed = False
    for cells in lines:
        if len(cells) != len(kinds):
            continue
        for index, (kind, cell) in enumerate(zip(kinds, cells, strict=True)):
            if kind and cell.strip() and MARK not in cell and is_secret(kind, cell.strip()):
                cells[index] = MARK
                changed = True
    return "\n".join(map(sign.join, lines)) if changed else rows


_BINDING = expression(
    r"(?i)[\"`\[]?(?P<name>[A-Za-z_]\w{0,63})[\"`\]]?\s{0,4}(?:=|<>|!=|\blike\b)\s{0,4}(?:\?|\$[0-9]{1,3}|%s|@p[0-9]{1,3})"
)
_INSERTED = expression(
    r"(?i)insert\s{1,9}into\s{1,9}[\w.\"`\[\]]{1,200}\s{0,9}\((?P<names>[\w\s,.\"`\[\]]{1,4000})\)\s{0,9}values?\s{0,9}\("
    r"[?$%s@p0-9,\s]{1,2000}\)"
)


def bound_values(value: Mapping[str, Json], kind_of: KindOf, is_secret: Judge) -> dict[str, Json]:
    """The lists of an object, redacted, that hold the values of an SQL statement in it: ``password = ?``."""
    lists = {key: inner for key, inner in value.items() if isinstance(inner, list) and inner}
    texts = [inner for inner in value.values() if isinstance(inner, str)] if lists else []
    statements = list(filter(_MAY_BIND.search, texts))
    new: dict[str, Json] = {}
    for statement in statements:
        inserted = _INSERTED.search(statement)
        names = (
            [name.strip(' \t\r\n"`[]') for name in inserted["names"].split(",")]
            if inserted
            else [match["name"] for match in _BINDING.finditer(statement)]
        )
        kinds = [kind_of(name) for name in names]
        for key, cells in lists.items():
            if any(kinds) and len(cells) == len(kinds) and not any(isinstance(c, dict | list) for c in cells):
                cut = [
                    MARK if kind and cell and is_secret(kind, cell) else cell
                    for kind, cell in zip(kinds, cells, strict=True)
                ]
                if cut != cells:
                    new[key] = cut
    return new


_MAY_BIND = expression(r"[=(,]\s{0,4}(?:\?|\$[0-9]|%s|@p[0-9])")
