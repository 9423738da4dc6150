"""Wrong arguments name the likely right word, show the command's usage, and are JSON where JSON is asked for."""

from __future__ import annotations

import json

import pytest

from task_history_cli import cli


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    """What the command writes to stdout and to stderr."""
    assert cli.main(words) == 2
    written = capsys.readouterr()
    return written.out, written.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sny", "paragon"), "Did you mean sync?"),
        (("statsu",), "Did you mean status?"),
        (("sync", "paragon", "--max-requsts", "5"), "Did you mean --max-requests?"),
        (("plan", "paragon", "--mnth=2026-09"), "Did you mean --month?"),
        (("sync", "paragon", "--max", "5"), "--max-requests, --max-minutes"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_right_one(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
) -> None:
    """Of commands and of options, also where a value follows an equals sign."""
    assert expected in _refused(capsys, *words)[1]


def test_a_wrong_option_shows_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Not that of the whole program."""
    err = _refused(capsys, "sync", "paragon", "--wrong")[1]
    assert err.startswith("usage: task-history sync ")
    assert "See task-history sync --help." in err


def test_wrong_arguments_are_json_where_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """One object on stdout with the command, the exit code and the error, as for other errors."""
    out, _ = _refused(capsys, "sync", "--json", "paragon", "--wrong")
    result = json.loads(out)
    assert (result["command"], result["exit_code"]) == ("sync", 2)
    assert "unknown argument: --wrong." in result["error"]
    assert json.loads(_refused(capsys, "snyc", "--json")[0])["command"] is None


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("report", "--month", ""), "--month"),
        (("report", "--week="), "--week"),
        (("report", "--timezone", " "), "--timezone"),
        (("backfill", "paragon", "--from", "2026-09-01", "--to", ""), "--to"),
        (("why", "paragon", "id", "--around", ""), "--around"),
    ],
)
def test_an_empty_value_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], option: str
) -> None:
    """What a variable that is not set leaves behind means nothing else silently."""
    assert f"the value of {option} is empty" in _refused(capsys, *words)[1]
