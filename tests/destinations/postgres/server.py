"""A cluster of its own in a folder, on a free port of loopback."""

from __future__ import annotations

import contextlib
import copy
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

_DEBIAN = Path("/usr/lib/postgresql")
_STARTS_WITHIN_S = 60
PASSWORD = "password-that-is-nowhere-written"
# Nothing that is kept matters after the tests.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50")
# So that it never outlives who started it; ends at once, without a last checkpoint.
_UNTIL_INPUT_ENDS = '"$@" & cat >/dev/null; kill -QUIT $!; wait'


def binaries() -> Path | None:
    """Where the newest server's programs are; None when there is none."""
    found = [file.parent for file in _DEBIAN.glob("*/bin/initdb")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


class Server:
    """Postgres over an empty folder.

    Raises RuntimeError when it does not start.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._user = _owner(folder)
        self._make(
            programs / "initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._program = programs / "postgres"
        self.database = "postgres"
        self.start()

    def start(self) -> None:
        """Starts it, on its port; gives back when it takes connections."""
        options: list[str | Path] = ["-D", self._data, "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        options += [word for setting in _SETTINGS for word in ("-c", setting)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _UNTIL_INPUT_ENDS, "sh", self._program, *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._as_owner(),
            )
        self._wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where a client finds it."""
        return f"postgresql://tests:{PASSWORD}@127.0.0.1:{self.port}/{self.database}"

    @contextlib.contextmanager
    def empty_database(self) -> Iterator[Server]:
        """The same server with a database of its own, which is dropped afterwards."""
        found = copy.copy(self)
        found.database = f"test_{secrets.token_hex(8)}"
        self._execute(f"CREATE DATABASE {found.database}")
        try:
            yield found
        finally:
            self._execute(f"DROP DATABASE {found.database} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        # A connection for each: a test may end all that are open.
        with contextlib.closing(psycopg.connect(self.url, autocommit=True)) as connection:
            connection.execute(statement)

    def signal(self, number: int) -> None:
        """Sends a signal to all its processes: SIGSTOP suspends them, SIGKILL of the first is a crash."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for process in (first, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def shut_down(self) -> None:
        """Ends it as an upgrade does: connections are closed, and what was committed is kept."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGINT)
        while (self._data / "postmaster.pid").exists():
            time.sleep(0.02)
        self.stop()

    def crash(self) -> None:
        """Ends all its processes at once; what they had not written is lost."""
        self.signal(signal.SIGKILL)
        self.stop()

    def require_passwords(self) -> None:
        """From now on each user but ``tests`` needs a password."""
        (self._data / "pg_hba.conf").write_text(
            "host all tests 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)

    def stop(self) -> None:
        """Ends it; gives back when it is over."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=20)

    def _make(self, *words: str | Path) -> None:
        done = subprocess.run(words, check=False, capture_output=True, text=True, **self._as_owner())
        if done.returncode:
            raise RuntimeError(f"{words[0]} failed: {done.stderr[-2000:]}")

    def _as_owner(self) -> dict[str, Any]:
        """Postgres refuses to run as root."""
        own: dict[str, Any] = {
            "cwd": self._data.parent,
            "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        }
        if self._user is not None:
            own |= {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return own

    def _wait(self) -> None:
        until = time.monotonic() + _STARTS_WITHIN_S
        while True:
            said = self._log.read_text()
            if "ready to accept connections" in said:
                return
            # A client that asks too early is told so as FATAL; the server goes on.
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"Postgres did not start:\n{said[-2000:]}")
            time.sleep(0.05)


def _owner(folder: Path) -> pwd.struct_passwd | None:
    """Who runs it: postgres or nobody in the place of root, who then owns the folder; None for whoever this is."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    return user
