"""Postgres: a warehouse in which steps with the same id overwrote each other is complete after the next sync."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import psycopg2
import pytest

from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace, PostgresPlaceWithoutViews
from tests.promises.test_repeated_ids import check_all_there
from tests.support import short_keys
from tests.support.repeating_vendor import STEPS, serving
from tests.support.torture import rest_as_torture


@pytest.mark.parametrize("system", rest_as_torture(["paragon", "twinit", "b3os"], ["paragon"]))
def test_what_was_overwritten_is_read_again_by_the_next_sync(
    system: str, postgres: Server, tmp_path: Path
) -> None:
    """As on DuckDB: nothing that is stored goes, each step is there once, and the sync after it reads none."""
    with serving(system) as vendor:
        place = PostgresPlaceWithoutViews(tmp_path, None, postgres, system=system, **vendor.settings)
        with contextlib.closing(psycopg2.connect(place.url)) as connection:
            short_keys.into_postgres(system, tmp_path, connection)
        before = {table: set(_rows(place, table)) for table, _, _ in STEPS[system]}
        done = place.run("sync", system, "--json", *ON_POSTGRES)
        assert json.loads(done.stdout)["complete"]
        assert "steps_read_again" in done.stderr
        check_all_there(place)
        for table, rows in before.items():
            assert rows <= set(_rows(place, table)), table
        vendor.reads.clear()
        place.run("sync", system, *ON_POSTGRES)
        assert vendor.reads == []


def _rows(place: PostgresPlace, table: str) -> list[tuple[str, ...]]:
    column = next(column for name, column, _ in STEPS[place.system] if name == table)
    rows = place.query(f"SELECT workflow_execution_id, {column} FROM {place.system}.{table}")
    # A text in a column of JSON has its quotes since.
    return [(str(execution), str(text).strip('"')) for execution, text in rows]
