"""A client for one system, within the budget of its key."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.stop import StopSignal
from ..settings_reader import Settings
from .client import Client
from .credentials import Credentials
from .rate_limit import Budget
from .rate_limit_rule import BudgetShare
from .rate_limit_usage import origin

_NO_HEADERS = {"Accept": "application/json"}


@contextmanager
def connected(
    settings: Settings,
    stop: StopSignal,
    *,
    share: BudgetShare = BudgetShare.FOREGROUND,
    longest_hold_s: float = math.inf,
) -> Iterator[tuple[Client, Budget]]:
    """The client and the budget that it spends, with that share of it. Raises ConfigurationError.

    ``longest_hold_s`` is how long the vendor may ask for silence; for longer, requests fail at once.
    """
    system = settings.system
    credentials = Credentials(system, settings.values, secrets=settings.secrets)
    own = Budget(
        settings.values.rate_limit_requests,
        settings.values.rate_limit_period_s,
        origin=origin(settings),
        key=system.access.credential(settings.values),
        share=share,
        reserved_share=settings.values.reserved_share,
        fault_deadline_s=settings.values.fault_deadline_s,
    )
    client = Client(
        base_url=settings.base_url,
        authorization=credentials.headers,
        budget=own,
        stop=stop,
        refresh=credentials.renew,
        hint_for=system.access.hint,
        status_in=system.access.status_in,
        address=system.access.address,
        concurrency=settings.values.concurrency,
        fault_deadline_s=settings.values.fault_deadline_s,
        timeout_s=settings.values.timeout_s,
        longest_hold_s=longest_hold_s,
        answer_max_bytes=settings.values.answer_max_bytes,
    )
    credentials.send = lambda login: client.send(
        login.request, form=dict(login.form), headers=login.headers or _NO_HEADERS
    )
    try:
        with client:
            yield client, own
    finally:
        own.close()
