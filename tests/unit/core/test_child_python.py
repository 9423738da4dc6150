"""Further Python processes: what is installed is what starts, and no secret goes with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from task_history.client import trust
from task_history.core import child_python
from task_history_cli.sandbox.process import SandboxProcess

HOSTILE = (
    "argparse",
    "aiohttp",
    "duckdb",
    "json",
    "marimo",
    "task_history",
    "task_history_cli",
    "sitecustomize",
)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files that are named as modules and leave a mark when they are imported."""
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", ["", ".", ":", f".:{Path(__file__).parents[3]}"])
def test_no_file_of_the_current_folder_runs(
    path: str, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever module is asked for, and where PYTHONPATH names the current folder too."""
    monkeypatch.setenv("PYTHONPATH", path)
    root = Path(child_python.__file__).parents[2]
    done = subprocess.run(
        child_python.command("json.tool"),
        env=child_python.environment(root),
        input='{"a": 1}',
        text=True,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"a": 1}
    assert not (hostile / "ran").exists()


def test_the_sandbox_is_ours(hostile: Path) -> None:
    """It starts in any folder, from this project's code."""
    with SandboxProcess(executions=1) as sandbox:
        assert len(sandbox.truth()) == 1
    assert not (hostile / "ran").exists()


SECRETS = (
    "SOURCES__TASK_HISTORY__PARAGON__API_KEY",
    "TASK_HISTORY_PARAGON_EU__SOURCES__TASK_HISTORY__PARAGON__API_KEY",
    "DESTINATION__POSTGRES__CREDENTIALS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AWS_SECRET_ACCESS_KEY",
    "OPENAI_API_KEY",
    "GITHUB_TOKEN",
    "RUNTIME__SENTRY_DSN",
    "HTTPS_PROXY",
    "PGPASSWORD",
    "PYTHONSTARTUP",
    "MY_OWN",
)


def test_a_child_trusts_the_same_cas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable that names CAs for this process reaches its children, too."""
    for name in trust.VARIABLES:
        monkeypatch.setenv(name, "/ca.pem")
    assert set(trust.VARIABLES) <= child_python.environment(Path.cwd()).keys()


def test_no_secret_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is known to hold none; the rest is named by who starts it."""
    for name in SECRETS:
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    done = subprocess.run(
        [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"],
        env=child_python.environment(Path.cwd(), prefixes=("DESTINATION__",), MORE="m"),
        text=True,
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [name for name, value in found.items() if value == "s3cret"] == [
        "DESTINATION__POSTGRES__CREDENTIALS"
    ]
    assert (found["LC_ALL"], found["MORE"], "PATH" in found) == ("C.UTF-8", "m", True)
