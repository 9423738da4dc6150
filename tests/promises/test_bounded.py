"""Memory does not grow with the number of rows, and commands that only look are quick."""

from __future__ import annotations

import re
import resource
import time
from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place


def _peak_mib(place: Place) -> float:
    """The most memory that one sync took, as the kernel keeps it for the process."""
    process = place.start("sync", "paragon", "--log-level", "error")
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.05)
    process.communicate()
    assert process.returncode == 0
    return peak / 1024


def _listed_in_little_memory(folder: Path, executions: int) -> None:
    with SandboxProcess(executions=executions, seed=51, freeze=True) as sandbox:
        place = Place(folder, sandbox, steps="none", payloads="none", integrations=None)
        assert _peak_mib(place) <= 300
        held = place.query("SELECT count(DISTINCT id) FROM paragon.workflow_executions")[0][0]
        assert held > 0.99 * executions


def test_forty_thousand_executions_in_little_memory(tmp_path: Path) -> None:
    """40,000 executions, eight commits, are listed and loaded in at most 300 MiB."""
    _listed_in_little_memory(tmp_path, 40_000)


@pytest.mark.torture
def test_a_hundred_thousand_executions_in_little_memory(tmp_path: Path) -> None:
    """So are 100,000."""
    _listed_in_little_memory(tmp_path, 100_000)


@pytest.mark.torture
def test_a_million_executions_in_little_memory(tmp_path: Path) -> None:
    """1,000,000 executions are listed and loaded in at most 300 MiB."""
    with SandboxProcess(executions=1_000_000, seed=52, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        peak = _peak_mib(place)
        assert place.query("SELECT count(DISTINCT id) FROM paragon.workflow_executions")[0][0] > 990_000
        assert peak <= 300
        counters = sandbox.counters()
        assert counters["list"] <= 1.02 * 10_000 + 5


def test_commands_that_only_look_are_quick(tmp_path: Path) -> None:
    """``--help`` and ``status`` take under 0.7 s of a processor; the quickest of three counts."""
    with SandboxProcess(executions=60, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none")
        place.quick_sync()
        for words in (("--help",), ("status",)):
            assert any(_cpu_s(place, *words) < 0.7 for _ in range(3))


def _cpu_s(place: Place, *words: str) -> float:
    """The seconds that a command keeps a processor busy: those of others on the same machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = place.start_new(*words)
    # What it prints is read while it runs: a pipe may hold less.
    out, err = process.communicate()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0, err
    assert out
    return used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
