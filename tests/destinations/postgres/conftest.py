"""A server for the tests of this folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.destinations.postgres.server import Server, binaries


@pytest.fixture(scope="session")
def postgres_of_all_tests() -> Iterator[Server]:
    """The server, one for each worker. Skips where none is installed."""
    with _server() as found:
        yield found


@pytest.fixture
def postgres(postgres_of_all_tests: Server) -> Iterator[Server]:
    """The server with an empty database that no other test sees. Skips where none is installed."""
    with postgres_of_all_tests.empty_database() as found:
        yield found


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that the test may stop. Skips as ``postgres`` does."""
    with _server() as found:
        yield found


@pytest.fixture(scope="module")
def postgres_of_the_file() -> Iterator[Server]:
    """A server that the tests of one file share and set up as they want. Skips as ``postgres`` does."""
    with _server() as found:
        yield found


@contextmanager
def _server() -> Iterator[Server]:
    programs = binaries()
    if programs is None:
        pytest.skip("no Postgres under /usr/lib/postgresql: Debian's package postgresql brings it")
    # pytest's own folder is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o711)
        with Server(programs, Path(folder) / "server") as found:
            yield found
