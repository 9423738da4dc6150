"""A warehouse that takes no row without one of its fields, and a vendor that sends such a row for a while."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import altering
from tests.support.place import PERFECT, STEP_FIELDS, Place, differences, truth

NOW = "2026-10-20T12:00:00+00:00"
WORLD: dict[str, Any] = {"executions": 120, "seed": 17, "days": 20, "now": NOW, "freeze": True}
SETTINGS: dict[str, Any] = {"start_date": "2026-09-01", "integrations": None}
REFUSED = {
    "execution": ("workflow_executions", "workflow_id", "id", "workflowId"),
    "step": ("step_executions", "step_id", "workflowExecutionId", "stepId"),
}
"""Table, column, and in the vendor's rows the key of the execution's id and of the field that is missing for a while."""


class Poison:
    """The rows of one execution that come without a field while ``is_sent``."""

    def __init__(self, identity: str, kind: str) -> None:
        self.table, self.column, self._identity, self._field = REFUSED[kind]
        self._value = identity
        self.is_sent = True

    def alter(self, _: str, body: bytes) -> bytes:
        data = json.loads(body)
        if self.is_sent:
            self._take_away(data)
        return json.dumps(data).encode()

    def _take_away(self, value: Any) -> None:
        if isinstance(value, dict) and self._field in value and value.get(self._identity) == self._value:
            value[self._field] = None
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self._take_away(inner)


@contextmanager
def poisoned(kind: str) -> Iterator[tuple[SandboxProcess, Poison, str]]:
    """A sandbox, what is missing in one of its executions (neither the newest nor the oldest), and its address."""
    with SandboxProcess(**WORLD) as sandbox:
        sandbox.advance(2 * 86_400)
        executions = sorted(truth(sandbox).values(), key=lambda row: str(row["dateStarted"]))
        poison = Poison(str(executions[len(executions) // 2]["id"]), kind)
        with altering(sandbox.base_url, poison.alter) as url:
            yield sandbox, poison, url


def check_that_a_refused_package_holds_nothing_up(
    place: Place, sandbox: SandboxProcess, poison: Poison, *words: str, execute: Callable[[str], None]
) -> None:
    """The run names what was refused and goes on with the rest; the run after the vendor's row is clean brings all."""
    command, refused = ("sync", "paragon", *words), f"{poison.table}.{poison.column}"
    place.run(*command, "--max-requests", "0", expect=None)
    execute(f"ALTER TABLE paragon.{poison.table} ALTER COLUMN {poison.column} SET NOT NULL")
    for _ in range(2):
        done = place.run(*command, expect=4)
        assert refused in done.stderr
        runs = "SELECT outcome, reason FROM paragon.sync_runs ORDER BY started_at DESC LIMIT 1"
        [(outcome, reason)] = place.query(runs)
        assert (outcome, refused in reason) == ("failed", True)
        (status,) = json.loads(place.run("status", "paragon", "--json", *words).stdout)["systems"]
        assert {(one["table"], one["column"]) for one in status["refused"]} == {(poison.table, poison.column)}
        assert f"refused   {refused}" in place.run("status", "paragon", *words).stdout
    poison.is_sent = False
    assert json.loads(place.run(*command, "--json").stdout)["complete"]
    assert differences(place, sandbox) == PERFECT
    steps = {
        step["id"]: {key: step.get(key) for key in STEP_FIELDS.values()}
        for row in sandbox.truth(steps=True)
        for step in row["_steps"]
        if row.get("dateEnded")
    }
    held = place.steps()
    assert {key: held.get(key) for key in steps} == steps
