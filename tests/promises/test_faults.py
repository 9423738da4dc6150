"""What a sync does when the vendor, the network or the warehouse fails: it completes, or stops and says why."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.load.pipeline import Loader
from task_history.systems import find, names
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.dropped_tables import check_dropped
from tests.support.place import PERFECT, Place, differences
from tests.support.torture import rest_as_torture

PASSING: dict[str, list[dict[str, Any]]] = {
    "status500": [{"kind": "status500", "times": 3}],
    "status502_html": [{"kind": "status502_html", "times": 3, "after": 2}],
    "status503": [{"kind": "status503", "times": 2}],
    "status503_told": [{"kind": "status503_retry_after", "times": 1, "after": 1}],
    "status542": [{"kind": "status542", "times": 2, "on": "execution"}],
    "status429": [{"kind": "status429", "times": 3, "after": 3}],
    "reset": [{"kind": "reset", "times": 3, "after": 1}],
    "truncated": [{"kind": "truncated", "times": 3, "after": 2}],
    "not_json": [{"kind": "not_json", "times": 2}],
    "empty": [{"kind": "empty", "times": 2}],
    "repeated_page": [{"kind": "repeat_page", "times": 1, "after": 4, "on": "list"}],
    "stall": [{"kind": "stall", "times": 1, "after": 2}],
    "many": [
        {"kind": "status500", "times": None, "share": 0.1},
        {"kind": "reset", "times": None, "share": 0.05},
    ],
}


ONE_AFTER_THE_OTHER: dict[str, list[dict[str, Any]]] = {
    "of_the_server": [
        {"kind": "status500", "times": 3},
        {"kind": "status502_html", "times": 3, "after": 2},
        {"kind": "status503", "times": 2, "after": 2},
        {"kind": "status503_retry_after", "times": 1, "after": 1},
        {"kind": "status542", "times": 2, "on": "execution"},
        {"kind": "status429", "times": 1, "after": 8},
    ],
    "of_the_way": [
        {"kind": "reset", "times": 3, "after": 1},
        {"kind": "stall", "times": 1, "after": 2},
        {"kind": "truncated", "times": 3, "after": 2},
    ],
    "of_the_answer": [
        {"kind": "not_json", "times": 2},
        {"kind": "repeat_page", "times": 1, "after": 3, "on": "list"},
        {"kind": "empty", "times": 2, "after": 2},
    ],
    "told": PASSING["status429"],
    "many": PASSING["many"],
}


def _passes(folder: Path, rules: list[dict[str, Any]]) -> None:
    with SandboxProcess(executions=400, seed=3, days=5, freeze=True, switch={"too_many": "none"}) as sandbox:
        sandbox.faults(*rules)
        place = Place(folder, sandbox, steps="failed", integrations=None, timeout_s=2)
        result = place.quick_sync()
        assert result["complete"]
        assert differences(place, sandbox) == PERFECT
        met = {rule["kind"] for rule in rules if sandbox.counters().get(f"fault_{rule['kind']}")}
        assert met == {rule["kind"] for rule in rules}


@pytest.mark.parametrize(
    "name", rest_as_torture(ONE_AFTER_THE_OTHER, ONE_AFTER_THE_OTHER.keys() - {"told", "many"}), ids=str
)
def test_passing_faults_cost_nothing_but_time(tmp_path: Path, name: str) -> None:
    """Faults that pass fail no sync and lose no row."""
    _passes(tmp_path, ONE_AFTER_THE_OTHER[name])


@pytest.mark.torture
@pytest.mark.parametrize("name", PASSING, ids=str)
def test_each_passing_fault_costs_nothing_but_time(tmp_path: Path, name: str) -> None:
    """The same with each fault by itself."""
    _passes(tmp_path, PASSING[name])


STOPPING: dict[str, tuple[list[dict[str, Any]], int, str]] = {
    "unauthorized": ([{"kind": "status401", "times": None}], 3, "api_key"),
    "forbidden": ([{"kind": "status403", "times": None}], 3, "project_id"),
    "revoked_in_mid_run": ([{"kind": "revoked", "after": 12}], 3, "api_key"),
    "unavailable": ([{"kind": "status503", "times": None, "after": 5}], 4, "run the same command again"),
    "redirected": ([{"kind": "redirect", "times": None, "after": 3}], 3, "base_url"),
    "another_form": ([{"kind": "wrong_key", "times": None, "after": 4}], 4, "workflowExecutions"),
    "no_rows": ([{"kind": "null_rows", "times": None}], 4, "list of objects"),
    "web_page": ([{"kind": "not_json", "times": None, "after": 4}], 4, "not JSON"),
    "same_page_for_ever": ([{"kind": "repeat_page", "times": None, "after": 3, "on": "list"}], 4, "offset"),
}


@pytest.mark.parametrize(
    "name",
    rest_as_torture(
        STOPPING,
        ["forbidden", "revoked_in_mid_run", "same_page_for_ever"],
    ),
)
def test_lasting_faults_stop_with_what_to_do_and_lose_nothing(tmp_path: Path, name: str) -> None:
    """A fault that stays ends the sync with the right exit code and advice; the next sync completes the copy."""
    rules, code, advice = STOPPING[name]
    with SandboxProcess(executions=600, seed=4, days=5, failed=0.03, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="failed", integrations=None, fault_deadline_s=1)
        sandbox.faults(*rules)
        done = place.run("sync", "paragon", "--json", expect=code)
        told = json.loads(done.stdout)
        assert told["exit_code"] == code
        assert advice in told["error"]
        assert sandbox.api_key not in done.stdout + done.stderr
        assert all(request["origin"] == "main" for request in sandbox.requests())
        sandbox.faults()
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT


def test_nobody_answers(tmp_path: Path) -> None:
    """A host that does not exist and a port where nobody listens end with exit code 4 and the reason."""
    place = Place(tmp_path, None, api_key="some-key-123", project_id="p", fault_deadline_s=0.5)
    for base_url, reason in (("https://nowhere.invalid", "DNS"), ("http://127.0.0.1:9", "refused")):
        place.set(base_url=base_url)
        done = place.run("sync", "paragon", expect=4)
        assert reason in done.stderr
        assert "some-key-123" not in done.stderr


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no_key": ({"api_key": None}, "SOURCES__TASK_HISTORY__PARAGON__API_KEY"),
    "key_with_line_break": ({"api_key": "abcdefgh\nijkl"}, "Copy it again"),
    "typing_error": ({"stepps": "all"}, "steps"),
    "unknown_choice": ({"steps": "some"}, "all, failed, none"),
    "no_number": ({"concurrency": "eight"}, "whole number"),
    "below": ({"rate_limit_requests": -1}, "rate_limit_requests"),
    "no_date": ({"start_date": "yesterday"}, "2026-09-01"),
    "unencrypted": ({"base_url": "http://example.com"}, "https://"),
    "no_address": ({"base_url": "api.useparagon.com"}, "base_url"),
    "key_in_address": ({"base_url": "https://user:pass-word@example.com"}, "base_url"),
    "no_map": ({"workflow_map": "nowhere.csv"}, "workflow_map"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS, ids=str)
def test_wrong_settings_are_named(tmp_path: Path, name: str) -> None:
    """A setting that cannot work ends the sync with exit code 3 and the setting's name; its secret is not shown."""
    settings, advice = BAD_SETTINGS[name]
    place = Place(tmp_path, None, base_url="http://127.0.0.1:9", api_key="some-key-123", project_id="p")
    place.set(**settings)
    done = place.run("sync", "paragon", expect=3)
    assert advice in done.stderr
    for secret in ("some-key-123", "abcdefgh", "ijkl", "pass-word"):
        assert secret not in done.stderr


def test_wrong_words_end_with_usage(tmp_path: Path) -> None:
    """A system, destination or option that does not exist ends with exit code 2 and those that do."""
    place = Place(tmp_path, None, api_key="k" * 10, project_id="p")
    assert "paragon" in place.run("sync", "paragn", expect=2).stderr
    assert "duckdb" in place.run("sync", "paragon", "--destination", "duckbd", expect=2).stderr
    assert "--max-requests" in place.run("sync", "paragon", "--max-requests", "-1", expect=2).stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("sync", "paragon", "--max-requests", "abc"), "abc must be a whole number ≥ 0"),
        (("sync", "paragon", "--max-requests", "1.5"), "1.5 must be a whole number ≥ 0"),
        (("sync", "paragon", "--max-minutes", "abc"), "abc must be a number of minutes ≥ 0"),
        (("sync", "paragon", "--max-minutes", "inf"), "inf must be a number of minutes ≥ 0"),
        (("demo", "--executions", "many"), "many must be a whole number ≥ 0"),
        (("sandbox", "paragon", "--executions", "many"), "many is no whole number"),
        (("sandbox", "paragon", "--failed", "many"), "many is no number"),
        (("sandbox", "paragon", "--now", "today"), "today is no instant"),
        (("sandbox", "paragon", "--switch", "total"), "--switch total has no value"),
        (("sandbox", "paragon", "--switch", "colour=red"), "colour"),
        (("sandbox", "paragon", "--port", "99999"), "99999 is no port"),
        (("sandbox", "paragn"), "paragon"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_words_read_well(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    """What is wrong with a word is said in words, not in names of a program."""
    done = Place(tmp_path, None).run(*words, expect=2)
    assert reason in done.stderr
    assert "invalid" not in done.stderr.replace("invalid choice", "")


HOLDING = """
import duckdb, sys
with duckdb.connect(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_file_that_another_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the sync with exit code 4 before a request is sent."""
    defaults = Loader.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "lock_wait_s", 0.3)
    with SandboxProcess(executions=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        words = [sys.executable, "-c", HOLDING, str(place.file)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            told = place.run("sync", "paragon", expect=4).stderr
            holder.communicate()
        assert "another process" in told
        assert "list" not in sandbox.counters()


@pytest.mark.torture
def test_warehouse_that_is_open_elsewhere(tmp_path: Path) -> None:
    """A DuckDB file that another process holds ends the sync with exit code 4 before a request is sent."""
    with SandboxProcess(executions=200, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.quick_sync()
        sandbox.reset_counters()
        with duckdb.connect(str(place.file)):
            done = place.run_process("sync", "paragon")
        assert done.returncode == 4
        assert "another process" in done.stderr
        assert "list" not in sandbox.counters()


def test_warehouse_that_is_no_database(tmp_path: Path) -> None:
    """A file that is no DuckDB database is named and left alone."""
    with SandboxProcess(executions=200, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox)
        place.file.write_text("a letter, not a database\n" * 2000)
        done = place.run("sync", "paragon", expect=4)
        assert "DESTINATION__DUCKDB__CREDENTIALS" in done.stderr
        assert place.file.read_text().startswith("a letter")


def test_tables_altered_by_hand_are_mended(tmp_path: Path) -> None:
    """Columns and tables that somebody dropped come back, and rows that somebody deleted are read again."""
    with SandboxProcess(executions=60, seed=8, days=10, freeze=True, future_hours=3) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        place.quick_sync()
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("ALTER TABLE paragon.step_payloads DROP COLUMN redactions")
            connection.execute("DROP TABLE paragon.coverage")
            connection.execute("DELETE FROM paragon.workflow_executions WHERE hash(id) % 5 = 0")
        sandbox.advance(7200)
        done = place.run("sync", "paragon")
        assert "altered_by_hand" in done.stderr
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT
        assert place.query("SELECT count(redactions) FROM paragon.step_payloads") is not None


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    """A column whose type somebody changed ends the sync with exit code 4 and its name, before values are lost in it."""
    with SandboxProcess(executions=300, seed=8, days=10, freeze=True, future_hours=3) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None)
        place.quick_sync()
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("ALTER TABLE paragon.workflow_executions ALTER date_started TYPE DATE")
        sandbox.advance(7200)
        done = place.run("sync", "paragon", expect=4)
        assert "workflow_executions.date_started" in done.stderr
        assert "Nothing was written" in done.stderr


@pytest.mark.torture
def test_executions_that_somebody_dropped_are_listed_again(tmp_path: Path) -> None:
    """Without its rows nothing counts as covered: the sync begins anew and says what it did."""
    with SandboxProcess(executions=120, seed=8, days=10, freeze=True, future_hours=3) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None)
        place.quick_sync()
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("DROP TABLE paragon.workflow_executions")
        done = place.run("sync", "paragon")
        assert "coverage_deleted" in done.stderr
        assert differences(place, sandbox) == PERFECT


@pytest.mark.torture
@pytest.mark.parametrize("system", names())
def test_steps_that_somebody_dropped_are_read_again(system: str, tmp_path: Path) -> None:
    """Without a table of steps, or of what comes with them, no details count as loaded: the sync reads them again."""
    with SandboxProcess(system, executions=12, seed=8, days=3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system=system)
        place.run("sync", system)
        of_system = find(system)
        filled = [
            table.name
            for one in (of_system, *of_system.companions)
            for table in (one.details.steps, *one.details.children)
        ]
        before = _counts(place, system, filled)
        assert all(before)
        for table in filled:
            with duckdb.connect(str(place.file)) as connection:
                connection.execute(f"DROP TABLE {system}.{table}")
            assert "details_deleted" in place.run("sync", system).stderr
            assert _counts(place, system, filled) == before


@pytest.mark.parametrize("at_once", rest_as_torture([False, True], [True]), ids=["each", "all"])
def test_what_was_dropped_is_asked_again_within_the_retention(tmp_path: Path, at_once: bool) -> None:
    """Each row is back that the vendor still has; of the others nothing is asked, and it is said that they are lost."""

    def execute(place: Place, sql: str) -> None:
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(sql)

    check_dropped(lambda sandbox: Place(tmp_path, sandbox), execute, at_once=at_once)


def _counts(place: Place, system: str, tables: Sequence[str]) -> list[int]:
    return [place.query(f"SELECT count(*) FROM {system}.{table}")[0][0] for table in tables]


def test_readers_do_not_end_a_sync(tmp_path: Path) -> None:
    """Whoever opens the file for a moment, again and again, makes a sync wait and not fail."""
    with SandboxProcess(executions=120, seed=9, freeze=True, latency_ms=100) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.quick_sync()
        sandbox.advance(3600)
        place.set(steps="all", payloads="failed")
        process = place.start("sync", "paragon")
        looks = 0
        while process.poll() is None:
            with contextlib.suppress(duckdb.IOException), duckdb.connect(str(place.file), read_only=True):
                looks += 1
                time.sleep(0.3)
            time.sleep(0.2)
        _, told = process.communicate()
        assert process.returncode == 0, told[-2000:]
        assert looks > 2
        assert differences(place, sandbox) == PERFECT


def test_second_run_says_so(tmp_path: Path) -> None:
    """While one sync is active, a second one ends at once with exit code 5."""
    with SandboxProcess(executions=300, freeze=True, latency_ms=20) as sandbox:
        place = Place(tmp_path, sandbox, concurrency=2, integrations=None, payloads="none")
        first = place.start("sync", "paragon")
        try:
            while sandbox.counters().get("execution", 0) < 5:
                assert first.poll() is None, first.communicate()
                time.sleep(0.1)
            assert "Another run" in place.run("sync", "paragon", expect=5).stderr
        finally:
            first.send_signal(signal.SIGTERM)
            _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
        assert "Left:" in told
        assert "SIGTERM" in told


def test_interrupt_keeps_what_was_read(tmp_path: Path) -> None:
    """SIGINT writes what was read, exits 0 and says what is left; nothing of it is asked for again."""
    with SandboxProcess(executions=100, seed=9, freeze=True, latency_ms=20) as sandbox:
        place = Place(tmp_path, sandbox, payloads="none", integrations=None)
        first = place.start("sync", "paragon")
        while sandbox.counters().get("execution", 0) < 50:
            assert first.poll() is None, first.communicate()
            time.sleep(0.05)
        first.send_signal(signal.SIGINT)
        _, told = first.communicate(timeout=60)
        assert first.returncode == 0
        assert "Ctrl-C: finishes what is under way, then ends." in told
        assert re.search(r"Stopped by Ctrl-C; [0-9]+ executions left, the same command goes on\.", told)
        assert place.query("SELECT count(*) FROM paragon.execution_details")[0][0] >= 40
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT
        assert sandbox.counters()["reads_more_than_once"] == []


@pytest.mark.parametrize(
    ("number", "name"),
    rest_as_torture([(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")], [(signal.SIGTERM, "SIGTERM")]),
)
def test_the_second_signal_ends_a_run_at_once(tmp_path: Path, number: signal.Signals, name: str) -> None:
    """Also while the vendor does not answer; it is said, and the next run brings everything."""
    with SandboxProcess(executions=60, seed=9, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, payloads="none", integrations=None)
        sandbox.faults({"kind": "stall", "times": None, "on": "execution"})
        first = place.start("sync", "paragon")
        while not sandbox.counters().get("execution"):
            assert first.poll() is None, first.communicate()
            time.sleep(0.05)
        lines = first.stderr
        assert lines is not None
        first.send_signal(number)
        said = next(line for line in lines if line.startswith(name))
        first.send_signal(number)
        _, told = first.communicate(timeout=60)
        assert "finishes what is under way" in said
        assert f"Ended at once by {name}. Committed rows are safe" in told
        assert first.returncode == 128 + number
        sandbox.faults()
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT


def test_limits_of_a_run_are_kept(tmp_path: Path) -> None:
    """--max-requests sends no more than that many, keeps what it read, and runs of it come to the end."""
    with SandboxProcess(executions=250, seed=10, days=2, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        syncs = 0
        while True:
            sandbox.reset_counters()
            result = place.sync("--max-requests", "3")
            syncs += 1
            assert sandbox.counters().get("status_200", 0) <= 3
            if result["complete"]:
                break
            assert result["stopped"] == "--max-requests reached"
            assert syncs < 8
        assert syncs > 1
        assert differences(place, sandbox) == PERFECT


def test_disk_full(tmp_path: Path) -> None:
    """A warehouse that cannot grow ends the sync with exit code 4; with room again it completes the copy."""
    with SandboxProcess(executions=2_000, seed=12, days=0.1, future_hours=120, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.quick_sync()
        sandbox.advance(100 * 3600)
        most = place.file.stat().st_size + 10_000
        # Python ignores SIGXFSZ: what is written beyond the limit is an error.
        full = place.start("sync", "paragon")
        resource.prlimit(full.pid, resource.RLIMIT_FSIZE, (most, most))
        _, told = full.communicate(timeout=120)
        assert full.returncode == 4, told
        assert "make room" in told
        assert "Traceback" not in told
        place.quick_sync()
        assert differences(place, sandbox) == PERFECT
