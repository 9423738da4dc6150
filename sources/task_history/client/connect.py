"""A client for one system, within the budget of its key."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ..core.errors import ConfigurationError, StateUnavailable
from ..core.stop import StopSignal
from ..settings import Settings
from . import rate_limit
from .auth import Credentials
from .client import Client
from .rate_limit import Budget, Usage
from .rate_limit_rule import BudgetShare

_NO_HEADERS = {"Accept": "application/json"}


def origin(settings: Settings) -> str:
    """Scheme, host and port of ``base_url``, by which budgets are told apart."""
    parts = urlsplit(settings.base_url)
    return f"{parts.scheme}://{parts.netloc}"


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


def usage(settings: Settings) -> Usage:
    """How much of the budget is used now; sends nothing. Raises ConfigurationError, StateUnavailable."""
    return rate_limit.usage(
        settings.values.rate_limit_requests,
        settings.values.rate_limit_period_s,
        origin=origin(settings),
        key=settings.system.access.credential(settings.values),
    )


def known_usage(settings: Settings) -> Usage | None:
    """How much of the budget is used now; None while the key is not set, or where the count cannot be read."""
    try:
        return usage(settings) if settings.has_key else None
    except (ConfigurationError, StateUnavailable):
        return None
