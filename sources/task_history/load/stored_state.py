"""Whether dlt's state and schemas in the warehouse are still those of the working folder, by numbers of rows.

dlt only appends to the tables that hold them, and BigQuery tells numbers of rows without a query: where they are what
this machine left, no other one has written since, and nothing has to be asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dlt

from ..core import files
from . import dlt_internals
from .destinations import Backend

_FILE = "task_history_warehouse.json"
_VERSIONS = "_dlt_version"


class StoredState:
    """The numbers of rows of dlt's own tables, as the last commit from this working folder left them."""

    def __init__(self, pipeline: dlt.Pipeline, backend: Backend) -> None:
        self._file = Path(pipeline.working_dir) / _FILE
        self._backend = backend
        self._state, self._loads = dlt_internals.state_table_name(), "_dlt_loads"
        self._rows: dict[str, int] | None = None
        """The numbers of rows now; None where another machine may have written something that was not read."""
        self._schemas: list[tuple[str, str]] = []
        """The schemas that were known to be stored when their numbers were counted."""

    def is_known(self, client: Any) -> bool:
        """Whether the working folder has all that the warehouse has; if so, the schemas need not be asked for either."""
        if not self._backend.tells_row_counts:
            return False
        self._rows = self._counted(client)
        noted = self._noted()
        is_known = bool(self._rows) and noted.get("rows") == self._rows
        if is_known:
            self._backend.know_schemas(noted.get("schemas", []))
            self._schemas = self._backend.known_schemas()
        return is_known

    def prepared(self, client: Any, *, was_known: bool) -> None:
        """Counts again after the state was read and the tables were made. None but this machine wrote if nothing came."""
        if was_known or not self._backend.tells_row_counts:
            return
        before, now = self._rows or {}, self._counted(client)
        none_came = all(before.get(name, 0) == now.get(name, 0) for name in (self._state, self._loads))
        self._rows = now if none_came else None

    def committed(self, client: Any, info: Any) -> None:
        """Notes the rows that a commit of this machine added."""
        if self._rows is None:
            return
        schemas = self._backend.known_schemas()
        if schemas != self._schemas:
            # Whatever other machines store, the schemas that this one knows are there.
            now = self._counted(client)
            self._rows |= {name: count for name, count in now.items() if name.endswith(_VERSIONS)}
            self._schemas = schemas
        for package in info.load_packages:
            jobs = package.jobs["completed_jobs"]
            states = sum(job.job_file_info.table_name == self._state for job in jobs)
            self._rows[self._state] = self._rows.get(self._state, 0) + states
            self._rows[self._loads] = self._rows.get(self._loads, 0) + 1
        noted = {"rows": self._rows, "schemas": schemas}
        files.replace(self._file, json.dumps(noted).encode())

    def _noted(self) -> Mapping[str, Any]:
        try:
            noted = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _counted(self, client: Any) -> dict[str, int]:
        """Numbers of rows by table, of the dataset and of its staging dataset; without tables that are not there."""
        rows = self._backend.row_counts(client, (self._state, self._loads, _VERSIONS))
        with client.with_staging_dataset():
            staged = self._backend.row_counts(client, (_VERSIONS,))
        return rows | {f"staging.{name}": count for name, count in staged.items()}
