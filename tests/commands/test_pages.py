"""What the pages of the documentation show runs as it stands there."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml

from task_history import systems
from task_history.settings_reader import load
from task_history.views import create as creating
from task_history_cli import cli
from task_history_cli.console.parser import WrongArguments, parsed
from task_history_cli.sandbox.process import SandboxProcess
from tests.support import doc_pages, made_warehouse
from tests.support.forked_command import forked_command
from tests.support.place import Place
from tests.support.snapshot import Snapshot
from tests.support.torture import rest_as_torture
from tests.unit.views.test_views import access

LANGUAGES = {"sh", "sql", "toml", "python", "yaml", "text"}
EXECUTION, OTHER_EXECUTION = "61caef28-04df-4eb1-8e7e-0029187a4cfb", "b2322860-887d-4eb1-8e7e-047ead606b74"
PERSON = "mary@example.com"
HASH_KEY = "0123456789abcdef" * 4
PYTHON_IS_RUN_BY = {
    "docs/how-to/query-the-views.md": "tests/unit/views/test_query_page.py",
    "docs/how-to/add-a-system.md": "tests/unit/systems/test_fifth_system.py",
    "docs/how-to/dagster.md": "tests/commands/test_dagster.py",
}
SYSTEMS = systems.names()


def system_of(page: Path) -> str:
    """The system that the page's commands name."""
    return page.stem if page.stem in SYSTEMS else "paragon"


def months() -> dict[str, str]:
    """The months that pages name, and those that stand for them: the one before this one, and this one."""
    now = datetime.now(UTC)
    before = now.replace(day=1) - timedelta(days=1)
    return {"2026-09": before.strftime("%Y-%m"), "2026-11": now.strftime("%Y-%m")}


def is_filled_in(line: str) -> bool:
    """Whether the line sets what the reader has; the tests set the sandbox's, and no other host is ever asked."""
    return line.startswith("export ") and ("…" in line or "SAILPOINT" in line or "TWINIT" in line)


def script(page: Path, place: Place, replaced: dict[str, str]) -> str:
    """The page's blocks as one script: without lines that the reader fills in, and with ids that there are."""
    lines = ["set -euo pipefail"]
    for block in doc_pages.blocks(page, "sh"):
        if not block.is_run:
            continue
        text = "\n".join(line for line in block.text.splitlines() if not is_filled_in(line))
        for old, new in replaced.items():
            text = text.replace(old, new)
        lines.append(f": {block}")
        if block.is_in_background:
            lines += [f"({text.strip()}) >server.log 2>&1 &", "server=$!", "trap 'kill $server' EXIT"]
            lines += ["until grep -q base_url server.log; do sleep 0.05; done"]
        else:
            lines.append(text)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[str, SandboxProcess]]:
    """The vendors' servers that are started so far, by system."""
    started: dict[str, SandboxProcess] = {}
    yield started
    for sandbox in started.values():
        sandbox.stop()


@pytest.fixture(scope="module")
def synced(
    sandboxes: dict[str, SandboxProcess], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Place]:
    """Gives a place of a system as it is after its first sync."""
    kept: dict[str, Snapshot] = {}

    def place_of(system: str) -> Place:
        if system not in kept:
            folder = tmp_path_factory.mktemp(system)
            place = Place(
                folder, sandboxes[system], system=system, hash_key=HASH_KEY, start_date="2026-01-01"
            )
            place.sync()
            kept[system] = Snapshot(place)
        return kept[system].restore()

    return place_of


SHELL_PAGES = [
    page for page in doc_pages.PAGES if any(block.is_run for block in doc_pages.blocks(page, "sh"))
]


DEAR_PAGES = {
    "tutorial.md", "alerting.md", "audit.md", "forget-a-person.md", "query-the-views.md", "replay.md", "report.md",
}  # fmt: skip
"""Pages whose commands have tests of their own, and take seconds."""


@pytest.mark.parametrize("page", doc_pages.PAGES, ids=doc_pages.name)
def test_commands_are_taken(page: Path) -> None:
    """Each command of the page, also of blocks that are not run, has options and values that the command line takes."""
    for block in doc_pages.blocks(page, "sh"):
        for words in commands(block.text):
            try:
                parsed(words, *cli.parsers(words))
            except WrongArguments as error:
                raise AssertionError(f"{block}: {' '.join(words)}: {error}") from None


def commands(text: str) -> list[list[str]]:
    """The words of each ``task-history`` in a shell script, without what the shell does with it."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("task-history "):
            words = shlex.split(line, comments=True)
            ends = [at for at, word in enumerate(words) if word in {"|", ">", "&&", "||", ";", "&", "2>&1"}]
            found.append(words[1 : min(ends, default=len(words))])
    return found


@pytest.mark.usefixtures("views")
@pytest.mark.parametrize(
    "page",
    rest_as_torture(SHELL_PAGES, [page for page in SHELL_PAGES if page.name not in DEAR_PAGES]),
    ids=doc_pages.name,
)
def test_commands_run(
    page: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    sandboxes: dict[str, SandboxProcess],
    synced: Callable[[str], Place],
) -> None:
    """Each command of the page ends with 0, typed one after the other against the sandbox, after a first sync.

    The tutorial makes that sync itself, and a system's page ends before it.
    """
    system = system_of(page)
    if system not in sandboxes:
        sandboxes[system] = SandboxProcess(system=system, executions=60, seed=7, days=60)
    with socket.create_server(("127.0.0.1", 0)) as server:
        replaced = {**months(), "8765": str(server.getsockname()[1]), "--executions 500": "--executions 60"}
    if page.name == "tutorial.md" or page.parent.name == "systems":
        place = Place(tmp_path, sandboxes[system], system=system)
    else:
        place = synced(system)
        first, last, person = place.query(
            "SELECT min(execution_id), max(execution_id), "
            "min(user_id) FILTER (regexp_full_match(user_id, '[a-z0-9@.]+')) "
            "FROM task_history.executions WHERE status = 'failed'"
        )[0]
        replaced |= {EXECUTION: first, OTHER_EXECUTION: last, PERSON: person or ""}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # python's
    with forked_command(tmp_path_factory.mktemp("command")) as folder:
        done = subprocess.run(
            ["bash", "-x", "-c", script(page, place, replaced)],
            cwd=place.folder,
            env=place.env | {"PATH": f"{folder}:{path}"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made warehouse of all systems, with views."""
    file = tmp_path_factory.mktemp("made") / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        for system in SYSTEMS:
            made_warehouse.empty(connection, system, system)
        made_warehouse.fill(connection, executions=500, now="now()", days=60)
        creating.refresh(access(connection))
    return file


@pytest.mark.parametrize("block", doc_pages.runnable("sql"), ids=str)
def test_queries_run(
    block: doc_pages.Block, warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement of the block runs in DuckDB."""
    shutil.copy(warehouse, tmp_path / "warehouse.duckdb")
    monkeypatch.chdir(tmp_path)
    attaches = "ATTACH" in block.text
    with duckdb.connect() if attaches else duckdb.connect("warehouse.duckdb", read_only=True) as connection:
        for statement in connection.extract_statements(block.text):
            connection.execute(statement)


@pytest.mark.parametrize("block", doc_pages.runnable("toml"), ids=str)
def test_settings_are_taken(block: doc_pages.Block, tmp_path: Path) -> None:
    """The reader of settings takes each block as ``.dlt/config.toml``, and finds no typing error in it."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(block.text, "utf-8")
    for name in SYSTEMS:
        load(name, folder=tmp_path, environ={"DLT_DATA_DIR": str(tmp_path)}, allow_missing=True)


@pytest.mark.parametrize("block", doc_pages.runnable("yaml"), ids=str)
def test_yaml_is_valid(block: doc_pages.Block) -> None:
    """Each block is YAML with keys."""
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", doc_pages.runnable("python"), ids=str)
def test_python_runs(block: doc_pages.Block, tmp_path: Path, sandboxes: dict[str, SandboxProcess]) -> None:
    """Each block runs as a script in a project that has settings."""
    if doc_pages.name(block.page) in PYTHON_IS_RUN_BY:
        compile(block.text, str(block), "exec")
        return
    if "paragon" not in sandboxes:
        sandboxes["paragon"] = SandboxProcess(executions=60, seed=7, days=60)
    place = Place(tmp_path, sandboxes["paragon"])
    with place._inside():
        exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


def test_each_block_says_what_it_is() -> None:
    """Each block names its language; one that is not run says why in a comment above it."""
    found = [block for page in doc_pages.PAGES for block in doc_pages.blocks(page)]
    assert [str(block) for block in found if block.language not in LANGUAGES] == []
    for page in doc_pages.PAGES:
        assert page.read_text("utf-8").count("```") == 2 * len(doc_pages.blocks(page)), page
