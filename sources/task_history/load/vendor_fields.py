"""Which column holds which undocumented field of the vendor's: allotted once, kept in the warehouse, the same for ever.

A field gets the warehouse's name for its key; where a column of that name holds something else, ``__v2`` is added. All
lanes and machines read the table ``vendor_fields``. Where two of them allot one column at once, the first keeps it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Protocol

from ..core.columns import LOADED_AT
from ..core.json_writing import exact_json
from ..core.models import OTHER_FIELDS, VARIANT, Row, Table
from ..core.row_keys import vendors_key
from ..warehouse.common_tables import VENDOR_FIELDS
from ..warehouse.dataset import utc_or_epoch
from . import rows_without_package
from .column_values import encodable

if TYPE_CHECKING:
    from .pipeline import Loader

_NOW = ("allotted_at", LOADED_AT.name)
"""The columns of ``vendor_fields`` that get the instant of writing, by the warehouse's clock."""
ANY = "any"
"""What a column of text of earlier versions holds: texts as they are, and any other value as JSON."""


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """The column of a field, and what it holds: text, json, any, or one of dlt's other types."""

    name: str
    holds: str

    @property
    def type(self) -> str:
        """dlt's type of the column."""
        return "text" if self.holds in ("json", ANY) else self.holds


class FieldStore(Protocol):
    """The table ``vendor_fields``."""

    def read(self) -> Iterable[Row]:
        """All rows; none where the table does not exist yet."""
        ...

    def write(self, rows: list[Row]) -> bool:
        """Writes rows at once; False where the table does not exist yet."""
        ...


class VendorFields:
    """The columns of undocumented fields, by table and key. Without a store they live as long as this object."""

    def __init__(self, store: FieldStore | None = None, *, run_id: str | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self._by_table: dict[str, dict[str, FieldColumn]] | None = None
        self._unwritten: list[Row] = []
        self._given_out = 0

    def of(self, table: str) -> Mapping[str, FieldColumn]:
        """The columns of a table by the form of the key that ``field_name`` makes."""
        if self._by_table is None:
            self._by_table = _resolved([*(self._store.read() if self._store else ()), *self._unwritten])
        return self._by_table.get(table, {})

    def keep(self, table: str, columns: Mapping[str, FieldColumn]) -> None:
        """Keeps columns of further fields; ``of`` lacks those whose column another run was first to take."""
        now = datetime.now(UTC)
        rows = [
            {
                "table_name": table,
                "field": field,
                "column_name": column.name,
                "holds": column.holds,
                "allotted_at": now,
                "run_id": self._run_id,
            }
            for field, column in sorted(columns.items())
        ]
        if self._store is None or not self._store.write(rows):
            self._unwritten += rows
        self._by_table = None

    def unwritten(self) -> list[Row]:
        """The rows that could not be written at once, for the next commit; each is given out once."""
        rows = self._unwritten[self._given_out :]
        self._given_out = len(self._unwritten)
        return rows


def _resolved(rows: Iterable[Row]) -> dict[str, dict[str, FieldColumn]]:
    """The column of each field: the first allotment of a field whose column no field had before."""
    by_table: dict[str, dict[str, FieldColumn]] = {}
    taken: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: (row["allotted_at"], row["field"])):
        fields = by_table.setdefault(row["table_name"], {})
        place = (row["table_name"], row["column_name"])
        if row["field"] not in fields and place not in taken:
            fields[row["field"]] = FieldColumn(row["column_name"], row["holds"])
            taken.add(place)
    return by_table


def field_name(table: Table, key: str) -> str:
    """The vendor's key of a row as ``vendor_fields.field`` has it: as JSON writes it, without the quotes."""
    return exact_json(vendors_key(table, key))[1:-1]


def column_name(normalized: str) -> str:
    """The name that a field gets where no other column has it, by the warehouse's name for its key."""
    name = encodable(normalized) or "unnamed"
    return name.lstrip("_") if name.startswith("_dlt_") else name


def free_name(table: Table, key: str, name: str, *, taken: Collection[str], stored: Collection[str]) -> str:
    """The column for a field of that key: its name, or else the first of ``__v2``, ``__v3`` … that is free.

    ``taken`` are the columns of other fields, ``stored`` all that the warehouse has. Of two columns that an earlier
    version made of two spellings, the one whose key is spelled like the column has the name itself.
    """
    documented = {column.name for column in table.columns}
    is_second = name != key and name not in documented and {name, second(name)} <= set(stored)
    names = _numbered(name) if is_second and name not in taken else chain((name,), _numbered(name))
    return next(
        free
        for free in names
        if free not in taken
        and free not in documented
        and free != OTHER_FIELDS
        and not free.endswith(VARIANT)
    )


def second(name: str) -> str:
    """The name of the second column for a name."""
    return f"{name}__v2"  # dlt's snake_case would rewrite __2, but leaves __v2


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}__v{number}" for number in count(2))


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
        backend, name = self._loader.backend, self._loader.qualified(VENDOR_FIELDS.name)
        self._loader.retried(
            lambda client: rows_without_package.insert(
                client, name, VENDOR_FIELDS, rows, now=backend.begin_commit(client), dated=_NOW
            ),
            is_repeatable=False,
        )
        return True
