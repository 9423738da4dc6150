"""Reads pages of a listing into columns by Arrow; a page in which anything is odd is read row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, chain, groupby, pairwise
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ..core.arrow_types import ARROW, has_nul, instants
from ..core.json_reading import around_strings, parse
from ..core.models import Json, Page, Row, Table, Window
from ..core.row_keys import fields_beside_own, key_beside_own
from ..systems.protocol import PageForm
from .listed_rows import PageRows, Rows

_JSON = {**ARROW, "timestamp": pa.string()}
_SCALARS = {pa.bool_(), pa.int64(), pa.string()}
_BLOCK_BYTES = 1 << 18
_PAGES_PER_READ = 25
_MAX_CELLS_PER_READ = 80_000_000
"""Limit for rows × keys of the pages of one read: where every key differs, Arrow makes a table of so many cells."""
_MAX_FIELDS = 500
"""Rows with more fields are read one by one."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of pages that were read at once."""

    table: pa.Table
    """Texts, numbers and truths by the vendor's keys, exactly as they were sent."""
    starts: pa.Array
    """When each began, in microseconds, UTC."""
    ids: list[str]
    others: Mapping[str, list[Json]]
    """Values by key that a column would not keep exactly: lists, objects, numbers with a fraction."""


@dataclass(frozen=True, slots=True)
class ColumnarRows:
    """Rows in columns: those of a group from ``first`` up to ``end``. Each has an id and an instant of its start."""

    is_columnar: ClassVar[bool] = True
    group: _Group
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def table(self) -> pa.Table:
        """Texts, numbers and truths by the vendor's keys, exactly as they were sent."""
        return self.group.table.slice(self.first, len(self))

    @property
    def starts(self) -> pa.Array:
        """When each began, in microseconds, UTC."""
        return self.group.starts.slice(self.first, len(self))

    @property
    def others(self) -> dict[str, list[Json]]:
        """Values by key that a column would not keep exactly: lists, objects, numbers with a fraction."""
        return {name: values[self.first : self.end] for name, values in self.group.others.items()}

    @property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return self.group.ids[self.first : self.end]

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last of them began; None where there are none."""
        ends = pc.min_max(self.starts).as_py()
        return (ends["min"].astimezone(UTC), ends["max"].astimezone(UTC)) if len(self) else None

    @property
    def is_sorted(self) -> bool:
        """Whether none began before one that stands before it."""
        starts = self.starts
        return not pc.any(pc.less(starts[1:], starts[:-1])).as_py()

    def rows(self) -> list[Row]:
        """The rows as the vendor sent them."""
        rows: list[Row] = self.table.to_pylist()
        for name, values in self.others.items():
            for row, value in zip(rows, values, strict=True):
                row[name] = value
        return rows

    def within(self, window: Window) -> ColumnarRows:
        """Those that began in the window."""
        starts = self.starts
        low, high = (pa.scalar(at, starts.type) for at in (window.start, window.end))
        inside = pc.and_(pc.greater_equal(starts, low), pc.less(starts, high))
        if pc.all(inside).as_py():
            return self
        return self._taken(pc.indices_nonzero(inside))

    def followed_by(self, part: PageRows) -> ColumnarRows | None:
        """Both as one part; None where they do not stand side by side in one group."""
        if isinstance(part, ColumnarRows) and part.group is self.group and part.first == self.end:
            return ColumnarRows(self.group, self.first, part.end)
        return None

    def values(self, key: str) -> list[Json]:
        """The different texts under the key."""
        if key in self.group.others:
            return list(dict.fromkeys(value for value in self.others[key] if isinstance(value, str)))
        if key not in self.table.column_names:
            return []
        return [value for value in pc.unique(self.table[key]).to_pylist() if isinstance(value, str)]

    def without(self, key: str, values: Sequence[str]) -> ColumnarRows:
        """Those that have none of these texts under the key."""
        if not values or key not in self.table.column_names:
            return self
        is_kept = pc.invert(pc.is_in(self.table[key], value_set=pa.array(values, pa.string())))
        return self._taken(pc.indices_nonzero(is_kept))

    def _taken(self, positions: pa.Array) -> ColumnarRows:
        group = _Group(
            self.table.take(positions),
            self.starts.take(positions),
            [self.group.ids[self.first + at] for at in positions.to_pylist()],
            {name: [values[at] for at in positions.to_pylist()] for name, values in self.others.items()},
        )
        return ColumnarRows(group, 0, len(positions))

    def count(self, key: str, values: Sequence[str]) -> int:
        """How many have one of these texts under the key."""
        if key not in self.table.column_names:
            return 0
        return int(pc.sum(pc.is_in(self.table[key], value_set=pa.array(values, pa.string()))).as_py() or 0)

    def by_day(self, window: Window) -> Counter[datetime]:
        """How many began on each day of the window, UTC, by its midnight."""
        days = pc.value_counts(pc.floor_temporal(self.within(window).starts, unit="day"))
        return Counter({one["values"].astimezone(UTC): one["counts"] for one in days.to_pylist()})


def merged(parts: Iterable[ColumnarRows]) -> list[ColumnarRows]:
    """The same rows, in order; neighbours with the same columns become one part."""
    parts_of_rows: list[ColumnarRows] = []
    for _, alike in groupby(parts, key=lambda part: (part.table.schema, part.group.others.keys())):
        several = list(alike)
        group = _Group(
            pa.concat_tables([part.table for part in several]),
            pa.concat_arrays([part.starts for part in several]),
            list(chain.from_iterable(part.ids for part in several)),
            {
                name: [value for part in several for value in part.others[name]]
                for name in several[0].group.others
            },
        )
        parts_of_rows.append(ColumnarRows(group, 0, len(group.starts)))
    return parts_of_rows


class ColumnReader:
    """Reads pages of one list by Arrow. ``form`` says where rows stand in them, ``started`` which column orders them."""

    def __init__(self, form: PageForm, table: Table, *, started: str) -> None:
        self.form = form
        self._table = table
        keys = {column.name: column.source for column in table.columns if column.source}
        self.documented = {column.source: _JSON[column.type] for column in table.columns if column.source}
        self.started = str(keys[started])
        self.identity = str(keys[table.primary_key[0]])
        self._texts: set[str] = set()
        """Undocumented fields that Arrow would read as instants; they stay text."""
        self._rebuild_schema()

    def pages(self, bodies: Sequence[bytes], *, bounds: Window | None = None) -> list[Page]:
        """The pages. Raises ValueError or ArrowException where anything in them is odd, or began out of bounds."""
        pages = self._read(bodies)
        lists, totals = pages[self.form.rows], pages[self.form.total].to_pylist()
        rows = pa.Table.from_struct_array(pc.list_flatten(lists))
        if not self._table.own_keys.isdisjoint(rows.column_names):
            sent = frozenset(rows.column_names)
            rows = rows.rename_columns(
                [key_beside_own(self._table, name, sent) for name in rows.column_names]
            )
        others = [name for name in rows.column_names if not self._is_exact(name, rows[name])]
        rows.validate(full=True)
        identities = rows[self.identity]
        starts, ended = (
            instants(rows[name].combine_chunks()) for name in (self.started, self.form.open_rule.end)
        )
        lengths = pc.list_value_length(lists).to_pylist()
        if (
            None in totals
            or None in lengths
            or len(totals) != len(bodies)
            or identities.null_count
            or pc.any(pc.equal(identities, "")).as_py()
            or has_nul(identities)
            or starts is None
            or ended is None
            or starts.null_count
        ):
            raise ValueError("a row without id or start, with an odd end, or a page without rows or count")
        if bounds is not None and len(starts):
            span = pc.min_max(starts).as_py()
            if not bounds.start <= span["min"] <= span["max"] < bounds.end:
                raise ValueError("a row that began outside of the window")
        group = _Group(
            rows.drop_columns(others), starts, identities.to_pylist(), self._parsed(bodies, others)
        )
        ends = list(accumulate(lengths, initial=0))
        return [
            Page(Rows([ColumnarRows(group, *position)]), total, None, body)
            for position, total, body in zip(pairwise(ends), totals, bodies, strict=True)
        ]

    def _is_exact(self, name: str, column: pa.ChunkedArray) -> bool:
        """Whether the column keeps each value as it was sent; a number with a fraction would lose its spelling."""
        return name in self.documented or column.null_count == len(column) or column.type in _SCALARS

    def _parsed(self, bodies: Sequence[bytes], names: Sequence[str]) -> dict[str, list[Json]]:
        rows: list[Row] = (
            [fields_beside_own(self._table, row) for body in bodies for row in parse(body)[self.form.rows]]
            if names
            else []
        )
        return {name: [row.get(name) for row in rows] for name in names}

    def _read(self, bodies: Sequence[bytes]) -> pa.Table:
        """The pages, a row each. Raises ValueError, ArrowException."""
        joined = b"\n".join(
            body if b"\n" not in body and b"\r" not in body else body.translate(_NO_BREAKS) for body in bodies
        )
        block = max(_BLOCK_BYTES, max(map(len, bodies)) + 2)
        while True:
            pages = pj.read_json(
                pa.py_buffer(joined),
                read_options=pj.ReadOptions(use_threads=False, block_size=block),
                parse_options=pj.ParseOptions(
                    explicit_schema=self._schema, unexpected_field_behavior="infer"
                ),
            )
            fields = pages.schema.field(self.form.rows).type.value_type
            if fields.num_fields > _MAX_FIELDS:
                raise ValueError("too many fields")
            if fields.num_fields == self._known:
                return pages
            texts = {one.name for one in fields if pa.types.is_temporal(one.type)}
            if not texts:
                return pages
            self._texts |= texts
            self._rebuild_schema()

    def _rebuild_schema(self) -> None:
        fields = {**self.documented, **dict.fromkeys(sorted(self._texts), pa.string())}
        self._known = len(fields)
        rows = pa.list_(pa.struct(list(fields.items())))
        self._schema = pa.schema([(self.form.rows, rows), (self.form.total, pa.int64())])


class PageReader:
    """Reads the pages of one list in order, several in one call of Arrow, while the next are fetched.

    ``one_by_one`` reads a page row by row; it is used where anything in a page is odd: a value of another type than its
    column's, a row without id or start, another form. It gives None for a page that cannot be read.
    """

    def __init__(
        self,
        columns: ColumnReader,
        one_by_one: Callable[[bytes], Page | None],
        *,
        size: int,
        bounds: Window | None = None,
    ) -> None:
        self._columns = columns
        self._one_by_one = one_by_one
        self._size = size
        self._bounds = bounds
        self._waiting: list[bytes] = []
        self._keys = 0
        """Number of keys in the pages that wait."""
        self.pages: list[Page | None] = []

    def add(self, body: bytes) -> None:
        """Takes the next page."""
        keys = body.count(b":")  # never fewer than there are keys, and counted four times as fast
        if self._cells(1, keys) > _MAX_CELLS_PER_READ or _has_broken_strings(body):
            self.finish()
            self.pages.append(self._one_by_one(body))
            return
        if self._cells(len(self._waiting) + 1, self._keys + keys) > _MAX_CELLS_PER_READ:
            self.finish()
        self._waiting.append(body)
        self._keys += keys
        if len(self._waiting) >= _PAGES_PER_READ:
            self.finish()

    def _cells(self, pages: int, keys: int) -> int:
        return pages * self._size * keys

    def finish(self) -> None:
        """Reads the pages that wait."""
        bodies, self._waiting, self._keys = self._waiting, [], 0
        try:
            self.pages += self._columns.pages(bodies, bounds=self._bounds) if bodies else []
        except (ValueError, pa.ArrowException):
            self.pages += map(self._one_by_one, bodies)


_NO_BREAKS = bytes.maketrans(b"\r\n", b"  ")
"""JSON has no line breaks within strings."""


def _has_broken_strings(body: bytes) -> bool:
    """Whether a string may contain a line break, which is invalid JSON that Arrow would not refuse."""
    if b"\n" not in body and b"\r" not in body:
        return False
    return any(b"\n" in text or b"\r" in text for text in around_strings(body)[1::2])
