"""Steps whose ids are unique neither in the account nor in an execution are all there, and none is there twice."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from task_history import systems
from tests.support.place import Place
from tests.support.repeating_vendor import EXECUTIONS, STEPS, serving

RANGE = ("--from", "2026-02-28", "--to", "2026-03-03")


def check_all_there(place: Place) -> None:
    """Each step that the vendor has is there once."""
    for table, column, number in STEPS[place.system]:
        counts = place.query(f"SELECT count(*), count(DISTINCT {column}) FROM {place.system}.{table}")
        assert counts == [(number * EXECUTIONS, number * EXECUTIONS)], table


@pytest.mark.torture
@pytest.mark.parametrize("system", STEPS)
def test_steps_with_repeated_ids_are_all_there(system: str, tmp_path: Path) -> None:
    """One row for each, also after they were read again; the log counts them, and audits and checks agree."""
    with serving(system) as vendor:
        place = Place(tmp_path, None, system=system, **vendor.settings)
        assert place.sync()["complete"]
        check_all_there(place)
        own = systems.find(system)
        with duckdb.connect(str(place.file)) as connection:
            for one in (own, *own.companions):
                connection.execute(f"UPDATE {system}.{one.details.log.name} SET outcome = 'again'")
        assert place.sync()["complete"]
        check_all_there(place)
        assert json.loads(_audit(place))["clean"]
        place.run("views", "--check")


@pytest.mark.parametrize("system", ["twinit"])
def test_what_tells_them_apart_is_put_back(system: str, tmp_path: Path) -> None:
    """Steps whose column was dropped are read again and are there once; the execution is named as a part of the key."""
    with serving(system) as vendor:
        place = Place(tmp_path, None, system=system, **vendor.settings)
        place.sync()
        for column in ("occurrence", "workflow_execution_id"):
            with duckdb.connect(str(place.file)) as connection:
                connection.execute(f"ALTER TABLE twinit.tasks DROP COLUMN {column}")
            if column == "occurrence":
                assert place.sync()["complete"]
                check_all_there(place)
            else:
                error = json.loads(place.run("sync", system, "--json", expect=4).stdout)["error"]
                assert "tasks.workflow_execution_id was dropped by hand" in error


@pytest.mark.torture
@pytest.mark.parametrize("system", STEPS)
def test_a_step_that_is_missing_is_named_by_the_check_and_the_audit(system: str, tmp_path: Path) -> None:
    """The log of details counts what was read: fewer rows than that are a broken promise in every system."""
    with serving(system) as vendor:
        place = Place(tmp_path, None, system=system, **vendor.settings)
        place.sync()
        own = systems.find(system)
        for one in (own, *own.companions):
            table = f"{system}.{one.details.steps.name}"
            with duckdb.connect(str(place.file)) as connection:
                connection.execute(f"DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table}) AND TRUE")
            checked = place.run("views", "--check", expect=None)
            assert checked.returncode != 0
            assert "steps_are_counted" in checked.stdout + checked.stderr
            assert not json.loads(_audit(place, expect=10))["clean"]
            assert json.loads(_audit(place, "--repair", expect=None))["command"] == "audit"
        check_all_there(place)
        place.run("views", "--check")


def _audit(place: Place, *words: str, expect: int | None = 0) -> str:
    return place.run("audit", place.system, *RANGE, "--json", *words, expect=expect).stdout
