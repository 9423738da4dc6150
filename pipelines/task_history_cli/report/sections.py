"""The sections of the report: their texts, the columns and rows of their tables, and their CSV files.

The page, ``explore`` and the CSV export show what stands here. A row here is a row of the query of that name in
``queries``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..console.times import minute
from .figures import BEFORE, QUIET, Report, Rows
from .formatting import UNKNOWN, account, incident, integration, number, rate, took, user, workflow
from .headline import is_still_failing
from .queries import STEP_RUNS, TOP
from .section_parts import Cell, Figure, Row, Section


def sections(report: Report) -> list[Section]:
    """All sections of the report, in the order of the page."""
    return [
        _days(report),
        _incidents(report),
        _integrations(report),
        _workflows(report),
        _users_affected(report),
        _steps(report),
        _quiet_users(report),
        _stuck_executions(report),
        _coverage(report),
        Section(
            "limits",
            "What the data does not cover",
            points=list(_limits(report)),
            data=report.freshness,
            csv={"freshness": report.freshness},
        ),
    ]


def _days(report: Report) -> Section:
    text = "Executions by the day on which they began, and the share of them that failed."
    if report.is_compared:
        text += f" Lines: the executions of the same day of {report.period.before_text}."
    if report.incidents:
        text += " On days with a shade behind them failures stood out, see incidents."
    return Section(
        "days",
        "Usage and failures by day",
        [text],
        ["day", "executions", "failed", "failure rate", "tasks"],
        [
            Row(
                [
                    row["day"].isoformat(),
                    Figure(number(row["executions"]), number(row["executions_before"])),
                    number(row["failures"]),
                    rate(row["failure_rate"]),
                    number(row["tasks"]),
                ]
            )
            for row in report.days
        ],
        frozenset({1, 2, 3, 4}),
        charts=("days", "rates") if report.usage else (),
        nothing="Nothing began in this time.",
        folded="The days in figures",
        data=report.days,
        csv={
            "days": [_without(row, "is_current") for row in report.usage],
            "days_before": [_without(row, "is_current") for row in report.usage_before],
        },
    )


def _incidents(report: Report) -> Section:
    return Section(
        "incidents",
        "Incidents",
        [
            "Spans in which a workflow or an integration failed far more than it usually does. "
            f"The first {TOP}, those that go on before others, by failed executions."
        ],
        [
            "what",
            "integration",
            "since (UTC)",
            "last failure (UTC)",
            "state",
            "failed",
            "failure rate",
            "usual",
            "users affected",
        ],
        [
            _row(
                row,
                incident(row),
                integration(row),
                minute(row["started_at"]),
                minute(row["last_failed_at"]),
                "over" if row["is_over"] else "goes on",
                f"{number(row['failures'])} of {number(row['executions'])}",
                rate(row["failure_rate"]),
                rate(row["usual_failure_rate"]),
                number(row["users"]),
            )
            for row in report.incidents
        ],
        frozenset({5, 6, 7, 8}),
        nothing="Nothing failed far more than usual.",
        top=TOP,
        data=report.incidents,
        csv={"incidents": report.incidents},
    )


def _integrations(report: Report) -> Section:
    rows = report.integrations
    most = max([row["executions"] for row in rows], default=0) or 1
    several = len({account(row) for row in rows}) > 1
    return Section(
        "integrations",
        "By integration",
        ["The most used first."],
        ["integration", *(["system"] if several else []), "executions", "failed", "failure rate", "tasks"],
        [
            _row(
                row,
                integration(row),
                *([account(row)] if several else []),
                Figure(
                    number(row["executions"]),
                    number(row["executions_before"]),
                    row["executions"] / most,
                    row["failure_rate"] or 0,
                ),
                number(row["failures"]),
                Figure(rate(row["failure_rate"]), rate(row["failure_rate_before"])),
                number(row["tasks"]),
            )
            for row in rows
        ],
        frozenset(range(1 + several, 5 + several)),
        nothing="Nothing began in this time.",
        texts_of_page=["The red part of a bar is the share of executions that failed."],
        data=rows,
        csv={"integrations": rows},
    )


def _workflows(report: Report) -> Section:
    data = [_compared(row, report) for row in report.workflows]
    return Section(
        "workflows",
        "Workflows that fail most",
        [f"The first {TOP} by failed executions."],
        [
            "workflow",
            "integration",
            "failed",
            "executions",
            "failure rate",
            "users affected",
            "reasons (failed steps)",
        ],
        [
            _row(
                row,
                workflow(row),
                integration(row),
                Figure(number(row["failures"]), _before(report, row["failures_before"])),
                Figure(number(row["executions"]), _before(report, row["executions_before"])),
                Figure(
                    rate(row["failures"] / row["executions"]),
                    rate(row["failures_before"] / row["executions_before"])
                    if report.is_compared and row["executions_before"]
                    else "",
                ),
                number(row["users_affected"]),
                _reasons(report.reasons, row),
            )
            for row in report.workflows
        ],
        frozenset({2, 3, 4, 5}),
        nothing="Nothing failed.",
        top=TOP,
        texts_of_page=[
            "Each with the commonest reasons of its failed steps, in which ids, numbers, addresses and quoted texts are "
            "masked."
        ],
        data=data,
        csv={"workflows": data, "reasons": report.reasons},
    )


def _users_affected(report: Report) -> Section:
    data = [_compared(row, report) for row in report.users_affected]
    return Section(
        "users_affected",
        "Users affected",
        [f"The first {TOP} by failed executions, by integration."],
        ["user", "integration", "failed", "executions", "workflows", "last failure (UTC)", "state"],
        [
            _row(
                row,
                user(row),
                integration(row),
                Figure(number(row["failures"]), _before(report, row["failures_before"])),
                number(row["executions"]),
                number(row["workflows"]),
                minute(row["last_failure_at"]),
                "failing since then" if is_still_failing(row) else "succeeded since",
            )
            for row in report.users_affected
        ],
        frozenset({2, 3, 4}),
        frozenset({5}),
        nothing="No user had executions that failed.",
        top=TOP,
        texts_of_page=[
            "Failing since then: no execution of the user in that integration succeeded after the last one that failed."
        ],
        data=data,
        csv={"users_affected": data},
    )


def _steps(report: Report) -> Section:
    slowest = max([row["p95_duration_ms"] for row in report.steps], default=0) or 1
    before = {_step(row): row for row in report.steps_before}

    def took_before(row: Mapping[str, Any], name: str) -> str:
        return took(before.get(_step(row), {}).get(name))

    return Section(
        "steps",
        "Slow steps",
        [
            f"The {TOP} steps with the longest 95th percentile: 95 of 100 runs took at most so long, and half of "
            "them at most the median. Of the days on which the steps of all executions are loaded; without steps "
            f"that wait on purpose. Steps that ran fewer than {STEP_RUNS} times come last."
        ],
        ["step", "kind", "workflow", "runs", "failed", "median", "95th percentile", "longest"],
        [
            _row(
                row,
                row["step_name"] or str(row["step_id"] or UNKNOWN)[:8],
                row["step_type"] or UNKNOWN,
                workflow(row),
                number(row["complete_runs"]),
                number(row["complete_failures"]),
                Figure(took(row["p50_duration_ms"]), took_before(row, "p50_duration_ms")),
                Figure(
                    took(row["p95_duration_ms"]),
                    took_before(row, "p95_duration_ms"),
                    row["p95_duration_ms"] / slowest,
                ),
                took(row["max_duration_ms"]),
            )
            for row in report.steps
        ],
        frozenset({3, 4, 5, 6, 7}),
        nothing="On no day of this time are the steps of all executions loaded.",
        top=TOP,
        data=report.steps,
        csv={"steps": report.steps},
    )


def _step(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("system", "instance", "step_id", "step_name", "step_type"))


def _quiet_users(report: Report) -> Section:
    return Section(
        "quiet_users",
        "Users that went quiet",
        [
            f"Nothing of theirs began in the last {QUIET.days} days of this time, and something did in the "
            f"{BEFORE.days} days before, in any integration. The first {TOP} by executions."
        ],
        ["user", "system", "last execution (UTC)", "executions", "failed"],
        [
            Row(
                [
                    user(row),
                    account(row),
                    minute(row["last_execution_at"]),
                    number(row["executions"]),
                    number(row["failures"]),
                ],
                account(row),
            )
            for row in report.quiet_users
        ],
        frozenset({3, 4}),
        frozenset({2}),
        nothing="No user went quiet.",
        top=TOP,
        data=report.quiet_users,
        csv={"quiet_users": report.quiet_users},
    )


def _stuck_executions(report: Report) -> Section:
    counts = {
        (row["system"], row["instance"], row["integration"]): row["stuck_executions"]
        for row in report.stuck_executions
    }
    data = [_without(row, "stuck_executions") for row in report.stuck_executions]
    return Section(
        "stuck_executions",
        "Stuck executions",
        [
            "Open for longer, when this was made, than 99 of 100 ended executions of their workflow took, which is "
            f"the 99th percentile: {number(sum(counts.values()))}. The {TOP} oldest."
        ],
        ["execution", "workflow", "user", "status", "began (UTC)", "open for", "99th percentile"],
        [
            _row(
                row,
                row["execution_id"],
                workflow(row),
                row["user_id"] or "",
                row["vendor_status"] or "",
                minute(row["started_at"]),
                took(row["open_ms"]),
                took(row["p99_duration_ms"]),
            )
            for row in report.stuck_executions
        ],
        frozenset({5, 6}),
        frozenset({4}),
        nothing="There is none.",
        top=TOP,
        data=data,
        csv={"stuck_executions": data},
    )


def _coverage(report: Report) -> Section:
    return Section(
        "coverage",
        "What is loaded of each day",
        [
            "verified: all is loaded, and the vendor counts the same; unverified: all is loaded, and the vendor counts "
            "others or does not say; partial: a part is loaded, as of the last day; missing: nothing is loaded. Days are "
            "UTC days here."
        ],
        ["day", "system", "state", "executions", "the vendor counts", "reason", "looked at (UTC)"],
        [
            Row(
                [
                    row["day"].isoformat(),
                    account(row),
                    row["state"],
                    number(row["executions"]),
                    number(row["api_total"]),
                    row["reason"] or "",
                    minute(row["checked_at"]) if row["checked_at"] else "",
                ],
                account(row),
            )
            for row in report.coverage
        ],
        frozenset({3, 4}),
        frozenset({6}),
        ("coverage",) if report.coverage else (),
        "Nothing of this time is loaded.",
        folded="The days in words",
        data=report.coverage,
        csv={"coverage": report.coverage},
    )


def _limits(report: Report) -> Iterator[str]:
    """Caveats that a reader needs before relying on the figures."""
    states = [row["state"] for row in report.coverage]
    for state, description in (
        ("missing", "Of {days} in this time nothing is loaded: what is not loaded shows 0."),
        ("partial", "Of {days} only a part is loaded."),
        ("unverified", "Of {days} it is not known that all executions came; loaded_days says why."),
    ):
        if found := states.count(state):
            yield description.format(days=f"{found} day{'s' if found > 1 else ''}")
    if not report.is_compared:
        yield f"Of {report.period.before_text}, not everything is loaded: nothing is compared with it."
    for row in report.freshness:
        yield from (f"{account(row)}: {text}" for text in _lacking(row))
    yield from report.caveats
    yield (
        "Reasons are known of failed steps whose output was loaded; users, workflows and integrations as the vendor "
        "names them."
    )


def _lacking(row: Mapping[str, Any]) -> Iterable[str]:
    if row["loaded_from"]:
        yield f"nothing is loaded of what began before {minute(row['loaded_from'])} UTC."
    if row["lost_from"]:
        yield (
            f"what began from {minute(row['lost_from'])} to {minute(row['lost_until'])} UTC was purged by the "
            "vendor before it was read."
        )
    for column, description in (
        ("filtered_days", "of {n} days something is loaded under filters only, such as failed executions."),
        (
            "executions_without_start",
            "of {n} executions it is not known when they began; they are on no day.",
        ),
        ("unresolved_executions", "of {n} executions it is not known how they ended."),
        ("unknown_statuses", "{n} executions have a status without a meaning here."),
        ("details_left", "of {n} executions the steps are wanted and not loaded."),
        (
            "payloads_left",
            "of {n} steps input and output are wanted and not loaded: their reasons are not known.",
        ),
    ):
        if row[column]:
            yield description.format(n=number(row[column]))
    if row["last_run_outcome"] not in ("complete", None):
        yield f"the last sync ended as {row['last_run_outcome']}."


def _row(row: Mapping[str, Any], *cells: Cell) -> Row:
    return Row(list(cells), account(row), integration(row))


def _without(row: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _compared(row: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """The row, without figures of a period before that is not loaded."""
    if report.is_compared:
        return row
    return {name: None if name.endswith("_before") else value for name, value in row.items()}


def _before(report: Report, value: int) -> str:
    return number(value) if report.is_compared else ""


def _reasons(reasons: Rows, found: Mapping[str, Any]) -> list[str]:
    keys = ("system", "instance", "workflow_id")
    matching = [row for row in reasons if all(row[key] == found[key] for key in keys)]
    return [f"{row['reason']} ({number(row['failures'])})" for row in matching]
