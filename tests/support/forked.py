"""Commands as processes that are forked from one which has imported all that they need.

A new interpreter takes most of a second of a processor to import dlt; a fork takes none of it. All else is as of a
process of its own: its folder, environment and streams, signals, and how it ends. ``python -m tests.support.forked``
takes an order for each command, as JSON with the descriptors of its three streams, and answers with a process id.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_MAX_ORDER_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36  # https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
_BY_INTERPRETER = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""Variables that are read when an interpreter starts."""
_MODULES = (
    "dlt._workspace.cli._plugins",
    "dlt.common.configuration.plugins",
    "dlt.sources.helpers.requests",
    "filelock",
    "structlog.stdlib",
    "task_history.client.transport",
    "task_history.load.destinations.duckdb",
    "task_history.load.pipeline",
    "task_history.runs.sync",
    "task_history_cli.commands.backfill",
    "task_history_cli.commands.sync",
)
"""What a sync imports, as it goes, beside what these import."""


def can_fork(env: dict[str, str]) -> bool:
    """Whether a fork is as a new process with that environment would be."""
    return sys.platform == "linux" and _read_at_start(env) == _read_at_start({**os.environ, **_ours()})


def _read_at_start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_BY_INTERPRETER)}


def _ours() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT)}


class Forked(subprocess.Popen[str]):
    """The command in that folder and environment, with pipes for what it writes; a child of this process.

    Popen's own way of starting a process is replaced, and nothing else of it. ``streams`` are those of subprocess;
    descriptors among them are closed here.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        env: dict[str, str],
        *,
        streams: tuple[int, int, int] = (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE),
        start_new_session: bool = False,
    ) -> None:
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
        order = [given["args"], str(given["cwd"]), given["env"], given["start_new_session"]]
        streams = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        with _adopting():
            server = _server()
            socket.send_fds(server, [json.dumps(order).encode()], streams)
            self.pid = int(server.recv(64))
        self._child_created = True
        for stream in streams:
            os.close(stream)
        self._closed_child_pipe_fds = True


_SIGNATURE = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]


@contextmanager
def _adopting() -> Iterator[None]:
    """While it lasts, what loses its parent below this process becomes a child of it, which can be waited for."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for is_on in (1, 0):
        if prctl(_PR_SET_CHILD_SUBREAPER, is_on, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        if is_on:
            yield


@cache
def _server() -> socket.socket:
    """The way to this process's server, which ends with it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked", str(there.fileno())],
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


def _serve(server: socket.socket) -> list[str]:
    """Forks for each order; gives back, in the fork, the words of its command."""
    from task_history import systems
    from task_history.load.memory import configure_allocators

    # Read when the HTTP client is imported.
    configure_allocators()
    for name in _MODULES:
        importlib.import_module(name)
    for name in systems.names():
        systems.find(name)
    gc.collect()
    gc.freeze()
    while True:
        order, streams, _, _ = socket.recv_fds(server, _MAX_ORDER_BYTES, 3)
        if not order:
            sys.exit()
        source, target = os.pipe()
        middle = os.fork()
        if not middle:
            command = os.fork()
            if command:
                os.write(target, str(command).encode())
                os._exit(0)
            for descriptor in (source, target, server.detach()):
                os.close(descriptor)
            return _become(streams, *json.loads(order))
        os.waitpid(middle, 0)  # now the command is a child of whose server this is
        server.send(os.read(source, 64))
        for descriptor in (source, target, *streams):
            os.close(descriptor)


def _become(
    streams: list[int], words: list[str], folder: str, env: dict[str, str], starts_session: bool
) -> list[str]:
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
    return words


def _run(words: list[str]) -> None:
    """Runs the command and ends this process as an interpreter does, but for taking all apart."""
    from task_history_cli.cli import main

    code: Any = 1
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as an interpreter prints it
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    _words = _serve(socket.socket(fileno=int(sys.argv[1])))
    _run(_words)
