"""What the page for analysts shows runs as it stands there, and is right."""

from __future__ import annotations

import re
import subprocess

import duckdb
import pytest

from task_history.views import create as creating
from task_history.views.sql_file_reader import views
from tests.support import environments, made_warehouse
from tests.support.place import ROOT, Place
from tests.unit.views.test_views import access

PAGE = (ROOT / "docs" / "how-to" / "query-the-views.md").read_text("utf-8")
USER = "test+alias@example.com"


def blocks(language: str) -> list[str]:
    """The page's blocks of code."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("page"), None)
    with duckdb.connect(str(place.file)) as connection:
        made_warehouse.empty(connection)
        made_warehouse.fill(connection, executions=2_000, now="now()", days=60)
        connection.execute(
            "UPDATE paragon.workflow_executions SET user_id = ? WHERE user_id = 'user 3'", [USER]
        )
        creating.refresh(access(connection))
    return place


def test_the_three_questions_are_answered(place: Place) -> None:
    """Each short query gives what the raw tables hold."""
    week, failed, tasks = blocks("sql")
    assert place.query(week) == place.query(
        "SELECT count(*) FROM paragon.workflow_executions AS e JOIN paragon.workflows AS w USING (workflow_id) "
        "WHERE w.integration = 'salesforce' AND e.date_started >= now() - INTERVAL 168 HOUR"
    )
    assert place.query(week)[0][0] > 0
    found = place.query(f"SELECT execution_id, status FROM ({failed}) AS found")
    assert found == place.query(
        f"SELECT id, 'failed' FROM paragon.workflow_executions WHERE user_id = '{USER}' AND status = 'FAILED' "
        "ORDER BY date_started DESC NULLS LAST"
    )
    assert found
    (month,) = re.findall(r"DATE '(\d{4}-\d\d)-01'", tasks)
    (now,) = place.query("SELECT strftime(now(), '%Y-%m')")
    assert sorted(place.query(tasks.replace(month, now[0])), key=str) == sorted(
        place.query(
            "SELECT user_id, coalesce(sum(task_count), 0)::BIGINT FROM paragon.workflow_executions "
            f"WHERE strftime(date_started, '%Y-%m') = '{now[0]}' GROUP BY 1"
        ),
        key=str,
    )


@pytest.mark.parametrize("has_ibis", [False, pytest.param(True, marks=pytest.mark.torture)])
def test_the_five_lines_of_python_run(place: Place, has_ibis: bool) -> None:
    """Frames come from SQL and from a view, without keeping a sync from the file; ibis tables too."""
    (lines,) = blocks("python")
    lines += "import duckdb\nduckdb.connect('warehouse.duckdb').execute('CREATE TABLE paragon.meanwhile (x INT)')\n"
    lines += "print(int(frame['executions'].sum()), bool((failing['failures'] > 0).all()))\n"
    if has_ibis:
        lines += "import ibis\nprint(int(history(table.group_by('status').agg(n=ibis._.count())).df()['n'].sum()))\n"
    done = subprocess.run(
        [str(environments.analyst_python()), "-c", lines],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["2000", "True", *["2000"] * has_ibis], done.stderr[-2000:]


def test_every_view_is_named() -> None:
    """The page names each view."""
    assert [name for name in views() if f"`{name}`" not in PAGE] == []


def test_explore_says_what_to_install_or_where_it_is(place: Place) -> None:
    """Without marimo it says how to get it; a notebook is a .py file."""
    assert "'task-history[explore]'" in place.run("explore", expect=3).stderr
    words = [str(environments.analyst_python()), "-m", "task_history_cli.cli", "explore", "--edit", "x.txt"]
    done = subprocess.run(words, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert ".py" in done.stderr


@pytest.mark.torture
def test_the_app_runs(place: Place) -> None:
    """Each cell of the app runs over a warehouse, as a script runs them."""
    done = subprocess.run(
        [
            str(environments.analyst_python()),
            str(ROOT / "pipelines" / "task_history_cli" / "explore" / "app.py"),
        ],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


TWENTY = (ROOT / "docs" / "how-to" / "answer-twenty-questions.md").read_text("utf-8")
EMPTY_HERE = {4, 10, 12, 16, 18}
"""Questions whose answer may be that there is none: nobody went quiet, no incident, nothing new, replayed or stuck."""


def questions() -> list[tuple[int, str]]:
    """The number and the query of each question of the page."""
    found = re.findall(r"\*\*(\d+)\. .*?\*\*.*?```sql\n(.*?)```", TWENTY, flags=re.DOTALL)
    return [(int(number), sql) for number, sql in found]


def test_twenty_questions_are_answered(place: Place) -> None:
    """Each is one statement, and has rows where a made warehouse holds what it asks for."""
    assert [number for number, _ in questions()] == list(range(1, 21))
    rows = {number: place.query(sql) for number, sql in questions()}
    assert {number for number, of_one in rows.items() if not of_one} <= EMPTY_HERE
