"""Names of datasets and accounts: refused before anything is sent, with the name that would work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given
from hypothesis import strategies as st

from task_history.core.errors import ConfigurationError
from task_history.core.naming import snake_case
from task_history.settings_reader import Settings, datasets, load
from task_history.systems import names
from task_history.views.relations import of_name
from task_history_cli.runtime import target
from tests.support.budgets import Vendor
from tests.support.place import Place


def _load(system: str, folder: Path, dataset: str | None = None, instance: str | None = None) -> Settings:
    environ = {"DLT_DATA_DIR": str(folder / "global")}
    prefix = f"SOURCES__TASK_HISTORY__{system.upper()}__"
    if dataset is not None:
        environ[prefix + "DATASET_NAME"] = dataset
    if instance and snake_case(instance) == instance:
        environ[f"TASK_HISTORY_{system.upper()}_{instance.upper()}__{prefix}API_KEY"] = "its own key"
    return load(system, instance=instance, folder=folder, environ=environ, allow_missing=True)


@given(
    st.text(
        st.characters(exclude_categories=("Nd", "Cs")) | st.sampled_from("aAbB19_-+*@| .é\n"), max_size=12
    ).filter(str.strip)
)
def test_a_name_is_normalised_as_dlt_does(name: str) -> None:
    """What is said of a name is what dlt makes of it."""
    assert NamingConvention().normalize_identifier(name) == snake_case(name)


@pytest.mark.parametrize("system", names())
@pytest.mark.parametrize(
    ("dataset", "better"),
    [
        ("ProdParagon", "prod_paragon"),
        ("prod-paragon", "prod_paragon"),
        ("my data", "my_data"),
        ("2026data", "_2026data"),
        ("a__b", "a_b"),
        ("trailing_", "trailingx"),
        ("münchen", "m_nchen"),
        ("mönchen", "m_nchen"),
        ("日本", "x"),
        ("paragon_٣", "paragonxx"),
        ("x\" AS t; COPY (SELECT 1) TO '/tmp/x' --", "x_as_t_copy_select_1_to_tmp_xxxx"),
        ("task_history", "task_history_data"),
        ("TASK_HISTORY", "task_history_data"),
        ("main", "main_data"),
        ("task_history_state", "task_history_state_data"),
        ("information_schema", "information_schema_data"),
        ("pg_temp", "temp_data"),
        ("pg_history", "history"),
        ("prod_staging", "prod_staging_data"),
        ("prod_backfill_staging", "prod_backfill_staging_data"),
        ("x" * 102, "x" * 91),
    ],
)
def test_a_dataset_that_would_be_another_is_refused(
    system: str, dataset: str, better: str, tmp_path: Path
) -> None:
    """Only names that dlt leaves as they are and that nothing else takes; the error names one that is taken."""
    with pytest.raises(ConfigurationError, match=f"Name it {re.escape(better)}\\.$") as refused:
        _load(system, tmp_path, dataset)
    assert "dataset_name" in str(refused.value)
    assert _load(system, tmp_path, better).dataset_name == better


@pytest.mark.parametrize(
    "dataset", ["prod_paragon", "a_b", "_2026data", "m_nchen", "staging", "security_audit"]
)
def test_names_of_earlier_versions_go_on(dataset: str, tmp_path: Path) -> None:
    """What was loaded under a name of its own stays where it is."""
    assert _load("paragon", tmp_path, dataset).dataset_name == dataset


@pytest.mark.parametrize(
    ("instance", "better"),
    [
        ("staging", "staging_data"),
        ("eu_staging", "eu_staging_data"),
        ("backfill", "backfill_data"),
        ("audit", "audit_data"),
        ("replay", "replay_data"),
        ("eu_backfill", "eu_backfill_data"),
        ("Eu", "eu"),
        ("a__b", "a_b"),
        ("münchen", "m_nchen"),
        ("eu_", "eux"),
        ("_eu", "eu"),
        ("2", "second"),
        ("", "second"),
        ('eu"; DROP', "eu_drop"),
        ("x" * 30, "x" * 19),
        ("Long_Name_" * 20, "long_name_long_name"),
    ],
)
def test_an_account_that_would_meet_another_is_refused(instance: str, better: str, tmp_path: Path) -> None:
    """A further account's name gives a dataset and a pipeline that nothing else has."""
    with pytest.raises(ConfigurationError, match=f"Name it {better}\\.$"):
        _load("paragon", tmp_path, instance=instance)
    assert _load("paragon", tmp_path, instance=better).dataset_name == f"paragon_{better}"


@pytest.mark.parametrize("dataset", ["paragon", "paragon_backfill", "paragon_audit", "shared"])
def test_two_systems_do_not_share_a_dataset(dataset: str, tmp_path: Path) -> None:
    """Another system's dataset, and where its lanes stage, is not free, whichever name that system was given."""
    (tmp_path / ".dlt").mkdir()
    named = '[sources.task_history.b3os]\ndataset_name = "shared"\n'
    (tmp_path / ".dlt" / "config.toml").write_text(named)
    with pytest.raises(ConfigurationError, match=re.escape(f"Name it {dataset}_data.")):
        _load("twinit", tmp_path, dataset)


EU = "[task_history_paragon_eu.sources.task_history.paragon]\napi_key = 'its own'\n"


@pytest.mark.parametrize(
    ("section", "dataset", "instance", "better"),
    [
        ("sources.task_history.paragon", "paragon_eu", None, "paragon_eu_data"),
        ("sources.task_history.twinit", "paragon_eu", None, "paragon_eu_data"),
        ("sources.task_history.twinit", "paragon_eu_backfill", None, "paragon_eu_backfill_data"),
        ("task_history_b3os_eu.sources.task_history.b3os", "paragon", "eu", "eu_data"),
    ],
)
def test_no_two_accounts_share_a_dataset(
    section: str, dataset: str, instance: str | None, better: str, tmp_path: Path
) -> None:
    """The dataset of a further account is taken, for its own system's other accounts too."""
    (tmp_path / ".dlt").mkdir()
    named = EU + f'dataset_name = "paragon"\n[{section}]\ndataset_name = "{dataset}"\n'
    (tmp_path / ".dlt" / "config.toml").write_text(named)
    with pytest.raises(ConfigurationError, match=re.escape(f"Name it {better}.")) as refused:
        _load(section.rpartition(".")[2], tmp_path, None, instance)
    assert "that is the dataset of the account eu of paragon" in str(refused.value) or "backfill" in dataset


def test_a_further_account_may_share_the_first_part_of_its_dataset(tmp_path: Path) -> None:
    """What ``dataset_name`` says holds for all accounts of a system, each with its own name behind it."""
    assert _load("paragon", tmp_path, "prod", "eu").dataset_name == "prod_eu"


def test_views_know_the_dataset_of_every_account(tmp_path: Path) -> None:
    """Also one that is named neither as its system nor as the first account."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(EU + 'dataset_name = "west"\n')
    owners = datasets({"DLT_DATA_DIR": str(tmp_path / "global")}, tmp_path)
    named = {name: of_name(name, owners) for name in ("paragon", "west_eu", "west", "b3os_old", "marts")}
    assert {name: found and (found.system.name, found.instance) for name, found in named.items()} == {
        "paragon": ("paragon", ""),
        "west_eu": ("paragon", "eu"),
        "west": None,
        "b3os_old": ("b3os", "old"),
        "marts": None,
    }


def test_views_do_not_depend_on_the_settings_of_other_systems(tmp_path: Path) -> None:
    """A typing error in the settings of one system is its own commands' to name."""
    environ = {"SOURCES__TASK_HISTORY__SAILPOINT__TENNANT": "x", "SOURCES__TASK_HISTORY__B3OS__STEPS": "some"}
    assert set(datasets(environ, tmp_path)) == set(names())


@pytest.mark.parametrize(
    ("file", "dataset"),
    [("w.duckdb", "w"), ("W.db", "w"), ("w", "w"), ("task_history.duckdb", "task_history")],
)
def test_a_dataset_is_not_named_as_its_file(file: str, dataset: str, tmp_path: Path) -> None:
    """DuckDB takes both names for one and finds neither: said before anything is sent."""
    environ = {"DESTINATION__DUCKDB__CREDENTIALS": str(tmp_path / file), "DLT_DATA_DIR": str(tmp_path)}
    with pytest.raises(ConfigurationError, match=f"Give the file another name, such as {dataset}_warehouse"):
        target.find_target(None, "any", dataset=dataset, environ=environ, folder=tmp_path)
    assert target.find_target(None, "any", dataset="other", environ=environ, folder=tmp_path).file


@pytest.mark.parametrize("command", ["check", "sync", "status", "plan", "backfill", "audit", "why"])
def test_nothing_is_sent_under_such_a_name(command: str, tmp_path: Path, vendor: Vendor) -> None:
    """Each command ends with exit code 3 before the vendor hears of it, and leaves nothing behind."""
    url = f"http://127.0.0.1:{vendor.server_port}"
    place = Place(tmp_path, None, base_url=url, project_id="p", api_key="secret-key-1")
    month = ["--month", "2026-08"]
    more = {"plan": month, "backfill": month, "audit": month, "why": ["some-id"]}.get(command, [])
    place.set(dataset_name="ProdParagon")
    assert "Name it prod_paragon." in place.run(command, "paragon", *more, expect=3).stderr
    place.set(dataset_name=None)
    refused = place.run(command, "paragon", "--instance", "staging", *more, expect=3)
    assert "Name it staging_data." in refused.stderr
    assert vendor.arrivals == []
    assert list(tmp_path.iterdir()) == []
