"""Projects of dbt over a warehouse in a DuckDB file, also such whose models are compiled as for BigQuery."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import environments
from tests.support.imported_python import ImportedPython
from tests.support.place import ROOT

PACKAGE = ROOT / "docs" / "how-to" / "dbt"
PROFILE = """
reads:
  target: dev
  outputs:
    dev: {{type: {adapter}, path: {file}, schema: analytics}}
"""
# dbt's own adapter for BigQuery brings several hundred megabytes of Google's clients, which compiling does not use.
BIGQUERY = """
from dataclasses import dataclass
from pathlib import Path

from dbt.adapters.base import AdapterPlugin
from dbt.adapters.duckdb import DuckDBAdapter, DuckDBConnectionManager, DuckDBCredentials
from dbt.adapters.duckdb.relation import DuckDBRelation


@dataclass
class Credentials(DuckDBCredentials):
    @property
    def type(self):
        return "bigquery"


@dataclass(frozen=True, eq=False, repr=False)
class BacktickRelation(DuckDBRelation):
    quote_character: str = "`"


class Connections(DuckDBConnectionManager):
    TYPE = "bigquery"


class Adapter(DuckDBAdapter):
    ConnectionManager = Connections
    Relation = BacktickRelation


Plugin = AdapterPlugin(Adapter, Credentials, str(Path(__file__).parent), ["duckdb"])
"""
# dateadd as in BigQuery's adapter, and what that takes from dbt's defaults where DuckDB's adapter has its own.
# https://docs.getdbt.com/reference/dbt-jinja-functions/cross-database-macros#dateadd
BIGQUERY_MACROS = """
{% macro bigquery__dateadd(datepart, interval, from_date_or_timestamp) %}
    datetime_add(cast({{ from_date_or_timestamp }} as datetime), interval {{ interval }} {{ datepart }})
{% endmacro %}
{% macro bigquery__type_int() %}int64{% endmacro %}
{% macro bigquery__generate_series(upper_bound) %}
    {{ return(dbt.default__generate_series(upper_bound)) }}
{% endmacro %}
"""
_OPTIONS = ("--no-use-colors",)
_PROFILES = ("--profiles-dir", ".")
_IMPORT = "from dbt.cli.main import dbtRunner"


def make_project(folder: Path, file: Path, adapter: str = "duckdb") -> None:
    """Writes a dbt project for the warehouse, without models."""
    (folder / "dbt_project.yml").write_text(
        'name: reads\nversion: "1.0"\nprofile: reads\nmodel-paths: [models]\n'
    )
    (folder / "profiles.yml").write_text(PROFILE.format(adapter=adapter, file=file))


def copy_package(folder: Path) -> None:
    """Copies the dbt package into a folder of a project, as a user does, and names it in the project."""
    shutil.copytree(PACKAGE, folder / "package")
    (folder / "packages.yml").write_text("packages:\n  - local: package\n")


def make_bigquery_adapter(folder: Path) -> None:
    """Writes an adapter whose models and names are BigQuery's, and whose connection is one to a DuckDB file.

    Of dbt's cross-database macros it has those that the package uses; others are DuckDB's, which BigQuery refuses.
    ``folder`` is for the variable PYTHONPATH.
    """
    package = folder / "dbt" / "adapters" / "bigquery"
    (package / "macros").mkdir(parents=True)
    (package / "__init__.py").write_text(BIGQUERY)
    (package / "__version__.py").write_text('version = "1.10.0"\n')
    (package / "dbt_project.yml").write_text("name: dbt_bigquery\nversion: 1.0.0\nconfig-version: 2\n")
    (package / "macros" / "macros.sql").write_text(BIGQUERY_MACROS)


@contextmanager
def imported_dbt(folder: Path, **environ: str) -> Iterator[Callable[..., None]]:
    """Runs dbt in the project, to success, with the words that are given: each in a process of its own.

    ``environ`` are variables of all of them.
    """
    python, env = environments.dbt().parent / "python", {**_environ(), **environ}
    with ImportedPython(python, f"import dbt.adapters.duckdb; {_IMPORT}", env, folder) as imported:

        def run(*words: str) -> None:
            done = imported.run(
                f"{_IMPORT}; import sys; sys.exit(not dbtRunner().invoke(sys.argv[1:]).success)",
                *(*_OPTIONS, *words, *_PROFILES),
                folder=folder,
                env=env,
            )
            assert done.returncode == 0, done.stdout[-3000:]

        yield run


def _environ() -> dict[str, str]:
    return {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


def approximate_percentiles(folder: Path) -> dict[str, bool]:
    """The project's measures that are percentiles, each with whether it is an approximate one."""
    manifest = json.loads((folder / "target" / "semantic_manifest.json").read_text("utf-8"))
    measures = [measure for model in manifest["semantic_models"] for measure in model["measures"]]
    assert not [measure["name"] for measure in measures if measure["agg"] == "median"], "BigQuery has none"
    return {
        measure["name"]: measure["agg_params"]["use_approximate_percentile"]
        for measure in measures
        if measure["agg"] == "percentile"
    }
