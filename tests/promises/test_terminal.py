"""Nothing that a vendor or a user wrote is obeyed by a terminal, forges a log line or hides a row."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from task_history import systems
from task_history.core.escapes import visible
from task_history.core.log import log
from task_history_cli.console import output
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.forked import Forked
from tests.support.hostile_vendor import EVIL, FORGED, hostile
from tests.support.place import Place
from tests.support.torture import rest_as_torture

OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
SYSTEMS = systems.names()
RANGE = ("--from", "2026-01-01", "--to", "2027-01-01")


def assert_harmless(text: str) -> None:
    """No character that is obeyed, and no line that a vendor began."""
    found = OBEYED.search(text)
    assert found is None, repr(text[max(0, found.start() - 80) : found.end() + 40])
    assert not [line for line in text.split("\n") if line.startswith(FORGED)]


def run(place: Place, *words: str) -> str:
    """What the command writes to stdout and to stderr, no character of it changed."""
    done = place.run(*words, expect=None)
    assert done.returncode in (0, 2, 3, 4, 10), done.stderr
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("system", "is_long"),
    rest_as_torture([*((system, True) for system in SYSTEMS), ("paragon", False)], [("paragon", False)]),
)
def test_no_command_prints_what_a_terminal_obeys(tmp_path: Path, system: str, is_long: bool) -> None:
    """Every id, name, message and error of the vendor: shown by each command with escapes, in text and in JSON."""
    executions = 40 if is_long else 8
    with (
        SandboxProcess(system, executions=executions, freeze=True) as sandbox,
        hostile(sandbox.base_url) as vendor,
    ):
        place = Place(tmp_path, sandbox, system=system, fault_deadline_s=0)
        place.set(base_url=vendor.base_url)
        if system == "paragon":
            place.set(integrations=None)
        run(place, "sync", system, "--log-level", "debug")
        table = systems.find(system).executions.name
        # Where the id of a list cannot stand in a path nothing is asked for, and there are no executions.
        identity = str(place.query(f"SELECT min(id) FROM {system}.{table}")[0][0] or EVIL)
        assert "\x1b[2J" in identity, "the warehouse holds what the vendor sent"
        assert system != "paragon" or "\\x1b[2J" in run(place, "why", system, identity)
        for words in (
            ("status", system),
            ("why", system, EVIL),
            ("audit", system, *RANGE),
            ("check", system),
            ("plan", system, *RANGE),
            ("backfill", system, *RANGE, "--log-format", "json"),
            ("replay", system, identity),
            ("replay", system, "--failed", *RANGE),
            ("answer", system, identity, EVIL),
            ("sync", system, EVIL),
            ("views", "--check"),
        ):
            run(place, *words)
            if is_long or words[0] in ("why", "status"):
                run(place, *words, "--json", "--log-format", "json")
        for status in (401, 404, 500) if is_long else (404,):
            vendor.refuse(status)
            assert "HTTP" in run(place, "sync", system)
            run(place, "check", system)


@pytest.mark.torture
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_loaded_is_printed_with_escapes(tmp_path: Path, system: str) -> None:
    """Where only texts are hostile, steps and payloads load; what commands show of them is harmless."""
    with (
        SandboxProcess(system, executions=40, freeze=True) as sandbox,
        hostile(sandbox.base_url, in_ids=False) as vendor,
    ):
        place = Place(tmp_path, sandbox, system=system, fault_deadline_s=0, base_url=vendor.base_url)
        if system == "paragon":
            place.set(integrations=None)
        assert "executions read" in run(place, "sync", system)
        shown = "".join(
            run(place, *words)
            for words in (
                ("status", system),
                ("replay", system, "--failed", *RANGE),
                ("audit", system, *RANGE),
            )
        )
        assert system != "paragon" or "Error: " in shown, "errors of failed steps are shown, not left out"


def test_hidden_characters_are_escapes() -> None:
    """Each character of the list has a form that is seen; other letters, and emoji, stay as they are."""
    assert_harmless(visible(EVIL))
    assert visible("a\nb\t\0\x1b\x9b\u202e\u2028\ud800") == r"a\nb\t\x00\x1b\x9b\u202e\u2028\ud800"
    assert visible("größer – 日本 👩‍💻 ع") == "größer – 日本 👩‍💻 ع"


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_log_line_is_forged(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Lines of this project, of libraries, traces, warnings and what is printed by others."""
    before = list(logging.getLogger().handlers)
    try:
        with output.escaped_streams():
            output.start_logging("info", form)
            log.info("replayed", id=EVIL, reason=EVIL)
            logging.getLogger("dlt").error("it said %s", EVIL)
            try:
                raise ValueError(EVIL)
            except ValueError:
                logging.getLogger("dlt").exception("died")
            output.tell(EVIL, value=EVIL)
            output.say(EVIL, *output.table([[EVIL, "x"]], heads=["a", "b"]))
            output.emit({EVIL: EVIL + "\ud800"})
            warnings.warn(EVIL, stacklevel=1)
            for stream in (sys.stdout, sys.stderr):
                stream.write(EVIL.replace("\n", "") + "\ud800\n")
    finally:
        logging.captureWarnings(capture=False)
        logging.getLogger().handlers[:] = before
    told = capsys.readouterr()
    assert_harmless(told.out)
    assert_harmless(told.err)
    assert {EVIL: EVIL + "\ud800"} in [
        json.loads(line) for line in told.out.splitlines() if line.startswith("{")
    ]


def test_a_host_program_gets_harmless_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Where the source is used as a library, what the vendor wrote is escaped before a handler of the host sees it."""
    with caplog.at_level(logging.INFO, "task_history"):
        log.info("replayed", id=EVIL)
    assert_harmless(caplog.records[0].getMessage())


def test_a_table_keeps_its_rows() -> None:
    """A cell cannot make a row of its own, nor hide one: as many lines as rows."""
    lines = output.table([["a", EVIL], ["b", "x"]], heads=["id", "error"])
    assert len(lines) == 4


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal no line is longer than it is wide and no letter is lost; elsewhere a row is a line."""
    rows = [["0123456789" * 4, "a long text of an error " * 8, "1"], ["[bold]:smile:", "日本語", "22,222"]]
    plain = output.table(rows, heads=["id", "error", "rows"], right={2}, indent=2)
    assert len(plain) == 4
    assert rows[0][1].strip() in plain[2]
    assert "[bold]:smile:" in plain[3]
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fitted = output.table(rows, heads=["id", "error", "rows"], right={2}, indent=2)
    assert max(map(len, fitted)) <= 60
    assert "".join(line[2:22].strip() for line in fitted).count("0123456789") >= 1
    letters = sorted("".join(fitted).replace("─", "").split())
    assert sorted("".join(letters)) == sorted("".join("".join(plain).replace("─", "").split()))


def test_a_table_breaks_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the longest words have room beside one another none is broken, if need be without what can be spared."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    heads = ["started", "executions", "settled_rows", "reason"]
    row = ["2026-11-29 11:46", "483", "12", "not loaded yet"]
    for width in (60, 45, 40):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = output.table([row], heads=heads, right={1, 2}, spare={2})
        assert max(map(len, lines)) <= width
        assert lines[0].split() == [head for head in heads if width > 40 or head != "settled_rows"]
        assert {"483", "2026-11-29", "11:46", "loaded"} <= set("\n".join(lines).split())
        assert len(lines) == (3 if width == 60 else 4 if width == 40 else 5)


def test_a_command_to_copy_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is typed into a shell is not broken on a narrow terminal: there each line would be a command."""
    monkeypatch.setenv("COLUMNS", "60")
    line = f"export {'SETTING' * 5}={'value' * 6}"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    output.tell(line, "a sentence that is longer than the terminal is wide, and is broken")
    assert line in capsys.readouterr().err.splitlines()


def test_what_moves_the_cursor_is_ours(tmp_path: Path) -> None:
    """On a terminal the live line is drawn, and of the vendor's sequences none arrives."""
    with SandboxProcess(executions=8, freeze=True) as sandbox, hostile(sandbox.base_url) as vendor:
        place = Place(tmp_path, sandbox, fault_deadline_s=0, integrations=None, base_url=vendor.base_url)
        place.env["TERM"] = "xterm"
        ours, theirs = pty.openpty()
        streams = (subprocess.DEVNULL, theirs, os.dup(theirs))
        process = Forked(["sync", "paragon"], place.folder, place.env, streams=streams)
        seen = b""
        while True:
            select.select([ours], [], [], 120)
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux says so when the last writer has gone
                break
            if not part:
                break
            seen += part
        os.close(ours)
        assert process.wait(timeout=120) == 0
    assert b"\x1b[2J" not in seen
    assert b"\x1b]0;t" not in seen
    assert not [line for line in re.split(rb"[\r\n]+", seen) if line.startswith(FORGED.encode())]
    assert b"executions read" in seen
    assert b"requests (no limit)\r\x1b[2K" in seen, "the live line is drawn again in its place"
