"""Fixtures of all tests, and how tests are shared among workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

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


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what is dear to make go to one worker; any other test goes anywhere."""
    for item in items:
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Item) -> str | None:
    """The group of a test: with the tests that use the same fixtures of its module, with the same parameters.

    A worker that has tests of BigQuery has an emulator: the story is one worker's, the other files another one's.
    """
    file = item.nodeid.partition("::")[0]
    if file in EMULATED:
        return "tests/destinations/bigquery/"
    if file.startswith(OF_ONE_WORKER):
        return file
    if not isinstance(item, pytest.Function):
        return None
    fixtures = item._fixtureinfo.name2fixturedefs
    shared = [name for name, found in fixtures.items() if found[-1].scope == "module"]
    indices = item.callspec.indices if hasattr(item, "callspec") else {}
    parameters = [str(indices[name]) for name in sorted(shared) if name in indices]
    return "-".join([file, *parameters]) if shared else None


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    yield server
    server.shutdown()
    server.server_close()
