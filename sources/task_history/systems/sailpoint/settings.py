"""Settings of SailPoint."""

from __future__ import annotations

from dataclasses import dataclass

from ..common_settings import SystemSettings, setting

RATE_LIMIT = (100, 10.0)
"""Default rate limit: number of requests, and seconds of the period. The vendor's,
per client id and version of the API: https://developer.sailpoint.com/docs/api/rate-limiting"""

VERSIONS = ("v2025", "v2026", "v2024", "v3", "beta", "v1")
"""``v1`` is the style of paths that names the service first: /workflows/v1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SailPointSettings(SystemSettings):
    """Settings of SailPoint, in addition to those of every system."""

    tenant: str | None = setting(
        "The tenant: the word before .api.identitynow.com; or set base_url.",
        example="acme",
        names_account=True,
    )
    client_id: str = setting(
        "The client id of a personal access token (PAT) of a user who may read workflows.",
        is_required=True,
        example="…",
    )
    client_secret: str = setting("The secret of that token.", is_secret=True, is_required=True)
    api_version: str = setting(
        "Which version of the API is asked; v1 is the style of paths with the service first.",
        default="v2025",
        choices=VERSIONS,
    )
