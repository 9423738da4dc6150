"""The report: one file that asks for nothing, whose figures are those of the views."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from task_history import systems
from task_history.core.calendars import Calendar
from task_history.core.models import Window
from task_history.settings_accounts import Account
from task_history.views import create as creating
from task_history_cli.commands import report as report_command
from task_history_cli.report import figures as report_figures
from task_history_cli.report import headline as report_headline
from task_history_cli.report.figures import Report
from task_history_cli.report.formats import FOLDER, csv_files
from task_history_cli.report.period import MONTH, SPAN, WEEK, Period
from task_history_cli.report.sections import sections
from tests.support import environments, made_warehouse
from tests.support.browser import PROGRAM, Browser
from tests.support.place import Place
from tests.support.torture import rest_as_torture
from tests.unit.views.test_views import access

NOVEMBER = Period(
    Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)), "2026-11", "UTC", MONTH
)
AFTER_MISSING = Period(
    Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 13, tzinfo=UTC)), "two days", "UTC", SPAN
)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
INJECTED = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


class Tables(HTMLParser):
    """The cells of each section's table, by the section's id, without hidden rows and the period before."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._section = ""
        self._is_cell = False
        self._is_before = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "section":
            self._section = dict(attrs)["id"]
            self.found[self._section] = []
        elif tag == "tr":
            self._rows = [] if "hidden" in dict(attrs) else self.found[self._section]
            self._rows.append([])
        elif tag == "small":
            self._is_before = True
        elif tag in ("td", "th"):
            self._is_cell = True
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_cell = False
        elif tag == "small":
            self._is_before = False

    def handle_data(self, data: str) -> None:
        if self._is_cell and not self._is_before:
            self._rows[-1][-1] += data


def charts(found: Report) -> Any:
    """The report's charts; what draws them is imported where it is needed, as it takes half a second."""
    from task_history_cli.report import charts as report_charts

    return report_charts.charts(found)


def html(found: Report) -> str:
    """The report's page."""
    from task_history_cli.report import page as report_page

    return report_page.page(found)


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    made_warehouse.fill(connection, executions=3_000)
    connection.execute(
        "UPDATE paragon.workflow_executions SET user_id = ? WHERE user_id = 'user 3'", [INJECTED]
    )
    connection.execute(
        "UPDATE paragon.workflows SET workflow_name = ? WHERE integration = 'slack'", [INJECTED]
    )
    creating.refresh(access(connection))
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def found(connection: Any) -> Report:
    return report_figures.report(access(connection), NOVEMBER, now=NOW)


@pytest.fixture(scope="module")
def page(found: Report) -> str:
    return html(found)


def test_figures_are_those_of_the_views(connection: Any, page: str) -> None:
    """Days, integrations, workflows and coverage are what the views say of the month, number by number."""
    tables = Tables(page).found

    def asked(sql: str) -> list[list[str]]:
        return [[str(value) for value in row] for row in connection.execute(sql).fetchall()]

    figures = (
        "format('{:,}', sum(executions)::BIGINT), format('{:,}', sum(failures)::BIGINT), "
        "coalesce(format('{:.1f}%', 100 * sum(failures) / nullif(sum(executions), 0)), ''), "
        "format('{:,}', sum(tasks)::BIGINT)"
    )
    month = "day BETWEEN '2026-11-01' AND '2026-11-30'"
    assert tables["days"][1:] == asked(
        f"SELECT day, {figures} FROM task_history.daily_usage WHERE {month} GROUP BY day ORDER BY day"
    )
    assert tables["integrations"][1:] == asked(
        f"SELECT coalesce(integration, '(not known)'), {figures} FROM task_history.daily_usage WHERE {month} "
        "GROUP BY integration ORDER BY sum(executions) DESC"
    )
    assert [row[2:4] for row in tables["workflows"][1:]] == asked(
        "SELECT sum(failures)::BIGINT, sum(executions)::BIGINT FROM task_history.daily_usage "
        f"WHERE {month} GROUP BY workflow_id, workflow_name, integration HAVING sum(failures) > 0 "
        "ORDER BY sum(failures) DESC, workflow_id LIMIT 15"
    )
    assert [row[:3] for row in tables["coverage"][1:]] == asked(
        f"SELECT day, system, state FROM task_history.loaded_days WHERE {month} ORDER BY day"
    )
    assert len(tables["stuck_executions"]) - 1 == min(
        15, connection.execute("SELECT count(*) FROM task_history.stuck_executions").fetchone()[0]
    )
    (total,) = connection.execute(
        "SELECT count(*) FROM task_history.executions WHERE started_at >= TIMESTAMPTZ '2026-11-01 00:00:00+00'"
    ).fetchone()
    assert f"<dt>executions</dt><dd><b>{total:,}</b>" in page


def test_quiet_users_are_quiet(connection: Any, found: Report) -> None:
    """Each of them ran something in the thirty days before the last seven, and nothing since."""
    assert found.quiet_users == sorted(found.quiet_users, key=lambda row: -row["executions"])
    for row in found.quiet_users:
        (last,) = connection.execute(
            "SELECT max(started_at) FROM task_history.executions WHERE user_id = ?", [row["user_id"]]
        ).fetchone()
        assert row["last_execution_at"] == last < datetime(2026, 11, 13, 12, tzinfo=UTC)


def test_it_says_what_is_missing(page: str) -> None:
    """Missing, partial and unverified days, what is left, and why tasks are no invoice."""
    text = page[page.index('id="limits"') : page.index('<script id="data"')]
    for words in (
        "Of 1 day in this time nothing",
        "Of 1 day only a part",
        "Of 1 day it is not known that all executions came",
        "Proxy API",
        "steps are wanted",
    ):
        assert words in text, words


def test_it_asks_for_nothing(page: str) -> None:
    """No address is loaded, the browser is told to load none, and the file is small."""
    assert "default-src 'none'" in page
    without_scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"<[^>]*\s(src|href|action)\s*=|url\(|@import", without_scripts)
    assert len(page.encode()) < 3_000_000


def test_it_sends_nothing_anywhere(page: str) -> None:
    """Its policy lets it load nothing, send no form, and resolve no address against another base."""
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert {name: rules.get(name) for name in ("default-src", "base-uri", "form-action")} == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_of_a_user_is_markup(page: str) -> None:
    """Names that look like markup are text, in tables and in charts."""
    assert INJECTED not in page
    assert "alert(1)</script>" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert page.count("<script") == 3


def test_filters_have_names_as_they_are(connection: Any) -> None:
    """A browser takes spaces out of an option's text, not out of its value, by which figures are found."""
    name = " two  spaces"
    connection.execute("BEGIN")
    try:
        connection.execute("UPDATE paragon.workflows SET integration = ? WHERE integration = 'jira'", [name])
        text = html(report_figures.report(access(connection), NOVEMBER, now=NOW))
    finally:
        connection.execute("ROLLBACK")
    assert f'<option value="{name}">' in text


def test_it_holds_no_payload(connection: Any, page: str) -> None:
    """No text of an error as it is stored, and nothing that was in an input or output beside it."""
    for secret in ("Erika", "a0B5e", "erika@example.com", "12345678901234567890", "example.com/items"):
        assert secret not in page


def test_every_chart_has_its_rows(found: Report, page: str) -> None:
    """The values of the charts and the lengths of the bars are those of the tables."""
    drawn = charts(found)
    assert set(drawn) == {"days", "rates", "coverage"}
    (values,) = (
        drawn["days"]["datasets"].values()
        if "datasets" in drawn["days"]
        else [drawn["days"]["data"]["values"]]
    )
    assert [value["failed"] for value in values] == [row["failures"] for row in found.days]
    assert [value["failed"] + value["other executions"] for value in values] == [
        row["executions"] for row in found.days
    ]
    assert len(drawn["coverage"]["data"]["values"]) == len(found.coverage)
    lengths = [float(width) for width in re.findall(r'<i style="width: ([0-9.]+)%', page)]
    most = found.integrations[0]["executions"]
    slowest = max(row["p95_duration_ms"] for row in found.steps)
    assert lengths == [
        *(round(100 * row["executions"] / most, 1) for row in found.integrations),
        *(round(100 * row["p95_duration_ms"] / slowest, 1) for row in found.steps),
    ]


def test_charts_share_their_days(found: Report) -> None:
    """All charts show the same days, each at the same place."""
    drawn = charts(found)
    axes = [drawn[name]["encoding"] for name in ("days", "rates", "coverage")]
    days = [f"2026-11-{day:02}" for day in range(1, 31)]
    assert [axis["x"]["scale"]["domain"] for axis in axes] == [days] * 3
    assert len({(axis["y"]["axis"]["minExtent"], axis["y"]["axis"]["maxExtent"]) for axis in axes}) == 1


def test_slow_steps_are_those_of_step_performance(connection: Any) -> None:
    """Over all time the figures are the view's, of complete days only; steps that wait on purpose are left out."""
    connection.execute(
        "UPDATE paragon.step_executions SET type = 'ACTION/DELAY' WHERE step_id = "
        "(SELECT step_id FROM task_history.step_performance ORDER BY p95_duration_ms DESC NULLS LAST LIMIT 1)"
    )
    ever = Window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    found = report_figures.report(access(connection), Period(ever, "ever", "UTC", SPAN), now=NOW)
    steps = found.steps[:15]
    columns = "step_id, ended_runs, p50_duration_ms, p95_duration_ms, max_duration_ms"
    expected = connection.execute(
        f"SELECT {columns} FROM task_history.step_performance WHERE step_type <> 'ACTION/DELAY' AND ended_runs > 0 "
        "ORDER BY ended_runs < 20, p95_duration_ms DESC, step_id LIMIT 15"
    ).fetchall()
    assert [tuple(row[name] for name in columns.split(", ")) for row in steps] == expected


def test_slow_steps_are_those_of_the_period(connection: Any, found: Report) -> None:
    """Runs of other days and of days that are not complete do not count."""
    one = found.steps[0]
    complete = """
        SELECT CAST(started_at AS DATE) FROM task_history.executions
        LEFT JOIN paragon.execution_details AS d ON d.id = execution_id AND d.outcome = 'loaded'
        WHERE NOT is_open AND status <> 'unresolved' AND started_at IS NOT NULL GROUP BY 1 HAVING count(*) = count(d.id)
    """
    (runs,) = connection.execute(
        f"SELECT count(duration_ms) FROM task_history.steps WHERE step_id = ? AND step_type = ? "
        f"AND CAST(execution_started_at AS DATE) IN ({complete}) "
        "AND execution_started_at >= TIMESTAMPTZ '2026-11-01 00:00Z' "
        "AND CAST(execution_started_at AS DATE) NOT IN "
        "(SELECT day FROM task_history.loaded_days WHERE state = 'missing')",
        [one["step_id"], one["step_type"]],
    ).fetchone()
    assert one["ended_runs"] == runs > 0


def test_an_empty_month_is_a_page_too(connection: Any) -> None:
    """Without a single row there are words, and no chart."""
    empty = report_figures.report(
        access(connection),
        Period(
            Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)),
            "2025-01",
            "UTC",
            MONTH,
        ),
        now=NOW,
    )
    text = html(empty)
    assert "Nothing began in this time." in text
    assert '"charts":{}' in text


@pytest.fixture(scope="module")
def after_missing(connection: Any) -> Report:
    """A report on the two days after one that is missing, and one before it."""
    return report_figures.report(access(connection), AFTER_MISSING, now=NOW)


def test_figures_of_the_period_before_are_those_of_the_views(connection: Any) -> None:
    """Totals, integrations, workflows and users of the days before are what the views say of them."""
    other = report_figures.report(
        access(connection),
        Period(Window(datetime(2026, 11, 4, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)), "", "UTC", SPAN),
        now=NOW,
    )
    assert other.is_compared
    before = "started_at >= TIMESTAMPTZ '2026-10-31 00:00Z' AND started_at < TIMESTAMPTZ '2026-11-04 00:00Z'"

    def asked(columns: str, more: str = "") -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(
            f"SELECT {columns} FROM task_history.executions WHERE {before} {more}"
        ).fetchall()
        return found

    totals = other.totals_before[report_figures.ALL]
    names = ("executions", "failures", "tasks", "users", "users_affected", "workflows")
    assert [tuple(totals[name] for name in names)] == asked(
        "count(*), count(*) FILTER (status = 'failed'), sum(task_count)::BIGINT, count(DISTINCT user_id), "
        "count(DISTINCT user_id) FILTER (status = 'failed'), count(DISTINCT workflow_id)"
    )
    integrations = {row["integration"]: row["executions_before"] for row in other.integrations}
    expected = dict(asked("integration, count(*)", "GROUP BY integration"))
    assert integrations == {name: expected.get(name, 0) for name in integrations}
    workflows = {row["workflow_id"]: row["failures_before"] for row in other.workflows}
    expected = dict(asked("workflow_id, count(*) FILTER (status = 'failed')", "GROUP BY workflow_id"))
    assert workflows == {name: expected.get(name, 0) for name in workflows}
    assert sum(row["executions_before"] for row in other.days) == totals["executions"]
    page = html(other)
    assert f"{totals['executions']:,} before" in page
    assert f"in the 4 days before ({totals['executions']:,})" in page


BERLIN = ZoneInfo("Europe/Berlin")
PERIODS = (
    (WEEK, datetime(2018, 10, 22, tzinfo=BERLIN), datetime(2018, 10, 29, tzinfo=BERLIN)),  # of 169 hours
    (WEEK, datetime(2018, 10, 29, tzinfo=BERLIN), datetime(2018, 11, 5, tzinfo=BERLIN)),
    (MONTH, datetime(2018, 10, 1, tzinfo=BERLIN), datetime(2018, 11, 1, tzinfo=BERLIN)),
)


def test_figures_are_those_of_period_over_period() -> None:
    """Of a week or month that is over the report and the view say the same, also of the one before it."""
    copy = duckdb.connect()
    made_warehouse.empty(copy)
    made_warehouse.fill(copy, executions=1_000, days=100, now="TIMESTAMPTZ '2018-11-20 12:00:00+00'")
    copy.execute(  # no 10th of a month is covered; now they are as the days before them, so that months are compared
        "INSERT INTO paragon.coverage BY NAME SELECT * REPLACE (day + INTERVAL 1 DAY AS day, "
        "replace(replace(windows, '-10T', '-11T'), '-09T', '-10T') AS windows) FROM paragon.coverage WHERE day(day) = 9"
    )
    owners = {"paragon": Account(systems.find("paragon"), None, Calendar(BERLIN.key))}
    creating.refresh(replace(access(copy), owners=owners))
    names = ("executions", "failures", "tasks", "failure_rate")
    nothing = {"executions": 0, "failures": 0, "tasks": 0, "failure_rate": None}
    for unit, start, end in PERIODS:
        window = Window(start.astimezone(UTC), end.astimezone(UTC))
        found = report_figures.report(access(copy), Period(window, "", BERLIN.key, unit), now=NOW)
        assert found.is_compared, (unit, start)
        rows = copy.execute(
            "SELECT integration, executions, failures, tasks, failure_rate, previous_executions, previous_failures, "
            "previous_tasks, previous_failure_rate FROM task_history.period_over_period "
            "WHERE period = ? AND period_start = ?",
            [unit, start.date()],
        ).fetchall()
        assert len(rows) > 3
        assert {row[0] or "" for row in rows if row[1]} == {
            scope[2] for scope in found.scopes if scope[0] and scope[2] is not None
        }
        for integration, *figures in rows:
            scope = ("paragon", "", integration or "")
            both = (found.totals.get(scope, nothing), found.totals_before.get(scope, nothing))
            assert figures == [totals[name] for totals in both for name in names], (unit, start, integration)
    copy.close()


def test_a_scope_in_which_nothing_ran_before_says_so(connection: Any) -> None:
    """It is not said that the period before is not loaded."""
    span = Window(datetime(2026, 11, 4, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
    found = report_figures.report(access(connection), Period(span, "", "UTC", SPAN), now=NOW)
    scope = (None, None, "jira")
    before = {known: totals for known, totals in found.totals_before.items() if known != scope}
    sentences = report_headline.headline(replace(found, totals_before=before).only(scope))
    assert (
        f"{found.totals[scope]['executions']} executions began, and none in the 4 days before" in sentences[0]
    )


def test_a_period_that_is_not_loaded_is_not_compared(after_missing: Report) -> None:
    """Where days of the period before are missing nothing is called more or less, and the page says why."""
    text = html(after_missing)
    assert after_missing.totals_before == {}
    assert "There is no comparison: of the 2 days before, not everything is loaded." in text
    assert " more than in " not in text
    assert " more than before" not in text


def test_a_running_period_is_compared_with_as_much_of_the_one_before(connection: Any) -> None:
    """Until the last day that is loaded, and not with all of it."""
    month = report_figures.report(access(connection), NOVEMBER, now=NOW).period
    assert month.before == Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 20, 12, tzinfo=UTC))
    assert month.before_text == "the same part of the month before"


def test_users_affected_are_those_of_the_views(connection: Any, found: Report) -> None:
    """Failures by user and integration, and who had no success since."""
    rows = connection.execute(
        "SELECT user_id, integration, count(*) FILTER (status = 'failed') AS failed, "
        "coalesce(max(started_at) FILTER (status = 'succeeded') < max(started_at) FILTER (status = 'failed'), TRUE) "
        "FROM task_history.executions WHERE started_at >= TIMESTAMPTZ '2026-11-01 00:00Z' AND user_id IS NOT NULL "
        "GROUP BY 1, 2 HAVING failed > 0"
    ).fetchall()
    expected = {(user, integration): (failed, failing) for user, integration, failed, failing in rows}
    for row in found.users_affected:
        assert expected[row["user_id"], row["integration"]] == (
            row["failures"],
            report_headline.is_still_failing(row),
        )
    assert found.still_failing[report_figures.ALL] == len({user for user, _, _, failing in rows if failing})
    for integration in {integration for _, integration, _, _ in rows}:
        failing_users = sum(failing and own == integration for _, own, _, failing in rows)
        for scope in ((None, None, integration or ""), ("paragon", "", integration or "")):
            assert found.still_failing.get(scope, 0) == failing_users, scope
    assert found.still_failing["paragon", "", None] == found.still_failing[report_figures.ALL]
    assert found.users_affected[0]["failures"] == max(failed for _, _, failed, _ in rows)


def test_incidents_are_those_of_the_view() -> None:
    """An incident of the view is in the table, in the first sentences, and behind its day in both charts."""
    copy = duckdb.connect()
    made_warehouse.empty(copy)
    made_warehouse.fill(copy, executions=3_000)
    copy.execute(
        "UPDATE paragon.workflow_executions SET status = 'FAILED' WHERE workflow_id = md5('w1') "
        "AND date_started >= '2026-11-04' AND date_started < '2026-11-06'"
    )
    creating.refresh(access(copy))
    expected = copy.execute(
        "SELECT workflow_id, started_at, failures FROM task_history.incidents ORDER BY is_over, failures DESC, started_at"
    ).fetchall()
    found = report_figures.report(access(copy), NOVEMBER, now=NOW)
    names = ("workflow_id", "started_at", "failures")
    assert [tuple(row[name] for name in names) for row in found.incidents] == expected
    assert expected
    assert any("incident" in text or "stand out" in text for text in report_headline.headline(found))
    days = {day.isoformat() for day, _ in found.days_of_incidents}
    assert expected[0][1].date().isoformat() in days
    for chart in ("days", "rates"):
        spec = charts(found)[chart]
        assert {value["day"] for value in spec["data"]["values"] if value["incidents"]} == days
        assert spec["layer"][0]["mark"]["type"] == "rect"
    cells = Tables(html(found)).found["incidents"]
    assert [row[5].split(" of ")[0] for row in cells[1:]] == [f"{failures:,}" for *_, failures in expected]
    copy.close()


def test_views_of_an_earlier_version_have_no_incidents() -> None:
    """A report on a warehouse whose views an earlier version made has all but them."""
    copy = duckdb.connect()
    made_warehouse.empty(copy)
    made_warehouse.fill(copy, executions=300)
    creating.refresh(access(copy))
    copy.execute("DROP VIEW task_history.incidents")
    found = report_figures.report(access(copy), NOVEMBER, now=NOW)
    assert found.incidents == []
    assert found.usage
    copy.close()


def test_the_headline_names_what_got_worse(connection: Any) -> None:
    """A workflow that begins to fail is named with both rates; one that fails as before is not."""
    copy = duckdb.connect()
    made_warehouse.empty(copy)
    made_warehouse.fill(copy, executions=3_000)
    copy.execute(
        "UPDATE paragon.workflow_executions SET status = CASE WHEN hash(id) % 3 = 0 THEN 'FAILED' ELSE status END "
        "WHERE workflow_id = md5('w1') AND date_started >= '2026-11-04'"
    )
    creating.refresh(access(copy))
    span = Window(datetime(2026, 11, 4, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
    found = report_figures.report(access(copy), Period(span, "", "UTC", SPAN), now=NOW)
    sentences = report_headline.headline(found)
    (worse,) = [text for text in sentences if text.startswith("Failing clearly more than before")]
    ((name,),) = copy.execute("SELECT md5('w1')").fetchall()
    assert name in worse
    assert sentences[0].startswith(f"{found.totals[report_figures.ALL]['executions']:,} executions began, ")
    copy.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page, "utf-8")
    return file.as_uri()


PAPERS = {"A4": 8.27, "Letter": 8.5}
"""Sizes of paper, with their widths in inches."""
DRAWN = "document.documentElement.dataset.drawn === 'all'"


@pytest.mark.parametrize("width", rest_as_torture([1280, 390], [390]))
def test_a_browser_shows_it(browser: Browser, address: str, width: int) -> None:
    """Charts are drawn with marks in them, nothing is complained about, at the width of a screen and of a phone."""
    browser.resize(width)
    browser.open(address, DRAWN)
    shown = browser.run(
        "[...document.querySelectorAll('.chart')].map(chart => [chart.id, "
        "chart.querySelectorAll('svg path, svg rect').length, chart.scrollWidth <= chart.clientWidth])"
    )
    assert {name for name, *_ in shown} == {f"chart-{name}" for name in ("days", "rates", "coverage")}
    for name, marks, fits in shown:
        assert fits, f"{name} is wider than the page"
        assert marks > 5, name
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    hidden = browser.run(
        "[...document.querySelectorAll('#workflows td li')]"
        ".filter(item => item.getBoundingClientRect().right > innerWidth)"
    )
    assert hidden == [], "reasons that scroll out of sight"
    assert browser.complaints == []
    assert set(browser.requests) == {address}


def test_filters_show_what_the_views_say(
    browser: Browser, address: str, connection: Any, found: Report
) -> None:
    """With an integration chosen, sentences, figures, days and rows are its own; with all chosen the first ones again."""
    browser.resize(1280)
    browser.open(address, DRAWN)
    state = (
        "[...document.querySelectorAll('#headline ul, .figures, #days tbody'), "
        "...[...document.querySelectorAll('#workflows tbody tr')].filter(row => !row.hidden)]"
        ".map(part => part.textContent.replace(/\\s/g, ''))"
    )
    choose = (
        "(() => {{ const filter = document.getElementById('filter-integration'); filter.value = '{}'; "
        "filter.dispatchEvent(new Event('change')); }})()"
    )
    first = browser.run(state)
    browser.run(choose.format("jira"))
    shown = browser.run("[...document.querySelectorAll('.figures b')].map(figure => figure.textContent)")
    days = browser.run(
        "[...document.querySelectorAll('#days tbody tr')]"
        ".map(row => [row.cells[0].textContent, row.cells[1].textContent])"
    )
    rows = browser.run(
        "[...document.querySelectorAll('#workflows tbody tr')]"
        ".filter(row => !row.hidden).map(row => row.cells[1].textContent)"
    )
    jira = "FROM task_history.executions WHERE integration = 'jira' AND started_at >= TIMESTAMPTZ '2026-11-01 00:00Z'"
    ((executions, failures, users),) = connection.execute(
        f"SELECT count(*), count(*) FILTER (status = 'failed'), count(DISTINCT user_id) {jira}"
    ).fetchall()
    assert (shown[0], shown[1], shown[4]) == (f"{executions:,}", f"{failures:,}", f"{users:,}")
    by_day = connection.execute(
        f"SELECT CAST(started_at AS DATE)::VARCHAR, count(*)::VARCHAR {jira} GROUP BY 1"
    ).fetchall()
    assert [tuple(day) for day in days if day[1] != "0"] == sorted(by_day)
    assert set(rows) == {"jira"}
    sentences = browser.run("[...document.querySelectorAll('#headline li')].map(item => item.textContent)")
    assert sentences == report_headline.headline(found.only((None, None, "jira")))
    assert sentences[0].startswith(f"{executions:,} executions began; ")
    assert "jira" in browser.run("document.getElementById('filtered').textContent")
    browser.run(choose.format(""))
    assert browser.run(state) == first
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("scheme", "width", "days"),
    rest_as_torture(
        [*product(("light", "dark"), (1280, 390), ("month",)), ("dark", 390, "two")],
        kept=[("dark", 390, "two")],
    ),
)
def test_all_people_can_read_it(
    browser: Browser,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    width: int,
    scheme: str,
    days: str,
) -> None:
    """axe-core finds nothing that keeps people out: contrast, names of controls and charts, headings, tables."""
    script = environments.axe()
    file = tmp_path / "report.html"
    file.write_text(html(request.getfixturevalue({"month": "found", "two": "after_missing"}[days])), "utf-8")
    address = file.as_uri()
    browser.resize(width)
    browser.colours(scheme)
    browser.open(address, DRAWN)
    browser.run("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
    browser.run(f"{script}; 0")
    found = browser.run(
        "axe.run().then(result => result.violations.filter(found => found.impact !== 'minor')"
        ".map(found => [found.id, found.impact, found.nodes[0].html]))"
    )
    browser.colours("light")
    assert found == []


@pytest.mark.parametrize(("width", "paper"), rest_as_torture(product((1280, 390), PAPERS), [(390, "Letter")]))
def test_nothing_is_cut_in_print(browser: Browser, address: str, width: int, paper: str) -> None:
    """On paper each chart, table and figure ends before the margin, whatever the size of the window before."""
    browser.resize(width)
    browser.open(address, DRAWN)
    inside = round((PAPERS[paper] - 2 * 14 / 25.4) * 96)
    browser.colours("light", "print")
    # As a printer does: the page gets narrower, and no window is resized.
    cut = browser.run(
        f"document.documentElement.style.width = '{inside}px';"
        "[...document.querySelectorAll('.chart, .chart svg, table, td, dd')]"
        f".filter(part => part.getBoundingClientRect().right > {inside + 1}).map(part => part.outerHTML.slice(0, 99))"
    )
    browser.colours("light")
    assert cut == []


@pytest.mark.torture
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland"])
def test_days_are_the_same_in_each_time_zone(browser: Browser, address: str, zone: str) -> None:
    """Charts name the days that the warehouse has, wherever the browser is."""
    texts = (
        "[...document.querySelectorAll('.chart .role-axis-label text, .chart [aria-roledescription]')]"
        ".map(mark => mark.textContent + (mark.getAttribute('aria-label') || ''))"
    )
    browser.resize(1280)
    shown = []
    for name in ("UTC", zone):
        browser.zone(name)
        browser.open(address, DRAWN)
        shown.append(browser.run(texts))
    browser.zone("")
    assert any("01 Nov" in text for text in shown[0])
    assert shown[0] == shown[1]


def test_the_command_writes_it(tmp_path: Path) -> None:
    """The file is where --out says; without a warehouse, or for no month, there are words and no file."""
    place = Place(tmp_path, None)
    assert "no warehouse" in place.run("report", expect=4).stderr
    assert "2026-13" in place.run("report", "--month", "2026-13", expect=2).stderr
    with duckdb.connect(str(place.file)) as connection:
        made_warehouse.empty(connection)
        made_warehouse.fill(connection, executions=50)
    assert "task-history views" in place.run("report", expect=4).stderr
    place.run("views")
    (tmp_path / "november.html").write_bytes(report_command.MARK)  # it takes the place of an earlier one
    place.run("report", "--month", "2026-11", "--out", "november.html")
    assert "Task history, 2026-11" in (tmp_path / "november.html").read_text("utf-8")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("filled"), None)
    with duckdb.connect(str(place.file)) as connection:
        made_warehouse.empty(connection)
        made_warehouse.fill(connection, executions=500)
        creating.refresh(access(connection))
    return place


PERIODS_OF_WORDS = (
    (("--month", "2026-11"), "2026-11-01T00:00", "2026-12-01T00:00"),
    (("--week", "2026-W46"), "2026-11-09T00:00", "2026-11-16T00:00"),
    (("--week", "2026-11-11"), "2026-11-09T00:00", "2026-11-16T00:00"),
    (("--from", "2026-11-03", "--to", "2026-11-05"), "2026-11-03T00:00", "2026-11-05T00:00"),
    (("--month", "2026-11", "--timezone", "America/New_York"), "2026-11-01T04:00", "2026-12-01T05:00"),
    (("--week", "2026-10-26", "--timezone", "Europe/Berlin"), "2026-10-25T23:00", "2026-11-01T23:00"),
)


@pytest.mark.parametrize(
    ("words", "start", "end"),
    rest_as_torture(PERIODS_OF_WORDS, (PERIODS_OF_WORDS[1], PERIODS_OF_WORDS[4])),
)
def test_periods(filled: Place, words: tuple[str, ...], start: str, end: str) -> None:
    """Months, weeks and days begin and end at midnight of the zone, and the figures are those of that time."""
    found = json.loads(filled.run("report", "--json", *words).stdout)
    assert (found["from"][:16], found["until"][:16]) == (start, end)
    ((executions, failures),) = filled.query(
        "SELECT count(*), count(*) FILTER (status = 'failed') FROM task_history.executions "
        f"WHERE started_at >= TIMESTAMPTZ '{start}Z' AND started_at < TIMESTAMPTZ '{end}Z'"
    )
    assert (found["totals"]["executions"], found["totals"]["failures"]) == (executions, failures)


def test_days_of_a_zone(filled: Place) -> None:
    """Each day of the page is one of the zone, that of 25 hours too."""
    filled.run("report", "--from", "2026-10-31", "--to", "2026-11-04", "--timezone", "America/New_York")
    days = Tables((filled.folder / "report.html").read_text("utf-8")).found["days"][1:]
    assert [tuple(row[:2]) for row in days] == filled.query(
        "SELECT CAST(timezone('America/New_York', started_at) AS DATE)::VARCHAR AS text, count(*)::VARCHAR "
        "FROM task_history.executions GROUP BY text HAVING text BETWEEN '2026-10-31' AND '2026-11-03' ORDER BY text"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--week", "2026-W60"), "2026-W60 is not a week"),
        (("--week", "2026-W46", "--month", "2026-11"), "Use one of"),
        (("--from", "2026-11-01"), "Use one of"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "is not before"),
        (("--from", "1970-01-01", "--to", "9000-01-01"), "longer than the 4,000 days"),
        (("--timezone", "Europe/Berln"), "Did you mean Europe/Berlin"),
    ],
)
def test_a_wrong_period_is_refused(filled: Place, words: tuple[str, ...], message: str) -> None:
    """What is wrong is said, with exit code 2."""
    assert message in filled.run("report", *words, expect=2).stderr


def test_csv_has_the_figures(filled: Place) -> None:
    """The zip has a file for each table; figures are numbers, the same as in the views; no cell is a formula."""
    formulas = ["=1+1", "\n=1", "\uff1d1+1"]
    with duckdb.connect(str(filled.file)) as connection:
        failing = connection.execute(
            "SELECT DISTINCT user_id FROM task_history.executions WHERE status = 'failed' AND user_id IS NOT NULL "
            "AND started_at >= '2026-11-01' ORDER BY user_id"
        ).fetchall()
        for (user,), formula in zip(failing, formulas, strict=False):
            connection.execute(
                "UPDATE paragon.workflow_executions SET user_id = ? WHERE user_id = ?", [formula, user]
            )
    filled.run("report", "--format", "csv", "--month", "2026-11")
    with zipfile.ZipFile(filled.folder / "report.zip") as archive:
        tables = {
            Path(name).stem: list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
            for name in archive.namelist()
        }
    ((executions, failures, tasks),) = filled.query(
        "SELECT sum(executions), sum(failures), sum(tasks) FROM task_history.daily_usage WHERE day >= '2026-11-01'"
    )
    total = tables["totals"][0]
    assert (total["system"], total["integration"]) == ("", "")
    assert [int(total[name]) for name in ("executions", "failures", "tasks")] == [executions, failures, tasks]
    assert sum(int(row["executions"]) for row in tables["days"]) == executions
    assert tables["about"][0]["timezone"] == "UTC"
    assert tables["steps"][0]["p95_duration_ms"].isdigit()
    users = {row["user_id"] for row in tables["users_affected"]}
    assert {f"'{formula}" for formula in formulas} <= users
    assert not users & set(formulas)


@pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")
def test_pdf_is_what_a_browser_prints(filled: Place) -> None:
    """A PDF with the title, which takes the place of an earlier one and of nothing else."""
    out = filled.folder / "month.pdf"
    out.write_bytes(b"%PDF-1.4 /Title (Task history, 2026-10")
    filled.run("report", "--format", "pdf", "--month", "2026-11", "--out", str(out))
    head = out.read_bytes()[:300]
    assert head.startswith(b"%PDF-")
    assert b"Task history, 2026-11" in head
    out.write_bytes(b"%PDF-1.4 of another kind")
    assert "not a report" in filled.run("report", "--format", "pdf", "--out", str(out), expect=2).stderr


def test_pdf_without_a_browser_is_an_error_that_helps(filled: Place) -> None:
    """Without Chromium the command ends with 3 and says what to install, or to do instead."""
    filled.env["PATH"] = str(filled.folder)
    said = filled.run("report", "--format", "pdf", "--out", "none.pdf", expect=3).stderr
    assert "Install one" in said
    assert "--format html" in said
    assert not (filled.folder / "none.pdf").exists()


def test_days_are_those_of_the_setting(filled: Place) -> None:
    """Without --timezone days are those of the accounts, which the views have too; weeks begin as they say."""
    filled.set(timezone="Asia/Tokyo", week_start="sunday", project_id="project", api_key="key")
    filled.run("views")
    found = json.loads(filled.run("report", "--json", "--week", "2026-11-11").stdout)
    assert found["timezone"] == "Asia/Tokyo"
    assert (found["from"][:16], found["until"][:16]) == ("2026-11-07T15:00", "2026-11-14T15:00")
    days = Tables((filled.folder / "report.html").read_text("utf-8")).found["days"][1:]
    assert [tuple(row[:2]) for row in days] == filled.query(
        "SELECT day::VARCHAR, sum(executions)::VARCHAR FROM task_history.daily_usage "
        "WHERE day BETWEEN '2026-11-08' AND '2026-11-14' GROUP BY day ORDER BY day"
    )
    filled.set(timezone="UTC", week_start="monday")
    filled.run("views")


def test_each_section_is_exported(found: Report) -> None:
    """What the page shows in a table is in a CSV file, and each file belongs to one section."""
    shown = sections(found)
    assert [section.id for section in shown if section.heads and not section.csv] == []
    names = [name for section in shown for name in section.csv]
    assert len(names) == len(set(names))
    with zipfile.ZipFile(io.BytesIO(csv_files(found))) as archive:
        files = archive.namelist()
    assert {f"{FOLDER}/{name}.csv" for name in names} <= set(files)
    page = Path("docs/how-to/report.md").read_text("utf-8")
    assert [file for file in files if f"`{Path(file).name}`" not in page] == []


def test_stuck_executions_are_counted_in_each_scope(found: Report) -> None:
    """The sentence counts those of the account and integration that were chosen, also those that no row shows."""
    (row, *_) = found.stuck_executions
    one = replace(
        found,
        stuck_executions=[{**row, "stuck_executions": 20}, {**row, "system": "b3os", "stuck_executions": 3}],
    )

    def sentence(report: Report) -> str:
        (section,) = (each for each in sections(report) if each.id == "stuck_executions")
        return section.texts[0]

    assert "percentile: 23." in sentence(one)
    assert "percentile: 3." in sentence(one.only(("b3os", row["instance"], row["integration"])))
