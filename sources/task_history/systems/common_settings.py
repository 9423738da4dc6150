"""The settings that all systems share, and how a setting is declared: a typed field with description, default, bounds.

``systems/<system>/settings`` adds what one vendor needs; ``settings_reader`` reads the values a user has set.

Checks and their errors, ``task-history systems``, the signatures of the dlt sources, the tables of the settings' page and
``.dlt/config.toml`` are made from these fields (``make reference``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from ..core.calendars import UTC_ZONE, WEEKDAYS, check_timezone
from ..core.cron import check_cron
from ..core.models import ColumnLimits


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    name: str
    type: type
    """str, int, float, datetime, or tuple for a list of texts."""
    default: Any
    text: str
    is_secret: bool = False
    is_required: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    check: Callable[[Any], object] | None = None
    """Raises ValueError, with the reason, for a value of the right type that cannot be used."""
    example: Any = None
    """An example value, for a setting whose default is no example."""
    unset: str = ""
    """The behaviour while it is not set, in words, where there is no default."""
    command_only: bool = False
    """Whether only the command uses it: a dlt source takes it from its pipeline."""
    names_account: bool = False
    """Whether it says whose executions are read, beside the required and the secret ones."""
    is_local: bool = False
    """Whether it is a secret that is sent nowhere."""

    @property
    def is_credential(self) -> bool:
        """Whether the vendor gets it as a secret: the others are secrets of what only the command talks to, or local."""
        return self.is_secret and not self.command_only and not self.is_local


def setting(
    text: str,
    *,
    default: Any = None,
    is_secret: bool = False,
    is_required: bool = False,
    choices: Sequence[str] = (),
    least: float | None = None,
    most: float | None = None,
    check: Callable[[Any], object] | None = None,
    example: Any = None,
    unset: str = "",
    command_only: bool = False,
    names_account: bool = False,
    is_local: bool = False,
) -> Any:
    """Declares a setting as a field of a settings class, see ``Setting``. ``text`` is a description of one sentence."""
    stated = {
        "text": text,
        "is_secret": is_secret,
        "is_required": is_required,
        "choices": tuple(choices),
        "least": least,
        "most": most,
        "check": check,
        "example": example,
        "unset": unset,
        "command_only": command_only,
        "names_account": names_account,
        "is_local": is_local,
    }
    return field(default=default, repr=not is_secret, metadata=stated)


def user_map_setting() -> Any:
    """The setting ``user_map``, for systems whose executions name a person."""
    return setting(
        "A file that names each user's customer, plan and region: CSV with the columns user_id, customer, plan, region, "
        "or the same as TOML or JSON; or a table of the warehouse, or a SELECT, with these columns.",
        default=None,
        example="users.csv",
        unset="none",
        command_only=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSettings:
    """The settings that every system has; each system's own class adds to them.

    Defaults that are facts of the system (its address, limit and retention) are stated there.
    """

    base_url: str = setting(
        "Where the API is; change it on-premise or elsewhere.", example="https://…", names_account=True
    )
    dataset_name: str | None = setting(
        "The dataset: small letters, digits and single _; named as the system when not set.",
        example="prod_history",
        unset="the system",
        command_only=True,
    )
    timezone: str = setting(
        "The IANA time zone of days, weeks and months in views, such as Europe/Berlin; instants stay UTC.",
        default=UTC_ZONE,
        check=check_timezone,
        command_only=True,
    )
    week_start: str = setting(
        "The day with which a week of the views begins.",
        default=WEEKDAYS[0],
        choices=WEEKDAYS,
        command_only=True,
    )
    schedule: str = setting(
        "When Dagster runs the account's sync: five cron fields, in UTC.",
        default="0 * * * *",
        check=check_cron,
        command_only=True,
    )
    notify: tuple[str, ...] = setting(
        "Where the command sends a message when a run fails, falls behind or loses rows: addresses of apprise.",
        default=(),
        is_secret=True,
        unset="nowhere",
        command_only=True,
    )
    notify_behind_hours: float = setting(
        "How many hours a sync may be behind until it sends a message.",
        default=24,
        least=0,
        most=87_600,
        command_only=True,
    )
    start_date: datetime | None = setting(  # noqa: RUF009 - a field, as the others are
        "Where the first sync begins; 30 days back when not set.", example="2026-09-01", unset="30 days back"
    )
    lookback_minutes: float = setting(
        "How far back each sync compares for executions that became visible late.",
        default=120,
        least=0,
        most=525_600,
    )
    retention_days: float | None = setting(
        "How many days the vendor keeps executions; 0 when it keeps them for ever.",
        example=90,
        unset="not known",
        least=0,
        most=20_000,
    )
    rate_limit_requests: int = setting(
        "Requests in any rate_limit_period_s; 0 for no limit.", default=0, least=0, most=1_000_000_000
    )
    rate_limit_period_s: float = setting(
        "Seconds in which the requests are counted.", default=1.0, least=0.001, most=2_678_400
    )
    reserved_share: float = setting(
        "Share of the budget that a backfill leaves free for a sync.", default=0.1, least=0, most=0.9
    )
    concurrency: int = setting("Requests under way at a time.", default=8, least=1, most=64)
    steps: str = setting(
        "Which executions' steps to read: one request each.", default="all", choices=("all", "failed", "none")
    )
    payloads: str = setting(
        "Which steps' inputs and outputs to read: one request each.",
        default="failed",
        choices=("all", "failed", "none"),
    )
    payload_max_bytes: int = setting(
        "Longer inputs and outputs are cut, stay valid JSON and say so.",
        default=65_536,
        least=64,
        most=10_000_000,
    )
    max_columns: int = setting(
        "Columns of a table for fields that the vendor does not document; more go into other_fields.",
        default=ColumnLimits().columns,
        least=0,
        most=1_000,
    )
    max_name_length: int = setting(
        "Characters of the name of a column for an undocumented field; fields with longer names go into other_fields.",
        default=ColumnLimits().name_length,
        least=1,
        most=255,
    )
    redact: tuple[str, ...] = setting(
        "Names whose values are redacted in payloads, beside the built-in ones.",
        default=(),
        example=["account_no"],
    )
    redact_mode: str = setting(
        "What counts as a secret: strict redacts values in doubt, too, and would rather lose one than keep a secret.",
        default="standard",
        choices=("standard", "strict"),
    )
    keep_days_executions: int | None = setting(
        "After how many days executions, and all that belongs to them, are deleted from the warehouse.",
        unset="never",
        example=800,
        least=1,
        most=36_500,
    )
    keep_days_steps: int | None = setting(
        "After how many days steps, their events and logs are deleted from the warehouse.",
        unset="never",
        example=400,
        least=1,
        most=36_500,
    )
    keep_days_payloads: int | None = setting(
        "After how many days the inputs and outputs of steps are deleted from the warehouse.",
        unset="never",
        example=30,
        least=1,
        most=36_500,
    )
    exclude_columns: tuple[str, ...] = setting(
        "Columns that are never written, also of fields that the vendor does not document.",
        default=(),
        example=["workflow_executions.user_id"],
    )
    hash_columns: tuple[str, ...] = setting(
        "Columns in which a keyed hash is written in place of the value; equal values have equal hashes, for joins.",
        default=(),
        example=["*.user_id"],
    )
    hash_key: str | None = setting(
        "The key of hash_columns; keep it as long as the warehouse.",
        is_secret=True,
        is_local=True,
        unset="none",
    )
    fault_deadline_s: float = setting(
        "How long a failing request, or a Postgres that ended its connections, is tried again, in seconds.",
        default=300,
        least=0,
        most=86_400,
    )
    timeout_s: float = setting("How many seconds an answer may take.", default=60, least=0.1, most=3_600)
    answer_max_bytes: int = setting(
        "An answer that is larger, once unpacked, is refused.",
        default=67_108_864,
        least=65_536,
        most=1_073_741_824,
    )


def settings_in(settings: type[SystemSettings]) -> tuple[Setting, ...]:
    """The settings of a class: the system's own first, then those that all systems have."""
    return _declared(settings)  # type: ignore[arg-type]  # mypy asks the __hash__ of its objects


@cache
def _declared(settings: type[SystemSettings]) -> tuple[Setting, ...]:
    hints = get_type_hints(settings)
    common = {declared.name for declared in fields(SystemSettings)}
    own = [
        Setting(declared.name, _plain(hints[declared.name]), declared.default, **declared.metadata)
        for declared in fields(settings)
    ]
    return tuple(sorted(own, key=lambda declared: declared.name in common))


def _plain(hint: Any) -> type:
    """The type without its None alternative and without type arguments."""
    kinds = (hint,) if get_origin(hint) is tuple else get_args(hint) or (hint,)
    kind = next(kind for kind in kinds if kind is not NoneType)
    plain: type = get_origin(kind) or kind
    return plain
