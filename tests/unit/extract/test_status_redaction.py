"""Promises of statuses: a vendor's word is stored as it was sent, a secret sent as one is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from task_history import systems
from task_history.core.models import Table
from task_history.extract import warehouse_rows
from task_history.extract.status_redaction import StatusRedaction
from task_history.redaction.redactor import MARK, Redactor
from task_history.warehouse import common_tables
from task_history.warehouse.status_history import StoredStatus
from tests.support.data_lines import for_each
from tests.support.stamps import stamp

SECRET = "hV8k2Qz9" + "TrW4mN1x"
NOT_STORED = [
    f"password={SECRET}",
    f"password {SECRET}",
    "pin 4821",
    "4111 1111 1111 1111",
    "ghp_" + SECRET * 3,
    SECRET * 2,
    "9f86d081884c7d659a2feaa0c55ad015",
    "the run has failed since the key was wrong, and nobody has looked at it since then",
]
WORDS = [
    "FAILED",
    "token expired",
    "session 2",
    "HTTP 503",
    "4711",
    "waiting-for-approval",
    "DEPLOYED_2",
    "In Progress",
    "CANCELLED_BY_USER",
    "",
    "Ошибка",
]


def _with_status() -> list[tuple[str, Table, str]]:
    return [
        (f"{name}.{table.name}", table, column.key)
        for name in systems.names()
        for table in common_tables.of_one(systems.find(name))
        for column in table.columns
        if column.name == "status"
    ]


@for_each(("name", "table", "key"), _with_status(), ids=[name for name, _, _ in _with_status()])
def test_secret_sent_as_a_status_is_not_stored(name: str, table: Table, key: str) -> None:
    """In every table of every system that holds a status, in rows and in columns."""
    statuses = StatusRedaction(Redactor())
    for sent in NOT_STORED:
        kept: Any = statuses.kept(table, {key: sent, "id": "a"})[key]
        assert MARK in kept, sent
        assert SECRET not in kept, sent
        column = pa.array(["FAILED", sent, None])
        assert statuses.kept_in_columns(table, {key: column})[key] == ["FAILED", kept, None]
    for word in WORDS:
        row = {key: word, "id": "a"}
        assert statuses.kept(table, row) is row
        assert statuses.kept_in_columns(table, {key: pa.array([word, None])}) == {}


def test_each_system_has_statuses() -> None:
    """The test above looks at all four systems, and at executions and steps."""
    assert {name.partition(".")[0] for name, _, _ in _with_status()} == set(systems.names())
    assert len(_with_status()) > 2 * len(systems.names())


@pytest.mark.parametrize("name", systems.names())
def test_such_a_status_does_not_change_with_each_sync(name: str) -> None:
    """What is stored of it is compared with what would be stored again, not with what was sent."""
    system = systems.find(name)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    row = {"id": "a", "_id": "a", "executionId": "a", "status": f"password={SECRET}"}
    stored = {system.identity(row): StoredStatus(f"password={MARK}", now, now, "list", "run")}
    fresh, earlier = warehouse_rows.executions(
        system, [row], stamp("run-2", now), read_by="list", stored=stored
    )
    assert [SECRET in str(one) for one in fresh] == [False]
    assert earlier == []
