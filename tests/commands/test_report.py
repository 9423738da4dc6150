"""The report: one file that asks for nothing, whose figures are those of the views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.core.models import Window
from task_history.views import create as creating
from task_history_cli.report import charts as report_charts
from task_history_cli.report import data as report_data
from task_history_cli.report import page as report_page
from task_history_cli.report.data import Report
from tests.support import made_warehouse
from tests.support.browser import Browser
from tests.support.place import Place
from tests.unit.views.test_views import access

NOVEMBER = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
INJECTED = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


class Tables(HTMLParser):
    """The cells of each section's table, by the section's id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._section = ""
        self._is_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "section":
            self._section = dict(attrs)["id"]
            self.found[self._section] = []
        elif tag == "tr":
            self.found[self._section].append([])
        elif tag in ("td", "th"):
            self._is_cell = True
            self.found[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_cell:
            self.found[self._section][-1][-1] += data


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
    return report_data.report(access(connection), NOVEMBER, now=NOW)


@pytest.fixture(scope="module")
def page(found: Report) -> str:
    return report_page.page(found, "2026-11")


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
    assert len(tables["stuck"]) - 1 == min(
        15, connection.execute("SELECT count(*) FROM task_history.stuck_executions").fetchone()[0]
    )
    (total,) = connection.execute(
        "SELECT count(*) FROM task_history.executions WHERE started_at >= TIMESTAMPTZ '2026-11-01 00:00:00+00'"
    ).fetchone()
    assert f"<dt>executions</dt><dd>{total:,}</dd>" in page


def test_quiet_users_are_quiet(connection: Any, found: Report) -> None:
    """Each of them ran something in the thirty days before the last seven, and nothing since."""
    assert found.quiet == sorted(found.quiet, key=lambda row: -row["executions"])
    for row in found.quiet:
        (last,) = connection.execute(
            "SELECT max(started_at) FROM task_history.executions WHERE user_id = ?", [row["user_id"]]
        ).fetchone()
        assert row["last_execution_at"] == last < datetime(2026, 11, 13, 12, tzinfo=UTC)


def test_it_says_what_is_missing(page: str) -> None:
    """Missing, partial and unverified days, what is left, and why tasks are no invoice."""
    text = page[page.index('id="limits"') : page.index("<script>")]
    for words in (
        "Of 1 day in this time nothing",
        "Of 1 day only a part",
        "Of 1 day the vendor",
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
    assert page.count("<script>") == 2


def test_it_holds_no_payload(connection: Any, page: str) -> None:
    """No text of an error as it is stored, and nothing that was in an input or output beside it."""
    for secret in ("Erika", "a0B5e", "erika@example.com", "12345678901234567890", "example.com/items"):
        assert secret not in page


def test_every_chart_has_its_rows(found: Report, page: str) -> None:
    """The values of the charts and the lengths of the bars are those of the tables."""
    drawn = report_charts.charts(found)
    assert set(drawn) == {"days", "rates", "coverage"}
    values = drawn["days"]["data"]["values"]
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
    axes = [chart["encoding"] for chart in report_charts.charts(found).values()]
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
    steps = report_data.report(access(connection), ever, now=NOW).steps
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
    empty = report_data.report(
        access(connection),
        Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)),
        now=NOW,
    )
    text = report_page.page(empty, "2025-01")
    assert "Nothing began in this time." in text
    assert "const charts = {" in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page, "utf-8")
    return file.as_uri()


DRAWN = "document.querySelectorAll('.chart svg').length === 3"


@pytest.mark.parametrize("width", [1280, 390])
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


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("paper", [(8.27, 11.69), (8.5, 11)], ids=["A4", "Letter"])
def test_nothing_is_cut_in_print(
    browser: Browser, address: str, width: int, paper: tuple[float, float]
) -> None:
    """On paper each chart, table and figure ends before the margin, whatever the size of the window before."""
    browser.resize(width)
    browser.open(address, DRAWN)
    inside = round((paper[0] - 2 * 14 / 25.4) * 96)
    browser.colours("light", "print")
    # As a printer does: the page gets narrower, and no window is resized.
    cut = browser.run(
        f"document.documentElement.style.width = '{inside}px';"
        "[...document.querySelectorAll('.chart, .chart svg, table, td, dd')]"
        f".filter(part => part.getBoundingClientRect().right > {inside + 1}).map(part => part.outerHTML.slice(0, 99))"
    )
    browser.colours("light")
    assert cut == []


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
    for _ in range(2):  # a report takes the place of an earlier one
        place.run("report", "--month", "2026-11", "--out", "november.html")
    assert "Task history, 2026-11" in (tmp_path / "november.html").read_text("utf-8")
