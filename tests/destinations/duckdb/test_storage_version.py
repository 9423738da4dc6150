"""Which versions of DuckDB can open the file of the warehouse, and what is said of one that the installed cannot."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.load.destinations.duckdb_storage import DEFAULT, create_file
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

VERSION_AT, HEADER_BYTES = 12, 4096
V1_0_0 = 64
"""The number of the version that DuckDB 1.0.0 writes: https://duckdb.org/docs/stable/internals/storage"""
UNREACHED: dict[str, Any] = {
    "project_id": "p",
    "api_key": "a-key-of-some-length",
    "base_url": "http://127.0.0.1:9",
}
"""Settings of an account whose vendor is asked nothing."""


def version_of(file: Path) -> int:
    (version,) = struct.unpack_from("<Q", file.read_bytes(), VERSION_AT)
    return int(version)


def with_version(file: Path, version: int) -> None:
    """Gives the file's header that version, as a later DuckDB writes it, and its checksum."""
    content = bytearray(file.read_bytes())
    struct.pack_into("<Q", content, VERSION_AT, version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:HEADER_BYTES]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    struct.pack_into("<Q", content, 0, checksum)
    file.write_bytes(content)


def place_of(folder: Path, sandbox: SandboxProcess) -> Place:
    return Place(folder, sandbox, steps="none", payloads="none", integrations=None)


def test_a_new_file_can_be_opened_by_all_widely_used_versions(tmp_path: Path) -> None:
    """It is of the storage version of DuckDB 1.0.0, also after later runs, unless the setting names another."""
    with SandboxProcess(executions=20, freeze=True) as sandbox:
        place = place_of(tmp_path, sandbox)
        place.quick_sync()
        assert version_of(place.file) == V1_0_0
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
        place.env["DESTINATION__DUCKDB__STORAGE_VERSION"] = "latest"
        place.quick_sync()
        assert version_of(place.file) == V1_0_0
        place.file.unlink()
        place.quick_sync()
        assert version_of(place.file) > V1_0_0


def test_a_version_that_duckdb_does_not_know_is_refused(tmp_path: Path) -> None:
    """The error names the setting; no file is made."""
    place = Place(tmp_path, None, **UNREACHED)
    place.env["DESTINATION__DUCKDB__STORAGE_VERSION"] = "v99"
    done = place.run("sync", "paragon", expect=3)
    assert "destination.duckdb.storage_version" in done.stderr
    assert not place.file.exists()


@pytest.fixture(scope="module")
def synced_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse after a sync; tests copy it."""
    with SandboxProcess(executions=20, freeze=True) as sandbox:
        place = place_of(tmp_path_factory.mktemp("synced"), sandbox)
        place.quick_sync()
        return place.file


@pytest.mark.parametrize(
    "words", [("status",), ("sync", "paragon"), ("report", "--month", "2026-01")], ids=" ".join
)
def test_a_file_of_a_newer_version_is_called_intact(
    synced_file: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """What is advised is another DuckDB, or a copy of the file; never to move it away."""
    place = Place(tmp_path, None, **UNREACHED)
    shutil.copy(synced_file, place.file)
    with_version(place.file, 998)
    content = place.file.read_bytes()
    done = place.run(*words, expect=None)
    assert "is intact" in done.stdout + done.stderr
    assert "upgrade duckdb" in done.stdout + done.stderr
    assert "move it away" not in done.stdout + done.stderr
    assert done.returncode in (0, 4)
    assert place.file.read_bytes() == content


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_file_that_another_process_makes_meanwhile_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_empty: bool
) -> None:
    """Of processes that create one file at a time, the first one's rows stay, also where an empty file lay there."""
    file = tmp_path / "warehouse.duckdb"
    if is_empty:
        file.touch()
    connect = duckdb.connect
    numbers = iter(range(10))

    def connect_later(*words: Any, **options: Any) -> Any:
        # Another process creates the file and fills it after this one has found none, and before its own is ready.
        monkeypatch.setattr(duckdb, "connect", connect)
        monkeypatch.setattr(os, "getpid", lambda: 10_000_000 + next(numbers))
        create_file(file, DEFAULT)
        with connect(str(file)) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        return connect(*words, **options)

    monkeypatch.setattr(duckdb, "connect", connect_later)
    create_file(file, DEFAULT)
    with connect(str(file)) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["warehouse.duckdb"]
