"""Metrics and spans of a run by OpenTelemetry; on where OTEL_EXPORTER_OTLP_ENDPOINT is set.

Names, units and attributes stand in ``METRICS``. Everything else is OpenTelemetry's own: endpoint, headers, interval,
service name and the switch OTEL_SDK_DISABLED. https://opentelemetry.io/docs/languages/sdk-configuration/
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
METRICS: dict[str, tuple[str, str]] = {
    "task_history.requests": ("{request}", "Requests sent, by kind; every attempt counts."),
    "task_history.answers": ("{answer}", "Answers received, by kind and status; 0 where no answer came."),
    "task_history.waited": ("s", "Time in which a request waited, by cause: fault, retry_after, budget."),
    "task_history.rows": ("{row}", "Rows written, by table."),
    "task_history.backlog": (
        "{execution}",
        "Executions and payloads whose details are not loaded yet, by kind.",
    ),
    "task_history.open_executions": ("{execution}", "Executions that are open at the vendor."),
    "task_history.lag": ("s", "Time since the instant up to which everything is loaded."),
    "task_history.budget.used": ("{request}", "Requests that count against the budget now."),
    "task_history.budget.limit": ("{request}", "Requests allowed in a period."),
    "task_history.bytes_billed": (
        "By",
        "Bytes that the warehouse billed for the run, where it bills by volume.",
    ),
    COMMIT_DURATION: ("s", "Duration of a commit."),
}
"""Unit and meaning of each metric."""
_COUNTERS = frozenset(
    f"task_history.{name}" for name in ("requests", "answers", "waited", "rows", "bytes_billed")
)
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
            unit, text = METRICS[name]
            make = meter.create_observable_counter if name in _COUNTERS else meter.create_observable_gauge
            make(name, [self._callback(values)], unit=unit, description=text)
        unit, text = METRICS[COMMIT_DURATION]
        self._commits = meter.create_histogram(COMMIT_DURATION, unit=unit, description=text)

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
