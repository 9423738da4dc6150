"""The key goes to the configured origin only, and no secret is written anywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from task_history import systems
from task_history.client.responses import vendor_message
from task_history.core.errors import TaskHistoryError, UnexpectedResponse
from task_history.extract import warehouse_rows
from task_history.extract.warehouse_rows import Stamp
from task_history.redaction.redactor import MARK, Redactor
from task_history.runs.run_loop import RunLoop
from task_history.systems.parsing import rows_under
from task_history.systems.protocol import Detail
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import INTEGRATIONS, Place
from tests.support.stamps import undocumented
from tests.support.torture import rest_as_torture


def _holding(folder: Path, secrets: list[str]) -> list[str]:
    """Which secrets stand in which files, in any form that a search of bytes finds."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            found += [f"{file.name}: {secret}" for secret in secrets if secret.encode() in data]
    return found


def test_planted_secrets_are_found_nowhere(tmp_path: Path) -> None:
    """200 secrets in payloads and the key: none is in the warehouse, the working folder, a log or an output."""
    with SandboxProcess(
        executions=350, seed=41, failed=0.35, freeze=True, api_key="planted-api-key-9f8e7d6c"
    ) as sandbox:
        place = Place(tmp_path, sandbox, payloads="failed", integrations=INTEGRATIONS)
        place.env["RUNTIME__LOG_LEVEL"] = "DEBUG"
        sandbox.faults(
            {"kind": "status500", "share": 0.05, "times": None}, {"kind": "reset", "times": 2, "after": 50}
        )
        told = [place.run_process("sync", "paragon", "--json", "--log-level", "debug")]
        sandbox.faults({"kind": "revoked", "after": 1})
        told.append(place.run_process("sync", "paragon", "--json", "--log-level", "debug"))
        sandbox.faults()
        told.append(place.run("check", "paragon", "--json"))
        told.append(place.run("status", "paragon"))
        assert [done.returncode for done in told] == [0, 3, 0, 0]
        secrets = [*sandbox.secrets(200), sandbox.api_key]
        assert len(secrets) > 200
        payloads = place.query(
            "SELECT count(*), sum(redactions) FROM paragon.step_payloads WHERE input IS NOT NULL"
        )
        assert payloads[0][0] > 50
        assert payloads[0][1] > 200
        texts = "".join(text for done in told for text in (done.stdout, done.stderr))
        assert [secret for secret in secrets if secret in texts] == []
        # DuckDB compresses texts: what it holds is asked of it, too.
        columns = place.query("SELECT input, output FROM paragon.step_payloads")
        stored = "\n".join(value or "" for row in columns for value in row)
        assert [secret for secret in secrets if secret in stored] == []
        assert _holding(tmp_path, secrets) == []


@pytest.mark.parametrize(
    "links", rest_as_torture([["other", "evil", "relative"], ["evil"]], [["evil"]]), ids="-".join
)
def test_key_reaches_no_other_origin(tmp_path: Path, links: list[str]) -> None:
    """Links to another origin, relative ones and redirects: nobody but the configured origin hears from us."""
    with SandboxProcess(executions=500, seed=42, days=30, future_hours=2_000, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        for link in links:
            sandbox.switches(next_link=link)
            sandbox.faults()
            sandbox.reset_counters()
            # More than a page of executions begins meanwhile.
            sandbox.advance(25 * 86_400)
            place.quick_sync()
            assert len([one for one in sandbox.requests() if one["kind"] == "list"]) >= 2
            sandbox.faults({"kind": "redirect", "times": 1})
            place.run("sync", "paragon", expect=3)
            assert {request["origin"] for request in sandbox.requests()} == {"main"}


def test_own_names_are_redacted(tmp_path: Path) -> None:
    """Values under names in ``redact`` are taken out as well."""
    with SandboxProcess(executions=30, seed=43, failed=0.3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="failed", integrations=None, redact=["method"])
        place.quick_sync()
        inputs = [
            row[0] for row in place.query("SELECT input FROM paragon.step_payloads WHERE input IS NOT NULL")
        ]
        assert inputs
        assert all('"method":"GET"' not in text.replace(" ", "") for text in inputs)


@pytest.mark.parametrize("modes", rest_as_torture(["standard", "standard and strict"], ["standard"]))
def test_redactions_of_every_system_are_counted(tmp_path: Path, modes: str) -> None:
    """A run of a system without payloads tells how many values it redacted; strict redacts no fewer."""
    counts = {}
    for mode in modes.split(" and "):
        with SandboxProcess(system="b3os", executions=40, seed=5, freeze=True) as sandbox:
            place = Place(
                tmp_path / mode, sandbox, system="b3os", steps="none", redact_mode=mode, start_date=None
            )
            place.folder.mkdir()
            done = place.run("sync", "b3os", "--json")
            counts[mode] = json.loads(done.stdout)["redactions"]
            assert [(counts[mode],)] == place.query("SELECT sum(redactions) FROM b3os.sync_runs")
            stored = place.query(
                "SELECT count(*) FROM b3os.executions WHERE request_payload LIKE '%[redacted]%'"
            )
            assert counts[mode] >= stored[0][0] > 0
    assert counts.get("strict", counts["standard"]) >= counts["standard"]


SYSTEM = systems.find("paragon")
KEY = "planted_key"
STAMP = Stamp("run", datetime(2026, 1, 1, tzinfo=UTC), undocumented(Redactor(["iban"], secrets=[KEY])))
ROW = {"id": "a", "status": "FAILED", "dateStarted": "2026-01-02T00:00:00.000Z"}

LEAKS: dict[str, Any] = {
    "text": "call failed: Authorization: Bearer zQ7hunter",
    "nested": [{"id": "s", "input": {"password": "zQ7hunter"}}],
    "the key": f"sent {KEY}",
    "json": '{"password": "zQ7hunter"}',
}


@pytest.mark.parametrize("value", LEAKS.values(), ids=LEAKS)
def test_secret_in_a_field_that_no_column_takes(value: Any) -> None:
    """Such fields of listed rows, single reads and steps are written without secrets."""
    row = {**ROW, "somethingNew": value}
    step = {"id": "s", "error": value}
    detail = Detail(ROW, {"run_duration": 1, "somethingNew": value}, [step])
    for written in (
        warehouse_rows.execution(SYSTEM, row, STAMP, read_by=warehouse_rows.LIST),
        *warehouse_rows.steps(SYSTEM.details.steps, detail, None, STAMP),
        warehouse_rows.details_log_row(SYSTEM.details.log, "a", None, "loaded", STAMP, detail),
    ):
        text = json.dumps(written, default=str)
        assert MARK in text
        assert "hunter" not in text
        assert KEY not in text
    assert row["somethingNew"] == step["error"] == value


def test_secret_by_the_name_of_a_field_that_no_column_takes() -> None:
    """Names decide there too, the user's own included, and numbers under them go; names may be tokens themselves."""
    row = {**ROW, "apiKey": "abc", "pin": 1234, "IBAN": "DE1", "xoxb-" + "123456789012-abc": 1}
    written = warehouse_rows.execution(SYSTEM, row, STAMP, read_by=warehouse_rows.LIST)
    assert [MARK] * 3 == [written[name] for name in ("apiKey", "pin", "IBAN")]
    assert written[MARK] == 1


def test_harmless_fields_that_no_column_takes_stay() -> None:
    """Numbers, booleans, ids, dates, plain texts and what declared columns take arrive as they were sent."""
    row = {
        **ROW,
        "userId": "Bearer of news, key=9fQ2xLw71k",
        "n": 12,
        "x": 1.5,
        "flag": True,
        "none": None,
        "parentId": "c70cafa5-4f80-45c7-b5b3-71454f6d638d",
        "queuedAt": "2023-02-20T06:21:43.751Z",
        "label": "monthly report, part 2",
        "key": "ABC-1234",
        "tags": ["a", {"b": [1]}],
    }
    for _ in range(2):
        written = warehouse_rows.execution(SYSTEM, row, STAMP, read_by=warehouse_rows.LIST)
        assert row == {name: written[name] for name in row}


def test_numbers_that_are_the_key_are_taken_out() -> None:
    """A key of digits is found in numbers of fields that no column takes."""
    stamp = Stamp("run", STAMP.at, undocumented(Redactor(secrets=["12345678"])))
    for _ in range(2):
        written = warehouse_rows.execution(
            SYSTEM, {**ROW, "n": 12345678, "m": 7}, stamp, read_by=warehouse_rows.LIST
        )
        assert (MARK, 7) == (written["n"], written["m"])


@pytest.mark.parametrize(
    "error", [TaskHistoryError(f"found {KEY}"), TaskHistoryError("token: Bearer zQ7hunter")]
)
def test_secret_in_an_error_is_not_kept_as_the_reason(error: TaskHistoryError) -> None:
    """What is stored as the reason of a run holds no secret, whoever wrote the error."""
    context = SimpleNamespace(redactor=Redactor(secrets=[KEY]))
    session = RunLoop(cast(Any, context), cast(Any, None))
    session.error = error
    outcome, reason = session._outcome()
    assert (outcome, MARK in str(reason)) == ("failed", True)
    assert KEY not in str(reason)
    assert "hunter" not in str(reason)


def test_secret_as_a_key_of_an_answer_is_not_in_the_error() -> None:
    """The error about another form names fields that look like names, and nothing else."""
    answer = {"rows": 1, "sk_live_4eC39HqLyjWDarjtT1zdp7dc": 1, "Bearer abc": 1, "next_page": 1, "abc-1": 1}
    with pytest.raises(UnexpectedResponse) as caught:
        rows_under(answer, ("data",), what="list", table=SYSTEM.executions)
    assert "found ['next_page', 'rows']." in str(caught.value)


REFUSALS = {
    "no such token 9fQ2xLw71kPp0aZb3Rt5": f"no such token {MARK}",
    "unknown user AbCdEf012345-GhIjKl678901 here": f"unknown user {MARK} here",
    "wrong 4f80b5b371454f6d638d4f80.": f"wrong {MARK}",
    "afterDate=2026-01-01T00:00:00.000Z is after 2025-01-01": None,
    "no execution c70cafa5-4f80-45c7-b5b3-71454f6d638d": None,
    "workflow-executions-are-not-available-here": None,
    "limit must be at most 10000000000000000000000": None,
}


@pytest.mark.parametrize(("said", "kept"), REFUSALS.items())
def test_random_text_in_a_refusal_is_taken_out(said: str, kept: str | None) -> None:
    """Long tokens in the vendor's words go, though nothing names them; ids and dates stay."""
    assert (kept or said) == vendor_message(json.dumps({"message": said}).encode(), [])


class _Talkative(BaseHTTPRequestHandler):
    """A vendor that puts the key and its users' secrets wherever it can."""

    def do_GET(self) -> None:
        server = cast(Any, self.server)
        told = f"sent {self.headers['Authorization']}, auth_token: Bearer {server.secret}"
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if server.mood == "refuses":
            self._answer(400, {"message": f"what is {server.secret}, {told}, or {KEY[:8]}?"})
        elif server.mood == "changed":
            self._answer(200, {KEY: 1, server.secret: 2, "rows": [told]})
        elif "/step-executions/" in parts.path:
            self._answer(200, {"input": {"password": server.secret}, "output": told, "error": told})
        elif parts.path.endswith("/a"):
            steps = [{"id": "s", "status": "FAILED", "error": told, "input": {"secret": server.secret}}]
            self._answer(
                200,
                {**ROW, "dateEnded": ROW["dateStarted"], "why": {"cookie": told}, "stepExecutions": steps},
            )
        else:
            is_in = asked.get("afterDate", "") <= ROW["dateStarted"] < asked.get("beforeDate", "9")
            steps = [{"input": {"password": server.secret}, "note": told}]
            row = {**ROW, "dateEnded": ROW["dateStarted"], "stepExecutions": steps, "attempt": 2}
            row |= {"workflowId": f"w-{KEY}", "endUserId": KEY[:9], "status": f"FAILED {KEY}"}
            rows = [row] if is_in and asked.get("offset", "0") == "0" else []
            self._answer(200, {"workflowExecutions": rows, "total": int(is_in)})

    def _answer(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _talkative(secret: str) -> Iterator[Any]:
    server = cast(Any, ThreadingHTTPServer(("127.0.0.1", 0), _Talkative))
    server.secret, server.mood = secret, "talks"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_talkative_vendor_is_not_repeated(tmp_path: Path) -> None:
    """Secrets in fields, declared or not, keys and errors of any answer are in no table, file or output."""
    secret = "9fQ2xLw71kPp0aZb3Rt5"
    with _talkative(secret) as server:
        place = Place(tmp_path, None, integrations=None, base_url=f"http://127.0.0.1:{server.server_port}")
        place.set(api_key=KEY, project_id="p", fault_deadline_s=1)
        place.quick_sync()
        server.mood = "changed"
        with pytest.raises(UnexpectedResponse):
            place.quick_sync()
        server.mood = "refuses"
        told = place.run("sync", "paragon", "--json", "--log-level", "debug", expect=4)
    assert [(2, 1)] == place.query("SELECT attempt, count(*) FROM paragon.workflow_executions GROUP BY 1")
    reasons = place.query("SELECT reason FROM paragon.sync_runs WHERE outcome = 'failed'")
    assert len(reasons) == 2
    tables = place.query("SELECT table_schema, table_name FROM information_schema.tables")
    with place.reading() as query:
        cells = [str(row) for schema, table in tables for row in query(f'SELECT * FROM "{schema}"."{table}"')]
    written = "\n".join([*cells, told.stdout, told.stderr])
    assert [one for one in (KEY, KEY[:8], secret) if one in written] == []
    assert written.count(MARK) >= 8
    assert _holding(tmp_path, [KEY, secret]) == []
