"""Fixtures of all tests, and how tests are shared among workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.parts import Hands, Vendor

# Where nothing keeps bytecode every process that a test starts compiles dlt anew: half of what a short one costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

OF_ONE_WORKER = ("tests/destinations/bigquery/", "tests/destinations/postgres/")
EMULATED = {
    f"tests/destinations/bigquery/test_{name}.py"
    for name in ("harness", "killed", "refused", "views", "views_sync")
}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With TASK_HISTORY_NO_SKIPS a test that was skipped fails the run: what it needs has to be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    is_strict = bool(os.environ.get("TASK_HISTORY_NO_SKIPS"))
    if is_strict and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files of tests whose parts are dear to make stay with one worker; of the others any test goes anywhere.

    A worker that has tests of BigQuery has an emulator: the story is one worker's, the other files another one's.
    They come first, since the largest group does.
    """
    from xdist.scheduler import LoadScopeScheduling

    def unit(nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in EMULATED:
            return "tests/destinations/bigquery/"
        return file if file.startswith(OF_ONE_WORKER) else nodeid

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = unit
    return scheduling


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    yield server
    server.shutdown()
    server.server_close()
