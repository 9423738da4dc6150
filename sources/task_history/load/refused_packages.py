"""Load packages that the warehouse refused for good: detected by the error, kept in a folder, and read again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core import files
from ..core.models import Table
from ..systems.protocol import System
from ..warehouse.common_tables import COVERAGE, listings

FOLDER = "refused"
"""The folder of refused packages in the working folder of a pipeline."""
_LOADED_KEYS_FILE = "loaded_keys.json"
"""The file with the keys of the rows by which the next package says that something is loaded."""
_REFUSAL_FILE = "refusal.json"
_KEPT = 5
"""Number of refused packages that are kept."""
_KEYS_PER_STATEMENT = 100
_MAX_REASON_CHARS = 300
# Of PEP 249: "problems with the processed data" and "the relational integrity of the database is affected". All else,
# such as OperationalError, may be over when the package is loaded again. https://peps.python.org/pep-0249/#exceptions
_DATA_ERRORS = frozenset({"DataError", "IntegrityError"})
# SQLSTATEs of Postgres, which its drivers raise as other classes: a view's check, RAISE in a trigger, a value too long
# for an index. https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES_DATA_STATES = frozenset({"44000", "P0001", "54000"})
# "Any kind of invalid input other than an invalid query, such as missing required fields"
# https://cloud.google.com/bigquery/docs/error-messages
_BIGQUERY_INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the warehouse refused; ``column`` is empty where its message names none."""

    table: str
    column: str
    reason: str

    @property
    def place(self) -> str:
        """The table, with the column where it is known."""
        return f"{self.table}.{self.column}" if self.column else self.table

    def message(self, kept: Path) -> str:
        """What was refused, where it is kept and what to do."""
        return (
            f"The warehouse refused rows of {self.place} for good: {self.reason}. The load package is kept in {kept}; "
            "what it held is read again. Change the constraint or trigger that refuses them, or wait until the vendor's "
            "rows change."
        )


@dataclass(frozen=True, slots=True)
class RefusedPackage:
    """A refused package that is kept."""

    refused_at: datetime
    table: str
    column: str
    reason: str
    path: Path


def refusal(causes: Iterable[BaseException], columns: Callable[[str], Collection[str]]) -> Refusal | None:
    """The refusal in an error; None where the same package may be loaded later.

    ``causes`` are the error and its causes, ``columns`` gives the columns of a table. The reason has no row's values.
    """
    found = list(causes)
    jobs = (str(job).split(".")[0] for cause in found if (job := getattr(cause, "job_id", None)))
    for cause in found:
        if _is_about_data(cause):
            diagnosis = getattr(cause, "diag", None)
            # What follows the first line quotes the row.
            reason = getattr(diagnosis, "message_primary", None) or (str(cause).splitlines() or [""])[0]
            context = " ".join(filter(None, (reason, getattr(diagnosis, "context", None))))
            table = next(jobs, "") or getattr(diagnosis, "table_name", None) or ""
            return Refusal(
                table,
                getattr(diagnosis, "column_name", None) or _named(context, columns(table)),
                reason[:_MAX_REASON_CHARS],
            )
    return None


def _is_about_data(cause: BaseException) -> bool:
    if getattr(getattr(cause, "diag", None), "schema_name", None) == "pg_catalog":
        # Two sessions made the same table at once.
        return False
    if any(base.__name__ in _DATA_ERRORS for base in type(cause).__mro__):
        return True
    if getattr(cause, "pgcode", None) in _POSTGRES_DATA_STATES:
        return True
    errors = getattr(cause, "errors", None)
    reasons = (
        {error.get("reason") for error in errors if isinstance(error, dict)}
        if isinstance(errors, list)
        else ()
    )
    return _BIGQUERY_INVALID in reasons or f"reported from bigquery: `{_BIGQUERY_INVALID}`" in str(cause)


def _named(text: str, columns: Collection[str]) -> str:
    """The first of the columns that the text names; empty for none."""
    return next((word for word in re.findall(r"\w+", text) if word in columns), "")


def write_loaded_keys(folder: Path, system: System, tables: Mapping[str, Any]) -> None:
    """Writes the keys of the rows by which the next package says that something is loaded (coverage, details log).

    Tables of a package are loaded one by one: these rows may be in the warehouse when another table is refused.
    """
    keys = {
        table.name: [list(map(str, key)) for key in zip(*_keys(table, tables[table.name]), strict=True)]
        for table in _tables_of_loaded(system)
        if table.name in tables
    }
    text = json.dumps({"keys": keys, "tables": sorted(tables)})
    files.replace(folder / _LOADED_KEYS_FILE, text.encode())


def _keys(table: Table, rows: Any) -> Iterator[list[Any]]:
    return (rows[name].to_pylist() for name in table.primary_key)


def _tables_of_loaded(system: System) -> tuple[Table, ...]:
    return (COVERAGE, *(one.details.log for one in listings(system)))


def loaded_tables(folder: Path) -> list[str]:
    """The tables of the last package."""
    return [str(name) for name in _last_package(folder).get("tables", ())]


def _last_package(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _LOADED_KEYS_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def deletions(
    folder: Path, system: System, qualified: Callable[[str], str]
) -> Iterator[tuple[str, list[Any]]]:
    """Statements, with values, that delete the rows by which the last package said that something is loaded."""
    loaded = _last_package(folder).get("keys", {})
    for table in _tables_of_loaded(system):
        keys = loaded.get(table.name, [])
        instants = {column.name for column in table.columns if column.type == "timestamp"}
        one = " AND ".join(f"{name} = %s" for name in table.primary_key)
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            part = keys[start : start + _KEYS_PER_STATEMENT]
            values = [
                datetime.fromisoformat(value) if name in instants else value
                for key in part
                for name, value in zip(table.primary_key, key, strict=True)
            ]
            yield f"DELETE FROM {qualified(table.name)} WHERE {' OR '.join([f'({one})'] * len(part))}", values


def set_aside(
    found: Refusal,
    pipeline: Any,
    client: Any,
    deletions: Iterable[tuple[str, list[Any]]],
    *,
    truncates_staging: bool,
) -> Path:
    """Sets aside the pending package of dlt's ``pipeline``, once the ``deletions`` are made; returns its new folder.

    The newest of those that were set aside stay.
    """
    folder = Path(pipeline.working_dir)
    (pending, *_) = pipeline.list_normalized_load_packages()
    for sql, values in deletions:
        client.execute_sql(sql, *values)
    if truncates_staging:
        with client.with_staging_dataset():
            client.truncate_tables(*loaded_tables(folder))
    pipeline.abort_packages()
    kept: Path = folder / FOLDER / pending
    kept.parent.mkdir(exist_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    (folder / "load" / "loaded" / pending).rename(kept)
    note = {**asdict(found), "refused_at": datetime.now(UTC).isoformat()}
    files.replace(kept / _REFUSAL_FILE, json.dumps(note).encode())
    for old in sorted(kept.parent.iterdir(), key=lambda entry: entry.name)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return kept


def kept_of_rows(folder: Path) -> list[Path]:
    """The files and folders in the working folder of a pipeline that hold rows, or keys of rows, of its packages."""
    return [folder / FOLDER, folder / _LOADED_KEYS_FILE]


def kept_packages(working_dir: Path) -> list[RefusedPackage]:
    """The refused packages that are kept of a pipeline, oldest first."""
    found = []
    for file in sorted((working_dir / FOLDER).glob(f"*/{_REFUSAL_FILE}")):
        try:
            note = json.loads(file.read_text())
            at = datetime.fromisoformat(note["refused_at"])
            found.append(RefusedPackage(at, note["table"], note["column"], note["reason"], file.parent))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
