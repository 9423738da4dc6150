"""Reads of open executions that show what is stored already, which are not written again where a write is billed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..core.models import Row
from ..warehouse.backlog import OpenExecution
from ..warehouse.status_history import StoredStatus
from .last_reads import LastReads


class OpenReads:
    """The last reads of open executions.

    ``file`` is where they are kept, None to keep none. ``identity`` returns the id of an execution that a list shows.
    ``now`` is this machine's clock.
    """

    def __init__(
        self, file: Path | None, identity: Callable[[Row], str], now: Callable[[], datetime]
    ) -> None:
        self._reads, self._identity = LastReads(file, now), identity

    def is_unchanged(self, stored: OpenExecution | None, sent: Row) -> bool:
        """Whether the stored row of an open execution holds what the vendor sent now; then it is noted as seen."""
        return stored is not None and not stored.tries and self._is_same(stored.id, stored.seen, sent)

    def unchanged(self, rows: Iterable[Row], stored: Mapping[str, StoredStatus]) -> set[str]:
        """Ids of the open executions of a list whose stored rows hold what it shows; then they are noted as seen.

        ``stored`` holds the stored statuses by id.
        """
        sent = {identity: row for row in rows if (identity := self._identity(row)) in stored}
        return {key for key, row in sent.items() if self._is_same(key, stored[key], row)}

    def unseen(self, opens: Sequence[OpenExecution]) -> list[OpenExecution]:
        """Those of the open executions that this run has not seen unchanged."""
        return [execution for execution in opens if not self._reads.has(execution.id)]

    def _is_same(self, identity: str, stored: StoredStatus | None, sent: Row) -> bool:
        return stored is not None and self._reads.is_unchanged(identity, sent, stored_at=stored.at)

    def without_unchanged(self, rows: Iterable[Row], left: dict[str, OpenExecution]) -> list[Row]:
        """The rows of a list without unchanged ones, which are taken out of ``left``, the open executions by id."""
        changed = []
        for row in rows:
            if self.is_unchanged(left.get(identity := self._identity(row)), row):
                del left[identity]
            else:
                changed.append(row)
        return changed

    def last_seen_of(self, stored: Mapping[str, StoredStatus]) -> dict[str, StoredStatus]:
        """The stored statuses by id as ``last_seen`` returns them."""
        seen = {key: self._reads.last_seen(key, status.at) for key, status in stored.items()}
        return {
            key: status if status.at == seen[key] else replace(status, at=seen[key])
            for key, status in stored.items()
        }

    def note(self, identity: str, row: Row, sent: Row) -> None:
        """Notes what was sent of an execution, and is written as the row, where that is open."""
        if row["is_open"]:
            self._reads.note(identity, sent, written_at=row["fetched_at"])

    def last_seen(self, identity: str, stored: StoredStatus | None) -> StoredStatus | None:
        """The stored status with the time at which it was last seen, also where that was not written."""
        if stored is None:
            return None
        return replace(stored, at=self._reads.last_seen(identity, stored.at))

    def save(self) -> None:
        """Keeps the reads of this run for the next one; those of executions that it did not read are dropped."""
        self._reads.save()
