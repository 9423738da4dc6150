"""The limits of Dagster's pools: how many runs of an account's sync and of its backfills may be active at a time.

Dagster keeps them in its instance and not in definitions, so that a sensor sets them there.
https://docs.dagster.io/guides/operate/managing-concurrency/concurrency-pools
"""

# Without postponed annotations: Dagster compares the type of ``context`` with its own classes.
import json
from collections.abc import Mapping

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)


def pools_sensor(limits: Mapping[str, int]) -> SensorDefinition:
    """A sensor that gives each pool its limit, and leaves one that a person has set by the UI or the command line."""

    @sensor(
        name="task_history_pools",
        description="Sets how many runs of each account may be active: one sync, and as many backfills as its warehouse "
        "takes. Limits that a person has set stay.",
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.RUNNING,
    )
    def task_history_pools(context: SensorEvaluationContext) -> SensorResult:
        changed = set_limits(context.instance, limits, json.loads(context.cursor or "{}"))
        names = ", ".join(f"{name} {limits[name]}" for name in changed)
        return SensorResult(
            skip_reason=f"Limits set: {names}." if changed else "All pools have a limit.",
            cursor=json.dumps(limits),
        )

    return task_history_pools


def set_limits(instance: DagsterInstance, limits: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """Sets the limits where there is none, the instance's default, or the one set ``before``; returns which were set."""
    found = {
        pool.name: pool.limit
        for pool in instance.event_log_storage.get_pool_limits()
        if not pool.from_default
    }
    changed = [
        name
        for name, limit in limits.items()
        if found.get(name) in (None, before.get(name)) and found.get(name) != limit
    ]
    for name in changed:
        instance.event_log_storage.set_concurrency_slots(name, limits[name])
    return changed
