"""SailPoint: what its documentation says and what servers were seen to do instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from task_history import systems
from task_history.client.credentials import Credentials
from task_history.core.errors import AuthenticationError, ConfigurationError, UnexpectedResponse
from task_history.core.models import Answer, Request, Window
from task_history.settings_reader import build
from task_history.systems.protocol import Login
from task_history.systems.sailpoint import api as sailpoint
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_every_system import held, truth
from tests.support.place import Place

SYSTEM = systems.find("sailpoint")
GIVEN = {"tenant": "acme", "client_id": "c", "client_secret": "s"}
VALUES = build(SYSTEM, GIVEN).values
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))


def test_a_listing_is_asked_for_as_documented() -> None:
    """Path and parameters are those of the documentation; the other forms of the filter wait behind."""
    request: Request | None = SYSTEM.listing.request(VALUES, WINDOW, offset=250, filters={"workflow": "w/1"})
    assert request is not None
    assert request.path == "/v2025/workflows/w%2F1/executions"
    assert dict(request.params) == {
        "limit": "250",
        "offset": "250",
        "filters": 'start_time ge "2026-02-28T23:59:59.999Z" and start_time lt "2026-03-02T00:00:00.000Z"',
        "count": "true",
    }
    forms = []
    while request is not None:
        params = dict(request.params)
        forms.append((params.get("filters", "none").split(" ")[0], "count" in params))
        request = request.instead
    counted = [("start_time", True), ("startTime", True)]
    assert forms == [
        *counted,
        ("start_time", False),
        ("startTime", False),
        ("start_time", False),
        ("none", False),
    ]


@pytest.mark.parametrize(
    ("version", "workflows", "execution", "history"),
    [
        (
            "v2025",
            "/v2025/workflows",
            "/v2025/workflow-executions/e",
            "/v2025/workflow-executions/e/history-v2",
        ),
        ("beta", "/beta/workflows", "/beta/workflow-executions/e", "/beta/workflow-executions/e/history"),
        ("v1", "/workflows/v1", "/workflow-executions/v1/e", "/workflow-executions/v1/e/history-v2"),
    ],
)
def test_both_styles_of_paths(version: str, workflows: str, execution: str, history: str) -> None:
    """The version stands before the service or after it; only some versions have the newer history."""
    values = build(SYSTEM, {**GIVEN, "api_version": version}).values
    assert SYSTEM.workflows is not None
    first = SYSTEM.workflows.request(values, "", 0)
    assert first.path == workflows
    # Newer versions take no parameters here.
    assert bool(first.params) == (version == "beta")
    assert SYSTEM.details.execution_request(values, "e", "").path == execution
    assert SYSTEM.details.request(values, "e", "").path == history


def test_answers_in_every_form_are_read() -> None:
    """One execution as object or list of one; a history as list, as object, in an object; nulls and nanoseconds."""
    row = {"id": "e", "startTime": "2022-02-07T20:13:29.356648026Z", "closeTime": None, "status": "Executing"}
    for form in (row, [row]):
        found = SYSTEM.details.read_execution(form).execution
        assert SYSTEM.started_at(found) == datetime(2022, 2, 7, 20, 13, 29, 356648, tzinfo=UTC)
        assert found["startTimeExact"] == row["startTime"]
        assert SYSTEM.is_open(found)
    event = {
        "type": "ActivityTaskFailed",
        "timestamp": "2022-02-07T20:13:29.402Z",
        "attributes": {"stepName": "a"},
    }
    request = SYSTEM.details.request(VALUES, "e", "")
    for answer in ([event], {"history": [event]}, {"history": event}):
        (step,) = SYSTEM.details.read(VALUES, request, answer).steps
        assert (step["id"], step["status"], step["step_name"]) == ("e:0", "Failed", "a")
    assert SYSTEM.details.read(VALUES, request, {"history": None}).steps == []
    assert SYSTEM.listing.read([]).rows == []
    with pytest.raises(UnexpectedResponse):
        SYSTEM.details.read(VALUES, request, {"detailCode": "x"})


@pytest.mark.parametrize(
    ("status", "closed", "is_open"),
    [
        ("Running", None, True),
        ("Executing", None, True),
        ("Queued", None, True),
        ("Completed", None, False),
        ("Canceled", "2022-02-07T20:13:29Z", False),
        ("Somehow", None, True),
        ("Somehow", "2022-02-07T20:13:29Z", False),
    ],
)
def test_statuses_known_and_unknown(status: str, closed: str | None, is_open: bool) -> None:
    """What runs is open under any name; what has an end has ended."""
    assert SYSTEM.is_open({"id": "e", "status": status, "closeTime": closed}) == is_open


def test_a_tenant_or_an_address_is_needed() -> None:
    """Neither, or a tenant that is none, is said before anything is sent."""
    with pytest.raises(ConfigurationError, match="tenant"):
        build(SYSTEM, {"client_id": "c", "client_secret": "s"})
    with pytest.raises(ConfigurationError, match="one word"):
        build(SYSTEM, {**GIVEN, "tenant": "https://acme.identitynow.com"})
    assert build(SYSTEM, GIVEN).base_url == "https://acme.api.identitynow.com"


def test_tokens_are_renewed_before_they_expire() -> None:
    """A token serves until shortly before its end; then, or when it was refused, there is another."""
    now = [0.0]
    logins: list[Login] = []

    def send(login: Login) -> Answer:
        logins.append(login)
        return Answer({"access_token": f"t{len(logins)}", "expires_in": 749}, b"")

    credentials = Credentials(SYSTEM, VALUES, clock=lambda: now[0])
    credentials.send = send
    for at, token in ((0.0, "t1"), (680.0, "t1"), (690.0, "t2"), (1_300.0, "t2")):
        now[0] = at
        assert credentials.headers() == {"Authorization": f"Bearer {token}"}
    assert credentials.renew()
    assert credentials.headers() == {"Authorization": "Bearer t3"}
    assert logins[0].form["grant_type"] == "client_credentials"
    assert "s" not in repr(logins[0]).split()


SWITCHES: dict[str, Any] = {
    "forbidden_workflows": 1,
    "slow_workflows": 1,
    "slow_s": 0.5,
    "single": "forbidden",
    "history_v2": "absent",
    "running": "Running",
    "page_cap": 40,
    "token_life_s": 2,
    "token_says_life": False,
}


def test_a_difficult_tenant(tmp_path: Path) -> None:
    """A forbidden and a slow workflow, short tokens, no single reads, no newer history: all that may be read is read."""
    with SandboxProcess(
        "sailpoint",
        executions=100,
        seed=2,
        days=6,
        future_hours=30,
        workflows=4,
        open_days=0.1,
        freeze=True,
        switch=SWITCHES,
    ) as sandbox:
        place = Place(tmp_path, sandbox, system="sailpoint")
        for hours in (0, 26):
            sandbox.advance(hours * 3600)
            result = place.sync()
            right = {row["id"]: row for row in sandbox.truth()}
            mine = held(place, SYSTEM)
            forbidden = {row["workflowId"] for key, row in right.items() if key not in mine}
            assert len(forbidden) == 1
            allowed = {key: state for key, state in truth(sandbox, SYSTEM).items() if key in mine}
            assert mine == allowed
            assert not [key for key in mine if right[key]["workflowId"] in forbidden]
            assert not result["complete"]
            assert result["left"]["details"] == 0
        counters = sandbox.counters()
        assert counters["reads_more_than_once"] == []
        assert counters["execution"] <= 2


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A wrong secret, and workflows of which none may be read, each with what to do."""
    with SandboxProcess("sailpoint", executions=10, freeze=True, workflows=2) as sandbox:
        place = Place(tmp_path, sandbox, system="sailpoint")
        place.set(client_secret="wrong-wrong-wrong")
        done = place.run("check", "sailpoint", expect=3)
        assert "client_secret" in done.stderr
        assert "wrong-wrong" not in done.stderr
        place.set(client_secret=sandbox.settings["client_secret"])
        sandbox.switches(forbidden_workflows=2)
        for command in ("check", "sync"):
            assert "sp:workflow-execution:read" in place.run(command, "sailpoint", expect=3).stderr
        assert place.run("plan", "sailpoint", "--month", "2026-01", expect=2).stderr


def test_refused_logins_say_what_to_set() -> None:
    """Whatever status a refused login has, it is about the credentials."""
    from task_history.core.errors import Rejected

    def send(_: Login) -> Answer:
        raise Rejected("refused", status=400)

    credentials = Credentials(SYSTEM, VALUES)
    credentials.send = send
    with pytest.raises(AuthenticationError, match="client_secret"):
        credentials.headers()


def test_long_waits_are_obeyed() -> None:
    """Twenty minutes of Retry-After are within what is believed."""
    from task_history.client.retry_after import retry_after_s

    assert retry_after_s({"retry-after": "1200"}) == timedelta(minutes=20).total_seconds()


def test_what_will_be_removed_is_said(tmp_path: Path) -> None:
    """A version that goes is named with its date, by check and by every sync; others work in silence."""
    with SandboxProcess("sailpoint", executions=5, freeze=True, workflows=1) as sandbox:
        place = Place(tmp_path, sandbox, system="sailpoint", api_version="v3")
        assert "October 2027" in place.run("check", "sailpoint").stdout
        assert "July 2028" in place.sync()["stderr"]
        place.set(api_version="v2025")
        assert "2028" not in place.run("check", "sailpoint").stdout


def test_a_source_for_scripts(tmp_path: Path) -> None:
    """The dlt source loads what the command loads, in one run of one's own pipeline."""
    import dlt

    from task_history import sailpoint

    with SandboxProcess("sailpoint", executions=30, days=5, freeze=True, workflows=2) as sandbox:
        place = Place(tmp_path, sandbox, system="sailpoint")
        with place._inside():
            pipeline = dlt.pipeline(
                "of_my_own", destination=dlt.destinations.duckdb(str(place.file)), dataset_name="sailpoint"
            )
            pipeline.run(sailpoint(), loader_file_format="parquet")
            pipeline.run(sailpoint(), loader_file_format="parquet")
        assert held(place, SYSTEM) == truth(sandbox, SYSTEM)
        assert place.query("SELECT count(*) > 0 FROM sailpoint.execution_events") == [(True,)]


def test_a_page_as_long_as_the_vendors_longest_may_not_be_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page cannot be asked for, the vendor gives its longest, also if shorter ones are asked for elsewhere."""
    monkeypatch.setattr(sailpoint, "PAGE", 100)
    values = cast("Any", VALUES)
    whole = [{"id": str(number), "type": "WorkflowExecutionStarted"} for number in range(250)]
    assert sailpoint.read_workflows(whole).more
    assert not sailpoint.read_workflows(whole[:249]).more
    request = sailpoint.steps_request(values, "e1", "w1")
    (further,) = sailpoint.read_steps(values, request, whole).more
    assert ("offset", "250") in further.params
    assert sailpoint.read_steps(values, request, whole[:249]).more == ()
