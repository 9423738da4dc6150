"""Fixtures of all tests, and how tests are shared among workers."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from task_history import systems
from task_history_cli.sandbox import process
from tests.support import torture
from tests.support.budgets import ManualClock, Vendor
from tests.support.forked import start_sandbox
from tests.support.place import ROOT

# Where nothing keeps bytecode every process that a test starts compiles dlt anew: half of what a short one costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if sys.platform == "linux":
    process.start = start_sandbox

# How long an example takes says something about the machine only.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

OF_ONE_WORKER = "tests/destinations/postgres/"
SYSTEM = re.compile(rf"\[(?:.*-)?({'|'.join(systems.names())})\b")
BIGQUERY = "tests/destinations/bigquery/"
ANALYSED = tuple(
    f"{BIGQUERY}test_{name}.py"
    for name in ("dbt", "forget", "gate", "governed", "harness", "report_analysed", "sync", "views_analysed")
)
"""The files of that folder that ask Google's analyzer: one group, and all other files are a second one."""


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("markexpr") == torture.WITHOUT:
        torture.leave_out()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(obj: object) -> list[pytest.Item] | None:
    """No item for what is left out; others are made as always."""
    return [] if torture.is_left_out(getattr(obj, "pytestmark", ())) else None


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Iterator[None]:
    """No item for parameters that are left out, where there are others."""
    yield
    kept = [call for call in metafunc._calls if not torture.is_left_out(call.marks)]
    metafunc._calls = kept or metafunc._calls


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collects without looking for garbage: there is none among modules and tests, which are looked at no more."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With TASK_HISTORY_NO_SKIPS a test that was skipped fails the run: what it needs has to be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    is_strict = bool(os.environ.get("TASK_HISTORY_NO_SKIPS"))
    if is_strict and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share what is dear to make go to one worker; any other test goes anywhere.

    Not by xdist's own groups: they are lost with pytest 9.2, which has no _nodeid any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = _group
    return scheduling


def _group(nodeid: str) -> str:
    """The group of a test: that of its file where the file has fixtures of a module, for each system one.

    Tests of BigQuery are two groups. A worker that has one of them has an emulator, which knows what was said to it
    before, or the analyzer, which knows the views.
    """
    file = nodeid.partition("::")[0]
    if file.startswith(BIGQUERY):
        return BIGQUERY + ("analysed" if file in ANALYSED else "others")
    if file.startswith(OF_ONE_WORKER):
        return file
    if _shares_fixtures(file):
        system = SYSTEM.search(nodeid)
        return f"{file}-{system[1]}" if system else file
    return nodeid


@cache
def _shares_fixtures(file: str) -> bool:
    return 'scope="module"' in (ROOT / file).read_text("utf-8")


@pytest.fixture
def hands() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    yield server
    server.shutdown()
    server.server_close()
