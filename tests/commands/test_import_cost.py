"""What a command costs before it does anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from task_history_cli.runtime.imports import left_out
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

NOT_NEEDED = ("numpy", "pandas", "httpx._main", "click", "pygments", "rich")
RUN = f"""
import sys
from task_history_cli.cli import main
code = main(sys.argv[1:])
print("imported", *sorted(set({NOT_NEEDED!r}).intersection(sys.modules)))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with SandboxProcess(executions=50, freeze=True) as sandbox:
        yield Place(tmp_path_factory.mktemp("start"), sandbox, steps="failed", payloads="failed")


def test_a_sync_imports_nothing_that_it_does_not_need(place: Place) -> None:
    """Whatever is installed beside, a sync without a terminal neither waits for it nor keeps it in memory."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, "sync", "paragon"],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "imported"
    assert place.query("SELECT count(*) FROM paragon.workflow_executions") == [(50,)]


def test_what_is_left_out_is_there_afterwards() -> None:
    """A module is missing for as long as it is left out and no longer; one that was imported before stays."""
    sys.modules.pop("this", None)
    with left_out("this", "json"):
        with pytest.raises(ModuleNotFoundError, match="this is left out"):
            __import__("this")
        __import__("json")
    assert [type(finder).__name__ for finder in sys.meta_path].count("_LeftOut") == 0
