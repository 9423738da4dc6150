"""The report as one HTML file: texts, tables, and the chart library inlined."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from ..console.output import scrubbed
from ..console.times import minute
from .charts import OUTCOMES, charts
from .figures import ALL, Report, Rows, Scope
from .formatting import FIGURES, UNKNOWN, account, incident, incident_figures, number
from .headline import NOTHING, headline
from .sections import sections

MAX_FILTERED_ROWS = 40_000
"""Rows by day, account and integration that the page carries, about a megabyte; with more, filters leave out the days."""


def page(report: Report) -> str:
    """The whole HTML file. All values from users and vendors are escaped."""
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        Path(__file__).with_name("page.html").read_text("utf-8")
    )
    period = report.period
    accounts, integrations = _choices(report)
    return scrubbed(
        template.render(
            title=period.title,
            fill=OUTCOMES["other executions"],
            failed=OUTCOMES["failed"],
            period=f"{period.days[0]} to {period.days[-1]}",
            zone=period.zone,
            made_at=f"{minute(report.made_at)} UTC",
            before=f"{period.days_before[0]} to {period.days_before[-1]}" if report.is_compared else "",
            before_text=period.before_text,
            systems=_systems(report.freshness),
            headline=headline(report),
            accounts=accounts if len(accounts) > 1 else [],
            integrations=integrations if len(integrations) > 1 else [],
            figures=_figures(report, ALL),
            sections=sections(report),
            library=Markup(_library()),  # noqa: S704 - the library's own text # nosec B704
            script=Markup(Path(__file__).with_name("page.js").read_text("utf-8")),  # noqa: S704 - ours # nosec B704
            data=Markup(_script(_data(report, accounts, integrations))),  # noqa: S704 - escaped there # nosec B704
        )
    )


def _library() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg] # the stub wants what has a default
    return re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)


def _script(value: Any) -> str:
    """JSON that is safe inside a script element."""
    return (
        json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
    )


def _systems(freshness: Rows) -> str:
    return " ".join(f"{account(row)} is loaded until {minute(row['loaded_until'])} UTC." for row in freshness)


def _choices(report: Report) -> tuple[list[str], list[str]]:
    """The accounts and integrations that filters offer, the most used first."""
    rows = report.integrations
    return list(dict.fromkeys(account(row) for row in rows)), list(
        dict.fromkeys(str(row["integration"] or UNKNOWN) for row in rows)
    )


def _figures(report: Report, scope: Scope) -> list[tuple[str, str, str]]:
    """Name, value and value of the period before."""
    totals = report.totals[scope]
    before: Mapping[str, Any] = report.totals_before.get(scope, {})
    return [
        # How many of the period before are open now says nothing.
        (name, write(totals[key]), "" if key == "open_executions" else write(before.get(key)))
        for name, key, write in (
            *FIGURES,
            ("workflows", "workflows", number),
            ("still open", "open_executions", number),
        )
    ]


def _data(report: Report, accounts: list[str], integrations: list[str]) -> dict[str, Any]:
    """The charts, and what filters show: figures by scope, and rows of numbers by day, account and integration."""
    days = {row["day"]: index for index, row in enumerate(report.days)}
    days_before = dict(zip(report.period.days_before, report.period.days, strict=False))

    def place(row: Mapping[str, Any]) -> list[int]:
        return [accounts.index(account(row)), integrations.index(str(row["integration"] or UNKNOWN))]

    rows = [
        [days[row["day"]], *place(row), row["executions"], row["failures"], row["tasks"], 0]
        for row in report.usage
        if row["day"] in days
    ]
    offered = {(account(row), str(row["integration"] or UNKNOWN)) for row in report.integrations}
    rows += [
        [days[days_before[row["day"]]], *place(row), 0, 0, 0, row["executions"]]
        for row in report.usage_before
        if days_before.get(row["day"]) in days
        and (account(row), str(row["integration"] or UNKNOWN)) in offered
    ]
    return {
        "charts": charts(report),
        "figures": {
            _key(scope): [values for _, *values in _figures(report, scope)] for scope in report.scopes
        },
        "headlines": _headlines(report),
        "nothing": NOTHING,
        "accounts": accounts,
        "integrations": integrations,
        "days": [[day.isoformat(), f"{day:%a %d %b %Y}"] for day in days],
        "compared": report.is_compared,
        "incidents": [
            [
                days[day],
                account(row),
                str(row["integration"] or UNKNOWN),
                f"{incident(row)}: {incident_figures(row)}",
            ]
            for day, row in report.days_of_incidents
            if day in days
        ],
        "rows": rows if len(rows) <= MAX_FILTERED_ROWS else None,
    }


def _headlines(report: Report) -> dict[str, list[str]]:
    """The first sentences of each scope. They need no days, of which there are many."""
    without_days = replace(report, usage=[], usage_before=[])
    return {_key(scope): headline(without_days.only(scope)) for scope in report.scopes}


def _key(scope: Scope) -> str:
    """The scope as the page's script names it: the values of both filters."""
    system, instance, integration = scope
    own = "" if system is None else account({"system": system, "instance": instance})
    return f"{own}\n{'' if integration is None else integration or UNKNOWN}"
