"""Which DuckDB file the settings name, and what is refused because it names none."""

from __future__ import annotations

from pathlib import Path

import dlt
import pytest

from task_history.core.errors import ConfigurationError
from task_history.load.dlt_internals import DuckDbCredentials
from task_history_cli.runtime import target
from task_history_cli.runtime.target import find_target

SETTING = "DESTINATION__DUCKDB__CREDENTIALS"


def _file(folder: Path, **variables: str) -> Path | None:
    environ = {"DLT_DATA_DIR": str(folder / "dlt"), **variables}
    return find_target(None, "task_history_paragon", environ=environ, folder=folder).file


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("w.duckdb", "w.duckdb"),
        ("duckdb:w.duckdb", "w.duckdb"),
        ("duckdb://w.duckdb", "w.duckdb"),
        ("duckdb:///w.duckdb", "w.duckdb"),
        ("duckdb:///a%20b.duckdb", "a b.duckdb"),
        ("a%20b.duckdb", "a%20b.duckdb"),
        ("duckdb:///{here}/w.duckdb", "w.duckdb"),
        ("duckdb:////{here}/w.duckdb", "w.duckdb"),
    ],
)
def test_a_file_is_named_in_many_ways(
    value: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain path, and an address with up to five slashes, name a file."""
    monkeypatch.chdir(tmp_path)
    assert _file(tmp_path, **{SETTING: value.format(here=tmp_path)}) == tmp_path / path


@pytest.mark.parametrize("prefix", ["", "TASK_HISTORY_PARAGON__"])
def test_the_database_in_a_variable_of_its_own(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dlt's own variable for the file is heeded, with the pipeline's section before it too."""
    monkeypatch.chdir(tmp_path)
    assert _file(tmp_path, **{f"{prefix}{SETTING}__DATABASE": "w.duckdb"}) == tmp_path / "w.duckdb"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("md:analytics", "--destination motherduck"),
        ("motherduck:analytics", "--destination motherduck"),
        ("duckdb:///md:analytics", "--destination motherduck"),
        (":memory:", "Name a file"),
        (":memory:name", "Name a file"),
        (":external:", "Name a file"),
        (":pipeline:", "Name a file"),
        ("", "it is empty"),
        ("duckdb:///", "it is empty"),
        ("data", "is a folder"),
        ("new/", "is a folder"),
        ("missing/w.duckdb", "there is no folder"),
        ("s3://bucket/w.duckdb", "is an address"),
        ("https://user:Sup3rS3cret@host/w.duckdb?sig=Sup3rS3cret", "'https://host/w.duckdb' is an address"),
        ("postgres://user:Sup3rS3cret@host/db", "--destination postgres"),
        ("file:///tmp/w.duckdb", "is an address"),
        ("sqlite:///w", "is an address"),
        ("ducklake:w", "give --destination ducklake"),
        ("duckdb:///w.duckdb?token=Sup3rS3cret", "options after a ?"),
        ("x" * 300, "no path of a file"),
        ("a\0b", "no path of a file"),
        ("~no-such-user/w.duckdb", "no path of a file"),
    ],
)
def test_what_names_no_file_is_refused(
    value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another service, memory, a folder or an address is refused with the way to go, and makes no file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError, match=r"^destination\.duckdb\.credentials") as error:
        _file(tmp_path, **{SETTING: value})
    assert message in str(error.value)
    assert "Sup3r" not in str(error.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_a_database_of_sqlite_is_refused(tmp_path: Path) -> None:
    """DuckDB would download its extension for SQLite to open such a file."""
    file = tmp_path / "w.duckdb"
    file.write_bytes(b"SQLite format 3\0" + bytes(4080))
    with pytest.raises(ConfigurationError, match=r"is a database of SQLite\. Name another file"):
        _file(tmp_path, **{SETTING: str(file)})


@pytest.mark.parametrize(
    "name",
    [
        "DESTINATION__DUCKDB__CREDENTIAL",
        "DESTINATION__DUKDB__CREDENTIALS",
        "DESTINATIONS__DUCKDB__CREDENTIALS",
        "DESTINATION__DUCKDB__CREDENTIALS__DATABSE",
        "TASK_HISTORY_PARAGON__DESTINATION__DUCKDB__CREDENTAILS",
        "DESTINATION__DUCKDB__CREATE_INDEX",
        "DESTINATION__DUCKDB__CREDENTIALS__EXTENSION",
        "DESTINATION__DUCKDB__CREDENTIALS__SESION_TIMEZONE",
    ],
)
def test_a_misspelled_variable_is_not_ignored(name: str, tmp_path: Path) -> None:
    """A misspelled setting of the warehouse is named with the right one, where dlt would use another file."""
    with pytest.raises(
        ConfigurationError,
        match=rf"no setting {name} .*Did you mean .*DUCKDB__C",
    ):
        _file(tmp_path, **{name: "w.duckdb"})


@pytest.mark.parametrize(
    "name", ["PATH", "DATABASE", "CREDS", "FILE", "CREDENTIALS__PATH", "CREDENTIALS__FILE"]
)
def test_a_setting_that_dlt_does_not_know_is_not_ignored(name: str, tmp_path: Path) -> None:
    """What resembles no setting of the warehouse is refused with all that there are, in files as well."""
    with pytest.raises(
        ConfigurationError, match=f"no setting DESTINATION__DUCKDB__{name} .*Settings there: .*(data|cred)"
    ):
        _file(tmp_path, **{f"DESTINATION__DUCKDB__{name}": "w.duckdb"})
    (tmp_path / ".dlt").mkdir()
    *section, key = ("destination", "duckdb", *name.lower().split("__"))
    (tmp_path / ".dlt" / "config.toml").write_text(f'[{".".join(section)}]\n{key} = "w.duckdb"\n')
    with pytest.raises(ConfigurationError, match=rf"{key} under .*config\.toml.*Settings there: "):
        _file(tmp_path)


def test_the_known_settings_of_duckdb_are_those_of_dlt() -> None:
    """They are stated, since dlt is slow to import; what dlt sets by itself is no setting, and
    ``storage_version`` is this project's."""
    spec = dlt.destinations.duckdb.spec
    of_dlt = {"dataset_name", "destination_name", "pipeline_name", "pipeline_working_dir"}
    assert set(spec.get_resolvable_fields()) - of_dlt == target._DUCKDB_SETTINGS - {"storage_version"}
    assert set(DuckDbCredentials.get_resolvable_fields()) - {"conn_pool"} == target._DUCKDB_CREDENTIALS


@pytest.mark.parametrize(
    ("destination", "name", "right"),
    [
        ("bigquery", "LOCATON", "LOCATION"),
        ("bigquery", "MAXIMUM_BYTE_BILLED", "MAXIMUM_BYTES_BILLED"),
        ("postgres", "CREATE_INDEX", "CREATE_INDEXES"),
    ],
)
def test_misspelled_settings_of_other_warehouses(
    destination: str, name: str, right: str, tmp_path: Path
) -> None:
    """Those of any destination of dlt are known by dlt's own declaration."""
    own = f"DESTINATION__{destination.upper()}__"
    with pytest.raises(ConfigurationError, match=f"no setting {own}{name} .*Did you mean {own}{right}"):
        find_target(destination, "any", environ={own + name: "1"}, folder=tmp_path)


def test_a_misspelled_key_of_a_file_is_not_ignored(tmp_path: Path) -> None:
    """So is one in a TOML file; a destination that has a type of its own is another one."""
    (tmp_path / ".dlt").mkdir()
    file = tmp_path / ".dlt" / "secrets.toml"
    file.write_text('[destination.duckdb]\ncredential = "w.duckdb"\n')
    with pytest.raises(
        ConfigurationError, match=r"credential under \[destination\.duckdb\].*credentials under"
    ):
        _file(tmp_path)
    file.write_text('[destination.duckdb2]\ndestination_type = "duckdb"\ncredentials = "w.duckdb"\n')
    assert _file(tmp_path) is not None
