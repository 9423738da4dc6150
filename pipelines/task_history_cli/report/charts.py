"""The charts of a report, as Vega-Lite by Altair (https://altair-viz.github.io/)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

from .data import Report, Rows

OUTCOMES = {"other executions": "#5b8db8", "failed": "#d1495b"}
STATES = {"verified": "#4a9d6f", "unverified": "#e0a83e", "partial": "#7fa8d1", "missing": "#d1495b"}
_NONE = "(not known)"


def charts(report: Report) -> Mapping[str, dict[str, Any]]:
    """The Vega-Lite specification of each chart, by section; sections without rows have none."""
    specs = {
        "days": _days(report.days) if report.days else None,
        "rates": _rates(report.days) if report.days else None,
        "integrations": _integrations(report.integrations) if report.integrations else None,
        "steps": _steps(report.steps) if report.steps else None,
        "coverage": _coverage(report.coverage) if report.coverage else None,
    }
    return {name: _whole(chart) for name, chart in specs.items() if chart is not None}


def _whole(chart: Any) -> dict[str, Any]:
    # Colours of text follow the page: light, dark and print.
    ink = {"labelColor": "currentColor", "titleColor": "currentColor"}
    made = (
        chart.properties(
            width="container",
            background="transparent",
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(font="system-ui, sans-serif")
        .configure_axis(
            **ink,
            gridColor="currentColor",
            gridOpacity=0.12,
            domainColor="currentColor",
            tickColor="currentColor",
        )
        .configure_legend(**ink)
        .configure_view(stroke=None)
    )
    spec: dict[str, Any] = made.to_dict()
    return spec


def _chart(values: list[dict[str, Any]], *, height: int) -> Any:
    return alt.Chart(alt.Data(values=values), height=height)  # type: ignore[no-untyped-call]


def _day(row: Mapping[str, Any]) -> str:
    return str(row["day"].isoformat())


def _parts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Failed and other executions as the two parts of a stacked bar."""
    failed = row["failures"]
    return [
        {"outcome": "other executions", "executions": row["executions"] - failed, "place": 1},
        {"outcome": "failed", "executions": failed, "place": 0},
    ]


def _coloured(field: str, colours: Mapping[str, str]) -> Any:
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(field, scale=scale, legend=alt.Legend(orient="top", title=None, columns=4))


def _days(rows: Rows) -> Any:
    values = [{"day": _day(row), **part} for row in rows for part in _parts(row)]
    return (
        _chart(values, height=220)
        .mark_bar()
        .encode(
            x=alt.X("utcyearmonthdate(day):T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True)),
            y=alt.Y("executions:Q", title="executions"),
            color=_coloured("outcome:N", OUTCOMES),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("utcyearmonthdate(day):T", title="day (UTC)", format="%a %d %b %Y"),
                alt.Tooltip("outcome:N"),
                alt.Tooltip("executions:Q", format=","),
            ],
        )
    )


def _rates(rows: Rows) -> Any:
    values = [
        {
            "day": _day(row),
            "rate": row["failure_rate"],
            "executions": row["executions"],
            "failed": row["failures"],
        }
        for row in rows
        if row["executions"]
    ]
    return (
        _chart(values, height=140)
        .mark_line(color=OUTCOMES["failed"], point={"color": OUTCOMES["failed"], "size": 40})
        .encode(
            x=alt.X("utcyearmonthdate(day):T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True)),
            y=alt.Y("rate:Q", title="failure rate", axis=alt.Axis(format=".0%")),
            tooltip=[
                alt.Tooltip("utcyearmonthdate(day):T", title="day (UTC)", format="%a %d %b %Y"),
                alt.Tooltip("rate:Q", title="failure rate", format=".1%"),
                alt.Tooltip("failed:Q", format=","),
                alt.Tooltip("executions:Q", format=","),
            ],
        )
    )


def _integrations(rows: Rows) -> Any:
    values = [
        {"integration": row["integration"] or _NONE, "rate": row["failure_rate"], **part}
        for row in rows
        for part in _parts(row)
    ]
    order = [row["integration"] or _NONE for row in rows]
    return (
        _chart(values, height=26 * len(rows))
        .mark_bar()
        .encode(
            y=alt.Y("integration:N", title=None, sort=order, axis=alt.Axis(labelLimit=110)),
            x=alt.X("executions:Q", title="executions", axis=alt.Axis(labelOverlap=True)),
            color=_coloured("outcome:N", OUTCOMES),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("integration:N"),
                alt.Tooltip("outcome:N"),
                alt.Tooltip("executions:Q", format=","),
                alt.Tooltip("rate:Q", title="failure rate", format=".1%"),
            ],
        )
    )


def _steps(rows: Rows) -> Any:
    values = [
        {
            # Two steps of one kind are two bars.
            "step": f"{row['step_name'] or row['step_type']} {str(row['step_id'] or '')[:6]}",
            "p50": row["p50_duration_ms"] / 1000,
            "p95": row["p95_duration_ms"] / 1000,
            "runs": row["runs"],
        }
        for row in rows
    ]
    base = _chart(values, height=24 * len(rows)).encode(
        y=alt.Y(
            "step:N", title=None, sort=[value["step"] for value in values], axis=alt.Axis(labelLimit=130)
        ),
        tooltip=[
            alt.Tooltip("step:N"),
            alt.Tooltip("p50:Q", title="half within (s)", format=",.1f"),
            alt.Tooltip("p95:Q", title="95 of 100 within (s)", format=",.1f"),
            alt.Tooltip("runs:Q", format=","),
        ],
    )
    bars = base.mark_bar(color="#5b8db8").encode(
        x=alt.X("p95:Q", title="seconds: bar 95 of 100, tick half", axis=alt.Axis(labelOverlap=True))
    )
    return bars + base.mark_tick(color="#e0a83e", thickness=3).encode(x="p50:Q")


def _coverage(rows: Rows) -> Any:
    values = [
        {
            "whose": " ".join(filter(None, (row["system"], row["instance"]))),
            "day": _day(row),
            "state": row["state"],
            "executions": row["executions"],
            "counted": row["api_total"],
        }
        for row in rows
    ]
    whose = len({value["whose"] for value in values})
    return (
        _chart(values, height=36 * whose)
        .mark_rect(stroke="currentColor", strokeOpacity=0.25, strokeWidth=0.5)
        .encode(
            x=alt.X(
                "utcyearmonthdate(day):O",
                title=None,
                axis=alt.Axis(format="%d %b", labelOverlap=True, labelAngle=0),
            ),
            y=alt.Y("whose:N", title=None, axis=alt.Axis(labelLimit=90)),
            color=_coloured("state:N", STATES),
            tooltip=[
                alt.Tooltip("utcyearmonthdate(day):T", title="day (UTC)", format="%a %d %b %Y"),
                alt.Tooltip("whose:N", title="system"),
                alt.Tooltip("state:N"),
                alt.Tooltip("executions:Q", format=","),
                alt.Tooltip("counted:Q", title="the vendor counts", format=","),
            ],
        )
    )
