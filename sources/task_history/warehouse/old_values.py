"""Values that were stored before a rule of ``exclude_columns`` or ``hash_columns`` was set: how many, and their removal.

An excluded column becomes NULL. Texts of a hashed column are hashed; numbers, dates and the like, which cannot hold a
hash, become NULL. Fields within JSON text (``other_fields``, ``rejected_rows.value``) and filters of runs
(``user=…``) are treated alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

from ..core.columns import LOADED_AT
from ..core.json_reading import parse
from ..core.json_writing import exact_json
from ..core.keyed_hash import PREFIX
from ..core.models import OTHER_FIELDS
from ..systems.protocol import System
from .column_rules import Action, ColumnRule, ColumnRules, TableRules
from .common_tables import COVERAGE, REJECTED_ROWS, SYNC_RUNS, VENDOR_FIELDS, WINDOW_READS
from .coverage import filters_text
from .sql_text import Query, SqlCondition, Statement

Types = Callable[[str], Mapping[str, str]]
"""Returns the dlt types of a table's stored columns, by column name."""
_VALUES_PER_STATEMENT = 500
_EXCLUDED = "excluded"
"""The value of a filter by an excluded column."""


class OldValues:
    """The stored values of one dataset to which ``rules`` were not applied; ``text_type`` is SQL's type of a text.

    Raises, from every method: WarehouseUnavailable.
    """

    def __init__(
        self,
        query: Query,
        name: Callable[[str], str],
        system: System,
        rules: ColumnRules,
        types: Types,
        *,
        text_type: str,
    ) -> None:
        self._query = query
        self._name = name
        self._system = system
        self._rules = rules
        self._types = types
        self._text_type = text_type
        self._stored = [(table, column) for table in rules.by_table for column in types(table)]
        self._fields = self._read_fields()
        self._ruled = rules.ruled(self._stored, self._fields)

    def unmatched(self) -> list[ColumnRule]:
        """The rules about no documented and no stored column, see ``ColumnRules.unmatched``."""
        return self._rules.unmatched(self._stored, self._fields)

    def is_about(self, rule: ColumnRule, table: str, column: str) -> bool:
        """Whether the rule means the stored column, by its name or by the vendor's key of its field."""
        return rule.is_about(table, column) or rule.is_about(table, self._fields.get((table, column), column))

    def _read_fields(self) -> dict[tuple[str, str], str]:
        """The vendor's keys of undocumented fields, by table and column; none where no run has noted them yet."""
        if "field" not in self._types(VENDOR_FIELDS.name):
            return {}
        sql = f"SELECT table_name, column_name, field FROM {self._name(VENDOR_FIELDS.name)} AS f"
        return {
            (str(table), str(column)): json.loads(f'"{field}"')
            for table, column, field in self._query(sql)[1]
        }

    def counts(self) -> dict[str, int]:
        """Their number by ``table.column``, for columns that have any; one query per table."""
        counts: dict[str, int] = {}
        for table, columns in self._ruled.items():
            conditions = [self._is_old(column, action) for column, action in columns.items()]
            sums = ", ".join(f"sum(CASE WHEN {one.sql} THEN 1 ELSE 0 END)" for one in conditions)
            values = [value for one in conditions for value in one.values]
            numbers = self._query(f"SELECT {sums} FROM {self._name(table)} AS t", *values)[1][0]
            counts |= {f"{table}.{name}": int(n) for name, n in zip(columns, numbers, strict=True) if n}
        return counts

    def _is_old(self, column: str, action: Action) -> SqlCondition:
        """The SQL condition that a column has such a value."""
        if action == "hash":
            return SqlCondition(f"CAST({column} AS {self._text_type}) NOT LIKE %s", (f"{PREFIX}%",))
        return SqlCondition(f"{column} IS NOT NULL")

    def removal(self, *, now: str) -> Iterator[Statement]:
        """The statements that remove them; ``now`` is the present instant as an SQL expression."""
        for table, columns in self._ruled.items():
            for column, action in columns.items():
                if action == "hash" and self._types(table)[column] == "text":
                    yield from self._rewritten(table, column, self._rules.of(table).hashed, now=now)
                else:
                    yield self.clearing(table, column, now=now), ()
        for table, rules in self._rules.by_table.items():
            if rules:
                if OTHER_FIELDS in self._types(table):
                    yield from self._rewritten(table, OTHER_FIELDS, _on_json(rules), now=now)
                where = SqlCondition("table_name = %s", (table,))
                yield from self._rewritten(REJECTED_ROWS.name, "value", _on_json(rules), now=now, where=where)
        yield from self._filters(now=now)

    def clearing(self, table: str, column: str, *, now: str) -> str:
        """The statement that sets a column to NULL."""
        loaded = f", {LOADED_AT.name} = {now}" if LOADED_AT.name in self._types(table) else ""
        return f"UPDATE {self._name(table)} SET {column} = NULL{loaded} WHERE {column} IS NOT NULL"

    def _rewritten(
        self,
        table: str,
        column: str,
        new: Callable[[str], str],
        *,
        now: str,
        where: SqlCondition = SqlCondition("TRUE"),  # noqa: B008 - frozen
    ) -> Iterator[Statement]:
        """The statements that put ``new(value)`` in place of each value."""
        name = self._name(table)
        rows = self._query(
            f"SELECT DISTINCT {column} FROM {name} AS t WHERE {column} IS NOT NULL AND {where.sql}",
            *where.values,
        )[1]
        changed = [(value, made) for (value,) in rows if (made := new(value)) != value]
        for start in range(0, len(changed), _VALUES_PER_STATEMENT):
            part = changed[start : start + _VALUES_PER_STATEMENT]
            cases, marks = " ".join(["WHEN %s THEN %s"] * len(part)), ", ".join(["%s"] * len(part))
            yield (
                f"UPDATE {name} SET {column} = CASE {column} {cases} END, {LOADED_AT.name} = {now} "
                f"WHERE {column} IN ({marks}) AND {where.sql}",
                (*(text for pair in part for text in pair), *(value for value, _ in part), *where.values),
            )

    def _filters(self, *, now: str) -> Iterator[Statement]:
        """The statements about filters by ruled columns, by which runs were narrowed."""
        executions = self._rules.of(self._system.executions.name)
        actions = {
            filter_.name: action
            for filter_ in self._system.listing.filters
            if filter_.column is not None and (action := executions.action(filter_.column))
        }

        def new(filters: str) -> str:
            parts = dict(part.split("=", 1) for part in filters.split("&") if "=" in part)
            values = {name: unquote(value) for name, value in parts.items()}
            for name, action in actions.items():
                if name in values:
                    values[name] = executions.hashed(values[name]) if action == "hash" else _EXCLUDED
            return filters_text(values)

        for name, action in actions.items():
            if action == "exclude":
                # Nobody can tell whose days these were, so that they cover nothing.
                for table in (COVERAGE, WINDOW_READS):
                    yield (
                        f"DELETE FROM {self._name(table.name)} WHERE filters LIKE %s OR filters LIKE %s",
                        (f"{name}=%", f"%&{name}=%"),
                    )
        if actions:
            for table in (SYNC_RUNS, COVERAGE, WINDOW_READS):
                yield from self._rewritten(table.name, "filters", new, now=now)


def _on_json(rules: TableRules) -> Callable[[str], str]:
    """Applies rules to a JSON object as text; what is none, or is cut, stays."""

    def new(text: str) -> str:
        try:
            fields = parse(text.encode())
        except ValueError:
            return text
        if not isinstance(fields, dict) or not any(map(rules.action, fields)):
            return text
        return exact_json(rules.applied(fields))

    return new
