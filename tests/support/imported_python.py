"""Programs of another Python, as processes that are forked from one which has imported what they need."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

_SERVER = """
import json, os, sys, threading, traceback
exec(sys.argv[1])
for line in sys.stdin:
    code, words, folder, env, out, err = json.loads(line)
    pid = os.fork()
    if not pid:
        for number, file in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(file, (os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if number else os.O_RDONLY), number)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(folder)
        sys.argv = ["-c", *words]
        status = 0
        try:
            exec(code, {"__name__": "__main__"})
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else ended.code is not None
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class ImportedPython:
    """A Python that has run ``imports`` and forks a process for each program, one after the other.

    To import dbt or Dagster takes one or two seconds of a processor. The programs' environment is theirs, but for what an
    interpreter reads when it starts.
    """

    def __init__(self, python: Path, imports: str, env: Mapping[str, str], folder: Path) -> None:
        self._out, self._err = folder / "program.out", folder / "program.err"
        self._process = subprocess.Popen(
            [str(python), "-c", _SERVER, imports],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    @contextmanager
    def started(
        self, code: str, *words: str, folder: Path, env: Mapping[str, str]
    ) -> Iterator[tuple[int, Sequence[Path]]]:
        """The process of a program with those words, and the files of what it writes; waits for its end."""
        assert self._process.stdin is not None
        order = [code, words, str(folder), dict(env), str(self._out), str(self._err)]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        yield self._answer(), (self._out, self._err)
        self.status = self._answer()

    def run(
        self, code: str, *words: str, folder: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Runs the program to its end."""
        with self.started(code, *words, folder=folder, env=env):
            pass
        return subprocess.CompletedProcess(
            words, self.status, self._out.read_text("utf-8"), self._err.read_text("utf-8")
        )

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())
