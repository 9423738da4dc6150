"""Postgres: tables that somebody dropped are filled again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace
from tests.support.dropped import check_dropped
from tests.support.place import Place


class _Place(PostgresPlace):
    def sync(self, *words: str, expect: int | None = 0) -> dict[str, Any]:
        return super().sync(*ON_POSTGRES, *words, expect=expect)


def test_what_was_dropped_is_asked_again_within_the_retention(postgres: Server, tmp_path: Path) -> None:
    """As on DuckDB: each row is back that the vendor still has, and of the others it is said that they are lost."""

    def execute(place: Place, sql: str) -> None:
        assert isinstance(place, PostgresPlace)
        place.execute(f"{sql} CASCADE")

    check_dropped(lambda sandbox: _Place(tmp_path, sandbox, postgres), execute)
