"""Settings of B3OS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ..common_settings import SystemSettings, setting, user_map_setting

BASE_URL = "https://api.b3os.org"
"""Default address of the API."""
RATE_LIMIT = (300, 60.0)
"""Default rate limit: number of requests, and seconds of the period. The vendor
documents a limit per organization and no number: https://docs.b3os.org/api/introduction"""

BUCKETS = {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}
"""Length of a bucket of the vendor's statistics, by granularity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class B3osSettings(SystemSettings):
    """Settings of B3OS, in addition to those of every system."""

    api_key: str = setting(
        "An API key, beginning with b3sk_; the scope read is enough.", is_secret=True, is_required=True
    )
    organization_id: str | None = setting(
        "The organization, sent as X-Org-ID where the vendor wants it named.",
        example="org_…",
        names_account=True,
    )
    user_map: str | None = user_map_setting()
    stats_granularity: str = setting(
        "Whether the vendor's statistics are taken by hour or by day.",
        default="hourly",
        choices=tuple(BUCKETS),
    )
