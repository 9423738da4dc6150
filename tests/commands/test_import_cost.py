"""What a command imports before it does anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

COSTLY = (
    "dlt",
    "pyarrow",
    "httpx",
    "structlog",
    "rich",
    "numpy",
    "pandas",
    "altair",
    "google.cloud.bigquery",
    "task_history.redaction.kinds_of_names",
)
RUN = f"""
import sys
from task_history_cli.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("imported", *sorted(set({COSTLY!r}).intersection(sys.modules)))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with SandboxProcess(executions=50, freeze=True) as sandbox:
        yield Place(tmp_path_factory.mktemp("start"), sandbox, steps="failed", payloads="none")


def imported(place: Place, *words: str) -> set[str]:
    """Which of the costly modules the command has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_a_sync_needs_no_data_frames_and_draws_nothing(place: Place) -> None:
    """Nothing of the default installation brings numpy or pandas; a sync without a terminal loads neither, nor rich.

    The rules by which texts are redacted are not read for rows of ids, words and instants.
    """
    unneeded = {"numpy", "pandas", "altair", "rich", "task_history.redaction.kinds_of_names"}
    assert imported(place, "sync", "paragon").isdisjoint(unneeded)
    assert place.query("SELECT count(*) FROM paragon.workflow_executions") == [(50,)]


@pytest.mark.parametrize(
    "words", [("--help",), ("sync", "--help"), ("systems",), ("--version",)], ids=" ".join
)
def test_what_asks_no_warehouse_imports_nothing(place: Place, words: tuple[str, ...]) -> None:
    """Help is there at once."""
    assert imported(place, *words) == set()


def test_status_imports_no_loader(place: Place) -> None:
    """What is loaded is read from a DuckDB file without dlt, Arrow or an HTTP client."""
    if not place.file.exists():
        place.quick_sync()
    assert imported(place, "status", "paragon", "--json") == set()
    assert imported(place, "status", "paragon") <= {"rich"}
