"""Checks a run's column rules: names that match nothing, a key that changed, values stored before a rule was set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..core.errors import ConfigurationError
from ..core.log import log
from ..warehouse.old_values import OldValues
from ..warehouse.queries import Warehouse
from ..warehouse.sql_text import sql_type

if TYPE_CHECKING:
    from ..load.pipeline import Loader
    from .context import Context


def check_column_rules(loader: Loader, warehouse: Warehouse, *, accepts_new_key: bool = False) -> None:
    """Warns of rules that match no column, and compares the key with that of the hashes that are stored.

    ``accepts_new_key`` says that the key was changed on purpose.

    Raises:
        ConfigurationError: the key is another one.
        WarehouseUnavailable.
    """
    rules = loader.rules
    if not rules:
        return
    for rule in old_values(loader).unmatched():
        meant = f"did you mean {rule.suggestion}? " if rule.suggestion else ""
        log.warning(
            "column_not_known",
            setting=f"{rule.action}_columns",
            column=str(rule),
            hint=f"{meant}the rule takes effect once a row has the field",
        )
    if rules.hash is None or accepts_new_key:
        return
    former = [json.loads(text)["key_id"] for text in warehouse.former_column_rules()]
    newest = next(filter(None, former), None)
    if newest is not None and newest != rules.hash.key_id:
        raise ConfigurationError(
            f"hash_key is another key ({rules.hash.key_id}) than that of the hashes in the warehouse ({newest}): the "
            "same value would get another hash, and joins would not find it. Set the former key again. Where it is lost, "
            f"or was changed on purpose, run `task-history sync {loader.system.name} --new-hash-key` once: what is "
            "stored keeps its hashes."
        )


def note_old_values(context: Context, loader: Loader) -> None:
    """Warns of values that were stored before a rule was set; counted only after the rules have changed.

    Raises WarehouseUnavailable.
    """
    rules = loader.rules
    if not rules or rules.text == next(iter(context.warehouse.former_column_rules()), None):
        return
    counts = old_values(loader).counts()
    if counts:
        log.warning(
            "old_values_stay",
            columns=",".join(counts),
            values=sum(counts.values()),
            hint=f"they were stored before exclude_columns or hash_columns named them: `task-history sync "
            f"{loader.system.name} --erase-old-values` removes them for good",
        )


def erase_old_values(loader: Loader) -> dict[str, int]:
    """Removes values that were stored before a rule was set; returns how many, by ``table.column``.

    Raises WarehouseUnavailable.
    """
    from ..load.row_changes import change, empty_staging, rewrite_warehouse

    if not loader.rules:
        raise ConfigurationError(
            "--erase-old-values: neither exclude_columns nor hash_columns names a column: there is nothing to erase."
        )
    values = old_values(loader)
    counts = values.counts()
    change(loader, lambda now: values.removal(now=now))
    empty_staging(loader)
    rewrite_warehouse(loader)
    log.info("old_values_erased", columns=",".join(counts) or None, values=sum(counts.values()))
    return counts


def old_values(loader: Loader) -> OldValues:
    """The values in the loader's dataset that were stored before a rule was set."""
    text_type = sql_type("text", str(loader.client.capabilities.sqlglot_dialect))
    return OldValues(
        loader.query,
        loader.qualified,
        loader.system,
        loader.rules,
        loader.writer().stored,
        text_type=text_type,
    )
