"""Settings of Paragon Task History."""

from __future__ import annotations

from dataclasses import dataclass

from ..common_settings import SystemSettings, setting, user_map_setting

BASE_URL = "https://api.useparagon.com"
"""Default address of the API."""
RATE_LIMIT = (1_000, 600.0)
"""Default rate limit: number of requests, and seconds of the period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParagonSettings(SystemSettings):
    """Settings of Paragon Task History, in addition to those of every system."""

    project_id: str = setting(
        "The project's id, from the dashboard's address bar.", is_required=True, example="…"
    )
    api_key: str = setting(
        "A project-level API key (Settings > API Keys), not a Paragon User Token.",
        is_secret=True,
        is_required=True,
    )
    integrations: tuple[str, ...] = setting(
        "Integrations to learn each workflow's from; asked once per workflow and integration.",
        default=(),
        example=["salesforce", "slack"],
    )
    workflow_map: str | None = setting(
        "A file that names each workflow's integration instead: CSV with the columns workflow_id, integration, "
        "workflow_name, or the same as TOML or JSON.",
        example="workflows.csv",
        unset="none",
    )
    user_map: str | None = user_map_setting()
