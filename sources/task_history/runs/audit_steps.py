"""The steps' part of an audit: their numbers against the details log, and of a sample their values against the API."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.batch import Chunk
from ..core.models import Row, Table, Window
from ..extract.compare import differing_columns
from ..warehouse.backlog import Wanted
from ..warehouse.queries import Warehouse
from .context import Context


@dataclass(frozen=True, slots=True)
class StepDifferences:
    """An execution of which stored steps are not those of the API."""

    execution: Wanted
    texts: tuple[str, ...]
    """What differs, in words: ``5 of 7 steps are stored``, ``step a: status``."""
    surplus: int = 0
    """Stored steps that the API does not show; nothing takes them out."""


class StepAudit:
    """Compares the steps of executions with loaded details."""

    def __init__(self, context: Context, chance: random.Random) -> None:
        self._context = context
        self._random = chance
        self.compared = 0
        """Executions whose steps were read and compared."""

    def miscounted(self, held: Warehouse, windows: Sequence[Window]) -> list[StepDifferences]:
        """Executions of which other numbers of steps are stored than were read; this sends no request."""
        return [
            StepDifferences(
                count.execution,
                (f"{count.stored} of {count.logged} steps are stored",),
                max(0, count.stored - count.logged),
            )
            for window in windows
            for count in held.steps_miscounted(window)
        ]

    def sampled(
        self, held: Warehouse, ids: Sequence[str], window: Window, number: int
    ) -> Iterator[StepDifferences]:
        """Reads the steps of so many of the executions, which began in the window, and compares them field by field.

        One request each.

        Raises what the client raises.
        """
        wanted = held.details_loaded(ids, window)
        chosen = self._random.sample(wanted, min(number, len(wanted)))
        by_id = {item.execution_id: item for item in chosen}
        table, log_table = self._context.system.details.steps, self._context.system.details.log
        for chunk in self._context.details.steps(chosen):
            for note in chunk.rows.get(log_table.name, ()):
                if note["outcome"] != "loaded":
                    continue
                self.compared += 1
                item = by_id[str(note["id"])]
                found = _compared(
                    item, table, chunk.rows.get(table.name, ()), held.steps(item.execution_id, window)
                )
                if found.texts:
                    yield found

    def repaired(self, differences: Sequence[StepDifferences]) -> Iterator[Chunk]:
        """Reads the steps of these executions once more, to be written."""
        yield from self._context.details.steps([difference.execution for difference in differences])


def _compared(item: Wanted, table: Table, read: Sequence[Row], stored: Sequence[Row]) -> StepDifferences:
    """What differs between the steps that were read, by the vendor's keys, and the stored ones, by columns."""
    source = {column.name: column.source or column.name for column in table.columns}
    fresh = {tuple(str(row.get(source[name])) for name in table.primary_key): row for row in read}
    # Run again under the same id, an execution has steps of its earlier run too.
    held = {
        tuple(str(row[name]) for name in table.primary_key): row
        for row in stored
        if row.get("execution_date_started") in (None, item.started_at)
    }
    texts = []
    if missing := fresh.keys() - held.keys():
        texts.append(f"{len(fresh) - len(missing)} of {len(fresh)} steps are stored")
    texts += [
        f"step {'/'.join(key)}: {', '.join(columns)}"
        for key in sorted(fresh.keys() & held.keys())
        if (columns := differing_columns(table, fresh[key], held[key]))
    ]
    surplus = sorted(held.keys() - fresh.keys())
    texts += [f"step {'/'.join(key)} is not at the vendor" for key in surplus]
    return StepDifferences(item, tuple(texts), len(surplus))
