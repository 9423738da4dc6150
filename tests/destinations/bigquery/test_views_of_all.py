"""Views in BigQuery show everything that the project holds, whichever configuration made them last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorder import Recorder
from tests.support.few_views import few_views
from tests.support.place import Place
from tests.support.views_of_all import synced_machines


@pytest.mark.torture
@pytest.mark.parametrize("synced", [[0, 1], [0, 1, 2]])
def test_views_show_the_accounts_of_all_configurations(
    bigquery: Emulator, tmp_path: Path, synced: list[int]
) -> None:
    """Whichever of the configurations on several machines synced last, the views show the rows of all."""
    with Recorder(bigquery.url) as recorder, few_views("executions"):

        def machine(name: str, sandbox: SandboxProcess, **settings: Any) -> Place:
            return BigQueryPlace(tmp_path / name, sandbox, recorder, **settings)

        with synced_machines(machine, "bigquery", again=[0], synced=synced):
            pass
