"""Accounts of several configurations in one warehouse: what its views show after each sync of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

QUIET = {"steps": "none", "payloads": "none"}
PER_ACCOUNT = "SELECT system, instance, count(*) FROM task_history.executions GROUP BY 1, 2 ORDER BY 1, 2"
OWN = [("paragon", "", 30), ("paragon", "other", 20), ("b3os", "", 10)]
"""What each of the machines brings."""


class MakeMachine(Protocol):
    """Makes a working folder of its own, into the one warehouse."""

    def __call__(self, name: str, sandbox: SandboxProcess, **settings: Any) -> Place: ...


@contextmanager
def synced_machines(
    machine: MakeMachine, warehouse: str, *, again: Sequence[int], synced: Collection[int] = range(3)
) -> Iterator[tuple[Place, Place, Place]]:
    """Two configurations of one system and one of another, on three machines: all rows are shown after each sync.

    The second of the two that name no ``instance`` is told apart by its dataset. The machines whose numbers are
    in ``synced`` sync, then those in ``again`` a second time.
    """
    on = ("--destination", warehouse)
    with (
        SandboxProcess(executions=30, freeze=True) as first_world,
        SandboxProcess(executions=20, freeze=True, seed=7) as second_world,
        SandboxProcess("b3os", executions=10, freeze=True) as third_world,
    ):
        first = machine("first", first_world, **QUIET)
        second = machine("second", second_world, dataset_name="other", **QUIET)
        third = machine("third", third_world, system="b3os", steps="none", dataset_name="west")
        places = (first, second, third)
        expected: list[tuple[str, str, int]] = []
        for number in synced:
            places[number].run("sync", places[number].system, *on)
            expected = sorted([*expected, OWN[number]])
            assert first.query(PER_ACCOUNT) == expected
        for number in again:
            said = places[number].run("sync", places[number].system, *on).stderr
            assert "views_created" not in said
            assert first.query(PER_ACCOUNT) == expected
        made = json.loads(first.run("views", "--json", *on).stdout)
        assert made["datasets"] == sorted(["paragon", "other", "west"][number] for number in synced)
        yield places
