"""Commands on machines that lack something: a home, a temporary folder, open streams, room for the output."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from task_history.core.folders import provide_home, state_folder
from task_history_cli.cli import COMMANDS
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SETTINGS = {"project_id": "p", "api_key": "a-key-of-some-length", "base_url": "http://127.0.0.1:9"}
_UNABLE = 99
NO_USER = ("unshare", "--map-user=54321", "--map-group=54321")
"""A user who is in no list of users."""
NO_TEMPORARY = (
    *("unshare", "--map-root-user", "--mount", "sh", "-c"),
    f'for f in /tmp /var/tmp; do mount --bind $f $f && mount -o remount,ro,bind $f || exit {_UNABLE}; done; exec "$@"',
    "sh",
)
"""A machine whose temporary folders cannot be written."""


def place_of(folder: Path) -> Place:
    folder.mkdir(exist_ok=True)
    return Place(folder, None, fault_deadline_s=0, **SETTINGS)


def run(
    place: Place, words: Sequence[str], prefix: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a process below another program. Skips the test where that program is not allowed to run."""
    if shutil.which(prefix[0] if prefix else "sh") is None:
        pytest.skip(f"there is no {prefix[0]}")
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "task_history_cli.cli", *words],
        cwd=place.folder,
        env=place.env if env is None else env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode == _UNABLE or done.stderr.startswith("unshare:"):
        pytest.skip(f"{' '.join(prefix[:3])} may not be used here")
    return done


@pytest.mark.parametrize(
    "words",
    rest_as_torture(["status", "check paragon", "sync paragon", "views"], ["sync paragon"]),
)
def test_a_user_without_a_home(tmp_path: Path, words: str) -> None:
    """A command does what it does for others, its folders beside those of the budgets."""
    place = place_of(tmp_path)
    for name in ("HOME", "DLT_DATA_DIR"):
        place.env.pop(name, None)
    done = run(place, words.split(), NO_USER)
    assert done.returncode == (4 if "paragon" in words else 0), done.stderr
    assert "bug" not in done.stderr
    if words.startswith("sync"):
        assert list((tmp_path / "state" / ".dlt" / "pipelines").iterdir())


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    """HOME is set to a folder of this user's alone, so that no library looks for settings in a folder of all users."""
    environ = {"TASK_HISTORY_STATE_DIR": str(tmp_path / "state")}
    real = os.environ["HOME"]
    try:
        os.environ["HOME"] = str(tmp_path / "nowhere")
        provide_home(environ)
    finally:
        os.environ["HOME"] = real
    assert environ["HOME"] == str(state_folder(environ))
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("is_named", [False, True], ids=["nothing named", "DLT_DATA_DIR"])
def test_a_machine_without_a_temporary_folder(tmp_path: Path, is_named: bool) -> None:
    """A command works with the folder that DLT_DATA_DIR names; without it, it says what to name."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no other folder that can be written")
    with TemporaryDirectory(dir="/dev/shm") as folder:
        place = place_of(Path(folder))
        for name in ("TASK_HISTORY_STATE_DIR", *(() if is_named else ("DLT_DATA_DIR",))):
            place.env.pop(name)
        if not is_named:
            # Python's last resort is the current folder.
            place.folder = Path("/proc")
        done = run(place, ("check", "paragon"), NO_TEMPORARY)
    assert done.returncode == (4 if is_named else 3), done.stderr
    assert ("There is no folder for temporary files" in done.stderr) is not is_named


ALL_HELP = """
import sys
from task_history_cli.cli import COMMANDS, main
for command in COMMANDS:
    try:
        code = main([command, "--help"])
    except SystemExit as end:
        code = end.code
    if code:
        sys.exit(f"{command} ended with {code}")
"""


@pytest.mark.parametrize("encoding", rest_as_torture(["ascii", "latin-1"], ["ascii"]))
def test_a_terminal_of_another_encoding(tmp_path: Path, encoding: str) -> None:
    """Characters that it lacks are printed as escapes, in the help of every command and in tables."""
    place = place_of(tmp_path)
    place.env |= {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    helped = subprocess.run(
        [sys.executable, "-c", ALL_HELP],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.count("usage: task-history") == len(COMMANDS)
    done = run(place, ("fleet", "list"))
    assert done.returncode == 0, done.stderr
    assert r"\u2500" in done.stdout


CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-", "all": "<&- >&- 2>&-"}


CODES = {"--help": 0, "--version": 0, "systems": 0, "status --json": 0, "sync paragon": 4, "nonsense": 2}


@pytest.mark.parametrize(
    ("words", "closed"),
    rest_as_torture(
        product(CODES, CLOSED),
        [
            ("systems", "stdout"),
            ("sync paragon", "all"),
            ("nonsense", "stderr"),
        ],
    ),
)
def test_closed_streams(tmp_path: Path, words: str, closed: str) -> None:
    """A command does its work and ends with its exit code; what it says goes nowhere."""
    place = place_of(tmp_path)
    shell = ("sh", "-c", f'exec "$@" {CLOSED[closed]}', "sh")
    done = run(place, words.split(), shell)
    assert done.returncode == CODES[words], done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "words",
    rest_as_torture(["--help", "systems --help", "--version", "systems", "systems --json"], ["systems"]),
)
def test_output_that_cannot_be_written(tmp_path: Path, words: str) -> None:
    """A command whose result nothing can take says so in one sentence; what is said on stderr is no result."""
    place = place_of(tmp_path)
    done = run(place, words.split(), ("sh", "-c", 'exec "$@" > /dev/full', "sh"))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "The output cannot be written (No space left on device)" in done.stderr
    assert run(place, words.split(), ("sh", "-c", 'exec "$@" 2> /dev/full', "sh")).returncode == 0
    assert run(place, words.split(), ("sh", "-c", '"$@" | true', "sh")).returncode == 0
