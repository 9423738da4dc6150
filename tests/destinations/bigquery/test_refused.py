"""Whatever BigQuery refuses, the user is told what it was and what to do, and nothing is lost or given away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.cloud import bigquery as cloud

from task_history.core.errors import WarehouseUnavailable
from task_history.load.destinations import Cost
from task_history.load.destinations.base import billed
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace, BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.support.altering_proxy import altering, with_fields
from tests.support.place import PERFECT, differences
from tests.support.torture import rest_as_torture

CHECK = ("check", "paragon", "--destination", "bigquery")
SYNC = ("sync", "paragon", "--destination", "bigquery")


class Loaded(NamedTuple):
    """A place that is synced and its vendor; each test brings new executions."""

    place: BigQueryPlace
    sandbox: SandboxProcess
    logs: list[str]
    """What the first sync wrote, with all that it logs."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=40, seed=3, days=2, freeze=True) as found:
        yield found


@pytest.fixture
def place(recorder: Recorder, sandbox: SandboxProcess, tmp_path: Path) -> BigQueryPlace:
    sandbox.reset_counters()
    return BigQueryPlaceWithoutViews(
        tmp_path / "place", sandbox, recorder, steps="none", payloads="none", integrations=None
    )


@pytest.fixture(scope="module")
def loaded(bigquery: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with (
        SandboxProcess(executions=80, seed=3, days=2, future_hours=100, freeze=True) as sandbox,
        Recorder(bigquery.url) as recorder,
    ):
        place = BigQueryPlaceWithoutViews(
            tmp_path_factory.mktemp("loaded"), sandbox, recorder, integrations=None
        )
        done = place.run(*SYNC, "--log-level", "debug")
        place.set(steps="none", payloads="none")
        yield Loaded(place, sandbox, [done.stdout, done.stderr])


def _asked(sandbox: SandboxProcess) -> int:
    return len(sandbox.requests())


def test_check_says_what_a_first_sync_will_find(place: BigQueryPlace) -> None:
    """In an empty project: jobs run, and both datasets will be created; nothing is made by asking."""
    said = place.run(*CHECK).stdout
    assert f"project {place.recorder.project}" in said
    assert "The dataset paragon will be created in US" in said
    assert "The dataset paragon_staging will be created in US" in said
    assert list(place.client.list_datasets()) == []


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no jobs": (
        {
            "path": "/queries",
            "reason": "accessDenied",
            "message": "Access Denied: Project lab: User does not have bigquery.jobs.create permission in project lab.",
        },
        "roles/bigquery.jobUser",
    ),
    "no billing": (
        {
            "path": "/queries",
            "text": "DELETE FROM",
            "reason": "billingNotEnabled",
            "message": "Billing has not been enabled for this project. DML queries are not allowed in the free tier.",
        },
        "no billing account",
    ),
    "no api": (
        {
            "path": "/queries",
            "reason": "accessNotConfigured",
            "message": "BigQuery API has not been used in project 1 before or it is disabled. Enable it by visiting …",
        },
        "gcloud services enable",
    ),
    "no datasets": (
        {
            "text": "CREATE SCHEMA",
            "reason": "accessDenied",
            "message": "Access Denied: Project lab: User does not have bigquery.datasets.create permission.",
        },
        "create no dataset",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_check_names_what_is_missing(place: BigQueryPlace, sandbox: SandboxProcess, name: str) -> None:
    """Which permission, billing or API it is that BigQuery misses, before the vendor is asked anything."""
    rule, advice = REFUSALS[name]
    place.recorder.add(times=50, **rule)
    done = place.run(*CHECK, expect=4)
    assert advice in done.stderr
    assert _asked(sandbox) == 0


def test_check_names_another_location(place: BigQueryPlace, sandbox: SandboxProcess) -> None:
    """A dataset that lies elsewhere is named with both locations."""
    elsewhere = cloud.Dataset(f"{place.recorder.project}.paragon")
    elsewhere.location = "EU"
    place.client.create_dataset(elsewhere)
    done = place.run(*CHECK, expect=4)
    assert "lies in EU, and destination.bigquery.location is US" in done.stderr
    assert _asked(sandbox) == 0


def test_check_names_a_dataset_without_rights(place: BigQueryPlace, sandbox: SandboxProcess) -> None:
    """The dataset is there and no table may be made in it."""
    place.client.create_dataset("paragon")
    message = (
        "Access Denied: Dataset lab:paragon: Permission bigquery.tables.create denied on dataset lab:paragon"
    )
    place.recorder.add(text="CREATE TABLE", reason="accessDenied", message=message, times=50)
    done = place.run(*CHECK, expect=4)
    assert "roles/bigquery.dataEditor" in done.stderr
    assert _asked(sandbox) == 0


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("/no/such/key.json", "key.json cannot be read"),
        ("{not json", "not of the form that it takes"),
        (json.dumps({"type": "service_account", "project_id": "lab"}), "bigquery"),
    ],
)
def test_credentials_that_cannot_be_used(
    place: BigQueryPlace, sandbox: SandboxProcess, value: str, advice: str
) -> None:
    """They are named with where they belong, before anything is asked, and the run ends with 3."""
    place.env["DESTINATION__BIGQUERY__CREDENTIALS"] = value
    done = place.run(*SYNC, expect=3)
    assert advice in done.stderr
    assert _asked(sandbox) == 0


@pytest.mark.parametrize("value", ["-5", "0", "10485759", "abc"])
def test_a_limit_that_lets_nothing_run(place: BigQueryPlace, sandbox: SandboxProcess, value: str) -> None:
    """A limit below what the smallest statement costs is told as that, before anything is asked."""
    place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"] = value
    assert "maximum_bytes_billed" in place.run(*SYNC, expect=3).stderr.lower()
    assert _asked(sandbox) == 0


def test_a_key_file_is_taken_as_well_as_its_text(place: BigQueryPlace) -> None:
    """destination.bigquery.credentials may name the file of a service account."""
    file = place.folder / "key.json"
    file.write_text(place.env["DESTINATION__BIGQUERY__CREDENTIALS"])
    place.env["DESTINATION__BIGQUERY__CREDENTIALS"] = str(file)
    assert "BigQuery takes jobs" in place.run(*CHECK).stdout


def test_google_s_default_credentials_are_taken(place: BigQueryPlace) -> None:
    """Without credentials of their own, the application default ones are used."""
    file = place.folder / "key.json"
    file.write_text(place.env.pop("DESTINATION__BIGQUERY__CREDENTIALS"))
    place.env["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)
    # A process of its own: dlt remembers for ten minutes that there were none.
    assert "BigQuery takes jobs" in place.run_process(*CHECK).stdout


def test_a_limit_stops_before_billing_and_loses_nothing(loaded: Loaded) -> None:
    """What would be billed beyond the limit is not run; without one, the next sync writes what was fetched.

    It estimates nothing: each dry run is a job that takes a second or more, and is sent only to keep to a limit.
    """
    place, sandbox, _ = loaded
    sandbox.advance(12 * 3600)
    place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"] = str(10 * 2**20 + 4_000)
    done = place.run(*SYNC, expect=4)
    assert "maximum_bytes_billed" in done.stderr
    del place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"]
    before = len(place.recorder.statements)
    sandbox.reset_counters()
    result = place.sync()
    assert result["complete"]
    assert result["bytes"]["limit"] is None
    assert not [found.sql for found in place.recorder.statements[before:] if found.is_dry_run]
    assert differences(place, sandbox) == PERFECT
    assert sandbox.counters()["list"] <= 3


def test_an_estimate_beyond_the_limit_is_refused() -> None:
    """Counted as BigQuery bills, whole MiB and at least ten a table; merges of one commit share what is left."""
    mib = 2**20
    assert [billed(0), billed(1, 3), billed(31 * mib, 3), billed(31 * mib + 1)] == [
        0,
        30 * mib,
        31 * mib,
        32 * mib,
    ]
    cost = Cost(limit=60 * mib)
    cost.count(400, 10 * mib)
    assert (cost.processed, cost.left) == (400, 50 * mib)
    cost.expect(25 * mib, "coverage")
    with pytest.raises(
        WarehouseUnavailable, match=r"Merging into steps .* 27,262,976 bytes, and 26,214,400 are left"
    ):
        cost.expect(25 * mib + 1, "steps")
    cost.expect(1, "steps")
    cost.count(31 * mib, 31 * mib)
    cost.check(1)
    with pytest.raises(
        WarehouseUnavailable, match=r"19,922,944 bytes are left .* reads 2 tables is billed 20,971,520"
    ):
        cost.check(2)


@pytest.mark.torture
def test_a_merge_that_fails_for_good_is_made_up_for(loaded: Loaded) -> None:
    """BigQuery refuses merges until the sync gives up; the next one merges what was staged, and no row is lost."""
    place, sandbox, _ = loaded
    sandbox.advance(12 * 3600)
    rule = place.recorder.add(
        path="/queries", text="MERGE INTO .*workflow_executions", reason="invalidQuery", times=10_000
    )
    place.run(*SYNC, expect=4)
    assert rule.reached.is_set()
    place.recorder.rules.clear()
    sandbox.reset_counters()
    assert place.sync()["complete"]
    assert differences(place, sandbox) == PERFECT
    assert sandbox.counters()["list"] <= 3


@pytest.mark.parametrize(
    "table", rest_as_torture(["workflow_executions", "coverage"], ["workflow_executions"])
)
def test_rows_that_are_refused_for_good_are_read_again(loaded: Loaded, table: str) -> None:
    """BigQuery calls a merge's rows invalid: they are set aside, also in staging, and read again by the next sync."""
    place, sandbox, _ = loaded
    sandbox.advance(12 * 3600)
    failed = "SELECT count(*) FROM paragon.sync_runs WHERE outcome = 'failed'"
    [(before,)] = place.query(failed)
    rule = place.recorder.add(path="/queries", text=f"MERGE INTO .*{table}", reason="invalid", times=1)
    done = place.run(*SYNC, expect=4)
    assert rule.reached.is_set()
    assert f"refused rows of {table} for good" in done.stderr
    assert place.sync()["complete"]
    assert differences(place, sandbox) == PERFECT
    assert place.query(failed) == [(before + 1,)]


def test_faults_of_a_moment_are_outlived(loaded: Loaded) -> None:
    """503, rate limits, and an answer that is lost after BigQuery did it: the sync ends well, every row once."""
    place, sandbox, _ = loaded
    sandbox.advance(12 * 3600)
    rules = [
        place.recorder.add(path="/queries", reason="backendError", times=2),
        place.recorder.add(path="/upload/", method="PUT", drops=True, skip=1),
        place.recorder.add(path="/queries", text="MERGE INTO", reason="rateLimitExceeded", times=2),
        place.recorder.add(path="/queries", text="MERGE INTO", drops_answer=True, skip=1),
    ]
    assert place.sync()["complete"]
    assert [rule.reached.is_set() for rule in rules] == [True] * len(rules)
    assert differences(place, sandbox) == PERFECT


def test_a_refused_upload_is_told_in_google_s_words(loaded: Loaded) -> None:
    """The role that is missing and what Google's server said, not how Python holds it."""
    place = loaded.place
    message = "Access Denied: Table lab:staging.coverage: Permission bigquery.tables.updateData denied"
    place.recorder.add(path="/upload/", reason="accessDenied", message=message, times=1_000)
    last = place.run(*SYNC, expect=4).stderr.splitlines()[-1]
    place.recorder.rules.clear()
    assert "roles/bigquery.dataEditor" in last
    assert message in last
    assert "HTTPStatus" not in last


CONFLICTS: list[dict[str, Any]] = [
    {
        "path": "/datasets",
        "method": "POST",
        "reason": "duplicate",
        "message": "Already Exists: Dataset lab:paragon",
    },
    {
        "path": "/queries",
        "text": "CREATE TABLE",
        "reason": "duplicate",
        "message": "Already Exists: Table lab:paragon.coverage",
    },
    {
        "path": "/queries",
        "text": "ALTER TABLE",
        "reason": "invalidQuery",
        "message": "Column already exists: late_field",
    },
    {
        "path": "/queries",
        "text": "(MERGE INTO|UPDATE|INSERT INTO) ",
        "reason": "invalidQuery",
        "message": "Could not serialize access to table lab:paragon.coverage due to concurrent update",
    },
    {
        "path": "/tables/",
        "method": "PATCH",
        "reason": "conditionNotMet",
        "message": "Precondition check failed.",
    },
]
"""What BigQuery answers where another process made or changed the same thing first."""


def test_what_another_process_did_first_is_tried_again(place: BigQueryPlace) -> None:
    """A dataset, table or column that is there by now, rows and descriptions that others change: the sync ends well."""

    def alter(_: str, body: bytes) -> bytes:
        return with_fields(body, {"lateField": "true"}, every=True)

    world: dict[str, Any] = {"executions": 20, "seed": 3, "days": 2, "freeze": True}
    with SandboxProcess(**world) as own, altering(own.base_url, alter) as url:
        place.set(**{**own.settings, "base_url": url})
        rules = [place.recorder.add(times=1, **rule) for rule in CONFLICTS]
        assert place.sync()["complete"]
        assert [rule.reached.is_set() for rule in rules] == [True] * len(rules)
        assert differences(place, own) == PERFECT
        assert place.query("SELECT DISTINCT late_field FROM paragon.workflow_executions") == [(True,)]


def test_no_secret_is_left_behind(loaded: Loaded) -> None:
    """Neither the vendor's key nor Google's stands in logs, labels, SQL, or anything that is left on this machine."""
    place, sandbox, logs = loaded
    key = json.loads(place.env["DESTINATION__BIGQUERY__CREDENTIALS"])["private_key"]
    secrets = [sandbox.api_key, *[line for line in key.splitlines() if len(line) > 40][:3]]
    said = [*logs, *(found.sql for found in place.recorder.statements)]
    said += [json.dumps(found.labels) for found in place.recorder.statements]
    said += [json.dumps(found.labels) for found in place.recorder.loads]
    said += [path.read_bytes().decode("latin-1") for path in place.folder.rglob("*") if path.is_file()]
    payloads = place.query("SELECT input, output FROM paragon.step_payloads")
    assert payloads
    said.append(json.dumps(payloads))
    assert [secret for secret in secrets for text in said if secret in text] == []
    assert [secret for secret in sandbox.secrets() if any(secret in text for text in said)] == []
