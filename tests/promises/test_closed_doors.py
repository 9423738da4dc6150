"""Names and texts in SQL stay names and texts, whatever they hold; what only reads reaches nothing but its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from hypothesis import given
from hypothesis import strategies as st

from task_history import systems
from task_history.core.errors import ConfigurationError, WarehouseUnavailable
from task_history.load.destinations.duckdb_settings import check_credentials
from task_history.settings_reader import Settings
from task_history.systems.paragon.settings import ParagonSettings
from task_history.views.access import ViewAccess
from task_history.views.create import refresh
from task_history.warehouse.duckdb_file_reader import open_for_reading
from task_history.warehouse.sql_text import BIGQUERY, quoted_name, quoted_text
from task_history_cli.explore import dataset as exploring
from task_history_cli.runtime.reader import queried, warehouse_of
from task_history_cli.runtime.target import Target, find_target
from tests.support import made_warehouse
from tests.support.place import Place

HOSTILE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(HOSTILE | st.sampled_from(['a"."b', 'a"; DROP SCHEMA x --', "'; SELECT '", "\\'"]))
def test_a_name_is_one_name(text: str) -> None:
    """Names and texts come back as they were, however they are written."""
    answer = duckdb.execute(f"SELECT {quoted_text(text)} AS {quoted_name(text)}")
    assert [column[0] for column in answer.description or ()] == [text]
    assert answer.fetchall() == [(text,)]


def test_names_of_bigquery_are_escaped() -> None:
    """A backtick and what escapes it end no name: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical."""
    assert quoted_name("p", "a`b\\", dialect=BIGQUERY) == "`p`.`a\\`b\\\\`"
    assert quoted_text("a'b\\\n", BIGQUERY) == "'a\\'b\\\\\\n'"


EVIL = "paragon_\" AS t; COPY (SELECT 42) TO '{file}'; SELECT '--"


def test_a_hostile_dataset_name_stays_a_name(tmp_path: Path) -> None:
    """Readers and views of a schema that is named as SQL read that schema, and nothing is written."""
    written = tmp_path / "written"
    name = EVIL.format(file=written)
    target = Target("duckdb", tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(target.file)) as connection:
        _empty(connection, name)

        def query(sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
            cursor = connection.execute(sql.replace("%s", "?"), list(values))
            return [column[0] for column in cursor.description or ()], cursor.fetchall()

        def execute(statements: Iterable[str]) -> None:
            for statement in statements:
                connection.execute(statement)

        made = refresh(ViewAccess("duckdb", query, execute))
        assert made.datasets == (name,)
        assert query("SELECT count(*) FROM task_history.executions")[1] == [(0,)]
    settings = Settings(systems.find("paragon"), None, ParagonSettings(dataset_name=name))
    with queried(target, settings) as reader:
        assert reader is not None
        assert reader.counts(["workflow_executions"]) == {"workflow_executions": 0}
        found = warehouse_of(reader, settings)
        assert found is not None
        assert found.newest_start() is None
    assert not written.exists()


def _empty(connection: Any, name: str) -> None:
    """The tables of Paragon, under any name of a schema."""
    made_warehouse.empty(connection, "paragon")
    connection.execute(f"CREATE SCHEMA {quoted_name(name)}")
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'paragon'"
    ).fetchall()
    for (table,) in tables:
        connection.execute(f"CREATE TABLE {quoted_name(name, table)} AS FROM {quoted_name('paragon', table)}")
    connection.execute("DROP SCHEMA paragon CASCADE")


ATTACKS = {
    "read a text": "SELECT * FROM read_text('{secret}')",
    "read a blob": "SELECT * FROM read_blob('{secret}')",
    "read CSV": "SELECT * FROM read_csv('{secret}')",
    "read JSON": "SELECT * FROM read_json('{secret}')",
    "sniff CSV": "SELECT * FROM sniff_csv('{secret}')",
    "read by name": "SELECT * FROM '{secret}.csv'",
    "read Parquet": "SELECT * FROM read_parquet('{secret}')",
    "look into Parquet": "SELECT * FROM parquet_metadata('{secret}')",
    "list files": "SELECT * FROM glob('/etc/*')",
    "list secrets": "SELECT * FROM duckdb_secrets()",
    "read from an address": "SELECT * FROM read_text('http://127.0.0.1:9/x')",
    "write CSV": "COPY (SELECT 42) TO '{written}'",
    "write Parquet": "COPY (SELECT 42) TO '{written}' (FORMAT parquet)",
    "export": "EXPORT DATABASE '{written}'",
    "import": "IMPORT DATABASE '{folder}'",
    "attach a file": "ATTACH '{written}' AS other",
    "attach what is there": "ATTACH '{other}' AS other (READ_ONLY)",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "load a file": "LOAD '{secret}'",
    "keep a secret": "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "open access": "SET enable_external_access = true",
    "open access again": "RESET enable_external_access",
    "allow a folder": "SET allowed_directories = ['/']",
    "unlock": "SET GLOBAL lock_configuration = false",
    "log queries": "SET log_query_path = '{written}'",
    "log to a file": "CALL enable_logging(storage = 'file', storage_path = '{written}')",
    "profile": "PRAGMA profiling_output = '{written}'",
    "turn profiles on": "PRAGMA enable_profiling",
    "spill elsewhere": "SET temp_directory = '{written}'",
    "write a row": "INSERT INTO t VALUES (1)",
    "make a table": "CREATE TABLE u AS SELECT 1",
    "see variables of Python": "SELECT * FROM frame",
}


@pytest.fixture
def words(tmp_path: Path) -> dict[str, Any]:
    """A folder with a warehouse, a file to be read and one that is not to be written."""
    secret, file = tmp_path / "secret", tmp_path / "warehouse.duckdb"
    secret.write_text("a,b\n1,2\n")
    for name in (file, tmp_path / "other.duckdb"):
        with duckdb.connect(str(name)) as connection:
            connection.execute("CREATE TABLE t AS SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS began")
    return {
        "folder": tmp_path,
        "file": file,
        "secret": secret,
        "other": tmp_path / "other.duckdb",
        "written": tmp_path / "written",
    }


@pytest.mark.parametrize("sql", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_reader_reaches_only_its_tables(sql: str, words: dict[str, Any]) -> None:
    """No SQL that a reader runs reads or writes another file, opens an address, loads code or lifts that."""
    before = sorted(words["folder"].iterdir())
    frame = {"a": [1]}
    connection = open_for_reading(words["file"])
    try:
        with pytest.raises(duckdb.Error):
            connection.execute(sql.format(**words)).fetchall()
        del frame
        assert connection.execute("SELECT hour(began) FROM t").fetchall() == [(0,)]
    finally:
        connection.close()
    assert sorted(words["folder"].iterdir()) == before


def test_readers_beside_each_other(words: dict[str, Any]) -> None:
    """Several threads of a process may read one file: each is as closed as the first."""
    first, second = open_for_reading(words["file"]), open_for_reading(words["file"])
    first.close()
    with pytest.raises(duckdb.Error):
        second.execute(f"SELECT * FROM read_text('{words['secret']}')").fetchall()
    assert second.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
    second.close()


def test_what_a_killed_writer_left_is_read(words: dict[str, Any]) -> None:
    """A file whose log was not yet written to its place is read without external access too."""
    lines = (
        "import duckdb, os, sys\n"
        "writer = duckdb.connect(sys.argv[1])\n"
        "writer.execute(\"SET checkpoint_threshold = '1GB'\")\n"
        "writer.execute('CREATE TABLE late AS SELECT 7 AS n')\n"
        "os._exit(0)\n"  # as a kill ends it, without closing
    )
    subprocess.run([sys.executable, "-c", lines, str(words["file"])], check=True)
    assert Path(f"{words['file']}.wal").exists()
    connection = open_for_reading(words["file"])
    assert connection.execute("SELECT n FROM late").fetchall() == [(7,)]
    connection.close()


def test_the_dataset_of_a_notebook_reaches_only_its_tables(place: Place, words: dict[str, Any]) -> None:
    """The SQL box of ``explore`` and scripts that use ``dataset`` read the views and nothing else."""
    place.file = words["file"]
    with duckdb.connect(str(place.file)) as connection:
        connection.execute("CREATE SCHEMA task_history")
        connection.execute("CREATE VIEW task_history.executions AS SELECT 'x' AS status")
    place.env["DESTINATION__DUCKDB__CREDENTIALS"] = str(place.file)
    with place._inside():
        history = exploring.dataset()
        assert history("SELECT status FROM executions").fetchall() == [("x",)]
        for sql in (
            f"SELECT * FROM read_text('{words['secret']}')",
            "SELECT * FROM glob('/etc/*')",
            f"COPY (SELECT 42) TO '{words['written']}'",
            f"SELECT 1; COPY (SELECT 42) TO '{words['written']}'",
            f"ATTACH '{words['written']}' AS other",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(Exception, match=r"(?i)."):
                history(sql).fetchall()
    assert not words["written"].exists()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder of a project."""
    return Place(tmp_path, None, project_id="p", api_key="secret-key-1")


COPY = "COPY (SELECT 42) TO '/tmp/written'"
SETTINGS: dict[str, dict[str, Any]] = {
    "an extension and more": {"extensions": [f"json; {COPY}"]},
    "an extension by its path": {"extensions": ["/tmp/x.duckdb_extension"]},
    "an extension by its address": {"extensions": ["'http://127.0.0.1:9/x'"]},
    "an extension that is no text": {"extensions": [["json"]]},
    "a pragma and more": {"pragmas": [f"threads=1; {COPY}"]},
    "a pragma's value and more": {"pragmas": [f"memory_limit='1GB'; {COPY}"]},
    "a pragma that writes": {"pragmas": ["profiling_output='/tmp/written'"]},
    "a pragma that starts that": {"pragmas": ["enable_profiling"]},
    "a pragma that is called": {"pragmas": ["enable_logging('/tmp/written')"]},
    "statements": {"statements": [COPY]},
    "a setting that writes": {"global_config": {"log_query_path": "/tmp/written"}},
    "a setting of a session that writes": {"local_config": {"LOG_QUERY_PATH": "/tmp/written"}},
    "a setting of a place": {"global_config": {"extension_directory": "/tmp"}},
    "a setting's name and more": {"global_config": {f"threads = 1; {COPY} --": 1}},
    "a setting's value and more": {"local_config": {"timezone": f"UTC'; {COPY} --"}},
    "a setting's value that is a list": {"local_config": {"threads": [COPY]}},
    "a time zone and more": {"session_timezone": f"UTC'; {COPY} --"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_run_no_sql(settings: dict[str, Any]) -> None:
    """What dlt runs as SQL when it opens the file is refused, unless it is a plain setting that names no file."""
    with pytest.raises(ConfigurationError, match=r"^destination\.duckdb\.credentials\."):
        check_credentials(DuckDbCredentials("warehouse.duckdb", **settings))


def test_plain_settings_are_taken() -> None:
    """An extension by its name, and settings of memory, threads and the time zone."""
    check_credentials(
        DuckDbCredentials(
            "warehouse.duckdb",
            extensions=["json", "spatial"],
            pragmas=["enable_progress_bar", "memory_limit='1GB'", "threads = 4"],
            global_config={"memory_limit": "1GB", "threads": 2, "preserve_insertion_order": False},
            local_config={"TimeZone": "Europe/Berlin"},
            session_timezone="America/New_York",
        )
    )


@pytest.mark.parametrize("section", ["destination.duckdb.credentials", "credentials"])
def test_settings_of_a_folder_run_no_sql(section: str, place: Place, tmp_path: Path) -> None:
    """Wherever dlt finds them: exit code 3 before anything is opened, and no file is written."""
    (tmp_path / ".dlt").mkdir()
    written = tmp_path / "written"
    config = f"[{section}]\nextensions = [\"json; COPY (SELECT 42) TO '{written}'\"]\n"
    (tmp_path / ".dlt" / "config.toml").write_text(config)
    refused = place.run_process("sync", "paragon")
    assert (refused.returncode, written.exists(), place.file.exists()) == (3, False, False), refused.stderr
    assert "is no plain name of an extension" in refused.stderr


ELSEWHERE = {
    "a module for names": '[schema]\nnaming = "evil"',
    "a module for names of one source": '[sources.paragon.schema]\nnaming = "evil"',
    "a module for rows": '[schema]\njson_normalizer = {{module = "evil.rows"}}',
    "a module for the destination": '[destination.duckdb]\ndestination_type = "evil.destination"',
    "a module for names of a destination": '[destination.duckdb]\nnaming_convention = "evil"',
    "another place of the rows": 'staging_type = "filesystem"',
    "a file elsewhere": 'export_schema_path = "{0}"',
    "a file elsewhere for one pipeline": '[pipelines.task_history_paragon]\nexport_schema_path = "{0}"',
    "a file elsewhere within a pipeline": '[task_history_paragon.pipelines]\nexport_schema_path = "{0}"',
    "tables from elsewhere": '[pipelines]\nimport_schema_path = "{0}"',
    "rows dropped": '[pipelines.task_history_paragon]\nrefresh = "drop_sources"',
    "another dataset each time": "[pipelines.task_history_paragon]\ndev_mode = true",
}


@pytest.mark.parametrize("name", ["config.toml", "secrets.toml", "dev.config.toml"])
@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE)
def test_settings_of_a_folder_lead_nowhere_else(text: str, name: str, tmp_path: Path) -> None:
    """What dlt would import, write elsewhere or drop because a folder says so is refused, exit code 3, by its name."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / name).write_text(text.format(tmp_path / "elsewhere"))
    with pytest.raises(ConfigurationError, match=rf"{name} sets .*Take it out of the file\."):
        find_target(None, "task_history_paragon", environ={}, folder=tmp_path)


def test_settings_of_a_folder_write_nothing_elsewhere(place: Place, tmp_path: Path) -> None:
    """A sync in such a folder ends with exit code 3, before anything is imported or written."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'written')!r}, 'w').close()")
    (tmp_path / ".dlt" / "config.toml").write_text('[schema]\nnaming = "evil"\n')
    refused = place.run_process("sync", "paragon")
    assert (refused.returncode, (tmp_path / "written").exists(), place.file.exists()) == (3, False, False)
    assert "sets schema.naming" in refused.stderr


@pytest.mark.parametrize(
    "text",
    [
        '[sources.other.schema]\nnaming = "mine"\n[pipelines.other]\ndev_mode = true\n[other]\nrefresh = "drop_data"',
        '[destination.lake]\ndestination_type = "duckdb"',
        '[sources.task_history.paragon]\nsteps = "failed"',
    ],
)
def test_settings_of_other_pipelines_stay(text: str, tmp_path: Path) -> None:
    """What a folder sets for other sources and pipelines, and names of dlt's destinations, are let be."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(text)
    (tmp_path / "data").mkdir()
    environ = {"DLT_DATA_DIR": str(tmp_path / "data")}
    assert find_target(None, "task_history_paragon", environ=environ, folder=tmp_path).name == "duckdb"


def test_settings_of_motherduck_run_no_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    """What dlt would run as SQL beside MotherDuck's own statements is refused before anything is opened."""
    own = "DESTINATION__MOTHERDUCK__CREDENTIALS"
    monkeypatch.setenv(f"{own}__DATABASE", "w")
    monkeypatch.setenv(f"{own}__PASSWORD", "t")
    monkeypatch.setenv(f"{own}__PRAGMAS", json.dumps([f"threads=1; {COPY}"]))
    with pytest.raises(ConfigurationError, match=r"motherduck\.credentials\.pragmas: .* is not of the form"):
        _ = Target("motherduck").fingerprint


def test_a_file_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    """The error names the file and what to do."""
    (tmp_path / "x.duckdb").write_text("no database, and longer than the head of one" * 200)
    with pytest.raises(WarehouseUnavailable, match="cannot be opened as a DuckDB file"):
        open_for_reading(tmp_path / "x.duckdb")
