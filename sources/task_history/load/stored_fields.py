"""The table ``vendor_fields`` as a loader reads and writes it, apart from load packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.columns import LOADED_AT
from ..core.models import Row
from ..warehouse.dataset import utc_or_epoch
from ..warehouse.tables import VENDOR_FIELDS
from . import direct_rows
from .errors import warehouse_errors

if TYPE_CHECKING:
    from .pipeline import Loader

_NOW = ("allotted_at", LOADED_AT.name)
"""The columns that get the instant of writing, by the warehouse's clock."""


class StoredFields:
    """Reads and writes ``vendor_fields`` at once, so that other runs see an allotment before its values are written."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    @property
    def _is_there(self) -> bool:
        return (VENDOR_FIELDS.name, "field") in self._loader.stored_columns()

    def read(self) -> list[Row]:
        """All rows; none where the table does not exist yet. Raises WarehouseUnavailable."""
        if not self._is_there:
            return []
        names, rows = self._loader.query(
            "SELECT table_name, field, column_name, holds, allotted_at "
            f"FROM {self._loader.qualified(VENDOR_FIELDS.name)} AS f"
        )
        return [{**dict(zip(names, row, strict=True)), "allotted_at": utc_or_epoch(row[-1])} for row in rows]

    def write(self, rows: list[Row]) -> bool:
        """Writes the rows; False where the table does not exist yet. Raises WarehouseUnavailable."""
        if not self._is_there:
            return False
        with warehouse_errors(), self._loader.opened() as client:
            now = self._loader.backend.begin_commit(client)
            name = self._loader.qualified(VENDOR_FIELDS.name)
            direct_rows.insert(client, name, VENDOR_FIELDS, rows, now=now, dated=_NOW)
        return True
