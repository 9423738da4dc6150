"""The setting ``user_map`` on BigQuery: the views follow the file, and one that is unchanged costs no statement."""

from __future__ import annotations

import json
from pathlib import Path

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorder import Recorder
from tests.support.user_maps import (
    check_round,
    check_views,
    facts_of,
    queried_table,
    shown,
    users_that_ran,
    write_csv,
)

ON = ("--destination", "bigquery")


def test_the_views_follow_the_file(bigquery: Emulator, tmp_path: Path) -> None:
    """An unchanged file costs a sync no statement about the views; a forgotten person's row does not come back."""
    with SandboxProcess(executions=40, seed=5, freeze=True) as sandbox, Recorder(bigquery.url) as recorder:
        place = BigQueryPlace(tmp_path, sandbox, recorder, steps="none", integrations=None)
        place.sync()
        check_round(place, tmp_path, *ON)
        person, other = users_that_ran(place)[:2]
        place.set(user_map=str(tmp_path / "users.csv"))
        for name in ("B", "C"):
            write_csv(tmp_path / "users.csv", {person: ("A", None, None), other: (name, None, None)})
            place.sync()
            before = len(recorder.statements)
            place.sync()
            said = [statement.sql for statement in recorder.statements[before:]]
            assert said
            assert not [sql for sql in said if "`task_history`" in sql]
            if name == "B":
                done = place.run("forget", "paragon", "--user", person, "--yes", "--json", *ON)
                assert json.loads(done.stdout)["tables"]["user_map"] == 1
        assert shown(place, "users") == {other: {("C", None, None)}}


def test_the_views_follow_the_customers_table(bigquery: Emulator, tmp_path: Path) -> None:
    """As in a DuckDB file; each sync reads the table once, by a job that has a limit of bytes."""
    with SandboxProcess(executions=40, seed=5, freeze=True) as sandbox, Recorder(bigquery.url) as recorder:
        place = BigQueryPlace(tmp_path, sandbox, recorder, steps="none", integrations=None)
        place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"] = str(1 << 30)

        def execute(*statements: str) -> None:
            for statement in statements:
                place.client.query_and_wait(statement.replace("VARCHAR(200)", "STRING"))

        place.sync()
        facts = facts_of(users_that_ran(place))
        execute(*queried_table(facts, "bigquery"))
        place.set(user_map="SELECT * FROM crm.customers WHERE customer NOT LIKE '%%s nothing'")
        place.sync()
        check_views(place, facts)
        before = len(recorder.statements)
        place.sync()
        reads = [said for said in recorder.statements[before:] if "customers" in said.sql]
        assert len(reads) == 1
        assert reads[0].maximum_bytes_billed is not None
