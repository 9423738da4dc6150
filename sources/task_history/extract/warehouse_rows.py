"""Makes the rows that the warehouse gets of what the vendor sent: executions, steps, payloads, details log."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ..core.columns import OCCURRENCE
from ..core.cutting import to_text
from ..core.json_reading import parse_text
from ..core.models import OTHER_FIELDS, Answer, Column, Json, Row, Table, iso_ms
from ..core.naming import folded_column
from ..core.row_keys import (
    JsonText,
    MisfitText,
    StoredText,
    fields_beside_own,
    fields_in,
    read_back,
    stored_column,
    vendors_key,
)
from ..redaction.redactor import Redactor
from ..systems.protocol import Detail, PageForm, Payload, System
from ..warehouse.column_rules import ColumnRules
from ..warehouse.retry_schedule import next_try_at
from ..warehouse.status_history import StoredStatus, earlier_state
from .redacted_json import redacted_json, redacted_prose
from .rows_without_id import Rejection
from .status_redaction import StatusRedaction

if TYPE_CHECKING:
    from ..core.arrow_types import RowColumns, Values
    from .columnar import ColumnarRows

_MAX_REASONS = 5
"""How many parts of one execution that could not be read are named."""
_MAX_TRIES_OF_PARTS = 6
"""Runs, over more than a day, that read an execution again for a part that fails."""


class UndocumentedFields:
    """Fields that the vendor does not document: they are kept, without secrets."""

    def __init__(
        self,
        redactor: Redactor,
        *,
        max_bytes: int,
        rules: ColumnRules | None = None,
    ) -> None:
        self._redactor = redactor
        self._rules = rules or ColumnRules()
        self._max_bytes = max_bytes
        self._documented: dict[str, frozenset[str]] = {}
        self._statuses = StatusRedaction(redactor)
        self._free: dict[str, tuple[Column, ...]] = {}

    def kept(self, table: Table, row: Mapping[str, Json]) -> Mapping[str, Json]:
        """The row as it may be written to ``table``; the very same one when there is nothing to take out."""
        free = self._free.get(table.name)
        if free is None:
            free = tuple(column for column in table.columns if column.is_customer_data)
            self._free[table.name] = free
        if free:
            row = {
                **row,
                **{one.key: self._text(one, row[one.key]) for one in free if row.get(one.key) is not None},
            }
        return self._documented_and_others(table, self._statuses.kept(table, row))

    def kept_in_columns(self, table: Table, given: ColumnarRows) -> dict[str, Values]:
        """The same of rows in columns: only undocumented fields are looked at one by one."""
        in_columns, lists = given.table, given.others
        columns: dict[str, Values] = {name: in_columns[name] for name in in_columns.column_names}
        columns |= self._statuses.kept_in_columns(table, columns)
        documented = {column.source for column in table.columns}
        rules = self._rules.of(table.name)
        unknown = {
            name: lists[name] if name in lists else in_columns[name].unique().to_pylist()
            for name in [*columns, *lists]
            if name not in documented and not rules.action(name)
        }
        is_sound = self._redactor.is_sound
        if all(is_sound(name, value) for name, values in unknown.items() for value in values):
            return {**columns, **lists}
        names = list(unknown)
        every = [lists[name] if name in lists else in_columns[name].to_pylist() for name in names]
        rows = []
        for values in zip(*every, strict=True):
            others = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            redacted = self._redactor.payload(others).value
            rows.append(redacted if isinstance(redacted, dict) else dict.fromkeys(others, redacted))
        kept = {name: column for name, column in {**columns, **lists}.items() if name not in unknown}
        return {**kept, **{name: [row.get(name) for row in rows] for name in set().union(*rows)}}

    def _text(self, column: Column, value: Json) -> str:
        """What customers write, without secrets, of bounded size: JSON in a column of JSON, prose as it is.

        What is no text fits no column of prose: there it would look like one.
        """
        if isinstance(value, StoredText | MisfitText | JsonText):
            return value
        if column.is_json:
            return self.json(value)
        if not isinstance(value, str):
            return MisfitText(self.json(value))
        return redacted_prose(self._redactor, value, self._max_bytes)

    def rejected(self, table: Table, value: Json) -> JsonText:
        """A row that cannot stand in ``table`` as JSON text, without what may not stand there either."""
        rules = self._rules.of(table.name)
        if not rules or not isinstance(value, dict):
            return self.json(value)
        # A hash looks like a secret.
        hashed = rules.applied({name: field for name, field in value.items() if rules.action(name)})
        kept = self._redactor.payload(
            {name: field for name, field in value.items() if not rules.action(name)}
        )
        fields = {**kept.value, **hashed} if isinstance(kept.value, dict) else kept.value
        return JsonText(to_text(fields, self._max_bytes).text)

    def json(self, value: Json) -> JsonText:
        """Any value as JSON text, without secrets, of bounded size."""
        return JsonText(redacted_json(self._redactor, value, self._max_bytes)[0].text)

    def _documented_and_others(self, table: Table, row: Mapping[str, Json]) -> Mapping[str, Json]:
        documented = self._documented.get(table.name)
        if documented is None:
            documented = frozenset(column.key for column in table.columns)
            self._documented[table.name] = documented
        if documented.issuperset(row):
            return row
        is_sound, rules = self._redactor.is_sound, self._rules.of(table.name)

        def is_kept(name: str) -> bool:
            """Whether it was read back, and is without secrets already, or is excluded or hashed."""
            return stored_column(name) is not None or rules.action(name) is not None

        for name in row:
            if not (name in documented or is_sound(name, row[name]) or is_kept(name)):
                break
        else:
            return row
        others = {name: value for name, value in row.items() if not (name in documented or is_kept(name))}
        redacted = self._redactor.payload(others)
        if not redacted.count:
            return row
        kept = redacted.value if isinstance(redacted.value, dict) else dict.fromkeys(others, redacted.value)
        return {**{name: value for name, value in row.items() if name not in others}, **kept}


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which run read something, when, and what of it may be kept."""

    run_id: str
    at: datetime
    undocumented: UndocumentedFields = field(repr=False, compare=False)

    def on(self, row: Mapping[str, Json]) -> Row:
        """The row with the stamp."""
        return {**row, "fetched_at": self.at, "run_id": self.run_id}


LIST, LATE, STATUS, EXECUTION, REPAIR, REPLAY = "list", "late", "status", "execution", "repair", "replay"
"""By which kind of request a version of a row came."""


def execution(
    system: System, row: Mapping[str, Json], stamp: Stamp, *, read_by: str, before: StoredStatus | None = None
) -> Row:
    """A listing's row, or one that was laid over a stored row; ``before`` is its state as stored."""
    row = stamp.undocumented.kept(system.executions, row)
    is_open = system.is_open(dict(row))
    is_same = before is not None and before.status == str(row.get("status") or "")
    own = _own_columns(stamp, is_open=is_open, resolution=None if is_open else "ended", read_by=read_by)
    since = before.since if before is not None and is_same else stamp.at
    return {**row, **own, "status_seen_at": since}


def _own_columns(
    stamp: Stamp, *, is_open: Json, resolution: Json, read_by: str, purged_at: datetime | None = None
) -> Row:
    """The columns of an execution that this connector adds to the vendor's, but for ``status_seen_at``."""
    own = {"is_open": is_open, "resolution": resolution, "purged_at_source": purged_at, "read_by": read_by}
    return stamp.on(own)


def columnar_executions(
    form: PageForm, table: Table, rows: ColumnarRows, stamp: Stamp, *, read_by: str
) -> RowColumns:
    """A listing's rows that came in columns, none of which is stored."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from ..core.arrow_types import ARROW, RowColumns

    size = len(rows)
    kept = stamp.undocumented.kept_in_columns(table, rows)
    status, end = (kept.get(key, pa.nulls(size, pa.string())) for key in ("status", form.open_rule.end))
    are_open = form.open_rule.are_open(status, end)
    resolution = pc.if_else(are_open, pa.scalar(None, pa.string()), "ended")
    own = _own_columns(stamp, is_open=are_open, resolution=resolution, read_by=read_by)
    own["status_seen_at"] = stamp.at
    types = {column.name: ARROW[column.type] for column in table.columns}
    different = {name: own.pop(name) for name in ("is_open", "resolution")}
    constants = {name: pa.scalar(value, types[name]) for name, value in own.items()}
    return RowColumns({**kept, **different}, size, constants)


def executions(
    system: System, rows: Iterable[Row], stamp: Stamp, *, read_by: str, stored: Mapping[str, StoredStatus]
) -> tuple[list[Row], list[Row]]:
    """A listing's rows, and the earlier states of those that are stored in another; ``stored`` is by id."""
    fresh, earlier = [], []
    for row in rows:
        identity = system.identity(row)
        before = stored.get(identity)
        fresh.append(execution(system, row, stamp, read_by=read_by, before=before))
        earlier += earlier_state(identity, before, fresh[-1].get("status"))
    return fresh, earlier


def merged_over(system: System, stored: Mapping[str, Json], fresh: Mapping[str, Json]) -> Row:
    """The stored row with what a single read says: what the read does not hold stays as it was."""
    partition = system.partition_column
    if partition is not None and fresh.get(partition.key) in (None, ""):
        fresh = {name: value for name, value in fresh.items() if name != partition.key}
    return {**read_back(system.executions, stored), **fresh}


def keep_fields_of_single_reads(
    system: System,
    rows: Iterable[Row],
    stored: Mapping[str, StoredStatus],
    read: Callable[[Sequence[str]], Mapping[str, Row]],
) -> list[Row]:
    """A listing's rows; those of stored open executions keep the fields that only a single read has shown.

    ``stored`` holds statuses by id, ``read`` returns stored rows by id.
    """
    rows = list(rows)
    ids = [
        key for row in rows if (seen := stored.get(key := system.identity(row))) and seen.read_by == EXECUTION
    ]
    opens = {key: row for key, row in read(ids).items() if row["is_open"]} if ids else {}
    return [
        merged_over(system, before, row) if (before := opens.get(system.identity(row))) else row
        for row in rows
    ]


def also_listed(system: System, stored: Mapping[str, Json], extra: Mapping[str, Json]) -> Row:
    """The fields that only a single read documents and that the stored row has from a listing, as fields of it."""
    table, log = system.executions, system.details.log
    columns = {column.name for column in table.columns}
    listed = {
        folded_column(name) for name in (*stored, *fields_in(stored.get(OTHER_FIELDS))) if name not in columns
    }
    sent = {vendors_key(log, key): value for key, value in extra.items()}
    return fields_beside_own(
        table, {name: value for name, value in sent.items() if folded_column(name) in listed}
    )


def vanished(
    system: System, stored: Mapping[str, Json], stamp: Stamp, *, is_expired: bool, read_by: str = EXECUTION
) -> Row:
    """The stored row of an execution that the vendor no longer holds, by that kind of request."""
    row = merged_over(system, stored, {})
    resolution = stored.get("resolution") or ("unresolved_at_retention" if is_expired else "gone")
    own = _own_columns(stamp, is_open=False, resolution=resolution, read_by=read_by, purged_at=stamp.at)
    return {**row, **own}


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """Why something, or a part of it, was not read, and when a run tries again."""

    reasons: tuple[str, ...] = ()
    tries: int | None = None
    """How many runs tried in vain; None where no try can help."""
    next_try_at: datetime | None = None

    @classmethod
    def until_later(cls, reasons: tuple[str, ...], *, tries: int, now: datetime) -> ReadProblem:
        """What ``tries`` runs, this one among them, could not read; a later one tries again."""
        return cls(reasons, tries, next_try_at(tries, now))

    @classmethod
    def parts_of(cls, detail: Detail, *, tries: int, now: Callable[[], datetime]) -> ReadProblem:
        """The parts of a detail that were not read. After some tries they are left unread: each reads the whole."""
        if not detail.failed:
            return cls(detail.unreadable)
        reasons = (*detail.failed, *detail.unreadable)
        return (
            cls(reasons, tries)
            if tries >= _MAX_TRIES_OF_PARTS
            else cls.until_later(reasons, tries=tries, now=now())
        )

    @property
    def reason(self) -> str | None:
        """The first reasons as one text; None where all was read."""
        return " ".join(self.reasons[:_MAX_REASONS]) or None

    @property
    def columns(self) -> Row:
        """The columns of a details log, or of payloads."""
        return {"unreadable_reason": self.reason, "tries": self.tries, "next_try_at": self.next_try_at}


def details_log_row(
    table: Table,
    execution_id: str,
    started_at: datetime | None,
    outcome: str,
    stamp: Stamp,
    detail: Detail | None = None,
    *,
    unread: ReadProblem | None = None,
) -> Row:
    """The note that an execution's steps were asked for, or why they or a part of them cannot be."""
    extra = stamp.undocumented.kept(table, detail.extra) if detail else {}
    return stamp.on(
        {
            **extra,
            "id": execution_id,
            "outcome": outcome,
            **(unread or ReadProblem()).columns,
            "steps": len(detail.steps) if detail else None,
            "date_started": started_at,
        }
    )


def steps(table: Table, detail: Detail, started_at: datetime | None, stamp: Stamp) -> list[Row]:
    """The execution's steps."""
    kept = (stamp.undocumented.kept(table, step) for step in detail.steps)
    rows = [stamp.on({**step, "execution_date_started": started_at}) for step in kept]
    if OCCURRENCE in table.columns:
        key = next(column.key for column in table.columns if column.name == table.primary_key[0])
        seen: Counter[str] = Counter()
        for row in rows:
            row[OCCURRENCE.name] = seen[str(row[key])]
            seen[str(row[key])] += 1
    return rows


def children(
    system: System, detail: Detail, started_at: datetime | None, stamp: Stamp
) -> dict[str, list[Row]]:
    """The rows of further tables that an execution's detail brings."""
    tables = {table.name: table for table in system.details.children}
    return {
        name: [
            stamp.on({**stamp.undocumented.kept(tables[name], row), "execution_date_started": started_at})
            for row in rows
        ]
        for name, rows in detail.children.items()
    }


def exact(answer: Answer) -> Json:
    """The answer with its texts exactly as they were sent."""
    if b"\\u" not in answer.body:
        return answer.data  # a second reading would give the same, and take as much memory again
    try:
        return parse_text(answer.body.decode())
    except (ValueError, RecursionError):
        return answer.data


def rejected(table: Table, filters: str, rejection: Rejection, stamp: Stamp) -> Row:
    """The row of ``rejected_rows`` for a row that cannot stand in ``table``."""
    window, near = rejection.window, rejection.near
    value = stamp.undocumented.rejected(table, rejection.row.value)
    key = "\0".join((table.name, filters, iso_ms(near) if near else "", str(rejection.alike), value))
    return stamp.on(
        {
            "rejected_id": hashlib.sha256(key.encode()).hexdigest()[:32],
            "table_name": table.name,
            "filters": filters,
            "window_start": window.start if window else None,
            "window_end": window.end if window else None,
            "row_offset": rejection.offset,
            "near_at": near,
            "value": value,
            "reason": rejection.row.reason,
        }
    )


@dataclass(frozen=True, slots=True)
class PayloadRecord:
    """A payload as it is written, and its size in characters."""

    row: Row
    size: int


class PayloadRows:
    """Payloads without secrets and of bounded size."""

    def __init__(self, redactor: Redactor, *, max_bytes: int) -> None:
        self._redactor = redactor
        self._max_bytes = max_bytes

    def record(self, ids: Mapping[str, Json], payload: Payload, stamp: Stamp) -> PayloadRecord:
        """The row of a payload; ``ids`` are the columns that say whose it is."""
        input_text, inputs = redacted_json(self._redactor, payload.input, self._max_bytes)
        output_text, outputs = redacted_json(self._redactor, payload.output, self._max_bytes)
        flags = self._redactor.payload(dict(payload.flags))
        row = stamp.on(
            {
                **flags.value,
                **ids,
                "input": JsonText(input_text.text),
                "output": JsonText(output_text.text),
                "input_bytes": input_text.bytes,
                "output_bytes": output_text.bytes,
                "is_input_cut": input_text.cut,
                "is_output_cut": output_text.cut,
                "redactions": inputs + outputs + flags.count,
                "outcome": "loaded",
            }
        )
        return PayloadRecord(row, len(input_text.text) + len(output_text.text))

    def missing(self, ids: Mapping[str, Json], stamp: Stamp) -> PayloadRecord:
        """The row of a payload that the vendor no longer holds."""
        return PayloadRecord(stamp.on({**ids, "outcome": "gone"}), 0)

    def unreadable(
        self, ids: Mapping[str, Json], outcome: str, unread: ReadProblem, stamp: Stamp
    ) -> PayloadRecord:
        """The row of a payload that cannot be asked for, or whose answer cannot be read."""
        row = stamp.on({**ids, "outcome": outcome, **unread.columns})
        return PayloadRecord(row, len(unread.reason or ""))
