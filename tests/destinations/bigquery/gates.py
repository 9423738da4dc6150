"""Gates for tests, each of which imports Google's analyzer when it is made: that takes a second of a processor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.destinations.bigquery.said import Statement

if TYPE_CHECKING:
    from tests.destinations.bigquery.gate import Gate
else:
    Gate = object

__all__ = ["Gate", "defining", "gate_of"]


def gate_of(project: str) -> Gate:
    """A gate for the statements of that project."""
    from tests.destinations.bigquery.gate import Gate

    return Gate(project)


def defining(statements: Iterable[Statement]) -> list[Statement]:
    """Those that say which tables there are, without which nothing after them can be analysed."""
    return [one for one in statements if one.sql.startswith(("CREATE", "ALTER", "DROP"))]
