"""``explore``: nobody but the one who started it gets in, from this machine, another site or the current folder."""

from __future__ import annotations

import html
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.views import create
from task_history_cli.explore.server import REFUSED, is_own
from tests.support import environments, made_warehouse
from tests.support.browser import Browser
from tests.support.place import Place
from tests.support.torture import rest_as_torture
from tests.unit.views.test_views import access

OWN = "127.0.0.1:2718"


@pytest.mark.parametrize(
    ("host", "origins", "is_let_in"),
    [
        ([OWN], [], True),
        (["localhost:2718"], [], True),
        (["LOCALHOST:2718"], ["http://localhost:2718"], True),
        (["127.0.0.1"], [], True),
        ([OWN], ["http://127.0.0.1:2718"], True),
        (["localhost:8080"], ["http://localhost:8080"], True),  # a port that ssh carries here
        ([], [], False),
        ([""], [], False),
        ([OWN, OWN], [], False),
        (["evil.example:2718"], [], False),
        (["127.0.0.1.evil.example:2718"], [], False),
        (["localhost.:2718"], [], False),
        (["127.0.0.1:2718@evil.example"], [], False),
        (["127.0.0.1:"], [], True),
        (["127.1:2718"], [], False),
        (["0.0.0.0:2718"], [], False),
        (["[::1]:2718"], [], False),
        ([OWN], ["http://evil.example"], False),
        ([OWN], ["http://evil.example:2718"], False),
        ([OWN], ["https://127.0.0.1:2718"], False),
        ([OWN], ["http://127.0.0.1:9999"], False),
        ([OWN], ["http://localhost:2718"], False),
        ([OWN], ["null"], False),
        ([OWN], [""], False),
        ([OWN], ["http://127.0.0.1:2718", "http://evil.example"], False),
        ([OWN], ["http://127.0.0.1:2718.evil.example"], False),
    ],
)
def test_only_this_machine_by_its_own_page(host: list[str], origins: list[str], is_let_in: bool) -> None:
    """A request names this machine once, and a page that sends one is this server's."""
    headers = [(b"Host", value.encode()) for value in host] + [
        (b"origin", value.encode()) for value in origins
    ]
    assert is_own(headers) == is_let_in


class App:
    """The command as a process, in a folder that is full of files named as modules."""

    def __init__(self, place: Place, *words: str) -> None:
        self.place = place
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        place.set(api_key="s3cret-key-1")
        place.env["AWS_SECRET_ACCESS_KEY"] = "s3cret-key-2"
        for name in ("altair", "duckdb", "json", "marimo", "secrets", "sqlglot", "uvicorn"):
            ran = str(place.folder / "ran")
            (place.folder / f"{name}.py").write_text(f"open({ran!r}, 'a').write({name!r})\n")
        log = (place.folder / "log").open("w")
        # As it is installed: with -m, Python itself puts the current folder before all others.
        line = "import sys; from task_history_cli.cli import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [
                str(environments.analyst_python()),
                "-P",
                "-c",
                line,
                "explore",
                "--headless",
                "--port",
                str(self.port),
                *words,
            ],
            cwd=place.folder,
            env=place.env,
            stdout=log,
            stderr=log,
        )
        log.close()

    def wait(self) -> None:
        """Gives back when the address is printed."""
        while (match := re.search(r"http://\S+access_token=(\S+)", self.log)) is None:
            assert self.process.poll() is None, self.log
            time.sleep(0.1)
        self.token = match[1]
        _, headers, _ = self.get(f"/?access_token={self.token}")
        self.cookie = headers["set-cookie"].partition(";")[0]

    @property
    def log(self) -> str:
        return (self.place.folder / "log").read_text()

    @property
    def ran(self) -> str:
        """The modules of the folder that ran."""
        file = self.place.folder / "ran"
        return file.read_text() if file.exists() else ""

    @property
    def server(self) -> int:
        """The id of marimo's process."""
        (children,) = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return int(children.read_text().split()[0])

    def get(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def messages(self, session: str, query: str = "", **headers: str) -> tuple[int, Iterator[Any]]:
        """The status with which a websocket is answered, and its messages (RFC 6455)."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        own = {"Host": f"127.0.0.1:{self.port}", "Connection": "Upgrade", "Upgrade": "websocket", **headers}
        own |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
        connection.sendall(f"GET /ws?session_id={session}{query} HTTP/1.1\r\n{head}\r\n".encode())
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        while answer.readline().strip():
            pass

        def messages() -> Iterator[Any]:
            with connection, answer:
                while head := answer.read(2):
                    length = head[1]
                    if length > 125:
                        length = int.from_bytes(answer.read(2 if length == 126 else 8))
                    content = answer.read(length)
                    if head[0] == 0x81:  # a text in one frame
                        yield json.loads(content)

        return status, messages()

    def errors(self) -> list[Any]:
        """The errors of the cells, once all have run; the app is not opened as a notebook."""
        session = {"Origin": f"http://127.0.0.1:{self.port}", "Cookie": self.cookie}
        status, messages = self.messages("d", **session)
        assert status == 101
        return errors_of(messages)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def errors_of(messages: Iterator[Any]) -> list[Any]:
    """The errors that the cells show, until all have run."""
    errors = []
    for message in messages:
        output = (message.get("data") or {}).get("output") or {}
        if output.get("channel") == "marimo-error":
            errors.append(output["data"])
        if message["op"] == "completed-run":
            return errors
    raise AssertionError("the cells did not run to their end")


@pytest.fixture(scope="module", params=rest_as_torture(["run", "edit"], ["run"]))
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    place = Place(tmp_path_factory.mktemp("explore"), None)
    with duckdb.connect(str(place.file)) as connection:
        made_warehouse.empty(connection)
        made_warehouse.fill(connection, executions=50, now="now()", days=3)
        create.refresh(access(connection))
    app = App(place, *(["--edit", "mine.py"] if request.param == "edit" else []))
    try:
        app.wait()
        yield app
    finally:
        app.end()


def test_a_token_is_needed(app: App) -> None:
    """Nothing is shown and no kernel started without the token that is printed."""
    assert len(app.token) >= 40
    assert app.get("/")[0] in (303, 401)
    assert app.get("/?access_token=wrong")[0] in (303, 401)
    assert app.get("/", Cookie=app.cookie)[0] == 200
    for query in ("", "&access_token=wrong", "&access_token="):
        assert app.messages("a", query)[0] == 403
    for path in (
        "/api/kernel/execute",
        "/api/kernel/run",
        "/api/kernel/instantiate",
        "/api/files/list_files",
    ):
        assert app.get(path, "POST", "{}", Content_Type="application/json")[0] in (401, 403, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:{port}"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:{port}", "Origin": "http://evil.example:{port}"},
        {"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:1"},
        {"Host": "127.0.0.1:{port}", "Origin": "null"},
    ],
)
def test_other_sites_are_refused(headers: dict[str, str], app: App) -> None:
    """DNS rebinding, and pages of other servers of this machine that share its cookies: refused with the token too."""
    sent = {name: value.format(port=app.port) for name, value in headers.items()}
    for path in ("/", f"/?access_token={app.token}", "/health", "/api/status", "/assets/index.js"):
        status, _, body = app.get(path, **sent, Cookie=app.cookie)
        assert (status, body) == (403, REFUSED)
    assert app.messages("b", f"&access_token={app.token}", **sent, Cookie=app.cookie)[0] == 403


def test_the_process_holds_no_secret(app: App) -> None:
    """Its words can be read by all; its environment by what runs in it."""
    for process in (app.server, app.process.pid):
        assert app.token not in Path(f"/proc/{process}/cmdline").read_bytes().decode()
    environment = Path(f"/proc/{app.server}/environ").read_bytes().decode()
    assert "s3cret" not in environment
    assert app.token not in environment


@pytest.mark.torture
@pytest.mark.parametrize("app", ["run", "edit"], indirect=True)
def test_the_cells_run_and_nothing_of_the_folder_does(app: App) -> None:
    """The app runs to its end over the views, and no module is taken from the folder of the notebook."""
    session = {"Origin": f"http://127.0.0.1:{app.port}", "Cookie": app.cookie}
    status, messages = app.messages("c", **session)
    assert status == 101
    if (app.place.folder / "mine.py").exists():
        token = re.search(r'serverToken"?:\s*"([^"]+)"', app.get("/", Cookie=app.cookie)[2].decode())
        app.get(
            "/api/kernel/instantiate",
            "POST",
            json.dumps({"objectIds": [], "values": [], "autoRun": True}),
            Content_Type="application/json",
            Marimo_Session_Id="c",
            Marimo_Server_Token=token[1] if token else "",
            **session,
        )
    errors = errors_of(messages)
    assert errors == []
    assert app.ran == ""


TEXT = """(() => {
    const found = [];
    const walk = part => {
        for (const child of part.childNodes) {
            if (child.nodeType === 3 && child.textContent.trim()) found.push(child.textContent.trim());
            if (child.shadowRoot) walk(child.shadowRoot);
            if (!["STYLE", "SCRIPT"].includes(child.nodeName)) walk(child);
        }
    };
    walk(document.body);
    return found;
})()"""
"""What the page shows, text by text, also inside marimo's own elements."""
FIGURES = "SELECT count(*), count(*) FILTER (status = 'failed'), count(DISTINCT user_id) FROM task_history.executions"


FIGURE_NAMES = ("executions", "failed", "users")
AS_APP = pytest.mark.parametrize("app", ["run"], indirect=True)
"""A notebook shows the same as the app."""


def shown(messages: Iterator[Any], until: Callable[[Any], bool]) -> tuple[str, list[Any]]:
    """What the cells show after that message, as HTML without escapes, and all messages until then."""
    seen, outputs = [], {}
    for message in messages:
        seen.append(message)
        data = message.get("data") or {}
        if message["op"] == "cell-op" and data.get("output"):
            outputs[data["cell_id"]] = html.unescape(str(data["output"]["data"]))
        if until(message):
            break
    return "".join(outputs.values()), seen


def stats(text: str) -> list[str]:
    """Executions, failed ones and users, as the cells show them."""
    found = re.findall(r"""<marimo-stat data-value='"([^"]*)"' data-label='"([^"]*)"'""", text)
    values = {name: value for value, name in found}
    return [values[name] for name in FIGURE_NAMES]


@AS_APP
def test_cells_show_what_the_address_chooses(app: App, chosen: Chosen) -> None:
    """Figures are those of the views, a reason leads to its executions, and one of these to its steps and to why.

    What is chosen in the page comes into its address; its colours are the system's; it loads nothing of other servers;
    no cell has an error, and no module is taken from the folder.
    """
    page = app.get("/", Cookie=app.cookie)[2].decode()
    assert '"theme": "system"' in page
    assert re.findall(r'<(?:link|script|img)[^>]*(?:src|href)="(?!\./|data:)[^"]*"', page) == []
    session = {"Origin": f"http://127.0.0.1:{app.port}", "Cookie": app.cookie}
    words = {
        "integration": chosen.integration,
        "from": chosen.first_day,
        "reason": f"{chosen.workflow} {chosen.reason}",
        "execution": chosen.execution,
    }
    status, messages = app.messages("cells", f"&{urllib.parse.urlencode(words)}", **session)
    assert status == 101
    text, seen = shown(messages, lambda message: message["op"] == "completed-run")
    assert "marimo-error" not in json.dumps(seen)
    assert app.ran == ""
    (expected,) = app.place.query(
        f"{FIGURES} WHERE started_at IS NOT NULL AND integration = '{chosen.integration}'"
    )
    assert stats(text) == [f"{value:,}" for value in expected]
    failed = app.place.query(
        "SELECT execution_id FROM task_history.failed_steps "
        f"WHERE reason = '{chosen.reason}' AND workflow_id = '{chosen.workflow}'"
    )
    assert [execution for (execution,) in failed if execution not in text] == []
    steps, why = text[text.index("Its steps") :].split("Why it is here")
    types = app.place.query(
        f"SELECT DISTINCT step_type FROM task_history.steps WHERE execution_id = '{chosen.execution}'"
    )
    assert types
    assert [kind for (kind,) in types if kind not in steps] == []
    assert chosen.execution in why
    assert f'"{chosen.first_day}"' in text, "the chart of days names the first one"

    (dropdown,) = (
        found
        for found in re.findall(
            r"<marimo-ui-element object-id='([^']*)'[^>]*>(.*?)</marimo-ui-element>", text
        )
        if "marimo-dropdown" in found[1] and "integration" in found[1]
    )
    token = re.search(r'serverToken"?:\s*"([^"]+)"', page)
    app.get(
        "/api/kernel/set_ui_element_value",
        "POST",
        json.dumps({"objectIds": [dropdown[0]], "values": [["hubspot"]]}),
        Content_Type="application/json",
        Marimo_Session_Id="cells",
        Marimo_Server_Token=token[1] if token else "",
        **session,
    )
    text, seen = shown(messages, lambda message: message["op"] == "completed-run")
    kept = [message["data"] for message in seen if message["op"].startswith("query-params")]
    assert [(one["key"], one["value"]) for one in kept] == [("integration", "hubspot")]
    (expected,) = app.place.query(f"{FIGURES} WHERE started_at IS NOT NULL AND integration = 'hubspot'")
    assert stats(text) == [f"{value:,}" for value in expected]


@pytest.fixture(scope="module")
def browser(app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.resize(1280)
        yield browser


def show(app: App, browser: Browser, until: str, **filters: str) -> list[str]:
    """Opens the app with filters in the address, and gives back its texts once that one is among them."""
    words = urllib.parse.urlencode({"access_token": app.token, **filters})
    browser.open(f"http://127.0.0.1:{app.port}/?{words}")
    browser.wait(f"{TEXT}.includes({json.dumps(until)})")
    found: list[str] = browser.run(TEXT)
    return found


def figures(texts: list[str]) -> list[str]:
    """Executions, failed ones and users, as the page shows them."""
    return [texts[texts.index(name) + 1] for name in FIGURE_NAMES]


def seen(values: Sequence[int]) -> list[str]:
    return [f"{value:,}" for value in values]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the address of the page chooses."""

    integration: str
    reason: str
    workflow: str
    execution: str
    first_day: str
    first_label: str
    """As the chart of days names it."""


@pytest.fixture(scope="module")
def chosen(app: App) -> Chosen:
    """The most frequent reason of failures, one of its executions, and the first day of their integration."""
    (failed,) = app.place.query(
        "SELECT integration, reason, workflow_id, max(execution_id) FROM task_history.failed_steps "
        "WHERE workflow_id IS NOT NULL AND integration IS NOT NULL "
        "GROUP BY ALL ORDER BY count(*) DESC, 1, 2, 3 LIMIT 1"
    )
    (days,) = app.place.query(
        "SELECT min(day)::VARCHAR, strftime(min(day), '%d %b') FROM task_history.executions "
        f"WHERE integration = '{failed[0]}'"
    )
    return Chosen(*failed, *days)


@pytest.fixture(scope="module")
def dark_browser(app: App, browser: Browser, chosen: Chosen) -> Browser:
    """The app with what was chosen, in a dark system west of Greenwich: opened once, as it is dear."""
    browser.colours("dark")
    browser.zone("America/Los_Angeles")
    show(
        app,
        browser,
        "Why it is here",
        **{"integration": chosen.integration, "from": chosen.first_day},
        reason=f"{chosen.workflow} {chosen.reason}",
        execution=chosen.execution,
    )
    return browser


@pytest.mark.torture
@AS_APP
def test_figures_are_those_of_the_views(app: App, dark_browser: Browser, chosen: Chosen) -> None:
    """Totals are the views', of what was chosen by the address; the page asks no other address and complains about
    nothing; no module is taken from the folder."""
    dark_browser.wait(f"{TEXT}.includes('What is loaded of each day')")
    (expected,) = app.place.query(
        f"{FIGURES} WHERE started_at IS NOT NULL AND integration = '{chosen.integration}'"
    )
    assert figures(dark_browser.run(TEXT)) == seen(expected)
    # marimo logs that the app's header sets the theme.
    complaints = [text for text in dark_browser.complaints if not re.search(r'"type": "(debug|log)"', text)]
    assert complaints == []
    own = f"127.0.0.1:{app.port}/"
    assert [url for url in dark_browser.requests if own not in url and not url.startswith("data:")] == []
    assert app.ran == ""


@pytest.mark.torture
@AS_APP
def test_from_a_reason_to_steps_and_why(app: App, dark_browser: Browser, chosen: Chosen) -> None:
    """A reason leads to its executions, and an execution to its steps and to what why says, by the address too."""
    execution = chosen.execution
    executions = app.place.query(
        "SELECT execution_id FROM task_history.failed_steps "
        f"WHERE reason = '{chosen.reason}' AND workflow_id = '{chosen.workflow}'"
    )
    for (failed,) in executions:
        dark_browser.wait(f"{TEXT}.includes('{failed}')")
    for (step_type,) in app.place.query(
        f"SELECT DISTINCT step_type FROM task_history.steps WHERE execution_id = '{execution}'"
    ):
        dark_browser.wait(
            "(texts => texts.slice(texts.indexOf('Its steps'), texts.indexOf('Why it is here'))"
            f".includes('{step_type}'))({TEXT})"
        )
    dark_browser.wait(
        f"(texts => texts.slice(texts.indexOf('Why it is here')).some(text => text.includes('{execution}')))({TEXT})"
    )


@pytest.mark.torture
@AS_APP
def test_it_follows_dark_mode(app: App, dark_browser: Browser) -> None:
    """The page is dark where the system is, and light where it is light."""
    dark_browser.wait("document.body.classList.contains('dark')")
    dark_browser.colours("light")
    dark_browser.wait("document.body.classList.contains('light')")


@pytest.mark.torture
@AS_APP
def test_days_are_those_of_the_warehouse(dark_browser: Browser, chosen: Chosen) -> None:
    """The chart of days begins with the first day that has executions, west of Greenwich too."""
    dark_browser.wait(f"{TEXT}.includes({json.dumps(chosen.first_label)})")
    texts = dark_browser.run(TEXT)
    labels = [text for text in texts if re.fullmatch(r"\d\d [A-Z][a-z]{2}", text)]
    assert labels[0] == chosen.first_label


@pytest.mark.torture
@AS_APP
def test_what_is_chosen_is_kept_in_the_address(app: App, dark_browser: Browser) -> None:
    """Choosing in the page that is open changes its figures and its address."""
    dark_browser.run(
        """(() => {
            const filters = [...document.querySelectorAll("marimo-dropdown")]
                .map(one => one.shadowRoot.querySelector("select"));
            const filter = filters.find(one => [...one.options].some(option => option.text === "hubspot"));
            const set = Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value").set;
            set.call(filter, [...filter.options].find(option => option.text === "hubspot").value);
            filter.dispatchEvent(new Event("change", { bubbles: true }));
        })()"""
    )
    dark_browser.wait("new URL(location).searchParams.get('integration') === 'hubspot'")
    (expected,) = app.place.query(f"{FIGURES} WHERE started_at IS NOT NULL AND integration = 'hubspot'")
    # The page's figures do not change at the same instant.
    dark_browser.wait(
        f"(texts => {json.dumps(FIGURE_NAMES)}.every((name, place) => "
        f"texts[texts.indexOf(name) + 1] === {json.dumps(seen(expected))}[place]))({TEXT})"
    )
    assert figures(dark_browser.run(TEXT)) == seen(expected)


def test_a_port_that_another_has_is_not_used(tmp_path: Path) -> None:
    """What listens there already would be given the token."""
    place = Place(tmp_path, None)
    with duckdb.connect(str(place.file)) as connection:
        made_warehouse.empty(connection)
        create.refresh(access(connection))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        words = [str(environments.analyst_python()), "-m", "task_history_cli.cli", "explore", "--port", port]
        done = subprocess.run(
            words, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False
        )
    assert (done.returncode, "choose another one" in done.stderr) == (2, True), done.stderr


def test_the_server_ends_with_the_command(app: App) -> None:
    """No server is left behind; last, since it ends the app of this module."""
    server = app.server
    app.end()
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
