"""The work of a replay: sends one request per execution, at most once, and stores the outcome.

A process may be killed at any instant, and the next one must not send its requests again. So the intents of a group
are committed before its first request, and are replaced by the outcomes. An intent that stays means that the execution
may have run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..core.batch import FLUSH, Chunk
from ..core.errors import (
    AuthenticationError,
    Rejected,
    Stopped,
    TaskHistoryError,
    Unconfirmed,
    VendorUnavailable,
)
from ..core.log import log
from ..core.models import Row, Selection
from ..extract import warehouse_rows
from ..systems.protocol import Replayed
from ..warehouse.common_tables import EXECUTION_STATES, REPLAYS
from ..warehouse.status_history import StoredStatus, earlier_state
from .context import Context
from .replay_candidates import Candidates, EarlierReplay

_INTENTS_PER_COMMIT = 20
"""Intents in one commit; after a kill as many replays may be in doubt."""
_MAX_UNANSWERED_IN_A_ROW = 20
"""Replays in a row without a proper answer that end the run."""
_ANSWER_CHARS = 300


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The outcome of the replay of one execution."""

    id: str
    outcome: str
    """intended, unsent, replayed, refused or unknown."""
    intended_at: datetime
    new_execution_id: str | None = None
    status_code: int | None = None
    answer: str | None = None
    answered_at: datetime | None = None


class Replay:
    """Runs the executions with these ids again, in order; those that (may) have run again before only with ``again``.

    ``results`` are the outcomes of the sent requests, also when an error ends the run.
    """

    selection: Selection | None = None
    """None: a replay loads no details."""

    def __init__(self, context: Context, candidates: Candidates, ids: Sequence[str], *, again: bool) -> None:
        self.results: list[ReplayResult] = []
        self.skipped: dict[str, EarlierReplay] = {}
        """Replays by id that another run has sent since the ids were chosen."""
        self._context = context
        self._candidates = candidates
        self._ids = ids
        self._again = again
        self._in_a_row = 0
        self._error: TaskHistoryError | None = None
        """The error of the last request; None if it succeeded."""

    @property
    def left(self) -> list[str]:
        """Ids that were not sent."""
        done = {result.id for result in self.results} | self.skipped.keys()
        return [identity for identity in self._ids if identity not in done]

    def chunks(self) -> Iterator[Chunk]:
        """The chunks to write, in order. Raises the error or stop that ends the run."""
        if not self._again:
            # This run holds the lock of its lane: no other process sends from here on.
            self.skipped = self._candidates.earlier(self._ids)
        ids = self.left
        self._context.phase("replaying")
        for index in range(0, len(ids), _INTENTS_PER_COMMIT):
            yield from self._group(ids[index : index + _INTENTS_PER_COMMIT])

    def _group(self, ids: Sequence[str]) -> Iterator[Chunk]:
        context = self._context
        stored = context.warehouse.stored(ids)
        intents = [ReplayResult(identity, "intended", context.now()) for identity in ids]
        yield Chunk({REPLAYS.name: [self._row(intent) for intent in intents]})
        yield FLUSH
        for index, intent in enumerate(intents):
            try:
                yield self._sent(intent, stored.get(intent.id))
                self._check()
            except (Stopped, TaskHistoryError):
                done = len(self.results) and self.results[-1].id == intent.id
                unsent = [
                    self._row(replace(rest, outcome="unsent")) for rest in intents[index + bool(done) :]
                ]
                yield Chunk({REPLAYS.name: unsent})
                raise

    def _sent(self, intent: ReplayResult, stored: Row | None) -> Chunk:
        """Sends one request; returns the chunk with its outcome. Raises, without a result, when it was not sent."""
        context = self._context
        replay = context.system.replay
        assert replay is not None  # noqa: S101 - the command says so otherwise
        self._error = None
        replayed: Replayed | None = None
        try:
            answer = context.client.send(replay.request(context.settings.values, intent.id))
        except Unconfirmed as error:
            self._error = error
            result = replace(intent, outcome="unknown", status_code=error.status, answer=str(error))
        except (Rejected, AuthenticationError) as error:
            self._error = error
            result = replace(intent, outcome="refused", status_code=error.status or None, answer=str(error))
        else:
            replayed = replay.read(answer.data)
            result = replace(
                intent,
                outcome="replayed",
                new_execution_id=replayed.execution_id,
                status_code=answer.status,
                answer=replayed.status,
            )
        is_answered = result.status_code is not None
        self._note(replace(result, answered_at=context.now() if is_answered else None))
        rows = {REPLAYS.name: [self._row(self.results[-1])]}
        if replayed is not None and replayed.execution_id == intent.id and stored is not None:
            rows |= self._ran_in_place(intent.id, stored, replayed)
        return Chunk(rows)

    def _note(self, result: ReplayResult) -> None:
        self.results.append(result)
        is_in_doubt = result.outcome == "unknown" or result.status_code == 429
        self._in_a_row = self._in_a_row + 1 if is_in_doubt else 0
        if result.outcome == "replayed":
            log.info("replayed", id=result.id, new_id=result.new_execution_id)
        else:
            log.warning("not_replayed", outcome=result.outcome, id=result.id, reason=result.answer)

    def _check(self) -> None:
        """Raises the last error when all further requests would fail alike."""
        error = self._error
        is_moved = isinstance(error, Unconfirmed) and error.status is not None and 300 <= error.status < 400
        if isinstance(error, AuthenticationError) or (is_moved and error is not None):
            raise error
        if self._in_a_row >= _MAX_UNANSWERED_IN_A_ROW:
            raise VendorUnavailable(
                f"{self._in_a_row} replays in a row had no proper answer, so no more were sent. The last one: {error}"
            )

    def _ran_in_place(self, identity: str, stored: Row, replayed: Replayed) -> dict[str, list[Row]]:
        """Rows that mark an execution as open that runs again under its own id, so that a sync settles it."""
        context = self._context
        system, stamp, before = context.system, context.stamp(), StoredStatus.in_row(stored)
        row = warehouse_rows.merged_over(system, stored, replayed.row)
        if not system.is_open(row):
            row["status"] = system.open_statuses[0]
        row = warehouse_rows.execution(system, row, stamp, read_by=warehouse_rows.REPLAY, before=before)
        started_at = stored.get(system.started_column)
        return {
            system.executions.name: [{**row, "is_open": True, "resolution": None}],
            system.details.log.name: [
                warehouse_rows.details_log_row(system.details.log, identity, started_at, "again", stamp)
            ],
            EXECUTION_STATES.name: earlier_state(identity, before, row.get("status")),
        }

    def _row(self, result: ReplayResult) -> Row:
        answer = result.answer
        return {
            "replay_id": f"{self._context.run_id}-{result.id}",
            "execution_id": result.id,
            "new_execution_id": result.new_execution_id,
            "outcome": result.outcome,
            "status_code": result.status_code,
            "answer": answer[:_ANSWER_CHARS] if answer else None,
            "intended_at": result.intended_at,
            "answered_at": result.answered_at,
            "written_at": self._context.now(),
            "run_id": self._context.run_id,
        }


def counted(results: Sequence[ReplayResult]) -> Mapping[str, int]:
    """Number of results by outcome."""
    return {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("replayed", "refused", "unknown")
    }
