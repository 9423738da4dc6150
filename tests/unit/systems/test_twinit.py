"""Twinit: namespaces, envelopes, tasks within tasks, logs, and answers to what a run asks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.client.responses import ResponseReader, Unauthorized
from task_history.core.errors import ConfigurationError, UnexpectedResponse
from task_history.core.models import Answer, Request
from task_history.settings_reader import build
from task_history.systems.protocol import Detail
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_every_system import held, truth
from tests.support.place import Place

SYSTEM = systems.find("twinit")
GIVEN = {"base_url": "https://t.example", "namespaces": ["A_1", "B_2"], "token": "t"}
VALUES = build(SYSTEM, GIVEN).values
ROOT = "/workflowsvc/api/v1"


def test_requests_are_those_of_the_documentation() -> None:
    """The namespace on every call, both names of the page's size, plural paths with the singular behind."""
    listing = SYSTEM.listing.request(VALUES, None, offset=99, filters={"namespace": "A_1"})
    assert listing.path == f"{ROOT}/workflows"
    plain = {"nsfilter": "A_1", "_count": "100", "_pageSize": "100", "_offset": "99"}
    assert dict(listing.params) == {**plain, "sort": '{"_createdAt":-1}'}
    assert listing.instead is not None
    assert dict(listing.instead.params) == plain
    assert SYSTEM.details.execution_request(VALUES, "r", "B_2").params == (("nsfilter", "B_2"),)
    task = {"_id": "k", "_type": "DO_WHILE", "_status": "COMPLETED"}
    request = SYSTEM.details.request(VALUES, "r", "A_1")
    loops, logs = SYSTEM.details.read(VALUES, request, {"_id": "r", "_tasks": [task]}).more
    assert loops.path == f"{ROOT}/workflows/r/tasks/k/loopovertasks"
    assert loops.instead is not None
    assert loops.instead.path == f"{ROOT}/workflow/r/task/k/loopovertasks"
    assert logs.path == f"{ROOT}/workflows/r/tasks/k/logs"
    assert dict(logs.params) == {"nsfilter": "A_1", "_pageSize": "100", "_offset": "0"}


def test_both_envelopes_are_read() -> None:
    """A bare list says nothing of its length; the other form does. Anything else is refused."""
    row = {
        "_id": "r",
        "_namespaces": ["A_1"],
        "_status": "RUNNING",
        "_createdAt": "2025-05-24T21:26:49.367573830Z",
    }
    bare = SYSTEM.listing.read([row])
    assert (bare.rows[0]["status"], bare.more) == ("RUNNING", None)
    assert SYSTEM.started_at(bare.rows[0]) == datetime(2025, 5, 24, 21, 26, 49, 367573, tzinfo=UTC)
    assert SYSTEM.listing.read({"_offset": 0, "_pageSize": 10, "_total": 2, "_list": [row]}).more is True
    assert SYSTEM.listing.read({"_offset": 1, "_pageSize": 10, "_total": 2, "_list": [row]}).more is False
    with pytest.raises(UnexpectedResponse):
        SYSTEM.listing.read({"_total": 0})


def test_an_end_is_only_guessed_where_there_is_one() -> None:
    """The time of the last change is an end only for what has ended, and only if it is not the time of its making."""
    made = {"_id": "r", "_createdAt": "2025-05-24T21:26:49.367573830Z"}
    for status, updated, end in (
        (
            "COMPLETED",
            "2025-05-24T21:26:59.367573830Z",
            datetime(2025, 5, 24, 21, 26, 59, 367573, tzinfo=UTC),
        ),
        ("COMPLETED", "2025-05-24T21:26:49.367574131Z", None),
        ("RUNNING", "2025-05-24T21:26:59.367573830Z", None),
    ):
        (row,) = SYSTEM.listing.read([{**made, "_status": status, "_updatedAt": updated}]).rows
        assert row["finished_at_estimate"] == end


def test_tasks_within_tasks_are_found() -> None:
    """Forks and cases nest tasks in undocumented ways: each is found and named, with the one that it is within."""
    inner = {"_id": "i", "_type": "SCRIPT_EXECUTION", "_status": "COMPLETED", "_sequenceno": 4}
    fork = {"_id": "f", "_type": "FORK_JOIN", "_status": "COMPLETED", "_branches": [[inner], {"default": []}]}
    rows = SYSTEM.details.read_execution({"_id": "r", "_status": "COMPLETED", "_tasks": [fork]}).steps
    assert [(row["_id"], row["parent_task_id"], row["_name"]) for row in rows] == [
        ("f", None, "FORK_JOIN_None"),
        ("i", "f", "SCRIPT_EXECUTION_4"),
    ]


def test_an_error_within_a_good_answer_is_one() -> None:
    """Success outside and 401 within means that the session is over: log in again."""
    decipherer = ResponseReader("https://t.example", SYSTEM.access.hint, SYSTEM.access.status_in)
    body = b'{"errorResult":{"status":401}}'
    assert isinstance(decipherer.outcome(Request("list", "/x"), 200, {}, body), Unauthorized)
    assert isinstance(decipherer.outcome(Request("list", "/x"), 200, {}, b'{"_list":[]}'), Answer)
    assert SYSTEM.access.status_in is not None


@pytest.mark.parametrize(
    ("missing", "named"),
    [({"base_url": None}, "base_url"), ({"token": None}, "access_key"), ({"namespaces": None}, "namespaces")],
    ids=["address", "credentials", "namespaces"],
)
def test_what_is_missing_is_named(missing: dict[str, Any], named: str) -> None:
    """An address, credentials and a namespace are needed; the error names the one that is not there."""
    with pytest.raises(ConfigurationError, match=named):
        build(SYSTEM, {**GIVEN, **missing})


SWITCHES: dict[str, dict[str, Any]] = {
    "bare_lists_capped": {
        "envelope": False,
        "page_cap": 10,
        "path": "singular",
        "size_name": "_count",
        "lines": 23,
    },
    "oldest_first_short_sessions": {
        "order": "oldest",
        "session": "within",
        "token_life_s": 1,
        "token_says_life": False,
        "tasks": "nested",
        "sort": "refused",
    },
}


@pytest.mark.parametrize("variant", SWITCHES, ids=str)
def test_a_copy_is_perfect_whatever_the_version(tmp_path: Path, variant: str) -> None:
    """Runs, tasks and logs are all there once, in the vendor's order; several namespaces make no run twice."""
    world: dict[str, Any] = {"executions": 40, "seed": 3, "days": 5, "future_hours": 30, "open_days": 0.1}
    with SandboxProcess("twinit", **world, freeze=True, switch=SWITCHES[variant]) as sandbox:
        place = Place(tmp_path, sandbox, system="twinit")
        for hours in (0, 26):
            sandbox.advance(hours * 3600)
            place.quick_sync()
            assert held(place, SYSTEM) == truth(sandbox, SYSTEM)
        assert sandbox.counters()["reads_more_than_once"] == []
        lines = SWITCHES[variant].get("lines", 3)
        counts = place.query(
            "SELECT count(*), max(c), min(c) FROM (SELECT task_id, count(*) AS c, max(position) + 1 AS p "
            "FROM twinit.task_logs GROUP BY task_id) WHERE c = p"
        )
        tasks = place.query("SELECT count(*) FROM twinit.tasks")[0][0]
        assert counts == [(tasks, lines, lines)]
        loops = place.query(
            "SELECT count(*) FROM twinit.tasks AS t JOIN twinit.tasks AS l ON l.id = t.parent_task_id "
            "WHERE l.type = 'DO_WHILE'"
        )
        assert loops[0][0] > 0
        whole = json.loads(place.run("status", "twinit", "--json").stdout)["systems"][0]["read_whole"]
        assert bool(whole) == (variant == "oldest_first_short_sessions")


def test_answers_are_sent_once_and_only_when_told(tmp_path: Path) -> None:
    """Without --yes nothing is sent; with it, one request, also when its answer is a server error."""
    with SandboxProcess("twinit", executions=60, days=3, open_days=1, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system="twinit")
        runs = [run for run in sandbox.truth() if "Alpha_w3MFXx7h" in run["_namespaces"]]
        run_id = next(run["_id"] for run in runs if run["_status"] == "RUNNING")
        words = (
            "answer",
            "twinit",
            run_id,
            f"{run_id}-u",
            "--value",
            "field1=a=b",
            "--part",
            "Alpha_w3MFXx7h",
            "--json",
        )
        shown = json.loads(place.run(*words).stdout)
        assert (shown["sent"], shown["body"]) == (False, {"_userInput": {"field1": "a=b"}})
        assert sandbox.replays()["posts"] == {}
        done = json.loads(place.run(*words, "--yes").stdout)
        assert (done["sent"], done["answer"]) == (True, "Task updated successfully")
        assert sandbox.replays()["posts"] == {f"{run_id}-u": 1}
        sandbox.faults({"kind": "done500", "on": "answer"})
        place.run(*words, "--yes", expect=4)
        assert sandbox.replays()["posts"] == {f"{run_id}-u": 2}
        place.run(*words[:-3], "--yes", expect=2)
        ended = next(run["_id"] for run in runs if run["_status"] != "RUNNING")
        for wrong in ((ended, f"{ended}-u"), (run_id, "input-1"), ("no-such-run", "x"), ("..", "x")):
            refused = place.run(*words[:2], *wrong, *words[4:], "--yes", expect=2)
            assert "Nothing was" in refused.stderr
        assert sum(sandbox.replays()["posts"].values()) == 2
        place.set(base_url="https://someone:hunter2-login@twinit.example")
        shown = place.run(*words[:-1])
        assert "hunter2-login" not in shown.stdout + shown.stderr
        assert "https://twinit.example/" in shown.stdout
        place.set(**sandbox.settings)
        place.set(namespaces='["Gamma_1"]')
        assert "namespaces" in place.run("check", "twinit", expect=3).stderr


TEXT = (
    "begins before any time\n"
    "2026-03-10 17:26:08 INFO Logger initialized\r\n"
    "2026-03-10T17:26:09.5Z [ERROR] it failed\n  at line 3\n\n"
    "2026-03-10 17:26:10 no level here"
)


def logs_of(text: str) -> Detail:
    request = SYSTEM.details.read(VALUES, RUN_REQUEST, RUN).more[-1]
    assert request.may_be_text
    return SYSTEM.details.read(VALUES, request, text)


RUN_REQUEST = SYSTEM.details.execution_request(VALUES, "r", "A_1")
RUN = {"_id": "r", "_status": "COMPLETED", "_tasks": [{"_id": "t", "_type": "X", "_status": "COMPLETED"}]}


def test_a_log_of_plain_text_is_read_by_its_lines() -> None:
    """A line begins with its time; what follows without one belongs to its message, and nothing is lost."""
    [lines] = logs_of(TEXT).children.values()
    assert [(line.get("timestamp"), line.get("level"), line["message"]) for line in lines] == [
        (None, None, "begins before any time"),
        (datetime(2026, 3, 10, 17, 26, 8, tzinfo=UTC), "INFO", "Logger initialized"),
        (datetime(2026, 3, 10, 17, 26, 9, 500_000, tzinfo=UTC), "ERROR", "it failed\n  at line 3\n"),
        (datetime(2026, 3, 10, 17, 26, 10, tzinfo=UTC), None, "no level here"),
    ]
    assert [line["id"] for line in lines] == ["t:0", "t:1", "t:2", "t:3"]


@pytest.mark.parametrize(
    ("text", "reason"), [("", "empty"), ("\n", "empty"), ("please wait", "without the time")]
)
def test_a_log_that_is_none_is_named(text: str, reason: str) -> None:
    """No line is made up, and the task whose log it is is named."""
    detail = logs_of(text)
    assert not any(detail.children.values())
    assert "'t'" in detail.unreadable[0]
    assert reason in detail.unreadable[0]


def _merged(*parts: tuple[str, Any]) -> list[tuple[str, str | None, Any]]:
    """Id, outer task and result of the tasks in answers, each with the loop whose list it is; empty for the run."""
    lists = []
    for loop, data in parts:
        request = SYSTEM.details.execution_request(VALUES, "r", "A_1")
        if loop:
            path = f"{ROOT}/workflows/r/tasks/{loop}/loopovertasks"
            params = (("nsfilter", "A_1"), ("_offset", str(data.pop("asked", 0))))
            request = Request("loop_tasks", path, params)
        lists.append((request, SYSTEM.details.read(VALUES, request, data).steps))
    rows = SYSTEM.details.merge_steps(lists)
    return [(row["_id"], row["parent_task_id"], row.get("_result")) for row in rows]


def _task(identity: str, result: str, **fields: Any) -> dict[str, Any]:
    return {"_id": identity, "_type": "SCRIPT", "_status": "COMPLETED", "_result": result, **fields}


def test_tasks_with_the_same_id_are_told_apart_by_their_list() -> None:
    """Each place in a list is a task; one that several lists show is one task, whatever list comes first."""
    run = {"_id": "r", "_status": "COMPLETED"}
    loops = [_task("loop", "l", _type="DO_WHILE"), _task("other", "o", _type="DO_WHILE")]
    first = {"_list": [_task("again", "1"), _task("again", "2")]}
    second = {"_list": [_task("again", "3")]}
    assert _merged(("", {**run, "_tasks": loops}), ("loop", first), ("other", second)) == [
        ("loop", None, "l"),
        ("other", None, "o"),
        ("again", "loop", "1"),
        ("again", "loop", "2"),
        ("again", "other", "3"),
    ]
    # The run's own list has them too, without their loop.
    flat = [loops[0], _task("again", "1"), _task("again", "2")]
    assert _merged(("", {**run, "_tasks": flat}), ("loop", first)) == [
        ("loop", None, "l"),
        ("again", "loop", "1"),
        ("again", "loop", "2"),
    ]
    # Only the last iteration of a loop stands there.
    assert _merged(("", {**run, "_tasks": flat[::2]}), ("loop", first))[1:] == [
        ("again", "loop", "1"),
        ("again", "loop", "2"),
    ]
    # Tasks in two fields of one outer task are the same ones, tasks in two outer ones with the same id are not.
    fork = _task("fork", "f", _branches=[[_task("in", "a")]], _joined=[_task("in", "a")])
    assert _merged(("", {**run, "_tasks": [fork, fork]})) == [
        ("fork", None, "f"),
        ("fork", None, "f"),
        ("in", "fork", "a"),
        ("in", "fork", "a"),
    ]


def test_a_page_that_repeats_what_was_read_adds_no_task() -> None:
    """A server that gives less than it was asked for, or does not heed the offset, says where its page begins."""
    run = {"_id": "r", "_status": "COMPLETED", "_tasks": []}
    pages = [[_task("again", "1"), _task("again", "2")], [_task("again", "2"), _task("again", "3")]]
    parts = [
        ("loop", {"asked": 2 * at, "_offset": at, "_total": 3, "_list": page})
        for at, page in enumerate(pages)
    ]
    assert [result for _, _, result in _merged(("", run), *parts)] == ["1", "2", "3"]
