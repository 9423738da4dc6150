"""The files in ``docs/how-to/engines``: they run commands that there are, and each exit code has its end."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from task_history.core.exit_codes import ExitCode, Reaction
from task_history_cli.cli import parsers
from task_history_cli.console.parser import parsed
from tests.support.place import ROOT

ENGINES = ROOT / "docs" / "how-to" / "engines"
USER = 10001
WORK = "/var/lib/task-history"


def check_words(words: list[str]) -> None:
    """Fails where the command would refuse the words."""
    assert Path(words[0]).name == "task-history"
    parsed(words[1:], *parsers(words[1:]))


# The container, Kubernetes, systemd and cron.


def test_the_container_has_no_rights_and_says_how_it_is() -> None:
    """Its user is not root, its checks and its command are the command's own, and what it copies is there."""
    text = (ENGINES / "Containerfile").read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    steps = [(word, rest) for word, rest in (line.split(maxsplit=1) for line in lines)]
    assert [rest for word, rest in steps if word == "USER"] == [str(USER)]
    assert [rest for word, rest in steps if word == "WORKDIR"][-1] == WORK
    (health,) = (rest for word, rest in steps if word == "HEALTHCHECK")
    check_words(json.loads(health.partition("CMD ")[2]))
    (entry,) = (json.loads(rest) for word, rest in steps if word == "ENTRYPOINT")
    check_words([*entry, *next(json.loads(rest) for word, rest in steps if word == "CMD")])
    for name in ("DLT_DATA_DIR", "TASK_HISTORY_STATE_DIR"):
        assert f"{name}={WORK}/" in text
    for word, rest in steps:
        if word == "COPY" and "--from" not in rest:
            assert [path for path in rest.split()[:-1] if not (ROOT / path).exists()] == []
    installs = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
    assert installs
    assert all(rest.count("--no-cache") == rest.count("pip install") for rest in installs)


def test_the_images_packages_are_those_of_the_locks() -> None:
    """What is tested is what the image holds: each version is that of the other locks."""
    pin = re.compile(r"^([a-z0-9][\w.-]*)==([^ ;]+)", re.MULTILINE)
    image = dict(pin.findall((ROOT / ".ci/requirements-image.lock").read_text("utf-8")))
    for lock in ("requirements.lock", ".ci/requirements-dev.lock"):
        tested = dict(pin.findall((ROOT / lock).read_text("utf-8")))
        assert {name: tested[name] for name in image.keys() & tested.keys()} == {
            name: image[name] for name in image.keys() & tested.keys()
        }
    assert {
        "psycopg",
        "psycopg2-binary",
        "apprise",
        "opentelemetry-sdk",
        "google-cloud-bigquery",
    } <= image.keys()


def test_the_cron_job_runs_with_a_read_only_root() -> None:
    """No root, no capability, no write but in two volumes; its words and its probe are the command's own."""
    (job,) = yaml.safe_load_all((ENGINES / "kubernetes.yaml").read_text("utf-8"))
    template = job["spec"]["jobTemplate"]["spec"]
    pod = template["template"]["spec"]
    (container,) = pod["containers"]
    assert (
        pod["securityContext"].items() >= {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER}.items()
    )
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {WORK, "/tmp"}
    assert [volume for volume in pod["volumes"] if "emptyDir" not in volume] == []
    check_words(["task-history", *container["args"]])
    check_words(container["readinessProbe"]["exec"]["command"])
    assert pod["terminationGracePeriodSeconds"] >= 300
    (rule,) = template["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [
        code for code in ExitCode if code.reaction is Reaction.TELL_A_PERSON
    ]


def test_the_other_schedulers_run_what_there_is() -> None:
    """systemd's service and the line for cron hold words of the command, and 5 is no failure."""
    service = (ENGINES / "task-history.service").read_text("utf-8")
    (start,) = re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)
    check_words(shlex.split(start))
    # Each process of the command gets SIGTERM once: a second one would end it at once.
    assert "KillMode=mixed\n" in service
    assert f"SuccessExitStatus={int(ExitCode.ALREADY_RUNNING)}\n" in service
    page = (ROOT / "docs" / "how-to" / "other-engines.md").read_text("utf-8")
    (line,) = re.findall(r"^5 \* .*&& (.*) 2>>", page, re.MULTILINE)
    check_words(shlex.split(line))
    found = {
        int(number): text
        for codes, text in re.findall(r"^\| ([\d, ]+) \| (.*) \|$", page, re.MULTILINE)
        for number in codes.split(",")
    }
    assert found.keys() == {*map(int, ExitCode)}
    assert [code for code in ExitCode if not found[code].startswith(code.reaction)] == []


# Prefect and Airflow, of which only the names that the files import are made here. Both were tried for real.


def loaded(name: str, monkeypatch: pytest.MonkeyPatch, **modules: dict[str, Any]) -> ModuleType:
    """The file as a module, beside an engine of which only these names are there."""
    for module, names in modules.items():
        path = module.replace("__", ".")
        for end in range(1, path.count(".") + 2):
            parent = ".".join(path.split(".")[:end])
            if parent not in sys.modules:
                monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        for attribute, value in names.items():
            monkeypatch.setattr(sys.modules[path], attribute, value, raising=False)
    spec = importlib.util.spec_from_file_location(f"engine_{name}", ENGINES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def command(folder: Path, code: int) -> Path:
    """A program that ends with that exit code, and prints an error as ``--json`` does."""
    file = folder / "task-history"
    body = '{"executions": 3}' if code == 0 else '{"error": "the reason"}'
    end = "kill -KILL $$" if code < 0 else f"exit {code}"
    file.write_text(f"#!/bin/sh\necho '{body}'\n{end}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (-9, "Unavailable: the reason"),
        (ExitCode.DONE, {"executions": 3}),
        (ExitCode.ALREADY_RUNNING, "Skipped: the reason"),
        *((code, "Unavailable: the reason") for code in ExitCode if code.reaction is Reaction.TRY_AGAIN),
        *((code, "RuntimeError: the reason") for code in ExitCode if code.reaction is Reaction.TELL_A_PERSON),
        (ExitCode.INTERRUPTED, "RuntimeError: the reason"),
    ],
)
def test_prefect_does_with_each_exit_code_what_it_should(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, end: Any
) -> None:
    """0 gives the result, 5 is skipped, 4 and a kill are tried again, all else fails at once."""

    def decorator(*functions: Any, **_: Any) -> Any:
        return functions[0] if functions else decorator

    module = loaded(
        "prefect_flow",
        monkeypatch,
        prefect={"flow": decorator, "task": decorator},
        prefect__futures={"wait": None},
        prefect__states={"State": object, "Completed": lambda name, message: f"{name}: {message}"},
    )
    monkeypatch.setattr(module, "FOLDER", str(tmp_path))
    monkeypatch.setattr(module, "COMMAND", str(command(tmp_path, code)))
    try:
        found = module.sync("paragon")
    except RuntimeError as error:
        found = f"RuntimeError: {error}"
    except module.Unavailable as error:
        found = f"Unavailable: {error}"
    assert found == end
    assert module.RUNNING == set()


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (-9, "Retry"),
        (ExitCode.DONE, "done"),
        (ExitCode.ALREADY_RUNNING, "Skip"),
        *((code, "Retry") for code in ExitCode if code.reaction is Reaction.TRY_AGAIN),
        *((code, "Fail") for code in ExitCode if code.reaction is Reaction.TELL_A_PERSON),
        (ExitCode.INTERRUPTED, "Fail"),
    ],
)
def test_airflow_does_with_each_exit_code_what_it_should(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, end: str
) -> None:
    """0 is done, 5 is skipped, 4 and a kill are tried again, all else fails at once."""

    class Retry(Exception):
        """As AirflowException: the task is tried again."""

    class Skip(Retry):
        """As AirflowSkipException."""

    class Fail(Retry):
        """As AirflowFailException."""

    class Operator:
        """As BashOperator."""

        made: ClassVar[list[Any]] = []

        def __init__(self, **options: Any) -> None:
            self.options = options
            self.subprocess_hook = SimpleNamespace(sub_process=None)
            self.made.append(self)

        def execute(self, _: object) -> str:
            words = ["/bin/bash", "-c", self.options["bash_command"]]
            done = subprocess.run(words, cwd=self.options["cwd"], check=False)
            self.subprocess_hook.sub_process = done
            if done.returncode == self.options["skip_on_exit_code"]:
                raise Skip
            if done.returncode:
                raise Retry
            return "done"

    module = loaded(
        "airflow_dag",
        monkeypatch,
        airflow__providers__standard__operators__bash={"BashOperator": Operator},
        airflow__sdk={"dag": lambda **_: lambda function: function},
        airflow__sdk__exceptions={"AirflowException": Retry, "AirflowFailException": Fail},
    )
    monkeypatch.setattr(module, "FOLDER", str(tmp_path))
    monkeypatch.setattr(module, "COMMAND", str(command(tmp_path, code)))
    for words in module.ACCOUNTS.values():
        check_words(["task-history", "sync", *words])
    module.task_history()
    try:
        found = Operator.made[-1].execute({})
    except Retry as error:
        found = type(error).__name__
    assert found == end
