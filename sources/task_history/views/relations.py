"""The relations that views read: rows of all systems in a common form, over the existing datasets.

In the files they stand as ``systems.executions`` and the like. Each system says in its own module how its
tables are shown; each dataset of it is one branch of a union.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .. import systems
from ..core.calendars import Calendar
from ..core.columns import LOADED_AT, OCCURRENCE
from ..core.dataset_names import VIEWS_DATASET
from ..core.models import Table
from ..settings_accounts import Account
from ..systems.protocol import System
from ..systems.view_mapping import ViewMapping, Views
from ..warehouse import common_tables
from ..warehouse.sql_text import quoted_name, quoted_text, sql_type
from ..warehouse.user_map import USER_MAP
from .branches import Branch, Relation, union
from .calendars import day_of, present
from .sql_file_reader import View

EXECUTIONS = {
    "execution_id": "text",
    "workflow_id": "text",
    "workflow_name": "text",
    "integration": "text",
    "user_id": "text",
    "vendor_status": "text",
    "is_open": "bool",
    "started_at": "timestamp",
    "day": "date",
    "ended_at": "timestamp",
    "task_count": "bigint",
    "error": "text",
    "resolution": "text",
    "purged_at_source": "timestamp",
    "fetched_at": "timestamp",
    "loaded_at": "timestamp",
    "run_id": "text",
}
"""Columns of executions with their types; a system may leave some out."""

STEPS = {
    "step_execution_id": "text",
    "execution_id": "text",
    "step_id": "text",
    "step_name": "text",
    "step_type": "text",
    "is_waiting": "bool",
    "vendor_status": "text",
    "started_at": "timestamp",
    "ended_at": "timestamp",
    "execution_started_at": "timestamp",
    "error": "text",
    "input_bytes": "bigint",
    "output_bytes": "bigint",
    "fetched_at": "timestamp",
    "loaded_at": "timestamp",
    "run_id": "text",
}
"""Columns of steps with their types; a system may leave some out."""

PAYLOADS = {
    "step_execution_id": "text",
    "execution_id": "text",
    "execution_started_at": "timestamp",
    "is_available": "bool",
    "input": "text",
    "output": "text",
    "error": "text",
    "input_bytes": "bigint",
    "output_bytes": "bigint",
    "is_input_cut": "bool",
    "is_output_cut": "bool",
    "fetched_at": "timestamp",
    "loaded_at": "timestamp",
    "run_id": "text",
}
"""Columns of steps' payloads with their types; a system may leave some out."""

LATER_COLUMNS = (LOADED_AT, OCCURRENCE)
"""Columns that views show, and that are empty in tables which an earlier version made."""

DETAILS_LOG = {"execution_id": "text", "execution_started_at": "timestamp", "outcome": "text"}
"""Columns of executions whose steps were asked for, with their types."""

LISTED_EXECUTIONS = {"listed_at": "timestamp"}
"""Columns of listed executions, one row per row of the vendor's list, with the instant that decides its window."""

ADDED_COVERAGE = {"part": "text", "is_whole": "bool"}
"""Columns of coverage beside its own."""

STEP_COUNTS = {
    "listing": "text",
    "execution_id": "text",
    "execution_started_at": "timestamp",
    "counted": "bigint",
    "stored": "bigint",
}
"""Columns of executions whose steps were read: how many those were, and how many are stored."""

DATASETS = {
    "dataset": "text",
    "can_replay": "bool",
    "retention_days": "bigint",
    "billing_caveat": "text",
    "timezone": "text",
    "week_start": "bigint",
    "today": "date",
    "same_time_last_week": "timestamp",
    "same_time_last_month": "timestamp",
}
"""Columns of accounts; ``week_start`` is 1 for Monday and 7 for Sunday, and ``today`` is in the account's zone."""

USERS = {"user_id": "text", "customer": "text", "plan": "text", "region": "text"}
"""Columns of users whom the files of ``user_map`` name."""


@dataclass(frozen=True, slots=True)
class ShownDataset:
    """The tables of one account of one system."""

    name: str
    system: System
    instance: str
    """The account's ``--instance``; empty for the first account."""
    lacking: frozenset[tuple[str, str]] = frozenset()
    """Tables and columns that an older version of this connector did not create; the next sync does."""
    since: str = ""
    """The instant from which partitioned tables are read; empty for a view, whose reader filters."""
    calendar: Calendar = Calendar()  # noqa: RUF009 - frozen
    has_users: bool = False
    """Whether the table ``user_map`` has rows of the account."""


def by_default() -> list[ShownDataset]:
    """The first account of every system that the views show."""
    first_accounts = [ShownDataset(name, systems.find(name), "") for name in systems.names()]
    return [dataset for dataset in first_accounts if dataset.system.views is not None]


def found(
    columns: Iterable[tuple[str, str, str]], owners: Mapping[str, Account] | None = None
) -> tuple[list[ShownDataset], list[str]]:
    """The warehouse's datasets that views can show, and those that lack tables or columns.

    ``columns`` are names of dataset, table and column; ``owners`` are the accounts by the names of their datasets.
    """
    existing: dict[str, dict[str, set[str]]] = {}
    for dataset, table, column in columns:
        existing.setdefault(dataset, {}).setdefault(table, set()).add(column)
    shown: list[ShownDataset] = []
    incomplete: list[str] = []
    for name in sorted(existing):
        owner = of_name(name, owners)
        # Staging has no loads.
        if owner is None or owner.system.views is None or "_dlt_loads" not in existing[name]:
            continue
        lacking = {
            (table.name, column.name)
            for table in common_tables.of(owner.system)
            for column in table.columns
            if column.name not in existing[name].get(table.name, ())
        }
        needed = sorted(".".join(names) for names in lacking & shown_columns(owner.system))
        if needed:
            incomplete.append(f"{name} lacks {', '.join(needed[:3])}")
        else:
            shown.append(replace(owner, lacking=frozenset(lacking)))
    return shown, incomplete


def shown_columns(system: System) -> set[tuple[str, str]]:
    """The columns without which views cannot show the system's rows."""
    own = _views(system)
    shown = (own.executions, own.steps, own.payloads, own.details)
    text = " ".join(part for rows in shown if rows for part in (rows.rows, *rows.columns.values()))
    used = set(re.findall(r"\w\.\"?(\w+)", text))
    named = set(re.findall(r"{(\w+)}", text))
    return {
        (table.name, column.name)
        for table in common_tables.of(system)
        for column in table.columns
        if table.name in named and column.name in used and column not in LATER_COLUMNS
    }


def _views(system: System) -> Views:
    if system.views is None:
        raise ValueError(f"{system.name} is not shown in views")
    return system.views


def of_name(name: str, owners: Mapping[str, Account] | None = None) -> ShownDataset | None:
    """The dataset's system and account; None when it belongs to neither.

    An account that is no longer configured is told by the dataset of its system's first account, before its own name.
    """
    owners = owners or {system: Account(systems.find(system), None) for system in systems.names()}
    if (account := owners.get(name)) is not None:
        own_calendar = account.calendar or Calendar()
        return ShownDataset(
            name,
            account.system,
            account.instance or "",
            calendar=own_calendar,
            has_users=account.has_users,
        )
    first = [own for own, account in owners.items() if account.instance is None]
    for own in sorted(first, key=len, reverse=True):
        if name.startswith(f"{own}_"):
            return ShownDataset(name, owners[own].system, name[len(own) + 1 :])
    return None


def relations(
    datasets: Sequence[ShownDataset], views: Iterable[View] = (), *, fingerprint: str = ""
) -> Mapping[str, Relation]:
    """The relations of ``systems``, by name; ``questions`` is about these views."""
    questions = _questions(views, fingerprint)
    return {
        "questions": lambda _: questions,
        "datasets": _union(datasets, DATASETS, _facts),
        "users": _union([dataset for dataset in datasets if dataset.has_users], USERS, _users),
        "executions": _shown(datasets, EXECUTIONS, lambda shown: shown.executions),
        "steps": _shown(datasets, STEPS, lambda shown: shown.steps),
        "payloads": _shown(datasets, PAYLOADS, lambda shown: shown.payloads),
        "details": _shown(datasets, DETAILS_LOG, lambda shown: shown.details),
        "listed": _union(datasets, LISTED_EXECUTIONS, _listed),
        "step_counts": _step_counts(datasets),
        common_tables.COVERAGE.name: _copied(
            datasets,
            common_tables.COVERAGE,
            ADDED_COVERAGE,
            lambda dataset: _parted(dataset.system),
        ),
        common_tables.SYNC_RUNS.name: _copied(datasets, common_tables.SYNC_RUNS),
        common_tables.EXECUTION_STATES.name: _copied(
            datasets, common_tables.EXECUTION_STATES, {"state": "text"}, _state
        ),
        common_tables.REPLAYS.name: _copied(
            [dataset for dataset in datasets if dataset.system.replay is not None], common_tables.REPLAYS
        ),
    }


def _questions(views: Iterable[View], fingerprint: str) -> str:
    rows = [
        {"view_name": view.name, "question": view.question, "grain": view.grain, "note": view.note}
        for view in views
    ]
    return " UNION ALL ".join(
        "SELECT "
        + ", ".join(
            f"{quoted_text(value)} AS {name}" for name, value in {**row, "fingerprint": fingerprint}.items()
        )
        for row in rows or [dict.fromkeys(("view_name", "question", "grain", "note"), "")]
    )


def _facts(dataset: ShownDataset) -> Branch:
    system = dataset.system
    days = system.retention.days if system.retention else None
    return (
        "(SELECT 1 AS one) AS only_one",
        {
            "dataset": quoted_text(dataset.name),
            "can_replay": str(system.replay is not None).upper(),
            "retention_days": "CAST(NULL AS BIGINT)" if days is None else f"CAST({days} AS BIGINT)",
            "billing_caveat": quoted_text(_views(system).billing_caveat),
            **present(dataset.calendar),
        },
    )


def _users(dataset: ShownDataset) -> Branch:
    # Two runs that write them at once may both have.
    return (
        "(SELECT m.user_id, max(m.customer) AS customer, max(m.plan) AS plan, max(m.region) AS region "
        f"FROM {quoted_name(VIEWS_DATASET, USER_MAP.name)} AS m WHERE m.dataset = {quoted_text(dataset.name)} "
        "GROUP BY m.user_id) AS u",
        {name: f"u.{name}" for name in USERS},
    )


def _step_counts(datasets: Sequence[ShownDataset]) -> Relation:
    """The union over all lists of all datasets, of which each has steps of its own."""
    every = [
        replace(dataset, system=listing)
        for dataset in datasets
        for listing in common_tables.listings(dataset.system)
    ]
    return _union(every, STEP_COUNTS, _counted_steps)


def _counted_steps(dataset: ShownDataset) -> Branch:
    details, kept = dataset.system.details, "TRUE"
    if (common_tables.SYNC_RUNS.name, "steps_kept_since") not in dataset.lacking:
        # What keep_days_steps deleted is not missing.
        since = f"(SELECT max(r.steps_kept_since) FROM {_name(dataset, common_tables.SYNC_RUNS)} AS r)"
        kept = f"(l.date_started IS NULL OR l.date_started >= coalesce({since}, l.date_started))"
    stored = (
        "(SELECT s.workflow_execution_id AS id, s.execution_date_started AS started, count(*) AS stored "
        f"FROM {_name(dataset, details.steps)} AS s GROUP BY s.workflow_execution_id, s.execution_date_started)"
    )
    return (
        f"(SELECT * FROM {_name(dataset, details.log)} AS l WHERE l.outcome = 'loaded' AND {kept}) AS x "
        f"LEFT JOIN {stored} AS k "
        # Run again under the same id, it has a start of its own, and other steps.
        "ON k.id = x.id AND coalesce(k.started = x.date_started, x.date_started IS NULL)",
        {
            "listing": quoted_text(dataset.system.executions.name),
            "execution_id": "x.id",
            "execution_started_at": "x.date_started",
            "counted": "x.steps",
            "stored": "coalesce(k.stored, 0)",
        },
    )


def _listed(dataset: ShownDataset) -> Branch:
    system = dataset.system
    return f"{_name(dataset, system.executions)} AS e", {"listed_at": f"e.{system.started_column}"}


def _shown(
    datasets: Sequence[ShownDataset], types: Mapping[str, str], of: Callable[[Views], ViewMapping | None]
) -> Relation:
    has_status = "vendor_status" in types
    own = {dataset.name: rows for dataset in datasets if (rows := of(_views(dataset.system))) is not None}

    def branch(dataset: ShownDataset) -> Branch:
        shown = own[dataset.name]
        columns = dict(shown.columns)
        if has_status:
            columns["status"] = _status(columns["vendor_status"], _views(dataset.system).statuses)
        if "is_waiting" in types:
            rule = _views(dataset.system).is_waiting_step
            rule = re.sub(r"\bstep_type\b", columns.get("step_type", "''"), rule)
            columns["is_waiting"] = f"coalesce({rule}, FALSE)"
        if "day" in types:
            columns["day"] = day_of(columns["started_at"], dataset.calendar)
        names = {table.name: _name(dataset, table) for table in common_tables.of(dataset.system)}
        return shown.rows.format(**names), columns

    all_types = {**types, **({"status": "text"} if has_status else {})}
    return _union([dataset for dataset in datasets if dataset.name in own], all_types, branch)


def _copied(
    datasets: Sequence[ShownDataset],
    table: Table,
    more: Mapping[str, str] | None = None,
    of: Callable[[ShownDataset], Mapping[str, str]] = lambda _: {},
) -> Relation:
    """The union of one table of all datasets; ``more`` adds columns by expressions."""

    def columns(dataset: ShownDataset) -> dict[str, str]:
        present = [
            declared.name for declared in table.columns if (table.name, declared.name) not in dataset.lacking
        ]
        return {name: f"t.{quoted_name(name)}" for name in present}

    return _union(
        [dataset for dataset in datasets if columns(dataset)],
        {**{column.name: column.type for column in table.columns}, **(more or {})},
        lambda dataset: (f"{_name(dataset, table)} AS t", {**columns(dataset), **of(dataset)}),
    )


def _parted(system: System) -> Mapping[str, str]:
    """The part of a system's list that a coverage row is about, and whether it covers that part whole.

    Where a list cannot be had without a filter, each of its values has coverage of its own.
    """
    partition = system.listing.partitioned_by
    if not partition:
        return {"part": "''", "is_whole": "t.filters = ''"}
    is_part = f"starts_with(t.filters, '{partition}=') AND strpos(t.filters, '&') = 0"
    return {
        "part": f"CASE WHEN {is_part} THEN substr(t.filters, {len(partition) + 2}) ELSE '' END",
        "is_whole": is_part,
    }


def _state(dataset: ShownDataset) -> Mapping[str, str]:
    """The status of the views that an execution had in an earlier state."""
    return {"state": _status("t.status", _views(dataset.system).statuses)}


def _union(
    datasets: Collection[ShownDataset], types: Mapping[str, str], of: Callable[[ShownDataset], Branch]
) -> Relation:
    return union(types, [(dataset.system.name, dataset.instance, of(dataset)) for dataset in datasets])


def _status(column: str, statuses: Mapping[str, str]) -> str:
    """SQL that maps the vendor's status, in any capitals, to the views' status; what most rows have is compared first."""
    common = sorted(statuses.items(), key=lambda pair: (pair[1] != "succeeded", pair[1] != "failed"))
    cases = " ".join(
        f"WHEN {quoted_text(vendor_status.upper())} THEN {quoted_text(status)}"
        for vendor_status, status in common
    )
    return f"CASE upper({column}) {cases} ELSE 'unknown' END"


def _name(dataset: ShownDataset, table: Table) -> str:
    name = quoted_name(dataset.name, table.name)
    later = ", ".join(
        f"CAST(NULL AS {sql_type(column.type)}) AS {column.name}"
        for column in LATER_COLUMNS
        if (table.name, column.name) in dataset.lacking and column in table.columns
    )
    if later:
        name = f"(SELECT stored.*, {later} FROM {name} AS stored)"
    if not dataset.since or table.partition is None:
        return name
    # Within, beside the table itself: there the warehouse prunes under any join around it.
    since = f"{table.partition} >= TIMESTAMPTZ '{dataset.since}' OR {table.partition} IS NULL"
    return f"(SELECT * FROM {name} WHERE {since})"
