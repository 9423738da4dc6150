"""``task-history views``: makes the analysts' views, shows their SQL, or checks what must hold."""

from __future__ import annotations

import argparse
from typing import Any

from task_history.core.errors import UsageError, WarehouseUnavailable
from task_history.core.exit_codes import ExitCode
from task_history.views import create as creating
from task_history.views import dictionary, semantic
from task_history.views.check_runner import BROKEN, Finding, findings
from task_history.views.dialects import DATASET, DIALECTS
from task_history.views.relations import by_default
from task_history.views.sql_file_reader import views
from task_history.warehouse.duckdb_file_reader import is_made
from task_history.warehouse.sql_text import DUCKDB

from ..console import arguments, output
from ..runtime.target import Target, find_target
from ..runtime.views import asked, missing_views, opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_warehouse(parser)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--print", action="store_true", help="print the views' SQL instead; opens no warehouse"
    )
    modes.add_argument("--check", action="store_true", help="check uniqueness, references and totals instead")
    modes.add_argument(
        "--dictionary",
        action="store_true",
        help="print every table, view and column with its sentence instead",
    )
    modes.add_argument(
        "--dbt", action="store_true", help="print dbt's sources.yml for what is loaded instead"
    )
    modes.add_argument(
        "--semantic",
        action="store_true",
        help="print semantic models and metrics of MetricFlow (dbt) over executions and steps instead",
    )
    parser.add_argument(
        "--dialect",
        choices=DIALECTS,
        help="of --print: duckdb, bigquery or postgres; as the destination if not given",
    )
    parser.add_argument("name", nargs="*", metavar="VIEW", help="of --print: only these")


def run(args: argparse.Namespace) -> int:
    unknown = [name for name in args.name if name not in views()]
    if unknown:
        raise UsageError(f"There is no view {unknown[0]!r}. There are: {', '.join(sorted(views()))}.")
    if args.print:
        return _print(args)
    if args.dictionary:
        output.say_verbatim(dictionary.page())
        return 0
    if args.semantic:
        output.say_verbatim(semantic.semantic_models())
        return 0
    target = find_target(args.destination, "task_history_views")
    if args.dbt:
        return _print_dbt(target)
    return _check(args, target) if args.check else _make(args, target)


def _print(args: argparse.Namespace) -> int:
    dialect = args.dialect or (args.destination if args.destination in DIALECTS else DUCKDB)
    selects = creating.texts(by_default(), dialect)
    chosen = {name: sql for name, sql in selects.items() if not args.name or name in args.name}
    if args.json:
        output.emit({"command": "views", "dialect": dialect, "views": chosen})
        return 0
    for name, sql in chosen.items():
        view = views()[name]
        output.say_verbatim(f"-- {DATASET}.{name}\n-- {view.question}\n-- {view.grain}\n{sql};\n\n")
    return 0


def _print_dbt(target: Target) -> int:
    """Prints dbt's sources of the datasets that are loaded; of all systems where nothing is."""
    datasets = []
    if target.file is None or is_made(target.file):
        with asked(target) as access:
            datasets = creating.datasets(access)
    if not datasets:
        output.tell(f"Nothing is loaded in {target.place} yet: these are the sources of all systems.")
    output.say_verbatim(dictionary.dbt_sources(datasets))
    return 0


def _make(args: argparse.Namespace, target: Target) -> int:
    with opened(target) as access:
        result = creating.refresh(access, anew=True)
    if args.json:
        output.emit({"command": "views", "datasets": result.datasets, "views": result.views})
        return 0
    if not result.views:
        output.tell(
            f"Nothing is loaded in {target.place} yet: task-history sync makes the tables and the views."
        )
        return 0
    output.tell(f"{len(result.views)} views over {', '.join(result.datasets)} in the dataset {DATASET}:")
    output.say(
        *output.table([[name, views()[name].question] for name in result.views], heads=["view", "answers"])
    )
    return 0


def _check(args: argparse.Namespace, target: Target) -> int:
    with asked(target) as access:
        datasets = creating.datasets(access)
        if not datasets:
            raise WarehouseUnavailable(f"Nothing is loaded in {target.place} yet: task-history sync does it.")
        missing = missing_views(access)
        results = list(
            findings(access.query, datasets, access.dialect, project=access.project, missing=missing)
        )
    broken = [finding for finding in results if not finding.is_well and finding.check.level == BROKEN]
    if args.json:
        output.emit(
            {"command": "views", "broken": len(broken), "checks": [_value(finding) for finding in results]}
        )
    else:
        rows = [
            ["holds" if finding.is_well else finding.check.level, finding.check.name, finding.check.promise]
            for finding in results
        ]
        output.say(*output.table(rows, heads=["", "check", "promise"]))
        if missing:
            output.tell(
                f"Not checked, because they are missing: {', '.join(missing)}. task-history views makes them."
            )
        for finding in results:
            if not finding.is_well:
                cells = [[_shown(value) for value in row] for row in finding.rows]
                output.say(
                    "",
                    f"{finding.check.level}: {finding.check.name}. {finding.check.promise} Rows that break it:",
                )
                output.say(*output.table(cells, heads=list(finding.columns)), "")
                output.say_verbatim(finding.sql)
    return ExitCode.DIFFERENCES if broken else ExitCode.DONE


def _value(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.check.name,
        "promise": finding.check.promise,
        "level": finding.check.level,
        "holds": finding.is_well,
        "rows": [dict(zip(finding.columns, row, strict=True)) for row in finding.rows],
        "query": finding.sql,
    }


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
