"""Asks the vendor for one execution, for ``why --live``: at most 2 requests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from task_history.client.account_client import connected
from task_history.client.client import Client
from task_history.core.errors import (
    Rejected,
    Stopped,
    UnusableId,
    UsageError,
    VendorError,
    VendorUnavailable,
)
from task_history.core.models import MS, Row, Window
from task_history.core.stop import StopSignal
from task_history.extract.counted_window import Pages, holds_all
from task_history.settings_reader import Settings
from task_history.systems.checked_ids import check_id
from task_history.systems.parsing import instant
from task_history.systems.protocol import System

from .absent import VendorReply
from .coverage import KnownExecution, Loaded, filter_values

MOST = 2
_MAX_HOLD_S = 60.0
"""Maximum seconds to wait when the vendor answers with Retry-After."""


@dataclass(frozen=True, slots=True)
class LiveReply:
    """The vendor's reply about one execution."""

    reply: VendorReply
    requests: int
    loaded: Loaded
    """What is loaded, with the retention by the vendor's clock."""


def ask(
    settings: Settings,
    execution_id: str,
    loaded: Loaded,
    now: datetime,
    *,
    integrations: Mapping[str, str],
    has_row: bool,
) -> LiveReply:
    """Reads it singly and, where it should be in the warehouse and is not, lists its millisecond.

    ``integrations`` are those of workflows, as far as the warehouse knows them.

    Raises:
        TaskHistoryError: the vendor cannot be asked.
    """
    system = settings.system
    with connected(settings, StopSignal(max_requests=MOST), longest_hold_s=_MAX_HOLD_S) as (client, _):
        reply = _single(client, settings, execution_id, integrations)
        if settings.retention is not None:
            loaded = replace(loaded, horizon=client.vendor_clock.present(now) - settings.retention)
        started_at = reply.started_at
        if not has_row and started_at is not None:
            window = Window(started_at, started_at + MS)
            if loaded.spot(window, system, reply.known).kind == "covered":
                reply = replace(reply, is_listed=_is_listed(client, settings, execution_id, window))
        return LiveReply(reply, sum(client.stats.sent.values()), loaded)


def _single(
    client: Client, settings: Settings, execution_id: str, integrations: Mapping[str, str]
) -> VendorReply:
    system = settings.system
    try:
        answer = client.send(system.details.execution_request(settings.values, execution_id, ""))
    except UnusableId as error:
        raise UsageError(str(error)) from None
    except Rejected as error:
        return VendorReply(error.status)
    except Stopped:
        raise VendorUnavailable(
            f"{client.origin} did not give a good answer within the {MOST} requests that are spent on it. Try again "
            "later; without --live it is told what the warehouse knows."
        ) from None
    detail = system.details.read_execution(answer.data)
    if system.identity(detail.execution).lower() != execution_id.lower():
        # A person may write an id in other letters than the vendor.
        check_id("execution", system.details.execution_ids, answer.data, execution_id)
    row = _named(system, detail.execution)
    workflow = row.get(system.workflow_column)
    known = KnownExecution(
        filter_values(system, row, detail.extra.get("integration") or integrations.get(str(workflow))),
        instant(row.get("date_ended")),
    )
    status = detail.execution.get("status")
    return VendorReply(200, status, system.started_at(detail.execution), known)


def _is_listed(client: Client, settings: Settings, execution_id: str, window: Window) -> bool | None:
    """Whether a listing shows it; None when the first page does not show it, or the vendor fails now."""
    system = settings.system
    with suppress(Stopped, VendorError):
        page = Pages(client, system, settings.values).one(window)
        if any(system.identity(row).lower() == execution_id.lower() for row in page.rows):
            return True
        # A row without an id may be it.
        return False if holds_all(system, page) and not page.rejected else None
    return None


def _named(system: System, sent: Row) -> Row:
    """The vendor's values by the warehouse's column names."""
    return {column.name: sent.get(column.source) for column in system.executions.columns if column.source}
