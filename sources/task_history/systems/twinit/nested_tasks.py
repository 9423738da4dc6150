"""Reads the tasks of a Twinit run: nested in undocumented ways, in several lists, with ids that need not be unique.

Their columns, and how the views show them, stand in ``tables``.

https://twinit.dev/docs/apis/rest/workflowsvc/tasks
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.models import Json, Row
from ...core.row_keys import fields_beside_own
from ..protocol import StepList
from .tables import TASKS

_FIELD = "\0field"
"""The key of the list in which a task stands, until ``merge_tasks`` takes it: no vendor's key."""

_OWN_FIELDS = frozenset(column.source for column in TASKS.columns if column.source)
"""The fields that are columns of a task: inner tasks are looked for in all others, and what looks like one in an input or
a result is data."""

_ITERATIONS = (
    "(SELECT c.workflow_execution_id AS id, count(*) AS number FROM {{steps}} AS c JOIN {{steps}} AS d "
    "ON d.id = c.parent_task_id AND d.workflow_execution_id = c.workflow_execution_id "
    "WHERE upper(d.type) = 'DO_WHILE' "
    "GROUP BY c.workflow_execution_id, c.parent_task_id, c.type, c.name, c.sequence_no) AS {name}"
)
LOOPS_READ_ONCE = (
    f"SELECT once.id FROM {_ITERATIONS.format(name='once')} "
    f"WHERE NOT EXISTS (SELECT 1 FROM {_ITERATIONS.format(name='several')} WHERE several.number > 1)"
)
"""The runs whose loops may have had more iterations than are stored: all that have loops, where no stored loop shows two
iterations of a task. Their ids differ where one does."""


def tasks_in(container: Json, run_id: str, *, parent: str | None, field: str = "") -> Iterator[Row]:
    """Tasks and their inner tasks at any depth; the nesting is not documented.

    ``_FIELD`` in them is the field of the outer task in which they stand, until ``merge_tasks`` takes it.
    """
    for task in container if isinstance(container, list) else ():
        if not isinstance(task, dict) or task.get("_id") in (None, ""):
            continue
        nested = {
            name: value for name, value in task.items() if name not in _OWN_FIELDS and _has_tasks(value)
        }
        identity = str(task["_id"])
        yield {
            **fields_beside_own(TASKS, {name: value for name, value in task.items() if name not in nested}),
            "_name": task.get("_name") or f"{task.get('_type')}_{task.get('_sequenceno')}",
            "workflow_execution_id": run_id,
            "parent_task_id": parent,
            _FIELD: field,
        }
        for name, inner in nested.items():
            yield from tasks_in(list(_flat(inner)), run_id, parent=identity, field=name)


def merge_tasks(lists: Sequence[StepList]) -> list[Row]:
    """The tasks that the answers about one run show, each once.

    Ids need not be unique: the iterations of a loop may share one. Tasks of one list are different tasks. Those of
    several lists with the same id and outer task are the same ones, in the same sequence; so is a task of the run's own
    list that names no outer task, and one within a loop.
    """
    by_list: dict[tuple[str, str, str, str], list[Row]] = {}
    for request, rows in lists:
        for row in rows:
            task = dict(row)
            place = (request.path, task.pop(_FIELD), task["parent_task_id"] or "", str(task["_id"]))
            by_list.setdefault(place, []).append(task)
    tasks: dict[tuple[str, str], list[Row]] = {}
    for (_, _, outer, identity), rows in by_list.items():
        known = tasks.setdefault((outer, identity), [])
        known[:] = [*map(_united, known, rows), *known[len(rows) :], *rows[len(known) :]]
    inner: dict[str, list[Row]] = {}
    for (outer, identity), rows in tasks.items():
        if outer:
            inner.setdefault(identity, []).extend(rows)
    merged: list[Row] = []
    for (outer, identity), rows in tasks.items():
        within = [] if outer else inner.get(identity, [])
        if len(within) == len(rows):
            # In place: they come with their outer tasks.
            for task, alike in zip(within, rows, strict=True):
                task.update(_united(alike, task))
        merged += rows[len(within) :]
    return merged


def _united(first: Row, second: Row) -> Row:
    """One task from two lists: all fields that either has, the second's where both have them."""
    return {**first, **{name: value for name, value in second.items() if value is not None}}


def _is_task(value: Json) -> bool:
    return isinstance(value, dict) and {"_id", "_type", "_status"} <= value.keys()


def _has_tasks(value: Json) -> bool:
    return any(True for _ in _flat(value))


def _flat(value: Json) -> Iterator[Row]:
    """The tasks inside lists and objects that are not tasks themselves."""
    if _is_task(value):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _flat(inner)
