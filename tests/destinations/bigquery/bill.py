"""What a sync costs: the jobs and bytes billed, counted from what was said on the wire."""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorded_requests import Statement

MIB = 2**20
LEAST_MIB = 10
"""Billed for each table that a statement reads or changes: https://cloud.google.com/bigquery/pricing."""


@dataclass(frozen=True)
class Bill:
    """What was said between two instants."""

    statements: list[Statement]
    loads: list[str]
    """The tables of the load jobs."""

    @property
    def jobs(self) -> int:
        """Query jobs; dry runs are none."""
        return sum(not said.is_dry_run for said in self.statements)

    @property
    def mib(self) -> int:
        """MiB billed: of each statement of a script ten for each of its tables, or what they hold; TRUNCATE is free."""
        return sum(
            max(LEAST_MIB * len(tables), -(-said.bytes_processed // MIB))
            for said in self.statements
            if not said.is_dry_run
            for tables in [_tables(said.sql)]
        )


def _tables(sql: str) -> set[str]:
    found: set[str] = set()
    for tree in sqlglot.parse(sql, dialect="bigquery"):
        if tree is not None and not isinstance(tree, exp.TruncateTable | exp.Create):
            ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
            found |= {
                table.sql("bigquery", comments=False).split(" AS ")[0]
                for table in tree.find_all(exp.Table)
                if table.name not in ctes
            }
    return found


class Meter:
    """Syncs a place and reads what it costs."""

    def __init__(self, place: BigQueryPlace, sandbox: SandboxProcess) -> None:
        self.place, self.sandbox = place, sandbox

    def sync(self) -> tuple[dict[str, object], Bill]:
        recorder = self.place.recorder
        statements, loads = len(recorder.statements), len(recorder.loads)
        result = self.place.sync()
        tables = [load.table.split(".")[-1] for load in recorder.loads[loads:]]
        return result, Bill(recorder.statements[statements:], tables)
