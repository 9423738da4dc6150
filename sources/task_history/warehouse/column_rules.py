"""Rules by which columns stay out of the warehouse or are hashed: the settings ``exclude_columns`` and ``hash_columns``.

A rule names a column, ``workflow_executions.user_id``, or one in every table, ``*.user_id``; also a vendor's field that
the vendor does not document. It holds for the vendor's key of the column too, in any capitals.

What the connector works with can be neither excluded nor hashed: the keys of rows and the ids by which tables join,
dates, statuses, and all columns and tables of its own.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Literal

from ..core.errors import ConfigurationError
from ..core.json_writing import exact_json
from ..core.keyed_hash import KeyedHash, keyed_hash
from ..core.models import OTHER_FIELDS, Column, Json, Row, Table
from ..core.naming import folded, folded_column, is_variant_column
from ..core.row_keys import stored_column
from ..settings_reader import Settings
from ..systems.protocol import System
from ..systems.table_parts import BOOKKEEPING
from . import common_tables

Action = Literal["exclude", "hash"]
ANY_TABLE = "*"
_RULE = re.compile(r"([^.\s]+)\.([^.\s]+)")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_LEFT = "?"
"""Marks what is left in ASCII of the name of a rule that has other letters: it is compared with ASCII names only."""
_MAX_CACHED_NAMES = 10_000


def _forms(name: str) -> tuple[str, str]:
    """The folded form of a name, and what warehouses leave of it, which write letters other than ASCII as ``_``."""
    form = folded(name)
    return form, _NOT_ASCII.sub("", form)


def _forms_of_rule(name: str) -> set[str]:
    """The forms that the fields have one of which the rule of that name is about."""
    form, left = _forms(name)
    return {form} if left in (form, "") else {form, left + _LEFT}


@lru_cache(_MAX_CACHED_NAMES)
def _forms_of_field(name: str) -> tuple[str, ...]:
    """The forms of a field or column: its own, that of its column, and that by which it may be of another spelling."""
    form, left = _forms(name)
    return form, folded_column(name), left + _LEFT if left == form else left


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules for one table."""

    documented: Mapping[str, Action] = field(default_factory=dict)
    """By the names of documented columns, and by the vendor's keys for them."""
    unruled: frozenset[str] = frozenset()
    """The other documented columns and their keys."""
    others: Mapping[str, Action] = field(default_factory=dict)
    """By the folded forms of all names."""
    hash: KeyedHash | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.others)

    def action(self, name: str) -> Action | None:
        """What is done with the field of that key, or the column of that name."""
        name = stored_column(name) or name
        if name in self.unruled:
            return None
        return self.documented.get(name) or next(
            filter(None, map(self.others.get, _forms_of_field(name))), None
        )

    def hashed(self, value: Json) -> Json:
        """The hash of the value's text; None stays None."""
        if value is None or self.hash is None:
            return None
        if isinstance(value, datetime | date):
            value = value.isoformat()
        return self.hash.of(value if isinstance(value, str) else exact_json(value))

    def applied(self, row: Mapping[str, Json]) -> Row:
        """The row as it may be written: without excluded fields, others hashed."""
        kept: Row = {}
        for name, value in row.items():
            action = self.action(name)
            if action is None:
                kept[name] = value
            elif action == "hash":
                kept[name] = self.hashed(value)
        return kept


NO_RULES = TableRules()


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """One rule of the settings, for one table."""

    action: Action
    table: str
    """The table's name, or ``*``."""
    column: str
    """The documented column, or the name as the setting has it."""
    is_documented: bool
    suggestion: str | None = None
    """A column that may have been meant; None for a documented one, or where none is similar."""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"

    def is_about(self, table: str, column: str) -> bool:
        """Whether the stored column is meant."""
        return self.table in (table, ANY_TABLE) and not _forms_of_rule(self.column).isdisjoint(
            _forms_of_field(column)
        )


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """All rules of an account."""

    rules: tuple[ColumnRule, ...] = ()
    by_table: Mapping[str, TableRules] = field(default_factory=dict)
    hash: KeyedHash | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def of(self, table: str) -> TableRules:
        """The rules for the table."""
        return self.by_table.get(table, NO_RULES)

    def recorded(self, system: System, filters: Mapping[str, str]) -> dict[str, str]:
        """The filters of a run as they may be written: a value of a hashed column is hashed."""
        rules = self.of(system.executions.name)
        columns = {filter_.name: filter_.column for filter_ in system.listing.filters}
        return {
            name: rules.hashed(value) if rules.action(columns.get(name) or "") == "hash" else value
            for name, value in filters.items()
        }

    def ruled(
        self, stored: Iterable[tuple[str, str]], fields: Mapping[tuple[str, str], str] | None = None
    ) -> dict[str, dict[str, Action]]:
        """The stored columns, given as table and column, that a rule is about: what is done with them, by table.

        ``fields`` are the vendor's keys of undocumented fields by their columns, whose names may be quite different.
        """
        found: dict[str, dict[str, Action]] = {}
        for table, column in sorted(stored):
            of, field_ = self.of(table), (fields or {}).get((table, column))
            action = of.action(column) or (of.action(field_) if field_ is not None else None)
            if action is not None:
                found.setdefault(table, {})[column] = action
        return found

    def unmatched(
        self, stored: Iterable[tuple[str, str]], fields: Mapping[tuple[str, str], str] | None = None
    ) -> list[ColumnRule]:
        """The rules about no documented and no stored column: the name may be wrong, or its field still to come.

        ``fields`` as in ``ruled``.
        """
        ruled = self.ruled(stored, fields)
        return [
            rule
            for rule in self.rules
            if not rule.is_documented
            and not any(
                rule.is_about(table, name)
                for table, columns in ruled.items()
                for column in columns
                for name in (column, (fields or {}).get((table, column), column))
            )
        ]

    @property
    def text(self) -> str | None:
        """The rules as JSON text, with the id of the key; None without any."""
        if not self.rules:
            return None
        lists = {
            f"{action}_columns": sorted({str(rule) for rule in self.rules if rule.action == action})
            for action in ("exclude", "hash")
        }
        return json.dumps({**lists, "key_id": self.hash.key_id if self.hash else None})


def column_rules(settings: Settings) -> ColumnRules:
    """The rules of the settings.

    Raises ConfigurationError: a table does not exist, a column cannot be excluded or hashed, or the key is missing.
    """
    system, values = settings.system, settings.values
    given: tuple[tuple[Action, tuple[str, ...]], ...] = (
        ("exclude", values.exclude_columns),
        ("hash", values.hash_columns),
    )
    rules = [rule for action, entries in given for entry in entries for rule in _rules(system, action, entry)]
    if not rules:
        return ColumnRules()
    hash_ = keyed_hash(values.hash_key, needed_by="hash_columns") if values.hash_columns else None
    by_table = {
        table.name: _table_rules(
            table,
            [
                rule
                for rule in rules
                if rule.table == table.name or (rule.table == ANY_TABLE and _is_any(table))
            ],
            hash_,
        )
        for table in _of_vendor(system)
    }
    return ColumnRules(tuple(rules), by_table, hash_)


def _of_vendor(system: System) -> list[Table]:
    """The tables that hold what the vendor sends."""
    own = {
        table.name: table
        for listing in common_tables.listings(system)
        for table in common_tables.of_one(listing)
    }
    return [*own.values(), common_tables.REJECTED_ROWS]


def needed_columns(system: System) -> dict[str, frozenset[str]]:
    """The columns of each table that the connector works with, so that they are written as they are."""
    needed = {
        common_tables.REJECTED_ROWS.name: frozenset(one.name for one in common_tables.REJECTED_ROWS.columns)
        - {"value"}
    }
    for listing in common_tables.listings(system):
        for table in common_tables.of_one(listing):
            own = {*table.primary_key, table.newest, *table.cluster, "status", *BOOKKEEPING}
            own |= {
                one.name for one in table.columns if one.type == "timestamp" or one.name.endswith("_exact")
            }
            if listing.integrations is not None and table is listing.integrations.table:
                own |= {one.name for one in table.columns}
            if listing.statistics is not None and table in listing.statistics.tables:
                own |= {one.name for one in table.columns if one.type != "text"}
            if table is listing.executions:
                partition = (
                    f.column for f in listing.listing.filters if f.name == listing.listing.partitioned_by
                )
                own |= {listing.workflow_column, *(column for column in partition if column)}
            needed[table.name] = frozenset(one.name for one in table.columns if one.name in own)
    return needed


def _rules(system: System, action: Action, entry: str) -> Iterator[ColumnRule]:
    setting = f"{action}_columns"
    stored = {table.name: table for table in _of_vendor(system)}
    parts = _RULE.fullmatch(entry)
    if parts is None:
        there = [f"{name}.{entry}" for name, table in stored.items() if _documented(table, entry) is not None]
        meant = (
            f"Did you mean {' or '.join(there)}?" if there else "Name it as in workflow_executions.user_id."
        )
        raise ConfigurationError(
            f"{setting}: {entry!r} is not TABLE.COLUMN, or *.COLUMN for every table. {meant}"
        )
    name, column = parts.groups()
    if not folded(column):
        raise ConfigurationError(f"{setting}: {entry!r} names no column. Name each one, as in *.user_id.")
    if name != ANY_TABLE and name not in stored:
        if name in {table.name for table in common_tables.of(system)}:
            raise ConfigurationError(
                f"{setting}: {name} is a table of task-history's own, which it works with: it holds nothing of the "
                f"vendor's that could be excluded. Tables that do: {', '.join(stored)}."
            )
        near = difflib.get_close_matches(name.lower(), stored, n=1)
        raise ConfigurationError(
            f"{setting}: {system.name} has no table {name!r}. "
            + (f"Did you mean {near[0]}.{column}?" if near else f"Tables: {', '.join(stored)}.")
        )
    of = [stored[name]] if name != ANY_TABLE else [one for one in stored.values() if _is_any(one)]
    documented = [(table, one) for table in of if (one := _documented(table, column)) is not None]
    needed = needed_columns(system)
    for table, one in documented:
        _check(setting, action, table, one, needed[table.name])
    if not documented:
        if folded(column) == folded(OTHER_FIELDS):
            raise ConfigurationError(
                f"{setting}: {OTHER_FIELDS} holds many fields of the vendor's: name those that are meant."
            )
        suggestion = _suggestion(of, column, needed)
        yield ColumnRule(action, name, column, is_documented=False, suggestion=suggestion)
        return
    yield from (ColumnRule(action, table.name, one.name, is_documented=True) for table, one in documented)
    if name == ANY_TABLE:
        # Others may send it as a field that is not documented.
        yield ColumnRule(action, name, column, is_documented=True)


def _check(setting: str, action: Action, table: Table, column: Column, needed: frozenset[str]) -> None:
    """Raises ConfigurationError when the rule cannot be kept."""
    what = f"{table.name}.{column.name}"
    if column.name in needed:
        free = [one.name for one in table.columns if one.name not in needed]
        others = (
            f"Of {table.name} these can: {', '.join(free)}." if free else f"No column of {table.name} can."
        )
        raise ConfigurationError(
            f"{setting}: {what} cannot be {'excluded' if action == 'exclude' else 'hashed'}: task-history works with the "
            f"ids of executions and steps, dates, statuses, and columns of its own. {others}"
        )
    if action == "hash" and column.type != "text":
        raise ConfigurationError(
            f"{setting}: {what} is no text ({column.type}), and a hash is one. Exclude it by exclude_columns."
        )


def _is_any(table: Table) -> bool:
    """Whether ``*`` stands for the table, too: not for the one whose columns are this connector's own."""
    return table is not common_tables.REJECTED_ROWS


def _documented(table: Table, name: str) -> Column | None:
    """The documented column of that name or vendor's key, in any spelling."""
    if is_variant_column(name):
        return None
    exact = [one for one in table.columns if name in (one.name, one.source)]
    near = [
        one for one in table.columns if folded(name) in (folded(one.name), folded(one.source or one.name))
    ]
    return next(iter([*exact, *near]), None)


def _suggestion(of: Iterable[Table], column: str, needed: Mapping[str, frozenset[str]]) -> str | None:
    names = {
        one.name: f"{table.name}.{one.name}"
        for table in of
        for one in table.columns
        if one.name not in needed[table.name]
    }
    near = difflib.get_close_matches(column.lower(), names, n=1, cutoff=0.7)
    return names[near[0]] if near else None


def _table_rules(table: Table, rules: Iterable[ColumnRule], hash_: KeyedHash | None) -> TableRules:
    documented: dict[str, Action] = {}
    others: dict[str, Action] = {}
    for rule in rules:
        column = _documented(table, rule.column)
        names = {rule.column} if column is None else {column.name, column.source or column.name}
        for form in set().union(*map(_forms_of_rule, names)):
            if others.get(form, rule.action) != rule.action:
                raise ConfigurationError(
                    f"{table.name}.{rule.column} is in exclude_columns and in hash_columns: take it out of one."
                )
            others[form] = rule.action
        if column is not None:
            documented |= dict.fromkeys(names, rule.action)
    every = {name for one in table.columns for name in (one.name, one.source) if name}
    return TableRules(documented, frozenset(every - documented.keys()), others, hash_)
