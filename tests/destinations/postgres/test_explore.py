"""``explore`` over Postgres: the app's own queries, each by its cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_explore import App
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace


@pytest.mark.torture
def test_every_cell_runs(postgres: Server, tmp_path: Path) -> None:
    """The app runs to its end over the views of a sync, with no error in any cell."""
    with SandboxProcess(executions=60, freeze=True) as sandbox:
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="failed", payloads="failed")
        place.run("sync", "paragon", *ON_POSTGRES)
        app = App(place, *ON_POSTGRES)
        try:
            app.wait()
            assert app.errors() == []
        finally:
            app.end()
