"""The views as a marimo app: ``task-history explore`` opens it, ``--edit FILE`` makes a copy of your own."""


# mypy: ignore-errors

# /// script
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

app = marimo.App(width="medium", app_title="task-history")


@app.cell
def _():
    import html
    import os
    from datetime import date, timedelta

    import altair as alt
    import marimo as mo

    from task_history_cli.explore import questions
    from task_history_cli.explore.dataset import dataset
    from task_history_cli.report.sections import sections

    alt.renderers.set_embed_options(renderer="svg", actions=False)  # whose colours follow the page's
    destination = os.environ.get("TASK_HISTORY_DESTINATION")
    history = dataset(destination)
    params = mo.query_params()

    def kept(name):
        """What keeps the value of a filter in the address."""

        def keep(value):
            if value in (None, "", questions.EVERYTHING):
                params.remove(name)
            else:
                params.set(name, str(value))

        return keep

    return alt, date, destination, history, html, kept, mo, params, questions, sections, timedelta


@app.cell
def _(date, kept, mo, params, timedelta):
    def _day(name, default):
        try:
            return date.fromisoformat(params.get(name) or "")
        except ValueError:
            return default

    _today = date.today()
    since = mo.ui.date(
        value=_day("from", _today - timedelta(days=29)),
        label="from",
        on_change=kept("from"),
        full_width=False,
    )
    until = mo.ui.date(value=_day("to", _today), label="to", on_change=kept("to"))
    return since, until


@app.cell
def _(destination, questions, since, until):
    everything = questions.figures(destination, *sorted((since.value, until.value)))
    return (everything,)


@app.cell
def _(everything, kept, mo, params, questions):
    def _choice(name, values):
        chosen = params.get(name)
        return mo.ui.dropdown(
            [questions.EVERYTHING, *values],
            value=chosen if chosen in values else questions.EVERYTHING,
            label=name,
            on_change=kept(name),
        )

    system = _choice("system", list(questions.accounts(everything)))
    integration = _choice("integration", questions.integrations(everything))
    return integration, system


@app.cell
def _(everything, integration, mo, questions, since, system, until):
    scope = questions.scope(everything, system.value, integration.value)
    found = everything.only(scope)
    _compared = f" Small figures: {found.period.before_text}." if found.is_compared else ""
    mo.vstack(
        [
            mo.md(f"# Task history\nDays in {found.period.zone}.{_compared}"),
            mo.hstack([since, until, system, integration], justify="start", wrap=True),
            mo.hstack(
                [
                    mo.stat(value, label=name, caption=before or None, bordered=True)
                    for name, value, before in questions.totals(found)
                ],
                wrap=True,
                justify="start",
            ),
        ]
    )
    return found, scope


@app.cell
def _(alt, found, html, mo, questions, sections):
    def section_view(section):
        charts = [questions.chart(found, name) for name in section.charts]
        rows = questions.table_rows(section)
        table = mo.ui.table(rows, selection=None) if rows else mo.md(section.nothing)
        return mo.vstack(
            [
                mo.md(f"## {section.title}"),
                *map(mo.md, section.texts),
                *[mo.Html(f"<p>{html.escape(text)}</p>") for text in section.points],
                *[alt.Chart.from_dict(chart) for chart in charts if chart],
                mo.accordion({section.folded: table}) if section.folded and rows else table,
            ]
        )

    by_day, *other_sections = sections(found)
    section_view(by_day)
    return other_sections, section_view


@app.cell
def _(destination, found, kept, mo, params, questions, scope):
    reasons_rows = questions.reasons(destination, found, scope)

    def _name(row):
        return f"{row['workflow_id']} {row['reason']}"

    _names = [_name(row) for row in reasons_rows]
    _chosen = params.get("reason")
    reasons = mo.ui.table(
        reasons_rows,
        selection="single",
        initial_selection=[_names.index(_chosen)] if _chosen in _names else None,
        on_change=lambda rows: kept("reason")(_name(rows[0]) if rows else None),
    )
    mo.vstack([mo.md("## Reasons of failures\nChoose one for its executions."), reasons])
    return (reasons,)


@app.cell
def _(destination, found, kept, mo, params, questions, reasons, scope):
    _reason = reasons.value[0] if reasons.value else None
    _rows = questions.failed(destination, found, scope, _reason) if _reason else []
    _ids = [row["execution_id"] for row in _rows]
    _chosen = params.get("execution")
    executions = mo.ui.table(
        _rows,
        selection="single",
        initial_selection=[_ids.index(_chosen)] if _chosen in _ids else None,
        on_change=lambda rows: kept("execution")(rows[0]["execution_id"] if rows else None),
    )
    _title = mo.md("### Executions that failed so\nChoose one for its steps.")
    mo.vstack([_title, executions]) if _reason else None
    return (executions,)


@app.cell
def _(destination, executions, mo, questions):
    _execution = executions.value[0] if executions.value else None
    mo.vstack(
        [
            mo.md("### Its steps"),
            mo.ui.table(questions.steps(destination, _execution), selection=None),
            mo.md("### Why it is here"),
            mo.plain_text(questions.why(destination, _execution)),
        ]
    ) if _execution else None


@app.cell
def _(mo, other_sections, section_view):
    mo.vstack([section_view(section) for section in other_sections])


@app.cell
def _(history, kept, mo, params):
    _questions = history.questions.df()
    _names = sorted(_questions["view_name"])
    _chosen = params.get("view")
    view = mo.ui.dropdown(
        _names,
        value=_chosen if _chosen in _names else "stuck_executions",
        label="view",
        on_change=kept("view"),
    )
    mo.vstack([mo.md("## Any view"), mo.ui.table(_questions[["view_name", "question", "grain"]]), view])
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
