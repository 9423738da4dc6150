"""Warehouses that version 0.1.0 made of the sandbox's worlds, and those worlds with the odd fields that it was sent.

``former_version.tar.xz`` holds a folder per system: the tables as DuckDB's ``EXPORT DATABASE`` wrote them (Parquet),
and the working folder of dlt without its finished packages, in which the project's folder is called ``/srv/project``.
It was made with the code of 0.1.0 against ``world``, with ``SETTINGS``, by::

    sync SYSTEM                                          (steps=failed; one request for a list is answered with 429)
    backfill SYSTEM --from 2026-02-23 --to 2026-02-24    (steps=all, from here on)
    sync SYSTEM --max-requests 20                        (an hour later; Twinit 70, B3OS 60: some steps are left)

and packed by ``pack``. A change of the worlds of the sandbox needs it to be made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from task_history_cli.sandbox.process import SandboxProcess

from .altering_proxy import altering

ARCHIVE = Path(__file__).with_name("former_version.tar.xz")
WORLD: dict[str, Any] = {
    "executions": 90,
    "days": 8,
    "freeze": True,
    "now": "2026-03-01T00:00:00Z",
    "future_hours": 24,
    "open_days": 0.1,
    "late": 0.05,
    "failed": 0.2,
    "workflows": 4,
}
SETTINGS: dict[str, Any] = {"start_date": "2026-02-25", "retention_days": 0}
_VENDORS_FIELDS = 230
"""More than become columns now."""


@contextmanager
def world(system: str) -> Iterator[tuple[SandboxProcess, str]]:
    """The sandbox as version 0.1.0 met it, and the address under which it sends odd fields, too."""
    with SandboxProcess(system, **WORLD) as sandbox, altering(sandbox.base_url, _with_odd_fields) as url:
        yield sandbox, url


def _with_odd_fields(_: str, body: bytes) -> bytes:
    """The answer with fields in its executions that no column is declared for, of several types each."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    _leave_out_who_began(answer)
    for row in _executions(answer):
        number = sum(str(row.get("id") or row.get("_id")).encode())
        if number % 3 == 0:
            row |= {"oddNumber": number / 7, "oddBig": 10**25 + number, "oddFlag": True, "Odd Name!": number}
            row |= {"oddObject": {"a": [number, {"b": None}], "c": 1.0}, "oddText": f"007{number}"}
        elif number % 3 == 1:
            row |= {"oddNumber": "none", "oddFlag": "yes", "oddObject": "plain"}
        if number % 4 == 0 and "workflowId" in row and "taskCount" in row:
            row |= {f"vendorField{place}": number + place for place in range(_VENDORS_FIELDS)}
    return json.dumps(answer).encode()


def _leave_out_who_began(value: Any) -> None:
    """Takes out of an answer of B3OS what its sandbox did not yet send then."""
    if isinstance(value, dict):
        value.pop("initiatedById", None)
        value.pop("initiatedByType", None)
        if "triggeredBy" in value:
            value["triggeredBy"] = ""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _leave_out_who_began(one)


def _executions(answer: Any) -> Iterator[dict[str, Any]]:
    """The executions in a page of any of the systems."""
    rows = answer
    for key in ("data", "workflowExecutions", "executions", "runs", "_items", "items"):
        if isinstance(rows, dict) and isinstance(rows.get(key), list | dict):
            rows = rows[key]
    if isinstance(rows, list):
        yield from (row for row in rows if isinstance(row, dict) and ("id" in row or "_id" in row))


def unpack(system: str, folder: Path, *, with_working_folder: bool, archive: Path = ARCHIVE) -> None:
    """Puts that system's warehouse into ``folder/warehouse.duckdb``, and what dlt kept into ``folder/dlt``."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, [one for one in packed if one.name.split("/")[0] == system], filter="data")
    exported = folder / system / "tables"
    file = folder / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        statements = duckdb.extract_statements((exported / "schema.sql").read_text())
        # A view may stand before one that it asks.
        while statements:
            statement = statements.pop(0)
            try:
                connection.execute(statement)
            except duckdb.CatalogException:
                statements.append(statement)
        for parquet in exported.glob("*.parquet"):
            # It is named ``<dataset>_<table>``, in the dataset's name without digits.
            table = parquet.stem[len(system) + 1 :]
            connection.execute(
                f'INSERT INTO {system}."{table}" SELECT * FROM read_parquet(?)', [str(parquet)]
            )
    if with_working_folder:
        pipelines = folder / "dlt" / "pipelines"
        pipelines.mkdir(parents=True)
        shutil.move(folder / system / "working", pipelines / _working_name(file))
    shutil.rmtree(folder / system)


def pack(system: str, folder: Path, into: Path) -> None:
    """Puts the warehouse and the working folder that a run left in ``folder`` into ``into/<system>``."""
    exported = into / system / "tables"
    exported.parent.mkdir(parents=True)
    file = folder / "warehouse.duckdb"
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute(f"EXPORT DATABASE '{exported}' (FORMAT parquet, COMPRESSION zstd)")
    (exported / "load.sql").unlink()
    working = folder / "dlt" / "pipelines" / _working_name(file)
    shutil.copytree(working, into / system / "working", ignore=_finished)


def _finished(folder: str, names: list[str]) -> set[str]:
    return set(names) if Path(folder).name == "loaded" else set()


def _working_name(file: Path) -> str:
    """The folder in which version 0.1.0 kept what dlt keeps, beside those of other warehouses."""
    place = f"duckdb\0{file}"
    return f"task_history-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
