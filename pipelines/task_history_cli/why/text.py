"""The output of ``why`` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ..console import output
from ..console.output import counted
from ..console.times import exact, second
from .history import REQUESTS

_MAX_WINDOWS_SHOWN = 6
_NOTHING = "Nothing."


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as lines: the answer first, then the facts behind it."""
    name = result["system"] + (f" ({result['instance']})" if result["instance"] else "")
    text = [
        f"{name} {result['id']}: {result['code']}",
        f"  {result['sentence']}",
        f"  → {result['next_step']}",
    ]
    if result["execution"] is not None:
        text += [
            "",
            *_execution(result),
            "",
            *_states(result["timeline"]),
            "",
            *_brought(result["brought_by"]),
        ]
    elif result["loaded"]["windows"] or result["loaded"]["under_filters"]:
        text += ["", *_loaded(result["loaded"])]
    for index, remark in enumerate(result["remarks"]):
        text += [*([""] if index == 0 else []), f"  {remark['sentence']}"]
        if remark["next_step"] != _NOTHING:
            text.append(f"  → {remark['next_step']}")
    if result["live"] is not None:
        text += ["", f"  vendor       {_live(result['live'])} ({counted(result['requests'], 'request')})"]
    return text


def _execution(result: Mapping[str, Any]) -> list[str]:
    row, integration = result["execution"], result.get("integration")
    workflow = f"{row.get('workflow_id')}" + (f" ({integration})" if integration else "")
    ended = row.get("date_ended")
    return [
        f"  began        {exact(row.get('date_started'))}",
        *([f"  ended        {exact(ended)}"] if ended else []),
        f"  workflow     {workflow}",
    ]


def _states(timeline: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            state["status"] or "–",
            second(state["first_seen"]),
            second(state["last_seen"]),
            REQUESTS.get(state["read_by"], "–"),
            _run(state),
        ]
        for state in timeline
    ]
    heads = ["state", "first seen (UTC)", "last seen", "by", "in the run"]
    return output.table(rows, heads=heads, indent=2)


def _brought(brought: Mapping[str, Any]) -> list[str]:
    by = REQUESTS.get(brought["read_by"])
    if by is None:
        run = f" by {_run(brought)}" if brought["run_id"] else ""
        return [f"  brought{run}; which request it was is not noted any more"]
    text = [f"  brought by   {by}, in {_run(brought)}"]
    if brought["missed_read_at"] is not None and brought["read_at"] is None:
        text.append(
            f"               its time had been read {second(brought['missed_read_at'])}, before it was visible"
        )
    if brought["read_at"] is not None:
        total = "" if brought["api_total"] is None else f"; the vendor counted {brought['api_total']:,}"
        suffix = f" under {brought['filters']}" if brought["filters"] else ""
        text += [
            f"  window       {second(brought['window_start'])} to {second(brought['window_end'])} UTC{suffix}",
            f"  read         {second(brought['read_at'])} UTC: {counted(brought['executions'] or 0, 'execution')}{total};"
            f" this one about number {brought['position']:,}",
        ]
    request = brought["request"]
    if request is not None:
        query = urlencode(request["params"], safe=":@/")
        about = "about " if brought["read_at"] is not None else ""
        text.append(
            f"  request      {about}{request['method']} {request['path']}{'?' + query if query else ''}"
        )
    return text


def _loaded(loaded: Mapping[str, Any]) -> list[str]:
    text = []
    spans = [("", pair) for pair in loaded["windows"]]
    spans += [(f", only {name}", pair) for name, pairs in loaded["under_filters"].items() for pair in pairs]
    for name, (start, end) in spans[-_MAX_WINDOWS_SHOWN:]:
        text.append(f"  loaded       {second(start)} to {second(end)} UTC{name}")
    if len(spans) > _MAX_WINDOWS_SHOWN:
        text.append(f"  and {len(spans) - _MAX_WINDOWS_SHOWN} ranges before; --json has them all")
    for start, end in loaded["lost"]:
        text.append(f"  lost         {second(start)} to {second(end)} UTC")
    return text


def _live(live: Mapping[str, Any]) -> str:
    if live["status_code"] != 200:
        return f"HTTP {live['status_code']}"
    listed = {True: ", listed", False: ", not listed", None: ""}[live["is_listed"]]
    return f"{live['status']}, began {exact(live['date_started'])}{listed}"


def _run(state: Mapping[str, Any]) -> str:
    if not state["run_id"]:
        return "–"
    command, began = state["run_command"], state["run_started_at"]
    return f"{command or 'run'} {state['run_id']}" + (f" of {second(began)}" if began else "")
