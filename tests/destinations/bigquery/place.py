"""A place of one's own whose warehouse is BigQuery's emulator."""

from __future__ import annotations

import json
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery
from google.oauth2 import service_account

from task_history_cli.runtime import views
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.recorder import Recorder
from tests.support.place import FIELDS, STEP_FIELDS, Place, without_checks


class BigQueryPlace(Place):
    """The commands' environment, and a client that looks at what they left."""

    LOADS_ALL = True

    def __init__(
        self, folder: Path, sandbox: SandboxProcess | None, recorder: Recorder, **settings: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, sandbox, **settings)
        self.recorder = recorder
        self.env.pop("DESTINATION__DUCKDB__CREDENTIALS")
        self.env.update(recorder.environment())

    def elsewhere(self, folder: Path) -> BigQueryPlace:
        """The same settings and warehouse on a machine that has never run."""
        other = type(self)(folder, None, self.recorder)
        other.env.update(self.env)
        other.env["DLT_DATA_DIR"] = str(folder / "dlt")
        other.env["TASK_HISTORY_STATE_DIR"] = str(folder / "state")
        return other

    def sync(self, *words: str, expect: int | None = 0) -> dict[str, Any]:
        return super().sync("--destination", "bigquery", *words, expect=expect)

    @cached_property
    def client(self) -> bigquery.Client:
        """One that nobody records."""
        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            json.loads(self.recorder.service_account),
            scopes=["https://www.googleapis.com/auth/bigquery"],
        )
        return bigquery.Client(
            project=self.recorder.project,
            credentials=credentials,
            client_options={"api_endpoint": self.recorder.upstream},
        )

    def different_steps(self, sandbox: SandboxProcess) -> set[str]:
        """The ids of steps that stand in the warehouse or at the vendor alone, of executions that have ended."""
        right = {
            step["id"]
            for execution in sandbox.truth(steps=True)
            if execution.get("dateEnded")
            for step in execution["_steps"]
        }
        return right ^ self.steps().keys()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.client.query_and_wait(sql)]

    def _rows(self, table: str, fields: dict[str, str]) -> dict[str, dict[str, Any]]:
        columns = [
            f"FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E3SZ', {name}) AS {name}"
            if name.startswith("date_")
            else name
            for name in fields
        ]
        rows = [
            dict(zip(fields.values(), row, strict=True))
            for row in self.query(f"SELECT {', '.join(columns)} FROM {table}")
        ]
        found = {row["id"]: row for row in rows}
        assert len(found) == len(rows), "an id is in the table twice"
        return found


class BigQueryPlaceWithoutViews(BigQueryPlace):
    """One whose runs make no views and check none: both take most of the time of a first sync. For tests of all else."""

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        with without_checks(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(views, "refresh", lambda access: None)
            return super().run(*words, expect=expect)


__all__ = ["FIELDS", "STEP_FIELDS", "BigQueryPlace", "BigQueryPlaceWithoutViews"]
