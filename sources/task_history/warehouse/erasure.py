"""What a warehouse holds of one person, and the statements that erase it.

A person is named by executions; what belongs to an execution holds its id. So executions are erased last: an erasure that
was killed finds the rest by them. Where reading is billed by volume, statements name the days that they change.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ..core.json_reading import parse
from ..core.json_writing import exact_json
from ..core.models import Row, Table
from ..systems.protocol import System
from .common_tables import COVERAGE, REJECTED_ROWS, SYNC_RUNS, WINDOW_READS, listings, of
from .dataset import utc
from .forgotten_people import execution_columns, person_in, person_text
from .sql_text import Query, SqlCondition, Statement
from .table_names import Names

_ERASED_REASON = "erased, as it named an execution of a person who was forgotten"
_ERASED_FILTER = "forgotten"
"""The value that stands for a person in the filters of a run."""
_DAY = timedelta(days=1)
_KEYS_PER_STATEMENT = 100


class Erasure:
    """What the dataset holds of one person; ``person`` are the texts by which rows name them.

    Raises, from every method: WarehouseUnavailable.
    """

    def __init__(self, query: Query, names: Names, system: System, person: Sequence[str]) -> None:
        self._query = query
        self._name = names
        self._system = system
        self._person = tuple(person)
        self._tables = {table.name: table for table in of(system)}
        self._execution_columns = execution_columns(system)
        self._days_of_starts: dict[str, str] = {}

    def executions(self) -> dict[str, dict[str, datetime | None]]:
        """The starts of the person's executions, by table and id; of those that are not stored, none is known."""
        found: dict[str, dict[str, datetime | None]] = {}
        for one in self._lists():
            of_person = self._of_person(one, self._name)
            sql = f"SELECT e.id, e.{one.started_column} FROM {self._name(one.executions.name)} AS e WHERE {of_person.sql}"
            found[one.executions.name] = {str(key): utc(at) for key, at in self._rows(sql, *of_person.values)}
        for one, column, linked in self._links():
            sql = f"SELECT e.{column} FROM {self._name(one.executions.name)} AS e WHERE {{}} AND e.{column} IS NOT NULL"
            for (key,) in self._rows(sql.format(self._named(one)), *self._person):
                found[linked].setdefault(str(key), None)
        return found

    def counts(self) -> dict[str, int]:
        """Numbers of the person's rows, by table, without tables that have none."""
        counts = {}
        for table in self._tables.values():
            if (condition := self._condition(table)) is not None:
                ((number,),) = self._rows(
                    f"SELECT count(*) FROM {self._name(table.name)} AS e WHERE {condition.sql}",
                    *condition.values,
                )
                counts[table.name] = int(number)
        counts[REJECTED_ROWS.name] = len(self._rejected())
        filters = self._filters(COVERAGE)
        counts[COVERAGE.name] = self._count_of(COVERAGE, filters)
        if filters | self._filters(SYNC_RUNS):
            counts[WINDOW_READS.name] = self._count_of(WINDOW_READS, self._filters(WINDOW_READS))
        return {name: number for name, number in counts.items() if number}

    def deletions(self) -> Iterator[Statement]:
        """The statements that erase the person's rows, in order; each is made when the ones before it were run."""
        for table in (*self._dependents(), *reversed([one.executions for one in self._lists()])):
            condition = self._condition(table)
            if condition is not None and (days := self._days(table, condition)) is not None:
                sql = f"DELETE FROM {self._name(table.name)} AS e WHERE {condition.sql}{days}"
                yield sql, condition.values
        rejected = self._rejected()
        for start in range(0, len(rejected), _KEYS_PER_STATEMENT):
            keys = rejected[start : start + _KEYS_PER_STATEMENT]
            yield (
                f"DELETE FROM {self._name(REJECTED_ROWS.name)} WHERE rejected_id IN ({_marks(keys)})",
                tuple(keys),
            )

    def notes(self, ids: Collection[str], now: str) -> Iterator[Statement]:
        """The statements that take the person and these ids of executions out of the records of runs.

        ``now`` is the instant of writing as an SQL expression.
        """
        runs = self._name(SYNC_RUNS.name)
        named = self._filters(COVERAGE) | self._filters(SYNC_RUNS)
        for filters in sorted(named):
            for table in (COVERAGE, WINDOW_READS, REJECTED_ROWS):
                yield f"DELETE FROM {self._name(table.name)} WHERE filters = %s", (filters,)
            sql = f"UPDATE {runs} SET filters = %s, loaded_at = {now} WHERE filters = %s"
            yield sql, (self._without_person(filters), filters)
        rows = self._rows(f"SELECT run_id, reason FROM {runs} AS r WHERE reason IS NOT NULL")
        names = _any_of([*ids, *self._person])
        for run_id, reason in rows:
            if names(str(reason)):
                sql = f"UPDATE {runs} SET reason = %s, loaded_at = {now} WHERE run_id = %s"
                yield sql, (_ERASED_REASON, run_id)

    def staged(self, staging: Callable[[str], str]) -> Iterator[tuple[str, Statement]]:
        """The statements, with their tables, that erase the person's rows in a staging dataset.

        ``staging`` gives the qualified name of a table there.
        """
        for table in (*self._dependents(), *reversed([one.executions for one in self._lists()])):
            stored, staged = self._condition(table), self._condition(table, Names(staging))
            if stored is not None and staged is not None:
                sql = f"DELETE FROM {staging(table.name)} AS e WHERE ({stored.sql}) OR ({staged.sql})"
                yield table.name, (sql, (*stored.values, *staged.values))
        for table in (REJECTED_ROWS, COVERAGE, WINDOW_READS, SYNC_RUNS):
            # A copy of rows that are stored.
            yield table.name, (f"DELETE FROM {staging(table.name)} WHERE TRUE", ())

    # Whose rows are which

    def _lists(self) -> list[System]:
        """The lists whose executions name people, before those that they link to."""
        return [one for one in listings(self._system) if one.person is not None]

    def _links(self) -> Iterator[tuple[System, str, str]]:
        for one in self._lists():
            for column, linked in (one.person.linked if one.person else {}).items():
                yield one, column, linked

    def _dependents(self) -> list[Table]:
        return [self._tables[name] for name in self._execution_columns]

    def _named(self, one: System) -> str:
        assert one.person is not None  # noqa: S101 - of ``_lists`` only
        return f"e.{one.person.column} IN ({_marks(self._person)})"

    def _of_person(self, one: System, names: Names) -> SqlCondition:
        """The condition on executions of one list, ``e``, that they are of the person."""
        parts, values = [self._named(one)], [*self._person]
        for other, column, linked in self._links():
            if linked == one.executions.name:
                sql = f"SELECT e.{column} FROM {names(other.executions.name)} AS e WHERE {self._named(other)}"
                parts.append(f"e.id IN ({sql} AND e.{column} IS NOT NULL)")
                values += self._person
        return SqlCondition(f"({' OR '.join(parts)})", tuple(values))

    def _ids(self, names: Names) -> SqlCondition:
        """The query for the ids of all executions of the person."""
        parts: list[str] = []
        values: list[object] = []
        for one in self._lists():
            named = self._named(one) + self._start_days(one)
            table = names(one.executions.name)
            parts.append(f"SELECT e.id FROM {table} AS e WHERE {named}")
            values += self._person
            for column in one.person.linked if one.person else ():
                parts.append(f"SELECT e.{column} FROM {table} AS e WHERE {named} AND e.{column} IS NOT NULL")
                values += self._person
        return SqlCondition(" UNION ALL ".join(parts), tuple(values))

    def _start_days(self, one: System) -> str:
        """The further condition on the person's executions of a list that names their days, where reading is billed."""
        if one.executions.name not in self._days_of_starts:
            days = self._days(one.executions, SqlCondition(self._named(one), self._person))
            self._days_of_starts[one.executions.name] = " AND FALSE" if days is None else days
        return self._days_of_starts[one.executions.name]

    def _condition(self, table: Table, names: Names | None = None) -> SqlCondition | None:
        """The condition on rows of the table, ``e``, that they are of the person; None where none can be."""
        names = names or self._name
        for one in self._lists():
            if one.executions.name == table.name:
                return self._of_person(one, names)
        columns = self._execution_columns.get(table.name, ())
        if not columns:
            return None
        ids = self._ids(names)
        sql = " OR ".join(f"e.{column.name} IN ({ids.sql})" for column in columns)
        return SqlCondition(f"({sql})", ids.values * len(columns))

    def _days(self, table: Table, condition: SqlCondition) -> str | None:
        """The further condition that names the days of the rows, where reading is billed; None where there are none."""
        literal = self._name.literal
        if literal is None or table.partition is None:
            return ""
        day = f"e.{table.partition}"
        rows = self._rows(
            f"SELECT DISTINCT TIMESTAMP_TRUNC({day}, DAY) FROM {self._name(table.name)} AS e WHERE {condition.sql}",
            *condition.values,
        )
        days = sorted(at.astimezone(UTC) for (at,) in rows if at is not None)
        parts = [f"{day} >= {literal(at)} AND {day} < {literal(at + _DAY)}" for at in days]
        parts += [f"{day} IS NULL"] if any(at is None for (at,) in rows) else []
        return f" AND ({' OR '.join(parts)})" if parts else None

    # What is found by its text

    def _rejected(self) -> list[str]:
        """The ``rejected_id`` of rows without a usable id that name the person."""
        found = []
        for text in self._person:
            rows = self._rows(
                f"SELECT rejected_id, table_name, value FROM {self._name(REJECTED_ROWS.name)} AS r "
                "WHERE replace(value, %s, '') <> value",
                exact_json(text)[1:-1],
            )
            found += [str(key) for key, table, value in rows if self._is_of(str(table), str(value), text)]
        return found

    def _is_of(self, table: str, value: str, text: str) -> bool:
        system = next((one for one in self._lists() if one.executions.name == table), None)
        try:
            row: Row = parse(value.encode())
        except ValueError:
            # It was cut: then any mention of the person counts.
            return exact_json(text) in value
        return system is not None and isinstance(row, dict) and person_text(person_in(system, row)) == text

    def _filters(self, table: Table) -> set[str]:
        """The filters in the table that name the person."""
        rows = self._rows(f"SELECT DISTINCT filters FROM {self._name(table.name)} AS f WHERE filters <> ''")
        wanted = self._filter_parts().keys()
        return {str(filters) for (filters,) in rows if wanted & set(str(filters).split("&"))}

    def _filter_parts(self) -> dict[str, str]:
        """The filters that name the person, as coverage writes them, with what stands in their place afterwards."""
        return {
            f"{filter_.name}={quote(text, safe='')}": f"{filter_.name}={_ERASED_FILTER}"
            for one in self._lists()
            for filter_ in one.listing.filters
            if one.person is not None and filter_.column == one.person.column
            for text in self._person
        }

    def _without_person(self, filters: str) -> str:
        parts = self._filter_parts()
        return "&".join(parts.get(part, part) for part in filters.split("&"))

    def _count_of(self, table: Table, filters: Collection[str]) -> int:
        if not filters:
            return 0
        sql = f"SELECT count(*) FROM {self._name(table.name)} AS f WHERE filters IN ({_marks(filters)})"
        ((number,),) = self._rows(sql, *sorted(filters))
        return int(number)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._query(sql, *values)[1]


class ErasureById(Erasure):
    """What the dataset holds of executions with these ids, of any list."""

    def __init__(self, query: Query, names: Names, system: System, ids: Sequence[str]) -> None:
        super().__init__(query, names, system, ())
        self._of_ids = SqlCondition(_marks(ids), tuple(ids))

    def _of_person(self, one: System, names: Names) -> SqlCondition:  # noqa: ARG002 - of any list
        return SqlCondition(f"e.id IN ({self._of_ids.sql})", self._of_ids.values)

    def _ids(self, names: Names) -> SqlCondition:  # noqa: ARG002
        return self._of_ids


def _marks(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _any_of(names: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text holds any of the names as a whole word."""
    words: dict[str, list[str]] = defaultdict(list)
    for name in filter(None, names):
        first = re.search(r"\w+", name)
        words[first[0] if first else ""].append(name)

    def holds(text: str) -> bool:
        present = {*re.findall(r"\w+", text), ""}
        return any(
            re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
            for word in present & words.keys()
            for name in words[word]
        )

    return holds
