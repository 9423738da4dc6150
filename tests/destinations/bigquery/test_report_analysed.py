"""Google's analyzer takes every question of the report, whatever the emulator lets pass."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from task_history.core.models import Window
from task_history.views import create as creating
from task_history.views.access import ViewAccess
from task_history.views.relations import by_default
from task_history_cli.report import figures as report_figures
from task_history_cli.report.period import MONTH, Period
from tests.destinations.bigquery.gates import gate_with_views

NOVEMBER = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def test_bigquery_takes_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question over the views, in a zone with days of 25 hours."""
    gate, _ = gate_with_views()
    asked: list[str] = []

    def query(sql: str, *_: object) -> tuple[list[str], list[tuple[Any, ...]]]:
        asked.append(sql)
        return ["number"], [(0,)] if "AS number" in sql else []

    monkeypatch.setattr(creating, "lacking_columns", lambda _: {})
    monkeypatch.setattr(creating, "datasets", lambda _: by_default())
    period = Period(NOVEMBER, "2026-11", "America/New_York", MONTH)
    access = ViewAccess("bigquery", query, lambda _: None, project="lab")
    report_figures.report(access, period, now=datetime(2026, 11, 20, tzinfo=UTC))
    assert len(asked) > 10
    for sql in asked:
        assert gate.analyse(sql) == [], sql
