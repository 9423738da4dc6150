"""Exit codes are defined once, and one run at a time holds the lock of a pipeline."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from task_history.core import errors
from task_history.core.errors import AlreadyRunning, TaskHistoryError
from task_history.core.exit_codes import ExitCode
from task_history.runs.run_lock import run_lock
from tests.support.place import ROOT, Place

HOLDER = """
import sys, time
from pathlib import Path
from task_history.runs.run_lock import run_lock
with run_lock(Path(sys.argv[1]), "p"):
    print("held", flush=True)
    time.sleep(300)
"""


def test_help_names_each_code(tmp_path: Path) -> None:
    """Each code with its meaning; each error of this project ends in one of them, as the tree of errors says."""
    told = " ".join(Place(tmp_path, None).run("--help").stdout.split())
    for code in ExitCode:
        assert f"{code:d} {code.meaning}" in told
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, TaskHistoryError)
    ]
    assert {kind.exit_code for kind in kinds} < set(ExitCode)
    tree = errors.__doc__ or ""
    for name, code in re.findall(r"── (\w+) .*exit (\d+)$", tree, re.MULTILINE):
        assert vars(errors)[name].exit_code == int(code)
    assert set(re.findall(r"── (\w+) ", tree)) == {kind.__name__ for kind in kinds} - {"TaskHistoryError"}


@pytest.mark.parametrize("words", [("why", "paragon", "a\udcff"), ("forget", "paragon", "--user", "a\udcff")])
def test_a_value_that_is_no_text_is_wrong_usage(words: tuple[str, ...], tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are refused by the option's name, before anything is asked for them."""
    assert "is no text in UTF-8. See" in Place(tmp_path, None).run(*words, expect=2).stderr


def test_no_command_has_a_code_of_its_own() -> None:
    """No number but 0 is given back: the others have names."""
    folder = ROOT / "pipelines" / "task_history_cli"
    for path in [folder / "cli.py", *(folder / "commands").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in (
                "run",
                "main",
                "_run",
                "_check",
                "_failed",
            ):
                codes = [
                    number.value
                    for back in ast.walk(node)
                    if isinstance(back, ast.Return) and back.value is not None
                    for number in ast.walk(back.value)
                    if isinstance(number, ast.Constant) and type(number.value) is int
                ]
                assert set(codes) <= {0}, f"{path}:{node.lineno}"


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """While a process holds the lock others hear which one it is; the lock ends with it, however it dies."""
    path = tmp_path / "work" / "p.lock"
    place = Place(tmp_path, None)
    for kill in (signal.SIGKILL, signal.SIGTERM):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], env=place.env, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for _ in range(2):  # who asks in vain does not take away what the next one is told
            with pytest.raises(AlreadyRunning, match=rf"process {holder.pid}\)"), run_lock(path, "p"):
                pass
        holder.send_signal(kill)
        holder.wait(timeout=60)
        holder.stdout.close()
        with run_lock(path, "p"):
            assert path.read_text() == str(os.getpid())


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    """Also within one process: held twice it is refused, and what fails lets it go."""
    path = tmp_path / "work" / "p.lock"
    with run_lock(path, "p"), pytest.raises(AlreadyRunning), run_lock(path, "p"):
        pass
    with pytest.raises(ZeroDivisionError), run_lock(path, "p"):
        _ = 1 // 0
    with run_lock(path, "p"):
        pass
