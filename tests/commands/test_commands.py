"""The commands as somebody uses them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history_cli.cli import COMMANDS
from task_history_cli.commands.status_text import calendar
from task_history_cli.runtime import interactive_client
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import INTEGRATIONS, PERFECT, PREFIX, STEP_FIELDS, Place, differences
from tests.support.torture import rest_as_torture
from tests.unit.client.test_client import serving
from tests.unit.systems.test_any_answer import GIVEN


def test_help_of_every_command(tmp_path: Path) -> None:
    """``--help`` tells the exit codes and ends with 0; no word at all ends with 2."""
    place = Place(tmp_path, None)
    for command in COMMANDS:
        assert "exit codes" in place.run(command, "--help").stdout
    assert "sync" in place.run(expect=2).stdout


def test_demo_answers_what_an_analyst_asks(tmp_path: Path) -> None:
    """The demo needs nothing, ends in tables with rows, and says how to go on."""
    place = Place(tmp_path, None, base_url=None)
    done = place.run("demo", "--executions", "60")
    for title in ("Usage by integration", "Failures by workflow", "Slowest steps", "Go on with"):
        assert title in done.stdout
    assert "salesforce" in done.stdout


@pytest.mark.torture
def test_the_demos_answers_are_those_of_its_sync(tmp_path: Path) -> None:
    """In a process of its own, and as one object."""
    place = Place(tmp_path, None, base_url=None)
    place.makes_views = True
    assert place.run_process("demo", "--executions", "120").returncode == 0
    told = json.loads(place.run("demo", "--executions", "40", "--json").stdout)
    assert (
        sum(row["executions"] for row in told["answers"]["Usage by integration"])
        == told["sync"]["executions"]
    )


def test_check_costs_at_most_three_requests(tmp_path: Path) -> None:
    """``check`` says what the API holds, and spends no more than three requests on it."""
    with SandboxProcess(executions=700, seed=2, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox)
        told = json.loads(place.run("check", "paragon", "--json").stdout)
        assert told["executions"] == len(sandbox.truth())
        assert sandbox.counters()["status_200"] <= 3
        assert "Newest" in place.run("check", "paragon").stdout


def test_sandbox_says_how_to_go_on(tmp_path: Path) -> None:
    """Where the server is stands on stdout as one object, what to type next on stderr, terminal or not."""
    process = Place(tmp_path, None).start("sandbox", "paragon", "--executions", "10")
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    for name in ("base_url", "project_id", "api_key"):
        assert f"export {PREFIX}{name.upper()}={told[name]}\n" in err
    assert "task-history sync paragon\n" in err


DEAD: dict[str, tuple[dict[str, Any], str]] = {
    "refused": ({"base_url": "http://127.0.0.1:9"}, "refused"),
    "no_such_host": ({"base_url": "https://nowhere.invalid"}, "DNS"),
    "503": ({"kind": "status503", "times": None}, "HTTP 503"),
    "429": ({"kind": "status429", "times": None}, "asks to wait"),
    "web_page": ({"kind": "not_json", "times": None}, "not JSON"),
    "silent": ({"kind": "stall", "times": None}, "no answer within 1 s"),
}


# A month that the vendor keeps, whenever this runs.
PLAN = ("plan", "paragon", "--month", f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}")
ASKED_OF_THE_DEAD = [*((("check", "paragon"), name) for name in DEAD), (PLAN, "refused"), (PLAN, "503")]


@pytest.mark.parametrize(
    ("words", "name"),
    # One that asks again and again for a second of silence is waited for as often as requests are allowed.
    rest_as_torture(ASKED_OF_THE_DEAD, [asked for asked in ASKED_OF_THE_DEAD if asked[1] != "429"]),
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_dead_vendor_is_no_success(
    tmp_path: Path,
    dead: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    name: str,
) -> None:
    """What only asks ends with exit code 4 and the vendor's fault within seconds, also where fault_deadline_s is long."""
    assert interactive_client.CHECK_DEADLINE_S <= 5
    monkeypatch.setattr(interactive_client, "CHECK_DEADLINE_S", 0.3)
    what, reason = DEAD[name]
    place = Place(tmp_path, dead, fault_deadline_s=300, timeout_s=1)
    place.set(base_url=what.get("base_url", dead.base_url))
    dead.faults(*([what] if "kind" in what else []))
    began = time.monotonic()
    done = place.run(*words, expect=4)
    assert reason in done.stderr.splitlines()[-1]
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("name", systems.names())
def test_check_does_not_wait_for_a_year(tmp_path: Path, name: str) -> None:
    """A vendor that asks for a year of silence is told of at once, with how long it asks for."""
    with serving(lambda *_: (429, {"Retry-After": "31536000"}, b"{}")) as served:
        place = Place(tmp_path, None, system=name, **{**GIVEN[name], "base_url": served.url})
        began = time.monotonic()
        assert "31,536,000 s" in place.run("check", name, expect=4).stderr.splitlines()[-1]
        assert time.monotonic() - began < 3_600


@pytest.fixture(scope="module")
def dead() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=0, freeze=True) as sandbox:
        yield sandbox


def test_check_looks_back_as_far_as_the_vendor_keeps(tmp_path: Path, dead: SandboxProcess) -> None:
    """Where ``retention_days`` is set, ``check`` asks for so many days and says so."""
    dead.faults()
    place = Place(tmp_path, dead, retention_days=14)
    assert "no executions of the last 14 days" in place.run("check", "paragon").stdout


def test_status_says_what_is_loaded_and_left(tmp_path: Path) -> None:
    """Before the first sync ``status`` says how to start; after one it counts rows, days and what is left."""
    with SandboxProcess(executions=120, seed=3, days=4, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, start_date="2026-01-01")
        assert "task-history sync paragon" in place.run("status", "paragon").stdout
        place.sync("--max-requests", "60")
        told = json.loads(place.run("status", "paragon", "--json").stdout)["systems"][0]
        assert told["rows"]["workflow_executions"] == len(sandbox.truth())
        assert told["details_left"] > 0
        assert told["runs"][0]["outcome"] == "stopped"
        assert sum(day["executions"] for day in told["coverage"]) == len(sandbox.truth())
        assert all(day["api_total"] == day["executions"] for day in told["coverage"])


@pytest.mark.parametrize(
    ("today", "marks"), [("2026-11-25", "··■"), ("2026-11-27", "··■··"), ("2026-11-20", "··■")]
)
def test_days_to_come_have_no_mark(today: str, marks: str) -> None:
    """The calendar of ``status`` ends today: the rest of the week cannot be covered yet."""
    day = {"day": "2026-11-25", "is_whole": True, "is_verified": True, "api_total": 5}
    assert calendar([day], date.fromisoformat(today))[0] == f"2026-11-23  {marks}"


@pytest.mark.parametrize(("is_verified", "mark"), [(True, "■"), (False, "▣")])
def test_a_day_is_verified_without_a_count_too(is_verified: bool, mark: str) -> None:
    """Where a vendor counts nothing, days are verified by other evidence, and the calendar shows them so."""
    day = {"day": "2026-11-23", "is_whole": True, "is_verified": is_verified, "api_total": None}
    assert calendar([day], date(2026, 11, 23))[0] == f"2026-11-23  {mark}"


def test_steps_are_complete_and_typed(tmp_path: Path) -> None:
    """Every settled execution's steps are there with every field; sizes are integers, ``next`` is JSON."""
    with SandboxProcess(executions=40, seed=4, days=3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        place.quick_sync()
        right = {
            step["id"]: {key: step.get(key) for key in STEP_FIELDS.values()}
            for row in sandbox.truth(steps=True)
            if row.get("dateEnded")
            for step in row["_steps"]
        }
        assert place.steps() == right
        assert {
            kind for (kind,) in place.query("SELECT DISTINCT typeof(input_size) FROM paragon.step_executions")
        } == {"BIGINT"}
        assert json.loads(
            place.query("SELECT arg_max(next, length(next)) FROM paragon.step_executions")[0][0]
        )


def test_every_column_carries_its_sentence(tmp_path: Path) -> None:
    """Each table and column in the warehouse has a comment, also columns that the vendor sent unannounced."""
    with SandboxProcess(executions=20, seed=5, freeze=True, switch={"extra_fields": True}) as sandbox:
        place = Place(tmp_path, sandbox)
        place.quick_sync()
        bare = place.query(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'paragon' "
            "AND NOT starts_with(table_name, '_dlt') AND comment IS NULL"
        )
        assert bare == []
        extra = place.query(
            "SELECT integration, attempt, tags, cost_units, billed_to FROM paragon.workflow_executions"
        )
        by_id = {row["id"]: row for row in sandbox.truth()}
        first = place.query(
            "SELECT id, billed_to, cost_units, tags FROM paragon.workflow_executions LIMIT 1"
        )[0]
        assert len(extra) == len(by_id)
        assert first[1:3] == (by_id[first[0]]["billedTo"], by_id[first[0]]["costUnits"])
        assert json.loads(first[3]) == by_id[first[0]]["tags"]


def test_integrations_are_learned_once(tmp_path: Path) -> None:
    """Each workflow's integration is asked for once, and not again in later syncs."""
    with SandboxProcess(executions=300, seed=6, freeze=True, future_hours=5) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=INTEGRATIONS)
        place.quick_sync()
        asked = sandbox.counters()["integration"]
        assert asked <= 12 * 6
        right = {row["workflowId"] for row in sandbox.truth()}
        found = dict(place.query("SELECT workflow_id, integration FROM paragon.workflows"))
        assert found.keys() == right
        assert all(found.values())
        sandbox.advance(3600)
        place.quick_sync()
        assert sandbox.counters()["integration"] == asked


def test_a_command_runs_in_any_thread(tmp_path: Path) -> None:
    """In a thread that is not the main one a sync loads everything, and leaves the signals to the program."""
    with SandboxProcess(executions=40, seed=7, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(place.run, "sync", "paragon").result()
        assert differences(place, sandbox) == PERFECT


def test_two_accounts_do_not_meet(tmp_path: Path) -> None:
    """``--instance`` loads into a dataset of its own."""
    with SandboxProcess(executions=30, seed=7, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.quick_sync()
        own = "TASK_HISTORY_PARAGON_EU__SOURCES__TASK_HISTORY__PARAGON__PROJECT_ID"
        place.env[own] = sandbox.settings["project_id"]
        told = place.run("status", "paragon", "--instance", "eu").stdout
        assert told.strip().endswith("Start with: task-history sync paragon --instance eu")
        place.sync("--instance", "eu")
        assert differences(place, sandbox) == PERFECT
        assert len(place.executions("paragon_eu")) == len(sandbox.truth())


@pytest.mark.torture
def test_vanished_executions_are_marked(tmp_path: Path) -> None:
    """An open execution that the vendor deleted is marked and not asked for again."""
    with SandboxProcess(executions=200, seed=8, open_days=0.2, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.quick_sync()
        still_open = [key for key, row in place.executions().items() if row["dateEnded"] is None]
        sandbox.post("purge", {"ids": still_open[:3]})
        place.quick_sync()
        marked = place.query(
            "SELECT id FROM paragon.workflow_executions WHERE purged_at_source IS NOT NULL AND NOT is_open"
        )
        assert {key for (key,) in marked} == set(still_open[:3])
        sandbox.reset_counters()
        place.quick_sync()
        asked = " ".join(request["target"] for request in sandbox.requests())
        assert all(identity not in asked for identity in still_open[:3])
