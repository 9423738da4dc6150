"""Notices to people by apprise: one message for each event, account and day, where ``notify`` is set.

A message holds the account, figures and what to type next: no id, no name and no text of a vendor, and no secret.
https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from task_history.core.errors import AlreadyRunning, ConfigurationError, Stopped, TaskHistoryError
from task_history.core.exit_codes import ExitCode
from task_history.core.log import log

from ..console.arguments import instance_option
from ..console.times import duration, minute

if TYPE_CHECKING:
    from task_history.settings_reader import Settings

_KEPT = timedelta(days=2)
"""How long the markers of sent messages are kept."""


class Notices:
    """Sends the notices of one account. ``folder`` holds a marker of each sent one, for all processes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder / f"{settings.pipeline_name}-notices"

    def check(self) -> None:
        """Raises ConfigurationError where messages are wanted and cannot be sent."""
        addresses = self._settings.values.notify
        if not addresses:
            return
        sender = _apprise()
        if not all(sender.add(address) for address in addresses):
            raise ConfigurationError(
                "notify: an address is not one that apprise knows, see https://github.com/caronc/apprise/wiki. "
                "It is not shown here, since it may hold a password."
            )

    @contextmanager
    def on_failure(self, command: str) -> Iterator[None]:
        """Sends a notice of the error that ends the block, unless a person ended it or another run is active."""
        try:
            yield
        except (Stopped, KeyboardInterrupt, AlreadyRunning):
            raise
        except Exception as error:
            code = error.exit_code if isinstance(error, TaskHistoryError) else ExitCode.UNEXPECTED
            self.send(
                f"{command}_failed",
                f"{command} failed",
                f"{type(error).__name__}, exit code {code.value} ({code.meaning}). What was read before is committed, "
                "and the next run goes on there; its log says what happened.",
            )
            raise

    def after(self, result: Mapping[str, Any], now: datetime) -> None:
        """Sends notices of events in a run's result, as ``--json`` prints it."""
        for event, title, text in events(result, now, self._settings.values.notify_behind_hours):
            self.send(event, title, text)

    def send(self, event: str, title: str, text: str) -> None:
        """Sends one message, unless one of that event was sent today. A failure is a warning in the log."""
        addresses = self._settings.values.notify
        if not addresses:
            return
        today = datetime.now(UTC).date()
        marker = self._folder / f"{today}.{event}"
        if not self._begin(marker, today):
            return
        sender = _apprise()
        for address in addresses:
            sender.add(address)
        if not sender.notify(title=f"task-history {self._account}: {title}", body=f"{text}\n{self._hint}"):
            log.warning("notice_not_sent", notice=event, hint="the next run that has reason to sends it")
            marker.unlink(missing_ok=True)

    @property
    def _account(self) -> str:
        return "/".join(filter(None, (self._settings.system.name, self._settings.instance)))

    @property
    def _hint(self) -> str:
        instance = instance_option(self._settings.instance)
        return f"See: task-history status {self._settings.system.name}{instance}"

    def _begin(self, marker: Path, today: date) -> bool:
        """Whether this process is the one that sends the message."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.iterdir():
                with suppress(ValueError, OSError):
                    if today - date.fromisoformat(old.name.partition(".")[0]) > _KEPT:
                        old.unlink()
            marker.touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError as error:
            # A message that is sent twice is better than none.
            log.warning("notice_marker_not_written", reason=type(error).__name__)
        return True


def _apprise() -> Any:
    """Raises ConfigurationError where apprise is not installed."""
    try:
        from apprise import Apprise
    except ImportError:
        raise ConfigurationError(
            "notify is set and apprise is not installed: pip install 'task-history[notify]', or remove the setting."
        ) from None
    # Its log lines about failures hold the address, which may hold a key.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return Apprise()


def events(result: Mapping[str, Any], now: datetime, behind_hours: float) -> Iterator[tuple[str, str, str]]:
    """The events in the result of a sync or backfill: a name, a title, and a sentence with figures.

    ``docs/reference/json.md`` describes the result; the setting ``notify`` and ``docs/how-to/alerting.md`` list the
    events.
    """
    if result.get("lost"):
        lost = result["lost"]
        yield (
            "lost",
            "rows are lost for good",
            f"The vendor purged executions that began from {minute(lost['from'])} to {minute(lost['until'])} UTC before "
            "a sync read them.",
        )
    if result.get("unverified_windows"):
        yield (
            "unverified",
            "days are not verified",
            f"{result['unverified_windows']:,} windows are loaded of which the vendor did not let all rows be seen.",
        )
    if result.get("rejected"):
        yield (
            "rejected",
            "rows were set aside",
            f"{result['rejected']:,} rows without a usable id are in rejected_rows.",
        )
    if result.get("schema_changes"):
        yield (
            "schema_changed",
            "the vendor sends something new",
            f"{result['schema_changes']:,} fields, types or statuses came for the first time. They are kept, and "
            "schema_changes names them.",
        )
    until = result.get("covered_until")
    lag = (now - until).total_seconds() if until is not None else 0.0
    left_s = (result.get("left") or {}).get("seconds") or 0.0
    if result["command"] == "sync" and max(lag, left_s) > behind_hours * 3600:
        yield (
            "behind",
            "it is behind",
            f"Everything is loaded up to {duration(lag)} ago, and the backlog takes {duration(left_s)} at the budget.",
        )
