"""Which days the questions about what is left to read reach, where each day that a query reads is billed.

A commit merges each table by a job of its own. Where a machine is lost between two merges, together with its working
folder, executions are stored that no row of ``sync_runs`` tells of. So the days of a package are noted in
``package_days`` before the first of its merges. A sync that has come to its end notes in ``left_days`` since when
something is left to read: what began earlier is settled and has all that the settings want of it. The next question then
reaches the days since that instant, and those of the packages that were noted since, or were not loaded yet by then.

It reaches all days that the vendor keeps, and a week, where that is not certain:

- no sync has noted what is left, as in a warehouse of an earlier version, or after one of the two tables was dropped;
- what is wanted was other then, see ``wanted_text``: the settings ``steps``, ``payloads``, ``retention_days``,
  ``keep_days_…``, ``exclude_columns``, ``hash_columns``, ``integrations`` and ``workflow_map``, or the version of the
  connector, which knows which statuses are failures;
- a table of executions, steps, payloads, details logs or workflows was changed since, and no package was noted
  meanwhile, or it has fewer rows: by hand, by an earlier version, or by a command that deletes rows, such as ``forget``;
- this connector wrote on days that it does not know: where it makes a table again that was dropped, sets aside a package
  that the warehouse refused, or runs with another version of dlt, whose own client merges;
- the selection of executions begins earlier, as after ``start_date`` was set to an earlier day;
- a package was noted late, by a machine whose clock is slow: the rows up to the last one are no longer as many.

A package that was noted and never merged costs nothing but its days.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..core.columns import bigint, text, timestamp
from ..core.intervals import DAY, merged
from ..core.models import FIRST_INSTANT, LAST_INSTANT, Row, Table, Window
from ..settings_reader import Settings
from .coverage import midnight

PACKAGE_DAYS = Table(
    "package_days",
    "One row per load package that brings executions, steps, payloads or notes of details, from before it is merged.",
    ("load_id", "noted_at"),
    (
        text("load_id", "The package (_dlt_loads.load_id); empty for changes by other statements."),
        text("run_id", "The run that loads it (sync_runs.run_id)."),
        timestamp(
            "first_day", "The first day on which its executions began; empty where its days are not known."
        ),
        timestamp("last_day", "The last of these days."),
        timestamp("noted_at", "When the row was written."),
    ),
)
LEFT_DAYS = Table(
    "left_days",
    "One row per sync that counted what is left to read, where that changed.",
    ("run_id",),
    (
        text("run_id", "The sync (sync_runs.run_id)."),
        text("wanted", "A hash of the settings that say what is read of an execution."),
        timestamp("selected_since", "What began earlier was not counted; empty where everything was."),
        timestamp("left_since", "Nothing that began earlier is open, or is left to read."),
        timestamp(
            "packages_until",
            "noted_at of the last package in package_days that the sync knew of; empty without any.",
        ),
        bigint("packages", "Number of rows of package_days up to then, of other runs."),
        text("unloaded", "The packages among them that were not loaded when the sync began, as a JSON list."),
        text("changed", "The number of rows of each table, and when it was changed last, as JSON."),
        timestamp("noted_at", "When the row was written."),
    ),
)
_RENEWED_AFTER = DAY
"""A row is written, although nothing changed, once it spares at least a day."""


@dataclass(frozen=True, slots=True)
class LeftDays:
    """Days outside of which nothing is left to read: those since ``since``, and those of ``packages``."""

    since: datetime
    """A midnight, UTC."""
    selected_since: datetime = FIRST_INSTANT
    """What began earlier may be left to read nevertheless, unless it is open."""
    packages: tuple[Window, ...] = ()
    """Whole days of packages, in order, all of them before ``since``."""

    def joined(self, days: Iterable[Window]) -> LeftDays:
        """These days and those of further packages."""
        every = merged([*self.packages, *days])
        kept = [Window(each.start, min(each.end, self.since)) for each in every if each.start < self.since]
        return replace(self, packages=tuple(kept))

    def windows(self, within: Window | None = None) -> list[Window]:
        """The days as windows, in order; only those parts of them that lie ``within`` a window."""
        every = [*self.packages, Window(self.since, LAST_INSTANT)]
        if within is None:
            return every
        cut = (Window(max(each.start, within.start), min(each.end, within.end)) for each in every)
        return [each for each in cut if not each.is_empty]

    @property
    def first(self) -> datetime:
        """The first of these days."""
        return self.windows()[0].start


@dataclass(frozen=True, slots=True)
class KnownDays:
    """What the two tables tell: the days, and what a sync that begins now notes at its end."""

    days: LeftDays | None
    """None where all days may have something left."""
    noted: Row | None
    """The row of ``left_days`` that this is known from."""
    next: Row
    """The columns about packages of the row that this sync writes."""


def wanted_text(settings: Settings, scope: Sequence[str], *, version: str, others: object) -> str:
    """What is wanted of each execution, as a hash; what was read while it was the same need not be looked for again.

    ``scope`` is of which executions steps and payloads are wanted; ``others`` is whatever else counts.
    """
    values = settings.values
    wanted = json.dumps(
        [
            version,
            *scope,
            values.retention_days,
            values.keep_days_executions,
            values.keep_days_steps,
            values.keep_days_payloads,
            *settings.system.failed_statuses,
            others,
        ],
        default=str,
    )
    return hashlib.sha256(wanted.encode()).hexdigest()


def known_days(
    noted: Sequence[Row],
    packages: Sequence[Row],
    *,
    wanted: str,
    changed: str,
    loaded: Callable[[Collection[str]], set[str]],
) -> KnownDays:
    """What the rows of ``left_days`` and ``package_days`` tell.

    ``wanted`` and ``changed`` are the values that these columns of ``left_days`` would have now; ``loaded`` returns those
    of the packages that are loaded.
    """
    last = max(noted, key=lambda row: row["noted_at"], default=None)
    news = None if last is None else _news(last, packages)
    ids = {str(row["load_id"]) for row in (packages if news is None else news) if row["load_id"]}
    following: Row = {
        "wanted": wanted,
        "packages_until": max((row["noted_at"] for row in packages), default=None),
        "packages": len(packages),
        "unloaded": json.dumps(sorted(ids - loaded(ids)) if ids else []),
    }
    is_certain = (
        last is not None
        and news is not None
        and last["wanted"] == wanted
        and (last["changed"] == changed or (bool(news) and not _has_lost_rows(last["changed"], changed)))
        and all(row["first_day"] is not None for row in news)
    )
    if last is None or news is None or not is_certain:
        return KnownDays(None, None, following)
    days = [Window(row["first_day"], row["last_day"] + DAY) for row in news]
    selected_since = last["selected_since"] or FIRST_INSTANT
    return KnownDays(LeftDays(midnight(last["left_since"]), selected_since).joined(days), last, following)


def _news(last: Row, packages: Sequence[Row]) -> list[Row] | None:
    """The packages that were noted since, or were not loaded yet; None where some came late."""
    until, unloaded = last["packages_until"], set(json.loads(last["unloaded"]))
    others = [row for row in packages if row["run_id"] != last["run_id"]]
    later = [row for row in others if until is None or row["noted_at"] > until]
    if len(others) - len(later) != last["packages"]:
        return None
    return later + [row for row in others if row["load_id"] in unloaded]


def _has_lost_rows(before: str, now: str) -> bool:
    """Whether a table has fewer rows than it had, by two values of the column ``changed``."""
    rows: dict[str, tuple[int, str]] = json.loads(now)
    return any(name not in rows or rows[name][0] < count for name, (count, _) in json.loads(before).items())


def is_worth_noting(known: KnownDays, left_since: datetime, *, has_packages: bool) -> bool:
    """Whether a row that says so spares the next sync something, ``has_packages`` where this one has written some."""
    if known.days is None or known.noted is None or known.days.packages or has_packages:
        return True
    return bool(left_since >= known.noted["left_since"] + _RENEWED_AFTER)
