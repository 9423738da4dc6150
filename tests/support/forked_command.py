"""A ``task-history`` for shell scripts whose processes are forked from one that has imported all that they need."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.forked import Forked, can_fork

_MAX_ORDER_BYTES = 1 << 20
_PROGRAM = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
order = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
socket.send_fds(server, [order.encode()], [0, 1, 2])
sys.exit(int(server.recv(16)))
"""


@contextmanager
def forked_command(folder: Path) -> Iterator[Path]:
    """A folder for PATH that has the command, for as long as this lasts.

    The command's program hands its words, folder, environment and streams over to this process, which starts the
    command, and ends as that does. Where the program is killed the command is terminated.
    """
    bin_folder, address = folder / "bin", str(folder / "orders")
    bin_folder.mkdir()
    program = bin_folder / "task-history"
    program.write_text(_PROGRAM.format(python=sys.executable, address=address))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        try:
            yield bin_folder
        finally:
            server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket) -> None:
    with suppress(OSError):  # it was shut down
        while True:
            connection, _ = server.accept()
            order, streams, _, _ = socket.recv_fds(connection, _MAX_ORDER_BYTES, 3)
            process = _start(order, streams)
            threading.Thread(target=_follow, args=(process, connection), daemon=True).start()


def _start(order: bytes, streams: list[int]) -> subprocess.Popen[str]:
    words, folder, env = json.loads(order)
    if can_fork(env):
        return Forked(words, Path(folder), env, streams=(streams[0], streams[1], streams[2]))
    command = [sys.executable, "-m", "task_history_cli.cli", *words]
    stdin, stdout, stderr = streams
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdin=stdin, stdout=stdout, stderr=stderr, text=True
    )
    for stream in streams:
        os.close(stream)
    return process


def _follow(process: subprocess.Popen[str], connection: socket.socket) -> None:
    """Tells the program how the command ended, or ends the command where the program is no more."""
    with connection:
        ended = os.pidfd_open(process.pid)
        if connection.fileno() in select.select([connection.fileno(), ended], [], [])[0]:
            process.terminate()
        os.close(ended)
        code = process.wait()
        with suppress(OSError):
            connection.sendall(str(code if code >= 0 else 128 - code).encode())
