"""Gates for tests, each of which imports Google's analyzer when it is made: that takes a second of a processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.destinations.bigquery.gate import Gate
else:
    Gate = object

__all__ = ["Gate", "gate_of"]


def gate_of(project: str) -> Gate:
    """A gate for the statements of that project."""
    from tests.destinations.bigquery.gate import Gate

    return Gate(project)
