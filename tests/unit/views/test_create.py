"""Every sync leaves the views as they should be, and none fails because of them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import duckdb
import pytest

from task_history.views.sql_file_reader import views
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with SandboxProcess(executions=300, freeze=True) as sandbox:
        place = Place(tmp_path_factory.mktemp("views"), sandbox, steps="failed", payloads="none")
        said = place.sync()["stderr"]
        assert "views_created made=" in said
        assert "check name=" not in said
        yield place


def test_a_sync_makes_the_views(synced: Place) -> None:
    """After the first sync all views are there, with the rows that were loaded and a sentence for each column."""
    names = {
        row[0]
        for row in synced.query("SELECT view_name FROM duckdb_views() WHERE schema_name = 'task_history'")
    }
    assert names == set(views())
    assert synced.query("SELECT count(*) FROM task_history.executions") == [(300,)]
    assert synced.query("SELECT sum(executions) FROM task_history.daily_usage") == [(300,)]
    (total, described) = synced.query(
        "SELECT count(*), count(comment) FROM duckdb_columns() WHERE schema_name = 'task_history'"
    )[0]
    assert total == described > 100


def test_a_broken_view_fails_no_sync(synced: Place) -> None:
    """A table in a view's place is a warning that says what to do; the rows are loaded. The next sync makes it good."""
    with duckdb.connect(str(synced.file)) as connection:
        connection.execute(
            "DROP VIEW task_history.questions; DROP VIEW task_history.executions; "
            "CREATE TABLE task_history.executions (x INT)"
        )
    found = synced.sync()
    assert found["complete"]
    assert "views_failed" in found["stderr"]
    assert "task-history views" in found["stderr"]
    with duckdb.connect(str(synced.file)) as connection:
        connection.execute("DROP TABLE task_history.executions")
    found = synced.sync()
    assert "views_created made=" in found["stderr"]
    assert "views_created made=" not in synced.sync()["stderr"]


def test_the_command_checks_and_prints(synced: Place) -> None:
    """--check says of each promise whether it holds; --print gives one text per dialect and opens no warehouse."""
    done = json.loads(synced.run("views", "--check", "--json").stdout)
    assert done["broken"] == 0
    assert len(done["checks"]) > 10
    with duckdb.connect(str(synced.file)) as connection:
        connection.execute("INSERT INTO paragon.workflow_executions FROM paragon.workflow_executions LIMIT 1")
    done_again = synced.run("views", "--check", expect=10)
    assert "broken: unique_executions" in done_again.stdout
    assert "HAVING" in done_again.stdout
    printed = synced.run("views", "--print", "--dialect", "bigquery", "executions").stdout
    assert "UNIX_MICROS" in printed
    assert "There are: billing_tasks, " in synced.run("views", "--print", "nothing", expect=2).stderr
