"""Bounds of the names that users give."""

from __future__ import annotations

from task_history import systems
from task_history.core.dataset_names import LANES, MAX_INSTANCE_CHARS
from task_history.runs.lanes import SHARDS

DLTS_MAX_SCHEMA_NAME_CHARS = 64


def test_the_longest_name_of_an_account_makes_a_schema_name_that_dlt_takes() -> None:
    """An account's name of the most characters gives pipelines of every system and lane a name within dlt's bound."""
    account = "x" * MAX_INSTANCE_CHARS
    names = [
        f"task_history_{system}_{account}_{lane}_{SHARDS.most}"
        for system in systems.names()
        for lane in LANES
    ]
    assert max(map(len, names)) <= DLTS_MAX_SCHEMA_NAME_CHARS
