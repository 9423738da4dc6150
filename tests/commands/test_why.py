"""``why``: scripted situations, and the right answer in each."""

from __future__ import annotations

import argparse
import io
import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import pytest

from task_history.core.models import Selection, Window, floor_ms
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import PREFIX, Place

NOW = datetime.now(UTC)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


def why(place: Place, *words: str) -> dict[str, Any]:
    """What the command says as JSON, within this process."""
    from task_history_cli.commands import why as command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    parser.add_argument("--json", action="store_true")
    said = io.StringIO()
    with as_in(place), redirect_stdout(said):
        command.run(parser.parse_args(["paragon", *words, "--json"]))
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


@contextmanager
def as_in(place: Place) -> Iterator[None]:
    """The environment and the folder of the place."""
    before, folder = dict(os.environ), Path.cwd()
    try:
        os.environ.clear()
        os.environ.update(place.env)
        os.chdir(place.folder)
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)


def codes(found: dict[str, Any]) -> set[str]:
    return {remark["code"] for remark in found["remarks"]}


def days_ago(number: float) -> datetime:
    return floor_ms(MIDNIGHT - timedelta(days=number))


def day(number: float) -> str:
    return f"{days_ago(number):%Y-%m-%d}"


def backfill(place: Place, start: datetime, end: datetime, **filters: str) -> None:
    """Loads a range as a backfill does."""
    from task_history import settings_reader
    from task_history.runs.backfill import Backfill
    from task_history.runs.lanes import BACKFILL
    from task_history.runs.runner import commit_batches
    from task_history_cli.runtime import command_run
    from task_history_cli.runtime.target import find_target

    with as_in(place):
        found = settings_reader.load("paragon")
        target = find_target(None, found.pipeline_name)
        with command_run.start_command(
            found,
            target,
            lambda context, _: Backfill(context),
            command="backfill",
            lane=BACKFILL,
            selection=Selection(Window(start, end), filters),
        ) as current:
            commit_batches(current, lambda rows, seconds: None)


def change(place: Place, sql: str, *values: Any) -> None:
    """Somebody's hand in the warehouse."""
    with duckdb.connect(str(place.file)) as connection:
        connection.execute(sql, list(values))


def began(sandbox: SandboxProcess, start: datetime, end: datetime, **fields: str) -> list[str]:
    """The ids of what the vendor shows of that time, oldest first."""
    return [
        row["id"]
        for row in sandbox.truth()
        if start <= datetime.fromisoformat(row["dateStarted"]) < end
        and all(row.get(name) == value for name, value in fields.items())
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, SandboxProcess]]:
    """Synced for ten days, the twelfth loaded by a backfill, the failed ones of the fifteenth too."""
    with SandboxProcess(
        executions=400, seed=21, days=30, failed=0.2, freeze=True, open_days=0.1, retention_days=28
    ) as sandbox:
        place = Place(tmp_path_factory.mktemp("why"), sandbox)
        place.set(start_date=day(10), retention_days="28", payloads="failed")
        place.quick_sync()
        backfill(place, days_ago(12), days_ago(11))
        backfill(place, days_ago(15), days_ago(14), status="FAILED")
        sandbox.reset_counters()
        yield place, sandbox


World = tuple[Place, SandboxProcess]


def test_settled(world: World) -> None:
    """A settled execution: its run, window and states, and a request that does show it."""
    place, sandbox = world
    identity = began(sandbox, days_ago(3), days_ago(2), status="FAILED")[0]
    found = why(place, identity)
    assert found["code"] == "loaded"
    assert codes(found) == {"details_loaded", "payloads_loaded"}
    assert [state["status"] for state in found["timeline"]] == ["FAILED"]
    brought = found["brought_by"]
    reads = place.query("SELECT run_id, executions, api_total FROM paragon.window_reads WHERE lane = 'sync'")
    assert (brought["read_by"], brought["run_command"], brought["lane"]) == ("list", "sync", "sync")
    assert (brought["run_id"], brought["executions"], brought["api_total"]) in reads
    assert brought["window_start"] <= found["execution"]["date_started"] < brought["window_end"]
    url = f"{sandbox.base_url}{brought['request']['path']}?{urlencode(brought['request']['params'])}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {sandbox.api_key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert identity in [row["id"] for row in json.load(answer)["workflowExecutions"]]
    assert sandbox.api_key not in place.run("why", "paragon", identity).stdout


def test_loaded_by_a_backfill(world: World) -> None:
    """The lane and the filters of the read that brought it are told."""
    place, sandbox = world
    whole = why(place, began(sandbox, days_ago(12), days_ago(11))[0])["brought_by"]
    assert (whole["run_command"], whole["lane"], whole["filters"]) == ("backfill", "backfill", "")
    failed = why(place, began(sandbox, days_ago(15), days_ago(14), status="FAILED")[0])["brought_by"]
    assert (failed["lane"], failed["filters"]) == ("backfill", "status=FAILED")
    assert failed["request"]["params"]["status"] == "FAILED"
    assert failed["executions"] == len(began(sandbox, days_ago(15), days_ago(14), status="FAILED"))


def test_pasted_in_other_forms(world: World) -> None:
    """Spaces, capital letters and the dashboard's address name the same execution."""
    place, sandbox = world
    identity = began(sandbox, days_ago(3), days_ago(2))[0]
    address = (
        f"https://dashboard.useparagon.com/connect/projects/p/history/workflows/w/executions/{identity}?tab=1"
    )
    for text in (f"  {identity}\n", identity.upper(), address):
        assert why(place, text)["id"] == identity
    assert why(place, "a b/é&?#")["code"] == "unknown_without_asking"
    for text in ("  ", "..", "https://dashboard.useparagon.com/connect/projects"):
        assert "EXECUTION_ID" in place.run("why", "paragon", text, expect=2).stderr


def test_unknown_without_asking(world: World) -> None:
    """An id without a row: what is loaded, and how to learn more."""
    place, _ = world
    found = why(place, "00000000-0000-4000-8000-000000000000")
    assert found["code"] == "unknown_without_asking"
    assert "--live" in found["next_step"]
    assert found["loaded"]["windows"][0][0] == f"{day(12)}T00:00:00Z"
    assert list(found["loaded"]["under_filters"]) == ["status=FAILED"]


@pytest.mark.parametrize(
    ("around", "code"),
    [
        (0.5, "should_be_there"),
        (-1, "after_cursor"),
        (10.5, "in_gap"),
        (12.5, "before_coverage"),
        (14.5, "perhaps_filtered"),
        (40, "beyond_retention"),
    ],
    ids=str,
)
def test_around_places_it_without_asking(world: World, around: float, code: str) -> None:
    """When it began is enough to tell whether its time is loaded."""
    place, _ = world
    at = days_ago(around).isoformat()
    if code == "before_coverage":
        at = days_ago(20).isoformat()
    assert why(place, "no-such-id", "--around", at)["code"] == code


def test_around_takes_days_and_zones(world: World) -> None:
    """A day is told by what of it is not loaded; its bounds are those of the zone."""
    place, _ = world
    assert why(place, "x", "--around", day(3))["code"] == "should_be_there"
    assert why(place, "x", "--around", day(12), "--timezone", "UTC")["code"] == "should_be_there"
    assert why(place, "x", "--around", day(12), "--timezone", "Asia/Tokyo")["code"] == "before_coverage"
    wrong = place.run("why", "paragon", "x", "--around", day(1), "--timezone", "Berlin", expect=2)
    assert "Europe/Berlin" in wrong.stderr
    assert "--around" in place.run("why", "paragon", "x", "--around", "yesterday", expect=2).stderr


def test_never_existed(world: World) -> None:
    """The vendor answers 404: it never existed, or was purged; with --around older than that it is the latter."""
    place, sandbox = world
    sandbox.reset_counters()
    found = why(place, "00000000-0000-4000-8000-000000000000", "--live")
    assert (found["code"], found["requests"]) == ("never_existed", 1)
    assert "28 days" in found["sentence"]
    assert why(place, "x", "--live", "--around", day(40))["code"] == "beyond_retention"
    assert why(place, "x", "--live", "--around", day(1))["code"] == "never_existed"
    assert sandbox.counters()["execution"] == 3


def test_before_coverage(world: World) -> None:
    """The vendor holds it, from before what is loaded: the backfill of its day is named."""
    place, sandbox = world
    found = why(place, began(sandbox, days_ago(20), days_ago(19))[0], "--live")
    assert (found["code"], found["requests"]) == ("before_coverage", 1)
    assert f"task-history backfill paragon --from {day(20)} --to {day(19)}" in found["next_step"]


def test_advice_brings_it(tmp_path: Path) -> None:
    """What is said to do about one that is not loaded does bring it."""
    with SandboxProcess(executions=200, seed=14, days=8, open_days=0, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none", start_date=day(2))
        place.quick_sync()
        identity = began(sandbox, days_ago(5), days_ago(4))[0]
        advice = why(place, identity, "--live")["next_step"]
        place.run(*advice[advice.index("task-history") :].split()[1:])
        found = why(place, identity)
        assert (found["code"], found["brought_by"]["run_command"]) == ("loaded", "backfill")


def test_more_ties_than_a_page_holds(tmp_path: Path) -> None:
    """Where one page of a millisecond does not show it, nothing is claimed about the listing."""
    with SandboxProcess(executions=400, seed=15, days=4, tie_burst=150, open_days=0, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none")
        place.quick_sync()
        (instant,) = place.query(
            "SELECT date_started FROM paragon.workflow_executions GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        )[0]
        last = began(sandbox, instant, instant + timedelta(milliseconds=1))[-1]
        assert "offset" in why(place, last)["brought_by"]["request"]["params"]
        change(place, "DELETE FROM paragon.workflow_executions WHERE id = ?", last)
        found = why(place, last, "--live")
        assert (found["code"], found["live"]["is_listed"], found["requests"]) == (
            "missing_in_coverage",
            None,
            2,
        )


def test_in_a_gap(world: World) -> None:
    """It began between two ranges that are loaded."""
    place, sandbox = world
    found = why(place, began(sandbox, days_ago(11), days_ago(10))[0], "--live")
    assert found["code"] == "in_gap"
    assert "backfill" in found["next_step"]


def test_filtered(world: World) -> None:
    """Only the failed ones of its day were loaded, and it did not fail."""
    place, sandbox = world
    found = why(place, began(sandbox, days_ago(15), days_ago(14), status="SUCCEEDED")[0], "--live")
    assert (found["code"], found["requests"]) == ("filtered", 1)
    assert "status=FAILED" in found["sentence"]


def test_another_kind_of_id(world: World) -> None:
    """A step's id leads to its execution, a workflow's to its column."""
    place, _ = world
    step, execution, workflow = place.query(
        "SELECT s.id, e.id, e.workflow_id FROM paragon.step_executions AS s "
        "JOIN paragon.workflow_executions AS e ON e.id = s.workflow_execution_id LIMIT 1"
    )[0]
    found = why(place, step)
    assert found["code"] == "is_a_step"
    assert execution in found["next_step"]
    assert why(place, workflow)["code"] == "is_a_workflow"


def test_not_wanted_details(world: World) -> None:
    """Steps and payloads that the settings do not want are told so."""
    place, sandbox = world
    done = began(sandbox, days_ago(3), days_ago(2), status="SUCCEEDED")[0]
    assert "payloads_not_wanted" in codes(why(place, done))
    change(place, "DELETE FROM paragon.execution_details WHERE id = ?", done)
    assert codes(why(place, done)) == {"details_missing"}
    failed = began(sandbox, days_ago(15), days_ago(14), status="FAILED")[0]
    change(place, "DELETE FROM paragon.execution_details WHERE id = ?", failed)
    (missing,) = why(place, failed)["remarks"]
    assert f"backfill paragon --from {day(15)} --to {day(14)} --status FAILED" in missing["next_step"]
    place.set(steps="failed")
    assert codes(why(place, done)) == {"details_not_wanted"}
    place.set(steps=None)


def test_deleted_by_hand(world: World) -> None:
    """A row that somebody deleted is known from its details; without those it looks like one that came late."""
    place, sandbox = world
    first, second = began(sandbox, days_ago(5), days_ago(4), status="SUCCEEDED")[:2]
    change(place, "DELETE FROM paragon.workflow_executions WHERE id IN (?, ?)", first, second)
    change(place, "DELETE FROM paragon.execution_details WHERE id = ?", second)
    assert why(place, first)["code"] == "row_deleted"
    found = why(place, second, "--live")
    assert (found["code"], found["live"]["is_listed"], found["requests"]) == ("missing_in_coverage", True, 2)
    assert "deleted by hand" in found["sentence"]
    advice = f"task-history audit paragon --from {day(5)} --to {day(4)} --repair"
    assert advice in found["next_step"]
    place.run(*advice.split()[1:], expect=None)
    found = why(place, second)
    assert (found["code"], found["brought_by"]["read_by"], found["brought_by"]["run_command"]) == (
        "loaded",
        "repair",
        "audit",
    )


def test_not_listed(world: World) -> None:
    """A single read shows it and the listing of its millisecond does not."""
    place, sandbox = world
    identity = began(sandbox, days_ago(6), days_ago(5), status="SUCCEEDED")[0]
    change(place, "DELETE FROM paragon.workflow_executions WHERE id = ?", identity)
    change(place, "DELETE FROM paragon.execution_details WHERE id = ?", identity)
    sandbox.post("unlisted", {"ids": [identity]})
    found = why(place, identity, "--live")
    sandbox.post("unlisted", {"ids": []})
    assert (found["code"], found["live"]["is_listed"], found["requests"]) == ("not_listed", False, 2)


def test_not_started(world: World) -> None:
    """The vendor knows it and it has no start yet."""
    place, sandbox = world
    identity = began(sandbox, days_ago(20), days_ago(19))[1]
    sandbox.post("unstarted", {"ids": [identity]})
    found = why(place, identity, "--live")
    sandbox.post("unstarted", {"ids": []})
    assert (found["code"], found["requests"]) == ("not_started", 1)
    assert "QUEUED" in found["sentence"]


def test_nothing_is_sent_without_live(world: World) -> None:
    """Without --live no request is sent and no key is needed; with it at most two, also when the vendor fails."""
    place, sandbox = world
    there, away = began(sandbox, days_ago(3), days_ago(2))[0], began(sandbox, days_ago(20), days_ago(19))[0]
    sandbox.reset_counters()
    key = place.env[PREFIX + "API_KEY"]
    place.set(api_key=None)
    for identity in (there, away, "x"):
        why(place, identity, "--around", day(20))
    assert sandbox.requests() == []
    place.set(api_key=key)
    why(place, there, "--live")
    assert len(sandbox.requests()) == 1
    sandbox.faults({"kind": "status500", "times": None})
    sandbox.reset_counters()
    assert "2 requests" in place.run("why", "paragon", away, "--live", expect=4).stderr
    sandbox.faults()
    assert len(sandbox.requests()) == 2


def test_wrong_key(world: World) -> None:
    """A key that is refused, or none, ends as everywhere with exit code 3."""
    place, _ = world
    key = place.env[PREFIX + "API_KEY"]
    place.set(api_key="not-the-right-key")
    done = place.run("why", "paragon", "x", "--live", expect=3)
    assert "refused the credentials" in done.stderr
    assert "not-the-right-key" not in done.stderr
    place.set(api_key=None)
    assert "API_KEY" in place.run("why", "paragon", "x", "--live", expect=3).stderr
    place.set(api_key=key)


def test_before_the_first_sync(tmp_path: Path) -> None:
    """Without a warehouse, or with one that nothing was loaded into, it says how to start."""
    with SandboxProcess(executions=50, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox)
        assert why(place, "x")["code"] == "no_warehouse"
        assert why(place, "x", "--live")["code"] == "never_existed"
        with duckdb.connect(str(place.file)):
            pass
        found = why(place, began(sandbox, days_ago(30), NOW)[0], "--live")
        assert (found["code"], found["live"]["status_code"]) == ("never_synced", 200)
        place.sync("--max-requests", "0")
        assert why(place, "x")["code"] == "never_synced"


def test_open_then_ended(tmp_path: Path) -> None:
    """An open execution is told so; once a sync has found its end, both states are told with their runs."""
    with SandboxProcess(executions=30, seed=5, days=2, freeze=True, open_days=0.3) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        first = place.quick_sync()
        waiting = [row["id"] for row in sandbox.truth() if not row.get("dateEnded")]
        found = why(place, waiting[0])
        assert (found["code"], codes(found)) == ("loaded_open", {"details_after_end"})
        sandbox.advance(6 * 86_400)
        live = why(place, waiting[0], "--live")
        assert "changed_at_source" in codes(live)
        second = place.quick_sync()
        found = why(place, waiting[0])
        assert found["code"] == "loaded"
        states = [(state["status"], state["run_id"]) for state in found["timeline"]]
        assert states[0] == ("DELAYED", first["run_id"])
        assert states[1][0] in ("SUCCEEDED", "FAILED")
        assert states[1][1] == second["run_id"]
        assert found["brought_by"]["run_id"] == first["run_id"]
        assert [state["run_command"] for state in found["timeline"]] == ["sync", "sync"]


@pytest.mark.torture
def test_after_the_cursor_then_late(tmp_path: Path) -> None:
    """What began since waits for the next sync; what became visible behind it is brought late, and told so."""
    with SandboxProcess(executions=400, seed=6, days=2, future_hours=3, freeze=True, late=0) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none")
        now = datetime.now(UTC)
        late = began(sandbox, now - timedelta(hours=1.5), now)[0]
        sandbox.post("unlisted", {"ids": [late]})
        place.quick_sync()
        sandbox.post("unlisted", {"ids": []})
        sandbox.advance(2 * 3600)
        fresh = began(sandbox, now + timedelta(hours=1), now + timedelta(hours=2))[0]
        found = why(place, fresh, "--live")
        assert (found["code"], found["requests"]) == ("after_cursor", 1)
        missing = why(place, late, "--live")
        assert missing["code"] == "missing_in_coverage"
        assert "task-history sync paragon" in missing["next_step"]
        done = place.quick_sync()
        found = why(place, late)
        assert (found["code"], found["brought_by"]["read_by"]) == ("loaded", "late")
        assert (found["brought_by"]["run_id"], found["brought_by"]["request"]) == (done["run_id"], None)
        assert found["brought_by"]["missed_read_at"] is not None
        assert "before it was visible" in place.run("why", "paragon", late).stdout


def test_purged(world: World) -> None:
    """What the vendor deleted is told by what it was: ended, or still open; asking first tells it too."""
    place, sandbox = world
    ended = began(sandbox, days_ago(9), days_ago(8), status="SUCCEEDED")[0]
    waiting = next(row["id"] for row in sandbox.truth() if row["status"] == "DELAYED")
    sandbox.post("purge", {"ids": [ended, waiting]})
    assert why(place, ended)["code"] == "loaded"
    assert why(place, ended, "--live")["code"] == "purged_at_source"
    asked = why(place, waiting, "--live")
    assert (asked["code"], codes(asked)) == ("purged_at_source", {"details_gone"})
    mark = (
        "UPDATE paragon.workflow_executions SET purged_at_source = now(), is_open = FALSE, "
        "resolution = CASE WHEN is_open THEN 'gone' ELSE resolution END WHERE id IN (?, ?)"
    )
    change(place, mark, ended, waiting)
    assert why(place, ended)["code"] == "purged_at_source"
    assert why(place, waiting)["code"] == "gone"


def test_a_replay_is_told(world: World) -> None:
    """The execution that a replay started is told as such until a sync brings it, and after; so is the one replayed."""
    place, sandbox = world
    old, new = began(sandbox, days_ago(2), days_ago(1))[:2]
    for number, (execution, started) in enumerate(((old, "not-synced-yet"), (old, new))):
        change(
            place,
            "INSERT INTO paragon.replays (replay_id, execution_id, new_execution_id, outcome, intended_at, answered_at) "
            "VALUES (?, ?, ?, 'replayed', now() + INTERVAL 1 HOUR, now() + INTERVAL 1 HOUR)",
            f"r{number}",
            execution,
            started,
        )
    assert why(place, "not-synced-yet")["code"] == "replay_not_synced"
    assert "was_replayed" in codes(why(place, old))
    assert "is_a_replay" in codes(why(place, new))


@pytest.mark.torture
def test_purged_by_the_vendor(tmp_path: Path) -> None:
    """What the vendor deleted is told by what it was: ended, or still open; asking first tells it too."""
    with SandboxProcess(executions=60, seed=8, days=1, open_days=0.3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        first = place.quick_sync()
        now = datetime.now(UTC)
        ended = began(sandbox, now - timedelta(hours=2), now, status="SUCCEEDED")[-1]
        waiting = next(row["id"] for row in sandbox.truth() if row["status"] == "DELAYED")
        sandbox.post("purge", {"ids": [ended, waiting]})
        assert why(place, ended)["code"] == "loaded"
        assert why(place, ended, "--live")["code"] == "purged_at_source"
        asked = why(place, waiting, "--live")
        assert (asked["code"], codes(asked)) == ("purged_at_source", {"details_gone"})
        place.quick_sync()
        assert why(place, ended)["code"] == "purged_at_source"
        found = why(place, waiting)
        assert found["code"] == "gone"
        (state,) = found["timeline"]
        assert (state["status"], state["run_id"]) == ("DELAYED", first["run_id"])
        assert state["last_seen"] < found["execution"]["purged_at_source"]


@pytest.mark.torture
def test_beyond_the_retention(tmp_path: Path) -> None:
    """Open until it was purged; lost before a sync came; purged before it was ever read."""
    with SandboxProcess(
        executions=1_200, seed=9, days=8, future_hours=240, open_days=0.3, retention_days=4, freeze=True
    ) as sandbox:
        place = Place(
            tmp_path, sandbox, integrations=None, steps="none", retention_days="4", start_date=day(6)
        )
        place.quick_sync()
        waiting = [row["id"] for row in sandbox.truth() if not row.get("dateEnded")]
        sandbox.advance(7 * 86_400)
        place.quick_sync()
        by_resolution = dict(
            place.query("SELECT resolution, max(id) FROM paragon.workflow_executions GROUP BY resolution")
        )
        assert by_resolution["unresolved_at_retention"] in waiting
        found = why(place, by_resolution["unresolved_at_retention"])
        assert (found["code"], codes(found)) == ("unresolved_at_retention", {"details_expired"})
        lost = why(place, "x", "--around", (NOW + timedelta(days=1)).isoformat())
        assert lost["code"] == "in_gap"
        assert "lost" in lost["sentence"]
        assert lost["loaded"]["lost"]
        assert why(place, "x", "--around", days_ago(5.5).isoformat())["code"] == "beyond_retention"


@pytest.mark.torture
def test_replay(tmp_path: Path) -> None:
    """The execution that a replay started is told as such until a sync brings it, and after."""
    with SandboxProcess(executions=100, seed=4, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none")
        place.quick_sync()
        old = began(sandbox, days_ago(30), NOW)[0]
        sandbox.advance(600)
        url = (
            f"{sandbox.base_url}/projects/{sandbox.project_id}/task-history/workflow-executions/{old}/replay"
        )
        request = urllib.request.Request(
            url, headers={"Authorization": f"Bearer {sandbox.api_key}"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            new = json.load(answer)["id"]
        at = datetime.fromisoformat(sandbox.get("clock")["at"])
        change(
            place,
            "INSERT INTO paragon.replays (replay_id, execution_id, new_execution_id, outcome, intended_at, answered_at) "
            "VALUES ('r', ?, ?, 'replayed', ?, ?)",
            old,
            new,
            at,
            at,
        )
        assert why(place, new)["code"] == "replay_not_synced"
        assert codes(why(place, old)) == {"details_not_wanted", "was_replayed"}
        assert why(place, new, "--live")["code"] == "replay_not_synced"
        place.quick_sync()
        assert "is_a_replay" in codes(why(place, new))


@pytest.mark.torture
def test_refused_details(tmp_path: Path) -> None:
    """Steps that a run left in its backlog, and steps that the vendor does not give, are told apart."""
    with SandboxProcess(executions=60, seed=3, days=2, open_days=0, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, payloads="none", concurrency=1)
        place.sync("--max-requests", "20")
        missing = place.query(
            "SELECT id FROM paragon.workflow_executions WHERE id NOT IN (SELECT id FROM paragon.execution_details)"
        )
        assert codes(why(place, missing[0][0])) == {"details_missing"}
        sandbox.faults({"kind": "status400", "on": "execution", "times": 1})
        place.quick_sync()
        (left,) = place.query("SELECT id FROM paragon.execution_details WHERE outcome = 'unreadable'")
        found = why(place, left[0])
        assert codes(found) == {"details_failing"}
        (told,) = [reason for reason in found["remarks"] if reason["code"] == "details_failing"]
        assert "by 1 run: " in told["sentence"]
        assert "HTTP 400" in told["sentence"]
        assert "A run after 20" in told["next_step"]
        sandbox.post("purge", {"ids": [left[0]]})
        place.make_due()
        place.quick_sync()
        assert codes(why(place, left[0])) & {"details_gone"}


@pytest.mark.torture
def test_read_again_keeps_its_states(tmp_path: Path) -> None:
    """What a backfill read under a filter and another reads whole keeps its first sight."""
    with SandboxProcess(executions=400, seed=12, days=6, freeze=True, open_days=0.4) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none", start_date=day(1))
        backfill(place, days_ago(4), days_ago(3), status="DELAYED")
        identity = began(sandbox, days_ago(4), days_ago(3), status="DELAYED")[0]
        first = why(place, identity)["timeline"]
        sandbox.advance(7 * 86_400)
        backfill(place, days_ago(4), days_ago(3))
        found = why(place, identity)
        assert len(first) == 1
        assert found["timeline"][0]["first_seen"] == first[0]["first_seen"]
        assert [state["status"] for state in found["timeline"]][:1] == ["DELAYED"]
        assert len(found["timeline"]) == 2
        assert found["brought_by"]["filters"] == "status=DELAYED"
