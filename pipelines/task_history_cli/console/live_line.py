"""The live progress line of a run on a terminal, by rich; log lines appear above it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn

from task_history.core.escapes import visible

from .output import scrubbed, terminal

_REFRESHES_PER_S = 2


@dataclass(frozen=True, slots=True)
class ProgressContent:
    """The content of the live line at one moment."""

    title: str
    figures: str
    done: float = 0.0
    total: float | None = None
    """The length of the bar; None while it is unknown: the bar then moves back and forth."""


class LiveLine(Progress):
    """Shows for as long as its block lasts what ``shown`` gives, which is called twice a second."""

    def __init__(self, shown: Callable[[], ProgressContent]) -> None:
        self._shown = shown
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}", markup=False),
            console=Console(file=terminal()),
            transient=True,
            refresh_per_second=_REFRESHES_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.add_task("", total=None, figures="")

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            shown = self._shown()
            task.description = visible(scrubbed(shown.title))
            task.fields["figures"] = visible(scrubbed(shown.figures))
            task.completed, task.total = shown.done, shown.total
        yield self.make_tasks_table(self.tasks)

    def start(self) -> None:
        """Starts the live line; log lines are redirected above it."""
        for handler in _stream_handlers():
            handler.setStream(_Above(self.console))
        super().start()

    def stop(self) -> None:
        """Removes the live line."""
        super().stop()
        for handler in _stream_handlers():
            if isinstance(handler.stream, _Above):
                handler.setStream(terminal())


class _Above:
    """A stream whose lines appear above the live line."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False, emoji=False, soft_wrap=True)

    def flush(self) -> None:
        pass


def _stream_handlers() -> list[logging.StreamHandler[Any]]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
