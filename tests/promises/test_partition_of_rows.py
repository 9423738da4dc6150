"""A row that does not say to which partition it belongs takes the one whose list was asked for."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_every_system import held, truth
from tests.support.altering_proxy import altering
from tests.support.place import Place
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {"executions": 30, "seed": 5, "days": 4, "future_hours": 30, "open_days": 0.1}
WORLD |= {"now": "2026-03-01T00:00:00Z", "freeze": True}
KEYS = {"sailpoint": "workflowId", "twinit": "_namespaces"}
"""The vendor's key that names the partition, by system."""
RANGE = ("--from", "2026-02-26", "--to", "2026-03-01")


@pytest.mark.parametrize(
    ("system", "sent"),
    rest_as_torture(product(KEYS, ("absent", "null")), kept=[("twinit", "null")]),
)
def test_rows_without_their_partition_take_the_one_that_was_asked_for(
    system: str, sent: str, tmp_path: Path
) -> None:
    """In lists and in single reads: what is stored names the same partition as where the vendor names it."""
    key, own = KEYS[system], systems.find(system)
    assert own.partition_column is not None
    column = own.partition_column.name

    def unnamed(path: str, body: bytes) -> bytes:
        if "definition" in path or path.partition("?")[0].endswith("/workflowdefs"):
            return body
        data = json.loads(body)
        _strip(data, key, is_null=sent == "null")
        return json.dumps(data).encode()

    with (
        SandboxProcess(system, **WORLD) as sandbox,
        altering(sandbox.base_url, unnamed) as url,
    ):
        place = Place(tmp_path, sandbox, system=system, retention_days=0, base_url=url)
        for hours in (0, 26):
            sandbox.advance(hours * 3600)
            assert place.quick_sync()["complete"]
            rows = place.query(f"SELECT id, {column} FROM {system}.{own.executions.name}")
            of = {own.identity(row): row[key] for row in sandbox.truth()}
            # A run may be in several namespaces.
            assert [row for row in rows if row[1] is None or row[1] not in of[row[0]]] == []
        assert held(place, own) == truth(sandbox, own)
        if system == "sailpoint" or sent == "absent":
            assert json.loads(place.run("audit", system, *RANGE, "--json").stdout)["clean"]


def _strip(data: Any, key: str, *, is_null: bool) -> None:
    if isinstance(data, list):
        for entry in data:
            _strip(entry, key, is_null=is_null)
    elif isinstance(data, dict):
        if data.pop(key, None) is not None and is_null:
            data[key] = None
        for entry in data.values():
            _strip(entry, key, is_null=is_null)
