"""Semantic models and metrics of MetricFlow (dbt) over executions and steps, with the descriptions of the views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .sql_file_reader import ViewColumn, views

EXECUTIONS, STEPS = "task_history_executions", "task_history_steps"
"""The dbt models that the semantic models describe; the dbt package contains both."""
_KEY = ("system", "instance")
_ENDED = "case when not is_open then 1 else 0 end"
_FAILED = "case when status = 'failed' then 1 else 0 end"
_Measure = tuple[str, str, str, str]
"""Name, aggregation (a percentile with its share), SQL expression, description."""
_OF_EXECUTIONS: tuple[_Measure, ...] = (
    ("executions", "sum", "1", "Executions that began."),
    ("ended_executions", "sum", _ENDED, "Executions that are not open any more."),
    ("failed_executions", "sum", _FAILED, "Executions whose status is failed."),
    ("tasks", "sum", "task_count", "Tasks that the vendor counts, and bills."),
    ("users", "count_distinct", "user_id", "Different users for whom executions began."),
    (
        "median_duration_s",
        "percentile 0.5",
        "duration_ms / 1000.0",
        "Seconds from start to end that half of the executions take at most.",
    ),
    (
        "p95_duration_s",
        "percentile 0.95",
        "duration_ms / 1000.0",
        "Seconds from start to end that 95 of 100 executions take at most.",
    ),
)
_OF_STEPS: tuple[_Measure, ...] = (
    ("step_runs", "sum", "1", "Steps that ran, of executions whose steps are loaded."),
    ("failed_steps", "sum", _FAILED, "Steps whose status is failed, of executions whose steps are loaded."),
)


def semantic_models() -> str:
    """MetricFlow's semantic models and metrics, as YAML: executions, failures, failure rate, tasks, users, durations.

    https://docs.getdbt.com/docs/build/semantic-models
    """
    import yaml

    models = [
        _model("executions", EXECUTIONS, ("execution_id",), _OF_EXECUTIONS),
        _model("steps", STEPS, ("execution_id", "step_execution_id"), _OF_STEPS),
    ]
    metrics = [_simple(measure) for measure in (*_OF_EXECUTIONS, *_OF_STEPS)]
    metrics.append(
        {
            "name": "failure_rate",
            "label": "Failure rate",
            "description": "Failed executions of those that ended.",
            "type": "ratio",
            "type_params": {"numerator": "failed_executions", "denominator": "ended_executions"},
        }
    )
    head = "# Made by: task-history views --semantic. It needs the models of the dbt package, or of the same names.\n"
    text: str = yaml.safe_dump(
        {"semantic_models": models, "metrics": metrics}, sort_keys=False, allow_unicode=True, width=110
    )
    return head + text


def _model(name: str, model: str, ids: Sequence[str], measures: Sequence[_Measure]) -> dict[str, Any]:
    view = views()[name]
    key = " || '/' || ".join((*_KEY, *ids))
    entities = [{"name": f"{name.removesuffix('s')}_key", "type": "primary", "expr": key}]
    if len(ids) > 1:
        entities.append(
            {"name": "execution_key", "type": "foreign", "expr": " || '/' || ".join((*_KEY, ids[0]))}
        )
    return {
        "name": f"task_history_{name}",
        "description": view.question,
        "model": f"ref('{model}')",
        "defaults": {"agg_time_dimension": "started_at"},
        "entities": entities,
        "dimensions": list(_dimensions(view.columns, {column for _, _, column, _ in measures})),
        "measures": [_measure(*measure) for measure in measures],
    }


def _dimensions(columns: Sequence[ViewColumn], measured: set[str]) -> Iterator[dict[str, Any]]:
    """The texts and booleans by which rows are grouped, and the start; ids of single rows are no dimension."""
    for column in columns:
        entry: dict[str, Any] = {"name": column.name, "description": column.description}
        if column.name == "started_at":
            yield entry | {"type": "time", "type_params": {"time_granularity": "second"}}
        elif column.type in ("text", "bool") and not column.name.endswith("execution_id"):
            yield entry | {
                "type": "categorical",
                **({"expr": column.name} if column.name in measured else {}),
            }


def _measure(name: str, aggregation: str, expression: str, text: str) -> dict[str, Any]:
    function, _, percentile = aggregation.partition(" ")
    measure: dict[str, Any] = {"name": name, "description": text, "agg": function, "expr": expression}
    if percentile:
        measure["agg_params"] = {
            "percentile": float(percentile),
            "use_discrete_percentile": False,
            # BigQuery has no other percentile that aggregates: MetricFlow refuses exact ones there, and medians.
            # https://cloud.google.com/bigquery/docs/reference/standard-sql/approximate_aggregate_functions
            "use_approximate_percentile": "{{ target.type == 'bigquery' }}",
        }
    return measure


def _simple(measure: _Measure) -> dict[str, Any]:
    name, _, _, text = measure
    label = name.removesuffix("_s").replace("_", " ")
    return {
        "name": name,
        "label": label[0].upper() + label[1:] + (" in seconds" if name.endswith("_s") else ""),
        "description": text,
        "type": "simple",
        "type_params": {"measure": name},
    }
