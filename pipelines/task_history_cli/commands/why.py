"""``task-history why SYSTEM EXECUTION_ID``: what brought an execution, or why it is not there.

Sends nothing without ``--live``, and then at most 2 requests.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from task_history.core.errors import UsageError
from task_history.core.models import Request, Row, Window
from task_history.settings_reader import Settings, load
from task_history.systems.common_settings import settings_in
from task_history.systems.protocol import GONE_STATUSES
from task_history.warehouse.status_history import StoredStatus

from ..console import arguments, date_range, output
from ..runtime.reader import queried, warehouse_of
from ..runtime.target import Target, find_target
from ..why import facts as why_facts
from ..why import history, present
from ..why import text as why_text
from ..why.absent import LEFT_OUT, Absent, VendorReply, absent
from ..why.coverage import KnownExecution, Loaded, filter_values, read_filters
from ..why.facts import FactReader, Facts
from ..why.present import Reason, Words

_IN_ADDRESS = re.compile(r"/(?:workflow-)?executions/([^/?#\s]+)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    parser.add_argument(
        "id", metavar="EXECUTION_ID", help="the execution's id, or its address in the dashboard"
    )
    parser.add_argument("--live", action="store_true", help="ask the vendor too: at most 2 requests")
    parser.add_argument(
        "--around", metavar="WHEN", help="when it began: a day or an instant, such as 2026-09-01"
    )
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        default="UTC",
        help="the zone of --around, such as Europe/Berlin (default UTC)",
    )
    arguments.add_warehouse(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance, allow_missing=not args.live)
    output.keep_secret(settings.secrets)
    result = why(
        settings,
        find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name),
        execution_id(args.id),
        is_live=args.live,
        around=date_range.around(args.around, args.timezone) if args.around else None,
    )
    output.show(result, why_text.lines(result), is_json=args.json)
    return 0


def execution_id(text: str) -> str:
    """The id in a pasted text, such as a URL. Raises UsageError when there is none."""
    text = text.strip()
    match = _IN_ADDRESS.search(text)
    if match is not None:
        text = unquote(match[1]).strip()
    elif "://" in text:
        raise UsageError(
            f"The address {text} names no execution: it must end like …/executions/EXECUTION_ID."
        )
    if not text.strip("."):
        raise UsageError(
            "EXECUTION_ID is empty: give the id of one execution, or its address in the dashboard."
        )
    return text


def why(
    settings: Settings,
    target: Target,
    identity: str,
    *,
    is_live: bool = False,
    around: Window | None = None,
) -> dict[str, Any]:
    """The answer and the facts behind it.

    Raises:
        TaskHistoryError: the warehouse cannot be read, or the vendor cannot be asked.
    """
    now = datetime.now(UTC)
    words = Words(settings.system, settings.instance, settings.values.retention_days)
    with queried(target, settings) as reader:
        warehouse = None if reader is None else warehouse_of(reader, settings)
        fact_reader = (
            None if reader is None or warehouse is None else FactReader(reader, warehouse, settings, words)
        )
        has_warehouse = reader is not None
        facts = (
            fact_reader.facts(identity, now)
            if fact_reader
            else Facts(identity, why_facts.loaded(settings, now))
        )
        story = _story(settings, fact_reader, facts, facts.row) if fact_reader and facts.row else {}
    # The warehouse is free while the vendor is asked.
    reply, requests, loaded = None, 0, facts.loaded
    if is_live:
        from ..why import live as why_live

        answered = why_live.ask(
            settings,
            facts.execution_id,
            loaded,
            now,
            integrations=facts.integrations,
            has_row=facts.row is not None,
        )
        reply, requests, loaded = answered.reply, answered.requests, answered.loaded
    if facts.row is not None:
        reason, remarks = _present(words, facts, facts.row, reply)
    else:
        absent_facts = Absent(
            words,
            loaded,
            target.place,
            has_warehouse=has_warehouse,
            around=around,
            reply=reply,
            replay=facts.replay,
            traces=facts.traces,
            other=facts.other,
        )
        reason, remarks = LEFT_OUT if facts.is_left_out else absent(absent_facts), []
    return {
        "command": "why",
        "system": settings.system.name,
        "instance": settings.instance,
        "id": facts.execution_id,
        **asdict(reason),
        "remarks": [asdict(remark) for remark in remarks],
        "execution": facts.row,
        "timeline": [],
        "brought_by": None,
        **story,
        "loaded": _loaded(loaded),
        "live": _live(reply),
        "requests": requests,
        "place": target.place,
        "file": None if target.file is None else str(target.file),
        "dataset": settings.dataset_name,
    }


def _present(words: Words, facts: Facts, row: Row, reply: VendorReply | None) -> tuple[Reason, list[Reason]]:
    is_purged = reply is not None and reply.status_code in GONE_STATUSES
    remarks = present.changed(words, row, reply.status if reply else None)
    if facts.details is not None:
        as_now = {**row, "purged_at_source": row.get("purged_at_source") or is_purged or None}
        remarks += present.details(words, as_now, facts.details)
    return present.present(words, row, is_purged_now=is_purged), remarks + present.replays(
        words, facts.replay, facts.replayed
    )


def _story(settings: Settings, fact_reader: FactReader, facts: Facts, row: Row) -> dict[str, Any]:
    """The states in which it was seen, with times, and the request that brought it."""
    system = settings.system
    seen = history.timeline(row, facts.states)
    integration = facts.integrations.get(str(row.get(system.workflow_column)))
    known = KnownExecution(filter_values(system, row, integration), row.get("date_ended"))
    origin = history.brought(seen, facts.reads, known, system, run_then=facts.run_then)
    request, position = _request(settings, fact_reader, origin, row)
    read = origin.read or {}
    names = ("lane", "filters", "window_start", "window_end", "executions", "api_total", "read_at")
    return {
        "integration": integration,
        "timeline": [_state(state, facts.runs) for state in seen],
        "brought_by": {
            "read_by": origin.read_by,
            **_run(origin.run_id, facts.runs),
            **{name: read.get(name) for name in names},
            "position": position,
            "request": request,
            "missed_read_at": origin.missed["read_at"] if origin.missed else None,
        },
    }


def _request(
    settings: Settings, fact_reader: FactReader, origin: history.RowOrigin, row: Row
) -> tuple[dict[str, Any] | None, int | None]:
    """The request that showed it, as far as it can be reconstructed, and its position in the window."""
    system = settings.system
    # A path may hold what is not set here; what is secret stands for itself by its name.
    names: dict[str, Any] = {
        setting.name: setting.name.upper()
        for setting in settings_in(system.settings)
        if setting.is_credential or (setting.is_required and not getattr(settings.values, setting.name))
    }
    values = replace(settings.values, **names)
    started_at = row.get(system.started_column)
    if origin.read is not None and started_at is not None:
        window = Window(origin.read["window_start"], origin.read["window_end"])
        filters = str(origin.read.get("filters") or "")
        rank = fact_reader.rank(window, filters, started_at, str(row["id"]))
        offset = rank // system.listing.page_size * system.listing.page_size
        return _shown(
            system.listing.request(values, window, offset=offset, filters=read_filters(filters))
        ), rank + 1
    if origin.read_by == "execution":
        return _shown(system.details.execution_request(values, str(row["id"]), "")), None
    return None, None


def _shown(request: Request) -> dict[str, Any]:
    return {"method": request.method, "path": request.path, "params": dict(request.params)}


def _state(state: StoredStatus, runs: Mapping[str, Row]) -> dict[str, Any]:
    return {
        "status": state.status,
        "first_seen": state.since,
        "last_seen": state.at,
        "read_by": state.read_by,
        **_run(state.run_id, runs),
    }


def _run(run_id: str | None, runs: Mapping[str, Row]) -> dict[str, Any]:
    run = runs.get(run_id or "", {})
    return {"run_id": run_id, "run_command": run.get("command"), "run_started_at": run.get("started_at")}


def _loaded(loaded: Loaded) -> dict[str, Any]:
    def pairs(windows: Sequence[Window]) -> list[list[datetime]]:
        return [[window.start, window.end] for window in windows]

    return {
        "windows": pairs(loaded.unfiltered),
        "under_filters": {name: pairs(windows) for name, windows in loaded.by_filters.items()},
        "lost": pairs(loaded.lost),
        "cursor": loaded.cursor,
        "purged_before": loaded.horizon,
    }


def _live(reply: VendorReply | None) -> dict[str, Any] | None:
    if reply is None:
        return None
    return {
        "status_code": reply.status_code,
        "status": reply.status,
        "date_started": reply.started_at,
        "is_listed": reply.is_listed,
    }
