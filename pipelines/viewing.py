"""The analysts' views in the warehouse: kept as they should be, and checked after a run."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sources.task_history.errors import TaskHistoryError, WarehouseUnavailable
from sources.task_history.views.checking import BROKEN, Finding, findings
from sources.task_history.views.creating import Access, refresh
from sources.task_history.views.dialects import DATASET
from sources.task_history.views.relations import Dataset

from .destination import Target

if TYPE_CHECKING:
    from sources.task_history.loading import Loader

    from .running import Run

log = logging.getLogger("task_history")

_PATIENCE_S = 30.0
ADVICE = "the rows are loaded; make the views with: task-history views"


def after(current: Run) -> None:
    """Keeps the views as they should be and checks what the run changed. Never fails: what is loaded is loaded."""
    context = current.session.context
    try:
        access = of_loader(current.loader)
        made = refresh(access)
        if current.session.stopped or not made.views or not (context.tally.executions or context.tally.steps):
            return
        own = Dataset(context.settings.dataset_name, context.system, context.settings.instance or "")
        for finding in findings(
            access.query, [own], access.dialect, since=_oldest(access, context.run_id), project=access.project
        ):
            tell(finding)
    except TaskHistoryError as error:
        log.warning("views_failed because=%r advice=%r", str(error), ADVICE)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a view, the rows are there
        log.warning("views_failed because=%r advice=%r", f"{type(error).__name__}: {error}", ADVICE)


def tell(finding: Finding) -> None:
    """A warning for a check that does not hold, with the query that shows the rows."""
    if finding.is_well:
        return
    write = log.warning if finding.check.level == BROKEN else log.info
    write(
        "check_%s name=%s promise=%r query=%r",
        finding.check.level,
        finding.check.name,
        finding.check.promise,
        " ".join(finding.sql.split()),
    )


def _oldest(access: Access, run_id: str) -> datetime | None:
    """When the oldest execution began that the run wrote."""
    name = ".".join(filter(None, (access.project, DATASET, "executions")))
    _, rows = access.query(f"SELECT min(started_at) FROM {name} WHERE run_id = %s", run_id)
    found = rows[0][0] if rows else None
    return found.astimezone(UTC) if isinstance(found, datetime) else None


def of_loader(loader: Loader) -> Access:
    """The warehouse that a run writes to."""
    client: Any = loader.pipeline.sql_client()
    return _access(client, loader.query, loader.execute)


@contextmanager
def opened(target: Target) -> Iterator[Access]:
    """A warehouse in which views are made without a run.

    Raises:
        WarehouseUnavailable: it cannot be opened for writing.
    """
    import dlt

    from sources.task_history.failures import failures, is_locked

    from .running import working_folder

    with failures():
        pipeline = dlt.pipeline(
            "task_history_views",
            pipelines_dir=str(working_folder(target)),
            destination=target.destination(),
            dataset_name=DATASET,
        )
        client: Any = pipeline.sql_client()
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                client.open_connection()
                break
            except Exception as error:
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.05, 0.15))

    def query(sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        with failures(), client.execute_query(sql, *values) as cursor:
            return [column[0] for column in cursor.description or ()], [tuple(row) for row in cursor.fetchall()]

    def execute(statements: Iterable[str]) -> None:
        with failures():
            for statement in statements:
                client.execute_sql(statement)

    try:
        yield _access(client, query, execute)
    finally:
        client.close_connection()


def _access(client: Any, query: Any, execute: Any) -> Access:
    dialect = str(client.dialect if hasattr(client, "dialect") else client.capabilities.sqlglot_dialect)
    return Access(
        dialect,
        query,
        execute,
        project=getattr(client, "project_id", None) if dialect == "bigquery" else None,
        region=getattr(client, "location", None),
    )


__all__ = ["ADVICE", "WarehouseUnavailable", "after", "of_loader", "opened", "tell"]
