"""The tables that every dataset has beside the vendor's."""

from __future__ import annotations

from ..core.models import Column, Table
from ..systems.protocol import System

SYNC_RUNS = Table(
    "sync_runs",
    "One row per run of this connector: what it did, what it cost and what it left.",
    ("run_id",),
    (
        Column("run_id", "text", "The run; rows that it wrote carry it."),
        Column(
            "command", "text", "What was called: sync, backfill, audit, replay, or the source from a script."
        ),
        Column("window_start", "timestamp", "From when on a backfill or audit looked; empty for a sync."),
        Column("window_end", "timestamp", "Until when it looked; that instant excluded."),
        Column("filters", "text", "The filters of a backfill, such as status=FAILED; empty for none."),
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
        Column("is_complete", "bool", "Whether nothing was left to do at its end, nor unverified."),
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
            "waited_retry_after_ms",
            "bigint",
            "Milliseconds in which it waited because the vendor asked for it.",
            former_name="waited_told_ms",
        ),
        Column("waited_budget_ms", "bigint", "Milliseconds in which it waited for the budget."),
        Column("executions", "bigint", "Rows of executions it wrote."),
        Column("settled", "bigint", "Executions that were open and that it found ended."),
        Column("late", "bigint", "Executions that became visible behind the cursor."),
        Column("steps", "bigint", "Rows of steps it wrote."),
        Column("payloads", "bigint", "Rows of payloads it wrote."),
        Column("redactions", "bigint", "Values it redacted in the rows, steps and payloads that it read."),
        Column("rejected", "bigint", "Rows without a usable id that it kept in rejected_rows."),
        Column(
            "unresolved",
            "bigint",
            "Executions that it found purged while they were open (resolution unresolved_at_retention).",
        ),
        Column(
            "lost_from",
            "timestamp",
            "From when on executions were purged by the vendor before any sync could read them; empty for none.",
        ),
        Column("lost_until", "timestamp", "Until when they were; that instant excluded."),
        Column(
            "bytes_estimated",
            "bigint",
            "Bytes that BigQuery named for the run's merges before they ran, but for those of the last commit; empty "
            "elsewhere.",
        ),
        Column(
            "bytes_processed",
            "bigint",
            "Bytes that BigQuery processed for the run's statements until this row was written; empty elsewhere.",
        ),
        Column("open_executions", "bigint", "Executions that were open at its end."),
        Column("details_left", "bigint", "Settled executions whose steps were wanted and not yet loaded."),
        Column("payloads_left", "bigint", "Steps whose payload was wanted and not yet loaded."),
        Column("version", "text", "The version of this connector."),
        Column("host", "text", "The machine on which it ran."),
        Column(
            "lock_file",
            "text",
            "The file on that machine of which it holds a lock while it runs; empty for the source in a script.",
        ),
        Column("written_at", "timestamp", "When this row was written; the newest wins."),
    ),
    newest="written_at",
)

EVIDENCE = (
    "What makes them known to be all: count, where as many rows came as the vendor counts; chain, where each page joined "
    "the one before and the end was shown; repeat, where two readings gave the same; none. Empty where an earlier "
    "version of this connector noted nothing."
)
REJECTED = "Rows of the vendor's without a usable id, kept in rejected_rows; the vendor counts them too."

COVERAGE = Table(
    "coverage",
    "One row per day, lane and set of filters of executions that are loaded: how many, and whether the vendor "
    "counts the same.",
    ("day", "lane", "filters"),
    (
        Column("day", "timestamp", "The day, UTC midnight."),
        Column(
            "lane",
            "text",
            "Who loaded it: sync, backfill; or audit, for what was loaded before and compared as a whole.",
        ),
        Column("filters", "text", "Which executions are loaded, such as status=FAILED; empty for all."),
        Column("window_start", "timestamp", "From when on the day is loaded."),
        Column("window_end", "timestamp", "Until when the day is loaded; that instant excluded."),
        Column("covered_ms", "bigint", "Milliseconds of the day that are loaded; 86,400,000 is all of it."),
        Column(
            "windows",
            "text",
            "JSON list of the windows that are loaded, each as [start, end]; more than one where there are gaps.",
        ),
        Column("executions", "bigint", "Executions loaded for the windows when they were last read."),
        Column("api_total", "bigint", "The vendor's count for the windows; empty where it gave none."),
        Column("is_verified", "bool", "Whether they are known to be all that the vendor has."),
        Column("evidence", "text", EVIDENCE),
        Column("reason", "text", "Why they are not known to be all; empty where they are."),
        Column("rejected", "bigint", REJECTED),
        Column("checked_at", "timestamp", "When the windows were last read or compared."),
        Column("run_id", "text", "The run that did it (sync_runs.run_id)."),
    ),
    newest="checked_at",
)

READS = Table(
    "window_reads",
    "One row per window that was read from a listing: which run asked when, and how many rows came.",
    ("read_id",),
    (
        Column("read_id", "text", "The run and the number of the window in it."),
        Column("run_id", "text", "The run (sync_runs.run_id)."),
        Column("lane", "text", "sync, backfill or audit."),
        Column("filters", "text", "The filters of the listing; empty for none."),
        Column("window_start", "timestamp", "From when on executions were asked for."),
        Column("window_end", "timestamp", "Until when; that instant excluded."),
        Column(
            "row_order",
            "text",
            "In which order they were seen to come, where that decides how far a list has to be read: newest_first, or "
            "none, and then all of it is read. Empty elsewhere.",
        ),
        Column("executions", "bigint", "Executions that came."),
        Column("api_total", "bigint", "The vendor's count for the window; empty where it gave none."),
        Column("is_verified", "bool", "Whether they are known to be all that the vendor has."),
        Column("evidence", "text", EVIDENCE),
        Column("reason", "text", "Why they are not known to be all; empty where they are."),
        Column("rejected", "bigint", REJECTED),
        Column("read_at", "timestamp", "When the last page of it was read."),
    ),
    newest="read_at",
    partition="read_at",
)

REJECTED_ROWS = Table(
    "rejected_rows",
    "One row per row of the vendor's that has no usable id, or is no object, and so stands in no other table.",
    ("rejected_id",),
    (
        Column(
            "rejected_id", "text", "Made of the list, the time and the content: the same row is here once."
        ),
        Column("table_name", "text", "The table that it would stand in."),
        Column("filters", "text", "The filters of the listing, as in coverage.filters; empty for none."),
        Column("window_start", "timestamp", "From when on executions were asked for; empty for any time."),
        Column("window_end", "timestamp", "Until when; that instant excluded."),
        Column("row_offset", "bigint", "Its position in the listing of that window, from 0."),
        Column(
            "near_at",
            "timestamp",
            "When it began; where it does not say, when the row beside it did. That day is not verified.",
        ),
        Column(
            "value",
            "text",
            "The row as the vendor sent it, as JSON text; secrets are redacted, and what is longer than "
            "payload_max_bytes is cut.",
            is_free=True,
        ),
        Column("reason", "text", "Why it stands in no other table."),
        Column("fetched_at", "timestamp", "When this connector read it last."),
        Column("run_id", "text", "The run that did (sync_runs.run_id)."),
    ),
)

STATES = Table(
    "execution_states",
    "One row per earlier state of an execution that was seen in more than one: the newest is in the execution's row. "
    "Of one that the vendor no longer holds, its last state is here too, with when it was last seen.",
    ("execution_id", "seen_at"),
    (
        Column("execution_id", "text", "The execution (workflow_executions.id)."),
        Column("seen_at", "timestamp", "When this connector first saw it in this state."),
        Column("status", "text", "The vendor's status then."),
        Column("last_seen_at", "timestamp", "When this connector last saw it in this state."),
        Column(
            "read_by",
            "text",
            "The kind of request that showed it last: list, late, status, execution, repair or replay.",
        ),
        Column("run_id", "text", "The run that last saw it so (sync_runs.run_id)."),
    ),
    newest="last_seen_at",
    partition="seen_at",
    cluster=("execution_id",),
)

REPLAYS = Table(
    "replays",
    "One row per execution that was asked to run again: what came of it.",
    ("replay_id",),
    (
        Column("replay_id", "text", "The run that asked and the execution's id."),
        Column("execution_id", "text", "The execution that was to run again (workflow_executions.id)."),
        Column(
            "new_execution_id", "text", "The execution that the vendor started for it, where it named one."
        ),
        Column(
            "outcome",
            "text",
            "replayed; refused, with the vendor's answer; unknown, when the answer was lost and it may or may not "
            "have run; intended, when it was about to be sent as the process was killed, so that it may have run too; "
            "unsent, when the run ended before it was sent.",
        ),
        Column("status_code", "bigint", "The HTTP status of the vendor's answer; empty when none came."),
        Column("answer", "text", "What the vendor said, in short and without secrets."),
        Column("intended_at", "timestamp", "When this connector was about to send it."),
        Column("answered_at", "timestamp", "When the answer came; empty when none did."),
        Column("written_at", "timestamp", "When this row was written; the newest wins."),
        Column("run_id", "text", "The run that asked (sync_runs.run_id)."),
    ),
    newest="written_at",
)


def of(system: System) -> tuple[Table, ...]:
    """All tables of a system's dataset."""
    own = [table for listing in (system, *system.companions) for table in of_one(listing)]
    return (
        *{table.name: table for table in own}.values(),
        STATES,
        *((REPLAYS,) if system.replay is not None else ()),
        SYNC_RUNS,
        COVERAGE,
        READS,
        REJECTED_ROWS,
    )


def of_one(system: System) -> tuple[Table, ...]:
    """The tables of the vendor's data, without those of companions."""
    optional = (system.payloads, system.integrations, system.workflows)
    return (
        system.executions,
        system.details.log,
        system.details.steps,
        *(capability.table for capability in optional if capability is not None),
        *system.details.children,
        *(system.statistics.tables if system.statistics else ()),
    )
