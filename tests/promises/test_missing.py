"""A warehouse that lacks something is told by its name, by every command, and never as an error of SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture

pytestmark = pytest.mark.usefixtures("views")

RAW = ("Catalog Error", "Binder Error", "Unexpected", "cannot answer")
NO_VIEWS = "DROP SCHEMA task_history CASCADE"
NO_DATA = "DROP SCHEMA paragon CASCADE"
READERS = (("report", "--format", "csv", "--out", "tables.zip"), ("views", "--check"), ("status", "paragon"))
CASES = {
    "table": (["DROP TABLE paragon.coverage"], "coverage"),
    "table_of_runs": (["DROP TABLE paragon.sync_runs"], "sync_runs"),
    "column": (["ALTER TABLE paragon.workflow_executions DROP COLUMN status"], "workflow_executions.status"),
    "column_of_runs": (["ALTER TABLE paragon.sync_runs DROP COLUMN outcome"], "sync_runs.outcome"),
    "view": (["DROP VIEW task_history.executions"], "executions"),
    "views": ([NO_VIEWS], "executions"),
    "empty_dataset": ([NO_VIEWS, NO_DATA, "CREATE SCHEMA paragon"], "task-history sync"),
    "no_dataset": ([NO_VIEWS, NO_DATA], "task-history sync"),
}


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxProcess, Path]]:
    with SandboxProcess(executions=40, seed=3, days=3, freeze=True) as sandbox:
        place = Place(tmp_path_factory.mktemp("synced"), sandbox, integrations=None, steps="none")
        place.sync()
        yield sandbox, place.file


@pytest.mark.parametrize("case", rest_as_torture(CASES, ("table",)))
def test_what_is_missing_is_told_and_put_back(
    synced: tuple[SandboxProcess, Path], tmp_path: Path, case: str
) -> None:
    """Readers name it, and the next sync of the same account puts it back, so that every command works again."""
    sandbox, file = synced
    place = Place(tmp_path, sandbox, integrations=None, steps="none")
    shutil.copy(file, place.file)
    statements, missing = CASES[case]
    with duckdb.connect(str(place.file)) as connection:
        for statement in statements:
            connection.execute(statement)
    named = []
    for words in READERS:
        done = place.run(*words, expect=None)
        assert done.returncode in (0, 4)
        assert not [word for word in RAW if word in done.stderr + done.stdout]
        named += [words[0]] if missing in done.stderr + done.stdout else []
    assert "report" in named or case == "table_of_runs"
    assert "status" in named or case in ("view", "views")
    assert place.sync()["complete"]
    for words in READERS:
        place.run(*words)


def test_views_are_there_after_a_backfill(synced: tuple[SandboxProcess, Path], tmp_path: Path) -> None:
    """Also where no sync ever ran, and where the backfill stops after its first commit."""
    sandbox, _ = synced
    place = Place(tmp_path, sandbox, integrations=None)
    day = min(str(row["dateStarted"]) for row in sandbox.truth())[:10]
    place.run("backfill", "paragon", "--from", day, "--to", f"{day}T23:59:59", "--max-requests", "1")
    assert place.query("SELECT count(*) > 0 FROM task_history.executions") == [(True,)]
    status = place.run("status", "paragon").stdout
    assert f"covered   nothing by a sync yet, by backfills from {day} 00:00 on\n" in status
