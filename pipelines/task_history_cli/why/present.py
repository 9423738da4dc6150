"""Why an execution is in the warehouse as it is. Pure: from facts to answers.

The codes are for machines and stay as they are; ``docs/how-to/why.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from task_history.core.intervals import DAY
from task_history.core.models import MS, Row, Scope, Window
from task_history.systems.protocol import System

from ..console.output import counted
from ..console.times import exact


@dataclass(frozen=True, slots=True)
class Reason:
    """One answer: a word for machines, a sentence for people, and what to do."""

    code: str
    sentence: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Words:
    """The names that the answers use."""

    system: System
    instance: str | None = None
    retention_days: float | None = None

    def call(self, command: str, *rest: str) -> str:
        """The command line to run."""
        account = ("--instance", self.instance) if self.instance else ()
        return " ".join(("task-history", command, self.system.name, *account, *rest))

    def days(self, command: str, window: Window, *rest: str) -> str:
        """The command line to run for the days of the window."""
        first = window.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        last = max(window.end - MS, first)
        after = last.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        return self.call(command, "--from", f"{first:%Y-%m-%d}", "--to", f"{after:%Y-%m-%d}", *rest)

    @property
    def keeps(self) -> str:
        """The vendor's retention as text."""
        days = self.retention_days
        return "keeps executions for ever" if not days else f"keeps executions for {days:g} days"


@dataclass(frozen=True, slots=True)
class DetailFacts:
    """Which steps and payloads of an execution are loaded, and which are wanted."""

    scope: Scope
    log_row: Row | None
    """The execution's row in the details log; empty where its steps were not requested."""
    steps: int
    payloads: Mapping[str, int]
    """Number of payloads by outcome."""
    payloads_missing: int
    """Wanted and not there."""
    payloads_failing: Sequence[Row]
    """Those that could not be read and are tried again."""
    waiting: int
    """Executions whose steps are wanted and not there, this one among them."""
    remedy: str
    """The command that loads the missing details."""


def present(words: Words, row: Row, *, is_purged_now: bool = False) -> Reason:
    """Remarks on the stored row; ``is_purged_now`` says that the vendor was asked and no longer has the execution."""
    status = row.get("status") or "without a status"
    purged_at: datetime | None = row.get("purged_at_source")
    resolution = row.get("resolution")
    if purged_at is not None and resolution == "unresolved_at_retention":
        return Reason(
            "unresolved_at_retention",
            f"It is loaded as {status}, the last that was seen of it: it was still open when the vendor, which "
            f"{words.keeps}, purged it (found {exact(purged_at)}).",
            "Nothing brings its end. If yours keeps more, set retention_days.",
        )
    if purged_at is not None and resolution == "gone":
        return Reason(
            "gone",
            f"It is loaded as {status}, the last that was seen of it: at {exact(purged_at)} the vendor held it no "
            "longer, although its time was not up.",
            "Nothing: it is not asked for again. If it should be there, ask the vendor.",
        )
    if purged_at is not None or is_purged_now:
        outcome = (
            f"the vendor held it no longer at {exact(purged_at)}"
            if purged_at
            else "the vendor holds it no longer"
        )
        return Reason(
            "purged_at_source",
            f"It is loaded as {status}; {outcome}.",
            "The row stays as it is."
            if not row.get("is_open")
            else f"The next sync marks it so: {words.call('sync')}",
        )
    if row.get("is_open"):
        return Reason(
            "loaded_open",
            f"It is loaded and was still open ({status}) when last read, {exact(row.get('fetched_at'))}.",
            f"Each sync looks at it again until it has ended: {words.call('sync')}",
        )
    return Reason("loaded", f"It is loaded, and ended as {status}.", "Nothing: it is settled.")


def changed(words: Words, row: Row, status: str | None) -> list[Reason]:
    """The remark on a vendor's status that differs from the stored one."""
    if status is None or status == row.get("status"):
        return []
    if row.get("is_open"):
        step = f"The next sync writes it: {words.call('sync')}"
    else:
        step = "No sync reads again what has ended. If it was run again under its id, its steps tell which run is meant."
    return [Reason("changed_at_source", f"The vendor shows it as {status} now.", step)]


def details(words: Words, row: Row, facts: DetailFacts) -> list[Reason]:
    """Remarks on its steps and payloads, or on why they are missing."""
    log_row = facts.log_row
    if log_row is None:
        return [_no_steps(words, row, facts)]
    outcome, at = log_row.get("outcome"), exact(log_row.get("fetched_at"))
    if log_row.get("next_try_at") is not None and outcome != "loaded":
        return [_failing(words, log_row, "Its steps")]
    if outcome == "unreadable":
        return [
            Reason(
                "details_unreadable",
                f"Its steps cannot be asked for: {log_row.get('unreadable_reason') or 'the reason is not kept.'}",
                "Nothing: no address can hold that id.",
            )
        ]
    if outcome == "too_large":
        return [
            Reason(
                "details_too_large",
                f"Its steps were asked for at {at}: {log_row.get('unreadable_reason') or 'the answer was too large.'}",
                "Raise answer_max_bytes and delete its row from the details log: the next sync asks again.",
            )
        ]
    if outcome != "loaded":
        why = (
            "it was beyond the vendor's retention"
            if outcome == "expired"
            else "the vendor answered that it is not there"
        )
        return [
            Reason(
                f"details_{outcome}", f"Its steps were asked for at {at}: {why}.", "Nothing brings them back."
            )
        ]
    number, stated = facts.steps, log_row.get("steps")
    if stated is not None and number != stated:
        return [
            Reason(
                "details_altered",
                f"{stated} steps were loaded at {at}, and {number} are there: rows were deleted or added by hand.",
                "Nothing here reads them again while execution_details says that they are loaded.",
            )
        ]
    return [
        Reason("details_loaded", f"Its steps were loaded at {at}: {number:,} of them.", "Nothing."),
        *([_failing(words, log_row, "A part of them")] if log_row.get("tries") else []),
        *_payloads(words, facts),
    ]


def _failing(words: Words, row: Row, what: str) -> Reason:
    """Why something could not be read, how often it was tried and when it is due again."""
    due: datetime | None = row.get("next_try_at")
    tries = row.get("tries") or 1
    tried = f"{what} could not be read, last at {exact(row.get('fetched_at'))}, by {counted(tries, 'run')}: "
    reason = row.get("unreadable_reason") or "the reason is not kept."
    step = f"A run after {exact(due)} tries again: {words.call('sync')}" if due else "Nothing tries it again."
    return Reason("details_failing", tried + reason, step)


def _no_steps(words: Words, row: Row, facts: DetailFacts) -> Reason:
    scope = facts.scope.steps
    has_failed = row.get("status") in words.system.failed_statuses
    if row.get("purged_at_source") is not None:
        return Reason(
            "details_gone",
            "Its steps were not read before the vendor purged it.",
            "Nothing brings them back.",
        )
    if scope == "none" or (scope == "failed" and not has_failed):
        return Reason(
            "details_not_wanted",
            f"Its steps are not wanted: the setting steps is {scope!r}.",
            'Set steps = "all" to have them.',
        )
    if row.get("is_open"):
        return Reason("details_after_end", "Its steps are read once it has ended.", "Nothing.")
    return Reason(
        "details_missing",
        f"Its steps are wanted and not there yet: {counted(facts.waiting, 'execution')} without, failed ones first.",
        f"They come with {facts.remedy}",
    )


def _payloads(words: Words, facts: DetailFacts) -> list[Reason]:
    scope = facts.scope.payloads
    loaded, gone = facts.payloads.get("loaded", 0), facts.payloads.get("gone", 0)
    reasons = []
    if loaded:
        reasons.append(
            Reason(
                "payloads_loaded", f"Inputs and outputs are loaded: of {counted(loaded, 'step')}.", "Nothing."
            )
        )
    if gone:
        reasons.append(
            Reason(
                "payloads_gone",
                f"The vendor no longer held the inputs and outputs of {counted(gone, 'step')}.",
                "Nothing brings them back.",
            )
        )
    if facts.payloads_failing:
        due = min(row["next_try_at"] for row in facts.payloads_failing)
        reason = facts.payloads_failing[0].get("unreadable_reason") or "the reason is not kept."
        number = len(facts.payloads_failing)
        reasons.append(
            Reason(
                "payloads_failing",
                f"Inputs and outputs of {counted(number, 'step')} could not be read: {reason}",
                f"A run after {exact(due)} tries again: {words.call('sync')}",
            )
        )
    if unreadable := facts.payloads.get("unreadable", 0) - len(facts.payloads_failing):
        reasons.append(
            Reason(
                "payloads_unreadable",
                f"Inputs and outputs of {counted(unreadable, 'step')} cannot be asked for: no address can hold the id.",
                "Nothing.",
            )
        )
    if facts.payloads_missing:
        reasons.append(
            Reason(
                "payloads_missing",
                f"Inputs and outputs of {counted(facts.payloads_missing, 'step')} are wanted and not there yet.",
                f"They come with {facts.remedy}",
            )
        )
    if not reasons:
        reasons.append(
            Reason(
                "payloads_not_wanted",
                f"No inputs and outputs are wanted of its steps: the setting payloads is {scope!r}"
                + (", and none of them failed." if scope == "failed" else "."),
                'Set payloads = "all" to have those of every step.',
            )
        )
    return reasons


def replays(words: Words, named_by: Row | None, own: Sequence[Row]) -> list[Reason]:
    """Remarks on replays: that it replays another execution, and that it was replayed."""
    reasons = []
    if named_by is not None and named_by["execution_id"] != named_by["new_execution_id"]:
        original_id = str(named_by["execution_id"])
        reasons.append(
            Reason(
                "is_a_replay",
                f"It is the replay of {original_id}, asked for at {exact(named_by['intended_at'])}.",
                f"The other: {words.call('why', original_id)}",
            )
        )
    for replay in own:
        new, outcome = replay.get("new_execution_id"), replay.get("outcome")
        sentence = f"Asked to run again at {exact(replay['intended_at'])}: {outcome}"
        step = f"The new one: {words.call('why', str(new))}" if new else "Nothing."
        reasons.append(Reason("was_replayed", sentence + (f", as {new}." if new else "."), step))
    return reasons
