"""dbt reads the sources as they are printed: every table is there, every test holds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import duckdb

from task_history import systems
from task_history.views import create as creating
from task_history.views import dictionary
from tests.support import environments, made_warehouse
from tests.unit.views.test_views import access

PROFILE = """
reads:
  target: dev
  outputs:
    dev: {{type: duckdb, path: {file}, schema: analytics}}
"""
MODEL = """
select integration, count(*) as failures
from {{ source('task_history', 'executions') }} as e
where status = 'failed' and execution_id in (select id from {{ source('paragon', 'workflow_executions') }})
group by integration
"""


def test_dbt_takes_the_sources(tmp_path: Path) -> None:
    """A project with the printed sources builds a model over them, all its tests hold, and freshness is judged."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        for system in systems.names():
            made_warehouse.empty(connection, system, system)
        made_warehouse.fill(connection, executions=300, now="now()")
        creating.refresh(access(connection))
        (failures,) = connection.execute(
            "SELECT count(*) FROM task_history.executions WHERE status = 'failed'"
        ).fetchone() or (0,)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sources.yml").write_text(dictionary.dbt_sources(), "utf-8")
    (tmp_path / "models" / "failures.sql").write_text(MODEL)
    (tmp_path / "dbt_project.yml").write_text(
        'name: reads\nversion: "1.0"\nprofile: reads\nmodel-paths: [models]\n'
    )
    (tmp_path / "profiles.yml").write_text(PROFILE.format(file=file))
    for words in (("build",), ("source", "freshness", "--select", "source:paragon", "source:task_history")):
        done = subprocess.run(
            [str(environments.dbt()), "--no-use-colors", *words, "--profiles-dir", "."],
            cwd=tmp_path,
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT sum(failures) FROM analytics.failures").fetchone() == (failures,)
