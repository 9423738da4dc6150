"""What the warehouse says is still to be done: open executions, details that are wanted, and how many are left."""

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
    """The state in which it is stored."""
    partition: str = ""
    """Its partition; empty where one listing shows all executions."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A detail or payload that is wanted."""

    execution_id: str
    started_at: datetime | None
    step_id: str = ""
    status: str | None = None
    partition: str = ""
    """Its partition; empty where one listing shows all executions."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not yet loaded."""

    open_executions: int
    details: int
    """Executions whose steps are wanted."""
    failed: int
    """Those of them that failed."""
    payloads: int
    """Steps whose payload is wanted, among those that are known."""
