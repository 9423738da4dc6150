"""Compares what a tool left with what the server says a perfect copy holds."""

from __future__ import annotations

import shutil
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks.tools import DETAILS, Job, Tool


@dataclass(frozen=True, slots=True)
class Found:
    """How a copy differs from a perfect one, in executions."""

    loaded: int
    missing: int = 0
    surplus: int = 0
    """Which the server does not show."""
    repeated: int = 0
    stale: int = 0
    """In a state that is over."""
    without_details: int = 0
    """Of those that are over."""

    @property
    def words(self) -> str:
        """For the table."""
        faults = [
            f"{number:,} {what}"
            for number, what in (
                (self.missing, "missing"),
                (self.surplus, "too many"),
                (self.repeated, "twice"),
                (self.stale, "stale"),
                (self.without_details, "without details"),
            )
            if number
        ]
        return ", ".join(faults) or "right"


class Truth:
    """What the server shows at one moment, between two instants, in a file."""

    def __init__(self, sandbox: SandboxProcess, file: Path, *, start: str = "", end: str = "") -> None:
        source = file.with_suffix(".jsonl")
        with (
            urllib.request.urlopen(f"{sandbox.control_url}/truth", timeout=600) as answer,
            source.open("wb") as to,
        ):
            shutil.copyfileobj(answer, to)
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as connection:
            columns = ", ".join(f"{name}: 'VARCHAR'" for name in ("id", "status", "dateStarted", "dateEnded"))
            connection.execute(
                "CREATE TABLE truth AS SELECT id, status, dateEnded IS NOT NULL AS is_over"
                f" FROM read_json('{source}', format = 'newline_delimited', columns = {{{columns}}})"
                " WHERE dateStarted >= $1 AND ($2 = '' OR dateStarted < $2)",
                [start, end],
            )
            self.rows = int(connection.execute("SELECT count(*) FROM truth").fetchall()[0][0])
        source.unlink()
        self.file = file

    def changed_since(self, before: Truth) -> int:
        """Executions that are new or in another state."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute(f"ATTACH '{before.file}' AS before (READ_ONLY)")
            changed = connection.execute(
                "SELECT count(*) FROM (SELECT * FROM truth EXCEPT SELECT * FROM before.truth)"
            ).fetchall()
            return int(changed[0][0])


def found(tool: Tool, job: Job, truth: Truth) -> Found:
    """The differences between the tool's copy and the truth."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{truth.file}' AS truth (READ_ONLY)")
        if tool.warehouse:
            connection.execute(f"ATTACH '{job.folder / tool.warehouse}' AS copy (READ_ONLY)")
        sql = (
            f"WITH mine AS ({tool.copy(job.folder)}), once AS (SELECT id, max(status) AS status FROM mine GROUP BY id)"
            " SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM truth.truth ANTI JOIN once USING (id)),"
            " (SELECT count(*) FROM once ANTI JOIN truth.truth USING (id)),"
            " (SELECT count(*) FROM mine) - (SELECT count(*) FROM once),"
            " (SELECT count(*) FROM truth.truth JOIN once USING (id) WHERE truth.status <> once.status)"
        )
        numbers = connection.execute(sql).fetchall()[0]
        if job.scenario != DETAILS:
            return Found(*numbers)
        without = connection.execute(
            f"SELECT count(*) FROM truth.truth WHERE is_over AND id NOT IN (SELECT id FROM ({tool.details(job.folder)}))"
        ).fetchall()
        return replace(Found(*numbers), without_details=without[0][0])
