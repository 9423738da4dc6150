"""The asset checks of Dagster: freshness and equality of each account, and the integrity of the views.

https://docs.dagster.io/guides/test/asset-checks
"""

# Without postponed annotations: Dagster compares the type of ``context`` with its own classes.
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    AssetKey,
    AssetSelection,
    DefaultScheduleStatus,
    Failure,
    MetadataValue,
    ScheduleDefinition,
    asset_check,
    define_asset_job,
    multi_asset_check,
)

from task_history.core.exit_codes import ExitCode, Reaction

from .command_process import CommandProcess, CommandResult


def freshness(
    accounts: Mapping[AssetKey, str],
    command: CommandProcess,
    warehouse: Sequence[str],
    stale_after: timedelta,
) -> AssetChecksDefinition:
    """The checks ``is_fresh`` of all ``accounts``, whose names stand by the keys of their syncs: one process for all."""

    @multi_asset_check(
        name="task_history_is_fresh",
        specs=[
            AssetCheckSpec(
                "is_fresh",
                asset=key,
                description=f"The dataset lags behind the vendor by no more than {stale_after}.",
            )
            for key in accounts
        ],
        can_subset=True,
    )
    def is_fresh(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        chosen = sorted(check.asset_key for check in context.selected_asset_check_keys)
        select = [word for key in chosen for word in ("--select", accounts[key])]
        ended = command.run("fleet", "status", *select, *warehouse, on_line=context.log.info)
        if "accounts" not in ended.result:
            raise_if_failed(ended)
        found = {entry["account"]: entry for entry in ended.result["accounts"]}
        for key in chosen:
            yield _result(key, found[accounts[key]], stale_after)

    return is_fresh


def freshness_schedule(accounts: Mapping[AssetKey, str]) -> ScheduleDefinition:
    """Runs the checks ``is_fresh`` every hour, also where no sync ends well."""
    keys = [AssetCheckKey(key, "is_fresh") for key in accounts]
    return ScheduleDefinition(
        job=define_asset_job("task_history_freshness", AssetSelection.checks(*keys)),
        cron_schedule="30 * * * *",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    )


def equality(
    key: AssetKey, words: Sequence[str], command: CommandProcess, days: int
) -> AssetChecksDefinition:
    """Whether an audit of the last days of an account, named by ``words``, finds the warehouse equal to its vendor."""

    @asset_check(
        asset=key,
        name="is_equal_to_vendor",
        description=f"An audit of the last {days} days finds no difference.",
    )
    def is_equal_to_vendor(context: AssetCheckExecutionContext) -> AssetCheckResult:
        today = datetime.now(UTC).date()
        span = ["--from", str(today - timedelta(days=days)), "--to", str(today)]
        ended = command.run("audit", *words, *span, on_line=context.log.info)
        raise_if_failed(ended, allowed=ExitCode.DIFFERENCES)
        return AssetCheckResult(
            passed=ended.result["clean"] is not False,
            metadata={"result": MetadataValue.json(ended.result)},
        )

    return is_equal_to_vendor


def integrity(key: AssetKey, command: CommandProcess, warehouse: Sequence[str]) -> AssetChecksDefinition:
    """Whether what the views promise of their rows holds."""

    @asset_check(
        asset=key, name="views_hold", description="Uniqueness, references and totals of the views hold."
    )
    def views_hold(context: AssetCheckExecutionContext) -> AssetCheckResult:
        ended = command.run("views", "--check", *warehouse, on_line=context.log.info)
        raise_if_failed(ended, allowed=ExitCode.DIFFERENCES)
        broken = [check for check in ended.result["checks"] if not check["holds"]]
        return AssetCheckResult(
            passed=not ended.result["broken"], metadata={"does_not_hold": MetadataValue.json(broken)}
        )

    return views_hold


_TRIED_AGAIN = frozenset(code for code in ExitCode if code.reaction is Reaction.TRY_AGAIN)


def raise_if_failed(ended: CommandResult, *, allowed: ExitCode = ExitCode.DONE) -> None:
    """Raises Failure for other exit codes than 0 and ``allowed``; Dagster retries only what may pass by itself."""
    if ended.exit_code in (ExitCode.DONE, allowed):
        return
    raise Failure(
        description=ended.error,
        metadata={"exit_code": ended.exit_code},
        allow_retries=ended.exit_code < 0 or ended.exit_code in _TRIED_AGAIN,
    )


def _result(key: AssetKey, entry: Mapping[str, Any], stale_after: timedelta) -> AssetCheckResult:
    status = entry["status"] or {}
    lag_s = status.get("lag_s")
    lag = MetadataValue.text("not synced yet") if lag_s is None else MetadataValue.int(lag_s)
    return AssetCheckResult(
        asset_key=key,
        check_name="is_fresh",
        passed=lag_s is not None and lag_s <= stale_after.total_seconds(),
        metadata={"error": entry["error"]}
        if entry["error"]
        else {"lag_s": lag, "covered_until": str(status.get("covered_until"))},
    )
