"""An emulator for the tests of this folder, and a recorder for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.destinations.bigquery import emulator
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.recorder import Recorder


@pytest.fixture(scope="session")
def bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator, one for each worker. Skips where it cannot run."""
    if not emulator.is_there():
        pytest.skip(emulator.WHY_NOT)
    with Emulator(tmp_path_factory.mktemp("bigquery")) as found:
        yield found


@pytest.fixture
def recorder(bigquery: Emulator) -> Iterator[Recorder]:
    """A way to the emulator that writes down what is said, with a project of its own."""
    with Recorder(bigquery.url) as found:
        yield found
