"""The data dictionary: descriptions of all tables, views and columns, as Markdown and as dbt sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .. import systems
from ..core.models import Table
from ..systems.protocol import System
from ..systems.statuses import STATUSES
from ..warehouse import common_tables
from ..warehouse.forgotten_people import FORGOTTEN
from ..warehouse.user_map import USER_MAP
from .account_registry import REGISTRY
from .dialects import DATASET
from .relations import ShownDataset, by_default
from .sql_file_reader import ViewColumn, views


@dataclass(frozen=True, slots=True)
class Entry:
    """One table or view in the dictionary."""

    name: str
    description: str
    note: str
    columns: Sequence[ViewColumn]
    question: str = ""
    key: tuple[str, ...] = ()


def of_views() -> list[Entry]:
    """The entries of the views; those that others read come first."""
    first = ("executions", "steps")
    order = sorted(views().values(), key=lambda view: (view.name not in first, view.name))
    return [Entry(view.name, view.grain, view.note, view.columns, view.question) for view in order]


def of_tables(system: System) -> list[Entry]:
    """The entries of the tables of a system's dataset."""
    return [_entry(table) for table in common_tables.of(system)]


def _entry(table: Table) -> Entry:
    columns = [ViewColumn(column.name, column.type, column.description) for column in table.columns]
    return Entry(table.name, table.description, "", columns, key=table.primary_key)


def page() -> str:
    """The data dictionary, in Markdown."""
    head = (
        "# Data dictionary\n\n"
        "Made by `task-history views --dictionary`; the same sentences stand in the warehouse as comments (DuckDB and\n"
        "Postgres) or descriptions (BigQuery). All instants are UTC.\n\n"
    )
    return f"{head}## Views, dataset `{DATASET}`\n\n{views_part(level=3)}\n{tables_part()}"


def views_part(*, level: int = 2) -> str:
    """The views and statuses, in Markdown, with headings of that level."""
    return "\n".join(_views_lines(level)) + "\n"


def tables_part() -> str:
    """The tables of each system, in Markdown, with headings of the second and third level."""
    return "\n\n".join("\n".join(_tables_lines(name)) for name in systems.names()) + "\n"


def _views_lines(level: int) -> Iterator[str]:
    yield "| View | Answers |"
    yield "|---|---|"
    for entry in of_views():
        yield f"| [`{entry.name}`](#{DATASET}{entry.name}) | {_cell(entry.question)} |"
    for entry in of_views():
        yield from _section(DATASET, entry, level)
    # The tables beside the views.
    yield from _section(DATASET, _entry(REGISTRY), level)
    yield from _section(DATASET, _entry(USER_MAP), level)
    yield ""
    yield f"{'#' * level} Statuses"
    yield ""
    shown = [dataset.system for dataset in by_default()]
    yield "| Status | Means | " + " | ".join(system.title for system in shown) + " |"
    yield "|---|---|" + "---|" * len(shown)
    for status, text in STATUSES.items():
        theirs = (
            ", ".join(
                f"`{their}`"
                for their, our in (system.views.statuses if system.views else {}).items()
                if our == status
            )
            for system in shown
        )
        yield f"| `{status}` | {_cell(text)} | " + " | ".join(theirs) + " |"


def _tables_lines(name: str) -> Iterator[str]:
    system = systems.find(name)
    yield f"## {system.title}, dataset `{name}`"
    yield ""
    yield f"As the vendor says it: {system.docs_url}. A second account's dataset is `{name}_<instance>`."
    forgotten = [_entry(FORGOTTEN)] if common_tables.has_person(system) else []
    for entry in (*of_tables(system), *forgotten):
        yield from _section(name, entry, 3)


def _section(dataset: str, entry: Entry, level: int) -> Iterator[str]:
    yield ""
    yield f"{'#' * level} {dataset}.{entry.name}"
    yield ""
    if entry.question:
        yield f"{entry.question}"
        yield ""
    yield entry.description + (f" Key: {', '.join(f'`{name}`' for name in entry.key)}." if entry.key else "")
    if entry.note:
        yield ""
        yield entry.note
    yield ""
    yield "| Column | Type | |"
    yield "|---|---|---|"
    for column in entry.columns:
        yield f"| `{column.name}` | {column.type} | {_cell(column.description)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def dbt_sources(shown: Sequence[ShownDataset] = ()) -> str:
    """dbt's ``sources.yml`` for the views and the tables of these datasets, with tests and freshness.

    Without datasets it is about the first account of every system. A table or column that an earlier version did not
    create is left out.

    https://docs.getdbt.com/reference/source-properties
    """
    import yaml

    sources = [
        {
            "name": DATASET,
            "description": "One question per view, over all systems that are loaded by task-history.",
            "tables": [_dbt(entry, _view_tests(entry)) for entry in of_views()],
        }
    ]
    for dataset in shown or [ShownDataset(name, systems.find(name), "") for name in systems.names()]:
        system = dataset.system
        sources.append(
            {
                "name": dataset.name,
                "description": f"{system.title} as loaded by task-history ({system.docs_url}).",
                "tables": [
                    {**_dbt(entry, _table_tests(system, entry)), **_freshness(entry)}
                    for entry in map(partial(_stored, dataset), of_tables(system))
                    if entry.columns
                ],
            }
        )
    head = "# Made by: task-history views --dbt. Copy it into the models of a dbt project.\n"
    text: str = yaml.safe_dump(
        {"version": 2, "sources": sources}, sort_keys=False, allow_unicode=True, width=110
    )
    return head + text


def _stored(dataset: ShownDataset, entry: Entry) -> Entry:
    """The entry with the columns that the dataset has."""
    columns = [column for column in entry.columns if (entry.name, column.name) not in dataset.lacking]
    return replace(entry, columns=columns)


Tests = dict[str, list[Any]]


def _dbt(entry: Entry, tests: Tests) -> dict[str, Any]:
    columns = []
    for column in entry.columns:
        source: dict[str, Any] = {"name": column.name, "description": column.description}
        if tests.get(column.name):
            source["data_tests"] = tests[column.name]
        columns.append(source)
    text = " ".join(filter(None, (entry.question, entry.description, entry.note)))
    return {"name": entry.name, "description": text, "columns": columns}


def _view_tests(entry: Entry) -> Tests:
    tests: Tests = {}
    for column in ("system", "instance", "execution_id", "step_execution_id", "is_open"):
        tests[column] = ["not_null"]
    tests["status"] = ["not_null", {"accepted_values": {"arguments": {"values": list(STATUSES)}}}]
    if entry.name == "questions":
        tests["view_name"] = ["unique", "not_null"]
    names = {column.name for column in entry.columns}
    return {name: column_tests for name, column_tests in tests.items() if name in names}


def _table_tests(system: System, entry: Entry) -> Tests:
    tests: Tests = {name: ["not_null"] for name in entry.key}
    if len(entry.key) == 1:
        tests[entry.key[0]] = ["unique", "not_null"]
    if entry.name == system.executions.name:
        tests["is_open"] = ["not_null"]
    return tests


def _freshness(entry: Entry) -> dict[str, Any]:
    if entry.name != common_tables.SYNC_RUNS.name:
        return {}
    # Syncs run hourly or so; their rows come also when nothing ran at the vendor.
    return {
        "loaded_at_field": "written_at",
        "freshness": {
            "warn_after": {"count": 6, "period": "hour"},
            "error_after": {"count": 24, "period": "hour"},
        },
    }
