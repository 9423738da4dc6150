"""One item that cannot be read holds up no other: it is noted with its reason, and tried again with growing distance."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.systems.protocol import System
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.sandbox_proxy import Between
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 60,
    "days": 4,
    "workflows": 2,
    "failed": 0.3,
    "open_days": 0.0,
    "seed": 5,
    "freeze": True,
}
FAULT_S = 0.2
"""``fault_deadline_s`` in these tests."""
KEYS = {"paragon": "id", "sailpoint": "id", "twinit": "_id", "b3os": "id"}
SINGLE = {
    "paragon": r"/workflow-executions/{}$",
    "sailpoint": r"/workflow-executions/{}/history",
    "twinit": r"/workflows/{}\?",
    "b3os": r"/v1/executions/{}$",
}


@pytest.fixture(params=systems.names())
def ended(request: pytest.FixtureRequest) -> Iterator[tuple[str, SandboxProcess]]:
    """Each system's name and its vendor, whose executions have all ended."""
    with SandboxProcess(request.param, **WORLD) as sandbox:
        sandbox.advance(10 * 86_400)
        yield request.param, sandbox


def logged(place: Place, system: System, *, columns: str = "id, outcome") -> list[tuple[Any, ...]]:
    """What the log of details says of what is not wholly loaded."""
    return place.query(
        f"SELECT {columns} FROM {place.system}.{system.details.log.name} "
        "WHERE outcome <> 'loaded' OR unreadable_reason IS NOT NULL ORDER BY id"
    )


def loaded(place: Place, system: System) -> int:
    return int(
        place.query(
            f"SELECT count(*) FROM {place.system}.{system.details.log.name} WHERE outcome = 'loaded'"
        )[0][0]
    )


def status_of(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run("status", place.system, "--json").stdout)["systems"][0]
    return found


@pytest.mark.parametrize(
    ("ended", "is_long"),
    rest_as_torture([*((name, True) for name in systems.names()), ("paragon", False)], [("paragon", False)]),
    indirect=["ended"],
)
def test_a_detail_that_always_fails_is_noted_and_passed_over(
    tmp_path: Path, ended: tuple[str, SandboxProcess], is_long: bool
) -> None:
    """59 of 60 are loaded by the first sync, which ends well and names the one; a later sync loads it once it can."""
    name, sandbox = ended
    system = systems.find(name)
    poisonous = str(sandbox.truth()[30][KEYS[name]])
    sandbox.switches(failing=poisonous)
    place = Place(tmp_path, sandbox, system=name, fault_deadline_s=FAULT_S, integrations=None)
    first = place.sync()
    assert loaded(place, system) == 59
    [(identity, outcome, reason, tries, distance)] = logged(
        place,
        system,
        columns="id, outcome, unreadable_reason, tries, round(epoch(next_try_at - fetched_at) / 3600)",
    )
    assert (identity, outcome, tries) == (poisonous, "unreadable", 1)
    assert "HTTP 500" in reason
    assert poisonous in first["stderr"]
    assert (first["complete"], first["left"]["details"], first["left"]["unreadable"]) == (False, 1, 1)
    unreadable = status_of(place)["unreadable"]
    assert (unreadable["details"], unreadable["payloads"]) == (1, 0)
    assert unreadable["next_try_at"]
    assert "1 execution" in next(
        line for line in place.run("status", name).stdout.splitlines() if "unreadable" in line
    )

    # It is not due.
    sandbox.reset_counters()
    place.sync()
    target = re.compile(SINGLE[name].format(poisonous))
    assert not [one for one in sandbox.requests() if target.search(one["target"])]
    # Due, it fails once more, and is due after twice the time.
    if is_long:
        place.make_due()
        place.sync()
        again = logged(place, system, columns="tries, round(epoch(next_try_at - fetched_at) / 3600)")
        assert [tries for tries, _ in again] == [2]
        if distance == 1:
            assert again == [(2, 2)]
        assert sandbox.counters()["reads_more_than_once"] == []
    # Due, it can be read.
    sandbox.switches(failing="")
    place.make_due()
    assert place.sync()["complete"]
    assert (loaded(place, system), logged(place, system)) == (60, [])
    assert status_of(place)["unreadable"]["details"] == 0
    assert sandbox.counters()["reads_more_than_once"] == []


@pytest.mark.torture
@pytest.mark.parametrize("ended", systems.names(), indirect=True)
def test_a_refused_detail_is_noted(tmp_path: Path, ended: tuple[str, SandboxProcess]) -> None:
    """403 for one execution alone ends no run: it is noted with the refusal, and all others are loaded."""
    name, sandbox = ended
    system = systems.find(name)
    refused = str(sandbox.truth()[30][KEYS[name]])
    sandbox.switches(forbidden=refused)
    place = Place(tmp_path, sandbox, system=name, fault_deadline_s=FAULT_S, integrations=None)
    place.sync()
    [(identity, outcome, reason)] = logged(place, system, columns="id, outcome, unreadable_reason")
    assert (identity, outcome, loaded(place, system)) == (refused, "unreadable", 59)
    assert "HTTP 403" in reason
    place.sync()


@pytest.mark.parametrize("ended", rest_as_torture(systems.names(), kept=["paragon"]), indirect=True)
def test_a_vendor_that_is_down_ends_the_run(tmp_path: Path, ended: tuple[str, SandboxProcess]) -> None:
    """Many different details that fail in a row, and one that was read before: exit code 4, and nothing is noted."""
    name, sandbox = ended
    system = systems.find(name)
    kind = {"sailpoint": "history", "twinit": "run"}.get(name, "execution")
    sandbox.faults({"kind": "status500", "times": None, "after": 30, "on": kind})
    place = Place(tmp_path, sandbox, system=name, fault_deadline_s=FAULT_S, integrations=None)
    done = place.run("sync", name, expect=4)
    assert "run the same command again" in done.stderr
    assert 20 <= loaded(place, system) <= 30
    assert logged(place, system) == []
    sandbox.faults()
    assert place.sync()["complete"]
    assert loaded(place, system) == 60


@pytest.mark.parametrize("ended", rest_as_torture(systems.names(), kept=["twinit"]), indirect=True)
def test_many_bad_details_hold_up_no_others(tmp_path: Path, ended: tuple[str, SandboxProcess]) -> None:
    """More of them in a row than a vendor that is down shows: one that was read before is read, and the run goes on.

    So it does where one is refused; it is noted with the refusal.
    """
    name, sandbox = ended
    system = systems.find(name)
    *failing, refused = (str(row[KEYS[name]]) for row in sandbox.truth()[10:36])
    sandbox.switches(failing=",".join(failing), forbidden=refused)
    place = Place(tmp_path, sandbox, system=name, fault_deadline_s=FAULT_S, integrations=None)
    place.sync()
    assert loaded(place, system) == 34
    assert logged(place, system) == [(identity, "unreadable") for identity in sorted([*failing, refused])]
    reasons = dict(logged(place, system, columns="id, unreadable_reason"))
    assert [key for key, reason in reasons.items() if "HTTP 403" in reason] == [refused]


@pytest.mark.torture
def test_a_payload_that_always_fails_is_noted(tmp_path: Path) -> None:
    """All others are loaded; a run that finds it due loads it."""
    with SandboxProcess("paragon", **WORLD) as sandbox:
        sandbox.advance(10 * 86_400)
        steps = [step for row in sandbox.truth(steps=True) for step in row["_steps"]]
        failed = [step for step in steps if step["status"] == "FAILED"]
        poisonous = failed[2]["id"]
        sandbox.switches(failing=poisonous)
        place = Place(tmp_path, sandbox, fault_deadline_s=FAULT_S)
        first = place.sync()
        outcomes = "SELECT outcome, count(*), max(tries) FROM paragon.step_payloads GROUP BY ALL ORDER BY ALL"
        assert place.query(outcomes) == [("loaded", len(failed) - 1, None), ("unreadable", 1, 1)]
        assert (first["left"]["payloads"], first["left"]["unreadable"]) == (1, 1)
        assert status_of(place)["unreadable"]["payloads"] == 1
        told = place.run("why", "paragon", failed[2]["workflowExecutionId"]).stdout
        assert "Inputs and outputs of 1 step could not be read" in told
        sandbox.switches(failing="")
        place.sync()
        assert place.query(outcomes)[1][:2] == ("unreadable", 1)
        place.make_due()
        assert place.sync()["complete"]
        assert place.query(outcomes) == [("loaded", len(failed), None)]
        assert sandbox.counters()["reads_more_than_once"] == []


@pytest.mark.parametrize(
    ("form", "lines"),
    rest_as_torture([("text", True), ("prose", False), ("empty", False)], [("prose", False)]),
)
def test_logs_that_are_no_json_cost_nothing_else(tmp_path: Path, form: str, lines: bool) -> None:
    """Tasks are kept, a log of text is read by its lines or noted beside its run, and nothing is asked for twice."""
    with SandboxProcess("twinit", switch={"logs": form}, **WORLD) as sandbox:
        sandbox.advance(10 * 86_400)
        place = Place(tmp_path, sandbox, system="twinit", fault_deadline_s=120)
        first = place.sync()
        assert first["complete"]
        assert first["waited_s"].get("fault", 0) == 0
        assert place.query("SELECT count(*) > 120 FROM twinit.tasks") == [(True,)]
        logs = place.query(
            "SELECT count(*) > 120, count(DISTINCT level), count(timestamp) = count(*) FROM twinit.task_logs"
        )
        assert logs == [(lines, int(lines), True)]
        noted = place.query(
            "SELECT outcome, unreadable_reason IS NULL, next_try_at, count(*) FROM twinit.run_details GROUP BY ALL"
        )
        assert noted == [("loaded", lines, None, 60)]
        if lines:
            assert place.query(
                "SELECT count(*) > 0 FROM twinit.task_logs WHERE message LIKE '%second line'"
            ) == [(True,)]
        sandbox.reset_counters()
        place.sync()
        assert not {"run", "logs", "loop_tasks"} & sandbox.counters().keys()


def test_a_log_that_always_fails_keeps_its_tasks(tmp_path: Path) -> None:
    """Tasks are written at once; the log is named beside its run and is due again later."""
    with SandboxProcess("twinit", **WORLD) as sandbox, Between(sandbox.base_url) as between:
        sandbox.advance(10 * 86_400)
        run = sandbox.truth()[5]["_id"]
        between.answers = lambda target, body: b"{" if f"/{run}/tasks/{run}-a/logs" in target else body
        place = Place(tmp_path, sandbox, system="twinit", base_url=between.url, fault_deadline_s=FAULT_S)
        place.sync()
        [(identity, outcome, reason, tries, is_due)] = logged(
            place,
            systems.find("twinit"),
            columns="id, outcome, unreadable_reason, tries, next_try_at IS NOT NULL",
        )
        assert (identity, outcome, tries, is_due) == (run, "loaded", 1, True)
        assert "not JSON" in reason
        tasks = f"SELECT count(*) >= 2 FROM twinit.tasks WHERE workflow_execution_id = '{run}'"
        assert place.query(tasks) == [(True,)]
        between.answers = lambda _, body: body
        place.make_due()
        assert place.sync()["complete"]
        assert logged(place, systems.find("twinit")) == []


@pytest.mark.parametrize("missing", rest_as_torture([500, 403], [500]))
def test_runs_that_vanished_end_no_sync(tmp_path: Path, missing: int) -> None:
    """Twinit answers with an error for many open runs that it holds no longer: all others settle, the sync ends well."""
    world = {**WORLD, "open_days": 0.9, "executions": 80}
    with SandboxProcess("twinit", switch={"missing": missing, "sort": "heeded"}, **world) as sandbox:
        place = Place(tmp_path, sandbox, system="twinit", fault_deadline_s=FAULT_S, steps="none")
        place.sync()
        system = systems.find("twinit")
        opens = [row["_id"] for row in sandbox.truth() if system.is_open(row)]
        assert len(opens) > 40
        sandbox.post("purge", {"ids": opens[:30]})
        sandbox.advance(10 * 86_400)
        place.sync()
        left = {row[0] for row in place.query("SELECT id FROM twinit.workflow_runs WHERE is_open")}
        assert left <= set(opens[:30])
        sandbox.reset_counters()
        place.sync()
        assert "run" not in sandbox.counters()


def test_what_vanished_while_open_is_marked_without_single_reads(tmp_path: Path) -> None:
    """SailPoint without the right to single reads: the listing of its millisecond shows that an execution is gone."""
    world = {**WORLD, "open_days": 0.9}
    with SandboxProcess("sailpoint", switch={"single": "forbidden"}, **world) as sandbox:
        place = Place(tmp_path, sandbox, system="sailpoint", fault_deadline_s=FAULT_S, steps="none")
        place.sync()
        system = systems.find("sailpoint")
        opens = sorted(row["id"] for row in sandbox.truth() if system.is_open(row))
        assert len(opens) > 8
        sandbox.post("purge", {"ids": opens[:4]})
        place.sync()
        state = "SELECT id, resolution FROM sailpoint.workflow_executions WHERE purged_at_source IS NOT NULL ORDER BY id"
        assert place.query(state) == [(identity, "gone") for identity in opens[:4]]
        sandbox.reset_counters()
        place.sync()
        counters = sandbox.counters()
        assert counters.get("execution", 0) <= 2
        still_open = place.query("SELECT count(*) FROM sailpoint.workflow_executions WHERE is_open")
        assert still_open == [(len(opens) - 4,)]


@pytest.mark.parametrize("form", rest_as_torture(["forbidden", "failing"], ["failing"]))
def test_statistics_that_are_not_to_be_had_end_no_run(tmp_path: Path, form: str) -> None:
    """403 or 500 for B3OS's statistics alone is told once, and executions and runs are loaded."""
    with SandboxProcess("b3os", switch={"stats": form}, **WORLD) as sandbox:
        sandbox.advance(10 * 86_400)
        place = Place(tmp_path, sandbox, system="b3os", fault_deadline_s=FAULT_S)
        first = place.sync()
        assert first["complete"]
        assert first["stderr"].count("statistics_unavailable") == 1
        assert place.query("SELECT count(*) FROM b3os.run_details") == [(60,)]


def test_check_tries_other_lists(tmp_path: Path) -> None:
    """403 for the first workflows: the next one is asked for, and the refused ones are named."""
    with SandboxProcess(
        "sailpoint", **{**WORLD, "workflows": 6}, switch={"forbidden_workflows": 5}
    ) as sandbox:
        place = Place(tmp_path, sandbox, system="sailpoint")
        with Between(sandbox.base_url) as between:
            # The sandbox refuses its last ones: here the list comes in reverse.
            def reverse(target: str, body: bytes) -> bytes:
                return json.dumps(json.loads(body)[::-1]).encode() if target.endswith("/workflows") else body

            between.answers = reverse
            place.set(base_url=between.url)
            found = json.loads(place.run("check", "sailpoint", "--json").stdout)
            assert (found["lists"], len(found["refused"])) == (6, 5)
            assert found["newest_started_at"]
            assert "5 of 6" in place.run("check", "sailpoint").stdout
            sandbox.switches(forbidden_workflows=6)
            done = place.run("check", "sailpoint", expect=3)
            assert "sp:workflow-execution:read" in done.stderr


@pytest.mark.parametrize(
    ("name", "is_long"),
    rest_as_torture(
        [*((name, True) for name in systems.names()), ("sailpoint", False)], [("sailpoint", False)]
    ),
)
def test_an_open_execution_that_cannot_be_read_singly_settles(
    tmp_path: Path, name: str, is_long: bool
) -> None:
    """By the list of its millisecond where the vendor filters by time; elsewhere by the list that is read anyway."""
    system = systems.find(name)
    with SandboxProcess(name, **{**WORLD, "open_days": 0.3, "seed": 7}) as sandbox:
        place = Place(tmp_path, sandbox, system=name, fault_deadline_s=FAULT_S, integrations=None)
        place.sync()
        opens = [
            str(row[KEYS[name]])
            for row in sandbox.truth()
            if system.is_open({**row, "status": row.get("status")})
        ]
        chosen = opens[0]
        sandbox.switches(failing=chosen)
        sandbox.advance(10 * 86_400)
        done = place.sync()
        state = f"SELECT is_open FROM {name}.{system.executions.name} WHERE id = '{chosen}'"
        still_open = (
            f"SELECT count(*) FROM {name}.{system.executions.name} WHERE is_open AND id <> '{chosen}'"
        )
        assert place.query(still_open) == [(0,)]
        assert chosen in done["stderr"]
        assert place.query(state) == [(False,)]
        if is_long:
            sandbox.reset_counters()
            place.sync()
            target = re.compile(SINGLE[name].format(chosen))
            assert not [one for one in sandbox.requests() if target.search(one["target"])]
        sandbox.switches(failing="")
        place.make_due()
        assert place.sync()["complete"]
        assert place.query(state) == [(False,)]
        assert logged(place, system) == []
