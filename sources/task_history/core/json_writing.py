"""Values → JSON text that is exact and always valid UTF-8."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

import orjson
import simplejson

from .models import Json

_SURROGATE = re.compile("[\ud800-\udfff]")


def exact_json(value: Json) -> str:
    """The value as JSON text that parses to the same value and can always be encoded in UTF-8."""
    try:
        return orjson.dumps(value, default=_exact).decode()
    except (TypeError, RecursionError):
        return "".join(_json_parts(value))


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    return str(value)


def _json_parts(value: Json) -> Iterator[str]:
    """Writes the values that orjson refuses: any depth, any integer, lone surrogates."""
    pending: list[Iterator[tuple[str, Json]]] = [iter([("", value)])]
    ends = [""]
    while pending:
        before, item = next(pending[-1], (None, None))
        if before is None:
            pending.pop()
            yield ends.pop()
        elif isinstance(item, dict):
            yield before + "{"
            pending.append(
                (f"{',' * (index > 0)}{_json_scalar(str(name))}:", inner)
                for index, (name, inner) in enumerate(item.items())
            )
            ends.append("}")
        elif isinstance(item, list | tuple):
            yield before + "["
            pending.append(("," * (index > 0), inner) for index, inner in enumerate(item))
            ends.append("]")
        else:
            yield before + _json_scalar(item)


def _json_scalar(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(Decimal(value))  # str() of an int refuses more than 4,300 digits
    try:
        return orjson.dumps(value, default=_exact).decode()
    except TypeError:
        text = simplejson.dumps(str(value), ensure_ascii=False)
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def json_bytes(value: Json) -> int:
    """The size of the value as exact JSON text, in bytes of UTF-8."""
    try:
        return len(orjson.dumps(value, default=_exact))
    except (TypeError, RecursionError):
        return len(exact_json(value).encode())


def unused_name(name: str, names: Iterable[str]) -> str:
    number = 2
    new = name
    while new in names:
        new, number = f"{name}#{number}", number + 1
    return new
