"""The dlt sources: where dlt finds what their parameters are, and what becomes of it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import task_history
from task_history import systems
from task_history.settings_reader import settings_of
from tests.support.forked import Forked
from tests.support.place import ROOT

SECTION = "sources.task_history.paragon"
PROGRAM = """
import dataclasses, json, sys
from task_history import source
found = []
source.build = lambda system, given, build=source.build: found.append(build(system, given)) or found[-1]
source.paragon(**json.loads(sys.argv[1]))
print(json.dumps(dataclasses.asdict(found[0].values), default=str))
"""


def resolved(
    folder: Path, *, given: dict[str, Any], config: str = "", secrets: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """What ``paragon`` goes by in a project with these files, called with ``given``, as a process."""
    (folder / ".dlt").mkdir()
    (folder / ".dlt" / "config.toml").write_text(f"[{SECTION}]\n{config}")
    (folder / ".dlt" / "secrets.toml").write_text(f"[{SECTION}]\n{secrets}")
    own = {name: value for name, value in os.environ.items() if not name.startswith("SOURCES__")}
    prefix = SECTION.replace(".", "__").upper()
    env = {
        **own,
        "PYTHONPATH": str(ROOT),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        **{f"{prefix}__{name.upper()}": value for name, value in environ.items()},
    }
    process = Forked([PROGRAM, json.dumps(given)], folder, env, program="scripts")
    output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(PROGRAM, process.returncode, output, errors)


def test_dlt_finds_settings_in_all_its_places(tmp_path: Path) -> None:
    """The call wins over the environment, that over secrets.toml, that over config.toml; the rest has its default."""
    done = resolved(
        tmp_path,
        given={"steps": "failed"},
        config='project_id = "of config"\nsteps = "none"\npayloads = "none"\n'
        'redact = ["account_no"]\nstart_date = 2026-09-01\n',
        secrets='api_key = "of-secrets-1"\n',
        concurrency="3",
        payloads="all",
        integrations='["slack", "jira"]',
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout.splitlines()[-1])
    assert (values["project_id"], values["api_key"]) == ("of config", "of-secrets-1")
    assert (values["steps"], values["payloads"], values["concurrency"]) == ("failed", "all", 3)
    assert (values["redact"], values["integrations"]) == (["account_no"], ["slack", "jira"])
    assert values["start_date"].startswith("2026-09-01")
    assert (values["lookback_minutes"], values["rate_limit_requests"]) == (120, 1000)


def test_a_placeholder_is_refused_with_its_file(tmp_path: Path) -> None:
    """What ``dlt init`` wrote and nobody filled in ends the call, with the key and the file."""
    done = resolved(tmp_path, given={}, config='project_id = "p"\n', secrets='api_key = "<configure me>"\n')
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert "ConfigurationError: api_key: '<configure me>'" in last
    assert "secrets.toml" in last


@pytest.mark.parametrize("name", systems.names())
def test_parameters_are_the_settings(name: str) -> None:
    """An editor and mypy see each setting as a parameter, but for what only the command heeds."""
    parameters = inspect.signature(getattr(task_history, name)).parameters
    settings = settings_of(systems.find(name))
    assert set(parameters) == {one.name for one in settings.values() if not one.command_only}
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters.values())
