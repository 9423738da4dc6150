"""Runs within the tests' process make views only for tests that ask for them: a third of the seconds that they take."""

from __future__ import annotations

import pytest

from task_history_cli.runtime import views as views_of_runs


@pytest.fixture
def views() -> None:
    """Runs make views in a test that has this fixture."""


@pytest.fixture(autouse=True)
def _views_are_as_they_are(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs take the views to be up to date. What is made before a test, for several, is as without this."""
    if "views" not in request.fixturenames:
        monkeypatch.setattr(views_of_runs, "_are_unchanged", lambda *_: True)
