"""The systems as dlt sources, for scripts of your own.

``pipeline.run(paragon())`` is one commit: everything new, what was open, and one round of the backlog.
Run it again for the next round. The ``task-history`` command does the same in many small commits,
with progress and a lock; it is what a schedule should call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

import dlt
from dlt.extract import DltResource

from . import systems
from .client.connect import connected
from .core.batch import Batch
from .core.log import log
from .core.stop import StopSignal
from .load.pipeline import Loader
from .load.resources import Writer, made, resources
from .runs.context import Context, new_run_id
from .runs.session import Session
from .runs.sync import Sync
from .settings import Settings, build


@dlt.source(name="paragon", section="task_history", max_table_nesting=0)
def paragon(
    project_id: str = dlt.config.value,
    api_key: str = dlt.secrets.value,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payloads: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    retention_days: float | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
    redact: list[str] | None = None,
    integrations: list[str] | None = None,
    workflow_map: str | None = None,
) -> Sequence[DltResource]:
    """Executions of workflows, their steps, inputs and outputs.

    https://docs.useparagon.com/apis/task-history

    Args:
        project_id: the project's id.
        api_key: a project-level API key.
        base_url: where the API is, on-premise or elsewhere.
        start_date: where the first sync begins, ISO 8601; 30 days back when not given.
        lookback_minutes: how far back each sync compares for rows that came late.
        rate_limit_requests: requests in any ``rate_limit_period_s``; 0 for no limit.
        rate_limit_period_s: seconds in which they are counted.
        reserved_share: share of the budget that a backfill leaves free for a sync.
        concurrency: requests side by side.
        steps: ``all``, ``failed`` or ``none``.
        payloads: ``all``, ``failed`` or ``none``.
        payload_max_bytes: longer inputs and outputs are cut.
        max_columns: columns of a table for fields that the vendor does not document; more go into ``other_fields``.
        max_name_length: characters of such a column's name; longer ones go there too.
        retention_days: how many days the vendor keeps executions; 0 when it keeps them for ever.
        fault_deadline_s: how long a failing request is tried again.
        timeout_s: how long an answer may take.
        answer_max_bytes: an answer that is larger, once unpacked, is refused.
        redact: names whose values are redacted in payloads, beside the built-in ones.
        integrations: integrations to learn each workflow's from.
        workflow_map: a file that names each workflow's integration instead.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    given = dict(locals())
    return _resources(build(systems.find("paragon"), given))


@dlt.source(name="sailpoint", section="task_history", max_table_nesting=0)
def sailpoint(
    client_id: str = dlt.config.value,
    client_secret: str = dlt.secrets.value,
    tenant: str | None = None,
    api_version: str | None = None,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    retention_days: float | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
    redact: list[str] | None = None,
) -> Sequence[DltResource]:
    """Workflows, their executions, and the events of each.

    https://developer.sailpoint.com/docs/api/v2025/workflows

    Args:
        client_id: the client id of a personal access token.
        client_secret: its secret.
        tenant: the word before ``.api.identitynow.com``; or set ``base_url``.
        api_version: which version of the API is asked.

    The others are those of ``paragon``.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    given = dict(locals())
    return _resources(build(systems.find("sailpoint"), given))


@dlt.source(name="b3os", section="task_history", max_table_nesting=0)
def b3os(
    api_key: str = dlt.secrets.value,
    organization_id: str | None = None,
    stats_granularity: str | None = None,
    base_url: str | None = None,
    start_date: str | None = None,
    lookback_minutes: float | None = None,
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    retention_days: float | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
    redact: list[str] | None = None,
) -> Sequence[DltResource]:
    """Executions with their events, runs with their nodes, and the vendor's statistics.

    https://docs.b3os.org/api/introduction

    Args:
        api_key: an API key of the organization.
        organization_id: the organization, where the vendor wants it named.
        stats_granularity: ``hourly`` or ``daily``.

    The others are those of ``paragon``.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    given = dict(locals())
    return _resources(build(systems.find("b3os"), given))


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
    rate_limit_requests: int | None = None,
    rate_limit_period_s: float | None = None,
    reserved_share: float | None = None,
    concurrency: int | None = None,
    steps: str | None = None,
    payload_max_bytes: int | None = None,
    max_columns: int | None = None,
    max_name_length: int | None = None,
    retention_days: float | None = None,
    fault_deadline_s: float | None = None,
    timeout_s: float | None = None,
    answer_max_bytes: int | None = None,
    redact: list[str] | None = None,
) -> Sequence[DltResource]:
    """Definitions of workflows, their runs, the tasks of each and their logs.

    https://twinit.dev/docs/apis/rest/workflowsvc/workflows

    Args:
        namespaces: the namespaces of the projects.
        application_id: the application that the access key is for.
        access_key: a service access key; or give ``token``.
        secret_key: its secret.
        token: a token instead of an access key.
        task_logs: of which tasks the logs are read: ``all``, ``failed`` or ``none``.

    The others are those of ``paragon``; ``base_url`` has to be given.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    given = dict(locals())
    return _resources(build(systems.find("twinit"), given))


def _resources(settings: Settings) -> list[DltResource]:
    system = settings.system
    loader = _Late(settings)
    batches = (made(system, batch, loader) for batch in loader.batches())
    return resources(system, batches, loader, cursor=system.started_column)


class _Late(Writer):
    """Looks at the pipeline when rows are drawn: only then is it known."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def batches(self) -> Iterator[Batch]:
        settings = self._settings
        run_id = new_run_id()
        loader = Loader(
            dlt.current.pipeline(),
            settings.system,
            run_id=run_id,
            secrets=settings.secrets,
            limits=settings.column_limits,
        )
        writer = loader.writer()
        super().__init__(writer.stored, writer.normalize, writer.secrets, limits=settings.column_limits)
        stop = StopSignal()
        # Whoever draws the batches takes the time that it takes.
        with closing(loader), connected(settings, stop) as (client, _), loader.let_go():
            context = Context(
                settings,
                client,
                loader.warehouse(is_ready=False).reaching(settings.retention),
                now=lambda: datetime.now(UTC),
                command="source",
                commits=loader.backend.commits,
                cost=loader.backend.cost,
                run_id=run_id,
            )
            session = Session(context, Sync(context, cursor=loader.cursor(), rounds=1), is_committed=False)
            yield from session.batches()
        tally = context.tally
        if session.error is not None:
            if not (tally.executions or tally.settled or tally.steps or tally.payloads):
                raise session.error
            # Raised here, it would throw away what was fetched.
            log.error("incomplete", reason=str(session.error), hint="what was read is written; run it again")
