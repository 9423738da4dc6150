"""The lines on stderr: for a person, or one JSON object each; without secrets in either form."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from task_history.core.log import log
from task_history.redaction.own_secrets import OwnSecrets
from task_history_cli.console import output
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import ROOT, Place

SECRET = 'se"cret\\key'


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, secrets = logging.getLogger(), list(output._SECRETS)
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], output._SECRETS[:] = handlers, secrets
    root.setLevel(level)


def objects(text: str) -> list[dict[str, Any]]:
    """Each line as the object that it must be."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(line, dict) for line in found)
    return found


def test_every_log_line_is_a_name_and_figures() -> None:
    """Each log call of this project is written as ``name key=value …``, so that its figures become fields."""
    calls = [
        (path, node)
        for folder in ("sources", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
        and node.func.attr in ("debug", "info", "warning", "error", "exception", "log")
    ]
    assert len(calls) > 10
    for path, call in calls:
        place = f"{path}:{call.lineno}"
        (event,) = call.args
        assert isinstance(event, ast.Constant), place
        assert re.fullmatch(r"[a-z_]+", str(event.value)), place
        names = [keyword.arg for keyword in call.keywords]
        assert not {"level", "event", None}.intersection(names), place


def test_figures_are_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON a figure keeps its type under its name and the message is the bare name; nothing known is null."""
    output.start_logging("info", "json")
    log.info("commit", phase="listing", rows=5_000, seconds=1 / 3, left=None, reason="x", now=True)
    (line,) = objects(capsys.readouterr().err)
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "task_history",
        "message": "commit",
        "phase": "listing",
        "rows": 5_000,
        "seconds": 0.333,
        "left": None,
        "reason": "x",
        "now": True,
    }  # fmt: skip


def test_figures_are_words_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """In text a line is its name and ``key=value``; nothing known is a dash."""
    output.start_logging("info", "text")
    log.info("commit", phase="listing", rows=5_000, left=None)
    assert capsys.readouterr().err.endswith("INFO commit phase=listing rows=5000 left=-\n")


def test_a_value_makes_no_field_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """What has blanks, an equals sign or quotes in it stands in quotes: a reader of fields is not misled."""
    output.start_logging("info", "text")
    log.info("replayed", id='a rows=9 "b"', new_id="c=d", path="C:\\x y")
    told = capsys.readouterr().err
    assert told.endswith(r''' INFO replayed id="a rows=9 \"b\"" new_id="c=d" path="C:\\x y"''' + "\n")


def test_a_host_program_keeps_its_own_log(caplog: pytest.LogCaptureFixture) -> None:
    """Where the source is used as a library its lines are records of the standard library, by the host's handlers."""
    import structlog

    before = structlog.is_configured()
    with caplog.at_level(logging.INFO, "task_history"):
        log.debug("not_shown", rows=1)
        log.info("commit", rows=5_000, reason="50 % done")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("task_history", logging.INFO)
    assert record.getMessage() == 'commit rows=5000 reason="50 % done"'
    assert (record.event, record.fields) == ("commit", {"rows": 5_000, "reason": "50 % done"})  # type: ignore[attr-defined]
    assert structlog.is_configured() == before


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_in_no_line(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Figures, other libraries' lines, traces, warnings and what is told: no secret is in any of them."""
    output.start_logging("info", form)
    output.keep_secret(OwnSecrets([SECRET]))
    log.info("commit", phase=SECRET, reason=SECRET)
    logging.getLogger("dlt").error("failed with %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("duckdb").exception("died")
    output.tell(f"it said {SECRET}", value=SECRET)
    if form == "json":
        warnings.warn(f"beware of {SECRET}", stacklevel=1)
    told = capsys.readouterr().err
    assert told.count("[redacted]") >= 5
    assert SECRET not in told
    assert json.dumps(SECRET)[1:-1] not in told
    if form == "json":
        assert len(objects(told)) == 5


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_row_is_in_a_line_of_dlt(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Of what dlt logs of a failed load job stays which job it was: warehouses quote the row in what follows."""
    output.start_logging("info", form)
    quoting = "null value\nDETAIL:  Failing row contains (1, Jane Roe)."
    try:
        raise ValueError(quoting)
    except ValueError:
        logging.getLogger("dlt").exception("Terminal exception in job steps.1")
    trace = f"Traceback (most recent call last):\n  File x\nValueError: {quoting}"
    logging.getLogger("dlt").error("Job for steps.1 failed terminally in load 7 with message %s", trace)
    told = capsys.readouterr().err
    assert "Terminal exception in job steps.1: ValueError" in told
    assert "Job for steps.1 failed terminally in load 7" in told
    assert not [word for word in ("Jane Roe", "Traceback") if word in told]


def test_every_line_of_a_sync_is_an_object(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """With ``--log-format json`` commits, waits, the summary and errors are objects, figures are fields."""
    place = Place(tmp_path, sandbox, fault_deadline_s=0)
    sandbox.faults({"kind": "status503_retry_after", "times": 1, "after": 1})
    lines = objects(place.run("sync", "paragon", "--log-format", "json").stderr)
    commits = [line for line in lines if line["message"] == "commit"]
    assert commits[-1]["executions"] == len(sandbox.truth())
    assert commits[-1]["budget_left"] is None
    assert any(line["message"] == "waiting" and line["cause"] == "retry_after" for line in lines)
    assert any("executions read" in line["message"] for line in lines)
    sandbox.faults({"kind": "status503", "times": None})
    lines = objects(place.run("sync", "paragon", "--log-format", "json", expect=4).stderr)
    assert (lines[-1]["level"], lines[-1]["exit_code"]) == ("error", 4)
    assert "HTTP 503" in lines[-1]["message"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sync", "paragon", "--max-requests", "abc"), 2),
        (("sync", "paragn"), 2),
        (("sync", "paragon"), 3),
        (("sandbox", "paragon", "--switch", "colour=red"), 2),
        (("check", "paragon", "--log-level", "debug"), 3),
    ],
)
def test_every_error_is_an_object(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    """Wrong words and settings are one object too, with the exit code."""
    lines = objects(Place(tmp_path, None).run(*words, "--log-format=json", expect=code).stderr)
    assert [line["exit_code"] for line in lines] == [code]


def test_a_program_fault_is_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of this program at debug level is its trace and its message, an object each."""
    monkeypatch.setattr("task_history_cli.commands.status.status", lambda *_: 1 // 0)
    words = ("status", "paragon", "--log-format", "json", "--log-level", "debug")
    lines = objects(Place(tmp_path, None).run(*words, expect=1).stderr)
    assert ["Traceback" in line["message"] for line in lines] == [True, False]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=150, seed=5, days=3, freeze=True) as running:
        yield running


class _Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_fit_a_terminal_and_break_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on below stands under the text after a label; commands, SQL and scripts are not broken."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout", shown := _Terminal())
    sentence = "words of a sentence that goes on and on " * 5
    command = f"  task-history backfill paragon --from 2026-01-01 {'--steps all ' * 10}"
    output.say(sentence, f"  requests    {sentence}", command)
    output.say_verbatim(f"SELECT {'1, ' * 40}2 -- {sentence}")
    lines = shown.getvalue().splitlines()
    assert [line for line in lines if len(line) > 80] == [command, lines[-1]]
    labelled = next(number for number, line in enumerate(lines) if line.startswith("  requests    words"))
    assert lines[labelled + 1].startswith(" " * 14 + "goes on")
    assert " ".join(" ".join(lines[:labelled]).split()) == sentence.strip()


def test_lines_elsewhere_are_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """In a file or a pipe each message is one line."""
    output.say("word " * 60)
    output.tell("word " * 60)
    written = capsys.readouterr()
    assert (written.out.count("\n"), written.err.count("\n")) == (1, 1)
