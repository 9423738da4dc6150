"""The steps of ``forget``; ``warehouse/erasure`` says which rows and values of a person are erased.

In this order, so that the same call ends what a killed one began: the person and the erasure are noted, then their
executions as left out, then rows are erased, then files; the erasure is noted as ended last.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.batch import Batch, Chunk
from ..core.log import log
from ..load import row_changes, working_dir
from ..load.pipeline import Loader
from ..warehouse.common_tables import COVERAGE, ERASURES, LEFT_OUT
from ..warehouse.erasure import Erasure, ErasureById
from ..warehouse.forgotten_people import FORGOTTEN, Hashes, LeftOut, new_key, read_left_out
from ..warehouse.sql_text import sql_type
from ..warehouse.user_map import USER_MAP

_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased."""

    rows: Mapping[str, int]
    """Numbers of rows by table, without tables that had none."""
    was_forgotten: bool
    """Whether the person had been forgotten before."""
    left_out: int
    """Number of the person's executions that are left out from now on."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """The note that a person is forgotten."""

    erasure_id: str
    is_new: bool
    is_ended: bool
    """Whether the last erasure of the person came to its end."""


def forget(
    loader: Loader,
    person: Sequence[str],
    *,
    staging: Iterable[str],
    folders: Iterable[Path],
) -> Erased:
    """Forgets the person whom rows name by one of the texts ``person``, the first of which is the vendor's id.

    ``loader`` is prepared, no other run is active on its dataset, and no working folder of ``folders`` has a pending
    package. ``staging`` are the staging datasets.

    Raises:
        WarehouseUnavailable: the same call goes on where this one ended.
    """
    erasure = Erasure(loader.query, loader.names, loader.system, person)
    noted = _note_person(loader, person[0])
    executions, counts = erasure.executions(), erasure.counts()
    rows = _note_erasure(loader, noted, counts)
    left_out = _leave_out(loader, executions)
    ids = {key for of_table in executions.values() for key in of_table}
    row_changes.erase_rows(loader, erasure, ids, staging)
    mapped = row_changes.erase_mapped_user(loader, person)
    for folder in folders:
        working_dir.erase_kept_rows(folder)
    if not noted.is_ended or counts or mapped:
        row_changes.rewrite_warehouse(loader)
        loader.put(ERASURES, {"erasure_id": noted.erasure_id, "ended_at": datetime.now(UTC)})
    if mapped:
        rows = {**rows, USER_MAP.name: mapped}
    return Erased(rows, not noted.is_new, left_out)


def erase_left_out(loader: Loader, left_out: LeftOut) -> None:
    """Erases stored executions of forgotten people that this run was the first to recognize as theirs.

    A row may be stored before another list shows whose it is. Raises WarehouseUnavailable.
    """
    new = sorted(key for ids in left_out.new_ids.values() for key in ids)
    left_out.new_ids.clear()
    is_rewritten = False
    for start in range(0, len(new), _IDS_PER_QUERY):
        part = new[start : start + _IDS_PER_QUERY]
        erasure = ErasureById(loader.query, loader.names, loader.system, part)
        counts = erasure.counts()
        if counts:
            row_changes.erase_rows(loader, erasure, part, ())
            is_rewritten = True
            log.info("left_out_rows_erased", rows=sum(counts.values()))
    if is_rewritten:
        row_changes.rewrite_warehouse(loader)


def _note_person(loader: Loader, person: str) -> _Noted:
    """Notes the person as forgotten, unless they are."""
    name, dialect = loader.qualified(FORGOTTEN.name), str(loader.client.capabilities.sqlglot_dialect)
    columns = ", ".join(f"{column.name} {sql_type(column.type, dialect)}" for column in FORGOTTEN.columns)
    loader.execute([f"CREATE TABLE IF NOT EXISTS {name} ({columns})"])
    known = loader.query(f"SELECT person_hash, hash_key, erasure_id FROM {name} AS f")[1]
    for person_hash, key, erasure_id in known:
        if Hashes(str(key)).person(person) == person_hash:
            sql = f"SELECT ended_at FROM {loader.qualified(ERASURES.name)} AS r WHERE erasure_id = %s"
            ended = loader.query(sql, erasure_id)[1]
            return _Noted(str(erasure_id), is_new=False, is_ended=bool(ended and ended[0][0]))
    key = str(known[0][1]) if known else new_key()
    erasure_id = secrets.token_hex(8)
    loader.put(
        FORGOTTEN,
        {
            "person_hash": Hashes(key).person(person),
            "hash_key": key,
            "forgotten_at": datetime.now(UTC),
            "erasure_id": erasure_id,
        },
    )
    return _Noted(erasure_id, is_new=True, is_ended=False)


def _note_erasure(loader: Loader, noted: _Noted, counts: Mapping[str, int]) -> Mapping[str, int]:
    """Notes the erasure with its numbers of rows and returns them; for one that was killed, the numbers that it noted."""
    name = loader.qualified(ERASURES.name)
    known = loader.query(f"SELECT table_counts FROM {name} AS r WHERE erasure_id = %s", noted.erasure_id)[1]
    if known and not noted.is_ended:
        numbers: dict[str, int] = json.loads(str(known[0][0] or "{}"))
        return numbers
    if counts or not known:
        row = {
            "erasure_id": noted.erasure_id,
            "system": loader.system.name,
            "started_at": datetime.now(UTC),
            "row_count": sum(counts.values()),
            "table_counts": json.dumps(counts),
        }
        loader.put(ERASURES, row)
    return counts


def _leave_out(loader: Loader, executions: Mapping[str, Mapping[str, datetime | None]]) -> int:
    """Notes the executions as left out, and in coverage how many of each day are; returns how many there are."""
    left_out = read_left_out(loader.query, loader.qualified, loader.system)
    assert left_out is not None  # noqa: S101 - a person was noted
    for table, starts in executions.items():
        for identity, start in starts.items():
            left_out.add_stored(table, identity, start)
    rows = left_out.new_rows(datetime.now(UTC))
    names, stored = loader.query(f"SELECT * FROM {loader.qualified(COVERAGE.name)} AS c")
    declared = {column.name for column in COVERAGE.columns}
    coverage = [
        {name: value for name, value in zip(names, row, strict=True) if name in declared} for row in stored
    ]
    changed = [
        noted
        for before, noted in zip(coverage, left_out.with_counts(coverage), strict=True)
        if before["left_out"] != noted["left_out"]
    ]
    if rows or changed:
        batch = Batch(loader.backend.commits, began_at=time.monotonic())
        batch.add(Chunk({LEFT_OUT.name: rows, COVERAGE.name: changed}))
        loader.commit(batch)
    return len(rows)
