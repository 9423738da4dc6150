"""Settings of dlt that are wrong: exit code 3, the setting and its place, and never its value."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import INTEGRATIONS, Place

SECRET = "Sup3rS3cretValue"
SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "p",
    "private_key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n",
    "client_email": "a@p.iam.gserviceaccount.com",
}
GOOGLE = "DESTINATION__BIGQUERY__CREDENTIALS"


def _place(folder: Path) -> Place:
    (folder / ".dlt").mkdir()
    return Place(
        folder,
        None,
        project_id="p",
        api_key="a-key-of-some-length",
        base_url="http://127.0.0.1:9",
        fault_deadline_s=0,
    )


def _refused(place: Place, *words: str) -> str:
    """What the command says on stderr of settings that it refuses; dlt keeps them for as long as its process lives."""
    done = place.run_process(*(words or ("sync", "paragon")))
    assert done.returncode == 3, done.stderr
    return _without_secret(done)


def _without_secret(done: subprocess.CompletedProcess[str]) -> str:
    assert SECRET not in done.stdout + done.stderr
    assert "bug" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'[runtime]\nslack_incoming_hook = "{SECRET}"', "runtime.slack_incoming_hook is a secret"),
        ("[runtime]\nslack_incoming_hook = 3", "move it to .dlt/secrets.toml"),
        ('[runtime]\nrequest_timeout = "soon"', r"request_timeout under [runtime] (in .dlt/config.toml)"),
        ("[runtime]\nlog_format = 7", "runtime.log_format"),
        (f'[runtime]\nsentry_dsn = "http://{SECRET}@127.0.0.1:9/1"', "pip install 'sentry-sdk'"),
        ('[load]\npool_type = "swimming"', "is not one of process, thread, none"),
        ('[normalize.parquet_normalizer]\nadd_dlt_load_id = "perhaps"', "add_dlt_load_id under [normalize"),
        ('restore_from_destination = "perhaps"', "restore_from_destination (in .dlt/config.toml)"),
        ('progress = "fast"', "does not start with its settings (fast)"),
        ("load = 3", "write [load]"),
        ("[sources]\ntask_history = 3", "Did you mean [sources.task_history]?"),
        ('[sources.task_history.paragon]\nschedule = "hourly"', "five cron fields"),
        ("destination = 3", "write [destination]"),
    ],
    ids=lambda value: value.splitlines()[-1] if "=" in value else "",
)
def test_a_wrong_setting_of_dlt_is_named(tmp_path: Path, text: str, message: str) -> None:
    """A setting of dlt of a wrong kind or place in a folder is named with its place and what belongs there."""
    place = _place(tmp_path)
    (tmp_path / ".dlt" / "config.toml").write_text(text)
    assert message in _refused(place)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RUNTIME__LOG_LEVEL", "LOUD", "runtime.log_level"),
        ("RUNTIME__DLTHUB_TELEMETRY", "maybe", "RUNTIME__DLTHUB_TELEMETRY (in the environment)"),
        ("LOAD__WORKERS", "many", "LOAD__WORKERS (in the environment): its value is not a whole number"),
        ("RESTORE_FROM_DESTINATION", "x", "RESTORE_FROM_DESTINATION (in the environment)"),
    ],
    ids=lambda value: value,
)
def test_a_wrong_variable_of_dlt_is_named(tmp_path: Path, name: str, value: str, message: str) -> None:
    """So is one in the environment."""
    place = _place(tmp_path)
    place.env[name] = value
    assert message in _refused(place)


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        (f"{{{SECRET}", "not of the form"),
        (json.dumps(SERVICE_ACCOUNT), "private_key is not the key of a service account"),
        (
            json.dumps({**SERVICE_ACCOUNT, "private_key": 5}),
            "private_key is not the key of a service account",
        ),
        (json.dumps({**SERVICE_ACCOUNT, "private_key": None}), "destination.bigquery"),
        (json.dumps({"client_email": SECRET}), "not of the form"),
    ],
    ids=["no JSON", "garbage as key", "a number as key", "no key", "no project"],
)
def test_credentials_of_google_that_are_none(tmp_path: Path, credentials: str, message: str) -> None:
    """Credentials that are no service account are refused before anything is sent, by the name of what is wrong."""
    place = _place(tmp_path)
    place.env[GOOGLE] = credentials
    for words in (("sync", "paragon"), ("status", "paragon")):
        told = _without_secret(place.run(*words, "--destination", "bigquery", expect=3))
        assert message in told
        assert "destination.bigquery" in told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'[sources.task_history.paragon]\napi_key = "{SECRET}', "at end of document"),
        (f'[a]\nx = "{SECRET}"\nx = "{SECRET}"\n', "Cannot overwrite a value"),
        ("[sources\n", "look at line 1, column 9"),
        ("x = " + "[" * 5_000 + "]" * 5_000, "nested too deep"),
        ("x = " + "9" * 5_000, "too large"),
    ],
    ids=["open text", "twice", "open section", "deep", "long number"],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    """A file that is no TOML is named, with the place of the error and nothing that stands there."""
    place = _place(tmp_path)
    (tmp_path / ".dlt" / "secrets.toml").write_text(content)
    told = _refused(place)
    assert ".dlt/secrets.toml is not TOML" in told
    assert message in told


@pytest.mark.parametrize("name", ["", " ", "duckdb2"])
@pytest.mark.parametrize("command", ["sync", "check", "status", "views"])
def test_a_name_that_is_no_destination(tmp_path: Path, command: str, name: str) -> None:
    """It is refused as wrong usage, also an empty one: DuckDB is the default where none is given."""
    words = [command] if command == "views" else [command, "paragon"]
    told = _place(tmp_path).run(*words, "--destination", name, expect=2).stderr
    said = f"There is no destination {name!r}." if name.strip() else "the value of --destination is empty"
    assert said in told


@pytest.mark.parametrize(
    ("destination", "package"),
    [("sqlalchemy", "sql_database"), ("snowflake", "snowflake"), ("lancedb", "lancedb")],
)
def test_a_destination_whose_package_is_missing(tmp_path: Path, destination: str, package: str) -> None:
    """A destination of dlt that needs a package which is not installed is refused with its name."""
    refused = _refused(_place(tmp_path), "sync", "paragon", "--destination", destination)
    assert f"pip install 'dlt[{package}]'" in refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("workflow,integration\nw,slack\n", "lacks workflow_id"),
        ("workflow_id,integration,workflow_nam\nw,slack,x\n", "Did you mean workflow_name?"),
    ],
    ids=["no file", "another column", "a misspelled column"],
)
def test_check_reads_the_map_of_workflows(tmp_path: Path, content: str | None, message: str) -> None:
    """``check`` finds what ``sync`` would stumble over: a mapping file that is not there or has other columns."""
    place = _place(tmp_path)
    file = tmp_path / "map.csv"
    if content is not None:
        file.write_text(content)
    place.set(workflow_map=str(file))
    told = _without_secret(place.run("check", "paragon", expect=3))
    assert "workflow_map" in told
    assert message in told


def test_a_warehouse_without_views_is_no_error_of_sql(tmp_path: Path) -> None:
    """``report`` over a file in which nothing is loaded says what makes the views, and no statement."""
    place = _place(tmp_path)
    with duckdb.connect(str(place.file)) as connection:
        connection.execute("CREATE SCHEMA paragon")
    done = place.run_process("report", "--month", "2026-11")
    assert done.returncode == 4
    assert "task-history sync makes them" in done.stderr
    assert "Catalog" not in done.stderr


@pytest.mark.parametrize("command", ["backfill", "plan", "audit"])
@pytest.mark.parametrize(
    ("system", "given", "right"), [("paragon", "failed", "FAILED"), ("sailpoint", "FAILED", "Failed")]
)
def test_a_status_in_other_capitals_is_refused(
    tmp_path: Path, system: str, given: str, right: str, command: str
) -> None:
    """The error names the value as the vendor writes it, and all that it documents."""
    with SandboxProcess(system, executions=3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system=system, retention_days=0)
        words = (command, system, "--from", "2026-01-10", "--to", "2026-01-12", "--status", given)
        said = place.run(*words, expect=2).stderr
    assert f"--status {given}" in said
    assert f"writes it {right}. Values: " in said


def test_a_status_that_is_not_documented_is_named_and_asked_for(tmp_path: Path) -> None:
    """The vendor may have new ones."""
    with SandboxProcess(executions=3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, retention_days=0)
        said = place.run(
            "backfill", "paragon", "--from", "2026-01-10", "--to", "2026-01-12", "--status", "PAUSED"
        ).stderr
    assert "--status PAUSED" in said
    assert "EXECUTING, DELAYED, SUCCEEDED, FAILED" in said


@pytest.mark.parametrize(
    ("system", "words", "right"),
    [
        ("sailpoint", ("--workflow", "nope"), "the vendor lists no such workflow"),
        ("twinit", ("--namespace", "nope"), "it is none of those in the settings"),
        ("b3os", ("--status", "nope"), "it supports no filter"),
    ],
)
def test_a_filter_that_names_no_list_is_refused(
    tmp_path: Path, system: str, words: tuple[str, str], right: str
) -> None:
    """A workflow or namespace that is not there is a wrong argument, told with those that are."""
    with SandboxProcess(system, executions=20, freeze=True, now="2026-01-11T00:00:00Z") as sandbox:
        place = Place(tmp_path, sandbox, system=system, retention_days=0, steps="none")
        said = place.run("backfill", system, "--from", "2026-01-10", "--to", "2026-01-11", *words, expect=2)
    assert right in said.stderr


def test_a_filter_that_matches_nothing_is_named(tmp_path: Path) -> None:
    """A value that no execution of the range has may be misspelled; one that some have is not named."""
    month = ("--from", "2026-01-05", "--to", "2026-01-10")
    with SandboxProcess(executions=60, days=8, freeze=True, now="2026-01-11T00:00:00Z") as sandbox:
        place = Place(tmp_path, sandbox, retention_days=0, steps="none", payloads="none", integrations=None)
        told = place.run("backfill", "paragon", *month, "--user", "nope").stderr
        assert 'filter_matches_nothing filters="--user nope"' in told
        assert (
            "matches_nothing" not in place.run("backfill", "paragon", *month, "--status", "SUCCEEDED").stderr
        )


def test_how_much_of_a_workflow_map_matches_is_told(tmp_path: Path) -> None:
    """By ``check`` of the executions that it looks at, by ``sync`` and ``status`` of all that are loaded.

    Where none matches, a warning names one of the map's ids, and one that would match.
    """
    with SandboxProcess(executions=60, freeze=True) as sandbox:
        known = sandbox.truth()[-1]["workflowId"]
        (tmp_path / "map.json").write_text(
            json.dumps({known: "slack", "no-such": "jira", "nor-such": "jira"})
        )
        place = Place(
            tmp_path, sandbox, workflow_map=str(tmp_path / "map.json"), integrations=None, steps="none"
        )
        assert "1 of the 3 workflows in workflow_map" in place.run("check", "paragon").stdout
        assert "workflow_map workflows=3 matched=1 first_unmatched=no-such" in place.sync()["stderr"]
        [found] = json.loads(place.run("status", "paragon", "--json").stdout)["systems"]
        assert found["workflow_map"] == {"workflows": 3, "matched": 1, "first_unmatched": "no-such"}
        assert "1 of the 3 workflows in workflow_map ran here" in place.run("status", "paragon").stdout
        (tmp_path / "map.json").write_text(json.dumps({"no-such-workflow": "slack"}))
        told = place.sync()["stderr"]
        assert "workflow_map_matches_nothing first=no-such-workflow" in told
        assert place.query("SELECT min(workflow_id) FROM paragon.workflow_executions")[0][0] in told


def test_an_integration_that_no_workflow_belongs_to_is_named(tmp_path: Path) -> None:
    """``sync`` and ``status`` name a misspelled one, and none that some workflow belongs to."""
    with SandboxProcess(executions=200, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none")
        place.set(integrations=["slak", *INTEGRATIONS])
        told = place.sync()["stderr"]
        [line] = [line for line in told.splitlines() if "integrations_match_nothing" in line]
        assert "slak" in line
        status = place.run("status", "paragon").stdout
        assert "no workflow belongs to the integration slak: check its spelling" in status
        used = {name for (name,) in place.query("SELECT DISTINCT integration FROM paragon.workflows")}
        assert not [name for name in used if name and f"integration {name}:" in status]


@pytest.mark.torture
def test_a_workflow_map_that_matches_nothing_is_named(tmp_path: Path) -> None:
    """The warning names one of its ids, and one that would match."""
    (tmp_path / "map.csv").write_text("workflow_id,integration\nno-such-workflow,slack\n")
    with SandboxProcess(executions=30, freeze=True) as sandbox:
        place = Place(
            tmp_path, sandbox, workflow_map=str(tmp_path / "map.csv"), steps="none", payloads="none"
        )
        said = place.sync()["stderr"]
    [(known,)] = place.query("SELECT min(workflow_id) FROM paragon.workflow_executions")
    assert "workflow_map_matches_nothing first=no-such-workflow" in said
    assert known in said
