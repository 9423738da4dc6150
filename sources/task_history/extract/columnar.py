"""Pages of a list → columns, all at once and outside of Python; nothing odd may be in them.

Odd is a value of another type than its column's, a page of another form than the others, a row that comes twice,
or not in order. Then there is no frame, and the same pages are read row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ..core.arrow import ARROW, instants
from ..core.json_reading import around_strings, parse
from ..core.models import Json, Row, Table, Window
from ..systems.protocol import PageForm

_JSON = {**ARROW, "timestamp": pa.string()}
_SCALARS = {pa.bool_(), pa.int64(), pa.string()}
_BLOCK = 1 << 18
_AT_ONCE = 25
"""Pages."""
_CELLS_AT_ONCE = 80_000_000
"""Rows of these pages × keys in them: as large a table Arrow makes where every key is another one."""
_MOST_FIELDS = 500
"""So many fields rows have at most; with more they are no plain pages."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Executions in columns by the vendor's keys, oldest first, each once."""

    table: pa.Table
    """Texts, numbers and truths, exactly as they were sent."""
    starts: pa.Array
    """When each began, in microseconds, UTC."""
    identity: str
    """The key of their ids."""
    others: Mapping[str, list[Json]] = field(default_factory=dict)
    """Fields of lists and objects, and of numbers of which a column does not say how they were written."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def rows(self) -> list[Row]:
        """The same row by row."""
        rows: list[Row] = self.table.to_pylist()
        for name, values in self.others.items():
            for row, value in zip(rows, values, strict=True):
                row[name] = value
        return rows

    def within(self, window: Window) -> Frame:
        """Those that began in the window."""
        low, high = (pa.scalar(at, self.starts.type) for at in (window.start, window.end))
        first, last = (int(pc.sum(pc.less(self.starts, at)).as_py() or 0) for at in (low, high))
        if (first, last) == (0, len(self)):
            return self
        others = {name: values[first:last] for name, values in self.others.items()}
        part = slice(first, last - first)
        return Frame(
            self.table.slice(part.start, part.stop),
            self.starts.slice(part.start, part.stop),
            self.identity,
            others,
        )

    def values(self, key: str) -> set[Json]:
        """What stands under the key, in any row."""
        if key in self.others:
            return {value for value in self.others[key] if isinstance(value, str)}
        return set(pc.unique(self.table[key]).to_pylist()) if key in self.table.column_names else set()

    def holds(self, identities: Sequence[str]) -> set[str]:
        """Which of these ids are among them."""
        ids = self.table[self.identity]
        return set(ids.filter(pc.is_in(ids, value_set=pa.array(identities, pa.string()))).to_pylist())

    def count(self, key: str, values: Sequence[str]) -> int:
        """How many have one of these texts under the key."""
        if key not in self.table.column_names:
            return 0
        return int(pc.sum(pc.is_in(self.table[key], value_set=pa.array(values, pa.string()))).as_py() or 0)

    def by_day(self) -> Counter[datetime]:
        """How many began on each day, UTC, by its midnight."""
        days = pc.value_counts(pc.floor_temporal(self.starts, unit="day"))
        return Counter({one["values"].astimezone(UTC): one["counts"] for one in days.to_pylist()})

    @property
    def span(self) -> tuple[datetime, datetime]:
        """When the first and the last began. Raises IndexError when there is none."""
        return self.starts[0].as_py().astimezone(UTC), self.starts[-1].as_py().astimezone(UTC)


class Framer:
    """Reads pages of one list. ``form`` says where rows stand in them, ``started`` which column orders them."""

    def __init__(self, form: PageForm, table: Table, *, started: str) -> None:
        self.form = form
        keys = {column.name: column.source for column in table.columns if column.source}
        self.declared = {column.source: _JSON[column.type] for column in table.columns if column.source}
        self.started = str(keys[started])
        self.identity = str(keys[table.primary_key[0]])
        self._texts: set[str] = set()
        """Fields that no column is declared for and that look like instants: what was sent is what is kept."""
        self._know()

    def read(self, bodies: Sequence[bytes]) -> pa.Table:
        """The pages, a row each. Raises ValueError, ArrowException."""
        joined = b"\n".join(
            body if b"\n" not in body and b"\r" not in body else body.translate(_NO_BREAKS) for body in bodies
        )
        block = max(_BLOCK, max(map(len, bodies)) + 2)
        while True:
            pages = pj.read_json(
                pa.py_buffer(joined),
                read_options=pj.ReadOptions(use_threads=False, block_size=block),
                parse_options=pj.ParseOptions(
                    explicit_schema=self._schema, unexpected_field_behavior="infer"
                ),
            )
            fields = pages.schema.field(self.form.rows).type.value_type
            if fields.num_fields > _MOST_FIELDS:
                raise ValueError("too many fields")
            if fields.num_fields == self._known:
                return pages
            texts = {one.name for one in fields if pa.types.is_temporal(one.type)}
            if not texts:
                return pages
            self._texts |= texts
            self._know()

    def _know(self) -> None:
        fields = {**self.declared, **dict.fromkeys(sorted(self._texts), pa.string())}
        self._known = len(fields)
        rows = pa.list_(pa.struct(list(fields.items())))
        self._schema = pa.schema([(self.form.rows, rows), (self.form.total, pa.int64())])


class Framing:
    """The pages of one window, in order, while they come: a few are read at once, as the next are fetched.

    ``total`` is how many rows they have, by the count that each of them has to give; ``size`` is how many the
    full ones have.
    """

    def __init__(self, framer: Framer, *, total: int, size: int) -> None:
        self._framer = framer
        self._total = total
        self._size = size
        self.bodies: list[bytes] = []
        self._pages: list[pa.Table] = []
        self._read = 0
        self._keys = 0
        """In the pages that are not read yet."""
        self._is_odd = False

    def add(self, body: bytes) -> None:
        """The next page."""
        keys = body.count(b'":') + body.count(b'" :')
        if self._cells(1, keys) > _CELLS_AT_ONCE or _has_broken_strings(body):
            self._is_odd = True
        elif self._cells(len(self.bodies) - self._read + 1, self._keys + keys) > _CELLS_AT_ONCE:
            self._take_in()
        self.bodies.append(body)
        self._keys += keys
        if len(self.bodies) - self._read >= _AT_ONCE:
            self._take_in()

    def _cells(self, pages: int, keys: int) -> int:
        return pages * self._size * keys

    def frame(self) -> Frame | None:
        """All rows; None unless they are plainly all, once, in order, and nothing else is odd."""
        self._take_in()
        if self._is_odd or not self._pages:
            return None
        try:
            return self._framed()
        except (ValueError, pa.ArrowException):
            return None

    def _take_in(self) -> None:
        begun, self._read, self._keys = self._read, len(self.bodies), 0
        if self._is_odd or begun == self._read:
            return
        try:
            self._pages.append(self._framer.read(self.bodies[begun:]))
        except (ValueError, pa.ArrowException):
            self._is_odd = True

    def _framed(self) -> Frame | None:
        framer, form = self._framer, self._framer.form
        if not self._is_whole():
            return None
        # Each of these calls waits for its turn in Python: few of them, over much.
        kinds = {pages.schema.field(form.rows).type for pages in self._pages}
        groups = [self._pages] if len(kinds) == 1 else [[pages] for pages in self._pages]
        parts = [
            pa.Table.from_struct_array(
                pc.list_flatten(
                    pa.chunked_array([chunk for pages in group for chunk in pages[form.rows].chunks])
                )
            )
            for group in groups
        ]
        if len({name for part in parts for name in part.column_names}) > _MOST_FIELDS:
            return None
        odd = self._odd(parts)
        rows = pa.concat_tables(
            [part.drop_columns([name for name in odd if name in part.column_names]) for part in parts],
            promote_options="default",
        )
        rows.validate(full=True)
        identities = rows[framer.identity]
        starts = instants(rows[framer.started].combine_chunks())
        if (
            rows.num_rows != self._total
            or identities.null_count
            or pc.count_distinct(identities).as_py() != self._total
            or pc.any(pc.equal(identities, "")).as_py()
            or starts is None
            or starts.null_count
            or pc.any(pc.less(starts[1:], starts[:-1])).as_py()
        ):
            return None
        return Frame(rows, starts, framer.identity, self._parsed(odd) if odd else {})

    def _is_whole(self) -> bool:
        """Whether each page has as many rows as it should, and counts as the others do."""
        form, size, lengths = self._framer.form, self._size, []
        for pages in self._pages:
            counts = pages[form.total]
            ends = pc.min_max(counts)
            lengths += pc.list_value_length(pages[form.rows]).to_pylist()
            if counts.null_count or ends["min"].as_py() != self._total or ends["max"].as_py() != self._total:
                return False
        return lengths == [
            min(size, self._total - offset) for offset in range(0, len(self.bodies) * size, size)
        ]

    def _odd(self, parts: Sequence[pa.Table]) -> list[str]:
        """Fields that no column is declared for and that a column does not hold as they were sent."""
        kinds: dict[str, set[pa.DataType]] = {}
        odd: set[str] = set()
        for part in parts:
            for field_ in part.schema:
                if field_.name in self._framer.declared or part[field_.name].null_count == part.num_rows:
                    continue
                kinds.setdefault(field_.name, set()).add(field_.type)
                if not _is_exact(part[field_.name]):
                    odd.add(field_.name)
        return sorted(odd | {name for name, types in kinds.items() if len(types) > 1})

    def _parsed(self, names: Sequence[str]) -> dict[str, list[Json]]:
        rows: list[Any] = [row for body in self.bodies for row in parse(body)[self._framer.form.rows]]
        return {name: [row.get(name) for row in rows] for name in names}


_NO_BREAKS = bytes.maketrans(b"\r\n", b"  ")
"""JSON has no line breaks within strings."""


def _has_broken_strings(body: bytes) -> bool:
    """Whether a string may go on over the end of a line, which is no JSON, and which Arrow would not see."""
    if b"\n" not in body and b"\r" not in body:
        return False
    return any(b"\n" in text or b"\r" in text for text in around_strings(body)[1::2])


def _is_exact(column: pa.ChunkedArray) -> bool:
    """Whether the column holds what was sent: of a number with a fraction it does not say how it was written."""
    return column.type in _SCALARS
