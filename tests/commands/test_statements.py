"""What a sync asks of its DuckDB file, by counts that do not depend on the machine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """The statements that are sent while the test runs, with their values."""
    sent: list[tuple[str, Any]] = []
    execute = DuckDbSqlClient.execute_query

    def noted(self: Any, query: Any, *values: Any, **named: Any) -> Any:
        sent.append((str(query), repr((values, named))))
        return execute(self, query, *values, **named)

    monkeypatch.setattr(DuckDbSqlClient, "execute_query", noted)
    return sent


def test_a_sync_asks_few_questions(tmp_path: Path, statements: list[tuple[str, Any]]) -> None:
    """A first sync of a small account sends at most 105 statements in two loads, an idle one 42: the backlog once.

    Its loads are the executions, then their steps with the payloads of those.
    """
    with SandboxProcess(executions=60, days=3, seed=3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        place.run("sync", "paragon")
        assert len(statements) <= 105
        assert place.query("SELECT count(*) FROM paragon._dlt_loads") == [(2,)]
        assert place.query("SELECT count(*) > 0 FROM paragon.step_payloads") == [(True,)]
        statements.clear()
        place.run("sync", "paragon")
    assert len(statements) <= 42
    backlog = Counter(one for one in statements if one[0].lstrip().startswith("SELECT count(*) AS missing"))
    assert set(backlog.values()) == {1}
