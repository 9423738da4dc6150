"""Statuses as they may be stored: a vendor's word stays as it was sent, and what holds a secret does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..core.models import Json, Table
from ..core.redaction_mark import MARK
from ..redaction.redactor import Redactor

if TYPE_CHECKING:
    from ..core.arrow_types import Values

_COLUMN = "status"
_MAX_CHARS = 64
"""Maximum characters of a status; what is longer is no word of a vendor."""
_MAX_KEPT = 10_000
"""Maximum number of different statuses that are remembered."""


class StatusRedaction:
    """Statuses without secrets, of any table that has a column of them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._stored: dict[str, str] = {}
        self._keys: dict[str, list[str]] = {}

    def kept(self, table: Table, row: Mapping[str, Json]) -> Mapping[str, Json]:
        """The row with the status that may be stored; the very same one where that is what was sent."""
        for key in self._keys_of(table):
            sent = row.get(key)
            if isinstance(sent, str) and (status := self._status(sent)) != sent:
                row = {**row, key: status}
        return row

    def kept_in_columns(self, table: Table, columns: Mapping[str, Values]) -> dict[str, Values]:
        """The column of statuses, if one of them may not be stored as it was sent."""
        changed: dict[str, Values] = {}
        for key in self._keys_of(table):
            column = columns.get(key)
            if column is None:
                continue
            different = set(column if isinstance(column, list) else column.unique().to_pylist())
            if any(self._status(sent) != sent for sent in different if isinstance(sent, str)):
                sents = column if isinstance(column, list) else column.to_pylist()
                changed[key] = [self._status(sent) if isinstance(sent, str) else sent for sent in sents]
        return changed

    def _status(self, sent: str) -> str:
        status = self._stored.get(sent)
        if status is None:
            status = MARK if self._is_secret(sent) else self._redactor.text(sent)[0]
            if len(self._stored) < _MAX_KEPT:
                self._stored[sent] = status
        return status

    def _is_secret(self, sent: str) -> bool:
        """Whether a status is no word of a vendor: long, a key, a card's number, or a secret and its name."""
        if self._redactor.is_word(sent):
            return False
        from ..redaction.judging import is_card_number  # most statuses are words, which need no rules
        from ..redaction.randomness import is_key_material

        if len(sent) > _MAX_CHARS or is_key_material(sent) or is_card_number(sent):
            return True
        name, _, value = sent.partition(" ")
        is_pair = " " not in value and any(map(str.isdigit, value))
        return is_pair and self._redactor.payload({name: value}).count > 0

    def _keys_of(self, table: Table) -> list[str]:
        keys = self._keys.get(table.name)
        if keys is None:
            keys = [column.key for column in table.columns if column.name == _COLUMN]
            self._keys[table.name] = keys
        return keys
