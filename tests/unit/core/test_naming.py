"""A vendor's key and the warehouse's columns for it are recognised as the same, however they are spelled."""

from __future__ import annotations

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from task_history.core.naming import folded, folded_column, is_variant_column, snake_case

KEYS = [
    "userEmail",
    "User Email",
    "e+mail",
    "e-mail",
    "total|sum",
    "name_",
    "2nd",
    "straße",
    "日本",
    "a__b",
    "HTTPStatus",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("added", ["", "__v2", "__v_text", "__v2__v_text"])
def test_a_key_and_its_columns_are_the_same(key: str, added: str) -> None:
    """Its column as dlt names it, the second column of that name, and the one for values that do not fit."""
    column = NamingConvention().normalize_identifier(key)
    assert column == snake_case(key)
    assert folded_column(column + added) == folded_column(key)
    assert is_variant_column(column + added) is bool(added)


def test_other_keys_differ() -> None:
    """Signs that dlt writes as letters are no separators."""
    assert folded_column("e+mail") != folded_column("email")
    assert folded("user_email") == folded("UserEmail") != folded("user_mail")
