"""The wheel runs on every supported Python, and with the lowest versions of its dependencies that it allows.

The long ones install from the package registry that the machine is set up for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.place import ROOT

VERSIONS = ("3.11", "3.12", "3.13")


def _program(version: str) -> Path:
    """The interpreter of that version: on the path, or one that pyenv made."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    made = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    found = shutil.which(f"python{version}")
    assert made or found, f"There is no Python {version}: install it, as with `pyenv install {version}`."
    return made[-1] if made else Path(str(found))


def _uv(folder: Path) -> str:
    """The program uv, which alone installs the lowest versions: that of the machine, else one that pip installs."""
    found = shutil.which("uv")
    if found is None:
        _run(sys.executable, "-m", "venv", folder)
        _run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
        found = str(folder / "bin" / "uv")
    return found


def _demo_runs(python: Path, folder: Path) -> None:
    """The main job, as a user who has just installed it runs it."""
    done = subprocess.run(
        [python.with_name("task-history"), "demo", "--executions", "200"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def _build(source: Path, folder: Path, *words: str) -> None:
    """Builds what ``words`` ask for, sdist and wheel without any, from a folder into another."""
    _run(sys.executable, "-m", "hatchling", "build", "-d", folder, *words, cwd=source)


def _run(*words: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(words, cwd=cwd, check=False, capture_output=True, text=True, timeout=1_800)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    _build(ROOT, folder)
    return folder


def test_the_sdist_holds_both_packages(tmp_path: Path) -> None:
    """Each of their files, and what a wheel is built by."""
    _build(ROOT, tmp_path, "-t", "sdist")
    (archive,) = tmp_path.glob("*.tar.gz")
    packages = ("sources/task_history", "pipelines/task_history_cli")
    files = [path for name in packages for path in (ROOT / name).rglob("*") if path.is_file()]
    own = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    with tarfile.open(archive) as sdist:
        there = {name.partition("/")[2] for name in sdist.getnames()}
    assert own - there == set()
    assert {"pyproject.toml", "README.md", "hatch_build.py"} <= there


@pytest.mark.torture
def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path, tmp_path: Path) -> None:
    """A wheel that is built from the sdist has the same files as the one that is built from the clone."""
    (archive,) = built.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    _build(source, tmp_path / "again", "-t", "wheel")
    (first,), (second,) = built.glob("*.whl"), (tmp_path / "again").glob("*.whl")
    assert sorted(zipfile.ZipFile(first).namelist()) == sorted(zipfile.ZipFile(second).namelist())


@pytest.mark.torture
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_runs_on_each_python(built: Path, tmp_path: Path, version: str) -> None:
    """By pip, into an empty environment, with the tested versions of its dependencies."""
    _run(_program(version), "-m", "venv", tmp_path / "own")
    python = tmp_path / "own" / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    _run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock")
    _run(*pip, "--no-deps", wheel)
    _demo_runs(python, tmp_path)


@pytest.mark.torture
def test_the_lowest_versions_are_enough(built: Path, tmp_path: Path) -> None:
    """By uv, with the lowest version of each dependency that pyproject.toml allows."""
    uv = _uv(tmp_path / "uv")
    python = tmp_path / "own" / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", _program(VERSIONS[0]), tmp_path / "own")
    (wheel,) = built.glob("*.whl")
    _run(uv, "pip", "install", "--quiet", "--python", python, "--resolution", "lowest-direct", wheel)
    _demo_runs(python, tmp_path)
