"""Descriptions of BigQuery's tables, views and columns, written by its tables' API: that costs no query.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/patch
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from google.api_core.exceptions import PreconditionFailed
from google.cloud.bigquery import SchemaField, Table

from ...core.log import log
from .base import Descriptions
from .bigquery_unbilled import found_tables

_MARK = "task_history_sentences"
"""The label of the table that is described last: which descriptions all of them have."""
_ATTEMPTS = 5
"""How often a table is described that others change meanwhile."""


def describe(client: Any, sentences: Descriptions, labels: Mapping[str, str]) -> None:
    """Writes the descriptions that tables lack, with the labels; those of columns that are not named stay."""
    mark = hashlib.sha256(repr(sorted(sentences.items())).encode()).hexdigest()[:32]
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for (of_table, column), text in sentences.items():
        texts[of_table][column] = text
    *others, last = sorted(texts)
    if (table := found_tables(client, [last])[last]) is not None and table.labels.get(_MARK) == mark:
        return
    due = [
        name
        for name, table in found_tables(client, texts).items()
        if table and not (_has(table, texts[name]) and labels.keys() <= table.labels.keys())
    ]
    if not due and table is not None and _MARK in table.labels:
        # A run that knows of fewer columns: the mark is that of one that knows of more.
        return
    # The last one says that all the others were done.
    is_done = [_write(client, name, texts[name], labels) for name in others if name in due]
    if all(is_done):
        _write(client, last, texts[last], {**labels, _MARK: mark})


def describe_views(client: Any, dataset: str, texts: Mapping[str, Mapping[str, str]]) -> None:
    """Writes the descriptions of the columns of views."""
    connection = client.native_connection
    for name, columns in texts.items():
        view = connection.get_table(f"{client.project_id}.{dataset}.{name}")
        view.schema = _described(view, columns)
        connection.update_table(view, ["schema"])


def _write(client: Any, name: str, texts: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether the table has its descriptions now; if not, a later run writes them."""
    connection = client.native_connection
    for _ in range(_ATTEMPTS):
        table = connection.get_table(client.make_qualified_table_name(name, quote=False))
        table.schema = _described(table, texts)
        table.description = texts.get("", table.description)
        table.labels = {**table.labels, **labels}
        try:
            connection.update_table(table, ["schema", "description", "labels"])
        except PreconditionFailed as error:
            # Another run, or a load, changed the table since it was read.
            reason = str(error)
        else:
            return True
    log.info("description_postponed", table=name, reason=reason, hint="a later run writes it")
    return False


def _has(table: Table, texts: Mapping[str, str]) -> bool:
    is_described = table.description == texts.get("", table.description)
    return is_described and all(
        field.description == texts.get(field.name, field.description) for field in table.schema
    )


def _described(table: Table, texts: Mapping[str, str]) -> list[SchemaField]:
    return [
        SchemaField.from_api_repr(
            {**field.to_api_repr(), "description": texts.get(field.name, field.description)}
        )
        for field in table.schema
    ]
