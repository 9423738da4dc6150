"""The setting ``user_map``: customer, plan and region of users, of a file or query, as rows that may be stored."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import files
from ..core.columns import text
from ..core.escapes import visible
from ..core.models import Table
from ..settings_reader import Settings
from . import common_tables, user_map_query
from .column_rules import ColumnRules, column_rules
from .user_map_query import Users

USER_MAP = Table(
    "user_map",
    "One row per user whom an account's setting user_map names. It is made with the first of them.",
    ("dataset", "user_id"),
    (
        text("dataset", "The dataset with the account's tables (accounts.dataset)."),
        text(
            "user_id", "The user, as the account's executions have them; a hash where their column is hashed."
        ),
        text("customer", "The customer to whom the user belongs; empty where the setting does not say."),
        text("plan", "The customer's plan; empty where the setting does not say."),
        text("region", "The customer's region; empty where the setting does not say."),
    ),
)
"""It lies in the views' dataset. Each sync writes the rows of its account where they have changed."""
KEY, FACTS = "user_id", ("customer", "plan", "region")
_FORM = "user_id, and of customer, plan and region at least one"
_MAX_BYTES = 16_000_000
_MAX_SHOWN = 60
"""Characters of a value that an error shows."""
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of surrogate pairs, which not every warehouse stores."""

Facts = tuple[str | None, str | None, str | None]
"""Customer, plan and region of a user, None where it does not say."""


@dataclass(frozen=True, slots=True)
class MappedUser:
    """One user of the file."""

    person: str
    """The id as the vendor and the file have it."""
    user_id: str
    """The id as executions of the warehouse have it: hashed where their column is."""
    facts: Facts


@dataclass(frozen=True, slots=True)
class UserMap:
    """What may be stored of a file."""

    users: tuple[MappedUser, ...] = ()

    @property
    def content_hash(self) -> str:
        """A hash of all rows; empty without any."""
        if not self.users:
            return ""
        rows = sorted((user.user_id, *user.facts) for user in self.users)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    def match(self, ran: Collection[str]) -> dict[str, Any] | None:
        """How many users that ran the file does not name, and the first of them; None without a file's users.

        ``ran`` are their ids as the vendor or the warehouse has them.
        """
        if not self.users:
            return None
        named = {name for user in self.users for name in (user.person, user.user_id)}
        unknown = sorted(set(ran) - named)
        return {
            "users": len(self.users),
            "ran": len(set(ran)),
            "unknown": len(unknown),
            "first_unknown": unknown[0] if unknown else None,
        }


def map_source(settings: Settings) -> str | None:
    """The file, table or query that the setting names; None without one, and where executions name no person."""
    return getattr(settings.values, "user_map", None)


def is_query(source: str | None) -> bool:
    """Whether the setting names a table or query of the warehouse."""
    return source is not None and user_map_query.is_query(source, tuple(_READERS))


def user_map(settings: Settings, warehouse: Users | None = None) -> UserMap:
    """The users of the file or query as ``exclude_columns`` and ``hash_columns`` allow to store them.

    Without ``warehouse`` a query is not run, and gives none.

    Raises:
        ConfigurationError: it cannot be read, or a row of it is wrong; or the rules are.
    """
    source = map_source(settings)
    if source is None:
        return UserMap()
    by_id = _queried(source, warehouse) if is_query(source) else read_user_map(source)
    rules = column_rules(settings)
    if "exclude" in (actions := _actions(settings, rules)):
        return UserMap()
    hashes = rules.hash if "hash" in actions else None
    return UserMap(
        tuple(
            MappedUser(person, hashes.of(person) if hashes else person, facts)
            for person, facts in by_id.items()
        )
    )


def _actions(settings: Settings, rules: ColumnRules) -> set[str | None]:
    """What is done with the columns by which executions name their person."""
    return {
        rules.of(one.executions.name).action(one.person.column)
        for one in common_tables.listings(settings.system)
        if one.person is not None
    }


def _queried(source: str, warehouse: Users | None) -> dict[str, Facts]:
    if warehouse is None:
        return {}
    names, rows = user_map_query.rows(source, warehouse)
    _check_names(source, "the query", dict.fromkeys(names))
    return _by_user(source, rows)


def read_user_map(path: str) -> dict[str, Facts]:
    """Customer, plan and region by user.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it is wrong.
    """
    read = _READERS.get(Path(path).suffix.lower())
    if read is None:
        raise _wrong(
            path,
            f"ends in none of {', '.join(_READERS)}, and is neither a SELECT nor a table with its dataset; expected are "
            f"{_FORM}",
        )
    try:
        content = files.read_text(Path(path), max_bytes=_MAX_BYTES, encoding="utf-8-sig")
        return _by_user(path, read(content))
    except OSError as error:
        raise _wrong(path, f"cannot be read ({error.strerror}). Name a CSV, TOML or JSON file") from None
    except (ValueError, csv.Error) as error:
        raise _wrong(path, f"has not the expected form ({error}): {_FORM}") from None


Rows = Iterable[tuple[str, Any]]
"""Each row with its place in the file."""


def _by_user(path: str, rows: Rows) -> dict[str, Facts]:
    by_user: dict[str, Facts] = {}
    places: dict[str, str] = {}
    for place, row in rows:
        if not isinstance(row, Mapping):
            raise _wrong(path, f"{place}: {_shown(row)} is no user; expected are {_FORM}")
        _check_names(path, place, row)
        user = _text(path, place, KEY, row.get(KEY))
        if user is None:
            raise _wrong(path, f"{place}: user_id is empty. Name a user, or take the line out")
        customer, plan, region = (_text(path, place, name, row.get(name), is_name=True) for name in FACTS)
        facts = (customer, plan, region)
        if by_user.setdefault(user, facts) != facts:
            raise _wrong(
                path,
                f"{place}: {_shown(user)} is {_described(facts)} here and {_described(by_user[user])} in "
                f"{places[user]}. Keep one of them",
            )
        places.setdefault(user, place)
    return by_user


def _check_names(path: str, place: str, row: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for a row without a needed column, or with one that has nearly its name."""
    expected = (KEY, *FACTS)
    for name in sorted(row.keys() - {*expected}):
        near = difflib.get_close_matches(str(name).strip().lower(), expected, n=1, cutoff=0.75)
        if near and near[0] not in row:
            raise _wrong(path, f"{place}: {_shown(name)} is no column. Did you mean {near[0]}?")
    if KEY not in row:
        raise _wrong(path, f"{place} lacks user_id; expected are {_FORM}")
    if not row.keys() & {*FACTS}:
        raise _wrong(path, f"{place} lacks customer, plan and region; expected are {_FORM}")


def _text(path: str, place: str, name: str, value: Any, *, is_name: bool = False) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool | list | dict):
        raise _wrong(path, f"{place}: {name} is {_shown(value)}, which is no text. Write it in quotes")
    stored = str(value).strip() if is_name else str(value)
    if _UNSTORABLE.search(stored):
        raise _wrong(path, f"{place}: {name} {_shown(stored)} holds a control character. Take it out")
    return stored or None


def _csv(content: str) -> Iterator[tuple[str, Any]]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    names = next(reader, [])
    if not {KEY} <= {*names} or not {*names} & {*FACTS}:
        # A row of it says which column it lacks.
        yield "line 1", dict.fromkeys(names)
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"line 1 names {visible(repeated)!r} twice")
    line = reader.line_num + 1
    for values in reader:
        if values and len(values) != len(names):
            raise ValueError(f"line {line} has {len(values)} values, and line 1 names {len(names)} columns")
        if values:
            yield f"line {line}", dict(zip(names, values, strict=True))
        line = reader.line_num + 1


def _nested(data: Any) -> Rows:
    """A list of rows, or an object with one entry per user: the customer, or the row."""
    if isinstance(data, dict) and data.keys() == {"users"}:
        data = data["users"]
    if isinstance(data, dict):
        return [
            (
                f"the entry {visible(key)[:_MAX_SHOWN]}",
                {KEY: key, **(value if isinstance(value, dict) else {FACTS[0]: value})},
            )
            for key, value in data.items()
        ]
    if not isinstance(data, list):
        raise ValueError("neither a list nor an object")  # noqa: TRY004 - a value of the file
    return [(f"entry {number}", row) for number, row in enumerate(data, 1)]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if entries.setdefault(key, value) != value:
            raise ValueError(f"{visible(key)[:_MAX_SHOWN]!r} stands in it twice with different values")
    return entries


_READERS: dict[str, Callable[[str], Rows]] = {
    ".csv": _csv,
    ".json": lambda content: _nested(json.loads(content, object_pairs_hook=_distinct)),
    ".toml": lambda content: _nested(tomllib.loads(content)),
}


def _shown(value: Any) -> str:
    return repr(visible(str(value))[:_MAX_SHOWN])


def _described(facts: Facts) -> str:
    named = [f"{name} {_shown(fact)}" for name, fact in zip(FACTS, facts, strict=True) if fact is not None]
    return ", ".join(named) or "without customer, plan and region"


_wrong = user_map_query.wrong
