"""The data dictionary and dbt's sources in ``docs`` say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from task_history import systems
from task_history.core.models import Table
from task_history.views import dictionary
from task_history.views.account_registry import REGISTRY
from task_history.views.sql_file_reader import views
from task_history.warehouse import common_tables
from task_history.warehouse.user_map import USER_MAP

DOCS = Path(__file__).parents[3] / "docs"


def test_the_command_prints_what_the_pages_say() -> None:
    """The dictionary has the text of the pages of views and of tables."""
    page = dictionary.page()
    assert dictionary.tables_part() in page
    assert dictionary.views_part(level=3) in page


def test_the_sources_of_dbt_are_up_to_date() -> None:
    """docs/how-to/dbt/models/sources.yml is what the command prints."""
    assert (DOCS / "how-to" / "dbt" / "models" / "sources.yml").read_text(
        "utf-8"
    ) == dictionary.dbt_sources(), "make it anew with: make reference"


def test_every_column_has_its_sentence() -> None:
    """Each table, view and column is in the page and in dbt's sources, with its sentence."""
    page = dictionary.page()
    sources = {
        source["name"]: source["tables"] for source in yaml.safe_load(dictionary.dbt_sources())["sources"]
    }
    wanted = {"task_history": dict.fromkeys(views())}
    for name in systems.names():
        wanted[name] = dict.fromkeys(table.name for table in common_tables.of(systems.find(name)))
    assert {name: set(found) for name, found in wanted.items()} == {
        name: {table["name"] for table in found} for name, found in sources.items()
    }
    for name, found in sources.items():
        for table in found:
            assert f"### {name}.{table['name']}\n" in page
            assert table["description"]
            for column in table["columns"]:
                assert len(column["description"]) >= 10, (name, table["name"], column["name"])
                assert f"| `{column['name']}` |" in page


def test_the_page_has_the_table_that_is_made_with_the_first_forgotten_person() -> None:
    """Systems that name a person have it, the others not."""
    text = dictionary.page()
    for name in systems.names():
        assert (f"### {name}.forgotten_people" in text) == common_tables.has_person(systems.find(name))


@pytest.mark.parametrize("table", [REGISTRY, USER_MAP], ids=lambda table: table.name)
def test_the_page_has_the_tables_beside_the_views(table: Table) -> None:
    """The tables that stand beside the views are described with them, column by column."""
    section = dictionary.page().partition(f"### task_history.{table.name}\n")[2].partition("\n#")[0]
    assert table.description in section
    assert all(f"| `{column.name}` | {column.type} |" in section for column in table.columns)
