"""The work of a backfill: the gaps of a range → listing → settling → workflows → details of that range.

It reads what is not covered, oldest first: the oldest is the next that the vendor purges. The live cursor
is not touched; what is covered is known from the warehouse, so that any machine can go on.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import work
from .batches import END, Chunk
from .context import Context
from .model import Row, Selection, Window


class Backfill:
    """Everything that the context's selection names, each part of it once."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def selection(self) -> Selection:
        """Whose details it loads."""
        return self._context.selection

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises whatever ends the run."""
        context = self._context
        warehouse = context.warehouse.within(self.selection)
        yield from self._listed()
        yield END
        yield from work.settled(context, warehouse.open_executions(not_read_by=context.run_id))
        yield END
        yield from work.workflows(context)
        yield END
        yield from work.backlog(context, warehouse)

    def _listed(self) -> Iterator[Chunk]:
        context = self._context
        context.phase("listing")
        window = self.selection.window
        if window is None:
            return
        for gap in context.book.gaps(window):
            for piece in context.listing.pieces(gap):
                chunk = work.listed(context, piece)
                yield Chunk({**chunk.rows, **self._known_workflows(chunk, gap)})

    def _known_workflows(self, chunk: Chunk, _: Window) -> dict[str, list[Row]]:
        """What a listing by integration tells of its workflows without asking for them."""
        context = self._context
        return {}
