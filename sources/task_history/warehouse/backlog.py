"""The backlog of a dataset: open executions, details that are not loaded yet, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .status_history import StoredStatus


@dataclass(frozen=True, slots=True)
class Open:
    """An execution that may still change."""

    id: str
    started_at: datetime | None
    status: str
    seen: StoredStatus | None = None
    """The stored status."""
    partition: str = ""
    """Its partition; empty where one listing shows all executions."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A detail or payload that is in scope and not loaded."""

    execution_id: str
    started_at: datetime | None
    step_id: str = ""
    status: str | None = None
    partition: str = ""
    """Its partition; empty where one listing shows all executions."""


@dataclass(frozen=True, slots=True)
class StepCount:
    """An execution's number of steps, as the details log has it and as they are stored."""

    execution: Wanted
    logged: int
    stored: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Numbers of open executions and of details and payloads that are not loaded."""

    open_executions: int
    details: int
    """Executions in scope whose steps are not loaded."""
    failed: int
    """Failed executions among ``details``."""
    payloads: int
    """Stored steps in scope whose payload is not loaded."""
