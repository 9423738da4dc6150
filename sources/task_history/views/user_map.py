"""The table ``user_map`` beside the views: what the files of the setting say, and the statements that store it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .. import systems
from ..core.errors import ConfigurationError
from ..core.log import log
from ..settings_accounts import Account
from ..settings_reader import Settings, load
from ..warehouse.forgotten_people import FORGOTTEN, LeftOut
from ..warehouse.sql_text import BIGQUERY, quoted_name, quoted_text, sql_type
from ..warehouse.user_map import USER_MAP, MappedUser, UserMap, is_query, map_source, user_map
from ..warehouse.user_map_query import Users
from .access import ViewAccess

_MAX_STATEMENT_CHARS = 200_000
"""BigQuery takes a million bytes.
https://cloud.google.com/bigquery/quotas#query_jobs"""


def configured_map(account: Account, access: ViewAccess | None) -> UserMap | None:
    """What the account's setting says; None, with a warning, where it cannot be used now.

    Without ``access`` a query is not run: then None.
    """
    if account.user_map is None:
        return UserMap()
    if access is None and is_query(account.user_map):
        return None
    try:
        return stated_map(load(account.system.name, instance=account.instance, allow_missing=True), access)
    except ConfigurationError as error:
        log.warning("user_map_skipped", reason=str(error), hint="the views keep what they have of its users")
        return None


def stated_map(settings: Settings, access: ViewAccess | None) -> UserMap:
    """What the setting says; a query is run once with each ``access``.

    Raises:
        ConfigurationError: it cannot be read, or a row of it is wrong.
    """
    source = map_source(settings)
    if access is None or source is None or not is_query(source):
        return user_map(settings)
    key = (settings.system.name, settings.instance, source)
    if key not in access.users:
        access.users[key] = user_map(settings, Users(access.dialect, access.query))
    return access.users[key]


class StoredUserMap:
    """The statements about the table; ``columns`` are those of the warehouse, as dataset, table and column."""

    def __init__(self, access: ViewAccess, columns: Sequence[tuple[str, str, str]]) -> None:
        self._access = access
        self._name = access.view_name(USER_MAP.name)
        self._with_forgotten = {dataset for dataset, table, _ in columns if table == FORGOTTEN.name}

    def made(self) -> Iterator[str]:
        """The statements that make the table unless it is there."""
        dialect = self._access.dialect
        columns = ", ".join(
            f"{column.name} {sql_type(column.type, dialect)}"
            + (f" OPTIONS(description={self._literal(column.description)})" if dialect == BIGQUERY else "")
            for column in USER_MAP.columns
        )
        yield f"CREATE TABLE IF NOT EXISTS {self._name} ({columns})"
        if dialect != BIGQUERY:
            yield f"COMMENT ON TABLE {self._name} IS {self._literal(USER_MAP.description)}"
            for column in USER_MAP.columns:
                name = f"{self._name}.{quoted_name(column.name)}"
                yield f"COMMENT ON COLUMN {name} IS {self._literal(column.description)}"

    def deleted(self, datasets: Iterable[str]) -> Iterator[str]:
        """The statements that delete the rows of datasets."""
        for dataset in datasets:
            yield f"DELETE FROM {self._name} WHERE dataset = {self._literal(dataset)}"

    def replaced(self, dataset: str, system: str, stated: UserMap) -> Iterator[str]:
        """The statements that put these rows in place of the dataset's, without people who were forgotten."""
        yield from self.deleted([dataset])
        names = ", ".join(column.name for column in USER_MAP.columns)
        start = f"INSERT INTO {self._name} ({names}) VALUES "
        rows: list[str] = []
        chars = 0
        for user in self._kept(dataset, system, stated):
            values = (dataset, user.user_id, *user.facts)
            rows.append(f"({', '.join('NULL' if one is None else self._literal(one) for one in values)})")
            chars += len(rows[-1])
            if chars > _MAX_STATEMENT_CHARS:
                yield start + ", ".join(rows)
                rows, chars = [], 0
        if rows:
            yield start + ", ".join(rows)

    def _kept(self, dataset: str, system: str, stated: UserMap) -> list[MappedUser]:
        if dataset not in self._with_forgotten:
            return list(stated.users)
        access = self._access
        parts = (access.project if access.dialect == BIGQUERY else None, dataset, FORGOTTEN.name)
        table = quoted_name(*filter(None, parts), dialect=access.dialect)
        rows = access.query(f"SELECT person_hash, hash_key FROM {table} AS f")[1]
        left_out = LeftOut(systems.find(system), [(str(person), str(key)) for person, key in rows])
        return [user for user in stated.users if not left_out.is_forgotten(user.person)]

    def _literal(self, value: str) -> str:
        return quoted_text(value, self._access.dialect)
