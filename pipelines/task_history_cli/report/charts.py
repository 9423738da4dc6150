"""The charts of a report, as Vega-Lite by Altair (https://altair-viz.github.io/)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import altair as alt

from .figures import Report, Rows
from .formatting import incident, incident_figures
from .period import utc_days

OUTCOMES = {"other executions": "#5b8db8", "failed": "#d1495b"}
"""The colour of each outcome, in charts and in the bars of tables."""
STATES = {"verified": "#4a9d6f", "unverified": "#e0a83e", "partial": "#7fa8d1", "missing": "#d1495b"}
"""The colour of each state of a day in the chart of what is loaded."""
INCIDENTS = 3
"""Incidents of a day that a chart names, at most."""
LABELS = 16
"""Days that have a label, at most; a narrow page leaves out more."""
EXTENT = 64
"""Pixels to the left of each chart, so that the days of all charts stand below each other."""


def charts(report: Report) -> Mapping[str, dict[str, Any]]:
    """The Vega-Lite specification of each chart, by name; charts without rows have none.

    All are about the same days, which stand at the same place in each.
    """
    days = [day.isoformat() for day in report.period.days]
    incidents = incident_texts(report.days_of_incidents)
    drawn = {
        "days": _executions(report.days, days, incidents) if report.usage else None,
        "rates": _rates(report.days, days, incidents) if report.usage else None,
        "coverage": _coverage(report.coverage, [day.isoformat() for day in utc_days(report.period.window)])
        if report.coverage
        else None,
    }
    return {name: _whole(chart) for name, chart in drawn.items() if chart is not None}


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
        .configure_title(color="currentColor", anchor="start", fontSize=11, fontWeight="normal")
        .configure_view(stroke=None)
    )
    spec: dict[str, Any] = made.to_dict()
    return spec


def _chart(values: list[dict[str, Any]], *, height: int, **options: Any) -> Any:
    return alt.Chart(alt.Data(values=values), height=height, **options)  # type: ignore[no-untyped-call]


def _coloured(field: str, colours: Mapping[str, str]) -> Any:
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(field, scale=scale, legend=alt.Legend(orient="top", title=None, columns=4))


def _day_axis(days: Sequence[str]) -> Any:
    """The days as places in a row: the warehouse's days in each time zone of a browser, at one width in each chart."""
    step = max(1, -(-len(days) // LABELS))
    axis = alt.Axis(
        values=list(days[::step]),
        labelExpr="utcFormat(toDate(datum.value + 'T00:00:00Z'), '%d %b')",
        labelAngle=0,
        labelOverlap="greedy",
        labelSeparation=4,
    )
    return alt.X(
        "day:O", title=None, scale=alt.Scale(type="band", domain=list(days), paddingInner=0.1), axis=axis
    )


def _value_axis(**options: Any) -> Any:
    return alt.Axis(minExtent=EXTENT, maxExtent=EXTENT, labelLimit=EXTENT - 8, **options)


def _day_tooltip() -> Any:
    return alt.Tooltip("text:N", title="day")


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {"day": row["day"].isoformat(), "text": f"{row['day']:%a %d %b %Y}"}


def incident_texts(found: Iterable[tuple[date, Mapping[str, Any]]]) -> dict[date, str]:
    """What charts say of the incidents of a day."""
    texts: dict[date, list[str]] = {}
    for day, row in found:
        texts.setdefault(day, []).append(f"{incident(row)}: {incident_figures(row)}")
    return {day: "; ".join(lines[:INCIDENTS]) for day, lines in texts.items()}


def _shade(base: Any, values: Sequence[Mapping[str, Any]], days: Sequence[str]) -> list[Any]:
    """A layer behind the days with an incident; none without incidents."""
    if not any(value["incidents"] for value in values):
        return []
    shade = (
        base.transform_filter("datum.incidents")
        .mark_rect(color=STATES["unverified"], opacity=0.3)
        .encode(x=_day_axis(days), tooltip=[_day_tooltip(), alt.Tooltip("incidents:N")])
    )
    return [shade]


def _executions(rows: Rows, days: Sequence[str], incidents: Mapping[date, str]) -> Any:
    values = [
        {
            **_texts(row),
            "incidents": incidents.get(row["day"]),
            "failed": row["failures"],
            "other executions": row["executions"] - row["failures"],
            "before": row["executions_before"],
        }
        for row in rows
    ]
    y = alt.Y("executions:Q", title=None, axis=_value_axis(tickMinStep=1))
    base = _chart(values, height=200)
    bars = (
        base.transform_fold(list(OUTCOMES), as_=["outcome", "executions"])
        .transform_calculate(place="datum.outcome === 'failed' ? 0 : 1")
        .mark_bar()
        .encode(
            x=_day_axis(days),
            y=y,
            color=_coloured("outcome:N", OUTCOMES),
            order=alt.Order("place:Q"),
            tooltip=[
                _day_tooltip(),
                alt.Tooltip("outcome:N"),
                alt.Tooltip("executions:Q", format=","),
                alt.Tooltip("before:Q", title="executions before", format=","),
            ],
        )
    )
    layers = [*_shade(base, values, days), bars]
    if all(value["before"] is None for value in values):
        return alt.layer(*layers) if len(layers) > 1 else bars
    ticks = (
        base.transform_filter("isValid(datum.before)")
        .mark_tick(color="currentColor", thickness=1.5, opacity=0.55, bandSize=16)
        .encode(x=_day_axis(days), y=alt.Y("before:Q", title=None))
    )
    return alt.layer(*layers, ticks)


def _rates(rows: Rows, days: Sequence[str], incidents: Mapping[date, str]) -> Any:
    values = [
        {
            **_texts(row),
            "incidents": incidents.get(row["day"]),
            "rate": row["failure_rate"],
            "executions": row["executions"],
            "failed": row["failures"],
        }
        for row in rows
        if row["executions"]
    ]
    base = _chart(values, height=120)
    line = base.mark_line(color=OUTCOMES["failed"], point={"color": OUTCOMES["failed"], "size": 30}).encode(
        x=_day_axis(days),
        y=alt.Y("rate:Q", title=None, axis=_value_axis(format=".0%", tickCount=4)),
        tooltip=[
            _day_tooltip(),
            alt.Tooltip("rate:Q", title="failure rate", format=".1%"),
            alt.Tooltip("failed:Q", format=","),
            alt.Tooltip("executions:Q", format=","),
        ],
    )
    layers = [*_shade(base, values, days), line]
    return (alt.layer(*layers) if len(layers) > 1 else line).properties(title="failure rate")


def _coverage(rows: Rows, days: Sequence[str]) -> Any:
    values = [
        {
            **_texts(row),
            "account": " ".join(filter(None, (row["system"], row["instance"]))),
            "state": row["state"],
            "executions": row["executions"],
            "counted": row["api_total"],
        }
        for row in rows
    ]
    accounts = len({value["account"] for value in values})
    return (
        _chart(values, height=30 * accounts)
        .mark_rect(stroke="currentColor", strokeOpacity=0.25, strokeWidth=0.5)
        .encode(
            x=_day_axis(days),
            y=alt.Y("account:N", title=None, axis=_value_axis()),
            color=_coloured("state:N", STATES),
            tooltip=[
                _day_tooltip(),
                alt.Tooltip("account:N"),
                alt.Tooltip("state:N"),
                alt.Tooltip("executions:Q", format=","),
                alt.Tooltip("counted:Q", title="the vendor counts", format=","),
            ],
        )
    )
