"""Runs assets by Dagster in this process, and prints what came of each; started with Dagster's own Python.

``python -m tests.support.dagster_runs FOLDER '[["paragon/sync", null], ["paragon/backfill", "2026-01-01"]]'``;
schedules that Dagster has to take may follow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from task_history_cli.fleet.dagster_definitions import task_history_definitions


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """The assets with their columns and partitions, and the schedules."""
    graph = definitions.resolve_asset_graph()
    assets = {}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        schema = node.metadata.get("dagster/column_schema")
        assets[key.to_user_string()] = {
            "depends_on": sorted(parent.to_user_string() for parent in node.parent_keys),
            "columns": {column.name: column.description for column in schema.columns} if schema else {},
            "partitions": node.partitions_def.get_partition_keys() if node.partitions_def else [],
        }
    repository = definitions.get_repository_def()
    return {
        "assets": assets,
        "schedules": {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs},
    }


def ran(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str, partition: str | None
) -> dict[str, Any]:
    """What came of one run of an asset, whose name has a slash, or of a job."""
    if "/" in name:
        job = definitions.resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey.from_user_string(name)]
    else:
        job, selection = definitions.resolve_job_def(name), None
    result = job.execute_in_process(
        instance=instance, asset_selection=selection, partition_key=partition, raise_on_error=False
    )
    failures = result.filter_events(lambda event: event.is_step_failure)
    return {
        "success": result.success,
        "materialized": {
            event.asset_key.to_user_string(): {
                name: _plain(value.value) for name, value in event.materialization.metadata.items()
            }
            for event in result.get_asset_materialization_events()
        },
        "checks": {
            f"{check.asset_key.to_user_string()} {check.check_name}": check.passed
            for check in result.get_asset_check_evaluations()
        },
        "attempts": 1 + len(result.filter_events(lambda event: event.is_step_restarted)),
        "error": failures[0].step_failure_data.user_failure_data.description if failures else None,
    }


def pools(definitions: dg.Definitions) -> list[dict[str, int]]:
    """The limits of the pools after the sensor's first tick, and after another one when a person has set one of them."""
    (found,) = [each for each in definitions.sensors or () if each.name == "task_history_pools"]
    limits: list[dict[str, int]] = []
    with TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        cursor = None
        for _ in range(2):
            cursor = found(dg.build_sensor_context(instance=instance, cursor=cursor)).cursor
            limits.append({pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()})
            instance.event_log_storage.set_concurrency_slots("paragon_sync", 3)
    return limits


def _plain(value: Any) -> Any:
    return value.to_user_string() if isinstance(value, dg.AssetKey) else value


def main(folder: str, wanted: str, *schedules: str) -> None:
    for schedule in schedules:
        dg.ScheduleDefinition(job_name="job", cron_schedule=schedule)  # raises where it is none
    definitions = task_history_definitions(folder=Path(folder), retries=1, retry_delay_s=0.1)
    dg.Definitions.validate_loadable(definitions)
    with dg.DagsterInstance.ephemeral() as instance:
        runs = [ran(definitions, instance, *one) for one in json.loads(wanted)]
    found = {"definitions": described(definitions), "pools": pools(definitions), "runs": runs}
    print(json.dumps(found))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
