"""Commands as processes that are forked from one which has imported all that they need: a tenth of the time.

For commands that change the state of their process, as dlt does with settings. ``python -m tests.support.forked``
takes a line of JSON with words, folder, environment and two files for each command, and answers its exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.place import ROOT, Place


class Forked:
    """The process that forks; ``run`` is one command."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._out, self._err = folder / "out", folder / "err"

    def run(self, place: Place, *words: str) -> subprocess.CompletedProcess[str]:
        """The command in the place, run to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = [words, str(place.folder), place.env, str(self._out), str(self._err)]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(
            words, code, self._out.read_text("utf-8"), self._err.read_text("utf-8")
        )


@contextmanager
def forked() -> Iterator[Forked]:
    """Starts the process that forks, and ends it."""
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Forked(process, Path(folder))


def _serve() -> None:
    import task_history.load.destinations.duckdb  # what the commands import
    import task_history.load.pipeline  # noqa: F401 - for the commands
    from task_history_cli.console.output import import_structlog

    import_structlog()
    for line in sys.stdin:
        words, folder, environment, out, err = json.loads(line)
        child = os.fork()
        if not child:
            _become(words, folder, environment, out, err)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(words: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    """Runs the command in this process, as if it had been started so, and ends."""
    from task_history_cli.cli import main

    code: object = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        for number, file in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(
                os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number
            )
        code = main(words)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve()
