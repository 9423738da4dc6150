"""What the warehouse refuses for good holds nothing up: it is set aside, named, and read again."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.support.place import Place
from tests.support.refusing_warehouse import (
    REFUSED,
    SETTINGS,
    check_that_a_refused_package_holds_nothing_up,
    poisoned,
)
from tests.support.torture import rest_as_torture


@pytest.mark.parametrize("kind", rest_as_torture(REFUSED, ["execution"]))
def test_a_refused_package_holds_nothing_up(tmp_path: Path, kind: str) -> None:
    """The run goes on with the rest, and the next one brings what was refused once the vendor's row is clean."""
    with poisoned(kind) as (sandbox, poison, url):
        place = Place(tmp_path, sandbox, base_url=url, **SETTINGS)

        def execute(sql: str) -> None:
            with duckdb.connect(str(place.file)) as connection:
                connection.execute(sql)

        check_that_a_refused_package_holds_nothing_up(place, sandbox, poison, execute=execute)
