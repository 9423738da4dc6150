"""Runs make and check views in tests that ask for it."""

from __future__ import annotations

import pytest

from tests.support.place import Place
from tests.support.views_of_runs import views, views_are_as_they_are

__all__ = ["views", "views_are_as_they_are"]


@pytest.fixture(autouse=True)
def views_of_processes_are_as_they_are(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither do commands that are started as processes, unless the test has the fixture ``views``."""
    if "views" not in request.fixturenames:
        monkeypatch.setattr(Place, "makes_views", False)
