"""Which integration a workflow belongs to: from a file, or asked once per workflow and integration."""

from __future__ import annotations

import csv
import difflib
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import files
from ..core.errors import ConfigurationError, ReadFailed, Rejected, UnexpectedResponse
from ..core.escapes import visible
from ..core.log import log
from ..core.models import Row

if TYPE_CHECKING:
    from .warehouse_rows import Stamp

_MAX_MAP_BYTES = 16_000_000
_FORBIDDEN = 403
"""The HTTP status by which a vendor says that the key may filter by no integration at all."""
_MAX_FAILED_IN_A_ROW = 5
"""Answers that cannot be read, or forbid to ask, before a run asks no more: executions are loaded without them."""


@dataclass(frozen=True, slots=True)
class WorkflowIntegration:
    """The integration and the name of a workflow, as far as they are known."""

    integration: str | None
    name: str | None = None


def read_map(path: str | None) -> dict[str, WorkflowIntegration]:
    """What the mapping file says, by workflow id; nothing without a file.

    Raises:
        ConfigurationError: the file cannot be read, or has not the expected form.
    """
    if path is None:
        return {}
    form = "workflow_id, integration and, if you like, workflow_name"
    read = _READERS.get(Path(path).suffix.lower())
    if read is None:
        raise ConfigurationError(
            f"workflow_map: {path!r} ends in none of {', '.join(_READERS)}; expected are {form}."
        )
    try:
        rows = read(files.read_text(Path(path), max_bytes=_MAX_MAP_BYTES, encoding="utf-8-sig"))
        _check_columns(path, rows)
        named = {
            str(row["workflow_id"]): WorkflowIntegration(
                _text(row.get("integration")), _text(row.get("workflow_name"))
            )
            for row in rows
        }
    except OSError as error:
        raise ConfigurationError(
            f"workflow_map: {path!r} cannot be read ({error.strerror}). Name a CSV, TOML or JSON file."
        ) from None
    except KeyError as error:
        raise ConfigurationError(
            f"workflow_map: {path!r} lacks {error.args[0]}; expected are {form}."
        ) from None
    except (ValueError, TypeError, AttributeError, csv.Error):
        raise ConfigurationError(f"workflow_map: {path!r} has not the expected form: {form}.") from None
    return named


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _csv(text: str) -> list[Mapping[str, Any]]:
    rows = csv.DictReader(text.splitlines())
    for name in ("workflow_id", "integration"):
        if name not in (rows.fieldnames or ()):
            raise KeyError(name)
    return list(rows)


def _nested(data: Any) -> list[Mapping[str, Any]]:
    """A list of rows, or an object with one entry per workflow: its integration, or its row."""
    if isinstance(data, dict) and isinstance(data.get("workflows"), list | dict):
        data = data["workflows"]
    if isinstance(data, dict):
        return [
            {"workflow_id": key, **(value if isinstance(value, dict) else {"integration": value})}
            for key, value in data.items()
        ]
    if not isinstance(data, list):
        raise TypeError
    return data


def _check_columns(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises ConfigurationError for a row that has nearly a column's name, or says nothing of its workflow."""
    for row in rows:
        for name in row:
            near = difflib.get_close_matches(str(name).strip().lower(), _COLUMNS, n=1, cutoff=0.75)
            if name not in _COLUMNS and near and near[0] not in row:
                raise ConfigurationError(
                    f"workflow_map: {path!r} has no column {near[0]}, and one that is called {visible(str(name))[:60]}. "
                    f"Did you mean {near[0]}?"
                )
        if not row.keys() & {*_COLUMNS[1:]} and row.keys() - {*_COLUMNS}:
            raise ConfigurationError(
                f"workflow_map: {path!r} says of a workflow neither integration nor workflow_name."
            )


def workflow_map_match(
    workflow_map: Mapping[str, WorkflowIntegration], workflows: Collection[str]
) -> dict[str, Any] | None:
    """How many of the mapping file's ids are among the workflows, and the first that is not; None without a file."""
    if not workflow_map:
        return None
    others = sorted(workflow_map.keys() - set(workflows))
    return {
        "workflows": len(workflow_map),
        "matched": len(workflow_map) - len(others),
        "first_unmatched": others[0] if others else None,
    }


def unmatched_integrations(names: Sequence[str], workflows: Mapping[str, Row]) -> list[str]:
    """The integrations that no workflow belongs to although each that has none was asked about; they may be misspelled.

    ``workflows`` are the stored rows by workflow id.
    """
    rows = workflows.values()
    used = {str(row["integration"]) for row in rows if row.get("integration")}
    asked = [set(_asked(row)) for row in rows if not row.get("integration")]
    return [name for name in names if rows and name not in used and all(name in each for each in asked)]


_COLUMNS = ("workflow_id", "integration", "workflow_name")
_READERS: dict[str, Callable[[str], list[Mapping[str, Any]]]] = {
    ".csv": _csv,
    ".json": lambda text: _nested(json.loads(text)),
    ".toml": lambda text: _nested(tomllib.loads(text)),
}

Asks = Callable[[str, str], bool]
"""Whether executions of the workflow belong to the integration."""


def learn(
    known: Mapping[str, Row],
    *,
    named: Mapping[str, WorkflowIntegration],
    integrations: Sequence[str],
    asks: Asks,
    stamp: Callable[[], Stamp],
) -> Iterator[Row]:
    """The rows of ``workflows`` that are new or changed.

    ``known`` are all workflow ids, with the row that is stored or an empty one.
    """
    answers = _Answers(asks)
    hits = Counter(str(row["integration"]) for row in known.values() if row.get("integration"))
    for workflow_id, row in known.items():
        mapped = named.get(workflow_id)
        if mapped is not None:
            if (row.get("integration"), row.get("workflow_name")) != (mapped.integration, mapped.name):
                yield workflow_row(stamp(), workflow_id, mapped, origin="file", asked=[])
            continue
        if row.get("integration"):
            continue
        asked = _asked(row)
        integration_found = None
        for integration in sorted(set(integrations).difference(asked), key=lambda name: (-hits[name], name)):
            belongs = answers.get(workflow_id, integration)
            if belongs is not None:
                asked.append(integration)
            if belongs:
                integration_found = integration
                hits[integration] += 1
                break
        if not row or len(asked) > len(_asked(row)):
            origin = "asked" if integration_found else "unknown"
            yield workflow_row(
                stamp(), workflow_id, WorkflowIntegration(integration_found), origin=origin, asked=asked
            )


class _Answers:
    """Whether workflows belong to integrations, as the vendor answers it."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self._failed = 0
        """Reads that failed since the last answer."""

    def get(self, workflow_id: str, integration: str) -> bool | None:
        """Whether the workflow belongs to the integration; None where no answer tells: a later run asks again."""
        if self._failed >= _MAX_FAILED_IN_A_ROW:
            return None
        try:
            belongs = self._asks(workflow_id, integration)
        except (ReadFailed, UnexpectedResponse) as error:
            self._failed += 1
            log.warning("integration_skipped", integration=integration, reason=str(error))
            return None
        except Rejected as error:
            is_forbidden = error.status == _FORBIDDEN
            log.warning(
                "integration_refused",
                integration=integration,
                status=error.status,
                hint="the key may not list by integration: name them in the setting workflow_map instead"
                if is_forbidden
                else "check its spelling in the setting integrations",
            )
            if is_forbidden:
                self._failed += 1
                return None
            belongs = False
        self._failed = 0
        return belongs


def _asked(row: Row) -> list[str]:
    try:
        names = json.loads(row.get("asked") or "[]")
    except ValueError:
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def workflow_row(
    stamp: Stamp, workflow_id: str, named: WorkflowIntegration, *, origin: str, asked: Sequence[str]
) -> Row:
    """A row of ``workflows``; ``asked`` are the integrations that the vendor was asked for."""
    return stamp.on(
        {
            "workflow_id": workflow_id,
            "integration": named.integration,
            "workflow_name": named.name,
            "origin": origin,
            "asked": json.dumps(sorted(asked)),
        }
    )
