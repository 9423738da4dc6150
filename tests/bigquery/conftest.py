"""One emulator for the tests of this folder, and a recorder for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import emulator
from .emulator import PROJECT, Emulator
from .recorder import Recorder

REQUIRED = "TASK_HISTORY_REQUIRE_BIGQUERY"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs them all, so that one emulator starts."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("bigquery"))


@pytest.fixture(scope="session")
def bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator. Skips where it cannot run; fails there when it has to."""
    if not emulator.is_there():
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is {emulator.WHY_NOT}")
        pytest.skip(emulator.WHY_NOT)
    with Emulator(tmp_path_factory.mktemp("bigquery")) as found:
        yield found


@pytest.fixture
def recorder(bigquery: Emulator) -> Iterator[Recorder]:
    """A way to the emulator that writes down what is said; all datasets are dropped before."""
    with Recorder(bigquery.url, PROJECT) as found:
        found.reset()
        yield found
