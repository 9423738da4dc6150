"""What the emulator asks DuckDB, or copies, at each statement although it is known.

Part of ``launcher``'s process. No test uses partitions by the time of arrival or policies of rows, which the emulator
looks for in each table of each statement; and a dataset is there until a request or a statement may have dropped it.
"""

from __future__ import annotations

from typing import Any

from local_bigquery.catalog import datasets, row_access
from local_bigquery.sql import translate as translation
from local_bigquery.sql.dialect import BigQueryDialect, DuckDBDialect
from local_bigquery.sql.rules import STATEMENT_RULES, partitions
from sqlglot import exp

_exists = datasets.exists
_datasets: set[tuple[str, str]] = set()
_unnests = BigQueryDialect.Parser._implicit_unnests_to_explicit


def exists(project: str, dataset: str) -> bool:
    """As ``datasets.exists``."""
    if (project, dataset) not in _datasets and _exists(project, dataset):
        _datasets.add((project, dataset))
    return (project, dataset) in _datasets


def forget(project: str | None = None) -> None:
    """The datasets of the project, or of all, may have been dropped."""
    for one in [one for one in list(_datasets) if project in (None, one[0])]:
        _datasets.discard(one)


def translate(tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
    """As the emulator's own, which copies the tree for its text once more."""
    context.used.clear()
    tree = tree.copy()
    for rule in STATEMENT_RULES:
        tree = rule(tree, context)
    tree = translation._rewrite(tree, context)
    return tree.sql(dialect=DuckDBDialect, copy=False), {name: context.values[name] for name in context.used}


def unnests(self: Any, this: Any) -> Any:
    """As the parser's own, which copies the queries in FROM and JOIN whole to learn what they are called."""
    if any(_may_be_column(join) for join in this.args.get("joins") or []):
        return _unnests(self, this)
    return this


def _may_be_column(join: Any) -> bool:
    table = join.this
    return isinstance(table, exp.Table) and not join.args.get("on") and len(table.parts) > 1


def bridge() -> None:
    """From now on."""
    datasets.exists = exists
    row_access.secured = frozenset
    partitions._hidden = lambda table: False
    BigQueryDialect.Parser._implicit_unnests_to_explicit = unnests
