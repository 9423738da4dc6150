"""Serves BigQuery's REST API on loopback: the emulator ``local-bigquery``, with its gaps bridged.

Run by the Python of ``.venv-bigquery`` (3.13 or newer), never imported by tests. Writes one line of JSON with its
port when the socket is bound; ends when its standard input does, so that it never outlives who started it.

What the emulator does as BigQuery does (found by asking it with google-cloud-bigquery): ``PATCH`` and ``PUT`` of
tables and datasets (descriptions, labels, expirations), labels on jobs, ``numRows`` and ``numBytes`` of tables,
``INFORMATION_SCHEMA.COLUMNS``, ``COLUMN_FIELD_PATHS``, ``TABLES`` and ``TABLE_OPTIONS``, dry runs that refuse what is
wrong and answer the schema, 404 and 409 as they are.

What is bridged here, in this process alone:

1. Everything is in memory, each project in a database of DuckDB's own instead of a lake of files: a statement takes a
   quarter of the time. What only a lake has, reading a table as it once was, is missing.
2. DuckDB's extension ``spatial`` comes from a wheel, not from the internet; the one that knows time zones is loaded
   before ``TimeZone`` is set.
3. Uploads may be compressed, as BigQuery takes them.
4. ``schemaUpdateOptions`` may be one text instead of a list.
5. ``COMMIT TRANSACTION; CALL BQ.ABORT_SESSION()`` may be one script.
6. JSON lines loaded without a schema take the types of the table, not guesses (UUIDs and times stay as they are).
7. Bytes processed: the emulator answers 0 everywhere. Here jobs, answers of queries and dry runs tell the bytes of
   the columns named, in the days that constant predicates on the partition column leave (see ``pruning``), with
   BigQuery's sizes of types; ``UPDATE``, ``DELETE`` and ``MERGE`` pay for all columns of those days of their target.
   A statement of a script counts alone; temporary tables count nothing. Queries without ``maximumBytesBilled``
   that change nothing tell 0, which saves a third of their time.
8. ``maximumBytesBilled`` refuses with ``bytesBilledLimitExceeded`` before anything runs, counting at least 10 MiB.
9. ``POST queries`` with a ``requestId`` that was answered before is answered the same again, as after a lost answer.
10. ``numRows`` of a table that was merged into: the emulator counts replaced rows too.
11. ``MERGE`` that replaces rows whole takes three statements instead of seven, see ``merges``.
12. Which columns a table has is asked of DuckDB once, until a statement, a load or a request may have changed it;
    what else is known of datasets, tables and jobs is held in dictionaries, see ``memory``.
    Partitions by the time of arrival and policies of rows are not looked for, see ``known``.
13. ``DELETE /projects/{project}`` throws a project away, so that what tests leave costs the next ones nothing.
14. Statements that were parsed and translated into DuckDB's SQL are kept, see ``translations``, also for those that
    differ in instants, ids and numbers alone, see ``templates``, and for other emulators, see ``stored_translations``.
15. ``SLOW_JOBS=1`` in the environment: uploads answer before they are done, so that clients have to poll.

What it still lacks: access, quotas, rates, locations, slots; lengths of types; anything that pruning saves in time;
``INFORMATION_SCHEMA.JOBS``; policies of rows.
``numBytes`` of tables is 8 for each cell; the ``query`` of a view made by SQL comes back as DuckDB's; labels set by
``ALTER TABLE .. SET OPTIONS`` are added to those that are there, where BigQuery replaces them.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import gc
import gzip
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
import uuid
from concurrent import futures
from pathlib import Path
from typing import Any

import duckdb
import local_bigquery
import uvicorn
from duckdb_extensions import import_extension
from fastapi.responses import JSONResponse
from local_bigquery.api import jobs as jobs_api
from local_bigquery.api import uploads
from local_bigquery.catalog import metadata, names, tabledata, tables
from local_bigquery.engine import database, sessions, types
from local_bigquery.errors import not_found
from local_bigquery.jobs import load, runner, store
from local_bigquery.jobs import query as query_jobs
from local_bigquery.models import JobConfiguration, Table, TableSchema
from local_bigquery.settings import settings
from local_bigquery.sql import native

from tests.destinations.bigquery import (
    estimate,
    known,
    memory,
    merges,
    stored_translations,
    templates,
    translations,
)


@functools.cache
def connection() -> Any:
    """All databases."""
    found = duckdb.connect()
    # One thread: there is little in any table, and two processors have more to do than this.
    found.execute("SET autoinstall_known_extensions = false; LOAD spatial; LOAD icu; SET threads = 1")
    # A table's name is never that of a variable of this process.
    found.execute("SET GLOBAL python_enable_replacements = false")
    found.execute("SET GLOBAL TimeZone = 'UTC'; ATTACH ':memory:' AS emulator; ATTACH ':memory:' AS bq")
    found.execute(database.EMULATOR_SCHEMA)
    native.register(found)
    for path in database.FUNCTIONS:
        found.execute(database.MACRO.sub(r"CREATE MACRO bq.main.\1", path.read_text()))
    attach(found, settings.default_project_id)
    return found


def attach(cursor: Any, project: str) -> None:
    cursor.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {database.quote(project)}")
    database._attached.add(project)


def forget(project: str) -> None:
    """Throws away all that is in the project."""
    running = [one.future for key, one in list(runner._running.items()) if key[0] == project]
    futures.wait([future for future in running if future is not None], timeout=60)
    memory.forget(project)
    with database.cursor() as cursor:
        found = cursor.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'emulator' AND schema_name = ? "
            "AND starts_with(table_name, ?)",
            [tables.RESULTS, f"{project}:"],
        ).fetchall()
        for (name,) in found:
            cursor.execute(f"DROP TABLE {database.quote('emulator', tables.RESULTS, name)}")
        cursor.execute(f"DETACH DATABASE IF EXISTS {database.quote(project)}")
    database._attached.discard(project)
    changed(project)


def unpack(file: Path) -> None:
    """A compressed upload as it was before."""
    with file.open("rb") as source:
        packed = source.read(2) == b"\x1f\x8b"
    if packed:
        raw = file.with_suffix(".raw")
        with gzip.open(file) as source, raw.open("wb") as target:
            shutil.copyfileobj(source, target)
        raw.replace(file)


_start = uploads._start


def start(project: str, body: Any, upload: str) -> Any:
    unpack(Path(upload))
    if not os.environ.get("SLOW_JOBS"):
        return _start(project, body, upload)
    job = (body.jobReference and body.jobReference.jobId) or str(uuid.uuid4())
    runner.submit(project, job, body.configuration or JobConfiguration(), upload)
    return JSONResponse(runner.get(project, job).dump())


_job = uploads._job


def listed_options(payload: bytes) -> Any:
    body = json.loads(payload)
    options = body.get("configuration", {}).get("load", {})
    if isinstance(options.get("schemaUpdateOptions"), str):
        options["schemaUpdateOptions"] = [options["schemaUpdateOptions"]]
        payload = json.dumps(body).encode()
    return _job(payload)


_query = runner._query
WEIGHED = re.compile(r"\s*(MERGE|DELETE|UPDATE)\b", re.IGNORECASE)


def _is_weighed(config: Any) -> bool:
    """Whether its bytes are counted: a third of the time of a small question is enough for those that matter."""
    return config.maximumBytesBilled is not None or WEIGHED.match(config.query or "") is not None


CHANGES = re.compile(r"\b(CREATE|ALTER|DROP)\b", re.IGNORECASE)
ABORT = re.compile(r";\s*CALL\s+BQ\.ABORT_SESSION\s*\(\s*\)\s*;?\s*$", re.IGNORECASE)


def query(job: Any, session: Any, running: Any) -> Any:
    config = job.configuration.query
    changes = CHANGES.search(config.query or "") is not None
    abort = session and ABORT.search(config.query or "")
    if abort:
        config.query = config.query[: abort.start()]
    size = estimate.limited(job.jobReference.projectId, config) if _is_weighed(config) else estimate.NOTHING
    try:
        found = _query(job, session, running)
    finally:
        if changes:
            changed(job.jobReference.projectId)
        if abort:
            sessions.abort(session.id)
    return estimate.told(found, size)


_dry_run = runner._dry_run
_last = threading.local()


def dry_run(project: str, configuration: Any) -> Any:
    done = _dry_run(project, configuration)  # refuses what is wrong
    size = _last.size = estimate.limited(project, configuration.query)
    return done.replace(statistics=estimate.told(done.statistics, size))


_submit = runner.submit


def submit(project: str, job: str, configuration: Any, upload: str | None = None) -> Any:
    request = configuration.query and getattr(configuration.query, "requestId", None)
    former = store.load(project, job) if request == job else None
    return former or _submit(project, job, configuration, upload)


_results = jobs_api.results


def results(job: Any, *args: Any) -> Any:
    payload, rows = _results(job, *args)
    if "totalBytesProcessed" in payload:
        payload["totalBytesProcessed"] = job.statistics.totalBytesProcessed
    _last.billed = (job.statistics.query and job.statistics.query.totalBytesBilled) or "0"
    return payload, rows


_with_rows = jobs_api.with_rows


def with_rows(payload: dict[str, Any], rows: list[str]) -> Any:
    if "jobComplete" in payload and payload["jobReference"].jobId is None:
        payload["totalBytesProcessed"] = str(_last.size.processed)
    elif "totalBytesBilled" in payload:
        payload["totalBytesBilled"] = _last.billed
    return _with_rows(payload, rows)


def keys(file: str) -> set[str]:
    """The keys that stand in JSON lines."""
    with Path(file).open("rb") as lines:
        return {key.casefold() for line in lines if line.strip() for key in json.loads(line)}


_load = load.run


def load_with_schema(cursor: Any, config: Any, upload: str | None) -> Any:
    lines = config.sourceFormat == "NEWLINE_DELIMITED_JSON" and not config.schema_ and not config.autodetect
    reference = tables.reference(config.destinationTable)
    if upload and lines and tables.exists(*reference):
        fields = tables.fields(tables.load(*reference))
        # An unknown key fails as it does on BigQuery, which is the emulator's own check.
        if config.ignoreUnknownValues or keys(upload) <= {field.name.casefold() for field in fields}:
            config = config.replace(schema_=TableSchema(fields=fields))
    try:
        return _load(cursor, config, upload)
    finally:
        changed(*reference)


_objects, _run_sql = database.objects, database.execute
_there: dict[tuple[str, str, str], Any] = {}
_fields: dict[tuple[str, str, str], Any] = {}
_changes = itertools.count()
_last_change = 0


def changed(*path: str) -> None:
    """Forgets what is known of the table, dataset or project of that name, or of all.

    What is being asked meanwhile is not kept either.
    """
    global _last_change  # noqa: PLW0603 - of this process
    _last_change = next(_changes)
    known.forget(*path[:1])
    for kept in (_there, _fields):
        for key in [key for key in list(kept) if key[: len(path)] == path]:
            kept.pop(key, None)


def objects(project: str, dataset: str, table: str | None = None) -> Any:
    """Whether a table is there is asked by a query of it: DuckDB's list of tables is read whole for each question.

    That it is there is remembered until something may have changed it.
    """
    if table is None:
        return _objects(project, dataset)
    key = (project, dataset, table)
    if key in _there:
        return _there[key]
    before, found = _last_change, [(table, "TABLE", 0)]
    with database.cursor() as cursor:
        try:
            cursor.sql(f"SELECT rowid FROM {database.quote(*key)} LIMIT 0")
        except duckdb.BinderException:
            found = [(table, "VIEW", 0)]
        except duckdb.CatalogException:
            # Either it is not there, or a view whose own tables are not.
            return _objects(*key) if metadata.load(Table, *key) else []
    if before == _last_change:
        _there[key] = found
    return found


def columns(project: str, dataset: str, table: str) -> Any:
    """What a table's columns are is remembered until something may have changed it."""
    key, before = (project, dataset, table), _last_change
    found = _fields.get(key)
    if found is None:
        found = _described(*key)
        if dataset != tables.RESULTS and before == _last_change:
            _fields[key] = found
    return list(found)


def _described(project: str, dataset: str, table: str) -> Any:
    """As ``tables.columns``, without DuckDB's list of all columns."""
    name = tables.name(project, dataset, table)
    with database.cursor() as cursor:
        try:
            rows = cursor.execute(f"DESCRIBE {name}").fetchall()
            kinds = cursor.sql(f"SELECT * FROM {name} LIMIT 0").types
        except duckdb.CatalogException:
            raise not_found("Table", names.label(project, dataset, table)) from None
    return [
        types.field(row[0], kind, row[2] == "NO")
        for row, kind in zip(rows, kinds, strict=True)
        if row[0] != tables.INGESTION_TIME or dataset == tables.RESULTS
    ]


class _WithoutTemporary:
    """A new cursor, which has no temporary tables: to ask DuckDB for them takes longer than a small statement."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, sql: str, *values: Any, **named: Any) -> Any:
        if sql == "SELECT table_name FROM duckdb_tables() WHERE temporary":
            sql = "SELECT NULL WHERE FALSE"
        return self._cursor.sql(sql, *values, **named)


_execute = query_jobs.execute


def run(cursor: Any, project: str, job: Any, config: Any, dry_run: bool = False, session: Any = None) -> Any:
    """A script, by its template."""
    sql, literals = templates.template(config.query or "")
    with templates.using(literals):
        config = config.model_copy(update={"query": sql})
        cursor = cursor if session else _WithoutTemporary(cursor)
        return _execute(cursor, project, job, config, dry_run, session)


def execute(sql: str, parameters: Any = None) -> None:
    try:
        _run_sql(sql, parameters)
    finally:
        if CHANGES.search(sql):
            changed()


_get = tables.get


def counted(project: str, dataset: str, table: str, *options: Any) -> Any:
    found = _get(project, dataset, table, *options)
    if found.type != "TABLE":
        return found
    (rows,) = database.fetch(f"SELECT count(*) FROM {tables.name(project, dataset, table)}")[0]
    return found.replace(
        numRows=str(rows), numBytes=str(tables.logical_bytes(rows, len(tables.fields(found))))
    )


def bridge() -> None:
    merges.bridge()
    memory.bridge()
    known.bridge()
    translations.bridge()
    stored_translations.open_file()
    gc.set_threshold(100_000)  # trees of SQL are rings
    database._connect, database._attach = connection, attach
    database.projects = lambda: sorted(database._attached)
    database.objects, database.execute = objects, execute
    tables.get, tables.columns, tabledata.columns = counted, columns, columns
    # Who asks matters to policies of rows alone, and to be told apart takes a third of a small request.
    app = local_bigquery.app
    app.user_middleware = [one for one in app.user_middleware if one.cls.__name__ != "BaseHTTPMiddleware"]
    import_extension("spatial")
    sys.modules["pandas"] = None  # type: ignore[assignment] # DuckDB looks for it on disk at each question
    uploads._start, uploads._job = start, listed_options
    runner._query, runner._dry_run, runner.submit, query_jobs.execute = query, dry_run, submit, run
    runner.HANDLERS["load"] = load_with_schema
    jobs_api.results, jobs_api.with_rows = results, with_rows


def end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--project", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    words = parser.parse_args()
    settings.bigquery_host, settings.default_project_id = "127.0.0.1", words.project
    settings.data_dir = words.data_dir
    faulthandler.register(signal.SIGUSR1)  # where it hangs, into its log
    bridge()
    local_bigquery.app.delete("/projects/{project}")(forget)
    listening = socket.create_server(("127.0.0.1", words.port))
    threading.Thread(target=end_with_input, daemon=True).start()
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)  # noqa: T201 - whoever started it reads it
    config = uvicorn.Config("local_bigquery:app", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
