"""Commands, scripts and sandboxes as processes that are forked from one which has imported all that they need.

A new interpreter takes most of a second of a processor to import dlt, and a seventh of one to import a sandbox; a fork
takes none of it. All else is as of a process of its own: its folder, environment and streams, signals, and how it ends.
``python -m tests.support.forked`` takes an order for each process, as JSON with the descriptors of its three streams,
and answers with a process id.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.forked_workers import adopts_orphans, fork_twice, fork_workers, run_to_end

_ROOT = Path(__file__).parents[2]
_MAX_ORDER_BYTES = 1 << 20
_BY_INTERPRETER = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""Variables that are read when an interpreter starts."""


def can_fork(env: dict[str, str]) -> bool:
    """Whether a fork is as a new process with that environment would be."""
    return sys.platform == "linux" and _read_at_start(env) == _read_at_start({**os.environ, **_ours()})


def _read_at_start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_BY_INTERPRETER)}


def _ours() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT)}


class Forked(subprocess.Popen[str]):
    """A command, script or sandbox in that folder and environment, with pipes for what it writes; this process's child.

    Popen's own way of starting a process is replaced, and nothing else of it. ``streams`` are those of subprocess;
    descriptors among them are closed here. ``python`` is the interpreter of another environment.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        env: dict[str, str],
        *,
        streams: tuple[int, int, int] = (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE),
        start_new_session: bool = False,
        program: str = "commands",
        python: Path = Path(sys.executable),
    ) -> None:
        self._program, self._python = program, python
        super().__init__(
            words,
            cwd=folder,
            env=env,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            text=True,
            start_new_session=start_new_session,
        )

    def _execute_child(self, *values: Any) -> None:
        given = _SIGNATURE.bind(self, *values).arguments
        order = [self._program, given["args"], str(given["cwd"]), given["env"], given["start_new_session"]]
        streams = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        with adopts_orphans():
            server = _server(self._program == "sandboxes", self._python)
            socket.send_fds(server, [json.dumps(order).encode()], streams)
            self.pid = int(server.recv(64))
        self._child_created = True
        for stream in streams:
            os.close(stream)
        self._closed_child_pipe_fds = True


_SIGNATURE = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]


def start_sandbox(words: list[str]) -> subprocess.Popen[str]:
    """A sandbox with these words of its command line, which writes its errors to this process's stderr."""
    streams = (subprocess.DEVNULL, subprocess.PIPE, os.dup(2))
    return Forked(words, _ROOT, dict(os.environ), streams=streams, program="sandboxes")


@cache
def _server(of_sandboxes: bool, python: Path) -> socket.socket:
    """The way to this process's server of sandboxes, or of what needs dlt, which ends with it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            [str(python), "-m", "tests.support.forked", str(there.fileno()), str(int(of_sandboxes))],
            cwd=_ROOT,
            env={**os.environ, **_ours()},
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        here.close()
        process.wait()

    atexit.register(end)
    return here


def _command(words: list[str]) -> Any:
    from task_history_cli.cli import main

    return main(words)


def _command_without_views(words: list[str]) -> Any:
    """As ``_command``, without making and checking views, which takes half of the time of a first sync."""
    from task_history_cli.runtime import views

    with (
        mock.patch.object(views, "refresh", return_value=None),
        mock.patch.object(views, "findings", return_value=()),
    ):
        return _command(words)


def _script(words: list[str]) -> None:
    """As ``python -W error -c``, but for warnings of imports."""
    sys.argv = ["-c", *words[1:]]
    warnings.simplefilter("error")
    exec(words[0], {"__name__": "__main__"})


def _sandbox(words: list[str]) -> None:
    from task_history_cli.sandbox.__main__ import main

    main(words)


PROGRAMS: dict[str, Callable[[list[str]], Any]] = {
    "commands": _command,
    "commands without views": _command_without_views,
    "scripts": _script,
    "sandboxes": _sandbox,
}
"""What a fork runs with its words."""


def _import(of_sandboxes: bool) -> None:
    if of_sandboxes:
        import task_history_cli.sandbox.__main__  # noqa: F401 - the forks have it
    else:
        from task_history_cli.fleet.sync_imports import import_all

        import_all()


def _serve(server: socket.socket) -> tuple[str, list[str]]:
    """Forks once for each order. Returns only in a fork: the program of the order, and the words of its command line."""
    while True:
        order, streams, _, _ = socket.recv_fds(server, _MAX_ORDER_BYTES, 3)
        if not order:
            sys.exit()
        if not (process := fork_twice()):
            server.close()
            program, words, *place = json.loads(order)
            _become(streams, words, *place)
            return program, words
        server.send(str(process).encode())
        for descriptor in streams:
            os.close(descriptor)


def _become(
    streams: list[int], words: list[str], folder: str, env: dict[str, str], starts_session: bool
) -> None:
    """Makes this process what a new one would be."""
    if starts_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for name, number, buffering in (("stdout", 1, -1), ("stderr", 2, 1)):
        old = getattr(sys, name)
        new = open(number, "w", buffering, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    if words[:2] == ["fleet", "sync"] or "--shards" in words:
        fork_workers()


if __name__ == "__main__":
    _import(sys.argv[2] == "1")
    _program, _words = _serve(socket.socket(fileno=int(sys.argv[1])))
    run_to_end(lambda: PROGRAMS[_program](_words))
