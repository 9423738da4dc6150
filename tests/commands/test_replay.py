"""A replay shows what it would send, sends each request once, and says what came of it."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history_cli import cli
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import PERFECT, Place, differences
from tests.support.snapshot import Snapshot
from tests.support.torture import rest_as_torture

RANGE = ("--failed", "--from", "2026-01-01", "--to", "2027-01-01")
"""Everything that the warehouse holds."""
WORLD: dict[str, Any] = {
    "executions": 140,
    "seed": 51,
    "days": 4,
    "failed": 0.3,
    "open_days": 0.0,
    "now": datetime.now(UTC).isoformat(timespec="seconds"),
    "freeze": True,
}


class Synced:
    """Warehouses that hold what a sandbox shows, each loaded once and put back for each test."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._loaded: dict[str, Snapshot] = {}

    @contextmanager
    def __call__(
        self, *, loads: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **options: Any
    ) -> Iterator[tuple[Place, SandboxProcess]]:
        """A place and its vendor, whose world has the options; ``loads`` are settings of the sync before."""
        world: dict[str, Any] = {**WORLD, **options}
        loads = {"steps": "failed", "integrations": None, **(loads or {})}
        with SandboxProcess(**world) as sandbox:
            name = repr((world, loads))
            if name not in self._loaded:
                place = Place(self._folders.mktemp("synced"), sandbox, **loads)
                place.quick_sync()
                self._loaded[name] = Snapshot(place)
                sandbox.reset_counters()
            place = self._loaded[name].restore()
            place.set(**{"timeout_s": 1, **sandbox.settings, **(settings or {})})
            yield place, sandbox


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Synced:
    return Synced(tmp_path_factory)


def replay(place: Place, *words: str, expect: int = 0) -> dict[str, Any]:
    """What ``replay --json`` says; within this process, without the seconds that a new one takes."""
    out = io.StringIO()
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(place.env)
        with chdir(place.folder), redirect_stdout(out):
            code = cli.main(["replay", "paragon", *words, "--json"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert code == expect, out.getvalue()
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def failed(sandbox: SandboxProcess) -> list[str]:
    """Failed executions, oldest first."""
    rows = [row for row in sandbox.truth() if row["status"] == "FAILED"]
    return [row["id"] for row in sorted(rows, key=lambda row: (row["dateStarted"], row["id"]))]


def posts(sandbox: SandboxProcess) -> dict[str, int]:
    found: dict[str, int] = sandbox.replays()["posts"]
    return found


def ids(told: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in told]


def outcomes(told: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["outcome"] for one in told["executions"]}


def test_nothing_is_sent_before_yes_and_the_shown_command_sends_what_was_shown(synced: Synced) -> None:
    """Without --yes no request and no row; the command that it prints replays exactly those, oldest first."""
    with synced() as (place, sandbox):
        right = failed(sandbox)[-8:]
        began = {row["id"]: row["dateStarted"] for row in sandbox.truth()}
        chosen = ("--failed", "--from", began[right[0]], "--to", "2027-01-01")
        runs = place.query("SELECT count(*) FROM paragon.sync_runs")
        told = replay(place, *chosen)
        text = place.run("replay", "paragon", *chosen).stdout
        assert sandbox.requests() == []
        assert place.query("SELECT count(*) FROM paragon.sync_runs") == runs
        assert place.query("SELECT count(*) FROM paragon.replays") == [(0,)]
        assert ids(told["would_replay"]) == right
        assert all(identity in text for identity in right)
        assert "beta" in text
        assert "https://docs.useparagon.com/apis/task-history" in text
        assert "contradictory" in told["caveat"]
        assert told["requests"] == len(right)
        assert told["go_on"].partition(" --to ")[0] in text
        done = place.run(*shlex.split(text.splitlines()[-1])[1:])
        assert "beta" in done.stdout
        asked = [
            request["target"].split("/")[-2] for request in sandbox.requests() if request["kind"] == "replay"
        ]
        assert asked == right
        replayed = sandbox.replays()["began"]
        rows = place.query("SELECT execution_id, new_execution_id, outcome, status_code FROM paragon.replays")
        assert sorted(rows) == sorted((one, replayed[one][0], "replayed", 201) for one in right)
        assert place.query("SELECT outcome, is_complete FROM paragon.sync_runs WHERE command = 'replay'") == [
            ("complete", True)
        ]
        sandbox.advance(3600)
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT
        assert {new for (new,) in replayed.values()} <= place.executions().keys()


LOST: dict[str, tuple[str, bool]] = {
    "reset": ("unknown", True),
    "stall": ("unknown", True),
    "truncated": ("unknown", True),
    "done500": ("unknown", True),
    "status500": ("unknown", False),
    "status502_html": ("unknown", False),
    "status503": ("unknown", False),
    "status503_retry_after": ("unknown", False),
    "not_json": ("unknown", False),
    "empty": ("unknown", False),
    "status429": ("refused", False),
    "status409": ("refused", False),
}


def test_each_answer_ends_with_one_request(synced: Synced) -> None:
    """A lost or bad answer is recorded and not asked for again; the others go on; what may have run is skipped later."""
    with synced() as (place, sandbox):
        chosen = failed(sandbox)[: 2 * len(LOST) + 1]
        faulty = dict(zip(chosen[1::2], LOST.values(), strict=True))
        # Every second request meets a fault.
        sandbox.faults(
            *({"kind": fault, "on": "replay", "after": at + 1, "times": 1} for at, fault in enumerate(LOST))
        )
        told = replay(place, *chosen, "--yes", expect=4)
        assert posts(sandbox) == dict.fromkeys(chosen, 1)
        assert outcomes(told) == {one: faulty[one][0] if one in faulty else "replayed" for one in chosen}
        assert dict(place.query("SELECT execution_id, outcome FROM paragon.replays")) == outcomes(told)
        assert sandbox.replays()["began"].keys() == {
            one for one in chosen if one not in faulty or faulty[one][1]
        }
        later = replay(place, *chosen)
        assert ids(later["would_replay"]) == [one for one in faulty if faulty[one][0] == "refused"]
        assert {one["id"] for one in later["skipped"] if "may have been" in one["reason"]} == {
            one for one in faulty if faulty[one][0] == "unknown"
        }
        replay(place, *chosen, "--yes")
        assert {one for one, number in posts(sandbox).items() if number == 2} == set(
            ids(later["would_replay"])
        )


REFUSED: dict[str, tuple[str, int, str]] = {
    "status401": ("api_key", 3, "refused"),
    "status403": ("project_id", 3, "refused"),
    "redirect": ("redirect", 4, "unknown"),
}


@pytest.mark.parametrize(
    "faults",
    rest_as_torture([["status401", "redirect"], ["status403"]], [["status401", "redirect"]]),
    ids=str,
)
def test_what_would_befall_all_ends_the_run(synced: Synced, faults: list[str]) -> None:
    """Refused credentials or a redirect: one request, the rest is not sent and can be sent later."""
    with synced() as (place, sandbox):
        for at, fault in enumerate(faults):
            advice, code, outcome = REFUSED[fault]
            chosen = failed(sandbox)[4 * at : 4 * at + 4]
            sandbox.reset_counters()
            sandbox.faults({"kind": fault, "on": "replay", "after": 1, "times": None})
            told = replay(place, *chosen, "--yes", expect=code)
            assert posts(sandbox) == dict.fromkeys(chosen[:2], 1)
            assert outcomes(told) == {chosen[0]: "replayed", chosen[1]: outcome}
            assert told["left"] == chosen[2:]
            assert advice in told["error"]
            assert told["exit_code"] == code
            assert sandbox.api_key not in json.dumps(told)
            assert all(request["origin"] == "main" for request in sandbox.requests())
            later = replay(place, *chosen)
            assert ids(later["would_replay"]) == (chosen[1:] if outcome == "refused" else chosen[2:])


def test_a_vendor_that_does_not_answer_is_given_up(synced: Synced) -> None:
    """After 20 in a row without a proper answer no more are sent: the vendor is down."""
    with synced() as (place, sandbox):
        sandbox.faults({"kind": "status500", "on": "replay", "times": None})
        told = replay(place, *RANGE, "--yes", expect=4)
        assert told["unknown"] == 20
        assert posts(sandbox) == dict.fromkeys(failed(sandbox)[:20], 1)
        assert "in a row" in told["error"]
        assert told["left"] == failed(sandbox)[20:]


def test_a_vendor_that_cannot_be_reached(synced: Synced) -> None:
    """Where no connection is made nothing was sent, and nothing is in doubt."""
    with synced(settings={"fault_deadline_s": 0.3}) as (place, sandbox):
        chosen = failed(sandbox)[:2]
        place.set(base_url="http://127.0.0.1:9")
        told = replay(place, *chosen, "--yes", expect=4)
        assert told["executions"] == []
        assert told["left"] == chosen
        assert {row[0] for row in place.query("SELECT outcome FROM paragon.replays")} == {"unsent"}
        assert ids(replay(place, *chosen)["would_replay"]) == chosen


def test_killed_in_the_middle_and_run_again(synced: Synced) -> None:
    """Whenever the process is killed, no execution is asked for twice, and what may have run is named."""
    _killed(synced, executions=WORLD["executions"], failed=WORLD["failed"], kills=(3,))


@pytest.mark.torture
def test_killed_in_the_middle_of_many(synced: Synced) -> None:
    """The same with more of them."""
    _killed(synced, executions=200, failed=0.35, kills=(3, 17, 30, 45))


def _killed(synced: Synced, *, executions: int, failed: float, kills: tuple[int, ...]) -> None:
    with synced(failed=failed, executions=executions) as (place, sandbox):
        right = [row["id"] for row in sandbox.truth() if row["status"] == "FAILED"]
        assert len(right) > 30
        sandbox.post("latency", {"ms": 60})
        for most in kills:
            process = place.start("replay", "paragon", *RANGE, "--yes")
            while sum(posts(sandbox).values()) < most and process.poll() is None:
                time.sleep(0.02)
            process.kill()
            process.communicate()
        sandbox.post("latency", {"ms": 0})
        doubtful = replay(place, *RANGE)
        told = replay(place, *RANGE, "--yes")
        assert set(posts(sandbox).values()) == {1}
        named = {one["id"] for one in told["skipped"] if "may have been" in one["reason"]}
        assert named >= set(ids(doubtful["would_replay"])) - posts(sandbox).keys()
        assert posts(sandbox).keys() | named == set(right)
        assert len(named) <= len(kills) * 20
        kept = place.query(
            "SELECT execution_id, count(*) FROM paragon.replays WHERE outcome = 'replayed' GROUP BY 1"
        )
        assert kept
        assert {number for _, number in kept} == {1}
        interrupted = (
            "SELECT count(*) FROM paragon.sync_runs WHERE command = 'replay' AND outcome = 'interrupted'"
        )
        assert place.query(interrupted)[0][0] >= len(kills) - 1
        assert place.query("SELECT count(*) FROM paragon.sync_runs WHERE outcome = 'running'") == [(0,)]


def test_interrupted_in_good_order(synced: Synced) -> None:
    """Ctrl-C finishes the one in flight, records it, says what is left and ends with 0; the next run goes on there."""
    with synced(settings={"timeout_s": 10}) as (place, sandbox):
        chosen = failed(sandbox)[:10]
        # Long enough for a signal to come before the answer, on a busy machine too.
        sandbox.post("latency", {"ms": 2_000})
        process = place.start("replay", "paragon", *chosen, "--yes")
        while len(posts(sandbox)) < 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        sandbox.post("latency", {"ms": 0})
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Not sent: 7 executions" in out
        assert "SIGINT" in out
        rows = "SELECT execution_id FROM paragon.replays WHERE outcome = 'replayed' ORDER BY answered_at"
        assert [row[0] for row in place.query(rows)] == chosen[:3]
        told = replay(place, *chosen, "--yes")
        assert outcomes(told) == dict.fromkeys(chosen[3:], "replayed")
        assert posts(sandbox) == dict.fromkeys(chosen, 1)


def test_replayed_before_is_skipped_unless_again(synced: Synced) -> None:
    """A second run sends nothing; --again sends each once more, and says when it was replayed before."""
    with synced() as (place, sandbox):
        chosen = failed(sandbox)[:3]
        replay(place, *chosen, "--yes")
        told = replay(place, *chosen, "--yes")
        assert told["executions"] == told["would_replay"] == []
        assert all("replayed before at 20" in one["reason"] for one in told["skipped"])
        assert ids(replay(place, *RANGE)["would_replay"]) == failed(sandbox)[3:]
        assert posts(sandbox) == dict.fromkeys(chosen, 1)
        shown = replay(place, *chosen, "--again")
        assert all("replayed before" in one["remark"] for one in shown["would_replay"])
        place.run(*shlex.split(shown["go_on"])[1:])
        assert posts(sandbox) == dict.fromkeys(chosen, 2)
        assert place.query("SELECT count(*) FROM paragon.replays") == [(6,)]


def test_more_than_max_is_refused(synced: Synced) -> None:
    """One more than --max is refused with exit code 2 and the number; skipped ones do not count."""
    with synced() as (place, sandbox):
        right = failed(sandbox)
        for words in ((), ("--yes",)):
            done = place.run("replay", "paragon", *RANGE, "--max", str(len(right) - 1), *words, expect=2)
            assert f"--max {len(right)}" in done.stderr
        assert sandbox.requests() == []
        replay(place, right[0], "--yes")
        shown = replay(place, *RANGE, "--max", str(len(right) - 1))
        assert ids(shown["would_replay"]) == right[1:]


def test_filters_choose_exactly_the_right_ones(synced: Synced) -> None:
    """Workflow, user, integration, range and error text narrow what failed, alone and together."""
    with synced(executions=300, failed=0.2, loads={"integrations": ["salesforce", "hubspot", "slack"]}) as (
        place,
        sandbox,
    ):
        rows = {row["id"]: row for row in sandbox.truth() if row["status"] == "FAILED"}
        integrations = dict(place.query("SELECT workflow_id, integration FROM paragon.workflows"))
        said = dict(
            place.query(
                "SELECT s.workflow_execution_id, p.output FROM paragon.step_executions s JOIN paragon.step_payloads p "
                "ON p.step_execution_id = s.id WHERE s.status = 'FAILED'"
            )
        )
        assert said.keys() == rows.keys()
        any_row = next(iter(rows.values()))
        middle = sorted(row["dateStarted"] for row in rows.values())[len(rows) // 2]
        workflow, user = any_row["workflowId"], "müller & söhne"
        whole = RANGE[:3]
        cases: list[tuple[tuple[str, ...], Any]] = [
            ((*RANGE, "--workflow", workflow), lambda row: row["workflowId"] == workflow),
            ((*RANGE, "--user", user), lambda row: row["userId"] == user),
            ((*RANGE, "--integration", "slack"), lambda row: integrations[row["workflowId"]] == "slack"),
            ((*RANGE, "--error", "Status 429"), lambda row: "status 429" in said[row["id"]]),
            ((*RANGE, "--error", "%"), lambda row: "%" in said[row["id"]]),
            ((*whole, "--to", middle), lambda row: row["dateStarted"] < middle),
            (("--failed", "--from", middle, "--to", "2027-01-01"), lambda row: row["dateStarted"] >= middle),
            (
                (*whole, "--to", middle, "--integration", "salesforce", "--error", "EMAIL is required"),
                lambda row: (
                    row["dateStarted"] < middle
                    and integrations[row["workflowId"]] == "salesforce"
                    and "Email is required" in said[row["id"]]
                ),
            ),
        ]
        for words, fits in cases:
            right = {key for key, row in rows.items() if fits(row)}
            assert set(ids(replay(place, *words)["would_replay"])) == right, words
        told = replay(place, *cases[-1][0], "--max", "1000", "--yes")
        assert told["replayed"] > 0
        assert posts(sandbox).keys() == {key for key, row in rows.items() if cases[-1][1](row)}


def test_errors_that_cannot_be_seen_are_said(synced: Synced) -> None:
    """Where no outputs are loaded --error chooses nothing, and says how many it could not look into."""
    with synced(loads={"payloads": "none"}) as (place, sandbox):
        told = replay(place, *RANGE, "--error", "429")
        assert told["would_replay"] == []
        assert told["without_outputs"] == len(failed(sandbox))


def test_what_cannot_run_again_is_skipped(synced: Synced) -> None:
    """Open and purged executions are skipped and said; ids that the warehouse does not know are sent, with a remark."""
    with synced(open_days=0.3, loads={"retention_days": 2}) as (place, sandbox):
        rows = sandbox.truth()
        rows.sort(key=lambda row: str(row["dateStarted"]))
        old = rows[0]["id"]
        is_open = [row["id"] for row in rows if "dateEnded" not in row][-1]
        fine = [row["id"] for row in rows if row["status"] == "FAILED"][-1]
        gone = next(row["id"] for row in reversed(rows) if row["status"] == "FAILED" and row["id"] != fine)
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("UPDATE paragon.execution_details SET outcome = 'gone' WHERE id = ?", [gone])
        assert gone not in ids(replay(place, *RANGE)["would_replay"])
        told = replay(place, is_open, "stranger", old, gone, fine, fine)
        assert ids(told["would_replay"]) == [fine, "stranger"]
        assert told["would_replay"][1]["remark"] == "not in the warehouse"
        reasons = {one["id"]: one["reason"] for one in told["skipped"]}
        assert reasons == {
            old: "purged at the vendor",
            gone: "purged at the vendor",
            is_open: "still open",
        }
        done = replay(place, "--yes", is_open, "stranger", old, fine, expect=4)
        assert outcomes(done) == {fine: "replayed", "stranger": "refused"}
        assert posts(sandbox) == {fine: 1, "stranger": 1}


def test_ids_need_no_warehouse(tmp_path: Path) -> None:
    """Before the first sync ids can be replayed and are remembered; --failed says to sync first."""
    with SandboxProcess(executions=200, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None)
        one = failed(sandbox)[0]
        assert "task-history sync" in place.run("replay", "paragon", *RANGE, expect=2).stderr
        assert not place.file.exists()
        assert replay(place, one)["would_replay"][0]["remark"] == "not in the warehouse"
        replay(place, one, "--yes")
        assert len(replay(place, one, "--yes")["skipped"]) == 1
        assert posts(sandbox) == {one: 1}
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT


@pytest.mark.parametrize(
    ("steps", "fails", "executions", "number", "share"),
    # Few among many are read singly, many among few are listed; details of all of them cost a request each.
    rest_as_torture(
        [
            ("all", False, 500, 40, 0.12),
            ("failed", True, 1_500, 40, 0.04),
            ("failed", True, 400, 8, 0.05),
            ("none", False, 1_500, 40, 0.04),
        ],
        [("failed", True, 400, 8, 0.05)],
    ),
)
def test_a_replay_under_its_own_id_is_noticed(
    synced: Synced, steps: str, fails: bool, executions: int, number: int, share: float
) -> None:
    """Where the vendor runs the same execution again, a sync follows it to its new end, with the steps of that run."""
    switches = {"replay_same_id": True, "replay_fails": fails}
    with synced(
        executions=executions,
        days=20,
        failed=share,
        switch=switches,
        loads={"steps": steps},
    ) as (place, sandbox):
        chosen = failed(sandbox)[:number]
        told = replay(place, *chosen, "--yes")
        assert all(one["new_execution_id"] == one["id"] for one in told["executions"])
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT
        marks = ", ".join(f"'{one}'" for one in chosen)
        still = f"SELECT count(*) FROM paragon.workflow_executions WHERE is_open AND id IN ({marks})"
        assert place.query(still) == [(number,)]
        sandbox.advance(3600)
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT
        assert place.query(still) == [(0,)]
        states = f"SELECT DISTINCT status FROM paragon.execution_states WHERE execution_id IN ({marks})"
        assert {status for (status,) in place.query(states)} == {"FAILED", "EXECUTING"}
        if steps != "none":
            right = {
                step["id"]
                for row in sandbox.truth(steps=True)
                if row["id"] in chosen
                for step in row["_steps"]
            }
            assert right <= place.steps().keys()
        if number == 40:
            sandbox.reset_counters()
            place.quick_sync()
            assert sandbox.counters().get("execution", 0) == 0


def test_the_budget_is_kept(synced: Synced) -> None:
    """Replays spend the same budget as everything else: never over the limit."""
    budget = {"rate_limit_requests": 5, "rate_limit_period_s": 1}
    with synced() as (place, sandbox):
        place.set(**budget)
        sandbox.limit(5, 1)
        told = replay(place, *failed(sandbox)[:18], "--yes")
        assert told["replayed"] == 18
        counters = sandbox.counters()
        assert counters["violations"] == 0
        assert counters["peak"] <= 5


def test_a_second_replay_says_so(synced: Synced) -> None:
    """While one is active, another ends with exit code 5 and sends nothing."""
    with synced(settings={"timeout_s": 10}) as (place, sandbox):
        chosen = failed(sandbox)
        sandbox.post("latency", {"ms": 2_000})
        first = place.start("replay", "paragon", *chosen[:12], "--yes")
        while not posts(sandbox):
            assert first.poll() is None, first.communicate()
            time.sleep(0.02)
        done = place.run("replay", "paragon", chosen[-1], "--yes", expect=5)
        sandbox.post("latency", {"ms": 0})
        first.communicate(timeout=60)
        assert "Another replay" in done.stderr
        assert posts(sandbox) == dict.fromkeys(chosen[:12], 1)


def test_no_secret_is_said(synced: Synced) -> None:
    """Neither the key nor anything from a payload but the beginning of a redacted error is in what it prints."""
    with synced() as (place, sandbox):
        sandbox.faults({"kind": "status500", "on": "replay", "times": 3})
        told = [
            place.run("replay", "paragon", *RANGE, "--log-level", "debug"),
            place.run("replay", "paragon", *RANGE, "--json"),
            place.run("replay", "paragon", *failed(sandbox)[:5], "--yes", "--log-level", "debug", expect=4),
        ]
        text = "".join(done.stdout + done.stderr for done in told)
        assert [secret for secret in [*sandbox.secrets(200), sandbox.api_key] if secret in text] == []
        assert all(len(one["error"] or "") <= 80 for one in json.loads(told[1].stdout)["would_replay"])
        stored = "\n".join(str(row) for row in place.query("SELECT * FROM paragon.replays"))
        assert sandbox.api_key not in stored


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": ((), "--failed"),
    "both": (("some-id", "--failed"), "not both"),
    "ids and a filter": (("some-id", "--workflow", "w"), "not both"),
    "ids and a month": (("some-id", "--month", "2026-09"), "not both"),
    "ids and an error": (("some-id", "--error", "x"), "not both"),
    "a filter alone": (("--workflow", "w"), "--failed"),
    "failed without a time": (("--failed",), "--month"),
    "month and range": (("--failed", "--month", "2026-09", "--from", "2026-09-01"), "not both"),
    "an empty error": ((*RANGE, "--error", " "), "--error"),
    "no number": (("some-id", "--max", "0"), "--max"),
    "status": ((*RANGE, "--status", "FAILED"), "--status"),
    "an id that leads elsewhere": (("..",), "no id"),
    "an id with a blank": (("a b",), "no id"),
    "an empty id": (("",), "no id"),
    "an option that is none": (("some-id", "--jes"), "--jes"),
}


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_words_that_do_not_go_together(tmp_path: Path, name: str) -> None:
    """Exit code 2 and what is wrong, before anything is looked at."""
    words, advice = WRONG[name]
    place = Place(tmp_path, None, base_url="http://127.0.0.1:9", api_key="some-key-123", project_id="p")
    done = place.run("replay", "paragon", *words, "--yes", expect=2)
    assert advice in done.stderr
    assert not place.file.exists()
