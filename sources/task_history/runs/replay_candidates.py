"""Queries for executions that can be replayed, and for their earlier replays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..client.responses import vendor_message
from ..core.cutting import shortened
from ..warehouse.common_tables import REPLAYS
from ..warehouse.queries import Warehouse

MAY_HAVE_RUN = ("replayed", "unknown", "intended")
"""The outcomes after which a second request could run an execution twice."""
_IDS_AT_ONCE = 500
_ERROR_CHARS = 80


@dataclass(frozen=True, slots=True)
class EarlierReplay:
    """An earlier replay of an execution."""

    outcome: str
    at: datetime | None
    new_execution_id: str | None

    def __str__(self) -> str:
        at = f"{self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else "an unknown time"
        if self.outcome == "replayed":
            return f"replayed before at {at}" + (
                f" as {self.new_execution_id}" if self.new_execution_id else ""
            )
        lost = "its answer was lost" if self.outcome == "unknown" else "the process was killed"
        return f"may have been replayed at {at}: {lost}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An execution that a user wants to replay."""

    id: str
    workflow_id: str | None = None
    integration: str | None = None
    status: str | None = None
    started_at: datetime | None = None
    is_open: bool = False
    is_purged: bool = False
    is_known: bool = True
    """Whether it is in the warehouse."""
    error: str = ""
    earlier: EarlierReplay | None = None

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be replayed; None when it can."""
        if self.is_purged:
            return "purged at the vendor"
        return "still open" if self.is_open else None


class Candidates(Warehouse):
    """The tables of one dataset, with queries for replays. Raises, from every method: WarehouseUnavailable."""

    def failed(self, error: str | None = None) -> list[Candidate]:
        """Failed executions of the selection, oldest first; ``error`` is a text in the output of a failed step."""
        where = self._chosen("e")
        sql = f"{self._failed('e')} = 1 AND e.{self._start} IS NOT NULL AND {where.sql}"
        if error is None:
            return self._candidates(sql, where.values)
        return self._candidates(
            f"{sql} AND {self._says()}", (*where.values, error, json.dumps(error, ensure_ascii=False)[1:-1])
        )

    def without_output(self) -> int:
        """Number of failed executions of the selection without a loaded output of a failed step."""
        where = self._chosen("e")
        return self._number(
            f"SELECT count(*) FROM {self._executions} AS e WHERE {self._failed('e')} = 1 AND "
            f"e.{self._start} IS NOT NULL AND {where.sql} AND NOT EXISTS (SELECT 1 FROM {self._outputs()} "
            "AND s.workflow_execution_id = e.id)",
            *where.values,
        )

    def with_ids(self, ids: Sequence[str]) -> list[Candidate]:
        """Executions with these ids, oldest first; then the ids that are not in the warehouse, in the given order."""
        candidates: list[Candidate] = []
        for part, marks in _parts(ids):
            candidates += self._candidates(f"e.id IN ({marks})", part)
        candidates.sort(key=lambda one: (one.started_at is None, one.started_at or datetime.now(UTC), one.id))
        known = {one.id for one in candidates}
        return candidates + [Candidate(identity, is_known=False) for identity in ids if identity not in known]

    def with_errors(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, each with the beginning of the error in its failed step's output."""
        errors: dict[str, str] = {}
        for part, marks in _parts([candidate.id for candidate in candidates]):
            rows = self._rows(
                f"SELECT s.workflow_execution_id, p.output FROM {self._outputs()} "
                f"AND s.workflow_execution_id IN ({marks}) ORDER BY s.id",
                *part,
            )
            errors |= {str(identity): _short(str(output)) for identity, output in rows}
        return [replace(candidate, error=errors.get(candidate.id, "")) for candidate in candidates]

    def earlier(self, ids: Sequence[str]) -> dict[str, EarlierReplay]:
        """The newest replay of each of these executions that ran again or may have, by id."""
        earlier_by_id: dict[str, EarlierReplay] = {}
        outcomes = ", ".join(f"'{outcome}'" for outcome in MAY_HAVE_RUN)
        for part, marks in _parts(ids):
            rows = self._rows(
                "SELECT execution_id, outcome, coalesce(answered_at, intended_at), new_execution_id "
                f"FROM {self._name(REPLAYS.name)} AS r WHERE outcome IN ({outcomes}) AND execution_id IN ({marks}) "
                "ORDER BY written_at",
                *part,
            )
            earlier_by_id |= {str(row[0]): EarlierReplay(str(row[1]), _utc(row[2]), row[3]) for row in rows}
        return earlier_by_id

    def _candidates(self, sql: str, values: Sequence[Any]) -> list[Candidate]:
        column = self._system.workflow_column
        assert self._system.integrations is not None  # noqa: S101 - systems with replays have both
        # What its steps were asked for and not found for is gone as well.
        gone = (
            f"EXISTS (SELECT 1 FROM {self._name(self._system.details.log.name)} AS d "
            "WHERE d.id = e.id AND d.outcome IN ('gone', 'expired'))"
        )
        rows = self._rows(
            f"SELECT e.id, e.{column}, w.integration, e.status, e.{self._start}, e.is_open, "
            f"e.purged_at_source IS NOT NULL OR {gone} "
            f"FROM {self._executions} AS e LEFT JOIN {self._name(self._system.integrations.table.name)} AS w "
            f"ON w.workflow_id = e.{column} WHERE {sql} ORDER BY e.{self._start}, e.id",
            *values,
        )
        return [
            Candidate(str(row[0]), row[1], row[2], row[3], _utc(row[4]), bool(row[5]), bool(row[6]))
            for row in rows
        ]

    def _outputs(self) -> str:
        """SQL from FROM on for outputs of failed steps: tables and condition."""
        assert self._system.payloads is not None  # noqa: S101
        return (
            f"{self._name.recent(self._system.details.steps)} AS s "
            f"JOIN {self._name.recent(self._system.payloads.table)} AS p "
            "ON p.step_execution_id = s.id AND p.workflow_execution_id = s.workflow_execution_id "
            f"WHERE {self._failed('s')} = 1 AND p.output IS NOT NULL"
        )

    def _says(self) -> str:
        """SQL condition that a failed step's output holds a text, as it is or as JSON escapes it (two values)."""
        holds = "strpos(lower(p.output), lower(%s)) > 0"
        return f"EXISTS (SELECT 1 FROM {self._outputs()} AND s.workflow_execution_id = e.id AND ({holds} OR {holds}))"


def with_earlier_replays(
    candidates: Sequence[Candidate], earlier: Mapping[str, EarlierReplay], *, horizon: datetime | None
) -> list[Candidate]:
    """The candidates with their earlier replays; those that began before ``horizon`` are marked as purged."""
    return [
        replace(
            candidate,
            earlier=earlier.get(candidate.id),
            is_purged=candidate.is_purged
            or (horizon is not None and candidate.started_at is not None and candidate.started_at < horizon),
        )
        for candidate in candidates
    ]


def _parts(ids: Sequence[str]) -> list[tuple[Sequence[str], str]]:
    parts = [ids[at : at + _IDS_AT_ONCE] for at in range(0, len(ids), _IDS_AT_ONCE)]
    return [(part, ", ".join(["%s"] * len(part))) for part in parts]


def _short(output: str) -> str:
    """The error message in a failed step's output, cut to 80 characters because it is customer data."""
    return shortened(vendor_message(output.encode(), ()), _ERROR_CHARS)


def _utc(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None
