"""How much of an account's request budget is used; it is read without a client."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..core.errors import ConfigurationError, StateUnavailable
from ..settings_reader import Settings
from . import rate_limit
from .rate_limit import Usage


def origin(settings: Settings) -> str:
    """Scheme, host and port of ``base_url``, by which budgets are told apart."""
    parts = urlsplit(settings.base_url)
    return f"{parts.scheme}://{parts.netloc}"


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
