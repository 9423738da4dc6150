"""The registry: which dataset of a warehouse holds which account, so that views show all, whichever run makes them.

A configuration names its own accounts only. Each sync adds accounts that the registry lacks; datasets that an earlier
version made are found by their tables, and their accounts by the names of dlt's pipelines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .. import systems
from ..core.calendars import Calendar
from ..core.columns import text, timestamp
from ..core.dataset_names import LANES
from ..core.errors import WarehouseUnavailable
from ..core.models import Table
from ..settings_accounts import Account
from ..systems.protocol import System
from ..warehouse import common_tables
from ..warehouse.sql_text import BIGQUERY, DUCKDB, POSTGRES, quoted_name, quoted_text
from ..warehouse.user_map import USER_MAP, UserMap
from .access import ViewAccess, schema_statement, stored_columns
from .dialects import DATASET
from .relations import of_name, shown_columns
from .user_map import StoredUserMap, configured_map

CATALOGUE = "questions"
"""The view that lists all views; created last, so that its fingerprint covers all of them."""
REGISTRY = Table(
    "accounts",
    "The accounts whose tables are in this warehouse: one row per dataset. Each sync enters its own.",
    ("dataset",),
    (
        text("dataset", "The dataset with the account's tables."),
        text("system", "The system, such as paragon."),
        text("instance", "The account's --instance; empty for the first account of a configuration."),
        timestamp("registered_at", "When a run entered it."),
        text("timezone", "The zone of its days, weeks and months in the views (setting timezone)."),
        text("week_start", "The day with which its weeks begin in the views (setting week_start)."),
        text("user_map", "A hash of its rows in the table user_map (setting user_map); empty without any."),
    ),
)
_CALENDAR_COLUMNS = ("timezone", "week_start")
_LATER_COLUMNS = (*_CALENDAR_COLUMNS, "user_map")
"""The columns that a registry of an earlier version lacks."""
LOCK = "SELECT pg_advisory_xact_lock(7417236480125117)"
"""In Postgres two runs that make the same schema, table or view at once fail: they take turns, each in a transaction."""
_PIPELINE = re.compile(
    rf"task_history_({'|'.join(systems.names())})(?:_(.+?))?(?:_(?:{'|'.join(LANES)})(?:_\d+)?)?"
)
_LOADS, _STATE = "_dlt_loads", "_dlt_pipeline_state"
_OWN_TABLES = {_LOADS, common_tables.SYNC_RUNS.name, common_tables.COVERAGE.name}
"""Tables by which a dataset is known as one of this connector."""


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """A row of the registry."""

    system: str
    instance: str
    calendar: Calendar = Calendar()  # noqa: RUF009 - frozen
    user_map: str = ""
    """A hash of its rows in the table ``user_map``."""

    def is_of(self, other: RegistryRow | None) -> bool:
        """Whether both are of one account."""
        return other is not None and (self.system, self.instance) == (other.system, other.instance)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a warehouse holds."""

    columns: list[tuple[str, str, str]]
    """Names of dataset, table and column."""
    owners: dict[str, Account]
    """The accounts by dataset, each with an instance of its own within its system."""
    entered: dict[str, RegistryRow]
    """The rows by dataset as the registry has them."""
    due: dict[str, RegistryRow]
    """The rows by dataset as the registry should have them."""
    maps: dict[str, UserMap]
    """What ``user_map`` says, by dataset, of accounts that this configuration loads."""
    lacks_columns: bool
    """Whether the registry is of an earlier version."""
    fingerprint: str | None
    """The fingerprint of the views; None while there are none."""

    @property
    def views(self) -> set[str]:
        """The tables and views in the dataset of the views."""
        return {table for dataset, table, _ in self.columns if dataset == DATASET}


def holdings(access: ViewAccess, *, is_thorough: bool = False, asks_users: bool = False) -> Holdings:
    """What the warehouse holds; ``is_thorough`` also looks for BigQuery's datasets that the registry should have.

    ``asks_users`` runs queries that are the setting ``user_map``.

    Raises:
        WarehouseUnavailable: it does not answer.
    """
    configured = dict(access.owners or {name: Account(systems.find(name), None) for name in systems.names()})
    if access.dialect == BIGQUERY:
        there = access.tables(DATASET) or ()
        entered, lacks_columns, fingerprint = _entered(access, there)
        names = _datasets(access, configured, entered, searches=is_thorough or REGISTRY.name not in there)
        columns = stored_columns(access, names)
    else:
        columns = stored_columns(access)
        entered, lacks_columns, fingerprint = _entered(
            access, {table for dataset, table, _ in columns if dataset == DATASET}
        )
    existing: dict[str, dict[str, set[str]]] = {}
    for dataset, table, column in columns:
        existing.setdefault(dataset, {}).setdefault(table, set()).add(column)
    due: dict[str, RegistryRow] = {}
    for name, own in entered.items():
        if own.system not in systems.names():
            # Entered by a later version.
            due |= {name: own} if name in existing else {}
        elif systems.find(own.system).executions.name in existing.get(name, ()):
            due[name] = own
    for name in sorted(existing.keys() - due.keys() - {DATASET}):
        if _LOADS in existing[name] and (account := _account(access, name, existing[name], configured)):
            due[name] = RegistryRow(account.system.name, account.instance or "")
    maps = _set(due, configured, access if asks_users else None)
    return Holdings(columns, {**configured, **_distinct(due)}, entered, due, maps, lacks_columns, fingerprint)


def _set(
    due: dict[str, RegistryRow], configured: Mapping[str, Account], access: ViewAccess | None
) -> dict[str, UserMap]:
    """Sets what settings say of the accounts in their rows, and returns what each ``user_map`` says."""
    maps: dict[str, UserMap] = {}
    for name, account in configured.items():
        # One that this configuration does not load keeps what the one that does has set.
        if name in due and account.calendar is not None:
            due[name] = replace(due[name], calendar=account.calendar)
            if (stated := configured_map(account, access)) is not None:
                maps[name] = stated
                due[name] = replace(due[name], user_map=stated.content_hash)
    return maps


def registration(access: ViewAccess, held: Holdings, *, has_schema: bool) -> list[str]:
    """The statements, some of them several at once, that bring the registry up to date; none where it is."""
    gone = [name for name, own in held.entered.items() if not own.is_of(held.due.get(name))]
    new = {name: own for name, own in held.due.items() if not own.is_of(held.entered.get(name))}
    moved = {name: own for name, own in held.due.items() if name not in new and own != held.entered[name]}
    is_there = REGISTRY.name in held.views
    if not gone and not new and not moved and not held.lacks_columns and is_there:
        return []
    stored = StoredUserMap(access, held.columns)
    users = [
        *stored.deleted(name for name in gone if held.entered[name].user_map),
        *(
            statement
            for name, own in held.due.items()
            if own.user_map != (held.entered[name].user_map if name in held.entered else "")
            for statement in stored.replaced(name, own.system, held.maps.get(name, UserMap()))
        ),
    ]
    if users and access.dialect == BIGQUERY:
        # Its statements have a greatest length. The hash is entered last: a run that was killed is made up for.
        before = _statements(access, stored.made(), has_schema=has_schema)
        return [";\n".join(before), *users, ";\n".join(_changes(access, held, gone, new, moved))]
    changes = [*(stored.made() if users else ()), *users, *_changes(access, held, gone, new, moved)]
    return [";\n".join(_statements(access, changes, has_schema=has_schema))]


def _changes(
    access: ViewAccess,
    held: Holdings,
    gone: Collection[str],
    new: Mapping[str, RegistryRow],
    moved: Mapping[str, RegistryRow],
) -> Iterator[str]:
    if REGISTRY.name in held.views and held.lacks_columns:
        yield from _added_columns(access)
    yield from _rows(access, gone, new, moved)


def _statements(access: ViewAccess, changes: Iterable[str], *, has_schema: bool) -> Iterator[str]:
    dialect = access.dialect
    name = access.view_name(REGISTRY.name)
    if dialect != BIGQUERY:
        # What is sent at once is one transaction in Postgres.
        yield "BEGIN" if dialect == DUCKDB else LOCK
    if not has_schema:
        yield schema_statement(dialect, access.project)
    yield f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(_columns_of_registry(dialect))})"
    if dialect != BIGQUERY:
        yield f"COMMENT ON TABLE {name} IS {quoted_text(REGISTRY.description)}"
    yield from changes
    if dialect != BIGQUERY:
        for column in REGISTRY.columns:
            yield f"COMMENT ON COLUMN {name}.{quoted_name(column.name)} IS {quoted_text(column.description)}"
    if dialect == DUCKDB:
        yield "COMMIT"


def _added_columns(access: ViewAccess) -> Iterator[str]:
    names = [column.name for column in REGISTRY.columns]
    for name, column in zip(names, _columns_of_registry(access.dialect), strict=True):
        if name in _LATER_COLUMNS:
            yield f"ALTER TABLE {access.view_name(REGISTRY.name)} ADD COLUMN IF NOT EXISTS {column}"


def _rows(
    access: ViewAccess,
    gone: Collection[str],
    new: Mapping[str, RegistryRow],
    moved: Mapping[str, RegistryRow],
) -> Iterator[str]:
    """The statements that delete, insert and update rows."""
    dialect = access.dialect
    name = access.view_name(REGISTRY.name)

    def literal(value: str) -> str:
        return quoted_text(value, dialect)

    if gone:
        yield f"DELETE FROM {name} WHERE dataset IN ({', '.join(map(literal, gone))})"
    if new:
        rows = " UNION ALL ".join(
            f"SELECT {literal(dataset)} AS dataset, {literal(own.system)} AS system, "
            f"{literal(own.instance)} AS instance, {literal(own.calendar.timezone)} AS timezone, "
            f"{literal(own.calendar.week_start)} AS week_start, {literal(own.user_map)} AS user_map"
            for dataset, own in new.items()
        )
        columns = "dataset, system, instance, registered_at, timezone, week_start, user_map"
        if dialect == BIGQUERY:
            # Of two that run at once BigQuery repeats one, and it finds the rows of the other.
            yield (
                f"MERGE {name} AS t USING ({rows}) AS n ON t.dataset = n.dataset WHEN NOT MATCHED THEN "
                f"INSERT ({columns}) "
                "VALUES (n.dataset, n.system, n.instance, CURRENT_TIMESTAMP(), n.timezone, n.week_start, n.user_map)"
            )
        else:
            yield (
                f"INSERT INTO {name} ({columns}) SELECT n.dataset, n.system, n.instance, CURRENT_TIMESTAMP, n.timezone, "
                f"n.week_start, n.user_map FROM ({rows}) AS n WHERE n.dataset NOT IN (SELECT t.dataset FROM {name} AS t)"
            )
    for dataset, own in moved.items():
        yield (
            f"UPDATE {name} SET timezone = {literal(own.calendar.timezone)}, "
            f"week_start = {literal(own.calendar.week_start)}, user_map = {literal(own.user_map)} "
            f"WHERE dataset = {literal(dataset)}"
        )


def _columns_of_registry(dialect: str) -> Iterator[str]:
    for column in REGISTRY.columns:
        kind = {"text": "TEXT", "timestamp": "TIMESTAMPTZ"}[column.type]
        if dialect == BIGQUERY:
            kind = {"text": "STRING", "timestamp": "TIMESTAMP"}[column.type]
            kind += f" OPTIONS(description={quoted_text(column.description, dialect)})"
        is_key = dialect == POSTGRES and column.name in REGISTRY.primary_key
        yield f"{column.name} {kind}{' PRIMARY KEY' if is_key else ''}"


def _entered(access: ViewAccess, there: Collection[str]) -> tuple[dict[str, RegistryRow], bool, str | None]:
    """The rows of the registry, oldest first, whether it lacks columns, and the fingerprint of the views."""
    if REGISTRY.name not in there:
        return {}, False, None
    fingerprint = (
        f"(SELECT max(fingerprint) FROM {access.view_name(CATALOGUE)})" if CATALOGUE in there else "NULL"
    )
    # Of one that an earlier version made the columns differ.
    columns, rows = access.query(
        f"SELECT t.*, {fingerprint} AS fingerprint FROM {access.view_name(REGISTRY.name)} AS t "
        "ORDER BY t.registered_at, t.dataset"
    )
    lacks_columns = not set(columns).issuperset(_LATER_COLUMNS)
    has_users = USER_MAP.name in there
    texts = [dict(zip(columns, row, strict=True)) for row in rows]
    entered = {
        str(row["dataset"]): RegistryRow(
            str(row["system"]),
            str(row["instance"] or ""),
            _calendar(row),
            # One that was dropped is filled again.
            str(row.get("user_map") or "") if has_users else "",
        )
        for row in texts
    }
    found = next((str(row["fingerprint"]) for row in texts if row["fingerprint"] is not None), None)
    return entered, lacks_columns, found


def _calendar(row: Mapping[str, Any]) -> Calendar:
    given = {name: str(row[name]) for name in _CALENDAR_COLUMNS if row.get(name)}
    return Calendar(**given)


def _datasets(
    access: ViewAccess, configured: Mapping[str, Account], entered: Collection[str], *, searches: bool
) -> set[str]:
    """BigQuery's datasets whose columns are asked: those of the registry and of the configuration, and of the views."""
    listed = {name for name in access.datasets() if not name.endswith("_staging")}
    names = {name for name in listed if name in (DATASET, *entered) or of_name(name, configured)}
    # What this account cannot list may be there all the same: then reading it says what is missing.
    names |= {name for name in entered if name not in listed and access.tables(name) is not None}
    for name in sorted(listed - names) if searches else ():
        try:
            found = access.tables(name)
        except WarehouseUnavailable:
            continue  # another's
        if found is not None and set(found) >= _OWN_TABLES:
            names.add(name)
    return names


def _account(
    access: ViewAccess, name: str, existing: Mapping[str, set[str]], configured: Mapping[str, Account]
) -> Account | None:
    """The account of a dataset that the registry lacks; None where it is none of this connector's."""
    account = configured.get(name)
    if account is None and existing.keys() >= _OWN_TABLES and _STATE in existing:
        account = _of_pipeline(access, name)
    if account is None and (shown := of_name(name, configured)) is not None:
        account = Account(shown.system, shown.instance or None)
    if account is None and existing.keys() >= _OWN_TABLES:
        account = next(
            (Account(system, None) for system in _shown_systems() if _has_columns(system, existing)), None
        )
    return account if account and account.system.executions.name in existing else None


def _of_pipeline(access: ViewAccess, name: str) -> Account | None:
    """The account by the name of the pipeline that loaded the dataset."""
    parts = (access.project if access.dialect == BIGQUERY else None, name, _STATE)
    state = quoted_name(*filter(None, parts), dialect=access.dialect)
    _, rows = access.query(f"SELECT DISTINCT pipeline_name FROM {state} ORDER BY pipeline_name")
    for (pipeline,) in rows:
        if match := _PIPELINE.fullmatch(str(pipeline)):
            return Account(systems.find(match[1]), match[2])
    return None


def _shown_systems() -> Iterator[System]:
    yield from (system for name in systems.names() if (system := systems.find(name)).views is not None)


def _has_columns(system: System, existing: Mapping[str, set[str]]) -> bool:
    return all(column in existing.get(table, ()) for table, column in shown_columns(system))


def _distinct(due: Mapping[str, RegistryRow]) -> dict[str, Account]:
    """The accounts by dataset. Of those that two configurations name alike, all but the first are named by dataset."""
    taken: set[tuple[str, str]] = set()
    accounts = {}
    for name, row in due.items():
        if row.system not in systems.names():
            continue
        own = name if (row.system, row.instance) in taken else row.instance
        taken.add((row.system, own))
        accounts[name] = Account(
            systems.find(row.system), own or None, row.calendar, has_users=bool(row.user_map)
        )
    return accounts
