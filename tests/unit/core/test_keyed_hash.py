"""Keyed hashes: stable, equal for equal texts, different for another key, and never hashed twice."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from task_history.core.errors import ConfigurationError
from task_history.core.keyed_hash import KeyedHash, is_hash, keyed_hash

KEY = "0123456789abcdef0123456789abcdef"


def test_hash_is_what_any_tool_computes_from_key_and_text() -> None:
    """Anybody who has the key can compute the hash of an id, to join with tables of their own."""
    digest = hmac.new(KEY.encode(), "usér-1".encode(), hashlib.sha256).hexdigest()
    assert KeyedHash(KEY).of("usér-1") == f"hmac:{digest[:32]}"


def test_hash_of_a_hash_is_itself() -> None:
    """A value that is read back from the warehouse and written again stays as it was."""
    hashed = KeyedHash(KEY).of("user-1")
    assert is_hash(hashed)
    assert KeyedHash("another key of 16 characters").of(hashed) == hashed


def test_another_key_gives_other_hashes_and_another_key_id() -> None:
    """Hashes of two keys do not match, and the ids of the keys tell that."""
    first, second = KeyedHash(KEY), KeyedHash(KEY[::-1])
    assert first.of("user-1") != second.of("user-1")
    assert first.key_id != second.key_id
    assert first.key_id == KeyedHash(KEY).key_id


@pytest.mark.parametrize("key", [None, "", "fifteen letters"])
def test_missing_or_short_key_is_refused_with_the_way_to_make_one(key: str | None) -> None:
    """Without a key nothing is hashed; the error says how one is made, and does not show what was given."""
    with pytest.raises(ConfigurationError, match=r"secrets\.token_hex") as raised:
        keyed_hash(key, needed_by="hash_columns")
    assert not key or key not in str(raised.value)
