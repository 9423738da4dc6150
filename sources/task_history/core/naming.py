"""Names as dlt's naming convention writes them, and forms in which a vendor's key and its columns compare equal.

https://dlthub.com/docs/general-usage/naming-convention
"""

from __future__ import annotations

import re

_LETTERS_FOR_SIGNS = str.maketrans("+-*@|", "x_xal")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]+")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_VARIANT_END = re.compile(r"(?:__v(?:_text|\d+))+$")
"""The end of a variant column's name: another field has the first name, or its values do not fit the first column."""


def snake_case(name: str) -> str:
    """The name as dlt's naming convention ``snake_case`` normalises it, before it is shortened."""
    name = _NOT_IN_NAMES.sub("_", name.strip().translate(_LETTERS_FOR_SIGNS))
    name = re.sub(r"([^_])([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    name = f"_{name}" if re.match("[0-9]", name) else name
    stem = name.rstrip("_")
    return re.sub(r"_+", "_", stem + "x" * (len(name) - len(stem)))


def is_variant_column(name: str) -> bool:
    """Whether it is the name of a variant column, made because another column has the name without its end."""
    return _VARIANT_END.search(name) is not None


def folded(name: str) -> str:
    """The letters and digits of a name, in lower case: the same for ``userEmail``, ``user_email``, ``USER_EMAIL__v2``."""
    return _NOT_ALPHANUMERIC.sub("", _VARIANT_END.sub("", name.lower()))


def folded_column(name: str) -> str:
    """``folded`` of the column's name: the same for a vendor's key and for each column that dlt's naming makes of it."""
    return folded(snake_case(_VARIANT_END.sub("", name)))
