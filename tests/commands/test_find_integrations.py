"""Where no setting names integrations, the commands say so, and ``check --find-integrations`` finds them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from task_history_cli.commands.integration_search import MAX_REQUESTS
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place


def test_the_names_that_work_are_found(tmp_path: Path) -> None:
    """What is printed goes into .dlt/config.toml as it stands; the next sync learns from it."""
    with SandboxProcess(executions=300, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none", payloads="none")
        for words in (("sync", "paragon"), ("check", "paragon")):
            done = place.run(*words)
            assert "task-history check paragon --find-integrations" in done.stdout + done.stderr
        assert "--find-integrations" in place.run("status", "paragon").stdout
        sandbox.reset_counters()
        done = place.run("check", "paragon", "--find-integrations")
        assert sandbox.counters()["status_200"] <= MAX_REQUESTS + 3
        printed = "\n".join(line for line in done.stdout.splitlines() if line.startswith("  "))
        names = tomllib.loads(printed)["sources"]["task_history"]["paragon"]["integrations"]
        assert {"salesforce", "hubspot", "slack"} <= set(names)
        (tmp_path / ".dlt").mkdir()
        (tmp_path / ".dlt" / "config.toml").write_text(printed)
        done = place.run("sync", "paragon")
        assert "--find-integrations" not in done.stderr
        learned = place.query(
            "SELECT DISTINCT integration FROM paragon.workflows WHERE integration IS NOT NULL"
        )
        assert {name for (name,) in learned} == set(names)


def test_a_vendor_that_does_not_filter_is_said(tmp_path: Path) -> None:
    """Executions for a name that no integration has prove nothing: one request, and the other setting is named."""
    with SandboxProcess(executions=30, seed=5, freeze=True) as sandbox:
        sandbox.switches(integration_filter="ignored")
        place = Place(tmp_path, sandbox, integrations=None)
        result = json.loads(place.run("check", "paragon", "--find-integrations", "--json").stdout)
        assert result["integrations_found"]["found"] == []
        assert "workflow_map" in place.run("check", "paragon", "--find-integrations").stdout


def test_a_vendor_that_refuses_the_filter_is_said(tmp_path: Path) -> None:
    """That no name could be asked for is not told as if none had executions."""
    with SandboxProcess(executions=30, seed=5, freeze=True) as sandbox:
        sandbox.switches(integration_filter="refused")
        place = Place(tmp_path, sandbox, integrations=None)
        done = place.run("check", "paragon", "--find-integrations")
        assert "refuses lists of one integration" in done.stdout
        assert "None of the" not in done.stdout
        found = json.loads(place.run("check", "paragon", "--find-integrations", "--json").stdout)[
            "integrations_found"
        ]
        assert (found["found"], found["refused"]) == ([], found["asked"])


@pytest.mark.parametrize("system", ["sailpoint", "twinit", "b3os"])
def test_systems_without_integrations_refuse_the_search(tmp_path: Path, system: str) -> None:
    """It is a usage error that says what to do, and the other commands say nothing of integrations."""
    with SandboxProcess(system, executions=30, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system=system)
        assert (
            "leave --find-integrations out"
            in place.run("check", system, "--find-integrations", expect=2).stderr
        )
        assert "integration" not in place.run("check", system).stdout
