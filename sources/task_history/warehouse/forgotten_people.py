"""The executions that are left out of the warehouse because their person was forgotten.

Neither a person's id nor an execution's is kept of them, only keyed hashes. Their number in each window is known, so that
counts of the vendor's agree with what is stored and what is left out.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from threading import Lock

from ..core.columns import LOADED_AT, text, timestamp
from ..core.escapes import without_nul
from ..core.json_reading import parse
from ..core.json_writing import exact_json
from ..core.keyed_hash import KeyedHash
from ..core.models import Column, Json, Row, Table, Window
from ..systems.protocol import System
from .common_tables import LEFT_OUT, REJECTED_ROWS, listings, of
from .coverage import LIST, list_of
from .dataset import utc
from .sql_text import Query

FORGOTTEN = Table(
    "forgotten_people",
    "One row per person that was forgotten. It is made with the first of them: without it no person was forgotten.",
    ("person_hash",),
    (
        text("person_hash", "A keyed hash of the person's id."),
        text("hash_key", "The key of the hash, random, the same in all rows."),
        timestamp("forgotten_at", "When the person was forgotten."),
        text("erasure_id", "The person's erasure (erasures.erasure_id)."),
        LOADED_AT,
    ),
)
_EXECUTION_COLUMNS = ("workflow_execution_id", "execution_id", "new_execution_id")
_MAX_CACHED = 100_000
"""Maximum people of whom it is remembered whether they were forgotten."""


def execution_columns(system: System) -> dict[str, tuple[Column, ...]]:
    """The columns that refer to an execution by its id, by table, without the tables of executions themselves."""
    logs = {one.details.log.name for one in listings(system)}
    lists = {one.executions.name for one in listings(system)}
    columns = {
        table.name: tuple(
            column
            for column in table.columns
            if column.name in _EXECUTION_COLUMNS or (table.name in logs and column.name == "id")
        )
        for table in of(system)
        if table.name not in lists
    }
    return {name: found for name, found in columns.items() if found}


def new_key() -> str:
    """A new random key for hashes."""
    return secrets.token_hex(32)


class Hashes:
    """The hashes of people and executions by one key."""

    def __init__(self, key: str) -> None:
        self._hash = KeyedHash(key)

    def person(self, identity: str) -> str:
        """The hash of a person's id."""
        return self._hash.of(f"person {identity}")

    def execution(self, identity: str) -> str:
        """The hash of an execution's id."""
        return self._hash.of(f"execution {identity}")


class LeftOut:
    """The executions of forgotten people, as the warehouse and the vendor's answers show them.

    ``people`` are hashes with their keys, ``executions`` hashes with their table and start. Threads may share it.
    """

    def __init__(
        self,
        system: System,
        people: Iterable[tuple[str, str]],
        executions: Iterable[tuple[str, str, datetime | None]] = (),
    ) -> None:
        people = list(people)
        self._people = {person for person, _ in people}
        self._hashes = [Hashes(key) for key in sorted({key for _, key in people})]
        self._systems = {one.executions.name: one for one in listings(system)}
        self._execution_columns = execution_columns(system)
        self._known: dict[tuple[str, str], datetime | None] = {}
        self._ids: set[str] = set()
        self._starts: dict[str, list[datetime]] = defaultdict(list)
        self._seen: dict[str, dict[str, datetime | None]] = defaultdict(dict)
        """Starts by id of the left-out executions that answers showed to this run, by table."""
        self._unwritten: dict[tuple[str, str], datetime | None] = {}
        self.new_ids: dict[str, set[str]] = defaultdict(set)
        """Ids of the left-out executions that no run has noted before this one, by table."""
        self._is_forgotten: dict[str, bool] = {}
        self._lock = Lock()
        for execution, table, start in executions:
            self._add((table, execution), start)
        for starts in self._starts.values():
            starts.sort()

    def _add(self, key: tuple[str, str], start: datetime | None) -> None:
        self._known[key] = start
        self._ids.add(key[1])
        if start is not None:
            self._starts[key[0]].append(start)

    def is_forgotten(self, person: Json) -> bool:
        """Whether that is the id of a person who was forgotten."""
        if person is None or person == "":
            return False
        identity = person_text(person)
        found = self._is_forgotten.get(identity)
        if found is None:
            found = any(one.person(identity) in self._people for one in self._hashes)
            if len(self._is_forgotten) < _MAX_CACHED:
                self._is_forgotten[identity] = found
        return found

    def has(self, table: str, row: Row) -> bool:
        """Whether an execution, a row of the vendor's for that table, is left out."""
        system = self._systems[table]
        identity = system.identity(row)
        return (
            identity in self._seen[table]
            or self.is_forgotten(person_in(system, row))
            or self.has_id(identity)
        )

    def has_id(self, identity: str) -> bool:
        """Whether an execution with that id was seen to be left out."""
        return bool(self._ids) and any(one.execution(identity) in self._ids for one in self._hashes)

    def has_any(self, table: str, values: Callable[[str], Iterable[Json]]) -> bool:
        """Whether any of some executions names a forgotten person; ``values`` gives theirs by the vendor's key."""
        key = self.person_key(table)
        return key is not None and any(map(self.is_forgotten, values(key)))

    def person_key(self, table: str) -> str | None:
        """The vendor's key for the person in executions of that table; None where they name none."""
        system = self._systems[table]
        return None if system.person is None else _source(system.executions, system.person.column)

    def add_listed(self, table: str, rows: Iterable[Row]) -> None:
        """Adds those of the vendor's rows for that table that are of forgotten people."""
        system = self._systems[table]
        for row in rows:
            if self.has(table, row):
                with self._lock:
                    self._note(table, system.identity(row), system.started_at(row))
                    for column, linked in (system.person.linked if system.person else {}).items():
                        if (identity := _value(system.executions, column, row)) not in (None, ""):
                            self._note(linked, str(identity), None, is_seen=False)

    def add_stored(self, table: str, identity: str, start: datetime | None) -> None:
        """Adds an execution that is stored, by its id."""
        with self._lock:
            self._note(table, identity, start, is_seen=False)

    def _note(self, table: str, identity: str, start: datetime | None, *, is_seen: bool = True) -> None:
        if is_seen:
            self._seen[table][identity] = start
        keys = [(table, one.execution(identity)) for one in self._hashes]
        key = next((key for key in keys if key in self._known), None)
        if key is None:
            self.new_ids[table].add(identity)
        elif start is None or self._known[key] == start:
            return
        else:
            before = self._known[key]
            if before is not None:
                self._starts[table].remove(before)
        key = key or keys[0]
        self._known[key] = self._unwritten[key] = start
        self._ids.add(key[1])
        if start is not None:
            insort(self._starts[table], start)

    def without_forgotten(self, rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
        """Rows to write, by table, without those of forgotten people; executions among them are noted."""
        kept = {}
        for table, of_table in rows.items():
            if table in self._systems:
                self.add_listed(table, of_table)
                kept[table] = [row for row in of_table if not self.has(table, row)]
            elif table == REJECTED_ROWS.name:
                kept[table] = [row for row in of_table if not self._is_rejected_left_out(row)]
            else:
                columns = self._execution_columns.get(table, ())
                kept[table] = [row for row in of_table if not self._names_execution(columns, row)]
        return kept

    def _names_execution(self, columns: Iterable[Column], row: Row) -> bool:
        values = (row.get(column.source or column.name, row.get(column.name)) for column in columns)
        return any(self.has_id(str(value)) for value in values if value not in (None, ""))

    def _is_rejected_left_out(self, row: Row) -> bool:
        system = self._systems.get(str(row["table_name"]))
        try:
            value = parse(str(row["value"]).encode())
        except ValueError:
            return False
        return system is not None and isinstance(value, dict) and self.is_forgotten(person_in(system, value))

    def new_rows(self, now: datetime) -> list[Row]:
        """The rows of ``left_out_executions`` that are to be written; each is returned once."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        return [
            {
                "execution_hash": execution,
                "table_name": table,
                "execution_started_at": start,
                "left_out_at": now,
            }
            for (table, execution), start in unwritten.items()
        ]

    # Numbers and ids, as counts and audits need them

    def count(self, table: str, window: Window) -> int:
        """Number of executions that began in the window and are left out of the table."""
        starts = self._starts[table]
        return bisect_left(starts, window.end) - bisect_left(starts, window.start)

    def count_on_day(self, table: str, day: datetime) -> int | None:
        """Number of executions that began on the day after this midnight and are left out of the table; None for none."""
        return self.count(table, Window(day, day + timedelta(days=1))) or None

    def with_counts(self, coverage: Iterable[Row]) -> list[Row]:
        """Rows of ``coverage`` with how many executions of their days are left out."""
        first = next(iter(self._systems))
        return [
            {**row, "left_out": self.count_on_day(list_of(row["filters"]) or first, row["day"])}
            if is_whole(row["filters"])
            else row
            for row in coverage
        ]

    def newest_start(self, table: str) -> datetime | None:
        """Start of the newest execution that is left out of the table; None without any."""
        return self._starts[table][-1] if self._starts[table] else None

    def seen_ids(self, table: str, window: Window | None = None) -> set[str]:
        """Ids of the left-out executions that answers showed to this run, of a window if it is given."""
        with self._lock:
            seen = self._seen[table].items()
            return {key for key, start in seen if window is None or (start is not None and start in window)}


def read_left_out(query: Query, qualified: Callable[[str], str], system: System) -> LeftOut | None:
    """What is left out of a dataset that has the table of forgotten people; None where that table is empty."""
    people = query(f"SELECT person_hash, hash_key FROM {qualified(FORGOTTEN.name)} AS f")[1]
    if not people:
        return None
    executions = query(
        f"SELECT execution_hash, table_name, execution_started_at FROM {qualified(LEFT_OUT.name)} AS l"
    )[1]
    return LeftOut(
        system,
        [(str(person), str(key)) for person, key in people],
        [(str(execution), str(table), utc(start)) for execution, table, start in executions],
    )


def person_in(system: System, row: Mapping[str, Json]) -> Json:
    """The person whom an execution, a row of the vendor's, names; None where it names none."""
    return _value(system.executions, system.person.column, row) if system.person else None


def person_text(person: Json) -> str:
    """The person as the column of text that names them holds it: a text as it is, anything else as JSON."""
    return without_nul(person if isinstance(person, str) else exact_json(person))


def _value(table: Table, name: str, row: Mapping[str, Json]) -> Json:
    return row.get(_source(table, name), row.get(name))


@cache
def _source(table: Table, name: str) -> str:
    """The vendor's key for a column."""
    return next((column.source for column in table.columns if column.name == name), None) or name


def is_whole(filters: str) -> bool:
    """Whether coverage under these filters is that of a whole list."""
    return all(part.startswith(f"{LIST}=") for part in filters.split("&") if part)
