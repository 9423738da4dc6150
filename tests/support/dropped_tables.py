"""Tables that were dropped by hand: what of them is requested again, row by row, and what is said of the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history import systems
from task_history.core.models import Table
from task_history.systems.table_parts import BOOKKEEPING, PROVENANCE
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import PERFECT, Place, differences

RETENTION_DAYS = 10
OF_A_RUN = {*BOOKKEEPING, *(column.name for column in PROVENANCE)}
"""Columns that say how a row came here."""


def check_dropped_staging(
    make: Callable[[SandboxProcess], Place], execute: Callable[[Place, str], Any]
) -> None:
    """After a column and a table of the staging dataset were dropped, a sync brings all that is new."""
    with SandboxProcess(executions=40, seed=8, days=5, future_hours=40, freeze=True) as sandbox:
        place = make(sandbox)
        place.set(integrations=None, steps="none")
        assert place.sync()["complete"]
        execute(place, "ALTER TABLE paragon_staging.workflow_executions DROP COLUMN status")
        execute(place, "DROP TABLE paragon_staging.workflows")
        sandbox.advance(30 * 3600)
        result = place.sync()
        assert result["complete"]
        assert differences(place, sandbox) == PERFECT
        assert "workflow_executions.status" in result["stderr"]


def check_dropped(
    make: Callable[[SandboxProcess], Place], execute: Callable[[Place, str], Any], *, at_once: bool = False
) -> None:
    """What the vendor still keeps is back as it was after a sync; of the rest nothing is asked, and it is called lost.

    The tables are dropped one after the other, each before a sync of its own, or ``at_once``.
    """
    paragon = systems.find("paragon")
    assert paragon.payloads is not None
    executions, steps, payloads = paragon.executions, paragon.details.steps, paragon.payloads.table
    with SandboxProcess(executions=40, seed=8, days=20, freeze=True) as sandbox:
        place = make(sandbox)
        place.set(integrations=None, steps="all", payloads="failed")
        assert place.sync()["complete"]
        before = {table.name: _rows(place, table) for table in (payloads, steps, executions)}
        # From now on the vendor is said to keep less; it would still answer.
        place.set(retention_days=RETENTION_DAYS)
        horizon = (datetime.now(UTC) - timedelta(days=RETENTION_DAYS)).isoformat()
        every = {str(row["id"]): str(row["dateStarted"]) for row in sandbox.truth()}
        kept = {key for key, start in every.items() if start >= horizon}
        lost_count = len(every) - len(kept)
        assert kept
        assert lost_count
        log: dict[str, str] = {}
        for tables in [(payloads, steps, executions)] if at_once else [(payloads,), (steps,), (executions,)]:
            for table in tables:
                execute(place, f"DROP TABLE paragon.{table.name}")
            sandbox.reset_counters()
            result = place.sync()
            assert result["complete"]
            for line in result["stderr"].splitlines():
                log |= dict.fromkeys(re.findall(r"WARNING (\w+)", line), line)
            detail_reads = sandbox.counters().get("execution", 0)
            for table in tables:
                # Of executions the vendor is asked all from start_date on, and shows what it has.
                is_lost = table is steps or (table is payloads and at_once)
                rows = before[table.name]
                expected = [row for row in rows if row[0] in kept] if is_lost else rows
                assert _rows(place, table) == expected, table.name
                if table is steps:
                    assert detail_reads == len(kept)
        assert f" executions={len(kept)} " in log["details_deleted"]
        assert f" lost={lost_count} " in log["details_deleted"]
        assert "lost_until=2" in log["coverage_deleted"]
        noted = place.query(
            "SELECT count(*) FROM paragon.execution_details WHERE outcome = 'expired' AND unreadable_reason IS NOT NULL"
        )
        assert noted == [(lost_count,)]
        sandbox.reset_counters()
        assert place.sync()["complete"]
        assert sandbox.counters().get("execution", 0) == 0


def _rows(place: Place, table: Table) -> list[tuple[Any, ...]]:
    """The rows, each with its execution's id first."""
    names = {column.name for column in table.columns} - OF_A_RUN
    key = "workflow_execution_id" if "workflow_execution_id" in names else "id"
    columns = [key, *sorted(names - {key})]
    return sorted(place.query(f"SELECT {', '.join(columns)} FROM paragon.{table.name}"), key=repr)
