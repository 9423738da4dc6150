"""The sandbox follows the vendor's contract, counts exactly, and is the same world for the same seed."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess

NOW = "2026-06-01T12:00:00+00:00"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=1_000, seed=7, now=NOW, freeze=True) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_new(sandbox: SandboxProcess) -> None:
    sandbox.faults()
    sandbox.limit(0, 600)
    sandbox.set_clock(NOW)
    sandbox.switches(
        next_link="other",
        total="present",
        envelope="workflowExecutions",
        after="exclusive",
        before="exclusive",
    )


def ask(
    sandbox: SandboxProcess, path: str = "", *, key: str | None = None, method: str = "GET", **query: Any
) -> Any:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    url = f"{sandbox.base_url}/projects/{sandbox.project_id}/task-history/workflow-executions{path}?{words}"
    headers = {"Authorization": f"Bearer {key or sandbox.api_key}"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers, method=method), timeout=10
        ) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_a_page_is_as_documented(sandbox: SandboxProcess) -> None:
    """100 rows, newest first, a link elsewhere that names another order, and the count of all."""
    status, page, headers = ask(sandbox)
    assert status == 200
    assert list(page) == ["workflowExecutions", "nextLink", "total"]
    rows = page["workflowExecutions"]
    assert len(rows) == 100
    assert page["total"] == len(sandbox.truth())
    assert [row["dateStarted"] for row in rows] == sorted((row["dateStarted"] for row in rows), reverse=True)
    assert page["nextLink"].startswith(sandbox.evil_url)
    assert page["nextLink"].endswith("sortBy=ASC&offset=100")
    assert headers["Date"] == "Mon, 01 Jun 2026 12:00:00 GMT"
    settled = next(row for row in rows if row["status"] in ("SUCCEEDED", "FAILED"))
    assert set(settled) == {
        "id", "userId", "taskCount", "runDuration", "workflowId", "status", "dateEnded", "dateStarted",
    }  # fmt: skip


def test_pages_hold_everything_once(sandbox: SandboxProcess) -> None:
    """Paging oldest first gives the truth, in order."""
    found: list[Any] = []
    while True:
        _, page, _ = ask(sandbox, sortBy="ASC", offset=len(found))
        found += page["workflowExecutions"]
        if page["nextLink"] is None:
            break
    assert found == sandbox.truth()


def test_bounds_are_switches(sandbox: SandboxProcess) -> None:
    """A bound excludes its own instant, or includes it when switched."""
    at = sandbox.truth()[500]["dateStarted"]
    same = sum(row["dateStarted"] == at for row in sandbox.truth())
    for side, bound in (("after", "afterDate"), ("before", "beforeDate")):
        _, without, _ = ask(sandbox, **{bound: at})
        sandbox.switches(**{side: "inclusive"})
        _, with_it, _ = ask(sandbox, **{bound: at})
        assert with_it["total"] - without["total"] == same


def test_a_switch_may_be_the_word_null() -> None:
    """``open_rows=null`` on the command line sends null for what is not known yet, instead of leaving it out."""
    with SandboxProcess(
        executions=400, seed=7, now=NOW, freeze=True, switch={"open_rows": "null"}
    ) as running:
        is_open = [row for row in running.truth() if row["status"] in ("EXECUTING", "DELAYED")]
        assert is_open
        for row in is_open:
            assert [row[name] for name in ("dateEnded", "runDuration", "taskCount")] == [None, None, None]


def test_filters_agree_with_the_truth(sandbox: SandboxProcess) -> None:
    """Each filter gives as many as the truth holds."""
    truth = sandbox.truth()
    for name in ("status", "workflowId", "userId"):
        value = next(
            row[name] for row in truth if row[name] and "+" not in row[name] and " " not in row[name]
        )
        _, page, _ = ask(sandbox, **{name: value})
        assert page["total"] == sum(row[name] == value for row in truth)
    _, page, _ = ask(sandbox, status="EXECUTING")
    assert page["total"] == sum(row["status"] == "EXECUTING" for row in truth)


def test_a_detail_has_steps_and_seconds(sandbox: SandboxProcess) -> None:
    """The single read rounds to seconds, its steps are linked by id, and each has a payload."""
    row = next(row for row in sandbox.truth() if row["status"] == "FAILED")
    _, detail, _ = ask(sandbox, f"/{row['id']}")
    assert detail["runDuration"] == round(row["runDuration"] / 1000)
    steps = detail["stepExecutions"]
    assert [step["prev"] for step in steps] == [None, *(step["id"] for step in steps[:-1])]
    assert steps[-1]["status"] == "FAILED"
    _, payload, _ = ask(sandbox, f"/{row['id']}/step-executions/{steps[-1]['id']}")
    assert set(payload) == {"isLargeInput", "isLargeOutput", "input", "output"}
    assert payload["output"].startswith("Error: ")


def test_refusals(sandbox: SandboxProcess) -> None:
    """A wrong key is 401, another project 403, an unknown execution 404, a wrong date 400."""
    assert ask(sandbox, key="wrong")[0] == 401
    assert ask(sandbox, "/00000000-0000-4000-8000-000000000000")[0] == 404
    assert ask(sandbox, afterDate="yesterday")[0] == 400
    assert ask(sandbox, "/x/replay", method="POST")[0] == 404


def test_the_same_seed_is_the_same_world(sandbox: SandboxProcess) -> None:
    """Another process with the same words tells the same truth; another seed another one."""
    with SandboxProcess(executions=1_000, seed=7, now=NOW, freeze=True) as again:
        assert again.truth(steps=True) == sandbox.truth(steps=True)
    with SandboxProcess(executions=1_000, seed=8, now=NOW, freeze=True) as other:
        assert other.truth() != sandbox.truth()


def test_time_changes_the_world(sandbox: SandboxProcess) -> None:
    """As the clock moves executions end; after the retention they are gone."""
    is_open = [row["id"] for row in sandbox.truth() if "dateEnded" not in row]
    assert is_open
    sandbox.advance(6 * 86_400)
    assert all("dateEnded" in row for row in sandbox.truth())
    sandbox.advance(100 * 86_400)
    assert sandbox.truth() == []


def test_the_limit_is_exact(sandbox: SandboxProcess) -> None:
    """Ten are answered, the eleventh is told how long to wait; after that it is answered."""
    sandbox.limit(10, 3.0)
    answers = [ask(sandbox) for _ in range(11)]
    assert [answer[0] for answer in answers] == [200] * 10 + [429]
    assert int(answers[-1][2]["Retry-After"]) >= 1
    assert sandbox.counters()["violations"] == 1
    time.sleep(3.1)
    assert ask(sandbox)[0] == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [("status500", 500), ("status502_html", 502), ("revoked", 401), ("redirect", None), ("not_json", None)],
)
def test_faults_come_as_told(sandbox: SandboxProcess, kind: str, status: int | None) -> None:
    """A rule lets the first ones pass and then fails as often as it says."""
    sandbox.faults({"kind": kind, "after": 1, "times": 1})
    assert ask(sandbox)[0] == 200
    if status is None:
        if kind == "not_json":
            with pytest.raises(json.JSONDecodeError):
                ask(sandbox)
        else:
            ask(sandbox)
            assert sandbox.requests()[-1]["origin"] == "evil"
    else:
        assert ask(sandbox)[0] == status


def test_the_log_has_key_and_origin(sandbox: SandboxProcess) -> None:
    """Whoever asks is written down with the key that was sent."""
    sandbox.reset_counters()
    ask(sandbox)
    logged = sandbox.requests()
    assert [(one["kind"], one["origin"], one["authorization"]) for one in logged] == [
        ("list", "main", f"Bearer {sandbox.api_key}")
    ]


@pytest.mark.parametrize("same_id", [False, True])
def test_a_replay_runs_again(same_id: bool) -> None:
    """It begins now, under a new id or its own, is listed by every filter, settles, and is counted by its posts."""
    with SandboxProcess(
        executions=300,
        seed=7,
        now=NOW,
        days=2,
        future_hours=1,
        freeze=True,
        switch={"replay_same_id": same_id},
    ) as sandbox:
        before = {row["id"]: row for row in sandbox.truth()}
        old = next(row for row in before.values() if row["status"] == "FAILED")
        steps = {step["id"] for step in ask(sandbox, f"/{old['id']}")[1]["stepExecutions"]}
        sandbox.advance(60)
        status, made, _ = ask(sandbox, f"/{old['id']}/replay", method="POST")
        assert status == 201
        assert set(made) == {"id", "userId", "workflowId", "status", "dateStarted"}
        assert (made["id"] == old["id"], made["status"]) == (same_id, "EXECUTING")
        assert (made["workflowId"], made["userId"]) == (old["workflowId"], old["userId"])
        assert sandbox.replays() == {"posts": {old["id"]: 1}, "began": {old["id"]: [made["id"]]}}
        for query in ({"status": "EXECUTING"}, {"workflowId": old["workflowId"], "status": "EXECUTING"}):
            assert made["id"] in [row["id"] for row in ask(sandbox, **query)[1]["workflowExecutions"]]
        sandbox.advance(60)
        after = {row["id"]: row for row in sandbox.truth()}
        assert after[made["id"]]["status"] == "SUCCEEDED"
        assert all(
            after[key] == before[key] for key in before if key != made["id"] and "dateEnded" in before[key]
        )
        detail = ask(sandbox, f"/{made['id']}")[1]
        assert detail["stepExecutions"]
        assert not steps & {step["id"] for step in detail["stepExecutions"]}
