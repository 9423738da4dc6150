"""What the last reads of items that are not final showed, so that one that shows the same again is not written again.

Kept in a file of the working folder, where each write to the warehouse is billed. Without the file, or where another run
has written an item since, the next read of it is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..core import files

_MAX_AGE = timedelta(days=1)
"""What is stored is written again after this time, so that ``fetched_at`` is never older while an item is not final."""
_MAX_READS, _MAX_BYTES = 20_000, 5_000_000
"""Reads that are kept, and the size of the file."""


@dataclass(frozen=True, slots=True)
class _Read:
    """One read of an item."""

    digest: str
    """Of what the vendor sent."""
    written_at: str
    """``fetched_at`` of the row that holds it."""
    last_seen_at: str
    """When it was sent last."""


class LastReads:
    """The last reads of items, by key.

    ``file`` is where they are kept, None to keep none. ``now`` is this machine's clock.
    """

    def __init__(self, file: Path | None, now: Callable[[], datetime]) -> None:
        self._file, self._now = file, now
        self._former = _stored(file)
        self._reads: dict[str, _Read] = {}

    def is_unchanged(self, key: str, sent: Any, *, stored_at: datetime | None) -> bool:
        """Whether the stored row, whose ``fetched_at`` is given, holds what was sent; then it is noted as seen."""
        former = self._former.get(key)
        if former is None or not _is_of(former, stored_at):
            return False
        if not self.is_recent(stored_at) or former.digest != _digest(sent):
            return False
        self._reads[key] = replace(former, last_seen_at=self._now().isoformat())
        return True

    def is_recent(self, stored_at: datetime | None) -> bool:
        """Whether a row with this ``fetched_at`` needs not be written again for its age; without a file it always is."""
        return self._file is not None and stored_at is not None and self._now() - stored_at < _MAX_AGE

    def note(self, key: str, sent: Any, *, written_at: datetime) -> None:
        """Notes what was sent, and is written in a row with this ``fetched_at``."""
        if self._file is not None and len(self._reads) < _MAX_READS:
            at = written_at.isoformat()
            self._reads[key] = _Read(_digest(sent), at, at)

    def last_seen(self, key: str, stored_at: datetime | None) -> datetime | None:
        """When what the row with this ``fetched_at`` holds was last seen, also where that was not written."""
        former = self._former.get(key)
        if former is None or not _is_of(former, stored_at):
            return stored_at
        return datetime.fromisoformat(former.last_seen_at)

    def has(self, key: str) -> bool:
        """Whether this run has read the item."""
        return key in self._reads

    def save(self) -> None:
        """Keeps the reads of this run for the next one; those of items that it did not read are dropped."""
        if self._file is None:
            return
        reads = {key: [read.digest, read.written_at, read.last_seen_at] for key, read in self._reads.items()}
        # Without it the next run writes more than it must, and nothing is lost.
        with suppress(OSError):
            files.replace(self._file, json.dumps(reads).encode())


def _is_of(read: _Read, stored_at: datetime | None) -> bool:
    """Whether the stored row is the one that was written after the read, and not a later one of another run."""
    return stored_at is not None and stored_at == datetime.fromisoformat(read.written_at)


def _digest(sent: Any) -> str:
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
