"""The dlt sources ``paragon``, ``sailpoint``, ``twinit`` and ``b3os``, for use in pipeline scripts.

``pipeline.run(paragon())`` is one commit: everything new, what was open, and one round of the backlog.
Run it again for the next round. ``task_history.sync(pipeline, paragon())`` brings everything in many commits under a
lock, as the ``task-history`` command does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import dlt
from dlt.extract import DltResource

from . import systems
from .client.account_client import connected
from .core.batch import Batch
from .core.errors import TaskHistoryError
from .core.log import log
from .core.stop import StopSignal
from .load.dlt_resources import ArrowWriter, arrow_batch, resources
from .load.pipeline import Loader
from .runs.column_changes import check_column_rules
from .runs.context import Context, new_run_id
from .runs.run_loop import RunLoop
from .runs.sync import Sync
from .settings_reader import Settings, build
from .warehouse.column_rules import ColumnRules, column_rules

# made by make reference: begin


@dlt.source(name="paragon", section="task_history", max_table_nesting=0)
def paragon(
    project_id: str = dlt.config.value,
    api_key: str = dlt.secrets.value,
    integrations: list[str] | None = None,
    workflow_map: str | None = None,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    retention_days: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payloads: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    redact: list[str] | None = None,
    redact_mode: str | None = None,
    keep_days_executions: int | None = None,
    keep_days_steps: int | None = None,
    keep_days_payloads: int | None = None,
    exclude_columns: list[str] | None = None,
    hash_columns: list[str] | None = None,
    hash_key: dlt.TSecretStrValue | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
) -> Sequence[DltResource]:
    """Paragon Task History as a dlt source.

    https://docs.useparagon.com/apis/task-history

    Args:
        project_id: the project's id, from the dashboard's address bar.
        api_key: a project-level API key (Settings > API Keys), not a Paragon User Token.
        integrations: integrations to learn each workflow's from; asked once per workflow and
            integration.
        workflow_map: a file that names each workflow's integration instead: CSV with the columns
            workflow_id, integration, workflow_name, or the same as TOML or JSON.
        base_url: where the API is; change it on-premise or elsewhere.
        start_date: where the first sync begins; 30 days back when not set.
        lookback_minutes: how far back each sync compares for executions that became visible late.
        retention_days: how many days the vendor keeps executions; 0 when it keeps them for ever.
        rate_limit_requests: requests in any rate_limit_period_s; 0 for no limit.
        rate_limit_period_s: seconds in which the requests are counted.
        reserved_share: share of the budget that a backfill leaves free for a sync.
        concurrency: requests under way at a time.
        steps: which executions' steps to read: one request each (``all``, ``failed``, ``none``).
        payloads: which steps' inputs and outputs to read: one request each (``all``, ``failed``,
            ``none``).
        payload_max_bytes: longer inputs and outputs are cut, stay valid JSON and say so.
        max_columns: columns of a table for fields that the vendor does not document; more go into
            other_fields.
        max_name_length: characters of the name of a column for an undocumented field; fields with
            longer names go into other_fields.
        redact: names whose values are redacted in payloads, beside the built-in ones.
        redact_mode: what counts as a secret: strict redacts values in doubt, too, and would rather
            lose one than keep a secret (``standard``, ``strict``).
        keep_days_executions: after how many days executions, and all that belongs to them, are
            deleted from the warehouse.
        keep_days_steps: after how many days steps, their events and logs are deleted from the
            warehouse.
        keep_days_payloads: after how many days the inputs and outputs of steps are deleted from the
            warehouse.
        exclude_columns: columns that are never written, also of fields that the vendor does not
            document.
        hash_columns: columns in which a keyed hash is written in place of the value; equal values
            have equal hashes, for joins.
        hash_key: the key of hash_columns; keep it as long as the warehouse.
        fault_deadline_s: how long a failing request, or a Postgres that ended its connections, is
            tried again, in seconds.
        timeout_s: how many seconds an answer may take.
        answer_max_bytes: an answer that is larger, once unpacked, is refused.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return _source("paragon", locals())


@dlt.source(name="sailpoint", section="task_history", max_table_nesting=0)
def sailpoint(
    client_id: str = dlt.config.value,
    client_secret: str = dlt.secrets.value,
    tenant: str | None = None,
    api_version: str | None = None,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    retention_days: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    redact: list[str] | None = None,
    redact_mode: str | None = None,
    keep_days_executions: int | None = None,
    keep_days_steps: int | None = None,
    exclude_columns: list[str] | None = None,
    hash_columns: list[str] | None = None,
    hash_key: dlt.TSecretStrValue | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
) -> Sequence[DltResource]:
    """SailPoint Identity Security Cloud Workflows as a dlt source.

    https://developer.sailpoint.com/docs/api/v2025/workflows

    Args:
        client_id: the client id of a personal access token (PAT) of a user who may read workflows.
        client_secret: the secret of that token.
        tenant: the tenant: the word before .api.identitynow.com; or set base_url.
        api_version: which version of the API is asked; v1 is the style of paths with the service
            first (``v2025``, ``v2026``, ``v2024``, ``v3``, ``beta``, ``v1``).
        All others: as those of ``paragon``.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return _source("sailpoint", locals())


@dlt.source(name="twinit", section="task_history", max_table_nesting=0)
def twinit(
    namespaces: list[str] = dlt.config.value,
    application_id: str | None = None,
    access_key: dlt.TSecretStrValue | None = None,
    secret_key: dlt.TSecretStrValue | None = None,
    token: dlt.TSecretStrValue | None = None,
    task_logs: str | None = None,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    retention_days: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    redact: list[str] | None = None,
    redact_mode: str | None = None,
    keep_days_executions: int | None = None,
    keep_days_steps: int | None = None,
    exclude_columns: list[str] | None = None,
    hash_columns: list[str] | None = None,
    hash_key: dlt.TSecretStrValue | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
) -> Sequence[DltResource]:
    """Twinit Workflow Service as a dlt source.

    https://twinit.dev/docs/apis/rest/workflowsvc/workflows

    Args:
        namespaces: the namespaces of the projects: each is a list of its own.
        application_id: the application that the access key is for; needed to make a token.
        access_key: a service access key; or set token.
        secret_key: the secret of the access key.
        token: a token instead of an access key; it is not renewed.
        task_logs: of which tasks the logs are read, one request for each and 100 lines (``all``,
            ``failed``, ``none``).
        All others: as those of ``paragon``.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return _source("twinit", locals())


@dlt.source(name="b3os", section="task_history", max_table_nesting=0)
def b3os(
    api_key: str = dlt.secrets.value,
    organization_id: str | None = None,
    stats_granularity: str | None = None,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    retention_days: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    redact: list[str] | None = None,
    redact_mode: str | None = None,
    keep_days_executions: int | None = None,
    keep_days_steps: int | None = None,
    exclude_columns: list[str] | None = None,
    hash_columns: list[str] | None = None,
    hash_key: dlt.TSecretStrValue | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
) -> Sequence[DltResource]:
    """B3OS executions and runs as a dlt source.

    https://docs.b3os.org/api/introduction

    Args:
        api_key: an API key, beginning with b3sk_; the scope read is enough.
        organization_id: the organization, sent as X-Org-ID where the vendor wants it named.
        stats_granularity: whether the vendor's statistics are taken by hour or by day (``hourly``,
            ``daily``).
        All others: as those of ``paragon``.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return _source("b3os", locals())


# made by make reference: end


def _source(name: str, given: Mapping[str, Any]) -> list[DltResource]:
    """The resources of the system ``name``, with the settings that dlt resolved."""
    settings = build(systems.find(name), given)
    system = settings.system
    writer = _LazyWriter(settings, column_rules(settings))
    batches = (arrow_batch(system, batch, writer) for batch in writer.batches())
    unbound = resources(system, batches, writer, cursor=system.started_column)
    return [resource.with_settings(settings) for resource in unbound]


class _LazyWriter(ArrowWriter):
    """A writer that is set up when the first batch is drawn: dlt knows the pipeline only from then on."""

    def __init__(self, settings: Settings, rules: ColumnRules) -> None:
        self._settings = settings
        self._column_rules = rules

    def batches(self) -> Iterator[Batch]:
        settings = self._settings
        run_id = new_run_id()
        loader = Loader(
            dlt.current.pipeline(),
            settings.system,
            run_id=run_id,
            secrets=settings.secrets,
            limits=settings.column_limits,
            rules=self._column_rules,
        )
        writer = loader.writer()
        super().__init__(
            writer.stored,
            writer.normalize,
            writer.secrets,
            fields=writer.fields,
            limits=settings.column_limits,
            rules=self._column_rules,
        )
        stop = StopSignal()
        # The consumer of the batches may wait for long between two of them.
        with closing(loader), connected(settings, stop) as (client, _), loader.released():
            warehouse = (
                loader.warehouse(is_ready=False).leaving_out(loader.left_out).reaching(settings.retention)
            )
            check_column_rules(loader, warehouse)
            context = Context(
                settings,
                client,
                warehouse,
                now=lambda: datetime.now(UTC),
                command="source",
                commits=loader.backend.commits,
                cost=loader.backend.cost,
                run_id=run_id,
            )
            loop = RunLoop(context, Sync(context, cursor=loader.cursor(), rounds=1), is_committed=False)
            yield from loop.batches()
        tally = context.tally
        if loop.error is not None:
            has_rows = tally.executions or tally.settled or tally.steps or tally.payloads
            if not has_rows or not isinstance(loop.error, TaskHistoryError):
                raise loop.error
            # An error raised here would discard the rows that were fetched.
            log.error("incomplete", reason=str(loop.error), hint="what was read is written; run it again")
