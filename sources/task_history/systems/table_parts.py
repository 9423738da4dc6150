"""Parts of the tables of several systems: columns that they have alike, and the log of their details.

The tables that every dataset has beside the vendor's stand in ``warehouse/common_tables``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ..core.columns import LOADED_AT, OCCURRENCE, bigint, boolean, text, timestamp
from ..core.models import Column, Table

PROVENANCE = (
    timestamp("fetched_at", "When this connector read the row from the vendor."),
    text("run_id", "The run of this connector that brought the row (sync_runs.run_id)."),
    LOADED_AT,
)
"""Columns of every table of the vendor's data."""

UNREADABLE = (
    text(
        "unreadable_reason",
        "Why it, or a part of it, could not be read, such as an id that no address can hold; empty for most.",
    ),
    bigint(
        "tries", "How many runs tried to read it in vain, where a later one may do better; empty elsewhere."
    ),
    timestamp(
        "next_try_at",
        "From when on a run tries to read it again: an hour after the first try, then twice as long after each, at "
        "most two days. Empty where nothing is left to read, or where no try can help.",
    ),
)
"""Columns of every details log, and of payloads."""


def _own_columns(*, what: str) -> tuple[Column, ...]:
    """The columns that this connector adds to every table of executions."""
    return (
        boolean("is_open", f"Whether {what} may still change; it is read again until it is false."),
        text(
            "resolution",
            f"Why {what} is not open any more: ended; unresolved_at_retention, when it was still open as the vendor's "
            "retention passed over it; gone, when the vendor no longer held it before that. Empty while it is open.",
        ),
        timestamp(
            "purged_at_source", f"When the vendor was found to hold {what} no longer; empty while it does."
        ),
        timestamp("status_seen_at", f"When this connector first saw {what} in its status."),
        text(
            "read_by",
            "The kind of request that brought this version of the row: list; late, when it became visible behind the "
            "cursor; status, a list of what is open; execution, a single read; repair, after an audit; replay, when it "
            "was run again under its own id.",
        ),
        *PROVENANCE,
    )


BOOKKEEPING = frozenset(
    column.name for column in (*_own_columns(what=""), *UNREADABLE, text("outcome", ""), bigint("steps", ""))
)
"""Columns of executions, details logs and payloads by which this connector knows what it has read and what is left."""


def timestamp_columns(name: str, description: str, source: str) -> tuple[Column, Column]:
    """A vendor's instant to the microsecond, and its text for what is finer, see ``parsing.timed``."""
    return (
        timestamp(name, f"{description}, cut to microseconds.", source),
        text(
            f"{name}_exact",
            "The same as the vendor sent it, where that is finer than a microsecond.",
            f"{source}Exact",
            is_derived=True,
        ),
    )


def instant_fields(*tables: Table) -> tuple[str, ...]:
    """The vendor's keys for instants in these tables, each once: what ``parsing.timed`` parses."""
    return tuple(
        dict.fromkeys(
            column.source
            for table in tables
            for column in table.columns
            if column.type == "timestamp" and column.source
        )
    )


def status_column(statuses: Iterable[str], source: str = "status", *, is_derived: bool = False) -> Column:
    """The status as the vendor spells it, of which these have a meaning in the views."""
    return text(
        "status", f"The vendor's status: {', '.join(statuses)} or another.", source, is_derived=is_derived
    )


def executions_table(
    name: str, description: str, columns: tuple[Column, ...], *, what: str, started: str, workflow: str
) -> Table:
    """A table of executions; ``started`` and ``workflow`` are the columns of their start and their workflow."""
    return Table(
        name,
        description,
        ("id",),
        (*columns, *_own_columns(what=what)),
        partition=started,
        partition_may_change=True,
        cluster=(workflow, "id"),
    )


def steps_table(
    name: str,
    description: str,
    columns: tuple[Column, ...],
    *,
    started: str,
    key: str = "id",
    is_clustered_by_key: bool = False,
    ids: Literal["unique", "unique_in_execution", "may_repeat"] = "may_repeat",
) -> Table:
    """A table of steps, or of what belongs to them; ``started`` says when the execution began.

    ``ids`` says where two rows may have the same ``key``: in no case, in several executions, or in one, too.
    """
    keys = [key]
    if ids != "unique":
        keys.append("workflow_execution_id")
    if ids == "may_repeat":
        keys.append(OCCURRENCE.name)
    return Table(
        name,
        description,
        tuple(keys),
        (
            *columns,
            *([OCCURRENCE] if ids == "may_repeat" else []),
            timestamp("execution_date_started", f"{started}; partitions the table."),
            *PROVENANCE,
        ),
        partition="execution_date_started",
        cluster=("workflow_execution_id", *((key,) if is_clustered_by_key else ())),
        former_key=(key,) if len(keys) > 1 else (),
    )


def details_log(
    name: str, description: str, *, execution: str, steps: str, started: str, more: tuple[Column, ...] = ()
) -> Table:
    """A table with one row per execution whose steps were asked for; ``more`` are columns that only one system has."""
    return Table(
        name,
        description,
        ("id",),
        (
            text("id", execution),
            text(
                "outcome",
                "loaded; gone when the vendor held it no longer; expired when it was past the vendor's retention; "
                "unreadable when it could not be read; too_large when the answer was larger than answer_max_bytes; "
                "again when it was replayed under its own id, or could be read once more, and those steps are not yet "
                "loaded.",
            ),
            *UNREADABLE,
            bigint("steps", steps),
            *more,
            timestamp("date_started", f"{started}; partitions the table."),
            *PROVENANCE,
        ),
        partition="date_started",
        partition_may_change=True,
        cluster=("id",),
    )
