"""Texts of an earlier version where they are not rewritten."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from task_history import systems
from task_history.load import migrated_texts


def _loader(dialect: str, *stored: tuple[str, str]) -> Any:
    """A loader that knows its columns and its dialect, and would fail where a statement is run."""
    client = SimpleNamespace(capabilities=SimpleNamespace(sqlglot_dialect=dialect))
    return SimpleNamespace(stored_columns=lambda: set(stored), client=client, system=systems.find("paragon"))


@pytest.mark.parametrize(
    ("stored", "lines"),
    [
        ([("step_payloads", "input")], 1),
        ([], 0),
        ([("step_payloads", "input"), ("vendor_fields", "field")], 0),
    ],
    ids=["earlier version", "first sync", "this version"],
)
def test_the_log_says_that_former_texts_are_not_rewritten_on_bigquery(
    stored: list[tuple[str, str]], lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, by the sync that takes over a warehouse of an earlier version; no statement is run."""
    with caplog.at_level(logging.WARNING, "task_history"):
        migrated_texts.rewrite(_loader("bigquery", *stored))
    assert caplog.text.count("former_texts_not_rewritten") == lines
