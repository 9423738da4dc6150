"""The setting ``user_map`` on BigQuery: the views follow the file, and one that is unchanged costs no statement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorder import Recorder
from tests.support.few_views import few_views
from tests.support.user_maps import (
    VIEWS,
    check_round,
    check_views,
    facts_of,
    queried_table,
    shown,
    write_csv,
)

ON = ("--destination", "bigquery")
QUIET: dict[str, Any] = {"steps": "none", "integrations": None}


def test_the_views_follow_the_file_and_the_table(recorder: Recorder, tmp_path: Path) -> None:
    """An unchanged file costs a sync no statement about the views, and ``status`` counts its users.

    A customers' table is read by one job, which has a limit of bytes.
    """
    with SandboxProcess(executions=20, seed=5, freeze=True) as sandbox, few_views("users", *VIEWS):
        path = tmp_path / "users.csv"
        place = BigQueryPlace(tmp_path, sandbox, recorder, payloads="none", **QUIET)
        place.set(user_map=str(path))
        users = sorted({row["userId"] for row in sandbox.truth() if row["userId"]})
        facts = facts_of(users)
        write_csv(path, facts)
        place.sync()
        check_views(place, facts)
        before = len(recorder.statements)
        place.sync()
        said = [statement.sql for statement in recorder.statements[before:]]
        assert said
        assert not [sql for sql in said if "`task_history`" in sql]
        [status] = json.loads(place.run("status", "paragon", "--json", *ON).stdout)["systems"]
        assert (status["user_map"]["users"], status["user_map"]["ran"]) == (len(facts), len(users))

        second = {users[0]: ("Only 50 %s", None, None)}
        for statement in queried_table(second, "bigquery"):
            place.client.query_and_wait(statement.replace("VARCHAR(200)", "STRING"))
        place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"] = str(1 << 30)
        place.set(user_map="SELECT * FROM crm.customers WHERE customer NOT LIKE '%%s nothing'")
        before = len(recorder.statements)
        place.sync()
        check_views(place, second)
        reads = [said for said in recorder.statements[before:] if "crm.customers" in said.sql]
        assert [one.sql for one in reads if not one.maximum_bytes_billed] == []
        assert len(reads) == 1


@pytest.mark.torture
def test_a_forgotten_person_does_not_come_back_by_the_file_or_the_table(
    bigquery: Emulator, tmp_path: Path
) -> None:
    """Nor by a later file that names the person; the customers' table is followed as in a DuckDB file."""
    with (
        SandboxProcess(executions=40, seed=5, freeze=True) as sandbox,
        Recorder(bigquery.url) as recorder,
        few_views("users", *VIEWS),
    ):
        path = tmp_path / "users.csv"
        place = BigQueryPlace(tmp_path, sandbox, recorder, **QUIET)
        place.set(user_map=str(path))
        users = sorted({row["userId"] for row in sandbox.truth() if row["userId"]})
        facts = facts_of(users)
        write_csv(path, facts)
        place.sync()
        person, other = users[1:3]
        done = place.run("forget", "paragon", "--user", person, "--yes", "--json", *ON)
        assert json.loads(done.stdout)["tables"]["user_map"] == 1
        write_csv(path, {person: ("A", None, None), other: ("C", None, None)})
        place.sync()
        assert shown(place, "users") == {other: {("C", None, None)}}

        for statement in queried_table(facts, "bigquery"):
            place.client.query_and_wait(statement.replace("VARCHAR(200)", "STRING"))
        place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"] = str(1 << 30)
        place.set(user_map="SELECT * FROM crm.customers WHERE customer NOT LIKE '%%s nothing'")
        place.sync()
        del facts[person]
        check_views(place, facts)
        before = len(recorder.statements)
        place.sync()
        reads = [said for said in recorder.statements[before:] if "customers" in said.sql]
        assert len(reads) == 1
        assert reads[0].maximum_bytes_billed is not None


@pytest.mark.torture
def test_the_views_follow_files_that_come_and_go(bigquery: Emulator, tmp_path: Path) -> None:
    """As in a DuckDB file: one file, another one, and none again."""
    with SandboxProcess(executions=40, seed=5, freeze=True) as sandbox, Recorder(bigquery.url) as recorder:
        place = BigQueryPlace(tmp_path, sandbox, recorder, **QUIET)
        place.sync()
        check_round(place, tmp_path, *ON)
