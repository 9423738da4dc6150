"""The result of a run, as ``task_history.sync`` returns it and as ``sync --json`` and ``backfill --json`` print it.

A new field of both stands here: in ``RunResult``, whose descriptions go into the JSON schemas, and in ``result_of``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ..core.models import Window
from .run_counters import Remaining
from .runner import ActiveRun


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """The requests that the key may send; ``left`` is None without a limit, or where it cannot be read now."""

    limit: int
    period_s: float
    left: int | None


@dataclass(frozen=True, slots=True)
class BytesUsed:
    """Bytes that the warehouse processed and billed for the run; ``limit`` is None without a limit."""

    billed: int
    processed: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of one run. Instants are UTC."""

    command: str
    """``sync`` or ``backfill``."""
    system: str
    """The system."""
    instance: str | None
    """The account, where it is not the first one."""
    run_id: str
    """The run's row in ``sync_runs``, and ``run_id`` of every row that it wrote."""
    is_complete: bool
    """Whether the run came to its end, every window is verified and no step or payload is left."""
    stopped: str | None
    """Why the run ended early, such as a limit of its own; None if it did not."""
    covered_until: datetime | None
    """The cursor: everything that began before is loaded; None before the first window is."""
    executions: int
    """Number of executions that listings returned, new or changed; one counts as often as it was returned."""
    late: int
    """Executions among ``executions`` that began before the last sync and became visible after it."""
    settled: int
    """Executions that were stored open and are brought to their final state."""
    steps: int
    """Executions' steps that were read."""
    payloads: int
    """Steps whose input and output were read."""
    redactions: int
    """Values in rows, steps and payloads that were replaced because they are secrets."""
    rejected: int
    """Rows without a usable id that were not known before; ``rejected_rows`` has them."""
    unverified_windows: int
    """Windows that are loaded and not known to be complete; ``coverage`` says which and why."""
    deleted_rows: int | None
    """Rows that were deleted because of ``keep_days_…``; None where none were due."""
    schema_changes: int
    """Fields, types and statuses that the vendor sent for the first time; ``schema_changes`` has them."""
    unresolved: int
    """Executions that were still open when the vendor purged them."""
    lost: Window | None
    """The time of which the vendor purged executions before this run; None where there is none."""
    statistics_difference: tuple[int, int] | None
    """Executions that the vendor's statistics count and those stored, in closed buckets; None where they agree."""
    left: Remaining
    """The backlog, which the next sync goes on with."""
    left_s: float | None
    """Seconds that the steps and payloads left take at the budget; None without a limit."""
    commits: int
    """Number of commits."""
    rows: Mapping[str, int]
    """Rows written, by table, over all commits."""
    requests: int
    """Requests that were sent; every attempt counts."""
    requests_by_kind: Mapping[str, int]
    """Requests that were sent, by kind."""
    retries: int
    """Attempts after a fault."""
    waited_s: Mapping[str, float]
    """Seconds waited, by cause: a fault, the vendor's Retry-After, the budget."""
    budget: BudgetLeft
    """The requests that the key may send."""
    bytes: BytesUsed | None
    """Bytes that the warehouse processed and billed; None where the warehouse does not bill by the byte."""
    duration_s: float
    """Seconds of the run."""
    dataset: str
    """The dataset of the warehouse."""

    def as_json(self) -> dict[str, Any]:
        """The result as the JSON object that ``--json`` prints."""
        values = asdict(self)
        values["left"]["seconds"] = values.pop("left_s")
        if self.lost is not None:
            values["lost"] = self.lost.as_json()
        if self.statistics_difference is not None:
            vendor, stored = self.statistics_difference
            values["statistics_difference"] = {"vendor": vendor, "stored": stored}
        return {"complete" if name == "is_complete" else name: value for name, value in values.items()}


def result_of(run: ActiveRun, seconds: float) -> RunResult:
    """The result of a run that took ``seconds``."""
    loop, context, budget = run.loop, run.loop.context, run.budget
    tally, stats, cost, usage = context.tally, run.client.stats, context.cost, run.usage()
    left = loop.left or Remaining(0, 0, 0)
    details_left = left.details + left.payloads
    return RunResult(
        command=context.command,
        system=context.system.name,
        instance=context.settings.instance,
        run_id=context.run_id,
        is_complete=loop.is_complete,
        stopped=loop.stopped.reason if loop.stopped else None,
        covered_until=tally.cursor,
        executions=tally.executions,
        late=tally.late,
        settled=tally.settled,
        steps=tally.steps,
        payloads=tally.payloads,
        redactions=tally.redactions,
        rejected=tally.rejected,
        unverified_windows=tally.unverified,
        deleted_rows=None if tally.deleted is None else sum(tally.deleted.values()),
        schema_changes=len(run.loader.schema_changes.noted),
        unresolved=tally.unresolved,
        statistics_difference=tally.statistics_difference,
        lost=tally.lost,
        left=left,
        left_s=round(details_left * budget.period_s / budget.limit) if budget.limit else None,
        commits=context.progress.committed,
        rows=dict(sorted(run.rows.items())),
        requests=sum(stats.sent.values()),
        requests_by_kind=dict(stats.sent),
        retries=stats.retries,
        waited_s={cause: round(waited, 1) for cause, waited in stats.waited_s.items()},
        budget=BudgetLeft(budget.limit, budget.period_s, usage.left if usage else None),
        bytes=None if cost is None else BytesUsed(*(cost.noted or (cost.billed, cost.processed)), cost.limit),
        duration_s=round(seconds, 1),
        dataset=str(run.loader.pipeline.dataset_name),
    )
