"""Runs in the process of the tests make and check views only where a test asks for it: that halves the time of a sync.

A folder's ``conftest.py`` has the fixtures by importing them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from task_history_cli.runtime import views as views_of_runs
from tests.support.place import Place


@pytest.fixture
def views() -> None:
    """Runs make views in a test that has this fixture, and look for rows that violate what holds of them."""


@pytest.fixture(autouse=True)
def views_are_as_they_are(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs neither make nor check views, unless the test has the fixture ``views``.

    It does not reach fixtures of a wider scope, which begin before it.
    """
    if "views" in request.fixturenames:
        yield
    else:
        with without_views():
            yield


@contextmanager
def without_views() -> Iterator[None]:
    """Within the block runs neither make nor check views."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views_of_runs, "_are_unchanged", lambda *_: True)
        patch.setattr(views_of_runs, "findings", lambda *_, **__: ())
        yield


@pytest.fixture(autouse=True)
def commands_make_no_views(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are started as processes make and check no views, unless the test has the fixture ``views``."""
    if "views" not in request.fixturenames:
        monkeypatch.setattr(Place, "makes_views", False)
