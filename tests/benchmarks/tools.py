"""What is measured: each tool as data. How it is set up, what it is started with, and where its copy is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
START = "2026-01-01T00:00:00.000Z"

FIRST, INCREMENTAL, IDLE, DETAILS, BACKFILL = "first", "incremental", "idle", "details", "backfill"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one tool: what it reads and where it keeps what it has."""

    scenario: str
    folder: Path
    base_url: str
    path: str
    api_key: str
    project_id: str
    start: str = START
    end: str = ""
    """Where a backfill ends."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of task-history alone."""

    @property
    def mode(self) -> str:
        return "details" if self.scenario == DETAILS else "list"


@dataclass(frozen=True, slots=True)
class Tool:
    """A way from the API into a warehouse."""

    name: str
    commands: Callable[[Job], list[list[str]]]
    """A chain of processes."""
    copy: Callable[[Path], str]
    """SQL over the folder for the ids and statuses that it holds; ``copy`` is its warehouse."""
    details: Callable[[Path], str]
    """SQL for the ids of executions whose details it holds."""
    scenarios: frozenset[str] = frozenset((FIRST, INCREMENTAL, IDLE, DETAILS))
    environments: tuple[str, ...] = ()
    """What ``make bench`` sets up for it."""
    warehouse: str | None = "warehouse.duckdb"
    after: Callable[[Path], None] = lambda _: None
    """What somebody does between two runs who uses it."""
    note: str = ""
    packages: tuple[str, ...] = ()
    """Whose versions matter."""

    @property
    def about(self) -> str:
        """What it is, with versions."""
        pins = [
            line for name in self.environments for line in (PEERS / f"{name}.txt").read_text().splitlines()
        ]
        versions = [
            " ".join(pin.rstrip(" \\").split("=="))
            for name in self.packages
            for pin in pins
            if pin.startswith(f"{name}==")
        ]
        return f"{self.name}: {', '.join([self.note, *versions])}."

    @property
    def is_here(self) -> bool:
        """Whether it is set up."""
        return all((_bin(name) / "python").exists() for name in self.environments)


def job_of(
    sandbox: SandboxProcess,
    folder: Path,
    scenario: str,
    *,
    end: str = "",
    start: str = START,
    **settings: Any,
) -> Job:
    """A run against that server."""
    path = f"/projects/{sandbox.project_id}/task-history/workflow-executions"
    return Job(
        scenario, folder, sandbox.base_url, path, sandbox.api_key, sandbox.project_id, start, end, settings
    )


def environment(job: Job) -> dict[str, str]:
    """What every tool finds in its environment; nothing is reported to anybody."""
    base = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SOURCES__", "DESTINATION__", "PYTHON"))
    }
    settings = {
        "project_id": job.project_id,
        "api_key": job.api_key,
        "base_url": job.base_url,
        "start_date": job.start[:10],
        "rate_limit_requests": 0,
        "steps": "all" if job.scenario == DETAILS else "none",
        "payloads": "none",
        **job.settings,
    }
    own = {f"SOURCES__TASK_HISTORY__PARAGON__{name.upper()}": str(value) for name, value in settings.items()}
    return {
        **base,
        **own,
        "DESTINATION__DUCKDB__CREDENTIALS": str(job.folder / "warehouse.duckdb"),
        "DLT_DATA_DIR": str(job.folder / "dlt"),
        "TASK_HISTORY_STATE_DIR": str(job.folder / "state"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PYTHONPATH": str(ROOT),
    }


def _bin(name: str) -> Path:
    return ROOT / f".venv-bench-{name}" / "bin"


def _python(name: str, script: str) -> list[str]:
    return [str(_bin(name) / "python"), str(PEERS / script)]


def _task_history(job: Job) -> list[list[str]]:
    words = [sys.executable, "-m", "task_history_cli.cli"]
    if job.scenario == BACKFILL:
        return [[*words, "backfill", "paragon", "--from", job.start, "--to", job.end]]
    return [[*words, "sync", "paragon"]]


def _ceiling(job: Job) -> list[list[str]]:
    file = str(job.folder / "warehouse.duckdb")
    script = str(PEERS / "ceiling.py")
    return [[sys.executable, script, job.mode, job.base_url, job.path, job.api_key, file, job.start, job.end]]


def _rest_api(job: Job) -> list[list[str]]:
    file = str(job.folder / "warehouse.duckdb")
    words = _python("dlt", "rest_api.py")
    return [[*words, job.mode, job.base_url, job.path, job.api_key, file, job.start]]


def _config(job: Job) -> Path:
    return _written(
        job.folder / "config.json",
        {
            "base_url": job.base_url,
            "path": job.path,
            "api_key": job.api_key,
            "start_date": job.start,
            "mode": job.mode,
        },
    )


def _singer(job: Job) -> list[list[str]]:
    words = [*_python("singer", "tap.py"), "--config", str(_config(job))]
    state = job.folder / "state.json"
    if state.exists():
        words += ["--state", str(state)]
    target = _written(
        job.folder / "target.json",
        {"path": str(job.folder / "warehouse.duckdb"), "default_target_schema": "peer"},
    )
    return [words, [str(_bin("target") / "target-duckdb"), "--config", str(target)]]


def _keep_singer_state(folder: Path) -> None:
    lines = (folder / "out").read_text().splitlines()
    if lines:
        (folder / "state.json").write_text(lines[-1])


def _airbyte(job: Job) -> list[list[str]]:
    streams = [("workflow_executions", "incremental")]
    if job.mode == "details":
        streams.append(("details", "full_refresh"))
    catalog = {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": {"type": "object"},
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": how,
                "destination_sync_mode": "append",
            }
            for name, how in streams
        ]
    }
    words = [str(_bin("airbyte") / "source-declarative-manifest"), "read", "--config", str(_config(job))]
    words += ["--catalog", str(_written(job.folder / "catalog.json", catalog))]
    words += ["--manifest-path", str(PEERS / "manifest.yaml")]
    state = job.folder / "state.json"
    return [words + (["--state", str(state)] if state.exists() else [])]


def _keep_airbyte_state(folder: Path) -> None:
    number = len(list(folder.glob("messages-*.jsonl")))
    (folder / "out").rename(folder / f"messages-{number}.jsonl")
    last = None
    with (folder / f"messages-{number}.jsonl").open() as lines:
        for line in lines:
            if '"type":"STATE"' in line[:200] or '"type": "STATE"' in line[:200]:
                last = line
    if last is not None:
        (folder / "state.json").write_text(json.dumps([json.loads(last)["state"]]))


def _written(file: Path, data: Any) -> Path:
    file.write_text(json.dumps(data))
    return file


def _messages(folder: Path, stream: str) -> str:
    # No destination: what a merge would leave, the last of each id.
    columns = "{type: 'VARCHAR', record: 'STRUCT(stream VARCHAR, data STRUCT(id VARCHAR, status VARCHAR))'}"
    options = f"format = 'newline_delimited', filename = true, columns = {columns}"
    return (
        "SELECT record.data.id AS id, arg_max(record.data.status, filename) AS status"
        f" FROM read_json('{folder}/messages-*.jsonl', {options})"
        f" WHERE type = 'RECORD' AND record.stream = '{stream}' GROUP BY 1"
    )


TASK_HISTORY = Tool(
    "task-history",
    _task_history,
    lambda _: "SELECT id, status FROM copy.paragon.workflow_executions",
    lambda _: "SELECT id FROM copy.paragon.execution_details WHERE outcome = 'loaded'",
    frozenset((FIRST, INCREMENTAL, IDLE, DETAILS, BACKFILL)),
    note="this project",
)
CEILING = Tool(
    "ceiling",
    _ceiling,
    lambda _: "SELECT id, status FROM copy.main.executions",
    lambda _: "SELECT execution_id AS id FROM copy.main.steps",
    frozenset((FIRST, INCREMENTAL, IDLE, DETAILS, BACKFILL)),
    note="fetch and insert over one connection, without any promise",
)
REST_API = Tool(
    "dlt rest_api",
    _rest_api,
    lambda _: "SELECT id, status FROM copy.peer.workflow_executions",
    lambda _: "SELECT id FROM copy.peer.details",
    environments=("dlt",),
    note="merge into DuckDB, staged as Parquet",
    packages=("dlt", "duckdb"),
)
SINGER = Tool(
    "Singer",
    _singer,
    lambda _: "SELECT id, status FROM copy.peer.workflow_executions",
    lambda _: "SELECT id FROM copy.peer.details",
    environments=("singer", "target"),
    after=_keep_singer_state,
    note="a tap piped into a target",
    packages=("singer-sdk", "target-duckdb", "duckdb"),
)
AIRBYTE = Tool(
    "Airbyte",
    _airbyte,
    lambda folder: _messages(folder, "workflow_executions"),
    lambda folder: _messages(folder, "details"),
    environments=("airbyte",),
    warehouse=None,
    after=_keep_airbyte_state,
    note="a declarative manifest into a file, since it has no destination",
    packages=("airbyte-cdk",),
)
TOOLS = (TASK_HISTORY, REST_API, SINGER, AIRBYTE, CEILING)
