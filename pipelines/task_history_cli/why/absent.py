"""Why an execution is not in the warehouse. Pure: from facts to one answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from task_history.core.intervals import overlap
from task_history.core.models import MS, Row, Window
from task_history.systems.protocol import GONE_STATUSES

from ..console.times import exact, span
from .coverage import KnownExecution, Loaded, Spot
from .present import Reason, Words


@dataclass(frozen=True, slots=True)
class VendorReply:
    """The vendor's reply to a request for one execution."""

    status_code: int
    """The HTTP status, or the reason why there was no answer."""
    status: str | None = None
    started_at: datetime | None = None
    known: KnownExecution | None = None
    is_listed: bool | None = None
    """Whether the listing of its millisecond shows it; None when that was not asked or is not known."""

    @property
    def is_there(self) -> bool:
        return self.status_code == 200


@dataclass(frozen=True, slots=True)
class Absent:
    """What is known of an execution without a row."""

    words: Words
    loaded: Loaded
    file: str
    has_warehouse: bool = True
    around: Window | None = None
    """When it began, if the vendor or the user says so."""
    reply: VendorReply | None = None
    replay: Row | None = None
    """The replay that named it as the new execution."""
    traces: Row | None = None
    """The execution's row in the details log; empty where its steps were not requested."""
    other: Reason | None = None
    """Why the id cannot belong to an execution of this system."""


LEFT_OUT = Reason(
    "left_out",
    "It belongs to a person who was forgotten by task-history forget: it is left out of the warehouse.",
    "Nothing: no sync or backfill loads it again.",
)
"""The reason of an execution of a person who was forgotten."""


def absent(facts: Absent) -> Reason:
    """Why the execution is not in the warehouse."""
    reply, words = facts.reply, facts.words
    if reply is not None and not reply.is_there:
        return _not_at_vendor(facts, reply)
    if reply is not None and reply.started_at is None:
        return Reason(
            "not_started",
            f"The vendor knows it ({reply.status or 'without a status'}) and it has not begun: it has no start, and "
            "listings show executions by their start.",
            "Nothing: the sync after it began brings it.",
        )
    if reply is None and facts.other is not None:
        return facts.other
    if facts.traces is not None:
        return _deleted(facts, facts.traces)
    loaded = facts.loaded
    if not facts.has_warehouse:
        return Reason(
            "no_warehouse", f"There is no warehouse at {facts.file}.", f"Start with: {words.call('sync')}"
        )
    if not loaded.days:
        return Reason(
            "never_synced",
            f"Nothing of {words.system.name} was ever loaded into {facts.file}.",
            f"Start with: {words.call('sync')}",
        )
    when = _when(facts)
    if when is None:
        return Reason(
            "unknown_without_asking",
            "It is not in the warehouse, and nothing here tells when it began or whether it exists.",
            "Add --live to ask the vendor (at most 2 requests), or --around WHEN if you know when it began.",
        )
    spot = loaded.spot(when, words.system, reply.known if reply else None)
    if facts.replay is not None and spot.kind == "after":
        return Reason(
            "replay_not_synced",
            f"It is the replay of {facts.replay['execution_id']}, which was asked for at "
            f"{exact(facts.replay['intended_at'])}; no sync has read that time since.",
            f"The next sync brings it: {words.call('sync')}",
        )
    reason = _too_old(facts, loaded, spot, when) or _by_spot(facts, loaded, spot, when)
    is_partly_loaded = any(not overlap(window, when).is_empty for window in loaded.unfiltered)
    if is_partly_loaded and spot.kind not in ("covered", "blind"):
        next_step = reason.next_step[:1].lower() + reason.next_step[1:].rstrip(".")
        step = f"If it began where nothing is loaded: {next_step}. If not, add --live to ask the vendor."
        return replace(reason, next_step=step)
    return reason


def _when(facts: Absent) -> Window | None:
    """When it began, from the most reliable source."""
    if facts.reply is not None and facts.reply.started_at is not None:
        return Window(facts.reply.started_at, facts.reply.started_at + MS)
    if facts.replay is not None:
        # The vendor starts it while it answers.
        replayed_at: datetime = facts.replay.get("answered_at") or facts.replay["intended_at"]
        return Window(replayed_at, replayed_at + MS)
    return facts.around


def _too_old(facts: Absent, loaded: Loaded, spot: Spot, when: Window) -> Reason | None:
    """The reason of one that is older than executions are kept in the warehouse; None for others."""
    kept = loaded.kept_since
    if kept is None or when.end > kept or spot.kind in ("covered", "blind"):
        return None
    return Reason(
        "deleted",
        f"{_began(facts, when)}, and keep_days_executions keeps executions in the warehouse that began from "
        f"{exact(kept)} on: older ones are deleted, and not loaded again.",
        f"To have it here, raise keep_days_executions, then {facts.words.days('backfill', when)}",
    )


def _by_spot(facts: Absent, loaded: Loaded, spot: Spot, when: Window) -> Reason:
    words, reply = facts.words, facts.reply
    gap, began = spot.window, _began(facts, when)
    names = " or ".join(spot.filters)
    if spot.kind == "blind" and (reply is None or not reply.is_there):
        return Reason(
            "beyond_retention",
            f"{began}; when that time was first read the vendor, which {words.keeps}, had purged it.",
            "Nothing brings it back. If yours keeps more, set retention_days and ask again.",
        )
    if spot.kind in ("covered", "blind"):
        return _covered(facts, loaded, when)
    if spot.kind == "filtered":
        return Reason(
            "filtered",
            f"{began}, and that time was loaded only for {names}, which it was not when that was read.",
            f"Load the rest of that time: {words.days('backfill', when)}",
        )
    if spot.kind == "perhaps":
        return Reason(
            "perhaps_filtered",
            f"{began}, and that time was loaded only for {names}; whether it was that when it was read is not known.",
            f"Load the rest of that time: {words.days('backfill', when)}"
            + ("" if reply else ". Or add --live to compare it."),
        )
    if spot.kind == "after":
        since = f"loaded up to {exact(gap.start)}" if loaded.cursor else "never synced, only loaded in ranges"
        return Reason(
            "after_cursor",
            f"{began}, and {words.system.name} is {since}.",
            f"The next sync brings it: {words.call('sync')}",
        )
    if spot.kind == "lost" and (reply is None or not reply.is_there):
        return Reason(
            "in_gap",
            f"{began}, in {span(gap)}, which the vendor purged before any sync read it: that time is lost.",
            "Nothing brings it back. Sync more often than the vendor purges.",
        )
    if spot.kind == "purged" and (reply is None or not reply.is_there):
        return _purged(words, began, loaded)
    fetch = f"Load that time: {words.days('backfill', when)}"
    if loaded.horizon is not None and when.start < loaded.horizon:
        fetch = (
            f"The vendor still shows it although it {words.keeps} by the setting retention_days: set that to what it "
            f"keeps, then {words.days('backfill', when)}"
        )
    if spot.kind in ("before", "purged"):
        first_loaded = min((w.start for w in loaded.unfiltered), default=None)
        since = f"is loaded from {exact(first_loaded)} on" if first_loaded else "is loaded under filters only"
        return Reason("before_coverage", f"{began}, and {words.system.name} {since}.", fetch)
    return Reason(
        "in_gap", f"{began}, and {span(gap)} is not loaded: it lies between two ranges that are.", fetch
    )


def _covered(facts: Absent, loaded: Loaded, when: Window) -> Reason:
    words, reply = facts.words, facts.reply
    checked = loaded.checked_at(when.start)
    doubt = loaded.doubt(when.start)
    notes = [f"last read or compared {exact(checked)}"] if checked else []
    notes += [f"but that day is not verified: {doubt}"] if doubt else []
    read = f" ({', '.join(notes)})" if notes else ""
    is_soon = loaded.rechecked_from is not None and when.start >= loaded.rechecked_from
    remedy = (
        f"The next sync looks at that time again and brings it: {words.call('sync')}"
        if is_soon
        else f"Compare and repair that day: {words.days('audit', when, '--repair')}"
    )
    if reply is None or not reply.is_there:
        return Reason(
            "should_be_there",
            f"{_began(facts, when)}, and that time is loaded{'' if doubt else ' whole'}{read}: there is no such "
            "execution in it, or it became visible later, or its row was deleted by hand.",
            f"Add --live to ask the vendor. {remedy}",
        )
    if reply.is_listed is False:
        return Reason(
            "not_listed",
            f"{_began(facts, when)}: the vendor shows it when asked for it alone, but not in the listing of its "
            "millisecond, and syncs read listings.",
            "Nothing here: ask again later. If it stays so, it is the vendor's fault; tell them the id.",
        )
    listed = "the vendor lists it" if reply.is_listed else "the vendor shows it"
    return Reason(
        "missing_in_coverage",
        f"{_began(facts, when)}, {listed}, and that time is loaded{read}. Either it became visible after that, or its "
        "row was deleted by hand, or this is a fault of task-history: these look the same from here.",
        remedy,
    )


def _not_at_vendor(facts: Absent, reply: VendorReply) -> Reason:
    words, loaded = facts.words, facts.loaded
    if reply.status_code not in GONE_STATUSES:
        return Reason(
            "id_refused",
            f"The vendor refuses it as an execution's id (HTTP {reply.status_code}).",
            "Check the id: copy it again from where it was shown.",
        )
    if facts.traces is not None:
        return _deleted(facts, facts.traces)
    if facts.other is not None:
        return facts.other
    if facts.replay is not None:
        return Reason(
            "replay_not_synced",
            f"The vendor named it at {exact(facts.replay['intended_at'])} as the replay of "
            f"{facts.replay['execution_id']}, and does not show it (any more).",
            f"If it becomes visible, a sync brings it: {words.call('sync')}",
        )
    horizon = loaded.horizon
    if facts.around is not None and horizon is not None and facts.around.end <= horizon:
        return _purged(words, _began(facts, facts.around), loaded)
    return Reason(
        "never_existed",
        "The vendor holds no execution of this id in this project: it never existed here, or it was purged; the vendor "
        f"{words.keeps}.",
        "Check the id and that the settings are of its project. With --around WHEN it can be told whether it would be "
        "purged by now.",
    )


def _purged(words: Words, began: str, loaded: Loaded) -> Reason:
    return Reason(
        "beyond_retention",
        f"{began}, and the vendor {words.keeps}: what began before {exact(loaded.horizon)} is purged, and it was not "
        "loaded before that.",
        "Nothing brings it back. If yours keeps more, set retention_days and ask again.",
    )


def _deleted(facts: Absent, traces: Row) -> Reason:
    words, reply = facts.words, facts.reply
    began_at: datetime | None = reply.started_at if reply else None
    began_at = began_at or traces.get(words.system.started_column)
    remedy = (
        f"Compare and repair that day: {words.days('audit', Window(began_at, began_at + MS), '--repair')}"
        if began_at
        else ""
    )
    if reply is not None and not reply.is_there:
        remedy = "The vendor does not hold it any more: only a backup of the warehouse does."
    return Reason(
        "row_deleted",
        f"It was loaded: its steps were asked for at {exact(traces.get('fetched_at'))} ({traces.get('outcome')}). Its "
        "row was deleted since, by hand or by a keep_days setting.",
        remedy or "Add --live to learn when it began, then audit that day with --repair.",
    )


def _began(facts: Absent, when: Window) -> str:
    if facts.reply is not None and facts.reply.started_at is not None:
        return f"It began {exact(when.start)}"
    if facts.replay is not None:
        return f"It was started as a replay at about {exact(when.start)}"
    is_instant = when.end - when.start <= timedelta(seconds=1)
    return f"It began about {exact(when.start)}" if is_instant else f"It began within {span(when)}"
