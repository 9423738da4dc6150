"""A field, type or status that a vendor sends for the first time is told once: in the log, in a table, by status."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import altering
from tests.support.place import Place
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 24,
    "seed": 5,
    "days": 4,
    "future_hours": 60,
    "open_days": 0.1,
    "failed": 0.3,
    "now": "2026-03-01T00:00:00Z",
    "freeze": True,
}
TOKEN = "sk_live_4eC39HqLyjWDarjtT1zd"
NUMBER = {"paragon": "taskCount", "twinit": "_timeoutSeconds", "b3os": "workflowVersion", "sailpoint": None}
"""A documented number in rows of executions, by system; SailPoint has none."""


class Vendor:
    """A sandbox whose rows get what ``fields`` holds, and whose statuses are renamed by ``statuses``."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.statuses: dict[str, str] = {}
        self.has_odd_statuses = False
        """Whether each row has a status of its own: of three one with a secret, one longer than any word."""
        self._numbers = count()

    def alter(self, _: str, body: bytes) -> bytes:
        data = json.loads(body)
        for row in _rows(data):
            row.update(self.fields)
            for key in ("status", "_status"):
                row.update({key: self.statuses[row[key]]} if row.get(key) in self.statuses else {})
                if self.has_odd_statuses and key in row:
                    number = next(self._numbers)
                    row[key] = (
                        f"{TOKEN}{number:04}"
                        if number % 3 == 1
                        else f"Weird {number}" + "x" * (number % 3 * 250)
                    )
        return json.dumps(data).encode()


def _rows(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, list):
        for entry in data:
            yield from _rows(entry)
    elif isinstance(data, dict):
        # Executions: they have a start, and belong to a workflow.
        if {"workflowId", "_workflowDefId"} & data.keys() and {"id", "_id"} & data.keys():
            yield data
        for entry in data.values():
            yield from _rows(entry)


@pytest.fixture
def changing(
    system: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Vendor, Place, SandboxProcess]]:
    vendor = Vendor()
    with (
        SandboxProcess(system, **WORLD | getattr(request, "param", {})) as sandbox,
        altering(sandbox.base_url, vendor.alter) as url,
    ):
        quiet = {"retention_days": 0, "integrations": None, "steps": "none"}
        yield vendor, Place(tmp_path, sandbox, system=system, base_url=url, **quiet), sandbox


def _noted(place: Place) -> set[tuple[str, str, str, str]]:
    rows = place.query(
        f"SELECT kind, table_name, column_name, coalesce(status, type) FROM {place.system}.schema_changes"
    )
    assert len(set(rows)) == len(rows), "a change is noted twice"
    return set(rows)


def _logged(result: dict[str, Any]) -> list[int]:
    """How many changes each line of the log tells."""
    return [int(count) for count in re.findall(r"schema_changed changes=(\d+)", result["stderr"])]


@pytest.mark.parametrize("system", rest_as_torture(systems.names(), ("paragon",)))
def test_what_is_new_is_told_once(system: str, changing: tuple[Vendor, Place, SandboxProcess]) -> None:
    """Not on the first sync; by the sync that brings it, and by none after it."""
    vendor, place, sandbox = changing
    own = systems.find(system)
    tables = {one.executions.name for one in (own, *own.companions)}
    vendor.fields = {"firstField": 1}
    first = place.sync()
    assert first["complete"]
    assert first["schema_changes"] == 0
    assert "schema_changed" not in first["stderr"]
    sandbox.advance(20 * 3600)
    assert place.sync()["schema_changes"] == 0

    number = NUMBER[system]
    vendor.fields = {"firstField": "one", "secondField": True, **({number: "many"} if number else {})}
    vendor.statuses = {"SUCCEEDED": "ODDLY_ENDED", "Completed": "Odd", "COMPLETED": "ODD"}
    vendor.statuses |= {"workflow_succeeded": "odd", "success": "odd"}
    sandbox.advance(20 * 3600)
    second = place.sync()
    noted = _noted(place)
    # What the answers about single executions hold is in other tables.
    shown = {(kind, column) for kind, table, column, _ in noted if table in tables}
    expected = {("new_column", "second_field"), ("changed_type", "first_field"), ("new_status", "status")}
    if number:
        declared = {
            column.name
            for one in (own, *own.companions)
            for column in one.executions.columns
            if column.source == number
        }
        expected |= {("changed_type", name) for name in declared}
    # Not every list of an account documents that number.
    assert expected <= shown <= expected | {("new_column", "workflow_version")}
    assert second["schema_changes"] == len(noted) == sum(_logged(second))
    assert len(noted) > len(_logged(second)) <= second["commits"]
    [status] = json.loads(place.run("status", system, "--json").stdout)["systems"]
    assert {(one["kind"], one["table_name"]) for one in status["schema_changes"]} == {
        (kind, table) for kind, table, _, _ in noted
    }
    assert all(one["run_id"] == second["run_id"] for one in status["schema_changes"])
    assert "  new       new column" in place.run("status", system).stdout

    sandbox.advance(20 * 3600)
    third = place.sync()
    assert third["schema_changes"] == 0
    assert "schema_changed" not in third["stderr"]
    assert _noted(place) == noted


@pytest.mark.parametrize(
    ("system", "is_long"), rest_as_torture([("paragon", True), ("paragon", False)], [("paragon", False)])
)
def test_a_backfill_tells_it_too(
    system: str, is_long: bool, changing: tuple[Vendor, Place, SandboxProcess]
) -> None:
    """What it finds is told by it, and not by the sync that meets it next."""
    vendor, place, sandbox = changing
    place.set(start_date="2026-02-27")
    place.sync()
    vendor.fields = {"secondField": True}
    done = place.run("backfill", system, "--from", "2026-02-25", "--to", "2026-02-27", "--json")
    noted = _noted(place)
    assert ("new_column", "workflow_executions", "second_field", "bool") in noted
    assert json.loads(done.stdout)["schema_changes"] == len(noted)
    if is_long:
        sandbox.advance(20 * 3600)
        assert place.sync()["schema_changes"] == 0


@pytest.mark.parametrize(
    ("system", "changing"),
    rest_as_torture(
        product(systems.names(), ({"executions": 500}, {"executions": 320})),
        kept=[("paragon", {"executions": 320})],
    ),
    indirect=["changing"],
    ids=str,
)
def test_statuses_without_end_are_a_bounded_number_of_rows_without_secrets(
    system: str, changing: tuple[Vendor, Place, SandboxProcess]
) -> None:
    """Each row has a status of its own, some with a secret: 50 are noted over all syncs, then one row for all others."""
    vendor, place, sandbox = changing
    place.sync()
    vendor.has_odd_statuses = True
    for _ in range(2):
        sandbox.advance(30 * 3600)
        result = place.sync()
        assert TOKEN not in result["stderr"]
        assert len(_logged(result)) <= result["commits"]
    notes = Counter((table, kind) for kind, table, column, _ in _noted(place) if column == "status")
    assert 50 in notes.values()
    assert all(number <= (50 if kind == "new_status" else 1) for (_, kind), number in notes.items())
    assert all(notes[table, "many_statuses"] for (table, _), number in notes.items() if number == 50)
    newest = notes.total()
    sandbox.advance(3600)
    place.sync()
    assert newest == len([row for row in _noted(place) if row[2] == "status"])
    noted = place.query(f"SELECT change_id, status FROM {system}.schema_changes")
    assert not [row for row in noted if TOKEN in str(row)]
    assert all(len(status or "") <= 100 for _, status in noted)


@pytest.mark.torture
@pytest.mark.parametrize("system", ["paragon"])
def test_many_new_fields_are_one_line_of_the_log(
    system: str, changing: tuple[Vendor, Place, SandboxProcess]
) -> None:
    """A line counts them and names the first; the table has a row for each."""
    vendor, place, sandbox = changing
    place.sync()
    vendor.fields = {f"new{number}Field": number for number in range(40)}
    sandbox.advance(20 * 3600)
    result = place.sync()
    noted = _noted(place)
    assert len(noted) >= 40
    assert sum(_logged(result)) == len(noted)
    assert len(_logged(result)) <= result["commits"]
    assert "first=" in result["stderr"]
