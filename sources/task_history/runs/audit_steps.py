"""Audit of steps: compares their numbers with the details log, and those of a sample with the API."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.batch import Chunk
from ..core.columns import OCCURRENCE
from ..core.models import Row, Table, Window
from ..extract.window_comparison import differing_columns
from ..warehouse.backlog import MissingDetail
from ..warehouse.column_rules import TableRules
from ..warehouse.queries import Warehouse
from .context import Context


@dataclass(frozen=True, slots=True)
class StepDifferences:
    """An execution whose stored steps differ from those of the API."""

    execution: MissingDetail
    texts: tuple[str, ...]
    """The differences in words: ``5 of 7 steps are stored``, ``step a: status``."""
    surplus: int = 0
    """Number of stored steps that the API does not show; a repair leaves them."""


class StepAudit:
    """Compares the steps of executions with loaded details."""

    def __init__(self, context: Context, random_source: random.Random) -> None:
        self._context = context
        self._random = random_source
        self.compared = 0
        """Executions whose steps were read and compared."""

    def miscounted(self, warehouse: Warehouse, windows: Sequence[Window]) -> list[StepDifferences]:
        """Executions whose number of stored steps differs from the details log; sends no request."""
        return [
            StepDifferences(
                count.execution,
                (f"{count.stored} of {count.logged} steps are stored",),
                max(0, count.stored - count.logged),
            )
            for window in windows
            for count in warehouse.steps_miscounted(window)
        ]

    def sampled(
        self, warehouse: Warehouse, starts: Mapping[str, datetime | None], window: Window, number: int
    ) -> Iterator[StepDifferences]:
        """Reads the steps of ``number`` random executions of the window, and compares them field by field.

        ``starts`` says by id when the executions began that may be chosen. It sends one request for each that is.

        Raises the errors of the client.
        """
        wanted = warehouse.details_loaded(starts, window)
        chosen = self._random.sample(wanted, min(number, len(wanted)))
        stored = warehouse.steps(chosen)
        by_id = {item.execution_id: item for item in chosen}
        table, log_table = self._context.system.details.steps, self._context.system.details.log
        for chunk in self._context.details.steps(chosen):
            for note in chunk.rows.get(log_table.name, ()):
                if note["outcome"] != "loaded":
                    continue
                self.compared += 1
                item = by_id[str(note["id"])]
                found = _compared(
                    item,
                    table,
                    chunk.rows.get(table.name, ()),
                    stored[item.execution_id],
                    rules=warehouse.rules.of(table.name),
                )
                if found.texts:
                    yield found

    def repaired(self, differences: Sequence[StepDifferences]) -> Iterator[Chunk]:
        """Reads the steps of these executions again, as chunks to write."""
        yield from self._context.details.steps([difference.execution for difference in differences])


def _compared(
    item: MissingDetail, table: Table, read: Sequence[Row], stored: Sequence[Row], *, rules: TableRules
) -> StepDifferences:
    """Compares steps that were read (by the vendor's keys) with stored ones (by column names)."""
    source = {column.name: column.key for column in table.columns}
    fresh = {tuple(str(row.get(source[name])) for name in table.primary_key): row for row in read}
    # Run again under the same id, an execution has steps of its earlier run too.
    stored_by_key = {
        tuple(str(row[name]) for name in table.primary_key): row
        for row in stored
        if row.get("execution_date_started") in (None, item.started_at)
    }
    texts = []
    if missing := fresh.keys() - stored_by_key.keys():
        texts.append(f"{len(fresh) - len(missing)} of {len(fresh)} steps are stored")
    texts += [
        f"step {_named(table, key)}: {', '.join(columns)}"
        for key in sorted(fresh.keys() & stored_by_key.keys())
        if (columns := differing_columns(table, fresh[key], stored_by_key[key], rules=rules))
    ]
    surplus = sorted(stored_by_key.keys() - fresh.keys())
    texts += [f"step {_named(table, key)} is not at the vendor" for key in surplus]
    return StepDifferences(item, tuple(texts), len(surplus))


def _named(table: Table, key: Sequence[str]) -> str:
    """A step's key without its execution; of several with the same id, which one it is."""
    identity, *others = (
        value
        for name, value in zip(table.primary_key, key, strict=True)
        if name != "workflow_execution_id" and (name, value) != (OCCURRENCE.name, "0")
    )
    return "/".join([identity, *others])
