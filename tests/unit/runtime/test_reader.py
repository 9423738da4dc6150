"""How a DuckDB file is read while others may wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.core import lock_timeouts
from task_history.warehouse.duckdb_file_reader import open_for_reading
from task_history_cli.runtime import reader
from tests.support.place import Place


@pytest.mark.parametrize("words", [("status",), ("fleet", "status")], ids=" ".join)
@pytest.mark.parametrize(("open_s", "times"), [(60.0, 1), (0.0, 4)], ids=["at once", "for long"])
def test_status_of_many_datasets_waits_for_the_file_once_in_a_few_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], open_s: float, times: int
) -> None:
    """A file that is read stays open for the next dataset, but no longer than others wait; at the end it is closed."""
    place = Place(tmp_path, None, project_id="p", api_key="k")
    for number in range(3):
        for name in ("PROJECT_ID", "API_KEY"):
            account = f"TASK_HISTORY_PARAGON_N{number}__SOURCES__TASK_HISTORY__PARAGON__{name}"
            place.env[account] = "x"
    duckdb.connect(str(place.file)).close()
    opened: list[Path] = []

    def opening(file: Path) -> Any:
        opened.append(file)
        return open_for_reading(file)

    monkeypatch.setattr(reader, "open_for_reading", opening)
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_RUN_S", open_s)
    place.run(*words)
    assert opened == times * [place.file]
    duckdb.connect(str(place.file)).close()
