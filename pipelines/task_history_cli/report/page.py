"""The report as one HTML file: texts, tables, and the chart library inlined."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from ..console.output import scrubbed
from ..console.times import duration, minute
from .charts import charts
from .data import BEFORE, QUIET, TOP, Report, Rows


@dataclass(frozen=True, slots=True)
class Bar:
    """A number with a bar behind it; the lengths are shares of the longest bar of the table."""

    text: str
    length: float
    marked: float = 0.0
    """The part of it in the colour of failures."""


Cell = str | list[str] | Bar
_UNKNOWN = "(not known)"
WIDE = 5
"""The most columns that a phone shows beside each other."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page."""

    id: str
    title: str
    texts: list[str]
    heads: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    numbers: frozenset[int] = frozenset()
    """Indexes of the columns that hold numbers."""
    instants: frozenset[int] = frozenset()
    """Indexes of the columns whose cells are not wrapped."""
    charts: list[str] = field(default_factory=list)
    nothing: str = ""
    """Text shown instead of an empty table."""
    points: list[str] = field(default_factory=list)

    @property
    def is_wide(self) -> bool:
        """Whether a phone shows each row as a card: there are too many columns to stand beside each other."""
        return len(self.heads) > WIDE


def page(report: Report, title: str) -> str:
    """The whole HTML file. All values from users and vendors are escaped."""
    drawn = charts(report)
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        Path(__file__).with_name("page.html").read_text("utf-8")
    )
    last = report.window.end - timedelta(days=1)
    library = Markup(_library())  # noqa: S704 - the library's own text # nosec B704
    script = Markup(_script(drawn))  # noqa: S704 - escaped there # nosec B704
    return scrubbed(
        template.render(
            title=title,
            period=f"{report.window.start:%Y-%m-%d} to {last:%Y-%m-%d}",
            made_at=f"{minute(report.made_at)} UTC",
            systems=_systems(report.freshness),
            figures=_figures(report.totals),
            sections=_sections(report, drawn.keys()),
            library=library,
            charts=script,
        )
    )


def _library() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg] # the stub wants what has a default
    return re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)


def _script(value: Any) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e")


def _systems(freshness: Rows) -> str:
    sentences = [f"{_whose(row)} is loaded until {minute(row['loaded_until'])} UTC." for row in freshness]
    return " ".join(sentences)


def _figures(totals: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("executions", _number(totals["executions"])),
        ("failed", _number(totals["failures"])),
        ("failure rate", _rate(totals["failure_rate"])),
        ("tasks, at least", _number(totals["tasks"])),
        ("users", _number(totals["users"])),
        ("workflows", _number(totals["workflows"])),
        ("still open", _number(totals["open_executions"])),
    ]


def _sections(report: Report, drawn: Iterable[str]) -> list[Section]:
    available = set(drawn)
    slowest = max([row["p95_duration_ms"] for row in report.steps], default=0) or 1

    def of(*names: str) -> list[str]:
        return [name for name in names if name in available]

    return [
        Section(
            "days",
            "Usage and failures by day",
            ["Executions by the day on which they began, and the share of them that failed."],
            ["day", "executions", "failed", "failure rate", "tasks"],
            [[row["day"].isoformat(), *_counts(row)] for row in report.days],
            frozenset({1, 2, 3, 4}),
            frozenset(),
            of("days", "rates"),
            "Nothing began in this time.",
        ),
        Section(
            "integrations",
            "By integration",
            ["The red part of a bar are the executions that failed."],
            ["integration", "executions", "failed", "failure rate", "tasks"],
            [
                [row["integration"] or _UNKNOWN, bar, *_counts(row)[1:]]
                for row, bar in zip(report.integrations, _bars(report.integrations), strict=True)
            ],
            frozenset({1, 2, 3, 4}),
            nothing="Nothing began in this time.",
        ),
        Section(
            "workflows",
            "Workflows that fail most",
            [
                f"The first {TOP} by failed executions, each with the commonest reasons of its failed steps. In a reason "
                "ids, numbers, addresses and quoted texts are masked."
            ],
            ["workflow", "integration", "failed", "of", "failure rate", "reasons (failed steps)"],
            [
                [
                    _workflow(row),
                    row["integration"] or _UNKNOWN,
                    _number(row["failures"]),
                    _number(row["executions"]),
                    _rate(row["failure_rate"]),
                    _reasons(report.reasons, row),
                ]
                for row in report.workflows
            ],
            frozenset({2, 3, 4}),
            nothing="Nothing failed.",
        ),
        Section(
            "steps",
            "Slow steps",
            [
                f"The {TOP} steps with the longest 95th percentile: 95 of 100 runs took at most so long, and half of "
                "them at most the median. Of the days on which the steps of all executions are loaded; without steps "
                "that wait on purpose. Steps that ran fewer than 20 times come last."
            ],
            ["step", "kind", "workflow", "runs", "failed", "median", "95th percentile", "longest"],
            [
                [
                    row["step_name"] or str(row["step_id"] or _UNKNOWN)[:8],
                    row["step_type"] or _UNKNOWN,
                    _workflow(row),
                    _number(row["complete_runs"]),
                    _number(row["complete_failures"]),
                    _took(row["p50_duration_ms"]),
                    Bar(_took(row["p95_duration_ms"]), row["p95_duration_ms"] / slowest),
                    _took(row["max_duration_ms"]),
                ]
                for row in report.steps
            ],
            frozenset({3, 4, 5, 6, 7}),
            nothing="On no day of this time are the steps of all executions loaded.",
        ),
        Section(
            "quiet",
            "Users that went quiet",
            [
                f"Nothing of theirs began in the last {QUIET.days} days of this time, and something did in the "
                f"{BEFORE.days} days before. The first {TOP} by executions."
            ],
            ["user", "system", "last execution (UTC)", "executions", "failed"],
            [
                [
                    row["user_id"],
                    _whose(row),
                    minute(row["last_execution_at"]),
                    _number(row["executions"]),
                    _number(row["failures"]),
                ]
                for row in report.quiet
            ],
            frozenset({3, 4}),
            frozenset({2}),
            nothing="No user went quiet.",
        ),
        Section(
            "stuck",
            "Stuck executions",
            [
                "Open for longer, when this was made, than 99 of 100 ended executions of their workflow took, which is "
                f"the 99th percentile: {report.stuck_total:,}. The {min(TOP, report.stuck_total)} oldest."
            ],
            ["execution", "workflow", "user", "status", "began (UTC)", "open for", "99th percentile"],
            [
                [
                    row["execution_id"],
                    _workflow(row),
                    row["user_id"] or "",
                    row["vendor_status"] or "",
                    minute(row["started_at"]),
                    _took(row["open_ms"]),
                    _took(row["p99_duration_ms"]),
                ]
                for row in report.stuck
            ],
            frozenset({5, 6}),
            frozenset({4}),
            nothing="There is none.",
        ),
        Section(
            "coverage",
            "What is loaded of each day",
            [
                "verified: loaded whole, and the vendor counts the same; unverified: loaded whole, and it counts "
                "others, or not; partial: a part is loaded, as of the last day; missing: nothing is."
            ],
            ["day", "system", "state", "executions", "the vendor counts", "reason", "looked at (UTC)"],
            [
                [
                    row["day"].isoformat(),
                    _whose(row),
                    row["state"],
                    _number(row["executions"]),
                    _number(row["api_total"]),
                    row["reason"] or "",
                    minute(row["checked_at"]) if row["checked_at"] else "",
                ]
                for row in report.coverage
            ],
            frozenset({3, 4}),
            frozenset({6}),
            of("coverage"),
            "Nothing of this time is loaded.",
        ),
        Section("limits", "What the data does not cover", [], points=_limits(report)),
    ]


def _limits(report: Report) -> list[str]:
    """Caveats that a reader needs before relying on the figures."""
    states = [row["state"] for row in report.coverage]
    sentences = []
    for state, description in (
        ("missing", "Of {days} in this time nothing is loaded: what is not loaded shows 0."),
        ("partial", "Of {days} only a part is loaded."),
        ("unverified", "Of {days} the vendor counts others than are loaded, or gave no count."),
    ):
        if number := states.count(state):
            sentences.append(description.format(days=f"{number} day{'s' if number > 1 else ''}"))
    for row in report.freshness:
        sentences += [f"{_whose(row)}: {text}" for text in _lacking(row)]
    sentences += report.caveats
    sentences.append(
        "Reasons are known of failed steps whose output was loaded; users, workflows and integrations as the vendor "
        "names them."
    )
    return sentences


def _lacking(row: Mapping[str, Any]) -> list[str]:
    sentences = []
    if row["loaded_from"]:
        sentences.append(f"nothing is loaded of what began before {minute(row['loaded_from'])} UTC.")
    if row["lost_from"]:
        sentences.append(
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
            sentences.append(description.format(n=_number(row[column])))
    if row["last_run_outcome"] not in ("complete", None):
        sentences.append(f"the last sync ended as {row['last_run_outcome']}.")
    return sentences


def _counts(row: Mapping[str, Any]) -> list[str]:
    return [
        _number(row["executions"]),
        _number(row["failures"]),
        _rate(row["failure_rate"]),
        _number(row["tasks"]),
    ]


def _bars(rows: Rows) -> list[Bar]:
    """The executions of each row, of which the failed ones are marked."""
    most = max([row["executions"] for row in rows], default=0) or 1
    return [Bar(_number(row["executions"]), row["executions"] / most, row["failures"] / most) for row in rows]


def _whose(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["system"], row["instance"])))


def _workflow(row: Mapping[str, Any]) -> str:
    return str(row["workflow_name"] or row["workflow_id"] or _UNKNOWN)


def _reasons(reasons: Rows, workflow: Mapping[str, Any]) -> list[str]:
    keys: Sequence[str] = ("system", "instance", "workflow_id")
    matching = [row for row in reasons if all(row[key] == workflow[key] for key in keys)]
    return [f"{row['reason']} ({_number(row['failures'])})" for row in matching]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _took(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds / 1000:.1f} s" if abs(milliseconds) < 90_000 else duration(milliseconds / 1000)
