"""``check --destination postgres`` finds what a role may not do before anything is asked or written."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace
from tests.support.few_views import few_views


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=20, freeze=True) as found:
        yield found


@pytest.fixture
def one_view() -> Iterator[None]:
    """Syncs make the view of executions, and what it reads."""
    with few_views("executions"):
        yield


def _run(server: Server, *statements: str) -> None:
    with contextlib.closing(psycopg2.connect(server.url)) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


@pytest.mark.parametrize(
    ("role", "statements", "message"),
    [
        ("reader", (), "GRANT CREATE ON DATABASE"),
        (
            "user",
            ("CREATE SCHEMA user_data", "GRANT USAGE ON SCHEMA user_data TO user_role"),
            "GRANT USAGE, CREATE",
        ),
        (
            "changer",
            (
                "CREATE SCHEMA changer_data",
                "GRANT ALL ON SCHEMA changer_data TO changer_role",
                "CREATE TABLE changer_data.workflow_executions (id TEXT)",
                "GRANT ALL ON changer_data.workflow_executions TO changer_role",
            ),
            "changer_data.workflow_executions belongs to another role",
        ),
        ("standby", ("ALTER ROLE standby_role SET default_transaction_read_only = on",), "Name the primary"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_a_role_that_cannot_write_is_told(
    postgres: Server,
    sandbox: SandboxProcess,
    tmp_path: Path,
    role: str,
    statements: tuple[str, ...],
    message: str,
) -> None:
    """The right that is missing, by the statement that gives it; exit code 4, and no request."""
    _run(postgres, f"CREATE ROLE {role}_role LOGIN", *statements)
    place = PostgresPlace(tmp_path, sandbox, postgres, dataset_name=f"{role}_data", integrations=None)
    place.env["DESTINATION__POSTGRES__CREDENTIALS"] = postgres.url.replace("//tests:", f"//{role}_role:")
    sandbox.reset_counters()
    assert message in place.run("check", "paragon", *ON_POSTGRES, expect=4).stderr
    assert not sandbox.counters().get("list")


@pytest.mark.usefixtures("one_view")
def test_what_a_check_tries_leaves_nothing_behind(
    postgres: Server, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A role that may make schemas is told so, and none is there afterwards; its sync logs no warning."""
    _run(
        postgres,
        "CREATE ROLE maker_role LOGIN",
        f"GRANT CREATE ON DATABASE {postgres.database} TO maker_role",
    )
    place = PostgresPlace(
        tmp_path, sandbox, postgres, dataset_name="maker_data", integrations=None, steps="none"
    )
    place.env["DESTINATION__POSTGRES__CREDENTIALS"] = postgres.url.replace("//tests:", "//maker_role:")
    said = place.run("check", "paragon", *ON_POSTGRES).stdout
    assert "The dataset maker_data will be created by the first sync, and tables may be made in it." in said
    assert place.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'maker%'") == [(0,)]
    synced = place.run("sync", "paragon", "--log-level", "info", *ON_POSTGRES).stderr
    assert "commit" in synced
    assert [line for line in synced.splitlines() if "WARNING" in line or "ERROR" in line] == []
    assert "The dataset maker_data is there" in place.run("check", "paragon", *ON_POSTGRES).stdout


@pytest.mark.usefixtures("one_view")
def test_a_role_that_makes_no_schemas_loads_into_those_that_are_there(
    postgres: Server, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A check names the schemas that are missing; once they are there, it says so, and a sync loads."""
    _run(postgres, "CREATE ROLE loader_role LOGIN", "CREATE SCHEMA loader_data AUTHORIZATION loader_role")
    place = PostgresPlace(
        tmp_path, sandbox, postgres, dataset_name="loader_data", integrations=None, steps="none"
    )
    place.env["DESTINATION__POSTGRES__CREDENTIALS"] = postgres.url.replace("//tests:", "//loader_role:")
    refused = place.run("check", "paragon", *ON_POSTGRES, expect=4).stderr
    missing = re.findall(r"\b(?:loader_data_\w+|task_history)\b", refused.partition("none called")[2])
    assert {"loader_data_staging", "task_history"} < set(missing)
    _run(postgres, *(f"CREATE SCHEMA {name} AUTHORIZATION loader_role" for name in missing))
    assert "The dataset loader_data is there" in place.run("check", "paragon", *ON_POSTGRES).stdout
    synced = place.run("sync", "paragon", *ON_POSTGRES).stderr
    assert "views_failed" not in synced
    assert place.query("SELECT count(*) > 0 FROM task_history.executions") == [(True,)]


def test_a_name_longer_than_postgres_takes_is_refused(
    postgres: Server, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Where rows would be loaded into another name, nothing is sent."""
    place = PostgresPlace(tmp_path, sandbox, postgres, dataset_name="x" * 70)
    sandbox.reset_counters()
    told = place.run("sync", "paragon", *ON_POSTGRES, expect=3).stderr
    assert "70 characters" in told
    assert "at most 63" in told
    assert not sandbox.counters().get("list")
