"""Runs within the tests' process make and check views only for tests that ask for it: half of the seconds they take.

A folder's ``conftest.py`` has both fixtures by importing them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from task_history_cli.runtime import views as views_of_runs


@pytest.fixture
def views() -> None:
    """Runs make views in a test that has this fixture, and look for rows that violate what holds of them."""


@pytest.fixture(autouse=True)
def views_are_as_they_are(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs take the views to be up to date, and to hold. What is made before a test, for several, is as without this."""
    if "views" in request.fixturenames:
        yield
    else:
        with without_views():
            yield


@contextmanager
def without_views() -> Iterator[None]:
    """Runs take the views to be up to date, and to hold, for as long as this lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views_of_runs, "_are_unchanged", lambda *_: True)
        patch.setattr(views_of_runs, "findings", lambda *_, **__: ())
        yield
