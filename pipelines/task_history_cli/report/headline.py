"""The report's first sentences: what changed since the period before, what fails, and which users it affects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..console.times import minute
from .figures import ALL, Report, Rows
from .formatting import incident, incident_figures, joined, number, rate, user, workflow

NAMED = 3
"""Workflows or users that a sentence names, at most."""
CLEAR_FAILURES = 5
"""A workflow is said to fail more from so many failures above those expected on, if ``CLEAR_FACTOR`` is met, too."""
CLEAR_FACTOR = 1.5
"""The failure rate divided by that of the period before, from which on a workflow is said to fail more."""


NOTHING = "Nothing began in this time."


def headline(report: Report) -> list[str]:
    """The sentences."""
    totals = report.totals[ALL]
    if not totals["executions"]:
        return [NOTHING]
    return [*_changes(report), *_incidents(report), *_failing(report), *_hit(report)]


def _changes(report: Report) -> Iterator[str]:
    totals = report.totals[ALL]
    before = report.totals_before.get(ALL, {"executions": 0} if report.is_compared else None)
    began, failed = number(totals["executions"]), rate(totals["failure_rate"])
    if before is None:
        yield f"{began} executions began; {failed} of them failed ({number(totals['failures'])})."
        yield f"There is no comparison: of {report.period.before_text}, not everything is loaded."
    elif not before["executions"]:
        yield f"{began} executions began, and none in {report.period.before_text}; {failed} failed."
    else:
        change = totals["executions"] / before["executions"] - 1
        yield (
            f"{began} executions began, {_more(change)} in {report.period.before_text} "
            f"({number(before['executions'])})."
        )
        points = _points(totals["failure_rate"] - before["failure_rate"])
        yield f"{failed} of them failed, {points} ({rate(before['failure_rate'])})."


def _incidents(report: Report) -> Iterator[str]:
    """Incidents: the ones that go on are named, workflows before integrations; of those that are over, how many."""
    going_on = sorted(
        (row for row in report.incidents if not row["is_over"]), key=lambda row: row["kind"] != "workflow"
    )
    if going_on:
        named = [
            f"{incident(row)} since {minute(row['started_at'])} UTC ({incident_figures(row)}, "
            f"{number(row['users'])} user{'' if row['users'] == 1 else 's'})"
            for row in going_on[:NAMED]
        ]
        more = len(going_on) - len(named)
        yield f"Failures stand out and go on: {joined(named)}{f'; {number(more)} more' if more else ''}."
    if over := len(report.incidents) - len(going_on):
        yield f"{number(over)} incident{'' if over == 1 else 's'} of this time {'is' if over == 1 else 'are'} over."


def _more(change: float) -> str:
    if abs(change) < 0.0005:
        return "as many as"
    return f"{abs(change):.1%} {'more' if change > 0 else 'fewer'} than"


def _points(change: float) -> str:
    if abs(change) < 0.0005:
        return "as before"
    return f"{100 * abs(change):.1f} percentage points {'more' if change > 0 else 'less'} than before"


def _failing(report: Report) -> Iterator[str]:
    """Workflows that fail clearly more than before; without a comparison those that fail most."""
    if not report.workflows:
        yield "No workflow failed."
        return
    if not report.totals_before.get(ALL, {}).get("executions"):
        most = [
            f"{workflow(row)} ({number(row['failures'])} of {number(row['executions'])})"
            for row in report.workflows[:NAMED]
        ]
        yield f"Most failures are of {joined(most)}."
        return
    worse = [
        row for row in report.workflows if _excess(row) >= CLEAR_FAILURES and _factor(row) >= CLEAR_FACTOR
    ]
    worse.sort(key=_excess, reverse=True)
    if not worse:
        yield "No workflow fails clearly more than before."
        return
    named = [f"{workflow(row)} ({_share(row)}, {_share_before(row)} before)" for row in worse[:NAMED]]
    more = len(worse) - len(named)
    yield f"Failing clearly more than before: {joined(named)}{f'; {number(more)} more' if more else ''}."


def _excess(row: Mapping[str, Any]) -> float:
    """How many failures more there are than the failure rate of the period before would have given."""
    return float(row["failures"] - row["executions"] * _rate_before(row))


def _factor(row: Mapping[str, Any]) -> float:
    before = _rate_before(row)
    return float(row["failures"] / row["executions"] / before) if before else float("inf")


def _rate_before(row: Mapping[str, Any]) -> float:
    return float(row["failures_before"] / row["executions_before"]) if row["executions_before"] else 0.0


def _share(row: Mapping[str, Any]) -> str:
    return f"{rate(row['failures'] / row['executions'])} of {number(row['executions'])}"


def _share_before(row: Mapping[str, Any]) -> str:
    if not row["executions_before"]:
        return "nothing"
    return rate(_rate_before(row))


def _hit(report: Report) -> Iterator[str]:
    totals = report.totals[ALL]
    if not totals["users_affected"]:
        return
    yield f"{number(totals['users_affected'])} of {number(totals['users'])} users had executions that failed."
    if still_failing := report.still_failing.get(ALL, 0):
        failing: Rows = [row for row in report.users_affected if is_still_failing(row)]
        names = list(dict.fromkeys(user(row) for row in failing))[:NAMED]
        for_example = f", such as {joined(names)}" if names else ""
        who = "1 user has" if still_failing == 1 else f"{number(still_failing)} users have"
        yield f"{who} had no success since a failure in one of their integrations{for_example}."


def is_still_failing(row: Mapping[str, Any]) -> bool:
    """Whether nothing succeeded for the user of that integration since the last failure."""
    success = row["last_success_at"]
    return success is None or bool(success < row["last_failure_at"])
