"""Requests to BigQuery, read from the wire: statements, loads and other requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """One exchange."""

    method: str
    path: str
    """Path and query, after ``/bigquery/v2``."""
    body: dict[str, Any]
    status: int
    answer: dict[str, Any]

    @property
    def reason(self) -> str | None:
        """Why it was refused, or why the job that it tells of failed."""
        errors = self.answer.get("error", {}).get("errors") or self.answer.get("status", {}).get("errors")
        return errors[0].get("reason") if errors else None


@dataclass(frozen=True)
class Statement:
    """SQL that was sent, of one job."""

    sql: str
    parameters: list[dict[str, Any]]
    """As in the body of ``jobs.query``: each has ``parameterType`` and ``parameterValue``."""
    default_dataset: str | None
    labels: dict[str, str]
    maximum_bytes_billed: int | None
    is_dry_run: bool
    request: Request

    @property
    def bytes_processed(self) -> int:
        statistics = self.request.answer.get("statistics", self.request.answer)
        return int(statistics.get("totalBytesProcessed", 0))


@dataclass(frozen=True)
class Load:
    """One load job that was sent."""

    job_id: str
    table: str
    """``dataset.table``"""
    format: str
    labels: dict[str, str]
    configuration: dict[str, Any]
    request: Request


def parsed(body: bytes) -> dict[str, Any]:
    """A body of JSON; empty when it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def statement(request: Request) -> Statement | None:
    """The SQL that the request sends, if it does."""
    if request.method != "POST":
        return None
    where = request.path.split("?")[0]
    if where.endswith("/queries"):
        query, outer = request.body, request.body
    elif where.endswith("/jobs") and "query" in request.body.get("configuration", {}):
        outer = request.body["configuration"]
        query = outer["query"]
    else:
        return None
    limit = query.get("maximumBytesBilled")
    return Statement(
        sql=query["query"],
        parameters=query.get("queryParameters") or [],
        default_dataset=(query.get("defaultDataset") or {}).get("datasetId"),
        labels=outer.get("labels") or {},
        maximum_bytes_billed=None if limit is None else int(limit),
        is_dry_run=bool(outer.get("dryRun")),
        request=request,
    )


def load(request: Request) -> Load | None:
    """The load job that the request begins, if it does."""
    configuration = request.body.get("configuration", {})
    if request.method != "POST" or "load" not in configuration:
        return None
    options = configuration["load"]
    table = options["destinationTable"]
    return Load(
        job_id=(request.body.get("jobReference") or {}).get("jobId", ""),
        table=f"{table['datasetId']}.{table['tableId']}",
        format=options.get("sourceFormat", "CSV"),
        labels=configuration.get("labels") or {},
        configuration=options,
        request=request,
    )
