"""The tables that every dataset has beside the vendor's.

The rows of ``sync_runs`` are built in ``runs/sync_runs_values`` and ``runs/context``, those of ``coverage`` in
``coverage``.
"""

from __future__ import annotations

from ..core.columns import LOADED_AT, bigint, boolean, customer_json, double, text, timestamp
from ..core.models import Table
from ..systems.protocol import System

SYNC_RUNS = Table(
    "sync_runs",
    "One row per run of this connector: what it did, what it cost and what it left.",
    ("run_id",),
    (
        text("run_id", "The run; rows that it wrote carry it."),
        text("command", "What was called: sync, backfill, audit, replay, or the source from a script."),
        timestamp("window_start", "From when on a backfill or audit looked; empty for a sync."),
        timestamp("window_end", "Until when it looked; that instant excluded."),
        text("filters", "The filters of a backfill, such as status=FAILED; empty for none."),
        text(
            "column_rules",
            "Which columns it excluded or hashed, and the id of the key, as JSON text; empty for none.",
        ),
        timestamp("started_at", "When the run began."),
        timestamp("ended_at", "When it ended; empty while it runs."),
        bigint("duration_ms", "Milliseconds from start to end."),
        text(
            "outcome",
            "complete; stopped, when work was left at a limit or signal; failed; interrupted, when the process "
            "was killed; running.",
        ),
        text("reason", "Why the run stopped or failed."),
        boolean("is_complete", "Whether nothing was left to do at its end, nor unverified."),
        timestamp("covered_until", "Everything that began before is loaded: the cursor at its end."),
        bigint("requests", "Requests it sent, every attempt counted."),
        bigint("list_requests", "Requests for pages of executions."),
        bigint("execution_requests", "Requests for single executions with their steps."),
        bigint("payload_requests", "Requests for inputs and outputs of steps."),
        bigint("other_requests", "All other requests."),
        bigint("retries", "Attempts beyond the first of a request."),
        bigint("waited_fault_ms", "Milliseconds in which it waited after faults."),
        bigint(
            "waited_retry_after_ms",
            "Milliseconds in which it waited because the vendor asked for it.",
            former_name="waited_told_ms",
        ),
        bigint("waited_budget_ms", "Milliseconds in which it waited for the budget."),
        bigint("executions", "Rows of executions it wrote."),
        bigint("settled", "Executions that were open and that it found ended."),
        bigint("late", "Executions that became visible behind the cursor."),
        bigint("steps", "Rows of steps it wrote."),
        bigint("payloads", "Rows of payloads it wrote."),
        bigint("redactions", "Values it redacted in the rows, steps and payloads that it read."),
        bigint("rejected", "Rows without a usable id that it kept in rejected_rows."),
        bigint(
            "deleted_rows",
            "Rows that it deleted because of keep_days_…; empty where no deletion was due.",
        ),
        timestamp(
            "executions_kept_since",
            "The run deleted executions that began before this; empty where no deletion was due.",
        ),
        timestamp("steps_kept_since", "The run deleted steps of executions that began before this."),
        timestamp("payloads_kept_since", "The run deleted payloads of executions that began before this."),
        bigint(
            "unresolved",
            "Executions that it found purged while they were open (resolution unresolved_at_retention).",
        ),
        double(
            "retention_days",
            "How many days the vendor keeps executions, by the setting of that name; 0 for ever. Empty where that is not "
            "known, and in rows of an earlier version.",
        ),
        timestamp(
            "lost_from",
            "From when on executions were purged by the vendor before any sync could read them; empty for none.",
        ),
        timestamp("lost_until", "Until when they were; that instant excluded."),
        bigint(
            "bytes_billed",
            "Bytes that BigQuery billed for the run's statements, views and checks included; empty elsewhere.",
        ),
        bigint(
            "bytes_processed",
            "Bytes that BigQuery processed for the run's statements, views and checks included; empty elsewhere.",
        ),
        bigint("open_executions", "Executions that were open at its end."),
        bigint("details_left", "Settled executions whose steps were wanted and not yet loaded."),
        bigint("payloads_left", "Steps whose payload was wanted and not yet loaded."),
        text("version", "The version of this connector."),
        text("host", "The machine on which it ran."),
        text(
            "lock_file",
            "The file on that machine of which it holds a lock while it runs; empty for the source in a script.",
        ),
        timestamp("written_at", "When this row was written; the newest wins."),
        LOADED_AT,
    ),
    newest="written_at",
)

EVIDENCE_DESCRIPTION = (
    "What makes them known to be all: count, where as many rows came as the vendor counts; chain, where each page joined "
    "the one before and the end was shown; repeat, where two readings gave the same; none. Empty where an earlier "
    "version of this connector noted nothing."
)
REJECTED_DESCRIPTION = (
    "Rows of the vendor's without a usable id, kept in rejected_rows; the vendor counts them too."
)
LEFT_OUT_ON_DAY = (
    "How many executions of the day are not stored because their person was forgotten; empty for none."
)

COVERAGE = Table(
    "coverage",
    "One row per day, lane and set of filters of executions that are loaded: how many, and whether the vendor "
    "counts the same.",
    ("day", "lane", "filters"),
    (
        timestamp("day", "The day, UTC midnight."),
        text(
            "lane",
            "Who loaded it: sync, backfill; or audit, for what was loaded before and compared as a whole.",
        ),
        text("filters", "Which executions are loaded, such as status=FAILED; empty for all."),
        timestamp("window_start", "From when on the day is loaded."),
        timestamp("window_end", "Until when the day is loaded; that instant excluded."),
        bigint("covered_ms", "Milliseconds of the day that are loaded; 86,400,000 is all of it."),
        text(
            "windows",
            "JSON list of the windows that are loaded, each as [start, end]; more than one where there are gaps.",
        ),
        bigint("executions", "Executions of the windows when they were last read, left_out included."),
        bigint("api_total", "The vendor's count for the windows; empty where it gave none."),
        boolean("is_verified", "Whether they are known to be all that the vendor has."),
        text("evidence", EVIDENCE_DESCRIPTION),
        text("reason", "Why they are not known to be all; empty where they are."),
        bigint("rejected", REJECTED_DESCRIPTION),
        bigint("left_out", LEFT_OUT_ON_DAY),
        timestamp("checked_at", "When the windows were last read or compared."),
        text("run_id", "The run that did it (sync_runs.run_id)."),
        LOADED_AT,
    ),
    newest="checked_at",
)

WINDOW_READS = Table(
    "window_reads",
    "One row per window that was read from a listing: which run asked when, and how many rows came.",
    ("read_id",),
    (
        text("read_id", "The run and the number of the window in it."),
        text("run_id", "The run (sync_runs.run_id)."),
        text("lane", "sync, backfill or audit."),
        text("filters", "The filters of the listing; empty for none."),
        timestamp("window_start", "From when on executions were asked for."),
        timestamp("window_end", "Until when; that instant excluded."),
        text(
            "row_order",
            "In which order they were seen to come, where that decides how far a list has to be read: newest_first, or "
            "none, and then all of it is read. Empty elsewhere.",
        ),
        bigint("executions", "Executions that came."),
        bigint("api_total", "The vendor's count for the window; empty where it gave none."),
        boolean("is_verified", "Whether they are known to be all that the vendor has."),
        text("evidence", EVIDENCE_DESCRIPTION),
        text("reason", "Why they are not known to be all; empty where they are."),
        bigint("rejected", REJECTED_DESCRIPTION),
        timestamp("read_at", "When the last page of it was read."),
        LOADED_AT,
    ),
    newest="read_at",
    partition="read_at",
)

REJECTED_ROWS = Table(
    "rejected_rows",
    "One row per row of the vendor's that has no usable id, or is no object, and so stands in no other table.",
    ("rejected_id",),
    (
        text("rejected_id", "Made of the list, the time and the content: the same row is here once."),
        text("table_name", "The table that it would stand in."),
        text("filters", "The filters of the listing, as in coverage.filters; empty for none."),
        timestamp("window_start", "From when on executions were asked for; empty for any time."),
        timestamp("window_end", "Until when; that instant excluded."),
        bigint("row_offset", "Its position in the listing of that window, from 0."),
        timestamp(
            "near_at",
            "When it began; where it does not say, when the row beside it did. That day is not verified.",
        ),
        customer_json(
            "value",
            "The row as the vendor sent it, as JSON text; secrets are redacted, and what is longer than "
            "payload_max_bytes is cut.",
        ),
        text("reason", "Why it stands in no other table."),
        timestamp("fetched_at", "When this connector read it last."),
        text("run_id", "The run that did (sync_runs.run_id)."),
        LOADED_AT,
    ),
)

EXECUTION_STATES = Table(
    "execution_states",
    "One row per earlier state of an execution that was seen in more than one: the newest is in the execution's row. "
    "Of one that the vendor no longer holds, its last state is here too, with when it was last seen.",
    ("execution_id", "seen_at"),
    (
        text("execution_id", "The execution (workflow_executions.id)."),
        timestamp("seen_at", "When this connector first saw it in this state."),
        text("status", "The vendor's status then."),
        timestamp("last_seen_at", "When this connector last saw it in this state."),
        text(
            "read_by",
            "The kind of request that showed it last: list, late, status, execution, repair or replay.",
        ),
        text("run_id", "The run that last saw it so (sync_runs.run_id)."),
        LOADED_AT,
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
        text("replay_id", "The run that asked and the execution's id."),
        text("execution_id", "The execution that was to run again (workflow_executions.id)."),
        text("new_execution_id", "The execution that the vendor started for it, where it named one."),
        text(
            "outcome",
            "replayed; refused, with the vendor's answer; unknown, when the answer was lost and it may or may not "
            "have run; intended, when it was about to be sent as the process was killed, so that it may have run too; "
            "unsent, when the run ended before it was sent.",
        ),
        bigint("status_code", "The HTTP status of the vendor's answer; empty when none came."),
        text("answer", "What the vendor said, in short and without secrets."),
        timestamp("intended_at", "When this connector was about to send it."),
        timestamp("answered_at", "When the answer came; empty when none did."),
        timestamp("written_at", "When this row was written; the newest wins."),
        text("run_id", "The run that asked (sync_runs.run_id)."),
        LOADED_AT,
    ),
    newest="written_at",
)

ERASURES = Table(
    "erasures",
    "One row per erasure of what was stored of a person: when, and how many rows; not who.",
    ("erasure_id",),
    (
        text("erasure_id", "A random id."),
        text("system", "The system whose rows were erased."),
        timestamp("started_at", "When it began."),
        timestamp(
            "ended_at", "When everything was erased; empty while it is active, or where it was killed."
        ),
        bigint("row_count", "How many rows it erased."),
        text("table_counts", "How many of them by table, as a JSON object."),
        LOADED_AT,
    ),
    newest="started_at",
)

LEFT_OUT = Table(
    "left_out_executions",
    "One row per execution that the vendor has and that is left out because its person was forgotten: no id, so that "
    "only counts and audits know of it.",
    ("execution_hash", "table_name"),
    (
        text("execution_hash", "A keyed hash of the execution's id."),
        text("table_name", "The table that it would stand in."),
        timestamp("execution_started_at", "When it began; empty where that is not known."),
        timestamp("left_out_at", "When it was left out, or erased."),
        LOADED_AT,
    ),
    newest="left_out_at",
)


def listings(system: System) -> tuple[System, ...]:
    """All lists of the system's account: its own and its companions'."""
    return (system, *system.companions)


def has_person(system: System) -> bool:
    """Whether the executions of any of the account's lists name a person."""
    return any(one.person is not None for one in listings(system))


VENDOR_FIELDS = Table(
    "vendor_fields",
    "One row per field that the vendor sends and does not document: the column that holds it, the same for ever. Where "
    "two rows name one column, the first one counts.",
    ("table_name", "field", "column_name"),
    (
        text("table_name", "The table."),
        text("field", "The vendor's name of the field, exact, as JSON writes it (without quotes)."),
        text("column_name", "The column of that table that holds its values."),
        text(
            "holds",
            "What the column holds: text, as it was sent; json, any value as JSON text, where a text has quotes; bigint, "
            "double, bool or timestamp; any, in a column of an earlier version, texts as they were and all else as JSON.",
        ),
        timestamp("allotted_at", "When the field got its column."),
        text("run_id", "The run that first saw the field (sync_runs.run_id)."),
        LOADED_AT,
    ),
    newest="allotted_at",
)


SCHEMA_CHANGES = Table(
    "schema_changes",
    "One row per field, type or status that the vendor sent for the first time after the first sync, and that is not "
    "documented.",
    ("change_id",),
    (
        text(
            "change_id",
            "Made of the kind, the table, the column and the status, so that a change is here once.",
        ),
        timestamp("seen_at", "When this connector saw it first."),
        text(
            "kind",
            "new_column, a field that became a column; changed_type, values that do not fit the column and are beside "
            "it, in the column whose name ends in __v_text; new_status; many_statuses, once for a table to which more "
            "than 50 new statuses came: further ones are not noted.",
        ),
        text("table_name", "The table."),
        text("column_name", "The column."),
        text(
            "type",
            "The type of the column that holds the new values: text, bigint, double, bool or timestamp.",
        ),
        text(
            "status",
            "The status, without secrets and cut to 100 characters; empty for the other kinds.",
        ),
        text("run_id", "The run that saw it first (sync_runs.run_id)."),
        LOADED_AT,
    ),
    newest="seen_at",
)


def of(system: System) -> tuple[Table, ...]:
    """All tables of a system's dataset."""
    own = [table for listing in listings(system) for table in of_one(listing)]
    return (
        *{table.name: table for table in own}.values(),
        EXECUTION_STATES,
        *((REPLAYS,) if system.replay is not None else ()),
        SYNC_RUNS,
        COVERAGE,
        WINDOW_READS,
        REJECTED_ROWS,
        *((ERASURES, LEFT_OUT) if has_person(system) else ()),
        VENDOR_FIELDS,
        SCHEMA_CHANGES,
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
