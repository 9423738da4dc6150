"""How a system's tables become rows of the views over all systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.columns import OCCURRENCE
from ..core.models import Table


@dataclass(frozen=True, slots=True)
class ViewMapping:
    """One kind of a system's rows in the views, as DuckDB SQL, from which that of BigQuery and Postgres is made.

    An instant by which a table is partitioned is the bare column, so that a filter on it leaves partitions unread.
    """

    rows: str
    """The FROM clause, with the dataset's tables in braces: ``{workflow_executions} AS e``."""
    columns: Mapping[str, str]
    """Expressions over ``rows`` by column of the views. A column that is left out is NULL."""


@dataclass(frozen=True, slots=True)
class Views:
    """A system's part of the views over all systems; ``views/relations.py`` lists the possible columns."""

    statuses: Mapping[str, str]
    """The vendor's status of an execution or step, in any capitals → one of ``statuses.STATUSES``."""
    executions: ViewMapping
    steps: ViewMapping | None = None
    """None where the vendor has no steps."""
    payloads: ViewMapping | None = None
    """None where the vendor has no payloads."""
    details: ViewMapping | None = None
    """The log of the executions whose steps were asked for; None where the vendor has no steps."""
    is_waiting_step: str = "FALSE"
    """SQL condition over ``step_type`` of the steps that wait on purpose: their duration says nothing of their speed."""
    billing_caveat: str = "A lower bound: executions that gave no count or are still open take more."
    """Why the sum of the vendor's task counts is not its invoice."""


def error_in(column: str) -> str:
    """SQL for ``ViewMapping``: the error in a JSON text, the text itself or an object's usual field."""
    parsed = f"TRY_CAST({column} AS JSON)"
    return (
        f"CASE WHEN starts_with({column}, '\"') THEN {parsed} ->> '$' WHEN starts_with({column}, '{{') THEN coalesce("
        f"{parsed} ->> '$.error.message', {parsed} ->> '$.message', {parsed} ->> '$.errorMessage', "
        # DuckDB gives an object's text where BigQuery gives nothing.
        f"CASE WHEN NOT starts_with({parsed} ->> '$.error', '{{') THEN {parsed} ->> '$.error' END) END"
    )


def shown_executions(rows: str, columns: Mapping[str, str]) -> ViewMapping:
    """How views show a table of executions, ``e`` in ``rows``; ``columns`` are those that differ between systems."""
    alike = ("workflow_id", "is_open", "resolution", "purged_at_source", "fetched_at", "loaded_at", "run_id")
    common = {"execution_id": "e.id", "vendor_status": "e.status", **{name: f"e.{name}" for name in alike}}
    return ViewMapping(rows, {**common, **columns})


def shown_steps(rows: str, columns: Mapping[str, str]) -> ViewMapping:
    """How views show a table of steps, ``s`` in ``rows``; ``columns`` are those that differ between systems."""
    common = {
        "step_execution_id": _step_id("s"),
        "execution_id": "s.workflow_execution_id",
        "step_type": "s.type",
        "vendor_status": "s.status",
        "execution_started_at": "s.execution_date_started",
        "fetched_at": "s.fetched_at",
        "loaded_at": "s.loaded_at",
        "run_id": "s.run_id",
    }
    return ViewMapping(rows, {**common, **columns})


def _step_id(alias: str) -> str:
    """SQL for an id that no two steps of an execution have: the vendor's, but for those that repeat it."""
    repeated = f"{alias}.id || ':' || CAST({alias}.{OCCURRENCE.name} AS VARCHAR)"
    return f"CASE WHEN {alias}.{OCCURRENCE.name} > 0 THEN {repeated} ELSE {alias}.id END"


def details_log_mapping(log: Table) -> ViewMapping:
    """How views show the log of the executions whose steps were asked for."""
    return ViewMapping(
        f"{{{log.name}}} AS d",
        {"execution_id": "d.id", "execution_started_at": "d.date_started", "outcome": "d.outcome"},
    )


def shown_payloads(rows: str, columns: Mapping[str, str]) -> ViewMapping:
    """How views show inputs and outputs, ``p`` in ``rows``; ``columns`` are those that differ between systems."""
    common = {
        "step_execution_id": _step_id("p"),
        "execution_id": "p.workflow_execution_id",
        "execution_started_at": "p.execution_date_started",
        "is_available": "TRUE",
        "input": "p.input",
        "fetched_at": "p.fetched_at",
        "loaded_at": "p.loaded_at",
        "run_id": "p.run_id",
    }
    return ViewMapping(rows, {**common, **columns})
