"""A client for the few requests of interactive commands, with short waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from task_history.client.account_client import connected
from task_history.client.client import Client
from task_history.client.rate_limit import Budget
from task_history.core.errors import Stopped, VendorError
from task_history.core.stop import StopSignal
from task_history.settings_reader import Settings

CHECK_DEADLINE_S = 3.0
"""Maximum seconds for which a failing request is tried again."""
_TIMEOUT_S = 10.0
_MAX_HOLD_S = 10.0
"""Maximum seconds to wait when the vendor answers with Retry-After."""


@contextmanager
def probing(settings: Settings, *, most: int) -> Iterator[tuple[Client, Budget]]:
    """A client for at most ``most`` requests, and its budget.

    A lasting fault, or a vendor that asks for a long wait, is an error within seconds, also where ``fault_deadline_s`` is
    long.

    Raises:
        VendorError: the fault or refusal of the vendor, also where it used up all requests.
        ConfigurationError: a setting or the credentials cannot be used.
    """
    values = replace(
        settings.values,
        fault_deadline_s=min(settings.values.fault_deadline_s, CHECK_DEADLINE_S),
        timeout_s=min(settings.values.timeout_s, _TIMEOUT_S),
    )
    bounded = replace(settings, values=values)
    with connected(bounded, StopSignal(max_requests=most), longest_hold_s=_MAX_HOLD_S) as (
        client,
        budget,
    ):
        try:
            yield client, budget
        except Stopped:
            raise client.failure or VendorError(
                f"{client.origin} has not answered everything after {most} requests, the maximum here."
            ) from None
