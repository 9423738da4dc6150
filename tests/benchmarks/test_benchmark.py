"""The benchmark measures what it says, without its peers: this project and the ceiling, over few rows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks import scenarios
from tests.benchmarks.accounts import Accounts, compare_accounts
from tests.benchmarks.checking import Truth, found
from tests.benchmarks.measuring import run
from tests.benchmarks.tools import CEILING, DETAILS, FIRST, TASK_HISTORY, TOOLS, job_of
from tests.support.place import ROOT

ROWS = 1_000
DETAILED = 60
FAULTS = ("missing", "surplus", "repeated", "stale")


@dataclass
class Measured:
    """What was told, as figures and as text."""

    figures: dict[str, dict[str, dict[str, Any]]]
    tables: list[str]


def test_it_runs_without_what_tests_need() -> None:
    """``make bench`` sets up what runs, and none of the tools for tests."""
    program = (
        "import sys; sys.modules |= dict.fromkeys(['pytest', 'hypothesis']); import tests.benchmarks.__main__"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return _measure(tmp_path_factory.mktemp("benchmark"), "syncs")


def _measure(folder: Path, *parts: str) -> Measured:
    tables: list[str] = []
    told = scenarios.compare(
        (TASK_HISTORY, CEILING),
        scenarios.Sizes(rows=ROWS, details=DETAILED, runs=1),
        folder,
        tables.append,
        parts=parts,
    )
    return Measured({name: {line["tool"]: line for line in lines} for name, lines in told.items()}, tables)


def test_both_read_the_same_pages_and_load_the_same_rows(measured: Measured) -> None:
    """Of one world each asks for every page, this project for its count as well, and has every row once."""
    ours, ceiling = (measured.figures[FIRST][tool.name] for tool in (TASK_HISTORY, CEILING))
    pages = ours["rows"] // 100 + 1  # one that is not full ends the list
    assert ROWS * 0.97 < ours["rows"] < ROWS * 1.03
    assert ours["loaded"] == ceiling["loaded"] == ours["rows"] == ceiling["rows"]
    assert ceiling["requests"] == pages
    assert pages <= ours["requests"] <= pages + 3
    for line in (ours, ceiling):
        assert [line[name] for name in FAULTS] == [0, 0, 0, 0]


def test_figures_are_those_of_whole_processes(measured: Measured) -> None:
    """Each costs at least what a start of Python with DuckDB does, and its rate is of its wall time."""
    for lines in measured.figures.values():
        for line in lines.values():
            assert 0.05 < line["cpu_s"] < 60
            assert line["cpu_s"] < line["wall_s"] * (os.cpu_count() or 1) * 1.2
            assert 40 < line["peak_mib"] < 1_500
            assert line["rows_per_s"] == pytest.approx(line["rows"] / line["wall_s"])


def test_ours_is_right_after_every_sync(measured: Measured) -> None:
    """What changed is loaded by the next sync, and an idle one asks for next to nothing."""
    for scenario in ("incremental", "idle"):
        ours = measured.figures[scenario][TASK_HISTORY.name]
        assert [ours[name] for name in FAULTS] == [0, 0, 0, 0], scenario
    assert measured.figures["incremental"][TASK_HISTORY.name]["rows"] > 0
    assert measured.figures["idle"][TASK_HISTORY.name]["requests"] <= 3


@pytest.mark.torture
def test_both_load_the_steps_of_every_execution(tmp_path: Path) -> None:
    """None that has ended lacks its details."""
    measured = _measure(tmp_path / "benchmark", "details")
    for line in measured.figures[DETAILS].values():
        assert line["rows"] > DETAILED / 2
        assert [line[name] for name in (*FAULTS, "without_details")] == [0, 0, 0, 0, 0]


def test_tables_say_the_figures(measured: Measured) -> None:
    """One table per scenario, one line per tool, times as multiples of this project's."""
    assert len(measured.tables) == 3
    title, _heads, ours, ceiling = measured.tables[0].splitlines()
    figures = measured.figures[FIRST]
    assert f"{figures['ceiling']['rows']:,} executions" in title
    assert ours.split()[0] == "task-history"
    assert ours.split()[-2:] == ["1.00", "right"]
    ratio = figures["ceiling"]["wall_s"] / figures["task-history"]["wall_s"]
    assert ceiling.split()[-2] == f"{ratio:.2f}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=300, seed=3, freeze=True) as server:
        yield server


def test_a_copy_that_is_not_right_is_said(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """Rows that are missing, there twice or in another state are counted, and stand in the table."""
    job = job_of(sandbox, tmp_path / "copy", FIRST)
    run(CEILING, job, sandbox)
    truth = Truth(sandbox, tmp_path / "truth")
    assert found(CEILING, job, truth).words == "right"
    with duckdb.connect(str(job.folder / "warehouse.duckdb")) as connection:
        ids = [
            row[0] for row in connection.execute("SELECT id FROM executions ORDER BY id LIMIT 6").fetchall()
        ]
        connection.execute("DELETE FROM executions WHERE id IN (?, ?, ?)", ids[:3])
        connection.execute("INSERT INTO executions SELECT * FROM executions WHERE id IN (?, ?)", ids[3:5])
        connection.execute("UPDATE executions SET status = 'EXECUTING' WHERE id = ?", ids[5:])
        connection.execute("INSERT INTO executions (id) VALUES ('invented')")
    assert found(CEILING, job, truth).words == "3 missing, 1 too many, 2 twice, 1 stale"


@pytest.mark.torture
def test_many_accounts_are_compared_with_one(tmp_path: Path) -> None:
    """Both load all executions, and the rate of many is a share of that of one."""
    tables: list[str] = []
    told = compare_accounts(Accounts(2, 40, jobs=1), tmp_path / "accounts", tables.append)
    assert told["many"]["stored"] == told["one"]["stored"] > 40
    assert told["share"] == pytest.approx(told["many"]["rows_per_s"] / told["one"]["rows_per_s"])
    assert f"at {told['share']:.2f} × the rate of one" in tables[0]


def test_tools_are_named_with_their_versions() -> None:
    """Each pinned package stands with its version, and nothing else of the line that pins it."""
    for tool in TOOLS:
        for package in tool.packages:
            assert re.search(rf"[ ,]{package} [0-9.]+[,.]", tool.about), tool.about


def test_a_tool_that_fails_ends_the_benchmark(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """A run that ended with an error is no figure."""
    job = job_of(sandbox, tmp_path / "copy", FIRST, api_key="another")
    with pytest.raises(RuntimeError, match="task-history ended with"):
        run(TASK_HISTORY, job, sandbox)
