"""A process that waits for a file is known to the one that has it open, and for no longer than it waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from task_history.core.awaited_file import WaitForFile, is_awaited

_WAIT = """
import sys
from pathlib import Path
from task_history.core.awaited_file import WaitForFile
with WaitForFile(Path(sys.argv[1])) as wait:
    wait.announce()
    print("waits", flush=True)
    sys.stdin.read()
"""


def test_a_wait_is_known_from_its_announcement_to_its_end(tmp_path: Path) -> None:
    """Several processes may wait; nothing is left in the folder, and the file need not be there."""
    file = tmp_path / "w.duckdb"
    with WaitForFile(file) as one, WaitForFile(file) as other:
        assert not is_awaited(file)
        one.announce()
        one.announce()
        other.announce()
        assert is_awaited(file)
    assert not is_awaited(file)
    assert list(tmp_path.iterdir()) == []


def test_the_wait_of_a_killed_process_is_over(tmp_path: Path) -> None:
    """The operating system ends it; until then the process is seen through a link to the file, too."""
    folder = tmp_path / "folder"
    folder.mkdir()
    link = tmp_path / "link.duckdb"
    link.symlink_to(folder / "w.duckdb")
    with subprocess.Popen(
        [sys.executable, "-c", _WAIT, str(folder / "w.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"waits\n"
        assert is_awaited(link)
        waiting.kill()
    assert not is_awaited(link)


def test_where_it_cannot_be_known_a_file_counts_as_awaited(tmp_path: Path) -> None:
    """Where the folder cannot be opened it is not known whether a process waits, and the file is closed in turn."""
    gone = tmp_path / "gone" / "w.duckdb"
    with WaitForFile(gone) as wait:
        wait.announce()
        assert is_awaited(gone)
