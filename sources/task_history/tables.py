"""The tables that every dataset has beside the vendor's."""

from __future__ import annotations

from .model import Column, Table
from .systems.base import System

RUNS = Table(
    "sync_runs",
    "One row per run of this connector: what it did, what it cost and what it left.",
    ("run_id",),
    (
        Column("run_id", "text", "The run; rows that it wrote carry it."),
        Column("command", "text", "What was called: sync, or the source from a script."),
        Column("started_at", "timestamp", "When the run began."),
        Column("ended_at", "timestamp", "When it ended; empty while it runs."),
        Column("duration_ms", "bigint", "Milliseconds from start to end."),
        Column(
            "outcome",
            "text",
            "complete; stopped, when work was left at a limit or signal; failed; interrupted, when the process "
            "was killed; running.",
        ),
        Column("reason", "text", "Why the run stopped or failed."),
        Column("is_complete", "bool", "Whether nothing was left to do at its end."),
        Column(
            "covered_until", "timestamp", "Everything that began before is loaded: the cursor at its end."
        ),
        Column("requests", "bigint", "Requests it sent, every attempt counted."),
        Column("list_requests", "bigint", "Requests for pages of executions."),
        Column("execution_requests", "bigint", "Requests for single executions with their steps."),
        Column("payload_requests", "bigint", "Requests for inputs and outputs of steps."),
        Column("other_requests", "bigint", "All other requests."),
        Column("retries", "bigint", "Attempts beyond the first of a request."),
        Column("waited_fault_ms", "bigint", "Milliseconds in which it waited after faults."),
        Column(
            "waited_told_ms", "bigint", "Milliseconds in which it waited because the vendor asked for it."
        ),
        Column("waited_budget_ms", "bigint", "Milliseconds in which it waited for the budget."),
        Column("executions", "bigint", "Rows of executions it wrote."),
        Column("settled", "bigint", "Executions that were open and that it found ended."),
        Column("late", "bigint", "Executions that became visible behind the cursor."),
        Column("steps", "bigint", "Rows of steps it wrote."),
        Column("payloads", "bigint", "Rows of payloads it wrote."),
        Column("redactions", "bigint", "Values it redacted in payloads."),
        Column("open_executions", "bigint", "Executions that were open at its end."),
        Column("details_left", "bigint", "Settled executions whose steps were wanted and not yet loaded."),
        Column("payloads_left", "bigint", "Steps whose payload was wanted and not yet loaded."),
        Column("version", "text", "The version of this connector."),
        Column("written_at", "timestamp", "When this row was written; the newest wins."),
    ),
    newest="written_at",
)

COVERAGE = Table(
    "coverage",
    "One row per day of executions that are loaded: how many, and whether the vendor counts the same.",
    ("day",),
    (
        Column("day", "timestamp", "The day, UTC midnight."),
        Column("window_start", "timestamp", "From when on the day is loaded."),
        Column("window_end", "timestamp", "Until when the day is loaded; that instant excluded."),
        Column("executions", "bigint", "Executions loaded for the window when it was last read."),
        Column("api_total", "bigint", "The vendor's count for the window; empty where it gave none."),
        Column("is_verified", "bool", "Whether both were equal, or every difference was accounted for."),
        Column("checked_at", "timestamp", "When the window was last read or compared."),
        Column("run_id", "text", "The run that did it (sync_runs.run_id)."),
    ),
    newest="checked_at",
)


def of(system: System) -> tuple[Table, ...]:
    """All tables of a system's dataset."""
    return (
        system.executions,
        system.ledger,
        system.steps,
        system.payloads,
        system.workflows,
        RUNS,
        COVERAGE,
    )
