"""Files: others cannot read them, no link is followed, nothing hangs, and nothing else is overwritten."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from task_history.client.rate_limit import Budget
from task_history.core import files
from task_history.core.errors import ConfigurationError, UsageError, WarehouseUnavailable
from task_history.extract.integrations import read_map
from task_history.runs.run_lock import run_lock
from task_history_cli.commands import explore
from task_history_cli.commands.report import MARK
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.budgets import KEY, ORIGIN, no_wait
from tests.support.place import Place

T = TypeVar("T")
PRECIOUS = b"what must not be lost\n"


def modes(*roots: Path) -> dict[Path, int]:
    """The rights of group and others on each file and folder there."""
    paths = [path for root in roots for path in (root, *root.rglob("*"))]
    return {path: stat.S_IMODE(path.lstat().st_mode) & 0o077 for path in paths}


@pytest.fixture
def _shell_umask() -> None:
    """The umask that a shell usually has."""
    os.umask(0o022)


@pytest.mark.usefixtures("_shell_umask", "views")
def test_only_the_owner_reads_what_is_made(tmp_path: Path) -> None:
    """Warehouse, dlt's folder, budget, lock and report are the owner's alone at umask 022; the setting opens them."""
    with SandboxProcess(executions=20, freeze=True) as sandbox:
        for mask, allowed in ((None, 0), ("027", 0o050)):
            folder = tmp_path / str(mask)
            folder.mkdir(mode=0o700)
            place = Place(folder, sandbox, rate_limit_requests=1_000, integrations=None, steps="none")
            if mask:
                place.env["TASK_HISTORY_UMASK"] = mask
            made = [place.file, folder / "dlt", folder / "state"]
            if mask:
                place.run("sync", "paragon")
            else:
                place.run_process("sync", "paragon")
                place.run("report", "--format", "csv")
                made.append(folder / "report.zip")
            found = modes(*made)
            assert len(found) > 20
            assert any(path.suffix == ".lock" for path in found)
            assert any(path.suffix == ".sqlite" for path in found)
            assert {path: mode for path, mode in found.items() if mode & ~allowed} == {}
            assert found[place.file] == allowed & 0o040
            assert os.umask(0o022) == 0o022, "the process has its own umask again"


def test_the_setting_is_checked(tmp_path: Path) -> None:
    """A mask that is no octal number, or would lock the owner out, is named with what it may be."""
    place = Place(tmp_path, None)
    for value in ("0o27x", "rw-r-----", "700", "0888", "-1"):
        place.env["TASK_HISTORY_UMASK"] = value
        assert "from 000 to 077, as the shell's umask takes it (077" in place.run("status", expect=3).stderr


@pytest.mark.usefixtures("_shell_umask")
def test_what_others_can_read_is_named_once(tmp_path: Path) -> None:
    """A warehouse made earlier at 0644 keeps its rights; one line says so, and the next run says nothing."""
    with SandboxProcess(executions=20, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None)
        place.run("sync", "paragon")
        place.file.chmod(0o644)
        told = place.run("sync", "paragon").stderr
        assert told.count("open_to_others") == 1
        assert str(place.file) in told
        assert "chmod go-rwx" in told
        assert "open_to_others" not in place.run("sync", "paragon").stderr
        assert stat.S_IMODE(place.file.stat().st_mode) == 0o644


@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "pipe", "folder"])
def test_a_lock_file_that_is_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    """Nothing is emptied, made or waited for: the error names the file, and what is there stays."""
    precious, folder = tmp_path / "precious", tmp_path / "work"
    precious.write_bytes(PRECIOUS)
    folder.mkdir()
    _lay(kind, folder / "p.lock", precious)
    with pytest.raises(WarehouseUnavailable, match=r"p\.lock"), run_lock(folder / "p.lock", "p"):
        pass
    assert precious.read_bytes() == PRECIOUS
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["link", "file", "somebody else's"])
def test_a_working_folder_that_is_not_ours_is_refused(tmp_path: Path, kind: str) -> None:
    """A folder laid before, in a place that all may write to, is not worked in."""
    (tmp_path / "real").mkdir()
    folder = tmp_path / "work"
    if kind == "link":
        folder.symlink_to(tmp_path / "real")
    elif kind == "file":
        folder.touch()
    elif os.getuid() == 0:
        folder.mkdir()
        os.chown(folder, 12_345, -1)
    else:
        pytest.skip("only root can give a folder away")
    with pytest.raises(WarehouseUnavailable, match="DLT_DATA_DIR"), run_lock(folder / "p.lock", "p"):
        pass
    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
def test_a_budget_file_that_is_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    """No database is made, opened or damaged through it."""
    precious = tmp_path / "precious"
    precious.write_bytes(PRECIOUS)
    budget = Budget(5, 10.0, origin=ORIGIN, key=KEY, state_dir=tmp_path / "state")
    assert budget.path is not None
    budget.path.parent.mkdir()
    _lay(kind, budget.path, precious)
    with pytest.raises(ConfigurationError, match="TASK_HISTORY_STATE_DIR"):
        budget.reserve(no_wait)
    with pytest.raises(ConfigurationError, match="TASK_HISTORY_STATE_DIR"):
        budget.usage()
    assert precious.read_bytes() == PRECIOUS
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.usefixtures("_shell_umask")
def test_a_budget_in_a_process_of_somebody_else_is_private(tmp_path: Path) -> None:
    """Where the source is used as a library the umask stays, and the budget's file is the owner's alone."""
    budget = Budget(5, 10.0, origin=ORIGIN, key=KEY, state_dir=tmp_path / "state")
    with budget.reserve(no_wait):
        pass
    assert set(modes(tmp_path / "state").values()) == {0}
    assert os.umask(0o022) == 0o022


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "too long"])
@pytest.mark.parametrize(
    "what", ["workflow_map", "config.toml", "secrets.toml", "credentials", "warehouse", "certificates"]
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, what: str, kind: str) -> None:
    """A pipe does not hang, a device does not fill the memory: exit code 3 with the name, before anything is sent."""
    place = Place(tmp_path, None, base_url="http://127.0.0.1:9", project_id="p", api_key="key-of-a-test")
    words = ["sync", "paragon"]
    if what == "workflow_map":
        path = tmp_path / "map.csv"
        place.set(integrations=None, workflow_map=str(path))
        with pytest.raises(ConfigurationError):
            _read(path, kind)
        return
    if what == "credentials":
        path = tmp_path / "key"
        place.env["DESTINATION__BIGQUERY__CREDENTIALS"] = str(path)
        words += ["--destination", "bigquery"]
    elif what == "certificates":
        path = tmp_path / "ca.pem"
        place.env["SSL_CERT_FILE"] = str(path)
        place.set(base_url="https://127.0.0.1:9")
    elif what == "warehouse":
        path = place.file
        if kind == "too long":
            return
    else:
        path = tmp_path / ".dlt" / what
        path.parent.mkdir()
    _lay(kind, path, tmp_path)
    # A run takes signals, which a thread cannot.
    run = place.run_process if what == "certificates" else partial(place.run, expect=None)
    done = _within(lambda: run(*words))
    assert done.returncode == 3, done.stderr
    assert path.name in done.stderr


def _read(path: Path, kind: str) -> None:
    _lay(kind, path, path.parent)
    error: list[Exception] = []

    def read() -> str:
        try:
            read_map(str(path))
        except ConfigurationError as refused:
            error.append(refused)
        return ""

    _within(read)
    assert "map.csv" in str(error[0])
    raise error[0]


def _within(work: Callable[[], T]) -> T:
    """What ``work`` gives; fails instead of waiting for ever."""
    given: list[T] = []
    thread = threading.Thread(target=lambda: given.append(work()), daemon=True)
    thread.start()
    thread.join(60)
    assert given, "it hangs"
    return given[0]


def _lay(kind: str, path: Path, target: Path) -> None:
    if kind == "link":
        path.symlink_to(target)
    elif kind == "dangling":
        path.symlink_to(target.parent / "nowhere")
    elif kind == "hard link":
        path.hardlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(40_000_000)


def test_a_mounted_file_may_be_a_link(tmp_path: Path) -> None:
    """Kubernetes mounts a file as a link to one: what is read may be one."""
    (tmp_path / "data.csv").write_text("workflow_id,integration\nw,slack\n")
    (tmp_path / "map.csv").symlink_to("data.csv")
    assert read_map(str(tmp_path / "map.csv"))["w"].integration == "slack"


@pytest.mark.parametrize("kind", ["warehouse", "text", "link", "dangling", "pipe", "folder"])
@pytest.mark.parametrize("command", ["report", "demo"])
def test_nothing_else_is_overwritten(tmp_path: Path, command: str, kind: str) -> None:
    """``report --out`` and ``demo --file`` put nothing in the place of a file that is not theirs: exit code 2."""
    place = Place(tmp_path, None)
    precious, path = tmp_path / "precious", tmp_path / "there.html"
    precious.write_bytes(PRECIOUS)
    if kind in ("warehouse", "text"):
        path.write_bytes(b"\0" * 8 + b"DUCK" + b"\0" * 100 if kind == "warehouse" else PRECIOUS)
    else:
        _lay(kind, path, precious)
    before = path.lstat()
    option = "--out" if command == "report" else "--file"
    told = _within(lambda: place.run(command, option, path.name, expect=2).stderr)
    assert path.name in told
    assert "ame another" in told
    assert precious.read_bytes() == PRECIOUS
    assert (path.lstat().st_ino, path.lstat().st_size) == (before.st_ino, before.st_size)
    assert not (tmp_path / "nowhere").exists()


def test_a_link_laid_meanwhile_is_not_followed(tmp_path: Path) -> None:
    """What is written is a new file that takes the place: a link there is replaced or refused, never followed."""
    precious = tmp_path / "precious"
    precious.write_bytes(PRECIOUS)
    (tmp_path / "new").symlink_to(precious)
    with pytest.raises(FileExistsError):
        files.write_new(tmp_path / "new", b"x")
    (tmp_path / "report").write_bytes(MARK)
    files.replace(tmp_path / "report", MARK + b"2")
    assert (tmp_path / "report").read_bytes() == MARK + b"2"
    assert precious.read_bytes() == PRECIOUS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "precious", "report"]


def test_a_notebook_is_not_written_through_a_link(tmp_path: Path) -> None:
    """``explore --edit`` through a link that leads nowhere makes no file there."""
    (tmp_path / "mine.py").symlink_to(tmp_path / "nowhere.py")
    with pytest.raises(UsageError, match=r"mine\.py"):
        explore._app(tmp_path / "mine.py")
    assert not (tmp_path / "nowhere.py").exists()
