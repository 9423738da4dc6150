"""``init`` writes the settings that a first sync needs, and checks them; nothing is written where anything is wrong."""

from __future__ import annotations

import json
import os
import pty
import select
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.errors import ConfigurationError
from task_history.settings_accounts import Account
from task_history.settings_reader import settings_of
from task_history_cli.runtime.settings_files import DestinationSettings, write_settings
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.torture import rest_as_torture

OPTIONS = {
    "paragon": (["project_id", "base_url"], ["api_key"]),
    "sailpoint": (["client_id", "base_url"], ["client_secret"]),
    "twinit": (["namespaces", "application_id", "base_url"], ["access_key", "secret_key"]),
    "b3os": (["base_url"], ["api_key"]),
}
"""The settings of each system that its sandbox needs: those that are no secret, and the secrets."""


def _empty(folder: Path, system: str) -> Place:
    """A place without settings of that system but for the limit."""
    place = Place(folder, None, system=system)
    place.set(rate_limit_requests=None, start_date=None, integrations=None)
    del place.env["DESTINATION__DUCKDB__CREDENTIALS"]
    return place


def _toml(folder: Path, name: str) -> dict[str, Any]:
    return tomllib.loads((folder / ".dlt" / name).read_text("utf-8"))


@pytest.mark.parametrize("system", rest_as_torture(OPTIONS, ("twinit",)))
def test_options_answer_all_questions(tmp_path: Path, system: str) -> None:
    """Settings and secrets go into their files, the check is made, and the sync that is named works as printed."""
    plain, secret = OPTIONS[system]
    with SandboxProcess(system, executions=30, seed=5, freeze=True) as sandbox:
        place = _empty(tmp_path, system)
        words = ["init", system]
        for name in plain:
            if name in sandbox.settings:
                words += ["--set", f"{name}={sandbox.settings[name]}"]
        for name in secret:
            if name in sandbox.settings:
                place.env[f"OWN_{name.upper()}"] = sandbox.settings[name]
                words += ["--secret", f"{name}=OWN_{name.upper()}"]
        done = place.run(*words)
        assert "The key is accepted" in done.stdout
        next_command = done.stdout.splitlines()[-1].split()
        assert next_command[-2:] == ["sync", system]
        place.run(*next_command[-2:])
        assert (tmp_path / "warehouse.duckdb").exists()
    secrets = tmp_path / ".dlt" / "secrets.toml"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert set(_toml(tmp_path, "secrets.toml")["sources"]["task_history"][system]) == {
        name for name in secret if name in sandbox.settings
    }
    assert (tmp_path / ".dlt" / ".gitignore").read_text() == "secrets.toml\n"


def test_what_stands_in_the_files_is_kept(tmp_path: Path) -> None:
    """Comments and other settings stay; a value that is given replaces the former one; a second account stands apart."""
    place = _empty(tmp_path, "paragon")
    (tmp_path / ".dlt").mkdir()
    config = tmp_path / ".dlt" / "config.toml"
    config.write_text(
        '# ours\n[sources.task_history.paragon]\nproject_id = "old" # the first\nsteps = "none"\n[runtime]\nx = 1\n'
    )
    place.env["KEY"] = "k-secret-1"
    place.run("init", "paragon", "--set", "project_id=new", "--secret", "api_key=KEY", "--no-check")
    text = config.read_text()
    assert text.startswith("# ours\n")
    assert _toml(tmp_path, "config.toml") == {
        "sources": {"task_history": {"paragon": {"project_id": "new", "steps": "none"}}},
        "runtime": {"x": 1},
    }
    place.run(
        "init",
        "paragon",
        "--instance",
        "eu",
        "--set",
        "project_id=eu",
        "--secret",
        "api_key=KEY",
        "--no-check",
    )
    assert _toml(tmp_path, "config.toml")["task_history_paragon_eu"]["sources"]["task_history"][
        "paragon"
    ] == {"project_id": "eu"}
    accounts = json.loads(place.run("fleet", "list", "--json").stdout)["accounts"]
    assert [entry["account"] for entry in accounts] == ["paragon", "paragon/eu"]


_GIVEN = ("--set", "project_id=1", "--secret", "api_key=KEY")


@pytest.mark.parametrize(
    ("words", "expected", "code"),
    [
        ((), "Name the system: b3os, paragon", 2),
        (("paragn",), "There is no system 'paragn'", 2),
        (("paragon",), "The setting project_id of paragon is missing", 3),
        (("paragon", "--set", "project=1"), "NAME is one of", 2),
        (("paragon", "--set", "api_key=k"), "--secret api_key=VARIABLE", 2),
        (("paragon", "--secret", "project_id=KEY"), "it is no secret", 2),
        (("paragon", "--secret", "api_key=MISSING_ONE"), "no environment variable MISSING_ONE", 2),
        (
            ("paragon", "--set", "project_id=1", "--secret", "api_key=KEY", "--set", "steps=some"),
            "not one of all",
            3,
        ),
        (("paragon", *_GIVEN, "--instance", "EU"), "Name it eu", 3),
        (("paragon", *_GIVEN, "--set", "dataset_name=a b"), "Name it a_b", 3),
        (("paragon", *_GIVEN, "--set", "base_url=https://u:k-secret-1@host"), "must not hold a user", 3),
    ],
)
def test_wrong_options_write_nothing(
    tmp_path: Path, words: tuple[str, ...], expected: str, code: int
) -> None:
    """The error says what is wrong and what to do; there is no file then, and no secret in the error."""
    place = _empty(tmp_path, "paragon")
    place.env["KEY"] = "k-secret-1"
    done = place.run("init", *words, expect=code)
    assert expected in done.stderr
    assert "k-secret-1" not in done.stderr + done.stdout
    assert not (tmp_path / ".dlt").exists()


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    """It is left as it is."""
    place = _empty(tmp_path, "paragon")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text("[broken\n")
    place.env["KEY"] = "k"
    done = place.run(
        "init", "paragon", "--set", "project_id=1", "--secret", "api_key=KEY", "--no-check", expect=3
    )
    assert "config.toml" in done.stderr
    assert (tmp_path / ".dlt" / "config.toml").read_text() == "[broken\n"


@pytest.mark.parametrize(
    "before",
    [
        "sources = {}\n",
        "sources = {other = 1}\n[runtime]\nx = 1\n",
        "[sources]\ntask_history = {twinit = {steps = 'none'}}\n",
        "[sources]\ntask_history.paragon.steps = 'none'\n[runtime]\nx = 1",
        "# ours\r\n[sources.task_history.paragon]\r\nproject_id = 'old' # the first\r\n",
        "[sources.task_history.twinit]\nsteps = 'none'\n[runtime]\nx = 1\n[sources.other]\nx = 1\n",
    ],
)
def test_tables_of_any_form_take_settings(tmp_path: Path, before: str) -> None:
    """Inline tables, dotted keys, tables in several places: the settings are added, and nothing else changes."""
    file = _written(tmp_path, before)
    write_settings(file.parent, PARAGON, NEW, DUCKDB)
    expected = tomllib.loads(before)
    expected.setdefault("sources", {}).setdefault("task_history", {}).setdefault("paragon", {})[
        "project_id"
    ] = 'a"\n'
    assert tomllib.loads(file.read_text("utf-8")) == expected


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("sources = 'x'\n", "sources is no table"),
        ("[[sources.task_history]]\nx = 1\n", "sources.task_history is no table"),
        ("sources.task_history.twinit.steps = 'none'\nsources.other = 1\n", "by hand"),
        ("[sources]\ntask_history.twinit.steps = 'none'\n[runtime]\nx = 1\n", "by hand"),
    ],
)
def test_a_file_that_would_mean_something_else_stays(tmp_path: Path, before: str, message: str) -> None:
    """What cannot be added without moving other settings is refused, and the file is as it was."""
    file = _written(tmp_path, before)
    with pytest.raises(ConfigurationError, match=message):
        write_settings(file.parent, PARAGON, NEW, DUCKDB)
    assert file.read_text() == before


def test_a_link_is_found_before_anything_is_written(tmp_path: Path) -> None:
    """A secrets.toml that is a link is named; config.toml is not written either."""
    place = _empty(tmp_path, "paragon")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / ".dlt" / "secrets.toml").symlink_to(tmp_path / "elsewhere")
    place.env["KEY"] = "k-secret-1"
    done = place.run("init", "paragon", *_GIVEN, "--no-check", expect=3)
    assert "secrets.toml is a link" in done.stderr
    assert [path.name for path in (tmp_path / ".dlt").iterdir()] == ["secrets.toml"]
    assert (tmp_path / "elsewhere").read_text() == ""


PARAGON = Account(systems.find("paragon"), None)
NEW = [(settings_of(PARAGON.system)["project_id"], 'a"\n')]
DUCKDB = DestinationSettings("duckdb")


def _written(folder: Path, text: str) -> Path:
    file = folder / ".dlt" / "config.toml"
    file.parent.mkdir()
    file.write_bytes(text.encode())
    return file


def test_a_person_is_asked_on_a_terminal(tmp_path: Path) -> None:
    """System, settings, key and warehouse; the key is not shown, a wrong answer is asked again."""
    with SandboxProcess(executions=30, seed=5, freeze=True) as sandbox:
        place = _empty(tmp_path, "paragon")
        place.set(base_url=sandbox.base_url)
        key = str(sandbox.settings["api_key"])
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "task_history_cli.cli", "init"],
            cwd=tmp_path,
            env=place.env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        seen = ""
        for question, answer in (
            ("Which system", "paragn"),
            ("is none of them", "paragon"),
            ("project_id:", str(sandbox.settings["project_id"])),
            ("api_key:", key),
            ("Which warehouse", ""),
        ):
            seen += _until(ours, question)
            time.sleep(0.3)  # getpass throws away what was typed before it turned the echo off
            os.write(ours, answer.encode() + b"\n")
        seen += _until(ours, "sync paragon")
        assert process.wait(timeout=120) == 0
        os.close(ours)
    assert key not in seen
    assert _toml(tmp_path, "secrets.toml")["sources"]["task_history"]["paragon"] == {"api_key": key}


def _until(terminal: int, text: str) -> str:
    """What the terminal shows up to that text."""
    seen = ""
    deadline = time.monotonic() + 120
    while text not in seen:
        assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], seen
        seen += os.read(terminal, 65_536).decode()
    return seen
