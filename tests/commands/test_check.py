"""``check`` finds what ``sync`` would stumble over, in few requests and seconds, and tells it in the vendor's words."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

SECRET = "Sup3rS3cret-123456"
SETTINGS: dict[str, dict[str, Any]] = {
    "paragon": {"project_id": "p", "api_key": SECRET},
    "sailpoint": {"client_id": "a-client", "client_secret": SECRET},
    "twinit": {
        "namespaces": ["Project_1"],
        "application_id": "an-app",
        "access_key": "an-access-key",
        "secret_key": SECRET,
    },
    "b3os": {"api_key": SECRET},
}
SCOPES = {
    "paragon": "Enterprise",
    "sailpoint": "sp:workflow:read",
    "twinit": "may read",
    "b3os": "scope read",
}
WHERE = {"paragon": "project_id", "sailpoint": "tenant", "twinit": "base_url", "b3os": "base_url"}
TOKEN = {"access_token": "a-token-of-the-vendor", "expires_in": 3600}


class _Vendor(ThreadingHTTPServer):
    """Gives tokens, and answers all else with one status and text."""

    daemon_threads = True

    def __init__(self, status: int, text: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.text = status, text
        self.asked = 0
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Vendor

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked += 1
        status, text = self.server.status, self.server.text
        if "token" in self.path:
            status, text = 200, json.dumps(TOKEN)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _checked(folder: Path, system: str, status: int, text: str) -> Iterator[Callable[[int], str]]:
    """Runs ``check`` against a vendor that answers so; gives what it says on stderr."""
    vendor = _Vendor(status, text)
    place = Place(
        folder,
        None,
        system=system,
        base_url=f"http://127.0.0.1:{vendor.server_port}",
        integrations=None,
        **SETTINGS[system],
    )

    def told(code: int) -> str:
        done = place.run("check", system, expect=code)
        assert SECRET not in done.stdout + done.stderr
        assert vendor.asked <= 6
        return done.stderr

    try:
        yield told
    finally:
        vendor.shutdown()
        vendor.server_close()


@pytest.mark.parametrize("system", systems.names())
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"message": "no such project"}', "HTTP 404: no such project. "),
        ("404 page not found", "HTTP 404: 404 page not found. "),
        ("<html><h1>404</h1></html>", "HTTP 404, and a web page in place of a reason"),
        ("", "HTTP 404 and gave no reason."),
    ],
    ids=["JSON", "text", "web page", "nothing"],
)
def test_404_is_a_question_of_the_address(tmp_path: Path, system: str, text: str, said: str) -> None:
    """Not of scopes: the vendor's words, and the settings that say where the API is."""
    with _checked(tmp_path, system, 404, text) as told:
        found = told(3)
    assert said in found
    assert WHERE[system] in found
    assert SCOPES[system] not in found
    assert "credentials are accepted" not in found


@pytest.mark.parametrize("system", systems.names())
@pytest.mark.parametrize("status", [400, 402, 405, 410])
def test_other_refusals_are_told_as_what_they_are(tmp_path: Path, system: str, status: int) -> None:
    """The status and the vendor's own text, redacted, with control characters as escapes; nothing of scopes."""
    text = json.dumps({"error": {"message": f"X-Org-ID\x1b[2J required for {SECRET}"}})
    with _checked(tmp_path, system, status, text) as told:
        found = told(3)
    assert f"HTTP {status}: X-Org-ID\\x1b[2J required" in found
    assert "\x1b" not in found
    assert SCOPES[system] not in found
    if (system, status) == ("b3os", 400):
        assert "set organization_id" in found


@pytest.mark.parametrize("system", systems.names())
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_told_with_the_text(tmp_path: Path, system: str, status: int) -> None:
    """The reason that the vendor gives stands before what can be done."""
    with _checked(tmp_path, system, status, json.dumps({"message": "this plan has no history"})) as told:
        found = told(3)
    assert "this plan has no history. " in found
    assert (SCOPES[system] in found) == (status == 403)


@pytest.mark.parametrize("system", systems.names())
def test_details_that_are_refused_are_found(tmp_path: Path, system: str) -> None:
    """A key that may list and not read is told before a sync reads thousands of details in vain."""
    world: dict[str, Any] = {
        "executions": 40,
        "days": 20,
        "seed": 3,
        "freeze": True,
        "now": "2026-10-20T12:00:00Z",
    }
    with SandboxProcess(system, **world) as sandbox:
        place = Place(tmp_path, sandbox, system=system, retention_days=0)
        found = json.loads(place.run("check", system, "--json").stdout)
        assert found["details"] == "readable"
        assert found["requests"] <= 4
        ids = [str(row.get("id") or row.get("_id")) for row in sandbox.truth()]
        sandbox.switches(forbidden=",".join(ids))
        done = place.run("check", system)
        assert "a sync loads executions without their steps" in done.stdout
        assert "HTTP 403" in done.stdout
        place.set(steps="none")
        assert json.loads(place.run("check", system, "--json").stdout)["details"] is None


@pytest.mark.parametrize("number", [4, 12])
def test_every_namespace_of_the_settings_is_looked_at(tmp_path: Path, number: int) -> None:
    """One that is misspelled or forbidden is named, whichever it is; no more than ten are asked for."""
    with SandboxProcess("twinit", executions=20, freeze=True) as sandbox:
        right = json.loads(sandbox.settings["namespaces"])
        wrong = [f"Missing_{at}" for at in range(number)]
        place = Place(tmp_path, sandbox, system="twinit", namespaces=[*right, *wrong])
        found = json.loads(place.run("check", "twinit", "--json").stdout)
        assert {entry["list"] for entry in found["refused"]} >= set(wrong[:4])
        assert found["requests"] <= 14
        assert "nsfilter is no namespace of yours" in place.run("check", "twinit").stdout


def test_no_namespaces_is_a_missing_setting(tmp_path: Path) -> None:
    """An empty list is refused before anything is sent."""
    for empty in ("[]", '[""]', ","):
        place = Place(tmp_path, None, system="twinit", base_url="http://127.0.0.1:9", **SETTINGS["twinit"])
        place.set(namespaces=empty)
        for command in ("check", "sync"):
            assert "namespaces" in place.run(command, "twinit", expect=3).stderr


def test_a_warehouse_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before the vendor is asked, for the file and for its folder."""
    place = Place(tmp_path, None, base_url="http://127.0.0.1:9", integrations=None, **SETTINGS["paragon"])
    with duckdb.connect(str(place.file)) as connection:
        connection.execute("CREATE SCHEMA paragon")
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK or path != place.file)
    told = place.run("check", "paragon", "--destination", "duckdb", expect=4).stderr
    assert f"{place.file} may not be written" in told


def test_a_schema_without_tables_is_no_warehouse_yet(tmp_path: Path) -> None:
    """``check --destination`` says that the first sync makes the tables, and that sync does."""
    with SandboxProcess(executions=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None)
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("CREATE SCHEMA paragon")
        said = place.run("check", "paragon", "--destination", "duckdb").stdout
        assert "the dataset paragon will be created by the first sync" in said
        assert place.sync()["complete"]


def test_what_the_rules_for_columns_are_about(tmp_path: Path) -> None:
    """Each entry is shown with what it is about and what may have been meant; one that cannot be kept ends with 3."""
    with SandboxProcess(executions=30, seed=3) as sandbox:
        place = Place(tmp_path, sandbox, exclude_columns=["workflow_executions.task_count", "*.usr_id"])
        done = place.run("check", "paragon")
        found = json.loads(place.run("check", "paragon", "--json").stdout)["columns"]
        place.set(exclude_columns=["workflow_executions.id"])
        needed = place.run("check", "paragon", expect=3)
        place.set(exclude_columns=None, hash_columns=["*.user_id"])
        keyless = place.run("check", "paragon", expect=3)
    assert "exclude_columns leaves out workflow_executions.task_count: a documented column." in done.stdout
    assert "did you mean workflow_executions.user_id?" in done.stdout
    assert [(one["column"], one["known"]) for one in found] == [
        ("workflow_executions.task_count", "documented"),
        ("*.usr_id", "no"),
    ]
    assert "workflow_executions.id cannot be excluded" in needed.stderr
    assert "hash_key is missing" in keyless.stderr
