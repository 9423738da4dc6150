"""What dlt_internals.py and google_internals.py take for granted of dlt and of Google's client, one test for each."""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import pkgutil
import re
import shutil
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dlt
import duckdb
import pytest
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.destination import Destination
from dlt.common.destination.client import RunnableLoadJob
from dlt.pipeline.exceptions import PipelineStepFailed
from google.cloud.bigquery.dbapi import Cursor
from google.cloud.bigquery.table import RowIterator

from task_history.core.errors import ConfigurationError, WarehouseUnavailable
from task_history.load import destinations, dlt_internals, google_internals, working_dir
from tests.support.place import ROOT

NOW = datetime(2026, 9, 1, tzinfo=UTC)
PATH = dlt_internals.cursor_path("paragon", "executions", "started")


@dlt.source(name="paragon", max_table_nesting=0)
def _paragon(*rows: dict[str, Any]) -> Any:
    @dlt.resource(primary_key="id", write_disposition="merge", name="executions")
    def executions(
        started: dlt.sources.incremental[datetime] = dlt.sources.incremental("started"),  # noqa: B008
    ) -> Any:
        started.advance(NOW)
        yield list(rows)

    return executions


@pytest.fixture
def pipeline(tmp_path: Path) -> dlt.Pipeline:
    return dlt.pipeline(
        "internals",
        pipelines_dir=str(tmp_path / "pipelines"),
        destination=dlt.destinations.duckdb(str(tmp_path / "made.duckdb")),
        dataset_name="paragon",
    )


@pytest.fixture
def loaded(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    pipeline.run(_paragon({"id": "a", "started": NOW}))
    return pipeline


# Versions


def test_dlt_is_pinned_to_the_version_that_was_read() -> None:
    """The project takes the minor version of dlt for which the module was written, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pin,) = [line for line in project["dependencies"] if re.match(r"dlt\b", line)]
    major, minor = map(int, dlt_internals.VERSION.split("."))
    assert pin.endswith(f">={major}.{minor},<{major}.{minor + 1}")
    assert dlt_internals.is_supported_version()


@pytest.mark.parametrize("version", ["1.32.0", "1.30.9", "2.0.0a1"])
def test_another_version_is_said_once(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With another version of dlt nothing of its inside is used, and one line says which version would be."""
    monkeypatch.setattr(dlt, "__version__", version)
    dlt_internals.warn_of_another_version.cache_clear()
    with caplog.at_level(logging.WARNING, "task_history"):
        assert not dlt_internals.are_used()
        for _ in range(3):
            dlt_internals.warn_of_another_version()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    line = f"{record.getMessage()} {vars(record)}"
    assert version in line
    assert "<1.32" in line
    dlt_internals.warn_of_another_version.cache_clear()


@pytest.mark.parametrize(
    ("value", "are_used"), [("off", False), (" OFF ", False), ("0", False), ("on", True)]
)
def test_the_switch(value: str, are_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable switches the use of dlt's inside off."""
    monkeypatch.setenv(dlt_internals.SWITCH, value)
    assert dlt_internals.are_used() == are_used


# Names that are imported


@pytest.mark.parametrize("name", dlt_internals.CLASSES)
def test_name(name: str) -> None:
    """Each class and hint is where it is looked for, and is imported only when it is asked for."""
    assert getattr(dlt_internals, name) is not None
    assert name not in vars(dlt_internals)


def test_no_other_name() -> None:
    """A name that is not listed is missed as in any module."""
    with pytest.raises(AttributeError, match="Nothing"):
        dlt_internals.Nothing  # noqa: B018


EXTENSIBLE = (Destination, BaseConfiguration, RunnableLoadJob)
"""dlt's classes that users are to extend."""
METHODS = {
    "DuckDbClient": (
        "create_load_job", "should_load_data_to_staging_dataset", "_create_merge_followup_jobs", "initialize_storage",
    ),
    "DuckDbConnectionPool": ("borrow_conn", "move_conn", "return_conn"),
    "DuckDbCopyJob": ("run",),
    "BigQueryClient": (
        "is_storage_initialized", "get_stored_schema_by_hash", "create_load_job", "complete_load", "initialize_storage",
        "create_table_chain_completed_followup_jobs", "_from_db_type",
    ),
    "BigQuerySqlClient": ("open_connection", "truncate_tables_if_exist", "execute_query", "native_connection"),
    "SqlClientBase": (
        "is_dbapi_exception", "open_connection", "close_connection", "execute_query", "execute_sql", "execute_many",
    ),
    "SqlJobClientBase": ("is_storage_initialized", "get_storage_tables", "_get_table_update_sql"),
    "FollowupJobRequestImpl": ("new_file_path",),
    "FinalizedLoadJobWithFollowupJobs": ("from_file_path",),
    "ParsedLoadJobFileName": ("new_file_id", "file_name"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "method"), [(name, one) for name, all_ in METHODS.items() for one in all_])
def test_method_that_is_extended_or_called(name: str, method: str) -> None:
    """The methods that our classes replace, or call, are there: one that is gone would be replaced in vain."""
    assert hasattr(getattr(dlt_internals, name), method)


def test_each_method_of_a_client_that_is_extended_is_tested() -> None:
    """No class of the destinations replaces a method of dlt's that is not looked for in the class that it extends."""
    seen = 0
    for module in pkgutil.iter_modules(destinations.__path__, f"{destinations.__name__}."):
        for extended in filter(inspect.isclass, vars(importlib.import_module(module.name)).values()):
            if extended.__module__ != module.name or any(issubclass(extended, one) for one in EXTENSIBLE):
                continue
            bases = [base for base in extended.__mro__ if base.__module__.startswith("dlt.")]
            tested = {method for base in bases for method in METHODS.get(base.__name__, ())}
            replaced = {name for name in vars(extended) if any(name in vars(base) for base in bases)}
            seen += len(replaced)
            assert {
                name for name in replaced if not name.startswith(("__", "_abc", "_is_protocol"))
            } <= tested
    assert seen > 10


def test_hints_of_bigquery() -> None:
    """The hints that tables are given are those that dlt's own adapter gives."""
    from dlt.destinations.adapters import bigquery_adapter

    table: Any = bigquery_adapter(
        dlt.resource([{"a": 1}], name="t"), cluster="a", table_description="x"
    ).compute_table_schema()
    assert [["a"], "x"] == [
        table[hint] for hint in (dlt_internals.CLUSTER_COLUMNS_HINT, dlt_internals.TABLE_DESCRIPTION_HINT)
    ]


def test_load_job_info_has_the_path_of_its_file() -> None:
    """Of a job that is done dlt says where its file is."""
    assert "file_path" in dlt_internals.LoadJobInfo._fields


# State


def test_steps_of_a_resource() -> None:
    """Each step that is added to a resource counts, also in the copy that a source makes of it."""
    resource = dlt.resource([1], name="t")
    before = dlt_internals.steps(resource)
    assert dlt_internals.steps(resource.add_map(lambda row: row).add_limit(1)) == before + 2
    assert dlt_internals.steps(_paragon().clone().resources["executions"]) == dlt_internals.steps(
        _paragon().resources["executions"]
    )


def test_cursor(loaded: dlt.Pipeline) -> None:
    """The position of dlt's own incremental is where it is looked for."""
    assert NOW == dlt_internals.cursor(loaded.state, PATH)
    assert dlt_internals.cursor({}, PATH) is None


def test_move_cursor(loaded: dlt.Pipeline) -> None:
    """A position that is set is what the incremental goes on from, and has the form of one that dlt set."""
    later = datetime(2026, 10, 1, tzinfo=UTC)
    with loaded.managed_state() as state:
        before: Any = state
        for key in PATH:
            before = before[key]
        fields = set(before)
        dlt_internals.move_cursor(state, PATH, later)
        assert set(before) == fields | {"last_value", "unique_hashes", "initial_value", "start_value"}
    assert later == dlt_internals.cursor(loaded.state, PATH)
    seen = []

    @dlt.resource(name="executions")
    def executions(started: dlt.sources.incremental[datetime] = dlt.sources.incremental("started")) -> Any:  # noqa: B008
        seen.append(started.start_value)
        yield []

    @dlt.source(name="paragon")
    def again() -> Any:
        return executions

    loaded.extract(again())
    assert [later] == seen


# Tables


def test_state_table(loaded: dlt.Pipeline) -> None:
    """dlt's table of states has the name that is taken for granted."""
    assert dlt_internals.state_table_name() == loaded.default_schema.state_table_name
    assert dlt_internals.state_table_name() in loaded.default_schema.tables


def test_seen_tables(loaded: dlt.Pipeline) -> None:
    """A table through which rows passed is seen, one that is only described is not until it is marked."""
    schema = loaded.default_schema
    assert dlt_internals.is_seen(schema, "executions")
    assert not dlt_internals.is_seen(schema, "others")
    described = _paragon().discover_schema()
    described.update_table({"name": "others", "columns": {"a": {"name": "a", "data_type": "text"}}})
    assert not dlt_internals.is_seen(described, "others")
    dlt_internals.mark_as_seen(described)
    assert dlt_internals.is_seen(described, "others")
    assert dlt_internals.is_seen(described, dlt_internals.state_table_name())
    assert {"others"} <= {table["name"] for table in described.data_tables(seen_data_only=True)}


def test_columns_by_hint() -> None:
    """Columns are found by their hints, and the one by which the newest row wins."""
    table = dlt.resource(
        [],
        name="t",
        primary_key="a",
        columns={"a": {"data_type": "text"}, "b": {"data_type": "bigint", "dedup_sort": "desc"}},
    ).compute_table_schema()
    assert ["a"] == dlt_internals.columns_with(table, "primary_key")
    assert {"a", "b"} == set(dlt_internals.columns_with(table, "name"))
    assert "b" == dlt_internals.newest_column(table)
    plain = dlt.resource([], name="t", primary_key="a").compute_table_schema()
    assert dlt_internals.newest_column(plain) is None


# Packages and the working folder


def test_package(loaded: dlt.Pipeline) -> None:
    """A package that is made by hand is loaded by dlt as one of its own, with the state that it brings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = loaded.default_schema
    packages = dlt_internals.Packages(loaded)
    folder = Path(loaded.working_dir) / "load"
    with loaded.managed_state() as state:
        dlt_internals.move_cursor(state, PATH, datetime(2026, 11, 1, tzinfo=UTC))
        load_id = packages.begin(schema)
        assert (folder / "new" / load_id).is_dir()
        row = {"id": "b", "started": NOW, "_dlt_load_id": load_id, "_dlt_id": "x"}
        pq.write_table(pa.Table.from_pylist([row]), packages.new_file(load_id, "executions"))
        kept = packages.add_state(load_id, state)
        assert kept is not None
        columns = schema.tables[dlt_internals.state_table_name()]["columns"]
        assert {name for name in columns if not name.startswith("_dlt_load")} <= set(kept)
        assert packages.add_state(load_id, state) is None
        assert not loaded.has_pending_data
        packages.commit(load_id)
    assert (folder / "normalized" / load_id).is_dir()
    assert loaded.has_pending_data
    loaded.load()
    with loaded.sql_client() as client:
        assert [("a",), ("b",)] == client.execute_sql("SELECT id FROM executions ORDER BY id")
    assert (folder / "loaded" / load_id).is_dir()


def test_aborted_package(loaded: dlt.Pipeline) -> None:
    """A package that is aborted takes the pipeline back to where it was when the package was begun."""
    assert list(inspect.signature(loaded._save_restore_snapshot).parameters) == ["package_storage", "load_id"]


def test_old_loads(loaded: dlt.Pipeline) -> None:
    """Records of loads stand in one folder, named by the time of the load; the newest stay."""
    done = Path(loaded.working_dir) / "load" / "loaded"
    (real,) = done.iterdir()
    assert re.fullmatch(r"[0-9]{10}\.[0-9]+", real.name)
    for number in range(30):
        (done / f"{1_000_000_000 + number}.5").mkdir()
    working_dir.remove_old_loads(Path(loaded.working_dir))
    left = sorted(entry.name for entry in done.iterdir())
    assert 20 == len(left)
    assert real.name in left


def test_finished_loads(loaded: dlt.Pipeline) -> None:
    """A package that was loaded and not put away, as a kill leaves it, is put away, and dlt goes on."""
    folder = Path(loaded.working_dir) / "load"
    (done,) = (folder / "loaded").iterdir()
    assert (done / "package_completed.json").is_file()
    done.rename(folder / "normalized" / done.name)
    assert loaded.has_pending_data
    working_dir.complete_loads(Path(loaded.working_dir))
    assert not loaded.has_pending_data
    loaded.run(_paragon({"id": "b", "started": NOW}))


def test_killed_extracts(pipeline: dlt.Pipeline) -> None:
    """What a killed extraction, or package, leaves behind stands where it is removed from."""

    @dlt.resource(name="executions")
    def killed() -> Any:
        yield [{"id": "a"}]
        raise ValueError

    with pytest.raises(PipelineStepFailed):
        pipeline.extract(killed())
    folder = Path(pipeline.working_dir)
    left = [
        entry.name for entry in (folder / "normalize").iterdir() if re.fullmatch("[0-9a-f]{16}", entry.name)
    ]
    assert left
    (folder / "load" / "new" / "1.5").mkdir(parents=True)
    working_dir.remove_killed_extracts(folder)
    assert not [name for name in left if (folder / "normalize" / name).exists()]
    assert [] == list((folder / "load" / "new").iterdir())
    assert (folder / "normalize").is_dir()


def test_an_extract_whose_package_was_moved_on(pipeline: dlt.Pipeline, tmp_path: Path) -> None:
    """A run that was killed between moving a package on and removing its extract: the package is loaded once."""
    pipeline.extract([{"id": "a"}], table_name="executions")
    folder = Path(pipeline.working_dir)
    extracted = folder / "normalize" / "extracted"
    shutil.copytree(extracted, tmp_path / "kept")
    pipeline.normalize()
    shutil.copytree(tmp_path / "kept", extracted, dirs_exist_ok=True)
    working_dir.remove_killed_extracts(folder)
    pipeline.normalize()
    pipeline.load()
    with pipeline.sql_client() as client:
        assert client.execute_sql("SELECT count(*) FROM executions") == [(1,)]


# Destinations and jobs


def test_arguments_that_were_left_at_their_defaults(tmp_path: Path) -> None:
    """A destination that extends one of dlt's is taken for the same as that one with the same arguments."""

    class Own(dlt.destinations.duckdb):
        pass

    marked = dlt_internals.extends(dlt.destinations.duckdb)(Own)
    file = str(tmp_path / "a.duckdb")
    of_dlt = dlt.destinations.duckdb(file, destination_name="x")
    made = marked(file, destination_name="x")
    assert of_dlt.config_params == made.config_params
    assert of_dlt.caps_params == made.caps_params


def test_merge_jobs_are_made_in_one_method() -> None:
    """The method whose jobs are left out is dlt's, with the argument that it is called with."""
    base = dlt_internals.DuckDbClient
    assert ["self", "table_chain"] == list(inspect.signature(base._create_merge_followup_jobs).parameters)

    @dlt_internals.without_merge_jobs
    class Client(base):  # type: ignore[misc, valid-type]
        pass

    assert [] == Client._create_merge_followup_jobs(None, [])
    with pytest.raises(AttributeError, match="_create_merge_followup_jobs"):
        dlt_internals.without_merge_jobs(SimpleNamespace)


def test_parts_of_a_job(tmp_path: Path) -> None:
    """A job of dlt keeps its client, table and file under the names by which they are read."""
    from dlt.common.destination.client import RunnableLoadJob

    class Job(RunnableLoadJob):
        def run(self) -> None:
            pass

    file = str(tmp_path / "executions.abc1234567.0.parquet")
    job = Job(file)
    assert file == dlt_internals.file_of(job)
    table: Any = {"name": "executions"}
    job.set_run_vars("1", None, table)  # type: ignore[arg-type]
    assert table is dlt_internals.table_of(job)
    assert "_job_client" in vars(job)
    job._job_client = SimpleNamespace(sql_client="it")  # type: ignore[assignment]
    assert "it" == dlt_internals.sql_client_of(job)


def test_borrowed_connection(tmp_path: Path) -> None:
    """A pool of dlt's counts the connections that are borrowed, and closes what was opened after the last."""
    credentials = dlt_internals.DuckDbCredentials(str(tmp_path / "a.duckdb"))
    pool = dlt_internals.DuckDbConnectionPool(credentials)
    opened = duckdb.connect(str(tmp_path / "a.duckdb"))
    first, second = (dlt_internals.borrowed(pool, lambda: opened) for _ in range(2))
    assert [(1,)] == first.execute("SELECT 1").fetchall()
    assert 1 == pool.return_conn(first)
    assert 0 == pool.return_conn(second)
    with pytest.raises(duckdb.ConnectionException):
        opened.execute("SELECT 1")


def test_settings_of_statements_in_bigquery() -> None:
    """dlt's client for BigQuery has settings and retries for its statements, and sends statements with them."""
    client = dlt_internals.BigQuerySqlClient.__new__(dlt_internals.BigQuerySqlClient)
    source = inspect.getsource(dlt_internals.BigQuerySqlClient)
    for name, found in (
        ("_default_query", dlt_internals.query_settings),
        ("_default_retry", dlt_internals.retries),
    ):
        setattr(client, name, name)
        assert name == found(client)
        assert f"self.{name}" in source
    assert "job_config=self._session_query or self._default_query" in source


# Google's client


def _rows(processed: int | None, answer: dict[str, Any] | None) -> RowIterator:
    return RowIterator(None, None, None, [], total_bytes_processed=processed, first_page_response=answer)


@pytest.mark.parametrize(
    ("processed", "answer", "expected"),
    [
        (12, {"totalBytesBilled": "20971520"}, (12, 20 << 20)),
        (0, {"totalBytesBilled": "0"}, (0, 0)),
        (12, {}, (12, None)),
        (None, None, (0, None)),
    ],
)
def test_bytes_read(
    processed: int | None, answer: dict[str, Any] | None, expected: tuple[int, int | None]
) -> None:
    """The bytes that a statement processed and was billed for are read from Google's own cursor."""
    cursor: Any = Cursor(SimpleNamespace())  # type: ignore[no-untyped-call]
    assert cursor._query_rows is None
    cursor._query_rows = _rows(processed, answer)
    assert expected == google_internals.bytes_read(cursor)


@pytest.mark.parametrize(
    "cursor", [SimpleNamespace(), SimpleNamespace(_query_rows=None), SimpleNamespace(_query_rows=[])]
)
def test_unknown_cost_is_no_cost_of_nothing(cursor: Any) -> None:
    """Where the bytes cannot be read a run stops: a cost of nothing would lift the limit of what it may cost."""
    with pytest.raises(WarehouseUnavailable, match=r"google-cloud-bigquery [0-9.]+ does not say"):
        google_internals.bytes_read(cursor)


def test_limit_of_cost_needs_the_version_that_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of bytes that cannot be kept in dlt's own way is refused before anything is asked."""
    from dlt.common.schema import Schema

    from task_history.load.destinations.bigquery import BigQuery

    monkeypatch.setenv(dlt_internals.SWITCH, "off")
    destination = BigQuery()
    config = SimpleNamespace(maximum_bytes_billed=1)
    monkeypatch.setattr(destination, "configuration", lambda _: config)
    with pytest.raises(ConfigurationError, match="maximum_bytes_billed = 1 cannot be kept"):
        destination.client(Schema("paragon"))


# Nothing of others' insides elsewhere

INTERNALS = {"dlt_internals.py", "google_internals.py"}
PUBLIC = re.compile(
    r"dlt|dlt\.extract|dlt\.pipeline\.exceptions|dlt\.destinations(\.exceptions|\.adapters)?"
    r"|dlt\.common\.(pipeline|schema|schema\.typing|configuration|configuration\.exceptions|destination"
    r"|destination\.(client|typing|exceptions))"
)


@cache
def _modules() -> list[tuple[Path, ast.Module]]:
    return [
        (file, ast.parse(file.read_text()))
        for folder in ("sources", "pipelines")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file.name not in INTERNALS
    ]


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def test_insides_of_dlt_are_imported_in_one_module() -> None:
    """Every other module imports only what dlt documents: its packages, types and errors."""
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file, module in _modules()
        for name in _imports(module)
        if name.partition(".")[0] == "dlt" and not PUBLIC.fullmatch(name)
    ]
    assert [] == found


PRIVATE = {
    node.attr
    for name in sorted(INTERNALS)
    for node in ast.walk(ast.parse((ROOT / "sources/task_history/load" / name).read_text()))
    if isinstance(node, ast.Attribute)
    and node.attr.startswith("_")
    and node.attr != "__version__"
    and not (isinstance(node.value, ast.Name) and node.value.id == "self")
}


def test_private_names_of_others_stand_in_one_module() -> None:
    """No other module reads, sets or replaces a name that its owner keeps to itself."""
    assert {
        "_save_restore_snapshot",
        "_query_rows",
        "_job_client",
        "_default_query",
        "__orig_base__",
    } <= PRIVATE
    found = []
    for file, module in _modules():
        for node in ast.walk(module):
            names = {
                getattr(node, "attr", None),
                getattr(node, "name", None) if isinstance(node, ast.FunctionDef) else None,
                node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None,
            }
            found += [f"{file.relative_to(ROOT)}: {name}" for name in names & PRIVATE]
    assert [] == found


def test_ruff_looks_for_private_names() -> None:
    """Private attributes of other objects are refused everywhere but where two classes of one module share them."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "SLF" in lint["select"]
    allowed = {
        file
        for file, rules in lint["per-file-ignores"].items()
        if "SLF001" in rules and not file.startswith("tests")
    }
    assert {
        "sources/task_history/load/{dlt,google}_internals.py",
        "sources/task_history/{client/rate_limit,runs/context,redaction/redactor}.py",
    } == allowed


def test_rows_are_staged_again_before_they_are_merged(tmp_path: Path) -> None:
    """A merge that waits is not run beside the staging of its rows; other tables' jobs stay as they are."""
    package = tmp_path / "load" / "normalized" / "1764000000.0"
    jobs = {
        "new_jobs": {"executions.aa.1.sql", "runs.bb.0.sql"},
        "started_jobs": {"executions.cc.1.sql"},
        "completed_jobs": {"executions.dd.0.parquet", "executions.ee.0.sql", "runs.ff.0.parquet"},
    }
    for state, names in jobs.items():
        (package / state).mkdir(parents=True)
        for name in names:
            (package / state / name).touch()
    working_dir.stage_again(tmp_path, ["executions"])
    assert {state: {file.name for file in (package / state).iterdir()} for state in jobs} == {
        "new_jobs": {"executions.dd.0.parquet", "runs.bb.0.sql"},
        "started_jobs": set(),
        "completed_jobs": {"executions.ee.0.sql", "runs.ff.0.parquet"},
    }


def test_a_merge_is_a_transaction_where_dlt_does_not_say_so() -> None:
    """dlt leaves open whether these databases have transactions, and takes what its destination is told."""
    for made in (dlt.destinations.postgres(), dlt.destinations.ducklake(), dlt.destinations.motherduck()):
        assert made.capabilities().supports_transactions is None
        dlt_internals.merge_in_transactions(made)
        assert made.capabilities().supports_transactions is True


def test_a_merge_is_no_transaction_where_there_are_none() -> None:
    """What dlt says of a database stays."""
    made = dlt.destinations.clickhouse()
    dlt_internals.merge_in_transactions(made)
    assert made.capabilities().supports_transactions is False
