"""Dates at the ends of time, in any instant that a vendor sends: the row loads, and the date is kept as it was sent."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.models import VARIANT
from task_history.systems.parsing import instant_or_millis
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import altering
from tests.support.place import Place
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 60,
    "days": 6,
    "workflows": 3,
    "seed": 5,
    "now": "2026-03-01T00:00:00Z",
}
SETTINGS: dict[str, Any] = {"start_date": "2026-02-20", "retention_days": 0}
MONTH = ("--month", "2026-02")
DATES: tuple[str | int, ...] = (
    "0001-01-01T00:00:00+01:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00-05:00",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59.999Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "+010000-01-01T00:00:00Z",
    -62135596800,
    -62135596800000,
    -62135596800001,
    253402300799999,
    253402300800000,
    10**30,
)
UNSET = {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00", -62135596800000}
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_IDS = ("id", "_id")


class OddDates:
    """Alters one in ``share`` instants of all answers, always the same of them and in the same way."""

    def __init__(self, share: int) -> None:
        self._share = share
        self.sent: dict[tuple[str, str], str | int] = {}
        """The altered dates of objects with an id, by id and field."""

    def alter(self, path: str, body: bytes) -> bytes:
        return body if "token" in path else json.dumps(self._altered(json.loads(body), "")).encode()

    def _altered(self, data: Any, place: str) -> Any:
        if isinstance(data, list):
            return [self._altered(one, f"{place}:{at}") for at, one in enumerate(data)]
        if not isinstance(data, dict):
            return data
        identity = next((str(data[name]) for name in _IDS if name in data), "")
        return {name: self._field(identity, place, name, value) for name, value in data.items()}

    def _field(self, identity: str, place: str, name: str, value: Any) -> Any:
        is_text = isinstance(value, str) and _ISO.match(value)
        if not is_text and not (type(value) is int and value > 10**11):
            return self._altered(value, f"{identity or place}.{name}")
        number = zlib.crc32(f"{identity or place} {name}".encode())
        if number % self._share:
            return value
        odd = DATES[number // self._share % len(DATES)]
        if identity:
            self.sent[identity, name] = odd
        return odd


@pytest.mark.parametrize(
    ("system", "is_long"),
    rest_as_torture([*((name, True) for name in systems.names()), ("paragon", False)], [("paragon", False)]),
)
def test_dates_at_the_ends_of_time(tmp_path: Path, system: str, is_long: bool) -> None:
    """In list rows, starts, steps, events and statistics: syncs go on, no row is missing, and an audit is clean."""
    dates = OddDates(share=6)
    with SandboxProcess(system, freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        with altering(sandbox.base_url, dates.alter) as url:
            settings = SETTINGS | ({"integrations": None} if system == "paragon" else {})
            place = Place(tmp_path, sandbox, system=system, base_url=url, **settings)
            place.sync()
            place.sync()
            table = systems.find(system).executions
            held = {row[0] for row in place.query(f"SELECT id FROM {system}.{table.name}")}
            assert held == {str(row.get("id") or row.get("_id")) for row in sandbox.truth()}
            sources = {column.source: column.name for column in table.columns if column.type == "timestamp"}
            asked = [key for key in dates.sent if key[0] in held and key[1] in sources]
            assert len({field for _, field in asked}) > 1
            assert len({dates.sent[key] for key in asked}) > 5
            sent = {(key, sources[name]): dates.sent[key, name] for key, name in asked}
            assert_kept(place, f"{system}.{table.name}", sent)
            if is_long:
                place.run("audit", system, *MONTH, "--thorough", "--repair", expect=None)
            audit = json.loads(place.run("audit", system, *MONTH, "--thorough", "--json", expect=None).stdout)
            assert (audit["missing"], audit["surplus"], audit["different"]) == (0, 0, 0)
            place.run("status", system)
            place.run("views")
            if is_long:
                place.run("report", *MONTH)
            place.run("views", "--check")


def assert_kept(place: Place, table: str, dates: Mapping[tuple[str, str], str | int]) -> None:
    """Each column holds the date of its id, or the text beside it does, or both are empty where it says that none is set.

    ``dates`` are by id and column.
    """
    there = {name for name, *_ in place.query(f"DESCRIBE {table}")}
    for column in sorted({column for _, column in dates}):
        variant = column + VARIANT if column + VARIANT in there else "NULL"
        stored = {row[0]: row[1:] for row in place.query(f"SELECT id, {column}, {variant} FROM {table}")}
        for identity, odd in ((key[0], odd) for key, odd in dates.items() if key[1] == column):
            value, text = stored[identity]
            if text is not None:
                assert (value, text) == (None, str(odd))
            elif value is None:
                assert odd in UNSET
            else:
                assert value == instant_or_millis(odd)
