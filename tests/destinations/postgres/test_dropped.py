"""Postgres: tables that somebody dropped are filled again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace, PostgresPlaceWithoutViews
from tests.support.dropped_tables import check_dropped, check_dropped_staging
from tests.support.place import Place, truth


class _Place(PostgresPlaceWithoutViews):
    def sync(self, *words: str, expect: int | None = 0) -> dict[str, Any]:
        return super().sync(*ON_POSTGRES, *words, expect=expect)


@pytest.mark.torture
@pytest.mark.parametrize("at_once", [False, True], ids=["each", "all"])
def test_what_was_dropped_is_asked_again_within_the_retention(
    postgres: Server, tmp_path: Path, at_once: bool
) -> None:
    """As on DuckDB: each row is back that the vendor still has, and of the others it is said that they are lost."""

    def execute(place: Place, sql: str) -> None:
        assert isinstance(place, PostgresPlace)
        place.execute(f"{sql} CASCADE")

    check_dropped(lambda sandbox: _Place(tmp_path, sandbox, postgres), execute, at_once=at_once)


def test_what_was_dropped_of_staging_is_made_again(postgres: Server, tmp_path: Path) -> None:
    """A column and a table of the staging dataset: the next sync stages and loads all."""

    def execute(place: Place, sql: str) -> None:
        assert isinstance(place, PostgresPlace)
        place.execute(sql)

    check_dropped_staging(lambda sandbox: _Place(tmp_path, sandbox, postgres), execute)


def test_rows_that_were_staged_and_dropped_before_they_were_merged_are_staged_again(
    postgres: Server, tmp_path: Path
) -> None:
    """A run that could not merge left a load package; its staging table is dropped, and the next sync loses no row."""
    with SandboxProcess(executions=40, seed=8, days=5, freeze=True) as sandbox:
        place = _Place(tmp_path, sandbox, postgres, integrations=None, steps="none")
        place.run("sync", "paragon", *ON_POSTGRES, "--max-requests", "0")
        place.execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$",
            "CREATE TRIGGER refuse BEFORE INSERT ON paragon.workflow_executions EXECUTE FUNCTION public.refuse()",
        )
        place.run("sync", "paragon", *ON_POSTGRES, expect=4)
        place.execute(
            "DROP TRIGGER refuse ON paragon.workflow_executions",
            "DROP TABLE paragon_staging.workflow_executions",
        )
        assert place.sync()["complete"]
        assert place.executions() == truth(sandbox)
