"""The views as a marimo app: ``task-history explore`` opens it, ``--edit FILE`` makes a copy of your own."""


# mypy: ignore-errors

import marimo

app = marimo.App(width="medium", app_title="task-history")


@app.cell
def _():
    import os
    from datetime import date, timedelta

    import altair as alt
    import marimo as mo

    from task_history_cli.explore.dataset import dataset

    history = dataset(os.environ.get("TASK_HISTORY_DESTINATION"))
    mo.md("# Task history\nThe views of the dataset `task_history`, read through dlt. All days are UTC.")
    return alt, date, history, mo, timedelta


@app.cell
def _(date, history, mo, timedelta):
    freshness = history.freshness.df()
    integrations = sorted(
        history("SELECT DISTINCT integration FROM executions WHERE integration IS NOT NULL").df()[
            "integration"
        ]
    )
    since = mo.ui.date(value=date.today() - timedelta(days=30), label="from")
    until = mo.ui.date(value=date.today(), label="to")
    integration = mo.ui.dropdown(["all", *integrations], value="all", label="integration")
    mo.vstack(
        [
            mo.hstack([since, until, integration], justify="start"),
            mo.ui.table(freshness, label="How far it is loaded"),
        ]
    )
    return integration, since, until


@app.cell
def _(history, integration, since, until):
    usage = history.daily_usage.where(f"day BETWEEN DATE '{since.value}' AND DATE '{until.value}'").df()
    if integration.value != "all":
        usage = usage[usage["integration"] == integration.value]
    return (usage,)


@app.cell
def _(alt, mo, usage):
    by_day = usage.groupby("day", as_index=False)[["executions", "failures", "tasks"]].sum()
    by_day["day"] = by_day["day"].astype(str)
    bars = (
        alt.Chart(by_day)
        .transform_fold(["executions", "failures"], as_=["what", "number"])
        .mark_line(point=True)
        .encode(
            # The day as the warehouse has it, whatever the time zone of the browser.
            x=alt.X("utcyearmonthdate(day):T", title="day", axis=alt.Axis(format="%d %b")),
            y="number:Q",
            color="what:N",
            tooltip=[
                alt.Tooltip("utcyearmonthdate(day):T", title="day", format="%a %d %b %Y"),
                "executions:Q",
                "failures:Q",
                "tasks:Q",
            ],
        )
        .properties(width="container")
    )
    mo.vstack([mo.md("## Usage by day"), mo.ui.altair_chart(bars), mo.ui.table(by_day)])


@app.cell
def _(mo, usage):
    by_workflow = (
        usage.groupby(["integration", "workflow_id", "workflow_name"], as_index=False, dropna=False)[
            ["executions", "failures", "tasks"]
        ]
        .sum()
        .sort_values("failures", ascending=False, ignore_index=True)
    )
    mo.vstack([mo.md("## Workflows, those that fail most first"), mo.ui.table(by_workflow)])


@app.cell
def _(history, mo):
    questions = history.questions.df()
    names = sorted(questions["view_name"])
    view = mo.ui.dropdown(names, value="stuck_executions", label="view")
    mo.vstack([mo.md("## Any view"), mo.ui.table(questions[["view_name", "question", "grain"]]), view])
    return (view,)


@app.cell
def _(history, mo, view):
    mo.ui.table(history[view.value].limit(1000).df(), label=f"{view.value}, the first 1,000 rows")


@app.cell
def _(mo):
    sql = mo.ui.code_editor(
        "SELECT status, count(*) AS executions FROM executions GROUP BY status", language="sql"
    )
    mo.vstack([mo.md("## SQL"), sql])
    return (sql,)


@app.cell
def _(history, mo, sql):
    mo.ui.table(history(sql.value).df())


if __name__ == "__main__":
    app.run()
