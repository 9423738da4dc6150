"""The dbt package compiles for BigQuery: Google's analyzer takes each model and test that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import yaml

from tests.destinations.bigquery.gates import gate_with_views
from tests.support.dbt_projects import (
    approximate_percentiles,
    copy_package,
    imported_dbt,
    make_bigquery_adapter,
    make_project,
)

MODELS = ("task_history_executions", "task_history_steps", "task_history_time_spine")
"""In the order in which dbt builds them."""


def _measures(folder: Path) -> list[tuple[str, str]]:
    """Model and expression of each measure, entity and dimension of the semantic models."""
    models: list[dict[str, Any]] = yaml.safe_load(
        (folder / "package" / "models" / "semantic.yml").read_text("utf-8")
    )["semantic_models"]
    return [
        (model["name"], one.get("expr", one["name"]))
        for model in models
        for one in (*model["entities"], *model["dimensions"], *model["measures"])
    ]


def test_bigquery_takes_the_dbt_package(tmp_path: Path) -> None:
    """Models of a first and of a later build, the package's tests and those of the sources, and metrics' expressions."""
    make_bigquery_adapter(tmp_path / "adapter")
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "lab.duckdb"  # named as the project, which is what dbt calls a database
    make_project(folder, file, "bigquery")
    copy_package(folder)

    # As ``dbt deps`` installs a package that is a folder.
    (folder / "dbt_packages").mkdir()
    (folder / "dbt_packages" / "task_history").symlink_to(folder / "package")
    with imported_dbt(folder, PYTHONPATH=str(tmp_path / "adapter")) as dbt:

        def compiled(*words: str) -> dict[str, str]:
            dbt("compile", *words)
            files = (folder / "target" / "compiled" / "task_history").rglob("*.sql")
            return {found.stem: found.read_text("utf-8") for found in files}

        first = compiled()
        with duckdb.connect(str(file)) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS analytics")
            for name in MODELS:
                connection.execute(f"CREATE TABLE analytics.{name} (loaded_at TIMESTAMPTZ)")
        # What else there is asks no table how far it is.
        later = compiled("--select", *MODELS)
    gate, _ = gate_with_views()
    # A recursion ends after 500 rounds: https://cloud.google.com/bigquery/quotas#query_jobs
    assert not [name for name, sql in first.items() if "recursive" in sql.lower()]
    for name in MODELS:
        assert gate.analyse(f"CREATE TABLE `lab`.`analytics`.`{name}` AS {first[name]}") == [], name
    assert {name for name in later if later[name] != first[name]} == set(MODELS[:2])
    assert len(later) > 100
    for sql in later.values():
        assert gate.analyse(sql) == [], sql
    for model, expression in _measures(folder):
        assert gate.analyse(f"SELECT {expression} FROM `lab`.`analytics`.`{model}`") == [], expression
    assert approximate_percentiles(folder) == {"median_duration_s": True, "p95_duration_s": True}
