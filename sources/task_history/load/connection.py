"""One connection to the warehouse, for all threads of this process, and given up where others may wait for it.

A DuckDB file takes one process at a time. To open and to close it costs more than most questions and, between two
commits, as much as one of them; so it stays open for a moment, and while the run is about nothing else.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..core.log import log
from .errors import is_locked

PATIENCE_S = 10.0
LONG_PATIENCE_S = 120.0
"""How long it waits for others to give it up: at first, and once there is something to lose."""
_POLL_S = 0.05, 0.15
_UNUSED_S = 0.25
"""So long it stays open unused, where the run waits for the vendor."""
_LONGEST_S = 4.0
"""It is given up that long after it was opened, however much there is to write, so that others get in between."""


class Holder:
    """Opens ``client()``, dlt's client of the warehouse, when it is needed; safe to use from many threads.

    ``is_exclusive`` says that one process at a time may have it open; another warehouse is never given up. Where
    it does not ``stays_open``, it is closed after each use.
    """

    def __init__(self, client: Callable[[], Any], *, is_exclusive: bool, stays_open: bool = True) -> None:
        self._stays_open = stays_open
        self.lock = threading.RLock()
        """Whoever has it is the only one that uses the connection."""
        self.patience_s = PATIENCE_S
        self._client = client
        self._is_exclusive = is_exclusive
        self._is_open = threading.Event()
        self._is_shut = threading.Event()
        self._holds = 0
        self._away = 0
        self._went = False
        """Whether the run waited for something else since it was opened."""
        self._door = threading.Lock()
        self._opened_at = self._used_at = self._not_before = 0.0

    @contextmanager
    def held(self) -> Iterator[Any]:
        """The open client; meanwhile no other thread of this process uses it, and none locks it out."""
        with self.lock:
            self._holds += 1
            try:
                if not self._is_open.is_set():
                    self._open()
                yield self._client()
            except BaseException:
                # It may be the connection that is broken; the next question opens another.
                if self._holds == 1:
                    self.close()
                raise
            finally:
                self._holds -= 1
                self._used_at = time.monotonic()
                if not self._stays_open and not self._holds:
                    self.close()
                self._give_up_if_due()

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """Meanwhile the run waits for something else."""
        with self._door:
            self._away += 1
            self._went = True
        try:
            yield
        finally:
            with self._door:
                self._away -= 1

    def close(self) -> None:
        """Closes it, if it is open; only for whoever has the lock."""
        if self._is_open.is_set():
            self._is_open.clear()
            self._is_shut.set()
            try:
                self._client().close_connection()
            except Exception as error:  # noqa: BLE001 - what is wrong with it, the next question says
                log.debug("not_closed", reason=str(error))

    def _open(self) -> None:
        client = self._client()
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                client.open_connection()
                break
            except Exception as error:
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(*_POLL_S))
        self._is_open.set()
        self._went = False
        self._opened_at = self._used_at = time.monotonic()
        if self._is_exclusive:
            self._is_shut = threading.Event()
            threading.Thread(target=self._watch, args=(self._is_shut,), name="watch", daemon=True).start()

    def _watch(self, is_shut: threading.Event) -> None:
        """Gives it up when nobody uses it any more, until it is shut."""
        while not is_shut.wait(max(0.1, self._used_at + _UNUSED_S - time.monotonic())):
            if self.lock.acquire(blocking=False):
                try:
                    if not is_shut.is_set():
                        self._give_up_if_due()
                finally:
                    self.lock.release()

    def _give_up_if_due(self) -> None:
        waits = self._away or self._went
        if not (self._is_exclusive and waits and self._is_open.is_set()) or self._holds:
            return
        now = time.monotonic()
        is_long = now - self._opened_at >= _LONGEST_S
        if is_long:
            # Who waits for it looks that often.
            self._not_before = now + _POLL_S[1]
        if is_long or now - self._used_at >= _UNUSED_S:
            self.close()
