"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from task_history.core.errors import ConfigurationError
from task_history.extract.integrations import WorkflowIntegration, read_map
from task_history.settings_reader import Settings, load, settings_of
from task_history.settings_suggestions import VARIABLES
from task_history.systems import find, names
from task_history.systems.common_settings import settings_in
from task_history.systems.paragon.settings import ParagonSettings
from tests.support.place import ROOT

PREFIX = "SOURCES__TASK_HISTORY__PARAGON__"
NEEDED = {PREFIX + "PROJECT_ID": "p", PREFIX + "API_KEY": "secret-key-1"}


def _load(folder: Path, **environ: str) -> Settings:
    return load(
        "paragon", folder=folder, environ={**NEEDED, "DLT_DATA_DIR": str(folder / "global"), **environ}
    )


def _write(folder: Path, name: str, text: str) -> None:
    (folder / ".dlt").mkdir(exist_ok=True)
    (folder / ".dlt" / name).write_text(text)


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    """Without a word everything is read, within the vendor's limit."""
    settings = _load(tmp_path)
    assert settings.values.rate_limit_requests == 1000
    assert settings.values.rate_limit_period_s == 600
    assert settings.values.lookback_minutes == 120
    assert (settings.values.steps, settings.values.payloads) == ("all", "failed")
    now = datetime(2026, 9, 30, tzinfo=UTC)
    assert settings.start(now) == now - timedelta(days=30)
    assert (settings.pipeline_name, settings.dataset_name) == ("task_history_paragon", "paragon")


def test_environment_wins_over_secrets_over_config(tmp_path: Path) -> None:
    """The places come in dlt's order."""
    section = "[sources.task_history.paragon]\n"
    _write(tmp_path, "config.toml", section + 'steps = "failed"\nconcurrency = 3\nproject_id = "of config"\n')
    _write(tmp_path, "secrets.toml", section + "concurrency = 4\n")
    settings = _load(tmp_path, **{PREFIX + "CONCURRENCY": "5"})
    assert isinstance(settings.values, ParagonSettings)
    assert (settings.values.concurrency, settings.values.steps, settings.values.project_id) == (
        5,
        "failed",
        "p",
    )
    assert _load(tmp_path).values.concurrency == 4


def test_an_instance_has_a_section_of_its_own(tmp_path: Path) -> None:
    """Settings under the pipeline's name are the instance's; the others it shares."""
    _write(
        tmp_path,
        "config.toml",
        '[sources.task_history.paragon]\nsteps = "none"\npayloads = "none"\n'
        '[task_history_paragon_eu.sources.task_history.paragon]\nsteps = "failed"\nproject_id = "eu"\n',
    )
    eu = load("paragon", instance="eu", folder=tmp_path, environ=NEEDED)
    assert (eu.values.steps, eu.values.payloads) == ("failed", "none")
    assert (eu.pipeline_name, eu.dataset_name) == ("task_history_paragon_eu", "paragon_eu")
    assert _load(tmp_path).values.steps == "none"


@pytest.mark.parametrize("system", names())
def test_an_account_has_a_project_or_credentials_of_its_own(tmp_path: Path, system: str) -> None:
    """A mistyped ``--instance`` does not load the first account again: the error names those that are configured."""
    own = next(setting.name for setting in settings_in(find(system).settings) if setting.is_secret)
    section = f"TASK_HISTORY_{system.upper()}_PROD__SOURCES__TASK_HISTORY__{system.upper()}__"
    environ = {section + own.upper(): "Sup3rS3cretValue"}

    def account(instance: str, **more: str) -> Settings:
        return load(system, instance=instance, folder=tmp_path, environ=environ | more, allow_missing=True)

    assert account("prod").dataset_name == f"{system}_prod"
    with pytest.raises(
        ConfigurationError, match=r"Did you mean prod\? Accounts that are configured: prod\."
    ) as error:
        account("prdo")
    assert f"task_history_{system}_prdo.sources.task_history.{system}" in str(error.value)
    assert "Sup3r" not in str(error.value)
    # Another setting of its own makes it no other account.
    with pytest.raises(ConfigurationError, match="no project and no credentials of its own"):
        account("prdo", **{section.replace("_PROD_", "_PRDO_") + "STEPS": "none"})


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("sailpoint", "tenant"),
        ("twinit", "application_id"),
        ("b3os", "organization_id"),
        ("paragon", "base_url"),
    ],
)
def test_an_account_may_differ_by_tenant_or_organization_alone(
    tmp_path: Path, system: str, name: str
) -> None:
    """One key may serve several: the setting that says which of them makes an account."""
    section = f"TASK_HISTORY_{system.upper()}_EU__SOURCES__TASK_HISTORY__{system.upper()}__"
    environ = {section + name.upper(): "http://127.0.0.1:9"}
    assert load(system, instance="eu", folder=tmp_path, environ=environ, allow_missing=True).instance == "eu"


def test_the_same_account_twice_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An account with the project and the key of another would count its executions twice: a warning says so."""
    _write(
        tmp_path,
        "secrets.toml",
        '[sources.task_history.paragon]\nproject_id = "p"\napi_key = "Sup3rS3cret"\n'
        '[task_history_paragon_eu.sources.task_history.paragon]\nproject_id = "p"\napi_key = "Sup3rS3cret"\n',
    )
    load("paragon", instance="eu", folder=tmp_path, environ={})
    assert "same_account_twice" in caplog.text
    assert "api_key,project_id" in caplog.text
    assert "Sup3r" not in caplog.text


def test_what_an_account_lacks_is_named_in_its_own_section(tmp_path: Path) -> None:
    """The error about a further account names where its own settings are."""
    section = "[task_history_paragon_eu.sources.task_history.paragon]"
    _write(tmp_path, "secrets.toml", f'{section}\nproject_id = "eu"\n')
    with pytest.raises(ConfigurationError, match=re.escape(section)):
        load("paragon", instance="eu", folder=tmp_path, environ={})


@pytest.mark.parametrize("given", ['["a", "b"]', "a,b", "a, b"])
def test_lists_are_taken_as_json_or_with_commas(tmp_path: Path, given: str) -> None:
    """A list may be written as dlt does or as people do."""
    values = _load(tmp_path, **{PREFIX + "INTEGRATIONS": given}).values
    assert isinstance(values, ParagonSettings)
    assert values.integrations == ("a", "b")


@pytest.mark.parametrize("given", ["2026-09-01", "2026-09-01T00:00:00Z", "2026-09-01T02:00:00+02:00"])
def test_dates_are_utc(tmp_path: Path, given: str) -> None:
    """A date is midnight UTC; a zone is heeded."""
    settings = _load(tmp_path, **{PREFIX + "START_DATE": given})
    assert settings.start(datetime.now(UTC)) == datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("lookback_minutes", "inf"),
        ("lookback_minutes", "1e12"),
        ("timeout_s", "inf"),
        ("timeout_s", "nan"),
        ("fault_deadline_s", "1e9"),
        ("retention_days", "1e9"),
        ("rate_limit_period_s", "1e300"),
        ("rate_limit_requests", "1" + "0" * 30),
        ("schedule", "99 * * * *"),
        ("start_date", "0001-01-01"),
        ("start_date", "1969-12-31T23:59:59Z"),
        ("start_date", "2999-01-01"),
        ("start_date", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_numbers_and_dates_without_sense_are_named(tmp_path: Path, name: str, given: str) -> None:
    """What no clock, counter or calendar can hold is the setting's fault: the error names it with its value."""
    with pytest.raises(ConfigurationError, match=rf"^{name}: .*{re.escape(given)}"):
        _load(tmp_path, **{PREFIX + name.upper(): given})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('[sources.task_history.paragonn]\nsteps = "none"', "[sources.task_history.paragon]"),
        ("[sources.task_history.paragonn]", "[sources.task_history.paragon]"),
        ('[source.task_history.paragon]\nsteps = "none"', "[sources.task_history.paragon]"),
        ('[sources.task-history.paragon]\nsteps = "none"', "[sources.task_history.paragon]"),
        ('[sources.task_history]\nparagon = "none"', "[sources.task_history.paragon]"),
        ('[sources.task_history]\nsteps = "none"', "steps under [sources.task_history.paragon]"),
        (
            '[task_history_paragon_eu.source.task_history.paragon]\nsteps = "none"',
            "[task_history_paragon_eu.sources.task_history.paragon]",
        ),
        ('[sources.paragon]\nsteps = "none"', "steps under [sources.task_history.paragon]"),
        (
            '[task_histry_paragon.sources.task_history.paragon]\nsteps = "none"',
            "steps under [task_history_paragon.sources.task_history.paragon]",
        ),
        (
            '[task_history_paragon_eu]\napi_key = "none"',
            "api_key under [task_history_paragon_eu.sources.task_history.paragon]",
        ),
        ("sources = 3", "[sources]"),
        ("[sources]\ntask_history = 3", "[sources.task_history]"),
        ("[[sources.task_history]]\nsteps = 'none'", "[sources.task_history]"),
        ("task_history_paragon = 3", "[task_history_paragon]"),
        ("[task_history_paragon_eu]\nsources = 'x'", "[task_history_paragon_eu.sources]"),
        (
            "[task_history_sailpoint.sources]\ntask_history = false",
            "[task_history_sailpoint.sources.task_history]",
        ),
        (
            "[task_history_b3os.sources.task_history]\nb3os = 3",
            "[task_history_b3os.sources.task_history.b3os]",
        ),
        ("[sources.task_history.zendesk]\nkey = 1", "Systems: b3os, paragon, sailpoint, twinit."),
    ],
)
def test_sections_that_nobody_reads_are_named(tmp_path: Path, text: str, meant: str) -> None:
    """A section or setting that would be ignored is an error, with its file and what was probably meant."""
    _write(tmp_path, "config.toml", text)
    with pytest.raises(ConfigurationError, match=r"config\.toml") as caught:
        _load(tmp_path)
    assert meant in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SOURCES__TASK_HISTORY__PARAGONN__STEPS", PREFIX + "STEPS"),
        ("SOURCE__TASK_HISTORY__PARAGON__STEPS", PREFIX + "STEPS"),
        ("SOURCES__TASK_HISTRY__PARAGON__STEPS", PREFIX + "STEPS"),
        ("SOURCES__TASK_HISTORY__PARAGON_API_KEY", PREFIX + "API_KEY"),
        ("SOURCES__TASK_HISTORY__PARAGON", PREFIX + "…"),
        ("SOURCES__TASK_HISTORY", "SOURCES__TASK_HISTORY__…"),
        (
            "TASK_HISTORY_PARAGON_EU__SOURCES__TASK_HISTORY",
            "TASK_HISTORY_PARAGON_EU__SOURCES__TASK_HISTORY__…",
        ),
        ("SOURCES__PARAGON__STEPS", PREFIX + "STEPS"),
        ("SOURCES_TASK_HISTORY_PARAGON_STEPS", PREFIX + "STEPS"),
        ("SOURCES__TASK_HISTORY_PARAGON__STEPS", PREFIX + "STEPS"),
        ("sources__task_history__paragon__steps", PREFIX + "STEPS"),
        ("TASK_HISTORY__PARAGON__STEPS", PREFIX + "STEPS"),
        ("DESTINATION_DUCKDB_CREDENTIALS", "DESTINATION__DUCKDB__CREDENTIALS"),
        ("DESTINATION__DUCKDB_CREDENTIALS", "DESTINATION__DUCKDB__CREDENTIALS"),
        ("destination__duckdb__credentials__database", "DESTINATION__DUCKDB__CREDENTIALS__DATABASE"),
        ("TASK_HISTORY_PARGON_EU__" + PREFIX + "API_KEY", "TASK_HISTORY_PARAGON_EU__" + PREFIX + "API_KEY"),
        ("TASK_HISTORY_PARAGON_EU__API_KEY", "TASK_HISTORY_PARAGON_EU__" + PREFIX + "API_KEY"),
        ("TASK_HISTORY_UMSK", "TASK_HISTORY_UMASK"),
        ("TASK_HISTORY_STATEDIR", "TASK_HISTORY_STATE_DIR"),
        ("TASK_HISTRY_STATE", "TASK_HISTORY_STATE"),
    ],
)
def test_variables_that_nobody_reads_are_named(tmp_path: Path, name: str, meant: str) -> None:
    """A variable that would be ignored is an error, with what was probably meant and without its value."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        _load(tmp_path, **{name: "abcdefgh-secret"})
    assert meant in str(caught.value)
    assert "abcdefgh" not in str(caught.value)


def test_a_variable_beside_the_right_one_is_let_be(tmp_path: Path) -> None:
    """Someone's own variable, from which the setting is filled, does no harm; others say nothing of this project."""
    own = {"SOURCES_TASK_HISTORY_PARAGON_API_KEY": "x", "TASK_HISTORY_VENV": "x", "PARAGON_API_KEY": "x"}
    assert _load(tmp_path, **own).has_key


def test_the_variables_of_the_code_are_known() -> None:
    """A new variable is added to those that misspelled names are compared with."""
    used = set()
    for file in (*ROOT.glob("sources/**/*.py"), *ROOT.glob("pipelines/**/*.py")):
        used |= set(re.findall(r"[\"'](TASK_HISTORY_[A-Z_]*[A-Z])[\"']", file.read_text(encoding="utf-8")))
    assert used == set(VARIABLES)


def test_sections_of_dlt_and_of_others_are_let_be(tmp_path: Path) -> None:
    """dlt's own sections, other sources, other pipelines and other variables are none of our business."""
    _write(
        tmp_path,
        "config.toml",
        """
        [runtime]
        log_level = "ERROR"
        [sources.data_writer]
        disable_compression = true
        [sources.zendesk]
        subdomain = "us"
        [sources.task_histories.paragraph]
        of = "another"
        [sources.task_history]
        max_table_nesting = 0
        [sources.task_history.data_writer]
        buffer_max_items = 100
        [sources.task_history.paragon.data_writer]
        buffer_max_items = 100
        [nightly.sources.task_history.paragon]
        steps = "none"
        [task_history_paragon.destination.duckdb]
        credentials = "other.duckdb"
        [destination.task_history]
        destination_type = "duckdb"
        """,
    )
    others = {
        "TASK_HISTORY_STATE_DIR": "x",
        "SOURCES": "main contrib",
        "TASK_HISTORY_PARAGON": "x",
        "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
        PREFIX + "DATA_WRITER__BUFFER_MAX_ITEMS": "100",
    }
    assert _load(tmp_path, **others).values.steps == "all"


def test_broken_file_is_named_without_its_lines(tmp_path: Path) -> None:
    """A file that is no TOML is named; a key in it is not repeated."""
    _write(tmp_path, "secrets.toml", "[sources.task_history.paragon]\napi_key = abcdefgh-secret\n")
    with pytest.raises(ConfigurationError, match=r"secrets\.toml") as caught:
        _load(tmp_path)
    assert "abcdefgh" not in str(caught.value)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    """Settings can be printed: no key is in it."""
    assert "secret-key-1" not in repr(_load(tmp_path))


@pytest.mark.parametrize("name", names())
def test_every_setting_has_a_field_of_its_type(tmp_path: Path, name: str) -> None:
    """What is set is an instance of the system's own class, each value of the type that is stated."""
    values = load(name, folder=tmp_path, environ={}, allow_missing=True).values
    assert isinstance(values, find(name).settings)
    for setting in settings_of(find(name)).values():
        value = getattr(values, setting.name)
        assert value is None or isinstance(
            value, (setting.type, int) if setting.type is float else setting.type
        )


PLACES = {"config.toml": "project_id", "secrets.toml": "api_key"}


@pytest.mark.parametrize("file", PLACES)
def test_placeholders_are_refused_with_their_file(tmp_path: Path, file: str) -> None:
    """What ``dlt init`` writes for a value that is not set is named with its key and file; nothing is sent with it."""
    name = PLACES[file]
    _write(tmp_path, file, f'[sources.task_history.paragon]\n{name} = "<configure me>"\n')
    environ = {key: value for key, value in NEEDED.items() if not key.endswith(name.upper())}
    environ["DLT_DATA_DIR"] = str(tmp_path / "global")
    with pytest.raises(ConfigurationError, match=rf"^{name}: '<configure me>' .*{re.escape(file)}"):
        load("paragon", folder=tmp_path, environ=environ)
    assert getattr(load("paragon", folder=tmp_path, environ=environ, allow_missing=True).values, name) is None


def test_a_placeholder_of_a_secret_that_need_not_be_set_is_none(tmp_path: Path) -> None:
    """``dlt init`` writes one for every secret of all systems, so that those nobody needs may stay as they are."""
    _write(tmp_path, "secrets.toml", '[sources.task_history.paragon]\nhash_key = "<configure me>"\n')
    environ = {**NEEDED, "DLT_DATA_DIR": str(tmp_path / "global")}
    assert load("paragon", folder=tmp_path, environ=environ).values.hash_key is None


@pytest.mark.parametrize("value", ["[1]", '["slack", 2.5]', "[true]", '[["slack"]]'])
def test_lists_hold_texts(tmp_path: Path, value: str) -> None:
    """What is no text in a list is refused, and not taken for a name that nothing has."""
    _write(tmp_path, "config.toml", f"[sources.task_history.paragon]\nintegrations = {value}\n")
    with pytest.raises(ConfigurationError, match=r"^integrations: .*a list of texts"):
        _load(tmp_path)


@pytest.mark.parametrize("value", ['"<configure me>"', '["<configure me>"]', '["a", " <configure me> "]'])
def test_placeholders_in_lists_are_refused(tmp_path: Path, value: str) -> None:
    """A list with a placeholder in it is not set either."""
    _write(tmp_path, "config.toml", f"[sources.task_history.paragon]\nintegrations = {value}\n")
    with pytest.raises(ConfigurationError, match=r"^integrations: '<configure me>' .*config\.toml"):
        _load(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", "workflow_id,integration,workflow_name\nw1,slack,Alerts\nw2,,\n"),
        ("map.json", '{"w1": {"integration": "slack", "workflow_name": "Alerts"}, "w2": null}'),
        (
            "map.json",
            '[{"workflow_id": "w1", "integration": "slack", "workflow_name": "Alerts"}, {"workflow_id": "w2"}]',
        ),
        ("map.toml", '[workflows.w1]\nintegration = "slack"\nworkflow_name = "Alerts"\n[workflows.w2]\n'),
    ],
)
def test_mapping_files(tmp_path: Path, name: str, text: str) -> None:
    """CSV, JSON and TOML say the same."""
    path = tmp_path / name
    path.write_text(text)
    assert read_map(str(path)) == {
        "w1": WorkflowIntegration("slack", "Alerts"),
        "w2": WorkflowIntegration(None, None),
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("map.csv", "a,b\n1,2\n", "lacks workflow_id"),
        ("map.csv", "", "lacks workflow_id"),
        ("map.csv", "workflow_id;integration\nw1;slack\n", "lacks workflow_id"),
        ("map.csv", "workflow_id,workflow_name\nw1,Alerts\n", "lacks integration"),
        ("map.json", '[{"integration": "slack"}]', "lacks workflow_id"),
        ("map.json", "{", "has not the expected form"),
        ("map.txt", "", r"ends in none of \.csv"),
        ("map", "", r"ends in none of \.csv"),
    ],
)
def test_mapping_files_of_another_form_are_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    """The error names the setting, what is wrong, and the columns."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"workflow_map.*{reason}.*workflow_id, integration and"):
        read_map(str(path))
