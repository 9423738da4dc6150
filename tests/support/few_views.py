"""Some of the views in the place of all, for tests of when views are made and of what they show of accounts.

To make all of them takes most of the time of such a test; that each is right in a warehouse has tests of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from task_history.views import create, sql_file_reader
from task_history.views.account_registry import CATALOGUE
from task_history.views.sql_file_reader import View
from tests.support.place import without_checks


@contextmanager
def few_views(*names: str) -> Iterator[None]:
    """While it lasts there are these views, those that they read, and the list of views; none is checked.

    In this process: a command that runs as a process of its own makes all. Raises ValueError for an unknown name.
    """
    every = sql_file_reader.views()
    if unknown := [name for name in names if name not in every]:
        raise ValueError(f"no views: {unknown}")
    wanted = {CATALOGUE}
    unseen = [*names]
    while unseen:
        name = unseen.pop()
        wanted.add(name)
        unseen += sql_file_reader._read_by(every[name], every.keys()) - wanted
    in_order = sql_file_reader._in_order

    def few(unordered: list[View]) -> list[View]:
        return [view for view in in_order(unordered) if view.name in wanted]

    with mock.patch.object(sql_file_reader, "_in_order", few), without_checks():
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    sql_file_reader.views.cache_clear()
    create._texts.cache_clear()
