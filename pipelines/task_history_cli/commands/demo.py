"""``task-history demo``: sandbox → sync → DuckDB → what you would ask; no key needed."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from task_history import systems
from task_history.core import files
from task_history.core.errors import UsageError
from task_history.core.folders import temporary_folder
from task_history.settings_reader import Settings, build

from ..console import arguments, output
from ..console.invocation import called_as, shown_path
from ..runtime import run_summary
from ..runtime.reader import queried
from ..runtime.target import Target
from ..sandbox.paragon_world import INTEGRATIONS
from ..sandbox.process import SandboxProcess
from . import sync

FILE = "demo.duckdb"
_DUCKDB = b"DUCK"
"""The magic bytes of a DuckDB file, from the ninth byte on."""
QUESTIONS: dict[str, tuple[str, list[str]]] = {
    "Usage by integration": (
        """
        SELECT coalesce(w.integration, '(not known)') AS integration, count(*) AS executions,
               sum(e.task_count) AS tasks, round(100.0 * avg((e.status = 'FAILED')::INT), 1) AS failed_percent
        FROM paragon.workflow_executions AS e
        LEFT JOIN paragon.workflows AS w USING (workflow_id)
        GROUP BY 1 ORDER BY executions DESC, 1
        """,
        ["integration", "executions", "tasks", "failed %"],
    ),
    "Failures by workflow": (
        """
        SELECT left(e.workflow_id, 8) || '…' AS workflow, w.integration, count(*) AS failures,
               strftime(max(e.date_started), '%Y-%m-%d %H:%M') AS last_failure,
               mode(split_part(json_extract_string(p.output, '$'), ';', 1)) AS usual_error
        FROM paragon.workflow_executions AS e
        LEFT JOIN paragon.workflows AS w USING (workflow_id)
        LEFT JOIN paragon.step_payloads AS p ON p.workflow_execution_id = e.id
        WHERE e.status = 'FAILED'
        GROUP BY 1, 2 ORDER BY failures DESC, 1 LIMIT 5
        """,
        ["workflow", "integration", "failures", "last (UTC)", "usual error"],
    ),
    "Slowest steps": (
        """
        SELECT s.type, left(s.step_id, 8) || '…' AS step, count(*) AS runs,
               round(median(date_diff('millisecond', s.date_started, s.date_ended)) / 1000, 1) AS median_s,
               round(quantile_cont(date_diff('millisecond', s.date_started, s.date_ended), 0.95) / 1000, 1) AS p95_s
        FROM paragon.step_executions AS s
        WHERE s.date_ended IS NOT NULL AND s.type <> 'ACTION/DELAY'
        GROUP BY 1, 2 HAVING count(*) >= 10 ORDER BY p95_s DESC, 2 LIMIT 5
        """,
        ["type", "step", "runs", "median s", "p95 s"],
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--executions",
        type=arguments.whole_number,
        default=3_000,
        metavar="N",
        help="size of the world (default 3000)",
    )
    parser.add_argument("--file", type=Path, default=Path(FILE), help=f"the DuckDB file (default {FILE})")


def run(args: argparse.Namespace) -> int:
    _remove_earlier(args.file)
    with temporary_folder() as folder:
        # Neither the working folder nor the budget of a real key is touched.
        os.environ["DLT_DATA_DIR"] = str(folder)
        os.environ["TASK_HISTORY_STATE_DIR"] = str(folder)
        os.environ.pop("TASK_HISTORY_STATE", None)
        output.tell(f"A local Paragon server with {args.executions:,} executions of the last 30 days …")
        with SandboxProcess(executions=args.executions, freeze=True) as sandbox:
            settings = build(
                systems.find("paragon"),
                {
                    "base_url": sandbox.base_url,
                    "project_id": sandbox.project_id,
                    "api_key": sandbox.api_key,
                    "start_date": "2020-01-01",
                    "rate_limit_requests": 0,
                    "integrations": list(INTEGRATIONS),
                },
            )
            target = Target("duckdb", args.file.absolute())
            result = sync.sync(settings, target)
            for line in run_summary.lines(result):
                output.tell(line)
        answers = _asked(target, settings)
    if args.json:
        output.emit({"command": "demo", "sync": result, "answers": answers, "file": str(args.file)})
        return 0
    for title, (_, heads) in QUESTIONS.items():
        rows = [[_shown(value) for value in row.values()] for row in answers[title]]
        numbers = {
            index
            for index, value in enumerate(next(iter(answers[title]), {}).values())
            if isinstance(value, int | float)
        }
        output.say("", title, *output.table(rows, heads=heads, right=numbers))
    output.say(*_next(args.file).splitlines())
    return 0


def _remove_earlier(file: Path) -> None:
    """Removes the warehouse of an earlier demo. Raises UsageError when the file is something else."""
    try:
        head = files.head(file, 12)
    except OSError as error:
        raise UsageError(f"--file {file} cannot be used ({error.strerror}). Name another file.") from None
    if head is None:
        return
    if file.name != FILE or head[8:12] != _DUCKDB:
        raise UsageError(
            f"--file {file}: there is a file already, and it may not be a demo's. Remove it, or name another one."
        )
    for name in (file.name, f"{file.name}.wal"):
        file.with_name(name).unlink(missing_ok=True)


def _asked(target: Target, settings: Settings) -> dict[str, list[dict[str, Any]]]:
    answers = {}
    with queried(target, settings) as reader:
        if reader is None:
            return {title: [] for title in QUESTIONS}
        for title, (sql, _) in QUESTIONS.items():
            names, rows = reader.query(sql)
            answers[title] = [
                {
                    name: float(v) if type(v).__name__ == "Decimal" else v
                    for name, v in zip(names, row, strict=True)
                }
                for row in rows
            ]
    return answers


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _next(file: Path) -> str:
    command, python = called_as(), shown_path(Path(sys.executable))
    return f"""
The warehouse is {file}. Go on with:
  {python} -c "import duckdb; duckdb.connect('{file}').sql('FROM task_history.questions').show()"
  {command} systems paragon  every table, column and setting
  {command} sandbox paragon  a server of your own to sync from
With your project's id (in the dashboard's address bar) and API key (Settings):
  export SOURCES__TASK_HISTORY__PARAGON__PROJECT_ID=…
  export SOURCES__TASK_HISTORY__PARAGON__API_KEY=…
  {command} check paragon    is the key right; at most 3 requests
  {command} sync paragon     bring warehouse.duckdb up to date
  {command} status paragon   what is loaded, what is left"""
