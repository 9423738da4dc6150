"""The configured accounts of all systems: their settings, warehouse and schedule, or the reason why one cannot run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from task_history import systems
from task_history.core.errors import ConfigurationError, TaskHistoryError, UsageError
from task_history.settings_accounts import configured_instances
from task_history.settings_reader import Settings, load
from task_history.settings_sources import config_sources

from ..console import output
from ..runtime.target import Target, find_target

_BACKFILL_WITHOUT_RETENTION = timedelta(days=365)
"""How far back the months to backfill begin where the vendor keeps executions for ever."""


@dataclass(frozen=True, slots=True)
class FleetAccount:
    """One configured account. Without ``settings`` it cannot run, for the reason in ``error``."""

    system: str
    instance: str | None
    settings: Settings | None = field(default=None, repr=False)
    target: Target | None = None
    error: TaskHistoryError | None = None

    @property
    def name(self) -> str:
        """``<system>`` for a system's first account, ``<system>/<instance>`` for a further one."""
        return "/".join(filter(None, (self.system, self.instance)))

    @property
    def schedule(self) -> str | None:
        """When its sync shall run, as five cron fields in UTC; None where the settings cannot be read."""
        return None if self.settings is None else self.settings.values.schedule

    @property
    def backfills_at_once(self) -> int:
        """How many of its backfills may run side by side: DuckDB has one writer, and two would read all of some lists."""
        is_shared = self.target is not None and self.target.file is None
        return 2 if is_shared and systems.find(self.system).listing.is_filtered_by_time else 1

    def as_json(self, now: datetime) -> dict[str, Any]:
        """What ``fleet list --json`` prints of it; holds no secret."""
        settings, target = self.settings, self.target
        return {
            "account": self.name,
            "system": self.system,
            "instance": self.instance,
            "dataset": settings.dataset_name if settings else None,
            "destination": target.name if target else None,
            "place": target.place if target else None,
            "schedule": self.schedule,
            "backfills_at_once": self.backfills_at_once,
            "first_month": first_month(settings, now).strftime("%Y-%m") if settings else None,
            "error": str(self.error) if self.error else None,
        }


def configured_accounts(destination: str | None) -> list[FleetAccount]:
    """All accounts that settings are made for, in the order of the systems; checked, no request is sent.

    Raises:
        ConfigurationError: a file of settings cannot be read, or no account is configured.
    """
    paths = [
        path for source in config_sources(os.environ) for path, is_table in source.paths() if not is_table
    ]
    found = [
        _checked(name, instance, destination)
        for name in systems.names()
        for instance in configured_instances(systems.find(name), paths)
    ]
    if not found:
        # A misspelled section may be the reason.
        load(systems.names()[0], allow_missing=True)
        raise ConfigurationError(
            "No account is configured: set the credentials of a system in .dlt/secrets.toml or in the environment. "
            "task-history systems SYSTEM names its settings."
        )
    return found


def selected(accounts: Sequence[FleetAccount], patterns: Sequence[str]) -> list[FleetAccount]:
    """The accounts whose name matches one of the patterns, such as ``paragon*``; all of them without a pattern.

    Raises:
        UsageError: a pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(account.name, pattern) for account in accounts):
            names = ", ".join(account.name for account in accounts)
            raise UsageError(f"--select {pattern!r} matches no account. Configured: {names}.")
    return [
        account
        for account in accounts
        if not patterns or any(fnmatchcase(account.name, pattern) for pattern in patterns)
    ]


def first_month(settings: Settings, now: datetime) -> datetime:
    """The first month to backfill: the oldest that the vendor still keeps, or that of ``start_date`` if it is earlier."""
    oldest = now - (settings.retention or _BACKFILL_WITHOUT_RETENTION)
    first = min(oldest, settings.values.start_date or oldest)
    return datetime(first.year, first.month, 1, tzinfo=UTC)


def _checked(system: str, instance: str | None, destination: str | None) -> FleetAccount:
    try:
        settings = load(system, instance=instance)
        output.keep_secret(settings.secrets)
        target = find_target(destination, settings.pipeline_name, dataset=settings.dataset_name)
        # What finds out the warehouse's own place also finds out whether its credentials can be used.
        _ = target.place
    except TaskHistoryError as error:
        return FleetAccount(system, instance, error=error)
    return FleetAccount(system, instance, settings, target)
