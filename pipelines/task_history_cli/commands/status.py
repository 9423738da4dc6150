"""``task-history status [SYSTEM]``: what is loaded, what is left, what it cost. Sends nothing."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history import systems
from task_history.client.rate_limit_usage import known_usage
from task_history.core.exit_codes import ExitCode
from task_history.core.intervals import merged
from task_history.core.models import Scope, Selection, Window
from task_history.load.refused_packages import kept_packages
from task_history.runs.lanes import LANES
from task_history.runs.run_lock import was_killed
from task_history.settings_reader import Settings, load
from task_history.warehouse import common_tables
from task_history.warehouse.common_tables import SCHEMA_CHANGES, SYNC_RUNS, WINDOW_READS, of_one
from task_history.warehouse.coverage import LIST, Coverage, Day, is_part, unfiltered
from task_history.warehouse.former_tables import lacking
from task_history.warehouse.loaded_days import LoadedDay, by_day, of_whole_list
from task_history.warehouse.queries import Warehouse

from ..console import arguments, output
from ..runtime.reader import Reader, files_kept_open, queried, warehouse_of
from ..runtime.target import Target, find_target, working_folder
from . import status_integrations, status_text

_NO_REASON = "the version of task-history that loaded it stored no reason"
_MAX_CHANGES = 20
"""Changes in what the vendor sends that are shown."""
_NUMBER, _ONE_ROW = re.compile(r"[0-9][0-9,]*"), re.compile(r"\b1 row\b")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="only this one")
    parser.add_argument("--instance", metavar="NAME", help="a second account of the same system")
    arguments.add_warehouse(parser)
    arguments.add_fail_if_stale(parser)


def run(args: argparse.Namespace) -> int:
    names = (args.system,) if args.system else systems.names()
    with files_kept_open():
        statuses = [status(name, args.instance, args.destination) for name in names]
    # Without SYSTEM, systems that were never synced do not count as stale.
    is_any_stale = args.fail_if_stale is not None and any(
        is_stale(entry, args.fail_if_stale) for entry in statuses if args.system or entry["loaded"]
    )
    if args.json:
        output.emit({"command": "status", "systems": statuses})
    else:
        for entry in statuses:
            for line in status_text.lines(entry):
                output.say(line)
    return ExitCode.STALE if is_any_stale else ExitCode.DONE


def is_stale(entry: Mapping[str, Any], span: timedelta) -> bool:
    """Whether the dataset is further behind than ``span``, or was never synced."""
    lag_s = entry.get("lag_s")
    return lag_s is None or lag_s > span.total_seconds()


def status(name: str, instance: str | None, destination_name: str | None) -> dict[str, Any]:
    """The state of one system's dataset; sends no request.

    Raises:
        TaskHistoryError: its settings or the warehouse cannot be read.
    """
    settings = load(name, instance=instance, allow_missing=True)
    output.keep_secret(settings.secrets)
    target = find_target(destination_name, settings.pipeline_name, dataset=settings.dataset_name)
    result: dict[str, Any] = {
        "system": name,
        "instance": instance,
        "destination": target.name,
        "place": target.place,
        "file": None if target.file is None else str(target.file),
        "dataset": settings.dataset_name,
        "budget": _budget(settings),
        "loaded": False,
    }
    result["refused"] = _refused(target, settings)
    with queried(target, settings) as reader:
        warehouse = None if reader is None else warehouse_of(reader, settings)
        if reader is not None and warehouse is not None:
            result |= {"loaded": True, **_loaded(reader, warehouse, settings)}
    return result


def _loaded(reader: Reader, warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    system, query = settings.system, reader.query
    warehouse = warehouse.reaching(settings.retention)
    coverage = warehouse.coverage()
    loaded_days = [day for day in unfiltered(coverage, system.listing.partitioned_by) if day.windows]
    whole = of_whole_list(coverage, system.listing.partitioned_by)
    span = Coverage(loaded_days).span
    counts = reader.counts(
        [
            table.name
            for dataset in common_tables.listings(system)
            for table in of_one(dataset)
            if table is not dataset.details.log
        ]
    )
    # Executions from before the first sync, which a backfill loaded, are completed by that backfill.
    scope, all_of_it = (
        Scope(settings.values.steps, settings.values.payloads),
        [warehouse, *map(warehouse.of, system.companions)],
    )
    own = Selection(Window(span.start, span.end)) if span else Selection()
    backlogs = [dataset.within(own).left(scope) for dataset in all_of_it]
    runs = reader.names(SYNC_RUNS.name)
    _, unresolved = query(f"SELECT sum(unresolved) FROM {runs} AS r")
    return {
        "covered_from": min((day.windows[0].start for day in loaded_days if not day.filters), default=None),
        "covered_until": span.end if span else None,
        "lag_s": round((datetime.now(UTC) - span.end).total_seconds()) if span else None,
        "rows": counts,
        "open_executions": sum(dataset.left(Scope("none", "none")).open_executions for dataset in all_of_it),
        "unresolved": int(unresolved[0][0] or 0),
        "details_left": sum(dataset.details for dataset in backlogs),
        "payloads_left": sum(dataset.payloads for dataset in backlogs),
        "schema_changes": _schema_changes(reader),
        "missing": lacking(common_tables.of(system), reader.columns()),
        "unreadable": _unreadable(all_of_it),
        "read_whole": _read_whole(reader, settings),
        **status_integrations.matches(reader, warehouse, settings),
        "coverage": [_day(day) for day in by_day(whole)],
        "unverified": _unverified(
            {
                listing.executions.name: by_day(days)
                for listing, days in (
                    (system, whole),
                    *((other, _of_list(coverage, other.executions.name)) for other in system.companions),
                )
            }
        ),
        "filtered_coverage": _filtered(
            [
                day
                for day in coverage
                if day.filters and not is_part(day.filters, system.listing.partitioned_by)
            ]
        ),
        "statistics_difference": _statistics_difference(warehouse, settings, loaded_days),
        "lost": _rows(
            query(
                f"SELECT lost_from, lost_until, run_id FROM {runs} AS r WHERE lost_from IS NOT NULL ORDER BY 1"
            )
        ),
        "unfinished": _runs(
            query(
                "SELECT window_start, window_end, filters, details_left, payloads_left, outcome, ended_at, host, "
                f"lock_file FROM {runs} AS r WHERE command = 'backfill' AND NOT is_complete AND NOT EXISTS (SELECT 1 "
                f"FROM {runs} AS n WHERE n.command = 'backfill' AND n.started_at > r.started_at "
                "AND n.window_start = r.window_start AND n.window_end = r.window_end AND n.filters = r.filters) "
                "ORDER BY started_at"
            )
        ),
        "runs": _runs(query(f"SELECT * FROM {runs} AS r ORDER BY started_at DESC LIMIT 5")),
    }


def _schema_changes(reader: Reader) -> list[dict[str, Any]]:
    """The newest changes in what the vendor sends, the newest first."""
    return _rows(
        reader.query(
            "SELECT kind, table_name, column_name, type, status, min(seen_at) AS seen_at, min(run_id) AS run_id "
            f"FROM {reader.names(SCHEMA_CHANGES.name)} AS c GROUP BY change_id, kind, table_name, column_name, type, "
            f"status ORDER BY 6 DESC, 1, 2, 3, 5 LIMIT {_MAX_CHANGES}"
        )
    )


def _unreadable(datasets: Sequence[Warehouse]) -> dict[str, Any]:
    """Executions and payloads that could not be read: those that are tried again and from when on, and the others."""
    every = [dataset.unreadable() for dataset in datasets]
    return {
        "details": sum(one.details for one in every),
        "payloads": sum(one.payloads for one in every),
        "never": sum(one.never for one in every),
        "next_try_at": min((at for one in every if (at := one.next_try_at) is not None), default=None),
    }


def _statistics_difference(
    warehouse: Warehouse, settings: Settings, days: Sequence[Day]
) -> dict[str, int] | None:
    """Executions that the vendor's statistics count and those stored, in closed buckets; None where they agree."""
    statistics = settings.system.statistics
    if statistics is None:
        return None
    covered = merged(window for day in days for window in day.windows)
    difference = warehouse.buckets(statistics.buckets(settings.values)[0]).difference(
        covered, warehouse.counts
    )
    return None if difference is None else {"vendor": difference[0], "stored": difference[1]}


def _read_whole(reader: Reader, settings: Settings) -> list[str]:
    """The listings that are read to their end by each sync because they did not come newest first."""
    if settings.system.listing.is_filtered_by_time:
        return []
    names = reader.names(WINDOW_READS.name)
    _, rows = reader.query(
        f"SELECT r.filters FROM {names} AS r JOIN (SELECT filters, max(read_at) AS read_at FROM {names} AS w "
        "WHERE row_order IS NOT NULL GROUP BY filters) AS n ON n.filters = r.filters AND n.read_at = r.read_at "
        "WHERE r.row_order = 'none'"
    )
    return sorted({str(row[0] or settings.system.executions.name) for row in rows})


def _rows(answer: tuple[list[str], list[tuple[Any, ...]]]) -> list[dict[str, Any]]:
    names, rows = answer
    return [
        {name: value for name, value in zip(names, row, strict=True) if not name.startswith("_dlt")}
        for row in rows
    ]


def _runs(answer: tuple[list[str], list[tuple[Any, ...]]]) -> list[dict[str, Any]]:
    """Rows of runs; one that noted no end, and whose lock is free, was killed."""
    return [
        {**run, "outcome": "interrupted"} if run["outcome"] == "running" and was_killed(run) else run
        for run in _rows(answer)
    ]


def _refused(target: Target, settings: Settings) -> list[dict[str, Any]]:
    """Load packages that the warehouse refused for good, which are kept on this machine."""
    folder = working_folder(target)
    return [
        {**asdict(package), "path": str(package.path)}
        for lane in LANES
        for package in kept_packages(folder / lane.pipeline(settings))
    ]


def _filtered(days: Sequence[Day]) -> list[dict[str, Any]]:
    """The windows that are loaded under filters only."""
    return [
        {"filters": filters, **window.as_json()}
        for filters in sorted({day.filters for day in days if day.filters})
        for window in merged(part for day in days if day.filters == filters for part in day.windows)
    ]


def _day(day: LoadedDay) -> dict[str, Any]:
    return {
        "day": day.day.date().isoformat(),
        "executions": day.executions,
        "api_total": day.api_total,
        "is_verified": day.is_verified,
        "evidence": day.completeness.evidence,
        "reason": None if day.is_verified else day.completeness.reason,
        "rejected": day.completeness.rejected,
        "is_whole": day.covered == timedelta(days=1),
        "checked_at": day.checked_at,
    }


def _of_list(coverage: Sequence[Day], name: str) -> list[Day]:
    """The coverage of another list of the account, as that of the first one."""
    return [replace(day, filters="") for day in coverage if day.filters == f"{LIST}={name}"]


def _unverified(summaries: Mapping[str, Sequence[LoadedDay]]) -> list[dict[str, Any]]:
    """The days that are not verified, by list and reason, those whose reasons differ in numbers only together."""
    groups: dict[tuple[str, str], list[LoadedDay]] = {}
    for table, days in summaries.items():
        for day in days:
            if not day.is_verified:
                reason = _NUMBER.sub("#", _ONE_ROW.sub("# rows", day.completeness.reason or _NO_REASON))
                groups.setdefault((table, reason), []).append(day)
    return [
        {
            "table": table,
            "reason": _reason_text(days),
            "days": len(days),
            "rejected": sum(day.completeness.rejected for day in days),
            "from": days[0].day.date().isoformat(),
            "until": days[-1].day.date().isoformat(),
        }
        for (table, _), days in groups.items()
    ]


def _reason_text(days: Sequence[LoadedDay]) -> str:
    """The reason of days that have the same one."""
    first = days[0].completeness
    rejected = sum(day.completeness.rejected for day in days)
    reason = replace(first, rejected=rejected).reason or _NO_REASON
    return reason if len(days) == 1 or not first.reasons else f"{reason}, and the like"


def _budget(settings: Settings) -> dict[str, Any] | None:
    """The budget used on this machine now; None while the key is not set."""
    usage = known_usage(settings)
    if usage is None:
        return None
    return {
        "limit": usage.limit,
        "period_s": settings.values.rate_limit_period_s,
        "used": usage.used,
        "left": usage.left,
        "hold_s": round(usage.hold_s, 1),
    }
