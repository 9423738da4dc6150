"""dbt reads the sources as they are printed: every table is there, every test holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from task_history import systems
from task_history.views import create as creating
from task_history.views import dictionary, semantic
from task_history.views.relations import ShownDataset
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.support import made_warehouse
from tests.support.dbt_projects import approximate_percentiles, copy_package, imported_dbt, make_project
from tests.support.few_views import few_views
from tests.support.place import Place
from tests.support.torture import rest_as_torture
from tests.unit.views.test_views import access

MODEL = """
select integration, count(*) as failures
from {{ source('task_history', 'executions') }} as e
where status = 'failed' and execution_id in (select id from {{ source('paragon', 'workflow_executions') }})
group by integration
"""


FRESHNESS = ("source", "freshness", "--select", "source:paragon", "source:task_history")


@pytest.mark.torture
@pytest.mark.parametrize("names", ["paragon sailpoint", " ".join(systems.names())])
def test_dbt_takes_the_sources(tmp_path: Path, names: str) -> None:
    """A project with the printed sources builds a model over them, all its tests hold, and freshness is judged."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        for system in names.split():
            made_warehouse.empty(connection, system, system)
        made_warehouse.fill(connection, executions=300, now="now()")
        creating.refresh(access(connection))
        sources = dictionary.dbt_sources(creating.datasets(access(connection)))
        (failures,) = connection.execute(
            "SELECT count(*) FROM task_history.executions WHERE status = 'failed'"
        ).fetchone() or (0,)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sources.yml").write_text(sources, "utf-8")
    (tmp_path / "models" / "failures.sql").write_text(MODEL)
    make_project(tmp_path, file)
    with imported_dbt(tmp_path) as dbt:
        dbt("build")
        dbt(*FRESHNESS)
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT sum(failures) FROM analytics.failures").fetchone() == (failures,)


def test_tables_that_are_not_there_are_no_sources() -> None:
    """A second account has its dataset's name; a table that an earlier version did not create is left out."""
    lacking = frozenset(
        {("replays", column.name) for column in common_tables.REPLAYS.columns}
        | {("workflow_executions", "loaded_at")}
    )
    dataset = ShownDataset("paragon_eu", systems.find("paragon"), "eu", lacking)
    (_, source) = yaml.safe_load(dictionary.dbt_sources([dataset]))["sources"]
    assert source["name"] == "paragon_eu"
    columns = {table["name"]: {column["name"] for column in table["columns"]} for table in source["tables"]}
    assert "replays" not in columns
    assert "loaded_at" not in columns["workflow_executions"]
    assert "loaded_at" in columns["step_executions"]


BACKFILL = ("backfill", "paragon", "--from", "2026-02-20", "--to", "2026-02-25")
SYNC = ("sync", "paragon")


BUILDS: dict[str, list[list[tuple[str, ...]]]] = {
    "each": [[SYNC], [BACKFILL], [SYNC]],
    "two": [[SYNC], [BACKFILL, SYNC]],
}
"""The commands before each build."""


MODELS = ("task_history_executions",)
LAST_MODELS = (
    *MODELS,
    "failures",
    "task_history_time_spine",
    *(
        f"source:{name}"
        for name in ("task_history.executions", "paragon.workflow_executions", "paragon.coverage")
    ),
)
"""What is built where not all is."""


def install(folder: Path, dbt: Callable[..., None], builds: str) -> None:
    """Installs the package: by ``dbt deps``, which takes two seconds, and in ``make test`` as that does."""
    if builds == "each":
        dbt("deps")
    else:
        (folder / "dbt_packages").mkdir()
        (folder / "dbt_packages" / "task_history").symlink_to(folder / "package")


@pytest.mark.parametrize("builds", rest_as_torture(BUILDS, ["two"]))
def test_the_incremental_model_has_every_execution(tmp_path: Path, builds: str) -> None:
    """Built after a sync, after a backfill of older days and a further sync, it equals the view.

    A model of the user's over the sources is built. The package's semantic models are valid: each metric is of a measure.
    After each of three builds all tests hold of the sources that are printed once one system is loaded, of which others
    are no part, and their freshness is judged.
    """
    is_short = builds == "two"
    with (
        SandboxProcess(
            executions=300, seed=5, days=30, now="2026-03-01T12:00:00+00:00", freeze=True
        ) as sandbox,
        imported_dbt(tmp_path) as dbt,
        few_views("executions", "steps", "step_performance") if is_short else nullcontext(),
    ):
        place = Place(tmp_path, sandbox, start_date="2026-02-25", retention_days=0)
        if is_short:
            place.set(steps="none")
        copy_package(tmp_path)
        make_project(tmp_path, place.file)
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "failures.sql").write_text(MODEL)
        assert "name: sailpoint" in place.run("views", "--dbt").stdout
        for number, commands in enumerate(BUILDS[builds], 1):
            for command in commands:
                place.run(*command)
                sandbox.advance(26 * 3600)
            sources = place.run("views", "--dbt").stdout
            (tmp_path / "package" / "models" / "sources.yml").write_text(sources, "utf-8")
            if not (tmp_path / "dbt_packages").exists():
                install(tmp_path, dbt, builds)
            is_last = number == len(BUILDS[builds])
            models = LAST_MODELS if is_short and is_last else MODELS
            dbt("build", *(() if is_last and not is_short else ("--select", *models)))
            columns = "execution_id, status, loaded_at"
            of_model = place.query(f"SELECT {columns} FROM analytics.task_history_executions ORDER BY ALL")
            assert of_model == place.query(f"SELECT {columns} FROM task_history.executions ORDER BY ALL")
        assert len({at for *_, at in of_model}) >= 3
        if not is_short:
            dbt(*FRESHNESS)
        failures = "SELECT count(*) FROM task_history.executions WHERE status = 'failed'"
        assert place.query("SELECT sum(failures) FROM analytics.failures") == place.query(failures)
        (first,) = place.query("SELECT min(started_at)::DATE FROM task_history.executions")
        ((since, is_long, days),) = place.query(
            "SELECT min(date_day), max(date_day) >= current_date + 364, count(*) "
            "FROM analytics.task_history_time_spine"
        )
        assert (since, is_long) == (*first, True)
        assert days > (datetime.now(UTC).date() - since).days + 364
    names = {source["name"] for source in yaml.safe_load(sources)["sources"]}
    assert names == {"task_history", "paragon"}
    manifest = json.loads((tmp_path / "target" / "semantic_manifest.json").read_text("utf-8"))
    assert {model["name"] for model in manifest["semantic_models"]} == {
        "task_history_executions",
        "task_history_steps",
    }
    assert approximate_percentiles(tmp_path) == {"median_duration_s": False, "p95_duration_s": False}
    metrics = {metric["name"] for metric in manifest["metrics"]}
    assert {"executions", "failed_executions", "failure_rate", "tasks", "p95_duration_s"} <= metrics


def test_measures_are_those_of_the_views(tmp_path: Path) -> None:
    """Each measure's SQL runs over its view, and gives what independent SQL over the raw table gives."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        made_warehouse.empty(connection, "paragon", "paragon")
        made_warehouse.fill(connection, executions=300, now="now()")
        creating.refresh(access(connection))
        models = yaml.safe_load(semantic.semantic_models())["semantic_models"]
        found = {}
        for model, view in zip(models, ("executions", "steps"), strict=True):
            for measure in model["measures"]:
                function = {
                    "sum": "sum({})",
                    "count_distinct": "count(DISTINCT {})",
                    "percentile": "quantile_cont({}, {})",
                }[measure["agg"]].format(measure["expr"], measure.get("agg_params", {}).get("percentile"))
                sql = f"SELECT {function} FROM task_history.{view}"
                (found[measure["name"]],) = connection.execute(sql).fetchone() or (None,)
            key = model["entities"][0]["expr"]
            twice = f"SELECT {key} FROM task_history.{view} GROUP BY 1 HAVING count(*) > 1"
            assert connection.execute(twice).fetchall() == []
            shown = {column for column, *_ in connection.execute(f"DESCRIBE task_history.{view}").fetchall()}
            assert {dimension["name"] for dimension in model["dimensions"]} <= shown
        raw = connection.execute(
            "SELECT count(*), count(*) FILTER (status = 'FAILED'), count(*) FILTER (NOT is_open), "
            "sum(task_count), count(DISTINCT user_id) FROM paragon.workflow_executions"
        ).fetchone()
        seconds = connection.execute(
            "SELECT quantile_cont(epoch(date_ended) - epoch(date_started), 0.5), "
            "quantile_cont(epoch(date_ended) - epoch(date_started), 0.95) FROM paragon.workflow_executions"
        ).fetchone()
    names = ("executions", "failed_executions", "ended_executions", "tasks", "users")
    assert tuple(found[name] for name in names) == raw
    assert seconds == pytest.approx((found["median_duration_s"], found["p95_duration_s"]), abs=0.002)
