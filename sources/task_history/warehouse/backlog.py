"""The backlog of a dataset: open executions, details that are not loaded yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .status_history import StoredStatus


@dataclass(frozen=True, slots=True)
class OpenExecution:
    """A stored execution whose status may still change."""

    id: str
    started_at: datetime | None
    status: str
    seen: StoredStatus | None = None
    """The stored status."""
    partition: str = ""
    """Its partition; empty where one listing shows all executions."""
    tries: int = 0
    """Number of runs that could not read it singly."""
    next_try_at: datetime | None = None
    """When a single read is due again; None where no run has failed to read it."""


@dataclass(frozen=True, slots=True)
class MissingDetail:
    """An execution whose steps, or a step whose payload, is in scope and not loaded."""

    execution_id: str
    started_at: datetime | None
    step_id: str = ""
    """The step whose payload is missing; empty where the steps are."""
    status: str | None = None
    partition: str = ""
    """Its partition; empty where one listing shows all executions."""
    tries: int = 0
    """Number of runs that could not read it."""

    @property
    def key(self) -> str:
        """A text that no other of them has."""
        return payload_key(self.execution_id, self.step_id) if self.step_id else self.execution_id


def payload_key(execution_id: str, step_id: str) -> str:
    """A text for a step's payload that no other payload has, also where steps of other executions have the same id."""
    return f"{execution_id}\0{step_id}"


@dataclass(frozen=True, slots=True)
class UnreadableCounts:
    """Numbers of executions and payloads that could not be read, in whole or in part."""

    details: int
    """Executions that are tried again."""
    payloads: int
    """Payloads that are tried again."""
    never: int
    """Executions and payloads that no try can read, such as those whose id no address can hold."""
    next_try_at: datetime | None
    """Instant at which the first of them is tried again; None without any."""
    oldest: datetime | None = None
    """When the first execution began of which something is tried again; None without any."""


@dataclass(frozen=True, slots=True)
class StepCount:
    """An execution's number of steps, as the details log has it and as they are stored."""

    execution: MissingDetail
    logged: int
    stored: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Numbers of open executions and of details and payloads that are not loaded, those that are not due included."""

    open_executions: int
    details: int
    """Executions in scope whose steps are not loaded."""
    failed: int
    """Failed executions among ``details``."""
    payloads: int
    """Stored steps in scope whose payload is not loaded."""
    oldest: datetime | None = None
    """When the first execution began of which details or payloads are not loaded; None without any."""
