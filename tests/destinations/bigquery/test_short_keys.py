"""BigQuery: a warehouse in which steps with the same id overwrote each other is complete after the next sync."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.destinations.bigquery.place import BigQueryPlace, BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.promises.test_repeated_ids import check_all_there
from tests.support import short_keys
from tests.support.repeating_vendor import STEPS, serving


@pytest.mark.torture
@pytest.mark.parametrize("system", ["paragon", "twinit", "b3os"])
def test_what_was_overwritten_is_read_again_by_the_next_sync(
    system: str, recorder: Recorder, tmp_path: Path
) -> None:
    """As on DuckDB: nothing that is stored goes, each step is there once, and the sync after it reads none."""
    with serving(system) as vendor:
        place = BigQueryPlaceWithoutViews(tmp_path, None, recorder, system=system, **vendor.settings)
        short_keys.into_bigquery(system, tmp_path, place.client)
        before = {table: set(_rows(place, table)) for table, _, _ in STEPS[system]}
        result = place.sync()
        assert result["complete"]
        assert "steps_read_again" in result["stderr"]
        check_all_there(place)
        any_day = f"SELECT DISTINCT load_id FROM {system}.package_days WHERE first_day IS NULL"
        assert place.query(any_day) == [("",)]
        for table, rows in before.items():
            assert rows <= set(_rows(place, table)), table
        vendor.reads.clear()
        assert place.sync()["complete"]
        assert vendor.reads == []


def _rows(place: BigQueryPlace, table: str) -> list[tuple[str, ...]]:
    column = next(column for name, column, _ in STEPS[place.system] if name == table)
    rows = place.query(f"SELECT workflow_execution_id, {column} FROM {place.system}.{table}")
    # A text in a column of JSON may have its quotes since.
    return [(str(execution), str(text).strip('"')) for execution, text in rows]
