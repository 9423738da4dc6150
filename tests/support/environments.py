"""Environments beside that of the tests, for tools of analysts; ``make test`` makes them, see the Makefile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.place import ROOT


def analyst_python() -> Path:
    """Python with pandas, ibis, marimo and Altair beside what runs. Skips the test where it is not made."""
    return _program("analyst", "python")


def dbt() -> Path:
    """dbt with its adapter for DuckDB. Skips the test where it is not made."""
    return _program("dbt", "dbt")


def dagster_python() -> Path:
    """Python with Dagster and this project, and nothing else that it uses. Skips the test where it is not made."""
    return _program("dagster", "python")


def sphinx() -> Path:
    """Sphinx with what the documentation's site needs. Skips the test where it is not made."""
    return _program("docs", "sphinx-build")


def ducklake_python() -> Path:
    """Python with this project and the newest DuckDB whose DuckLake is a package. Skips where it is not made."""
    return _program("ducklake", "python")


def axe() -> str:
    """The script axe-core, which finds in a page what keeps people out. Skips the test where it is not made."""
    library = _program("axe", "python").parent.parent / "lib"
    (script,) = library.glob("python*/site-packages/axe_playwright_python/axe.min.js")
    return script.read_text("utf-8")


def _program(environment: str, name: str) -> Path:
    folder = ROOT / f".venv-{environment}"
    if not (folder / "ready").exists():
        pytest.skip(f"there is no {folder.name}: make {folder.name}/ready makes it")
    return folder / "bin" / name
