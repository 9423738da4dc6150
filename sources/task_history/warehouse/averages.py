"""Averages measured on stored executions: steps per execution, share of failures, bytes per payload."""

from __future__ import annotations

from dataclasses import dataclass

_PAYLOAD_BYTES = 700


@dataclass(frozen=True, slots=True)
class Averages:
    """Counts of stored executions, steps and payloads, and the rates that follow from them."""

    executions: int = 0
    failed: int = 0
    open: int = 0
    detailed: int = 0
    """Executions whose steps are stored."""
    steps: int = 0
    """Stored steps of ``detailed`` executions."""
    failed_steps: int = 0
    """Failed steps among ``steps``."""
    detailed_failed: int = 0
    """Failed executions whose steps are stored."""
    steps_of_failed: int = 0
    """Stored steps of ``detailed_failed`` executions."""
    payloads: int = 0
    payload_bytes: int = 0

    @property
    def steps_each(self) -> float:
        """Steps per execution; five while none is known."""
        return self.steps / self.detailed if self.detailed else 5.0

    @property
    def steps_of_failed_each(self) -> float:
        """Steps per failed execution."""
        return self.steps_of_failed / self.detailed_failed if self.detailed_failed else self.steps_each

    @property
    def failed_steps_each(self) -> float:
        """Failed steps per failed execution; one while none is known: a failed step usually ends its execution."""
        return self.failed_steps / self.detailed_failed if self.detailed_failed else 1.0

    @property
    def bytes_each(self) -> float:
        """Bytes per payload."""
        return self.payload_bytes / self.payloads if self.payloads else _PAYLOAD_BYTES

    @property
    def failed_share(self) -> float:
        """Share of executions that failed."""
        return self.failed / self.executions if self.executions else 0.0
