"""Settings of Twinit."""

from __future__ import annotations

from dataclasses import dataclass

from ..common_settings import SystemSettings, setting

RATE_LIMIT = (300, 60.0)
"""Default rate limit: number of requests, and seconds of the period. The vendor documents none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinitSettings(SystemSettings):
    """Settings of Twinit, in addition to those of every system."""

    namespaces: tuple[str, ...] = setting(
        "The namespaces of the projects: each is a list of its own.",
        is_required=True,
        example=["RefAppProject_w3MFXx7h"],
    )
    application_id: str | None = setting(
        "The application that the access key is for; needed to make a token.", example="…", names_account=True
    )
    access_key: str | None = setting("A service access key; or set token.", is_secret=True)
    secret_key: str | None = setting("The secret of the access key.", is_secret=True)
    token: str | None = setting("A token instead of an access key; it is not renewed.", is_secret=True)
    task_logs: str = setting(
        "Of which tasks the logs are read, one request for each and 100 lines.",
        default="all",
        choices=("all", "failed", "none"),
    )
