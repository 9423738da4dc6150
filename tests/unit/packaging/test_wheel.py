"""The wheel: what it puts into site-packages, and that it works where a project has a ``sources`` of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.place import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
METADATA = f"task_history-{VERSION}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_the_description_stands_alone(wheel: Path) -> None:
    """The wheel's description is the README without images, comments and links to files, which a package index lacks."""
    text = zipfile.ZipFile(wheel).read(f"{METADATA}/METADATA").decode()
    assert "Description-Content-Type: text/markdown" in text
    assert "# task-history\n" in text
    assert "task-history sync paragon" in text
    assert [link for link in re.findall(r"\]\(([^)]*)\)", text) if not link.startswith("https://")] == []
    assert "<!--" not in text


def test_only_two_packages_are_installed(wheel: Path) -> None:
    """A wheel holds task_history, task_history_cli and its own metadata, with the licence."""
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names}
    assert packages == {"task_history", "task_history_cli", METADATA}
    assert f"{METADATA}/licenses/LICENSE" in names
    assert "task_history/views/executions.sql" in names
    assert "task_history_cli/report/page.html" in names
    for folder, package in (("sources", "task_history"), ("pipelines", "task_history_cli")):
        files = [path for path in (ROOT / folder / package).rglob("*") if path.is_file()]
        here = {str(path.relative_to(ROOT / folder)) for path in files if path.suffix != ".pyc"}
        assert here - set(names) == set()
    assert not any("sandbox" in name for name in names if name.startswith("task_history/"))


@pytest.mark.parametrize("runs_demo", [False, pytest.param(True, marks=pytest.mark.torture)])
def test_the_demo_runs_from_a_wheel_beside_other_sources(
    wheel: Path, tmp_path: Path, runs_demo: bool
) -> None:
    """In a project with packages ``sources`` and ``pipelines`` of its own, the wheel's own packages are imported.

    ``demo`` runs, and its hints are true there.
    """
    installed, project = tmp_path / "installed", tmp_path / "project"
    zipfile.ZipFile(wheel).extractall(installed)
    for name in ("sources", "pipelines"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise SystemExit('another project was imported')\n")
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = "import task_history, task_history_cli; print(task_history.__file__, task_history_cli.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.count(str(installed)) == 2
    if not runs_demo:
        return
    done = subprocess.run(
        [sys.executable, "-m", "task_history_cli.cli", "demo", "--executions", "60"],
        cwd=project,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    hints = [line.split() for line in done.stdout.splitlines() if line.startswith("  /")]
    assert {words[0] for words in hints} == {
        sys.executable,
        str(Path(sys.executable).with_name("task-history")),
    }
    (hint,) = [line.strip() for line in done.stdout.splitlines() if "import duckdb" in line]
    shown = subprocess.run(
        hint, shell=True, cwd=project, env=environment, check=False, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "How" in shown.stdout


def test_the_version_is_printed() -> None:
    """``--version`` of the installed command names the versions of this project, of dlt, of DuckDB and of Python."""
    words = [str(Path(sys.executable).with_name("task-history")), "--version"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(f"task-history {VERSION} (dlt 1.31.")
