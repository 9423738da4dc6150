"""Reads the settings of a run from the environment and ``.dlt/`` and checks them; every error names the setting.

This module declares none: those of all systems are in ``systems/common_settings``, those of one in
``systems/<system>/settings``; where they are read from stands in ``settings_sources``.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from .core.calendars import Calendar
from .core.dataset_names import check_dataset, check_instance
from .core.errors import ConfigurationError
from .core.models import ColumnLimits
from .redaction.own_secrets import OwnSecrets
from .settings_accounts import Account, all_accounts, check_account, configured_instances, other_datasets
from .settings_sources import ConfigSource, Environment, config_sources
from .settings_suggestions import OF_DLT, suggestion_for, variable_suggestion
from .systems import find, names
from .systems.common_settings import Setting, SystemSettings, settings_in
from .systems.protocol import System

PLACEHOLDER = "<configure me>"
"""The text that ``dlt init`` writes for a value to set: https://dlthub.com/docs/walkthroughs/add-a-verified-source"""
_OF_PAYLOADS = ("payloads", "keep_days_payloads")
"""Settings that only systems have whose payloads are read apart from steps."""
_LOGIN = re.compile(r"//[^/@\s'\"]*@")
"""User and password in a URL."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run of one system."""

    system: System
    instance: str | None
    values: SystemSettings = field(repr=False)
    """The set or default values: an instance of the system's settings class."""
    secrets: OwnSecrets = field(init=False, repr=False, compare=False)
    """Texts to redact everywhere: the configured secrets, and a token once there is one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "secrets", OwnSecrets(self._secret_values()))

    @property
    def base_url(self) -> str:
        """The API's URL."""
        return self.system.access.base_url(self.values)

    @property
    def pipeline_name(self) -> str:
        """``task_history_<system>[_<instance>]``."""
        return "_".join(filter(None, ("task_history", self.system.name, self.instance)))

    @property
    def dataset_name(self) -> str:
        """``<dataset_name, or the system>[_<instance>]``."""
        return "_".join(filter(None, (self.values.dataset_name or self.system.name, self.instance)))

    @property
    def retention(self) -> timedelta | None:
        """Time for which the vendor keeps an execution; None when it keeps it for ever, or that is not known."""
        days = self.values.retention_days
        return timedelta(days=days) if days else None

    @property
    def column_limits(self) -> ColumnLimits:
        """Limits for columns made of undocumented fields."""
        return ColumnLimits(self.values.max_columns, self.values.max_name_length)

    @property
    def lookback(self) -> timedelta:
        return timedelta(minutes=self.values.lookback_minutes)

    def start(self, now: datetime) -> datetime:
        """Start of the first sync: ``start_date``, or 30 days ago, within the vendor's retention."""
        if self.values.start_date is not None:
            return self.values.start_date
        back = timedelta(days=30)
        return now - min(back, self.retention or back)

    @property
    def has_key(self) -> bool:
        """Whether a credential is set."""
        declared = settings_in(self.system.settings)
        return any(getattr(self.values, setting.name) for setting in declared if setting.is_credential)

    def _secret_values(self) -> Iterator[str]:
        for setting in settings_in(self.system.settings):
            if setting.is_secret and (value := getattr(self.values, setting.name)):
                yield from map(str, value if isinstance(value, tuple) else (value,))


def settings_of(system: System) -> dict[str, Setting]:
    """All settings of a system by name, its own first, with the system's default values."""
    limit, period_s = system.rate_limit
    facts = {
        "base_url": system.access.default_base_url,
        "retention_days": system.retention.days if system.retention else None,
        "rate_limit_requests": limit,
        "rate_limit_period_s": period_s,
    }
    return {
        setting.name: replace(setting, default=facts.get(setting.name, setting.default))
        for setting in settings_in(system.settings)
        if setting.name not in _OF_PAYLOADS or system.payloads is not None
    }


def load(
    name: str,
    *,
    instance: str | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    allow_missing: bool = False,
) -> Settings:
    """Reads the settings of the system called ``name``.

    With ``allow_missing``, required settings may be missing.

    Raises:
        UsageError: there is no such system.
        ConfigurationError: a setting is missing, unknown or wrong.
    """
    system = find(name)
    account = Account(system, instance)
    settings = settings_of(system)
    looked_in = config_sources(os.environ if environ is None else environ, folder)
    for place in looked_in:
        _check_sections(place, settings, name)
    values = account.values(looked_in)
    for key, (_, source) in values.items():
        if key not in settings and key.partition("__")[0] not in OF_DLT:
            raise _unknown(key, source, settings, name)
    checked = Settings(system, instance, _checked(account, values, allow_missing=allow_missing))
    check_names(checked, looked_in, place=values.get("dataset_name", ("", ""))[1])
    if instance is not None:
        check_account(system, instance, looked_in)
    return checked


def check_names(settings: Settings, looked_in: Sequence[ConfigSource], *, place: str) -> None:
    """Raises ConfigurationError where the account's name, or its dataset's, set in ``place``, cannot be used."""
    instance, dataset = settings.instance, settings.values.dataset_name
    others = other_datasets(Account(settings.system, instance), looked_in)
    if dataset:
        # A further account adds its own name.
        check_dataset(dataset, f"dataset_name (in {place})", others=others if instance is None else {})
    if instance is not None:
        check_instance(instance, dataset or settings.system.name, others=others)


def build(system: System, given: Mapping[str, Any], *, instance: str | None = None) -> Settings:
    """Makes settings from given values. Raises ConfigurationError."""
    values = {
        key: (value, _place_of_placeholder(key) if _is_placeholder(value) else "the call")
        for key, value in given.items()
        if value is not None
    }
    return Settings(system, instance, _checked(Account(system, instance), values, allow_missing=False))


def _checked(
    account: Account, given: Mapping[str, tuple[Any, str]], *, allow_missing: bool
) -> SystemSettings:
    system = account.system
    values: dict[str, Any] = {}
    for setting in settings_of(system).values():
        value, source = given.get(setting.name, (None, ""))
        # ``dlt init`` writes a placeholder for each secret, also for one that need not be set.
        is_optional_secret = setting.is_secret and not setting.is_required
        if _is_placeholder(value) and not allow_missing and not is_optional_secret:
            raise ConfigurationError(
                f"{setting.name}: {PLACEHOLDER!r} is no value (in {source}): set it, or take the line away where it is "
                f"not needed. {setting.text}"
            )
        if _is_empty(setting, value) or _is_placeholder(value):
            if setting.is_required and not allow_missing:
                raise _missing(account, setting)
            values[setting.name] = setting.default
        else:
            values[setting.name] = _value(setting, value, source)
    values.setdefault("payloads", "none")
    checked: SystemSettings = system.settings(**values)
    if not allow_missing:
        system.access.check(checked)
    return checked


def _is_empty(setting: Setting, value: Any) -> bool:
    """Whether nothing is set: no text, and of a list no text that holds anything."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    with suppress(ValueError, TypeError):
        return setting.type is tuple and not _list(value)
    return False


def _is_placeholder(value: Any) -> bool:
    """Whether the value is the placeholder of ``dlt init`` for a value to set."""
    if isinstance(value, list | tuple):
        return any(map(_is_placeholder, value))
    return isinstance(value, str) and value.strip().strip("[]\"'").strip() == PLACEHOLDER


def _place_of_placeholder(name: str) -> str:
    """The place of a placeholder that dlt read as a setting; dlt searches more sections and does not report which."""
    for place in config_sources(os.environ):
        for path, is_table in place.paths():
            if not is_table and path[-1] == name and _is_placeholder(place.get(*path)):
                return f"{place.name}: {place.spelled(path, is_table=False)}"
    return "the call"


def _missing(account: Account, setting: Setting) -> ConfigurationError:
    file = "secrets.toml" if setting.is_secret else "config.toml"
    section = account.section
    return ConfigurationError(
        f"The setting {setting.name} of {account.title} is missing: {setting.text} Set it in .dlt/{file} under "
        f"[{'.'.join(section)}], or in the environment as {'__'.join((*section, setting.name)).upper()}."
    )


def _unknown(key: str, source: str, settings: Mapping[str, Setting], system: str) -> ConfigurationError:
    near = difflib.get_close_matches(key, settings, n=1)
    advice = f"Did you mean {near[0]}?" if near else f"Settings of {system}: {', '.join(sorted(settings))}."
    return ConfigurationError(f"There is no setting {key!r} (in {source}). {advice}")


def _check_sections(place: ConfigSource, settings: Mapping[str, Setting], system: str) -> None:
    """Raises ConfigurationError for a misspelled section, or a setting in the wrong section."""
    # A setting outside all systems' sections is suggested for the current system first.
    ordered_systems = tuple(sorted(names(), key=lambda name: name != system))
    known = tuple(settings)
    if isinstance(place, Environment):
        _check_variables(place, ordered_systems)
    for path, is_table in place.paths():
        if len(path) == 1 and isinstance(place, Environment):
            # A variable of another program, such as SOURCES.
            continue
        suggestion = suggestion_for(path, is_table=is_table, systems=ordered_systems, settings=known)
        if suggestion is None:
            continue
        advice = f"Systems: {', '.join(names())}."
        if suggestion.path is not None:
            advice = f"Did you mean {place.spelled(suggestion.path, is_table=suggestion.is_section)}?"
        entry = f"{'section' if is_table else 'setting'} {place.spelled(path, is_table=is_table)}"
        raise ConfigurationError(f"There is no {entry} (in {place.name}). {advice}")


def _check_variables(place: Environment, systems: tuple[str, ...]) -> None:
    """Raises ConfigurationError for a variable that is nearly one of task-history's, and which no part reads."""
    declared = {setting.name for name in systems for setting in settings_in(find(name).settings)}
    settings = tuple(sorted(declared))
    for name in place.environ:
        near = variable_suggestion(name, place.environ, systems=systems, settings=settings)
        if near is not None:
            raise ConfigurationError(f"There is no setting {name} (in the environment). Did you mean {near}?")


def _value(setting: Setting, value: Any, source: str) -> Any:
    shown = "its value" if setting.is_secret else _LOGIN.sub("//", repr(value))
    try:
        converted = _READ[setting.type](value)
    except (ValueError, TypeError, OverflowError):
        raise ConfigurationError(
            f"{setting.name}: {shown} is not {_WORDS[setting.type]} (in {source})."
        ) from None
    if setting.choices and converted not in setting.choices:
        raise ConfigurationError(
            f"{setting.name}: {shown} is not one of {', '.join(setting.choices)} (in {source})."
        )
    if setting.least is not None and not converted >= setting.least:
        raise ConfigurationError(f"{setting.name}: {shown} is below {setting.least:g} (in {source}).")
    if setting.most is not None and not converted <= setting.most:
        raise ConfigurationError(f"{setting.name}: {shown} is above {setting.most:,.10g} (in {source}).")
    if setting.check is not None:
        try:
            setting.check(converted)
        except ValueError as error:
            raise ConfigurationError(
                f"{setting.name}: {shown} cannot be used: {error} (in {source}). {setting.text} For example: "
                f"{setting.default}"
            ) from None
    if setting.type is datetime and not _EPOCH <= converted <= datetime.now(UTC):
        when = "before 1970" if converted < _EPOCH else "in the future"
        raise ConfigurationError(f"{setting.name}: {value} is {when} (in {source}).")
    return converted


def _text(value: Any) -> str:
    if isinstance(value, bool | list | dict | float):
        raise TypeError
    return str(value).strip()


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = json.loads(value) if value.strip().startswith("[") else value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(filter(None, (_text(item) for item in value)))


def instant(value: Any) -> datetime:
    """Parses a date or an instant of ISO 8601; UTC when it names no zone. Raises ValueError, TypeError."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise TypeError
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_READ: dict[type, Any] = {
    str: _text,
    int: _whole,
    float: _number,
    tuple: _list,
    datetime: instant,
}
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    tuple: 'a list of texts, such as ["salesforce", "slack"]',
    datetime: "a date or instant such as 2026-09-01 or 2026-09-01T12:00:00Z",
}


def datasets(environ: Mapping[str, str], folder: Path | None = None) -> dict[str, Account]:
    """The accounts by their dataset; those that are configured have a calendar.

    Raises:
        ConfigurationError: a file of settings cannot be read, or a calendar is wrong.
    """
    sources = config_sources(environ, folder)
    paths = [path for source in sources for path, is_table in source.paths() if not is_table]
    configured = {name: configured_instances(find(name), paths) for name in names()}
    declared = {name: settings_of(find(name)) for name in names()}

    def with_facts(account: Account) -> Account:
        own = declared[account.system.name]
        values = account.values(sources)
        return replace(account, calendar=_calendar(own, values), user_map=_user_map(own, values))

    return {
        account.dataset(sources): with_facts(account)
        if account.instance in configured[account.system.name]
        else account
        for account in all_accounts(sources)
    }


def _user_map(declared: Mapping[str, Setting], values: Mapping[str, tuple[Any, str]]) -> str | None:
    value, _ = values.get("user_map", (None, ""))
    has_map = "user_map" in declared and not _is_empty(declared["user_map"], value)
    return str(value) if has_map else None


def _calendar(declared: Mapping[str, Setting], values: Mapping[str, tuple[Any, str]]) -> Calendar:
    given = {
        name: _value(declared[name], *values[name])
        for name in ("timezone", "week_start")
        if name in values and not _is_empty(declared[name], values[name][0])
    }
    return Calendar(**given)
