"""Keyed hashes, which stand in the warehouse in place of values such as a person's id."""

from __future__ import annotations

import hashlib
import hmac
import re

from .errors import ConfigurationError

PREFIX = "hmac:"
"""The beginning of every hash, so that one that is read back is not hashed again."""
_HASH = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")
_MIN_KEY_CHARS = 16
HOW_TO_MAKE = (
    "make one with `python -c 'import secrets; print(secrets.token_hex(32))'`, keep it as long as the warehouse, and set "
    "it in .dlt/secrets.toml as hash_key under every [sources.task_history.<system>] whose hashes shall be equal"
)


class KeyedHash:
    """Hashes texts by HMAC-SHA256 with one key: the same text gets the same hash in every table, system and account.

    https://www.rfc-editor.org/rfc/rfc2104
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self.key_id = self._digest(b"task-history: which key is this")[:8]
        """Tells two keys apart; the key cannot be found from it."""

    def of(self, text: str) -> str:
        """``hmac:`` and the first 32 hexadecimal digits of the HMAC of the UTF-8 text; a hash stays what it is."""
        if is_hash(text):
            return text
        return PREFIX + self._digest(text.encode("utf-8", "backslashreplace"))[:32]

    def _digest(self, data: bytes) -> str:
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()


def is_hash(text: str) -> bool:
    """Whether the text has the form of a hash."""
    return _HASH.fullmatch(text) is not None


def keyed_hash(key: str | None, *, needed_by: str) -> KeyedHash:
    """The hash with the key of the setting ``hash_key``.

    Raises ConfigurationError without a key, or with one that could be guessed; ``needed_by`` says what it is for.
    """
    if not key:
        raise ConfigurationError(f"hash_key is missing, which {needed_by} needs: {HOW_TO_MAKE}.")
    if len(key) < _MIN_KEY_CHARS:
        raise ConfigurationError(
            f"hash_key has fewer than {_MIN_KEY_CHARS} characters and could be guessed: {HOW_TO_MAKE}."
        )
    return KeyedHash(key)
