"""The payloads of steps that were just read, which can be read before the steps are in the warehouse."""

from __future__ import annotations

from ..core.batch import Chunk
from ..core.models import Scope
from ..warehouse.backlog import MissingDetail
from ..warehouse.queries import Warehouse
from .context import Context


def payloads_of(
    chunk: Chunk, context: Context, warehouse: Warehouse, scope: Scope
) -> dict[str, MissingDetail]:
    """What ``Warehouse.missing_payloads`` would name of the chunk's steps once they are stored, by key.

    Nothing where each query is billed: what is stored already is asked once for all steps there.
    """
    system = context.system
    if system.payloads is None or scope.payloads == "none" or warehouse.is_billed:
        return {}
    # Fresh rows have the vendor's keys.
    keys = {column.name: column.key for column in system.details.steps.columns}
    since = warehouse.kept_since().payloads
    found = {}
    for row in chunk.rows.get(system.details.steps.name, ()):
        execution_id, step_id = row[keys["workflow_execution_id"]], row[keys["id"]]
        started_at = row["execution_date_started"]
        is_chosen = scope.payloads == "all" or row.get(keys["status"]) in system.failed_statuses
        is_kept = since is None or started_at is None or started_at >= since
        if is_chosen and is_kept and execution_id and step_id:
            item = MissingDetail(str(execution_id), started_at, str(step_id))
            found[item.key] = item
    return found
