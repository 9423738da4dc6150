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


@pytest.mark.parametrize("answer", ["refused", "forbidden"])
def test_a_vendor_that_refuses_the_filter_is_said(tmp_path: Path, answer: str) -> None:
    """That no name could be asked for is told neither as if none had executions, nor as a key that is wrong."""
    with SandboxProcess(executions=30, seed=5, freeze=True) as sandbox:
        sandbox.switches(integration_filter=answer)
        place = Place(tmp_path, sandbox, integrations=None)
        done = place.run("check", "paragon", "--find-integrations")
        assert "refuses lists of one integration" in done.stdout
        assert "None of the" not in done.stdout
        found = json.loads(place.run("check", "paragon", "--find-integrations", "--json").stdout)[
            "integrations_found"
        ]
        assert (found["found"], found["refused"]) == ([], found["asked"])


def test_a_search_that_is_cut_off_shows_what_was_found(tmp_path: Path) -> None:
    """What was found until then is printed with the lines to set; what stopped the search follows, and the exit is 4."""
    with SandboxProcess(executions=300, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, fault_deadline_s=1)
        words = ("check", "paragon", "--find-integrations")
        whole = json.loads(place.run(*words, "--json").stdout)["integrations_found"]
        assert whole["stopped_by"] is None
        for extra in ((), ("--json",)):
            sandbox.faults({"kind": "status500", "on": "any", "after": 25, "times": None})
            done = place.run(*words, *extra, expect=4)
            assert "search for integrations stopped" in done.stderr
            sandbox.faults()
        found = json.loads(done.stdout)["integrations_found"]
        assert found["found"] == whole["found"][: len(found["found"])] != []
        assert 0 < found["asked"] < whole["asked"]
        assert found["stopped_by"] in done.stderr


def test_a_sync_whose_key_may_not_filter_by_integration_goes_on(tmp_path: Path) -> None:
    """403 on that filter alone leaves the column empty and says why; executions and steps are loaded."""
    with SandboxProcess(executions=30, seed=5, freeze=True) as sandbox:
        sandbox.switches(integration_filter="forbidden")
        place = Place(tmp_path, sandbox, integrations=["slack"])
        done = place.run("sync", "paragon")
        assert "integration_refused" in done.stderr
        assert "workflow_map" in done.stderr
        assert place.query("SELECT count(*) FROM paragon.execution_details")[0][0] > 0


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
