"""What the emulator knows of datasets, tables and jobs, in dictionaries instead of tables.

Part of ``launcher``'s process. To read and write such a row took most of the time of a small request.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from local_bigquery.catalog import metadata
from local_bigquery.jobs import store

_resources: dict[str, dict[tuple[str, ...], str]] = {kind: {} for kind in metadata.KINDS.values()}
_jobs: dict[tuple[str, str], Any] = {}


def list_(model: Any, *keys: str) -> list[Any]:
    """As ``metadata.list_``."""
    known = _resources[metadata.KINDS[model]]
    whole = known.get(keys)
    if whole is not None:
        return [model.model_validate_json(whole)]
    found = [text for key, text in list(known.items()) if key[: len(keys)] == keys]
    return [model.model_validate_json(text) for text in found]


def save(resource: Any, *keys: str) -> Any:
    """As ``metadata.save``."""
    body = {name: value for name, value in resource.dump().items() if name != "etag"}
    etag = hashlib.md5(json.dumps(body, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    _resources[metadata.KINDS[type(resource)]][keys] = json.dumps(body | {"etag": etag})
    return resource.replace(etag=etag)


def delete(model: Any, *keys: str) -> None:
    """As ``metadata.delete``, of what has no policies."""
    known = _resources[metadata.KINDS[model]]
    for key in [key for key in list(known) if key[: len(keys)] == keys]:
        known.pop(key, None)


def save_job(job: Any) -> Any:
    """As ``store.save``."""
    _jobs[job.jobReference.projectId, job.jobReference.jobId] = job
    return job


def load_job(project: str, job: str) -> Any:
    """As ``store.load``."""
    return _jobs.get((project, job))


def list_jobs(
    project: str,
    states: list[str] | None = None,
    parent: str | None = None,
    least: int | None = None,
    most: int | None = None,
) -> list[Any]:
    """As ``store.list_``."""
    found = [
        job
        for (of, _), job in list(_jobs.items())
        if of == project
        and job.statistics.parentJobId == parent
        and (states is None or job.status.state in states)
        and (least is None or int(job.statistics.creationTime) >= least)
        and (most is None or int(job.statistics.creationTime) <= most)
    ]
    return sorted(found, key=lambda job: (-int(job.statistics.creationTime), job.jobReference.jobId))


def delete_job(project: str, job: str) -> None:
    """As ``store.delete``."""
    for key, known in list(_jobs.items()):
        if key[0] == project and job in (key[1], known.statistics.parentJobId):
            _jobs.pop(key, None)


def forget(project: str) -> None:
    """Of the project nothing is known any more."""
    for known in _resources.values():
        for key in [key for key in list(known) if key[0] == project]:
            known.pop(key, None)
    for job in [job for job in list(_jobs) if job[0] == project]:
        _jobs.pop(job, None)


def bridge() -> None:
    """From now on they are kept here."""
    metadata.list_, metadata.save, metadata.delete = list_, save, delete
    store.save, store.load, store.list_, store.delete = save_job, load_job, list_jobs, delete_job
