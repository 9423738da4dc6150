"""Dagster definitions of all configured accounts: assets, schedules, monthly partitions and checks.

In a project of your own: ``defs = task_history_definitions()``. Without one: ``dagster dev -m
task_history_cli.fleet.definitions``. Dagster runs the ``task-history`` command as a process and reads its ``--json``.

https://docs.dagster.io/guides/build/assets
"""

# Without postponed annotations: Dagster compares the type of ``context`` with its own classes.
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetChecksDefinition,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    BackfillPolicy,
    Backoff,
    DefaultScheduleStatus,
    Definitions,
    MaterializeResult,
    MetadataValue,
    MonthlyPartitionsDefinition,
    RetryPolicy,
    ScheduleDefinition,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
    define_asset_job,
    get_dagster_logger,
    multi_asset,
)

from task_history.core.exit_codes import ExitCode

from .command_process import CommandProcess, require_result
from .dagster_checks import equality, freshness, freshness_schedule, integrity, raise_if_failed
from .dagster_pools import pools_sensor

_VIEWS = AssetKey(["task_history", "views"])


def task_history_definitions(
    *,
    select: Sequence[str] = (),
    destination: str | None = None,
    folder: Path | None = None,
    stale_after: timedelta = timedelta(hours=3),
    audited_days: int = 7,
    retries: int = 3,
    retry_delay_s: float = 60.0,
) -> Definitions:
    """Assets, schedules and checks of the accounts that are configured in the project's folder and the environment.

    Per account, with its dataset as the prefix of the keys: ``sync`` on the account's schedule, ``backfill`` with one
    partition for each month, and the tables below both. An account that cannot run is left out and named in the log.

    Args:
        select: only accounts with such names, such as ``paragon*``.
        destination: the warehouse, as ``--destination``.
        folder: the project's folder, the current one by default.
        stale_after: how far a dataset may lag behind until its check ``is_fresh`` fails.
        audited_days: how many days the check ``is_equal_to_vendor`` compares.
        retries: how often a run is tried again whose vendor or warehouse was unavailable.
        retry_delay_s: seconds before the first of these, doubled for each further one.

    Raises:
        RuntimeError: no account is configured, or the command cannot be run; says which and why.
    """
    command = CommandProcess.from_environment(folder)
    chosen = [word for pattern in select for word in ("--select", pattern)]
    warehouse = ["--destination", destination] if destination else []
    listed = ("fleet", "list", *chosen, *warehouse)
    accounts = require_result(command.run(*listed), listed)["accounts"]
    described = require_result(command.run("systems"), ("systems",))["systems"]
    tables = {system["name"]: system["tables"] for system in described}
    policy = RetryPolicy(max_retries=retries, delay=retry_delay_s, backoff=Backoff.EXPONENTIAL)
    parts = []
    for account in accounts:
        if account["error"]:
            get_dagster_logger().warning(f"{account['account']} is left out: {account['error']}")
            continue
        parts.append(_Account(account, tables[account["system"]], command, warehouse, policy))
    accounts_by_sync = {part.key("sync"): part.name for part in parts}
    table_keys = [spec.key for part in parts for spec in part.tables()]
    return Definitions(
        assets=[
            *(part.sync() for part in parts),
            *(part.backfill() for part in parts),
            *(spec for part in parts for spec in part.tables()),
            _views(command, warehouse, table_keys),
            *([_report(command, warehouse, min(part.first_month for part in parts))] if parts else []),
        ],
        asset_checks=[
            *([freshness(accounts_by_sync, command, warehouse, stale_after)] if parts else []),
            *(part.is_equal_to_vendor(audited_days) for part in parts),
            integrity(_VIEWS, command, warehouse),
        ],
        schedules=[
            *(part.schedule() for part in parts),
            *([freshness_schedule(accounts_by_sync)] if parts else []),
        ],
        sensors=[pools_sensor({pool: limit for part in parts for pool, limit in part.pools().items()})],
    )


class _Account:
    """The definitions of one account; ``listed`` is its entry in ``fleet list --json``."""

    def __init__(
        self,
        listed: Mapping[str, Any],
        tables: Sequence[Mapping[str, Any]],
        command: CommandProcess,
        warehouse: Sequence[str],
        policy: RetryPolicy,
    ) -> None:
        self._listed = listed
        self._tables = tables
        self._command = command
        instance = ["--instance", listed["instance"]] if listed["instance"] else []
        self._words = [listed["system"], *instance, *warehouse]
        self._policy = policy
        self._dataset: str = listed["dataset"]
        self._group = self._dataset
        """Dagster's group of the account's assets."""
        self._backfills_at_once: int = listed["backfills_at_once"]

    @property
    def name(self) -> str:
        """As ``fleet --select`` takes it."""
        name: str = self._listed["account"]
        return name

    @property
    def first_month(self) -> str:
        """The first month to backfill, as ``2026-09``."""
        month: str = self._listed["first_month"]
        return month

    def pools(self) -> dict[str, int]:
        """How many runs of the sync and of the backfill may be active at a time, by the name of their pool."""
        return {self._pool("sync"): 1, self._pool("backfill"): self._backfills_at_once}

    def key(self, name: str) -> AssetKey:
        return AssetKey([self._dataset, name])

    def sync(self) -> AssetsDefinition:
        """Everything new since the last sync, and what was still open."""
        return self._run_asset(
            "sync", f"Everything new at {self._listed['account']} since the last sync, and what was open."
        )

    def backfill(self) -> AssetsDefinition:
        """One month of the past for each partition."""
        return self._run_asset(
            "backfill",
            f"A month of the past of {self._listed['account']}, as its vendor still shows it.",
            months=_months(self.first_month),
        )

    def tables(self) -> Iterator[AssetSpec]:
        """The tables of the dataset, with their columns."""
        for table in self._tables:
            yield AssetSpec(
                self.key(table["name"]),
                deps=[self.key("sync"), self.key("backfill")],
                description=table["description"],
                group_name=self._group,
                kinds={self._listed["destination"], "table"},
                metadata={"dagster/column_schema": _column_schema(table)},
            )

    def schedule(self) -> ScheduleDefinition:
        """The sync, on the account's own schedule."""
        name = f"{self._dataset}_scheduled_sync"
        return ScheduleDefinition(
            job=define_asset_job(name, AssetSelection.assets(self.key("sync")).without_checks()),
            cron_schedule=self._listed["schedule"],
            execution_timezone="UTC",
            default_status=DefaultScheduleStatus.RUNNING,
        )

    def is_equal_to_vendor(self, days: int) -> AssetChecksDefinition:
        """Whether an audit of the last days finds the warehouse equal to what the vendor shows."""
        return equality(self.key("sync"), self._words, self._command, days)

    def _pool(self, command: str) -> str:
        return f"{self._dataset}_{command}"

    def _run_asset(
        self, command: str, description: str, *, months: MonthlyPartitionsDefinition | None = None
    ) -> AssetsDefinition:
        key = self.key(command)

        @multi_asset(
            name=f"{self._dataset}_{command}",
            specs=[
                AssetSpec(
                    key,
                    description=description,
                    group_name=self._group,
                    kinds={"dlt", self._listed["destination"]},
                    # A run that finds another one active materializes nothing.
                    skippable=True,
                    partitions_def=months,
                )
            ],
            retry_policy=self._policy,
            backfill_policy=BackfillPolicy.multi_run(1) if months else None,
            pool=self._pool(command),
        )
        def run(context: AssetExecutionContext) -> Iterator[MaterializeResult]:
            span = ["--month", context.partition_key[:7]] if months else []
            # A shard runs side by side with those of other months.
            shards = ["--shards", "1"] if months and self._backfills_at_once > 1 else []
            ended = self._command.run(command, *self._words, *span, *shards, on_line=context.log.info)
            if ended.exit_code == ExitCode.ALREADY_RUNNING:
                context.log.warning(ended.error)
                return
            raise_if_failed(ended)
            for table, rows in ended.result["rows"].items():
                # The month is the backfill's partition: the tables have none.
                context.log_event(
                    AssetMaterialization(self.key(table), metadata={"rows_written": MetadataValue.int(rows)})
                )
            yield MaterializeResult(asset_key=key, metadata=_metadata(ended.result))

        return run


def _views(command: CommandProcess, warehouse: Sequence[str], tables: Sequence[AssetKey]) -> AssetsDefinition:
    @multi_asset(
        name="task_history_views",
        specs=[
            AssetSpec(
                _VIEWS,
                deps=tables,
                description="The analysts' views over all accounts. Each sync makes them where they changed.",
                kinds={"view"},
            )
        ],
    )
    def make_views(context: AssetExecutionContext) -> MaterializeResult:
        ended = command.run("views", *warehouse, on_line=context.log.info)
        raise_if_failed(ended)
        return MaterializeResult(
            asset_key=_VIEWS, metadata={"views": MetadataValue.json(ended.result["views"])}
        )

    return make_views


def _report(command: CommandProcess, warehouse: Sequence[str], first_month: str) -> AssetsDefinition:
    key = AssetKey(["task_history", "report"])

    @multi_asset(
        name="task_history_report",
        specs=[
            AssetSpec(
                key,
                deps=[_VIEWS],
                description="The report on a month: one HTML file in the folder reports, which opens offline.",
                kinds={"html"},
                partitions_def=_months(first_month),
            )
        ],
    )
    def make_report(context: AssetExecutionContext) -> MaterializeResult:
        month = context.partition_key[:7]
        folder = command.folder / "reports"
        folder.mkdir(exist_ok=True)
        file = folder / f"{month}.html"
        ended = command.run(
            "report", "--month", month, "--out", str(file), *warehouse, on_line=context.log.info
        )
        raise_if_failed(ended)
        return MaterializeResult(
            asset_key=key,
            metadata={"file": MetadataValue.path(file), "totals": MetadataValue.json(ended.result["totals"])},
        )

    return make_report


def _months(first: str) -> MonthlyPartitionsDefinition:
    """The months from ``2026-09`` on, the present one included."""
    return MonthlyPartitionsDefinition(start_date=f"{first}-01", end_offset=1, timezone="UTC")


def _metadata(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a run did, as Dagster plots it."""
    left = result["left"]
    return {
        **{
            name: MetadataValue.int(result[name])
            for name in (
                "executions",
                "settled",
                "steps",
                "payloads",
                "requests",
                "commits",
                "unverified_windows",
            )
        },
        "details_left": MetadataValue.int(left["details"]),
        "payloads_left": MetadataValue.int(left["payloads"]),
        "open_executions": MetadataValue.int(left["open_executions"]),
        "duration_s": MetadataValue.float(float(result["duration_s"])),
        "is_complete": MetadataValue.bool(result["complete"]),
        "report": MetadataValue.asset(AssetKey(["task_history", "report"])),
        "run_id": MetadataValue.text(str(result["run_id"])),
        "requests_by_kind": MetadataValue.json(result["requests_by_kind"]),
        "budget_left": MetadataValue.json(result["budget"]),
    }


def _column_schema(table: Mapping[str, Any]) -> TableSchema:
    return TableSchema(
        columns=[
            TableColumn(
                column["name"],
                column["type"],
                column["description"],
                constraints=TableColumnConstraints(nullable=column["name"] not in table["primary_key"]),
            )
            for column in table["columns"]
        ]
    )
