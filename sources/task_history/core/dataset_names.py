"""Which names a dataset may have: those that dlt leaves as they are and that nothing else takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .errors import ConfigurationError

VIEWS_DATASET = "task_history"
"""The dataset of the analysts' views."""
LANES = ("audit", "backfill", "replay")
"""What works beside a sync: each has a pipeline and a staging dataset of its own, named ``<account's>_<lane>``."""
LONGEST_NAME = 101
"""Characters."""
_OF_DATABASES = frozenset({"information_schema", "main", "pg_catalog", "system", "temp"})
"""Schemas that DuckDB or Postgres has already."""
_REDUCED = str.maketrans("+-*@|", "x_xal")


def normalised(name: str) -> str:
    """The name that dlt makes of it (its naming convention ``snake_case``).

    https://dlthub.com/docs/general-usage/naming-convention
    """
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", name.strip().translate(_REDUCED))
    name = re.sub(r"([^_])([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    name = f"_{name}" if re.match("[0-9]", name) else name
    stem = name.rstrip("_")
    return re.sub(r"_+", "_", stem + "x" * (len(name) - len(stem)))


def check_dataset(name: str, what: str, *, others: Mapping[str, str]) -> None:
    """Raises ConfigurationError, with a name that would work, when a dataset cannot be named so.

    ``what`` is the setting that names it; ``others`` are the datasets of the other accounts, and whose they are.
    """
    reason = _dataset_reason(name, others)
    if reason is not None:
        better = _free(normalised(name), others)
        raise ConfigurationError(
            f"{what}: {name!r} cannot be the name of a dataset: {reason}. Name it {better}."
        )


def check_instance(name: str, dataset: str, *, others: Mapping[str, str]) -> None:
    """Raises ConfigurationError, with a name that would work, when a further account cannot be named so.

    ``dataset`` is that of the first account.
    """
    reason = _name_reason(name) or _dataset_reason(f"{dataset}_{name}", others)
    if re.fullmatch(rf"(.+_)?({'|'.join(LANES)})", name):
        reason = f"what runs beside the sync of {dataset} is named so"
    elif reason is None and not name[:1].isalpha():
        reason = "it has to begin with a letter"
    if reason is not None:
        better = _free(normalised(name).lstrip("_0123456789") or "second", others, prefix=f"{dataset}_")
        raise ConfigurationError(
            f"--instance {name!r} cannot be the name of an account: {reason}. Name it {better}."
        )


def _free(name: str, others: Mapping[str, str], prefix: str = "") -> str:
    """A name near that one that can be had."""
    name = name[: LONGEST_NAME - len(prefix) - 10].rstrip("_") or "data"
    while _dataset_reason(prefix + name, others) or name.endswith(LANES):
        name += "_data"
    return name


def _dataset_reason(name: str, others: Mapping[str, str]) -> str | None:
    """Why no dataset can have that name; None when one can."""
    stem, _, last = name.rpartition("_")
    if (reason := _name_reason(name)) is not None:
        return reason
    if name == VIEWS_DATASET:
        return "the views are made there"
    if name in _OF_DATABASES:
        return "the database has a schema of that name"
    if stem and last == "staging":
        return f"rows on their way into {stem} are staged there"
    if name in others:
        return f"that is the dataset of {others[name]}"
    if last in LANES and stem in others:
        return f"the {last} of {others[stem]} stages its rows under that name"
    return None


def _name_reason(name: str) -> str | None:
    """Why nothing here can have that name; None when something can."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    made = normalised(name)
    return None if made == name else f"the warehouse would call it {made or 'nothing'}"
