"""BigQuery: tables that somebody dropped are filled again."""

from __future__ import annotations

from pathlib import Path

from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.support.dropped_tables import check_dropped, check_dropped_staging


def test_what_was_dropped_is_asked_again_within_the_retention(recorder: Recorder, tmp_path: Path) -> None:
    """As on DuckDB: each row is back that the vendor still has, and of the others it is said that they are lost."""
    check_dropped(
        lambda sandbox: BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder),
        lambda place, sql: place.query(sql),
        at_once=True,
    )


def test_what_was_dropped_of_staging_is_made_again(recorder: Recorder, tmp_path: Path) -> None:
    """A column and a table of the staging dataset: the next sync stages and loads all."""
    check_dropped_staging(
        lambda sandbox: BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder),
        lambda place, sql: place.query(sql),
    )
