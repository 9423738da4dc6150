"""A row that has no usable id, or is no object: the others load, it is kept exact, and its window is not verified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox import odd_rows
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 300,
    "days": 6,
    "workflows": 3,
    "failed": 0.2,
    "open_days": 0.3,
    "seed": 5,
    "now": "2026-03-01T00:00:00Z",
}
SETTINGS: dict[str, Any] = {"start_date": "2026-02-20", "steps": "none", "retention_days": 0}
SHARE = 0.05
RANGE = ("--from", "2026-02-20", "--to", "2026-03-02")
IDS = {"paragon": "id", "sailpoint": "id", "twinit": "_id", "b3os": "id"}
KINDS = ("no_id", "null_id", "empty_id", "nul_id", "object_id", "null", "text", "number", "list")


def _of_each_system() -> list[tuple[str, str]]:
    """Each system with kinds that differ: an id that cannot be one, and rows that are no objects."""
    return [("paragon", "list"), ("sailpoint", "object_id"), ("b3os", "null"), ("twinit", "nul_id")]


@pytest.fixture(params=systems.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sandbox(name: str) -> Iterator[SandboxProcess]:
    """The system's vendor, whose executions have all ended, and whose lists of workflows are right."""
    with SandboxProcess(name, freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        yield sandbox


def held(place: Place) -> set[str]:
    """The ids of the stored executions."""
    table = systems.find(place.system).executions.name
    return {row[0] for row in place.query(f"SELECT id FROM {place.system}.{table}")}


def rejected(place: Place) -> list[tuple[Any, ...]]:
    """The rejected rows of the first list."""
    table = systems.find(place.system).executions.name
    return place.query(
        f"SELECT value, reason FROM {place.system}.rejected_rows WHERE table_name = '{table}' ORDER BY rejected_id"
    )


@pytest.mark.parametrize(
    ("name", "kind"), rest_as_torture(product(systems.names(), KINDS), kept=_of_each_system())
)
def test_all_other_rows_load(tmp_path: Path, name: str, sandbox: SandboxProcess, kind: str) -> None:
    """The run ends with 0, names the windows, and each odd row is kept once, as JSON text, with its reason."""
    truth = {str(row[IDS[name]]): row for row in sandbox.truth()}
    odd = {key for key in truth if odd_rows.is_odd(key, SHARE)}
    assert 5 < len(odd) < 40
    sandbox.switches(odd_rows=kind, odd_share=SHARE)
    place = Place(tmp_path, sandbox, system=name, **SETTINGS)
    first = place.sync()
    assert held(place) == truth.keys() - odd
    kept = rejected(place)
    values = [json.loads(value) for value, _ in kept]
    if kind.endswith("_id"):
        # A run of several namespaces stands in the list of each.
        assert len({value for value, _ in kept}) == len(odd)
        others = [{key: value for key, value in row.items() if key != IDS[name]} for row in values]
        assert all(isinstance(other, dict) and other.get("status", other.get("_status")) for other in others)
    else:
        assert len({json.dumps(value) for value in values}) == 1
    assert all(reason for _, reason in kept)
    assert not first["complete"]
    assert first["unverified_windows"] > 0
    assert first["rejected"] >= len(kept)
    assert "without a usable id" in first["stderr"]
    days = "SELECT bool_and(is_verified = (rejected = 0)), sum(rejected) FROM {0}.coverage WHERE filters NOT LIKE 'list%'"
    [(is_told, number)] = place.query(days.format(name))
    assert is_told
    assert number >= len(kept)


@pytest.mark.torture
@pytest.mark.parametrize("name", systems.names(), indirect=True)
def test_a_later_sync_is_not_held_up(tmp_path: Path, name: str, sandbox: SandboxProcess) -> None:
    """It costs what it costs without odd rows, says nothing of those that it knows, and doubles none."""
    sandbox.switches(odd_rows="no_id", odd_share=SHARE)
    place = Place(tmp_path, sandbox, system=name, **SETTINGS)
    place.sync()
    kept = rejected(place)
    again = place.sync()
    assert rejected(place) == kept
    assert "without a usable id" not in again["stderr"]
    assert (again["complete"], again["rejected"]) == (True, 0)
    place.sync()
    assert rejected(place) == kept


def test_a_rejected_workflow_is_named_once(tmp_path: Path) -> None:
    """A workflow without a usable id is counted and logged by the run that finds it, and by no later one."""
    with SandboxProcess("sailpoint", freeze=True, **{**WORLD, "workflows": 40}) as sandbox:
        sandbox.advance(4 * 86_400)
        sandbox.switches(odd_rows="no_id", odd_share=0.1)
        place = Place(tmp_path, sandbox, system="sailpoint", **SETTINGS)
        first = place.sync()
        kept = "SELECT count(*) FROM sailpoint.rejected_rows WHERE table_name = 'workflows'"
        [(number,)] = place.query(kept)
        assert first["rejected"] > number > 0
        again = place.sync()
        assert again["rejected"] == 0
        assert "rows_rejected" not in again["stderr"]
        assert place.query(kept) == [(number,)]


@pytest.mark.parametrize("name", rest_as_torture(systems.names(), ("twinit",)), indirect=True)
def test_a_row_that_gets_its_id_is_loaded(tmp_path: Path, name: str, sandbox: SandboxProcess) -> None:
    """An audit names it, its repair loads it, and then the days are verified."""
    truth = {str(row[IDS[name]]) for row in sandbox.truth()}
    sandbox.switches(odd_rows="no_id", odd_share=SHARE)
    place = Place(tmp_path, sandbox, system=name, **SETTINGS)
    place.sync()
    sandbox.switches(odd_rows="none")
    named = json.loads(place.run("audit", name, *RANGE, "--json", expect=10).stdout)
    assert named["missing"] >= len(truth - held(place)) > 0
    place.run("audit", name, *RANGE, "--repair")
    assert held(place) == truth
    assert place.query(f"SELECT count(*) FROM {name}.coverage WHERE NOT is_verified AND lane = 'audit'") == [
        (0,)
    ]


@pytest.mark.parametrize("name", rest_as_torture(systems.names(), ("sailpoint",)), indirect=True)
def test_a_list_of_nothing_else_is_an_unexpected_answer(
    tmp_path: Path, name: str, sandbox: SandboxProcess
) -> None:
    """Where no row of a list has an id, the vendor changed its answers: the run ends with 4, and covers nothing."""
    sandbox.switches(odd_rows="no_id", odd_share=1.0)
    place = Place(tmp_path, sandbox, system=name, **SETTINGS)
    done = place.run("sync", name, expect=4)
    assert "can be stored" in done.stderr
    assert place.query(f"SELECT count(*) FROM {name}.coverage") == [(0,)]


@pytest.mark.parametrize(
    ("name", "is_reported"),
    rest_as_torture([*((name, True) for name in systems.names()), ("paragon", False)], [("paragon", False)]),
    indirect=["name"],
)
def test_what_is_not_verified_is_told_with_its_reason(
    tmp_path: Path, name: str, sandbox: SandboxProcess, is_reported: bool
) -> None:
    """``status``, ``why``, ``audit`` and the report name the days and the reason, in lines of at most 80 characters."""
    key = IDS[name]
    truth = {str(row[key]): row for row in sandbox.truth()}
    sandbox.switches(odd_rows="no_id", odd_share=SHARE)
    place = Place(tmp_path, sandbox, system=name, **SETTINGS)
    place.sync()
    table = systems.find(name).executions.name
    [status] = json.loads(place.run("status", name, "--json").stdout)["systems"]
    [told] = [entry for entry in status["unverified"] if entry["table"] == table]
    number = len(rejected(place))
    assert (told["rejected"], told["reason"]) == (number, f"{number} rows without a usable id")
    assert {day["is_verified"] for day in status["coverage"] if day["rejected"]} == {False}
    text = place.run("status", name).stdout
    assert f"({table}): {number} rows without a usable id" in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines() if "unverified" in line)
    odd = next(identity for identity in truth if odd_rows.is_odd(identity, SHARE))
    if systems.find(name).listing.is_countable:
        why = place.run("why", name, odd, "--live", expect=None).stdout
        assert "that day is not verified" in why
        assert "without a usable id" in why
    audited = place.run("audit", name, *RANGE, expect=10).stdout
    assert "have no usable id; rejected_rows has them" in audited
    if is_reported:
        place.run("views")
        place.run("report", "--out", "report.html", "--month", "2026-02")
        assert "without a usable id" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", rest_as_torture(systems.names(), ("paragon",)), indirect=True)
def test_rows_in_the_lookback_are_compared_at_little_cost(
    tmp_path: Path, name: str, sandbox: SandboxProcess
) -> None:
    """While odd rows lie in the lookback, each sync finds out whether they have ids now; no row is read for it twice."""
    truth = {str(row[IDS[name]]) for row in sandbox.truth()}
    sandbox.switches(odd_rows="no_id", odd_share=SHARE)
    place = Place(tmp_path, sandbox, system=name, **SETTINGS, lookback_minutes=20 * 1440)
    first = place.sync()
    kept = rejected(place)
    again = place.sync()
    assert rejected(place) == kept
    assert again["rejected"] == 0
    assert not again["complete"]
    assert again["executions"] == 0 or not systems.find(name).listing.is_countable
    assert again["requests_by_kind"]["list"] <= 3 * first["requests_by_kind"]["list"]
    sandbox.switches(odd_rows="none")
    # A sync compares three days, those first that were compared longest ago.
    place.sync()
    place.sync()
    assert held(place) == truth
    assert place.sync()["complete"]
    [(number,)] = place.query(f"SELECT count(*) FROM {name}.coverage WHERE NOT is_verified")
    assert number == 0
