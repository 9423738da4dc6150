"""Promises of pages that are read in columns: the same rows and tables as row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given, settings
from hypothesis import strategies as st

from task_history import systems
from task_history.core.errors import UnexpectedResponse
from task_history.core.json_reading import parse
from task_history.core.models import Page, Row, Window, iso_ms
from task_history.extract import warehouse_rows
from task_history.extract.columnar import ColumnarRows, ColumnReader, PageReader
from task_history.extract.counted_window import Pages, Reading
from task_history.extract.listed_rows import Rows
from task_history.extract.sorted_listing import SortedListing
from task_history.load.arrow_table import Columns, to_arrow
from task_history_cli.sandbox.paragon_world import Spec
from tests.support.paragon_in_process import NOW, VALUES, Vendor
from tests.support.stamps import stamp

PARAGON = systems.find("paragon")
EXECUTIONS = PARAGON.executions
STAMP = stamp("run", NOW)
NORMALIZE = NamingConvention().normalize_identifier
SIZE = 3
WINDOW = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))


def _row(number: int, **fields: Any) -> Row:
    return {
        "id": f"execution-{number}",
        "userId": None if number % 4 == 0 else "user",
        "workflowId": "workflow",
        "status": "EXECUTING" if number % 3 == 0 else "SUCCEEDED",
        "dateStarted": iso_ms(NOW + timedelta(seconds=number)),
        "taskCount": number,
        **({} if number % 3 == 0 else {"dateEnded": iso_ms(NOW + timedelta(seconds=number + 1))}),
        **fields,
    }


def _pages(rows: Sequence[Row]) -> list[bytes]:
    parts = [rows[at : at + SIZE] for at in range(0, len(rows), SIZE)]
    return [_page(part, len(rows)) for part in parts]


def _page(rows: Sequence[Row], total: Any) -> bytes:
    return orjson.dumps({"workflowExecutions": rows, "nextLink": "x", "total": total})


def _one_by_one(body: bytes) -> Page | None:
    try:
        return PARAGON.listing.read(parse(body))
    except (ValueError, UnexpectedResponse):
        return None


def _read(bodies: Sequence[bytes]) -> Reading:
    """The pages as a listing reads them."""
    assert PARAGON.listing.page_form is not None
    columns = ColumnReader(PARAGON.listing.page_form, EXECUTIONS, started="date_started")
    reader = PageReader(columns, _one_by_one, size=SIZE)
    for body in bodies:
        reader.add(body)
    reader.finish()
    return _reading(reader.pages)


def _reading(pages: Sequence[Page | None]) -> Reading:
    reading = Reading(WINDOW)
    for number, page in enumerate(pages):
        if page is not None:
            reading.add(number * SIZE, page)
    return reading


def _columnar(bodies: Sequence[bytes]) -> ColumnarRows | None:
    """The rows of the pages where all of them were read in columns."""
    columnar, others = _read(bodies).rows(PARAGON).split(in_columns=True)
    return columnar[0] if len(columnar) == 1 and not others else None


def _in_columns(rows: ColumnarRows) -> Columns:
    assert PARAGON.listing.page_form is not None
    made = warehouse_rows.columnar_executions(
        PARAGON.listing.page_form, EXECUTIONS, rows, STAMP, read_by=warehouse_rows.LIST
    )
    return to_arrow(made, EXECUTIONS, stored_types={}, normalize=NORMALIZE)


def _in_rows(rows: Sequence[Row]) -> Columns:
    found, _ = warehouse_rows.executions(PARAGON, rows, STAMP, read_by=warehouse_rows.LIST, stored={})
    return to_arrow(found, EXECUTIONS, stored_types={}, normalize=NORMALIZE)


def _assert_alike(columnar: ColumnarRows, rows: Sequence[Row]) -> None:
    one, two = _in_columns(columnar), _in_rows(rows)
    assert one.types == two.types
    assert {name: one.table[name].to_pylist() for name in one.types} == {
        name: two.table[name].to_pylist() for name in two.types
    }


_TEXTS = st.sampled_from(
    [
        "",
        "plain",
        "2026-09-01T00:00:00Z",
        "2026-09-01",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abcdefghijklmnop",
        "ü\n",
    ]
)
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, 2**53, 2**53 + 1]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    _TEXTS,
    _NUMBERS.filter(lambda number: not isinstance(number, int) or -(2**63) <= number < 2**64),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.sampled_from(["a", "password"]), _TEXTS, max_size=2),
)
_FIELDS = st.dictionaries(
    st.sampled_from(
        ["region", "retryCount", "retry_count", "apiKey", "name", "value", "tags", "taskCount", "dateEnded"]
    ),
    _VALUES,
    max_size=4,
)


@settings(max_examples=150)
@given(st.lists(_FIELDS, min_size=1, max_size=8))
def test_columns_hold_what_rows_hold(fields: list[dict[str, Any]]) -> None:
    """Whatever fields rows have besides, pages in columns give the table that they give row by row, or none."""
    rows = [_row(number, **of_one) for number, of_one in enumerate(fields)]
    columnar = _columnar(_pages(rows))
    if columnar is not None:
        _assert_alike(columnar, rows)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"region": "eu", "attempt": 3, "score": 0.5, "isManual": True},
        {"queuedAt": "2026-09-01T00:00:00Z", "day": "2026-09-01"},
        {"apiKey": "sk_live_51H8xYz2eZvKYlo2C0aBcDeFgHiJkLmN"},
        {"meta": {"token": "sk_live_51H8xYz2eZvKYlo2C0aBcDeFgHiJkLmN", "a": [1, 2.5]}},
        {"ticket": 2**63, "tags": ["a", "b"], "nothing": None},
    ],
    ids=["plain", "scalars", "instants", "secret", "nested", "long"],
)
def test_a_new_field_does_not_make_it_slow(fields: dict[str, Any]) -> None:
    """Pages whose rows have fields that nobody knows are read in columns all the same, and without their secrets."""
    rows = [_row(number, **fields) for number in range(8)]
    columnar = _columnar(_pages(rows))
    assert columnar is not None
    _assert_alike(columnar, rows)
    assert "sk_live" not in str(_in_columns(columnar).table.to_pydict())


GOOD = [_row(number) for number in range(6)]


@pytest.mark.parametrize(
    "bodies",
    [
        [_page(GOOD[:3], 6), _page(GOOD[3:5], 6)],
        [_page(GOOD[:3], 6), _page(GOOD[3:], 7)],
        [_page(GOOD[:3], 6), _page(GOOD[3:], None)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], GOOD[0]], 6)],
        [_page(GOOD[3:], 6), _page(GOOD[:3], 6)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], {**GOOD[5], "id": None}], 6)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], {**GOOD[5], "id": ""}], 6)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], {**GOOD[5], "id": 5}], 6)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], {**GOOD[5], "dateStarted": None}], 6)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], {**GOOD[5], "dateStarted": "soon"}], 6)],
        [_page(GOOD[:3], 6), _page([*GOOD[3:5], {**GOOD[5], "taskCount": "6"}], 6)],
        [_page(GOOD[:3], 6), b'{"data":' + orjson.dumps(GOOD[3:]) + b',"total":6}'],
        [_page(GOOD[:3], 6), orjson.dumps(GOOD[3:])],
        [_page(GOOD[:3], 6), _page(GOOD[3:], 6)[:-9]],
        [_page(GOOD[:3], 6), _page(GOOD[3:], 6).replace(b"workflow", b"work\xfflow", 1)],
        [_page(GOOD[:3], 6), b"<html>{}</html>"],
        [_page(GOOD, 6) + _page([], 6), _page([], 6)],
    ],
    ids=[
        "fewer", "other_total", "no_total", "twice", "order", "no_id", "empty_id", "number_id", "no_start",
        "no_instant", "text_number", "data", "list", "cut", "bytes", "html", "two_in_one",
    ],
)  # fmt: skip
def test_what_is_odd_is_read_row_by_row(bodies: list[bytes]) -> None:
    """Pages in which anything is odd are read one by one, and looked at as all others: the same is believed of them."""
    one, two = _read(bodies), _reading(list(map(_one_by_one, bodies)))
    assert (one.evidence(6), one.total, one.gap()) == (two.evidence(6), two.total, two.gap())
    assert one.rows(PARAGON).ids == two.rows(PARAGON).ids
    _assert_same(one.rows(PARAGON).within(PARAGON, WINDOW), two.rows(PARAGON).within(PARAGON, WINDOW))


def _assert_same(one: Rows, two: Rows) -> None:
    """A field without a value may be left out."""
    for left, right in zip(one, two, strict=True):
        assert {key: value for key, value in left.items() if value is not None} == {
            key: value for key, value in right.items() if value is not None
        }


@pytest.mark.parametrize(
    ("bodies", "is_believed"),
    [
        ([_page(GOOD[:3], 6), _page(GOOD[3:], 6)], True),
        ([_page(GOOD[3:], 6), _page(GOOD[:3], 6)], True),
        ([_page(GOOD[:3], 6), _page(GOOD[3:5], 6)], False),
        ([_page(GOOD[:3], 6), _page(GOOD[3:], 7)], False),
        ([_page(GOOD[:3], 6), _page(GOOD[3:], None)], False),
        ([_page(GOOD[:3], 6), _page([*GOOD[3:5], GOOD[0]], 6)], False),
        ([_page(GOOD[:3], 6), _page(GOOD[3:], 6)[:-9]], False),
    ],
    ids=["plain", "order", "fewer", "other_total", "no_total", "twice", "cut"],
)
def test_what_is_not_whole_is_not_believed(bodies: list[bytes], is_believed: bool) -> None:
    """Only as many different rows as every page counts are all; they are oldest first, in whatever order they came."""
    reading = _read(bodies)
    rows = reading.rows(PARAGON)
    assert reading.evidence(len(rows)).is_verified == is_believed
    starts = [row["dateStarted"] for row in rows.within(PARAGON, WINDOW)]
    assert starts == sorted(starts)


def test_pretty_printed_pages() -> None:
    """Line breaks between the fields change nothing."""
    bodies = [orjson.dumps(orjson.loads(page), option=orjson.OPT_INDENT_2) for page in _pages(GOOD)]
    columnar = _columnar(bodies)
    assert columnar is not None
    _assert_alike(columnar, GOOD)


def test_large_windows_come_in_columns() -> None:
    """Of a plain vendor's rows all but the first page of each piece are read in columns, in no more requests."""
    vendor = Vendor(Spec(executions=5_000, seed=5, days=2, now=NOW, late=0.0), {}, seed=5)
    window = Window(NOW - timedelta(days=2), NOW + timedelta(seconds=1))
    pieces = list(
        SortedListing(Pages(vendor, PARAGON, VALUES)).pieces(window, is_oldest=False, in_columns=True)
    )
    assert {row["id"] for piece in pieces for row in piece.rows} == vendor.shown(window)
    assert sum(len(piece.rows.split(in_columns=True)[1]) for piece in pieces) <= 100 * len(pieces)
    assert vendor.requests <= 51


def test_rows_in_columns_are_cut_to_their_window() -> None:
    """Rows outside of the window, which a vendor with inclusive bounds shows, are left out, their fields with them."""
    rows = [_row(number, tags=[number]) for number in range(6)]
    columnar = _columnar(_pages(rows))
    assert columnar is not None
    part = columnar.within(Window(NOW + timedelta(seconds=1), NOW + timedelta(seconds=4)))
    assert [(row["id"], row["tags"]) for row in part.rows()] == [
        (f"execution-{number}", [number]) for number in (1, 2, 3)
    ]
    assert part.span == (NOW + timedelta(seconds=1), NOW + timedelta(seconds=3))
    assert part.by_day(WINDOW) == {datetime(2026, 3, 1, tzinfo=UTC): 3}
    assert part.ids == ["execution-1", "execution-2", "execution-3"]


def test_parts_that_are_read_differently_are_one() -> None:
    """Pages in columns and pages row by row give rows in one sequence: each id once, cut to a window, oldest first."""
    odd = [{**row, "taskCount": "many"} for row in GOOD[3:]]
    rows = _read([_page(GOOD[:3], 9), _page(odd, 9), _page([*GOOD[2:3], _row(6), _row(7)], 9)]).rows(PARAGON)
    assert rows.ids == [f"execution-{number}" for number in range(8)]
    inside = rows.within(PARAGON, Window(NOW + timedelta(seconds=2), NOW + timedelta(seconds=7)))
    assert [(row["id"], row["taskCount"]) for row in inside] == [
        (f"execution-{number}", "many" if number in (3, 4, 5) else number) for number in range(2, 7)
    ]
