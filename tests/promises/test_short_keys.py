"""A warehouse in which steps with the same id overwrote each other is complete after the next sync."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history import systems
from tests.promises.test_repeated_ids import check_all_there
from tests.support import short_keys
from tests.support.place import Place
from tests.support.repeating_vendor import EXECUTIONS, STEPS, serving
from tests.support.torture import rest_as_torture

OVERWRITTEN = ("paragon", "twinit", "b3os")
"""The systems of which steps were; an event of SailPoint has always had its execution in its id."""


@pytest.mark.parametrize("system", rest_as_torture(STEPS, ("paragon",)))
def test_what_was_overwritten_is_read_again_by_the_next_sync(system: str, tmp_path: Path) -> None:
    """And once: the sync after it reads no step. What a warehouse can do before that sync, it still can."""
    with serving(system) as vendor:
        place = Place(tmp_path, None, system=system, **vendor.settings)
        short_keys.unpack(system, tmp_path)
        place.run("status", system)
        place.run("views")
        before = {table: set(_rows(place, table)) for table, _, _ in STEPS[system]}
        result = place.sync()
        assert result["complete"]
        assert ("steps_read_again" in result["stderr"]) == (system in OVERWRITTEN)
        check_all_there(place)
        for table, rows in before.items():
            assert rows <= set(_rows(place, table)), table
        vendor.reads.clear()
        assert place.sync()["complete"]
        assert vendor.reads == []


@pytest.mark.parametrize("system", rest_as_torture(OVERWRITTEN, ("paragon",)))
def test_what_the_vendor_no_longer_holds_is_named(system: str, tmp_path: Path) -> None:
    """Nothing that is stored goes; the log of details says which executions lack steps, and why."""
    with serving(system) as vendor:
        place = Place(tmp_path, None, system=system, **vendor.settings)
        short_keys.unpack(system, tmp_path)
        before = {table: set(_rows(place, table)) for table, _, _ in STEPS[system]}
        place.set(retention_days=30)
        result = place.sync()
        assert "steps_read_again" in result["stderr"]
        assert vendor.reads == []
        for table, rows in before.items():
            assert rows == set(_rows(place, table)), table
        log_table = systems.find(system).details.log.name
        named = (
            f"SELECT count(*) FROM {system}.{log_table} WHERE unreadable_reason LIKE 'An earlier version%'"
        )
        assert place.query(named)[0][0] >= EXECUTIONS - 1


@pytest.mark.parametrize("system", ["twinit"])
def test_an_execution_that_is_gone_holds_no_other_up(system: str, tmp_path: Path) -> None:
    """The others are read again; of the one that is gone stays what was stored."""
    with serving(system) as vendor:
        place = Place(tmp_path, None, system=system, **vendor.settings)
        short_keys.unpack(system, tmp_path)
        vendor.gone = {"x1"}
        place.sync()
        counts = dict(place.query("SELECT workflow_execution_id, count(*) FROM twinit.tasks GROUP BY 1"))
        assert {name: number for name, number in counts.items() if name != "x1"} == dict.fromkeys(
            ["x0", "x2", "x3", "x4"], 5
        )
        assert place.query("SELECT outcome FROM twinit.run_details WHERE id = 'x1'") == [("gone",)]


def _rows(place: Place, table: str) -> list[tuple[str, ...]]:
    column = next(column for name, column, _ in STEPS[place.system] if name == table)
    rows = place.query(f"SELECT workflow_execution_id, {column} FROM {place.system}.{table}")
    # A text in a column of JSON has its quotes since.
    return [(str(execution), str(text).strip('"')) for execution, text in rows]
