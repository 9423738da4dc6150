"""Ids that a vendor sends: none leads out of its folder, and an answer for another id is not believed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_history import systems
from task_history.core.errors import UnexpectedResponse, UnusableId
from task_history.systems.checked_ids import MAX_ID_CHARS, check_id, path_of
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import INTEGRATIONS, Place
from tests.support.sandbox_proxy import Between
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 24,
    "days": 4,
    "workflows": 2,
    "failed": 0.3,
    "open_days": 0.3,
    "seed": 5,
}
SINGLE = {
    "paragon": [r"(/workflow-executions/)[^/?]+()$"],
    "sailpoint": [r"(/workflow-executions/)[^/?]+()$"],
    "twinit": [r"(/workflows/)[^/?]+(\?.*)$"],
    "b3os": [r"(/v1/executions/)(?!stats)[^/?]+()$", r"(/v1/runs/)[^/?]+()$"],
}
"""Where the id stands in the target of a single read that names it in its answer."""
USABLE = ("x", "a/b", "a.b", "...", "%2e%2e", "ä", "a b", "?x#y", "\u202e", "x" * MAX_ID_CHARS)
UNUSABLE = (
    "",
    ".",
    "..",
    "a/../b",
    "..\\x",
    "/..",
    "a\x00",
    "a\nb",
    "\x7f",
    "\x85",
    "\ud800",
    "x" * (MAX_ID_CHARS + 1),
)


@pytest.mark.parametrize("identity", UNUSABLE)
def test_an_id_that_leaves_its_folder_is_refused(identity: str) -> None:
    """Dots that servers resolve, nothing, control characters and what no server takes are in no path."""
    with pytest.raises(UnusableId) as caught:
        path_of("/jobs", "x", identity)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_each_letter_of_an_id_stays_in_one_segment() -> None:
    """What is not refused stands in the path as one segment, and is that id again once it is decoded."""
    letters = map(chr, [*range(0x3000), *range(0xD700, 0xE100), 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF])
    for identity in (*USABLE, *(form for letter in letters for form in (letter, f"a{letter}..{letter}b"))):
        check_segment(identity)


@pytest.mark.torture
@given(st.one_of(st.sampled_from(USABLE), st.text(min_size=1, max_size=20)))
def test_an_id_is_one_segment(identity: str) -> None:
    """The same of any text."""
    check_segment(identity)


def check_segment(identity: str) -> None:
    """The id is refused, or stands in the path as one segment."""
    try:
        path = path_of("/jobs", identity)
    except UnusableId:
        return
    folder, segment = path.rsplit("/", 1)
    assert (folder, unquote(segment)) == ("/jobs", identity)
    assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", segment)


def test_every_usable_id_is_used() -> None:
    """Odd letters are no reason to leave an execution unread."""
    assert all(path_of("/jobs", identity) for identity in USABLE)


def where(name: str, what: str) -> tuple[str, ...]:
    """Where the system says that an answer names what it is about."""
    system = systems.find(name)
    payloads, statistics = system.payloads, system.statistics
    found = {"execution": system.details.execution_ids}
    if payloads is not None:
        found |= {"step": payloads.step_ids, "payload": payloads.execution_ids}
    if statistics is not None:
        found |= {"granularity": statistics.granularity_ids}
    return found[what]


STEPS = [{"workflowExecutionId": "A"}, {"workflowExecutionId": "B"}]
ANSWERS: list[tuple[str, str, Any, str]] = [
    ("paragon", "execution", {"id": "B"}, "$.id"),
    ("paragon", "execution", {"id": "A", "stepExecutions": STEPS}, "$.stepExecutions[1].workflowExecutionId"),
    ("paragon", "step", {"id": "B", "input": 1}, "$.id"),
    ("paragon", "payload", {"workflowExecutionId": "B", "input": 1}, "$.workflowExecutionId"),
    ("sailpoint", "execution", {"id": "B"}, "$.id"),
    ("sailpoint", "execution", [{"id": "B"}], "$[0].id"),
    ("twinit", "execution", {"_id": "B"}, "$._id"),
    ("b3os", "execution", {"data": {"execution": {"id": "B"}}}, "$.data.execution.id"),
    (
        "b3os",
        "execution",
        {"data": {"execution": {"id": "A"}, "events": [{"executionId": "B"}]}},
        "$.data.events[0].executionId",
    ),
    ("b3os", "granularity", {"data": {"granularity": "B"}}, "$.data.granularity"),
]


@pytest.mark.parametrize(("name", "what", "data", "place"), ANSWERS, ids=lambda value: str(value)[:40])
def test_another_id_is_named_with_its_place(name: str, what: str, data: Any, place: str) -> None:
    """Wherever the documented answer names what it is about, another id there is an unexpected answer."""
    with pytest.raises(UnexpectedResponse) as caught:
        check_id(what, where(name, what), data, "A")
    assert f"{place} is 'B'," in str(caught.value)


def test_an_answer_without_ids_is_let_pass() -> None:
    """What a contract does not promise may be left out or empty; a long id in an error is cut."""
    check_id("step", where("paragon", "step"), {"input": {"id": "B"}, "output": [{"id": "B"}]}, "A")
    check_id("execution", where("paragon", "execution"), {"id": "A", "stepExecutions": [{"id": "s"}]}, "A")
    events = {"data": {"execution": {"id": "A"}, "events": [{"executionId": ""}, {}]}}
    check_id("execution", where("b3os", "execution"), events, "A")
    runs = systems.find("b3os").companions[0]
    check_id("execution", runs.details.execution_ids, {"data": {"id": "A"}}, "A")
    with pytest.raises(UnexpectedResponse) as caught:
        check_id("execution", where("paragon", "execution"), {"id": "b" * 1_000_000}, "A")
    assert len(str(caught.value)) < 250


@pytest.fixture(scope="module", params=systems.names())
def behind(request: pytest.FixtureRequest) -> Iterator[tuple[str, SandboxProcess]]:
    with SandboxProcess(request.param, freeze=True, **WORLD) as sandbox:
        yield request.param, sandbox


def rows(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    """All executions, steps and payloads of all lists, without what tells when and by whom they were read.

    The note that steps are to be read again is no step.
    """
    system = systems.find(place.system)
    found = {}
    for one in (system, *system.companions):
        for table in (
            one.executions,
            one.details.steps,
            one.details.log,
            *([one.payloads.table] if one.payloads else []),
        ):
            names = [
                column.name
                for column in table.columns
                if column.name
                not in (
                    *one.details.list_only_columns,
                    "fetched_at",
                    "loaded_at",
                    "run_id",
                    "status_seen_at",
                    "read_by",
                )
            ]
            noted = " WHERE outcome <> 'again'" if table is one.details.log else ""
            found[table.name] = sorted(
                place.query(f"SELECT {', '.join(names)} FROM {place.system}.{table.name}{noted}"), key=repr
            )
    return found


@pytest.mark.parametrize("behind", rest_as_torture(systems.names(), ("paragon",)), indirect=True)
def test_an_answer_for_another_id_is_not_believed(tmp_path: Path, behind: tuple[str, SandboxProcess]) -> None:
    """While every single read answers with B, nothing of B is stored for another; an honest vendor mends it all."""
    name, sandbox = behind
    system = systems.find(name)
    lists = (system, *system.companions)
    with Between(sandbox.base_url) as between:
        place = Place(tmp_path, sandbox, system=name, base_url=between.url, steps="failed", integrations=None)
        place.sync()
        was_open = open_ones(place)
        assert was_open
        place.set(steps="all")
        sandbox.advance(2 * 86_400)
        others = [place.query(f"SELECT min(id) FROM {name}.{one.executions.name}")[0][0] for one in lists]
        elsewhere = [
            f"SELECT count(*) FROM {name}.{one.details.log.name} WHERE id <> '{other}' AND outcome = 'loaded'"
            for one, other in zip(lists, others, strict=True)
        ]
        before = [place.query(sql) for sql in elsewhere]
        between.asks = partial(of_another, list(zip(SINGLE[name], others, strict=True)))
        hostile = place.sync()
        assert hostile["left"]["details"] or not system.details.come_with_execution
        if system.details.come_with_execution:
            assert "is about another" in hostile["stderr"]
            assert [place.query(sql) for sql in elsewhere] == before
        assert open_ones(place) <= was_open
        assert not place.query(
            f"SELECT 1 FROM {name}.{system.executions.name} GROUP BY id HAVING count(*) > 1"
        )
        between.asks = lambda target: target
        place.make_due()
        place.sync()
        (tmp_path / "honest").mkdir()
        honest = Place(tmp_path / "honest", sandbox, system=name, integrations=None)
        honest.sync()
        assert rows(place) == rows(honest)


def of_another(singles: Sequence[tuple[str, str]], target: str) -> str:
    """The target of a single read with the other id."""
    for pattern, other in singles:
        target = re.sub(pattern, rf"\g<1>{other}\g<2>", target)
    return target


def open_ones(place: Place) -> set[str]:
    """The executions that are stored as open."""
    system = systems.find(place.system)
    return {
        row[0]
        for one in (system, *system.companions)
        for row in place.query(f"SELECT id FROM {place.system}.{one.executions.name} WHERE is_open")
    }


IDS = {"paragon": "id", "sailpoint": "id", "twinit": "_id", "b3os": "id"}


@pytest.mark.parametrize(
    ("behind", "identity"),
    rest_as_torture(
        product(systems.names(), ("..", ".", "a\x01b")),
        kept=[("sailpoint", "..")],
    ),
    indirect=["behind"],
)
def test_a_row_with_such_an_id_holds_nothing_up(
    tmp_path: Path, behind: tuple[str, SandboxProcess], identity: str
) -> None:
    """It is loaded as a row, its details are noted as unreadable with the reason, once, and nothing asks for it."""
    name, sandbox = behind
    system = systems.find(name)
    sandbox.advance(4 * 86_400)
    truth = sandbox.truth()
    chosen = next(row[IDS[name]] for row in truth)
    old, new = (json.dumps(text).encode() for text in (chosen, identity))
    with Between(sandbox.base_url) as between:
        between.answers = lambda _, body: body.replace(old, new)
        place = Place(tmp_path, sandbox, system=name, base_url=between.url)
        first = place.sync()
        table, details_log = f"{name}.{system.executions.name}", f"{name}.{system.details.log.name}"
        assert place.query(f"SELECT count(*), sum(is_open::INT) FROM {table}") == [(len(truth), 0)]
        noted = place.query(
            f"SELECT id, outcome, unreadable_reason FROM {details_log} WHERE outcome <> 'loaded'"
        )
        assert [row[:2] for row in noted] == [(identity, "unreadable")]
        assert "cannot be part of a request's path" in noted[0][2]
        assert place.query(f"SELECT count(*) FROM {details_log}") == [(len(truth),)]
        assert first["complete"]
        assert "unreadable" not in place.sync()["stderr"]
        folders = re.compile(r"/(workflow-executions|workflows|executions|runs)/(\.|%2E|%2e|%01|$)")
        assert not [target for target in between.asked if folders.search(target)]


def test_parts_with_such_an_id_hold_nothing_up(tmp_path: Path) -> None:
    """A step or task whose id no path can hold is loaded; its payload or log is noted with the reason, once."""
    with SandboxProcess("paragon", freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        steps = [step for row in sandbox.truth(steps=True) for step in row["_steps"]]
        old = next(step["id"] for step in steps if step["status"] == "FAILED").encode()
        with Between(sandbox.base_url) as between:
            between.answers = lambda _, body: body.replace(b'"%s"' % old, b'".."')
            place = Place(tmp_path, sandbox, base_url=between.url)
            first = place.sync()
            failed = sum(step["status"] == "FAILED" for step in steps)
            outcomes = "SELECT outcome, count(*) FROM paragon.step_payloads GROUP BY outcome ORDER BY outcome"
            assert place.query(outcomes) == [("loaded", failed - 1), ("unreadable", 1)]
            [(reason,)] = place.query(
                "SELECT unreadable_reason FROM paragon.step_payloads WHERE step_execution_id = '..'"
            )
            assert "cannot be part of a request's path" in reason
            assert (first["complete"], first["left"]["payloads"]) == (True, 0)
            assert not place.sync()["payloads"]
            assert not [target for target in between.asked if target.endswith(("/..", "step-executions/"))]
            assert (
                "no address can hold the id" in place.run("why", "paragon", _execution_of(steps, old)).stdout
            )


def _execution_of(steps: Sequence[Mapping[str, Any]], step_id: bytes) -> str:
    return next(str(one["workflowExecutionId"]) for one in steps if one["id"] == step_id.decode())


@pytest.mark.torture
def test_a_task_with_such_an_id_costs_its_log_only(tmp_path: Path) -> None:
    """The run's tasks and the logs of the others are loaded; what is missing is noted beside the run."""
    with SandboxProcess("twinit", freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        run = sandbox.truth()[0]["_id"]
        with Between(sandbox.base_url) as between:
            between.answers = lambda _, body: body.replace(f'"{run}-a"'.encode(), b'".."')
            place = Place(tmp_path, sandbox, system="twinit", base_url=between.url)
            assert place.sync()["complete"]
            noted = place.query(
                "SELECT id, outcome FROM twinit.run_details WHERE unreadable_reason IS NOT NULL"
            )
            assert noted == [(run, "loaded")]
            logged = "SELECT DISTINCT task_id FROM twinit.task_logs WHERE workflow_execution_id = ?"
            logged = logged.replace("?", f"'{run}'")
            assert (".." not in {row[0] for row in place.query(logged)}, bool(place.query(logged))) == (
                True,
                True,
            )
            assert place.query("SELECT count(*) FROM twinit.tasks WHERE id = '..'") == [(1,)]
            assert not [target for target in between.asked if "/../" in target]


@pytest.mark.parametrize("name", rest_as_torture(["paragon", "sailpoint"], ["paragon"]))
def test_an_open_row_with_such_an_id_settles_by_a_list(tmp_path: Path, name: str) -> None:
    """What cannot be read singly is brought to its end by the list that shows it."""
    system = systems.find(name)
    with SandboxProcess(name, freeze=True, **WORLD) as sandbox:
        chosen = next(row["id"] for row in sandbox.truth() if system.is_open(row))
        old = json.dumps(chosen).encode()
        with Between(sandbox.base_url) as between:
            between.answers = lambda _, body: body.replace(old, b'".."')
            place = Place(tmp_path, sandbox, system=name, base_url=between.url, steps="none")
            place.sync()
            state = f"SELECT is_open FROM {name}.{system.executions.name} WHERE id = '..'"
            assert place.query(state) == [(True,)]
            sandbox.advance(4 * 86_400)
            place.sync()
            assert place.query(state) == [(False,)]
            assert open_ones(place) == set()


FAILED: dict[str, tuple[tuple[str, ...], str]] = {
    "paragon": (("status",), "FAILED"),
    "twinit": (("_status",), "FAILED"),
    "b3os": (("data", "execution", "status"), "workflow_failed"),
}
"""Where a single read says the status, and one that is failed."""


@pytest.mark.parametrize("name", rest_as_torture(FAILED, ["twinit"]))
def test_another_status_in_a_single_read_is_taken(tmp_path: Path, name: str) -> None:
    """Where the single read shows another end than the listing did, its state is stored, and its details once."""
    system = systems.find(name)
    path, status = FAILED[name]

    def failed(target: str, body: bytes) -> bytes:
        if not re.search(SINGLE[name][0], target):
            return body
        data = inner = json.loads(body)
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = status
        return json.dumps(data).encode()

    with SandboxProcess(name, freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        with Between(sandbox.base_url) as between:
            between.answers = failed
            place = Place(tmp_path, sandbox, system=name, base_url=between.url)
            assert place.sync()["complete"]
            number = len(sandbox.truth())
            statuses = f"SELECT status, count(*) FROM {name}.{system.executions.name} GROUP BY status"
            assert place.query(statuses) == [(status, number)]
            logged = f"SELECT count(*), count(DISTINCT id) FROM {name}.{system.details.log.name}"
            assert place.query(logged) == [(number, number)]


def test_a_list_of_another_workflow_is_not_believed(tmp_path: Path) -> None:
    """Rows of another workflow cover nothing of the one that was asked for; an honest vendor mends it."""
    with SandboxProcess("sailpoint", freeze=True, **{**WORLD, "workflows": 3}) as sandbox:
        sandbox.advance(4 * 86_400)
        numbers = Counter(row["workflowId"] for row in sandbox.truth())
        wrong, other = sorted(numbers)[:2]
        with Between(sandbox.base_url) as between:
            between.asks = lambda target: target.replace(f"/{wrong}/", f"/{other}/")
            place = Place(tmp_path, sandbox, system="sailpoint", base_url=between.url, steps="none")
            told = place.sync(expect=None)
            assert "$[0].workflowId is" in told["stderr"]
            held = "SELECT workflow_id, count(*) FROM sailpoint.workflow_executions GROUP BY workflow_id"
            assert dict(place.query(held)) == {key: number for key, number in numbers.items() if key != wrong}
            between.asks = lambda target: target
            assert place.sync()["complete"]
            assert dict(place.query(held)) == numbers


@pytest.mark.torture
def test_a_workflow_with_such_an_id_costs_its_list_only(tmp_path: Path) -> None:
    """Where a workflow's id cannot stand in a path, its row and all other lists are loaded, and nothing asks for it."""
    with SandboxProcess("sailpoint", freeze=True, **{**WORLD, "workflows": 3}) as sandbox:
        sandbox.advance(4 * 86_400)
        numbers = Counter(row["workflowId"] for row in sandbox.truth())
        lost = min(numbers)
        with Between(sandbox.base_url) as between:
            between.answers = lambda _, body: body.replace(f'"{lost}"'.encode(), b'".."')
            place = Place(tmp_path, sandbox, system="sailpoint", base_url=between.url)
            told = place.sync()
            assert "cannot be part of a request's path" in told["stderr"]
            held = "SELECT workflow_id, count(*) FROM sailpoint.workflow_executions GROUP BY workflow_id"
            assert dict(place.query(held)) == {key: number for key, number in numbers.items() if key != lost}
            assert place.query("SELECT count(*) FROM sailpoint.workflows WHERE id = '..'") == [(1,)]
            assert not [target for target in between.asked if "/../" in target]


def test_an_integration_by_an_answer_of_another_workflow_is_asked_again(tmp_path: Path) -> None:
    """What rows of another workflow tell of its integration is not kept; the next sync asks again."""
    with SandboxProcess("paragon", freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        right = "SELECT workflow_id, integration FROM paragon.workflows ORDER BY workflow_id"
        with Between(sandbox.base_url) as between:
            workflows = sorted({row["workflowId"] for row in sandbox.truth()})
            pairs = dict(zip(workflows, [*workflows[1:], workflows[0]], strict=True))
            between.asks = lambda target: re.sub(
                r"(workflowId=)([^&]+)&integration=[^&]+", lambda found: found[1] + pairs[found[2]], target
            )
            place = Place(tmp_path, sandbox, base_url=between.url, steps="none", integrations=INTEGRATIONS)
            assert "is about another workflow" in place.sync()["stderr"]
            assert {row[1] for row in place.query(right)} == {None}
            between.asks = lambda target: target
            place.sync()
            assert all(row[1] for row in place.query(right))
