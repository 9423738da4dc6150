"""The ceiling: fetch and insert, as fast as a page of code does it, without any promise.

``ceiling.py MODE BASE_URL PATH KEY FILE START END``; MODE is ``list`` or ``details``. One connection, one request at a
time. No budget, no second try, no check of what came, no merge, no state: a second run asks for what began after the
newest row and appends it.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

BATCH = 20_000
TEXTS = ("id", "userId", "workflowId", "status", "dateStarted", "dateEnded")
NUMBERS = ("runDuration", "taskCount")
STEP_TEXTS = ("id", "workflowExecutionId", "stepId", "type", "status", "start", "end", "prev")
TABLES = """
    CREATE TABLE IF NOT EXISTS executions (
        id VARCHAR, user_id VARCHAR, workflow_id VARCHAR, status VARCHAR,
        date_started TIMESTAMPTZ, date_ended TIMESTAMPTZ, run_duration BIGINT, task_count BIGINT);
    CREATE TABLE IF NOT EXISTS steps (
        id VARCHAR, execution_id VARCHAR, step_id VARCHAR, type VARCHAR, status VARCHAR,
        date_started TIMESTAMPTZ, date_ended TIMESTAMPTZ, prev VARCHAR)
"""


def insert(
    warehouse: Any, table: str, rows: list[dict[str, Any]], texts: tuple[str, ...], numbers: tuple[str, ...]
) -> None:
    """The rows, as one Arrow table."""
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in texts]
    for at, name in enumerate(texts):
        if name in ("dateStarted", "dateEnded", "start", "end"):
            columns[at] = pc.cast(columns[at], pa.timestamp("us", "UTC"))
    columns += [pa.array([row.get(name) for row in rows], pa.int64()) for name in numbers]
    warehouse.register("batch", pa.table(columns, names=[*texts, *numbers]))
    warehouse.execute(f"INSERT INTO {table} SELECT * FROM batch")
    warehouse.unregister("batch")


def main(mode: str, base_url: str, path: str, key: str, file: str, start: str, end: str) -> None:
    """Everything between the two instants."""
    url = urlsplit(base_url)
    connection = HTTPConnection(str(url.hostname), url.port)
    headers = {"Authorization": f"Bearer {key}"}

    def get(target: str) -> Any:
        connection.request("GET", target, headers=headers)
        return orjson.loads(connection.getresponse().read())

    with duckdb.connect(file) as warehouse:
        warehouse.execute(TABLES)
        newest = warehouse.execute(
            "SELECT strftime(max(date_started) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ') FROM executions"
        ).fetchall()[0][0]
        query = f"{path}?sortBy=ASC&afterDate={newest or start}" + (f"&beforeDate={end}" if end else "")
        rows: list[dict[str, Any]] = []
        steps: list[dict[str, Any]] = []
        offset = 0
        while page := get(f"{query}&offset={offset}")["workflowExecutions"]:
            rows += page
            offset += len(page)
            if mode == "details":
                for row in page:
                    steps += get(f"{path}/{row['id']}")["stepExecutions"]
            if len(rows) >= BATCH:
                insert(warehouse, "executions", rows, TEXTS, NUMBERS)
                rows = []
            if len(page) < 100:
                break
        if rows:
            insert(warehouse, "executions", rows, TEXTS, NUMBERS)
        if steps:
            insert(warehouse, "steps", steps, STEP_TEXTS, ())


if __name__ == "__main__":
    main(*sys.argv[1:])
