"""``dlt init``: what it copies into a user's project, and that the script beside it runs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import ROOT


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after ``dlt init task_history duckdb --location`` of this tree."""
    folder = tmp_path_factory.mktemp("initialised")
    words = ["--non-interactive", "init", "task_history", "duckdb", "--location", str(ROOT)]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dlt")), *words],
        cwd=folder,
        env=_environment(folder),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def project(initialised: Path, tmp_path: Path) -> Path:
    """Such a folder of a test's own."""
    return shutil.copytree(initialised, tmp_path / "project")


def _environment(folder: Path, **more: str) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SOURCES__") and name != "PYTHONPATH"
    }
    state = {"DLT_DATA_DIR": str(folder / "data"), "TASK_HISTORY_STATE_DIR": str(folder / "state")}
    return own | state | {"RUNTIME__DLTHUB_TELEMETRY": "false"} | more


def test_no_sandbox_is_copied(project: Path) -> None:
    """The project holds the dlt sources and the script, and no code of the command or of its sandbox."""
    copied = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert "task_history_pipeline.py" in copied
    assert "task_history/systems/paragon/__init__.py" in copied
    assert "task_history/views/executions.sql" in copied
    for path in (ROOT / "sources/task_history/redaction/data").iterdir():
        assert f"task_history/redaction/data/{path.name}" in copied
    assert not [name for name in copied if "sandbox" in name or "task_history_cli" in name]


@pytest.mark.torture
def test_what_is_not_filled_in_is_named(project: Path) -> None:
    """The script of a project as ``dlt init`` leaves it names what is to be set, and the file, and asks nobody."""
    done = subprocess.run(
        [sys.executable, "task_history_pipeline.py"],
        cwd=project,
        env=_environment(project),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert "ConfigurationError: project_id: '<configure me>' is no value" in last
    assert "config.toml: project_id under [sources.task_history])" in last


def test_requirements_name_what_the_copy_imports() -> None:
    """What ``dlt init`` tells a user to install holds each library that the package imports, in the same versions.

    Left out are those that only commands of this repository or a destination of the user's own need.
    """
    folder = ROOT / "sources" / "task_history"
    required = (folder / "requirements.txt").read_text().split()
    imported = {
        name.partition(".")[0]
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    # dlt's own, BigQuery's client, the data dictionary, state shared by machines
    elsewhere = {"google", "psycopg", "yaml", "typing_extensions"}
    libraries = imported - sys.stdlib_module_names - elsewhere
    names = {re.split("[<>=]", line)[0] for line in required}
    assert {"dlt", "structlog", "filelock"} <= libraries
    assert libraries <= names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {line for line in required if not line.startswith("dlt")} <= set(project)


def test_the_script_loads_from_the_copy(project: Path) -> None:
    """``python task_history_pipeline.py`` imports the copy beside it and loads what the vendor shows."""
    with SandboxProcess(executions=50, freeze=True) as sandbox:
        settings = {
            f"SOURCES__TASK_HISTORY__PARAGON__{name.upper()}": value
            for name, value in (sandbox.settings | {"start_date": "2020-01-01"}).items()
        }
        program = "import task_history_pipeline as script, task_history; print(task_history.__file__); script.load()"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=project,
            env=_environment(project, **settings),
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        expected = len(sandbox.truth())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(project))
    (file,) = project.glob("*.duckdb")
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute("SELECT count(*) FROM paragon.workflow_executions").fetchall()
    assert rows == [(expected,)]
