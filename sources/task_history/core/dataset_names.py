"""Rules for dataset names: unchanged by dlt's normalisation, and not taken by another dataset. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .errors import ConfigurationError
from .naming import snake_case

VIEWS_DATASET = "task_history"
"""The dataset of the analysts' views."""
STATE_SCHEMA = "task_history_state"
"""The schema of the state that machines share in a Postgres, which may be the warehouse, too."""
SYNC, BACKFILL, AUDIT, REPLAY = "sync", "backfill", "audit", "replay"
"""Names of the lanes, which are the kinds of run on a dataset."""
LANES = (AUDIT, BACKFILL, REPLAY)
"""Lanes that run beside a sync, each with a pipeline and a staging dataset of its own: ``<account's>_<lane>``, and with a
number after it for the second process of a lane and those after it."""
_OF_LANE = re.compile(rf"(?:(.+)_)?({'|'.join(LANES)})(?:_\d+)?")
MAX_NAME_CHARS = 101
"""Maximum length of a dataset name, in characters."""
MAX_INSTANCE_CHARS = 29
"""Maximum length of an account's name, in characters: dlt makes a schema of at most 64 with the name of the pipeline, of
which the longest is ``task_history_sailpoint_<name>_backfill_64``."""
_DATABASE_SCHEMAS = frozenset({"information_schema", "main", "pg_catalog", "system", "temp"})
"""Names of schemas that exist in every DuckDB or Postgres database."""
_OF_POSTGRES = "pg_"
"""The beginning of names that Postgres keeps for itself: https://www.postgresql.org/docs/current/ddl-schemas.html"""


def check_dataset(name: str, what: str, *, others: Mapping[str, str]) -> None:
    """Raises ConfigurationError, which suggests a valid name, unless ``name`` is a valid name of a dataset.

    ``what`` is the setting that names it; ``others`` maps the datasets of the other accounts to their owners.
    """
    reason = _dataset_reason(name, others)
    if reason is not None:
        better = _free(snake_case(name), others)
        raise ConfigurationError(
            f"{what}: {name!r} cannot be the name of a dataset: {reason}. Name it {better}."
        )


def check_instance(name: str, dataset: str, *, others: Mapping[str, str]) -> None:
    """Raises ConfigurationError, which suggests a valid name, unless ``name`` is a valid name of a further account.

    ``dataset`` is the dataset of the first account.
    """
    reason = _name_reason(name) or _dataset_reason(f"{dataset}_{name}", others)
    if _OF_LANE.fullmatch(name):
        reason = f"what runs beside the sync of {dataset} is named so"
    elif reason is None and len(name) > MAX_INSTANCE_CHARS:
        reason = f"it is longer than {MAX_INSTANCE_CHARS} characters"
    elif reason is None and not name[:1].isalpha():
        reason = "it has to begin with a letter"
    if reason is not None:
        shortened = snake_case(name).lstrip("_0123456789")[: MAX_INSTANCE_CHARS - len("_data_data")]
        better = _free(shortened or "second", others, prefix=f"{dataset}_")
        raise ConfigurationError(
            f"--instance {name!r} cannot be the name of an account: {reason}. Name it {better}."
        )


def _free(name: str, others: Mapping[str, str], prefix: str = "") -> str:
    """A valid name that is close to ``name``."""
    while not prefix and name.startswith(_OF_POSTGRES):
        name = name.removeprefix(_OF_POSTGRES)
    name = name[: MAX_NAME_CHARS - len(prefix) - 10].rstrip("_") or "data"
    while _dataset_reason(prefix + name, others) or _OF_LANE.fullmatch(name):
        name += "_data"
    return name


def _dataset_reason(name: str, others: Mapping[str, str]) -> str | None:
    """The reason why the name is no valid name of a dataset; None when it is valid."""
    stem, _, suffix = name.rpartition("_")
    if (reason := _name_reason(name)) is not None:
        return reason
    if name == VIEWS_DATASET:
        return "the views are made there"
    if name == STATE_SCHEMA:
        return "machines keep the state that they share under that name"
    if name in _DATABASE_SCHEMAS:
        return "the database has a schema of that name"
    if name.startswith(_OF_POSTGRES):
        return f"Postgres keeps names that begin with {_OF_POSTGRES} for itself"
    if stem and suffix == "staging":
        return f"rows on their way into {stem} are staged there"
    if name in others:
        return f"that is the dataset of {others[name]}"
    lane = _OF_LANE.fullmatch(name)
    if lane and lane[1] in others:
        return f"the {lane[2]} of {others[lane[1]]} stages its rows under that name"
    return None


def _name_reason(name: str) -> str | None:
    """The reason why neither a dataset nor an account can have the name; None when the name is valid."""
    if not name:
        return "it is empty"
    if len(name) > MAX_NAME_CHARS:
        return f"it is longer than {MAX_NAME_CHARS} characters"
    normalised = snake_case(name)
    return None if normalised == name else f"the warehouse would call it {normalised or 'nothing'}"
