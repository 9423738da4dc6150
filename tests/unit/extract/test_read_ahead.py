"""Pages of the next window are asked for while one is made up, and nothing waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest

from task_history import systems
from task_history.core.models import Answer, Request, Window
from task_history.core.thread_pools import OrderedMap
from task_history.extract.counted_window import Pages
from task_history.extract.listing import ListedWindow
from task_history.extract.sorted_listing import SortedListing
from task_history_cli.sandbox.paragon_world import Spec
from tests.support.paragon_in_process import NOW, VALUES, Vendor

WINDOW = Window(NOW - timedelta(days=31), NOW)


class Sender:
    """A vendor that is asked side by side; the first page of a window takes ``head_s`` once many pages were read.

    Such a page is held until ``released`` is set.
    """

    def __init__(self, executions: int, head_s: float) -> None:
        self.vendor = Vendor(Spec(executions=executions, seed=1, now=NOW, days=30), {}, seed=1)
        self.asked: list[Request] = []
        self.pool = ThreadPoolExecutor(4)
        self.held = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self._head_s = head_s
        self._lock = threading.Lock()

    def send(self, request: Request) -> Answer:
        if "offset" not in dict(request.params) and len(self.asked) > 50:
            time.sleep(self._head_s)
            if not self.released.is_set():
                self.held.set()
                assert self.released.wait(60), "what was read waits for the page that is held"
        with self._lock:
            self.asked.append(request)
            return self.vendor.send(request)

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        answers: OrderedMap[Answer | Exception] = OrderedMap(
            self.pool, (partial(self.send, request) for request in requests), [], ahead=ahead or 8
        )
        if ahead:
            answers.submit()
        return answers


def _pieces(sender: Sender) -> Iterator[ListedWindow]:
    listing = SortedListing(Pages(sender, systems.find("paragon"), VALUES))
    return listing.pieces(WINDOW, is_oldest=False, in_columns=True)


@pytest.mark.parametrize("executions", [12_000, pytest.param(30_000, marks=pytest.mark.torture)])
@pytest.mark.parametrize("head_s", [0.0, 0.3])
def test_each_row_comes_once_with_no_request_in_vain(head_s: float, executions: int) -> None:
    """However long the first pages take, all rows come in columns, and each page is asked for once."""
    sender = Sender(executions, head_s)
    pieces = list(_pieces(sender))
    sender.pool.shutdown(cancel_futures=True)
    ids = {identity for piece in pieces for identity in map(str, [row["id"] for row in piece.rows])}
    assert ids == sender.vendor.shown(WINDOW)
    assert sum(len(piece.rows) for piece in pieces) == len(ids)
    assert all(piece.is_verified for piece in pieces)
    # What fits into one page is read row by row.
    columnar = [len(piece.rows) - len(piece.rows.split(in_columns=True)[1]) for piece in pieces]
    assert all(number > 0 for number, piece in zip(columnar, pieces, strict=True) if len(piece.rows) > 100)
    assert len(sender.asked) <= len(ids) / 100 + 2 * len(pieces)


def test_rows_at_hand_do_not_wait_for_a_page_that_takes_long() -> None:
    """While the first page of the next window is not there yet, the window that was read comes."""
    sender = Sender(30_000, 0.0)
    sender.released.clear()
    pieces = _pieces(sender)
    next(pieces)
    assert sender.held.wait(60)
    sender.released.set()
    next(pieces)
    sender.pool.shutdown(cancel_futures=True)


def test_the_next_window_is_under_way_when_one_is_given() -> None:
    """Once a window is given, more of the next one than its first page was asked for."""
    sender = Sender(30_000, 0.0)
    pieces = _pieces(sender)
    first = next(pieces)
    deadline = time.monotonic() + 60
    while not [
        one for one in sender.asked if _begins(one) >= first.window.end and "offset" in dict(one.params)
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sender.pool.shutdown(cancel_futures=True)


def _begins(request: Request) -> datetime:

    after = dict(request.params)["afterDate"]
    return datetime.fromisoformat(after) + timedelta(milliseconds=1)
