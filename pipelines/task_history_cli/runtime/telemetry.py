"""Metrics and spans of a run by OpenTelemetry; on where OTEL_EXPORTER_OTLP_ENDPOINT is set.

Names, units, kinds and meanings stand in ``METRICS``. All else is OpenTelemetry's own: endpoint, headers, interval,
service name and the switch OTEL_SDK_DISABLED. https://opentelemetry.io/docs/languages/sdk-configuration/
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from task_history.core.log import log

if TYPE_CHECKING:
    from task_history.runs.runner import ActiveRun

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
RUN_SPAN, COMMIT_SPAN = "task_history.run", "task_history.commit"
COMMIT_DURATION = "task_history.commit.duration"


class Metric(NamedTuple):
    """Unit, meaning and kind of a metric: a counter only grows while a run lasts, a gauge rises and falls."""

    unit: str
    meaning: str
    kind: Literal["counter", "gauge", "histogram"]


METRICS = {
    "task_history.requests": Metric("{request}", "Requests sent, by kind; every attempt counts.", "counter"),
    "task_history.answers": Metric(
        "{answer}", "Answers received, by kind and status; 0 where no answer came.", "counter"
    ),
    "task_history.waited": Metric(
        "s", "Time in which a request waited, by cause: fault, retry_after, budget.", "counter"
    ),
    "task_history.rows": Metric("{row}", "Rows written, by table.", "counter"),
    "task_history.backlog": Metric(
        "{execution}", "Executions and payloads whose details are not loaded yet, by kind.", "gauge"
    ),
    "task_history.open_executions": Metric("{execution}", "Executions that are open at the vendor.", "gauge"),
    "task_history.lag": Metric("s", "Time since the instant up to which everything is loaded.", "gauge"),
    "task_history.budget.used": Metric("{request}", "Requests that count against the budget now.", "gauge"),
    "task_history.budget.limit": Metric("{request}", "Requests allowed in a period.", "gauge"),
    "task_history.bytes_billed": Metric(
        "By", "Bytes that the warehouse billed for the run, where it bills by volume.", "counter"
    ),
    COMMIT_DURATION: Metric("s", "Duration of a commit.", "histogram"),
}
_FLUSH_MS = 5_000
"""Maximum milliseconds that the end of a run waits until all data is sent."""


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Whether an endpoint is set and OpenTelemetry is not switched off."""
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not is_disabled and any(environ.get(name, "").strip() for name in ENDPOINTS)


@contextmanager
def observed(run: ActiveRun) -> Iterator[None]:
    """Sends metrics and spans of the run while its block lasts. Errors of telemetry end no run."""
    if not is_enabled(os.environ):
        yield
        return
    try:
        telemetry = _Telemetry(run)
    except ImportError:
        log.warning(
            "telemetry_off",
            hint="OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry is not installed: "
            "pip install 'task-history[otel]', or unset the variable",
        )
        yield
        return
    run.on_commit.append(telemetry.committed)
    try:
        yield
    except BaseException as error:
        telemetry.end(error)
        raise
    else:
        telemetry.end(None)


class _Telemetry:
    """The providers of one run. Raises ImportError where OpenTelemetry is not installed."""

    def __init__(self, run: ActiveRun) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        context = run.loop.context
        self._run = run
        self._attributes: dict[str, Any] = {
            "system": context.system.name,
            "account": "/".join(filter(None, (context.system.name, context.settings.instance))),
            "dataset": context.settings.dataset_name,
            "command": context.command,
        }
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of the user win.
        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or "task-history"})
        self._meters = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource, shutdown_on_exit=False
        )
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._make_instruments()
        self._tracer = self._tracers.get_tracer("task_history")
        self._span = self._tracer.start_span(
            RUN_SPAN, attributes={**self._attributes, "run_id": context.run_id}
        )

    def committed(self, rows: int, seconds: float) -> None:
        """Notes a commit that has just ended."""
        from opentelemetry.trace import set_span_in_context

        self._commits.record(seconds, self._attributes)
        now_ns = time.time_ns()
        span = self._tracer.start_span(
            COMMIT_SPAN,
            context=set_span_in_context(self._span),
            start_time=now_ns - round(seconds * 1e9),
            attributes={**self._attributes, "rows": rows},
        )
        span.end(now_ns)

    def end(self, error: BaseException | None) -> None:
        """Ends the run's span and sends what is left. Of an error only its class is sent: its text may name rows."""
        from opentelemetry.trace import Status, StatusCode

        tally = self._run.loop.context.tally
        self._span.set_attributes(
            {"executions": tally.executions, "steps": tally.steps, "payloads": tally.payloads}
        )
        if error is not None:
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        try:
            self._tracers.force_flush(_FLUSH_MS)
            self._meters.force_flush(_FLUSH_MS)
            self._tracers.shutdown()
            self._meters.shutdown(_FLUSH_MS)
        except Exception as failure:  # noqa: BLE001 - failed telemetry ends no run
            log.warning("telemetry_failed", reason=type(failure).__name__)

    def _make_instruments(self) -> None:
        meter = self._meters.get_meter("task_history")
        for name, values in self._observed().items():
            unit, meaning, kind = METRICS[name]
            make = meter.create_observable_counter if kind == "counter" else meter.create_observable_gauge
            make(name, [self._callback(values)], unit=unit, description=meaning)
        unit, meaning, _ = METRICS[COMMIT_DURATION]
        self._commits = meter.create_histogram(COMMIT_DURATION, unit=unit, description=meaning)

    def _callback(
        self, values: Callable[[], Iterable[tuple[float | None, dict[str, Any]]]]
    ) -> Callable[[Any], list[Any]]:
        from opentelemetry.metrics import Observation

        def observe(_: Any) -> list[Any]:
            return [
                Observation(value, {**self._attributes, **attributes})
                for value, attributes in values()
                if value is not None
            ]

        return observe

    def _observed(self) -> dict[str, Callable[[], Iterable[tuple[float | None, dict[str, Any]]]]]:
        """The values of each metric with their own attributes; None where one is not known."""
        run, context = self._run, self._run.loop.context

        def lag() -> float | None:
            cursor = context.tally.cursor
            return None if cursor is None else max(0.0, (datetime.now(UTC) - cursor).total_seconds())

        return {
            "task_history.requests": lambda: [
                (count, {"kind": kind}) for kind, count in run.client.stats.sent.items()
            ],
            "task_history.answers": lambda: [
                (count, {"kind": kind, "status": status})
                for (kind, status), count in run.client.stats.answered.items()
            ],
            "task_history.waited": lambda: [
                (seconds, {"cause": cause}) for cause, seconds in run.client.stats.waited_s.items()
            ],
            "task_history.rows": lambda: [
                (count, {"table": table}) for table, count in dict(run.rows).items()
            ],
            "task_history.backlog": lambda: [
                (getattr(run.loop.left, kind, None), {"kind": kind}) for kind in ("details", "payloads")
            ],
            "task_history.open_executions": lambda: [(getattr(run.loop.left, "open_executions", None), {})],
            "task_history.lag": lambda: [(lag(), {})],
            "task_history.budget.used": lambda: [(usage.used if (usage := run.usage()) else None, {})],
            "task_history.budget.limit": lambda: [(run.budget.limit or None, {})],
            "task_history.bytes_billed": lambda: [(context.cost.billed if context.cost else None, {})],
        }
