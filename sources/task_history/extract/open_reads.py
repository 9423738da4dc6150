"""What the last reads of open executions showed, so that one that shows the same again is not written again.

Kept in a file of the working folder, where each write to the warehouse is billed. Without the file, or where another run
has written an execution since, the next read of it is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ..core import files
from ..core.models import Row
from ..warehouse.backlog import OpenExecution
from ..warehouse.status_history import StoredStatus

_MAX_AGE = timedelta(days=1)
"""What is stored is written again after this time, so that ``fetched_at`` is never older while an execution is open."""
_MAX_READS, _MAX_BYTES = 20_000, 5_000_000
"""Reads that are kept, and the size of the file."""


@dataclass(frozen=True, slots=True)
class _Read:
    """One read of an open execution."""

    digest: str
    """Of what the vendor sent."""
    written_at: str
    """``fetched_at`` of the row that holds it."""
    last_seen_at: str
    """When it was sent last."""


class OpenReads:
    """The last reads of open executions.

    ``file`` is where they are kept, None to keep none. ``identity`` returns the id of an execution that a list shows.
    ``now`` is this machine's clock.
    """

    def __init__(
        self, file: Path | None, identity: Callable[[Row], str], now: Callable[[], datetime]
    ) -> None:
        self._file, self._identity, self._now = file, identity, now
        self._former = _stored(file)
        self._reads: dict[str, _Read] = {}

    def is_unchanged(self, stored: OpenExecution | None, sent: Row) -> bool:
        """Whether the stored row holds what was sent of an execution of an open execution; then it is noted as seen."""
        former = None if stored is None else self._former.get(stored.id)
        if stored is None or former is None or stored.tries or not _is_of(former, stored.seen):
            return False
        is_old = self._now() - datetime.fromisoformat(former.written_at) >= _MAX_AGE
        if is_old or former.digest != _digest(sent):
            return False
        self._reads[stored.id] = replace(former, last_seen_at=self._now().isoformat())
        return True

    def without_unchanged(self, rows: Iterable[Row], left: dict[str, OpenExecution]) -> list[Row]:
        """The rows of a list without unchanged ones, which are taken out of ``left``, the open executions by id."""
        changed = []
        for row in rows:
            if self.is_unchanged(left.get(identity := self._identity(row)), row):
                del left[identity]
            else:
                changed.append(row)
        return changed

    def note(self, identity: str, row: Row, sent: Row) -> None:
        """Notes what was sent of an execution, and is written as the row, where that is open."""
        if self._file is not None and row["is_open"] and len(self._reads) < _MAX_READS:
            at = row["fetched_at"].isoformat()
            self._reads[identity] = _Read(_digest(sent), at, at)

    def last_seen(self, identity: str, stored: StoredStatus | None) -> StoredStatus | None:
        """The stored status with the time at which it was last seen, also where that was not written."""
        former = self._former.get(identity)
        if stored is None or former is None or not _is_of(former, stored):
            return stored
        return replace(stored, at=datetime.fromisoformat(former.last_seen_at))

    def save(self) -> None:
        """Keeps the reads of this run for the next one; those of executions that it did not read are dropped."""
        if self._file is None:
            return
        reads = {key: [read.digest, read.written_at, read.last_seen_at] for key, read in self._reads.items()}
        # Without it the next run writes more than it must, and nothing is lost.
        with suppress(OSError):
            files.replace(self._file, json.dumps(reads).encode())


def _is_of(read: _Read, stored: StoredStatus | None) -> bool:
    """Whether the stored row is the one that was written after the read, and not a later one of another run."""
    return (
        stored is not None and stored.at is not None and stored.at == datetime.fromisoformat(read.written_at)
    )


def _digest(sent: Row) -> str:
    text = json.dumps(sent, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _stored(file: Path | None) -> dict[str, _Read]:
    if file is None:
        return {}
    try:
        found = json.loads(files.read_bytes(file, max_bytes=_MAX_BYTES))
        reads = {str(key): _Read(*map(str, read)) for key, read in found.items()}
        for read in reads.values():
            for at in (read.written_at, read.last_seen_at):
                if datetime.fromisoformat(at).tzinfo is None:
                    return {}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return reads
