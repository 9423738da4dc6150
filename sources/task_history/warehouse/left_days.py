"""The days that may have something left to read: a query on BigQuery is billed for each day that it reads.

A commit merges each table by a job of its own. Where a machine is lost between two merges, together with its working
folder, executions are stored that no row of ``sync_runs`` tells of. So the days of a package are noted in
``package_days`` before the first of its merges. A sync that has come to its end notes in ``left_days`` since when
something is left to read: what began earlier is settled and has all that the settings want of it. The next question then
reaches the days since that instant, and those of the packages that were noted since, or were not loaded yet by then.

It reaches all days that the vendor keeps, and a week, where that is not certain:

- no sync has noted what is left in the last month, as in a warehouse of an earlier version, or after one of the two
  tables was dropped, or they cannot be read;
- what is wanted was other then, see ``settings_hash``: the settings ``steps``, ``payloads``, ``retention_days``,
  ``keep_days_…``, ``exclude_columns``, ``hash_columns``, ``integrations`` and ``workflow_map``, or the version of the
  connector, which knows which statuses are failures;
- a table of executions, steps, payloads, details logs or workflows was changed since, and no package was noted
  meanwhile or loaded that had not been, or it has fewer rows: by hand, by dlt's own BigQuery destination, or by a
  command that deletes rows, such as ``forget``;
- a run of another version has written since that sync began, whether or not something was noted since;
- this connector wrote on days that it does not know, up to a day before that sync began: where it makes a table again
  that was dropped, sets aside a package that the warehouse refused, or runs with another version of dlt, whose own
  client merges;
- the selection of executions begins earlier, as after ``start_date`` was set to an earlier day;
- a package was noted late, by a machine whose clock is slow: the rows of the week up to the last one are no longer as
  many. Google gives no token to a machine whose clock is off by more than an hour.

A sync writes its row once it has come to its end, over the one before: an older one that is written last has more days
asked for. It writes none where it merged nothing and the tables are no longer what they were when it began. What is not
noticed is a change by hand, or by dlt's own destination, while a sync merges packages or between two syncs where a
package was noted, too, unless a table has fewer rows afterwards.

A package that was noted and never merged has its days asked for during a week: it is noted again before it is merged
later than half a day after its note, and a statement of BigQuery ends after six hours at most.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..core.columns import bigint, text, timestamp
from ..core.intervals import DAY, merged
from ..core.models import FIRST_INSTANT, LAST_INSTANT, Row, Table, Window
from ..settings_reader import Settings
from ..systems.protocol import System
from .common_tables import listings
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
    partition="noted_at",
)
LEFT_DAYS = Table(
    "left_days",
    "One row, of the last sync that counted what is left to read and found that it is other than before.",
    ("run_id",),
    (
        text("run_id", "The sync (sync_runs.run_id)."),
        timestamp("began_at", "When the sync began."),
        text("settings_hash", "A hash of the settings that say what is read of an execution."),
        timestamp("selected_since", "What began earlier was not counted; empty where everything was."),
        timestamp("left_since", "Nothing that began earlier is open, or is left to read."),
        timestamp(
            "packages_until",
            "noted_at of the last package in package_days that the sync knew of, of other runs; a week before it began "
            "without any since.",
        ),
        bigint("packages", "Number of rows of package_days in the week up to then, of other runs."),
        text(
            "not_loaded",
            "The packages that were not loaded when the sync began, with first day, last day and when they were noted, "
            "as a JSON object.",
        ),
        text("tables_state", "The number of rows of each table, and when it was changed last, as JSON."),
        timestamp("noted_at", "When the row was written."),
    ),
)
NOTED_AGAIN_AFTER = timedelta(hours=12)
"""A package that is merged later than this after its note is noted again before."""
EXPIRATION = timedelta(days=60)
"""Age at which rows of ``package_days`` may be deleted: nothing that is known is known from older ones."""
_WEEK = timedelta(days=7)
_CLOCKS_DIFFER_BY = timedelta(hours=2)
"""By how much clocks of two machines differ at most."""
_USED_FOR = timedelta(days=30)
"""Age up to which a row of ``left_days`` is used."""
_RENEWED_AFTER = DAY
"""Age at which a row is written again although nothing changed."""


@dataclass(frozen=True, slots=True)
class LeftDays:
    """Days outside of which nothing is left to read: those since ``since``, and those of ``packages``."""

    since: datetime
    """A midnight, UTC."""
    selected_since: datetime = FIRST_INSTANT
    """Start of the selection that was counted: of executions that began earlier only those that are open were."""
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
    """The columns that are known by now of the row that this sync writes."""
    has_new_packages: bool = False
    """Whether packages were noted since, or others are not loaded than were then."""


def changing_tables(system: System) -> dict[str, str | None]:
    """The tables of which a change may leave something to read, with the column of the day that it concerns.

    None for the table of workflows: what is new in it has nothing read.
    """
    found: dict[str, str | None] = {}
    for one in listings(system):
        every = [one.executions, one.details.log, one.details.steps]
        every += [] if one.payloads is None else [one.payloads.table]
        found |= {table.name: table.partition for table in every}
    return found | ({} if system.integrations is None else {system.integrations.table.name: None})


def settings_hash(settings: Settings, scope: Sequence[str], *, version: str, others: object) -> str:
    """A hash of what is wanted of each execution: while it is the same, what was read need not be asked for again.

    ``scope`` says of which executions steps and payloads are wanted. ``others`` holds what is wanted beside that and the
    settings below, as JSON can write it: the integrations, and the rules for columns.
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
    packages: Sequence[Row] | None,
    *,
    own: Row,
    loaded: Callable[[Collection[str]], set[str]],
    has_other_version: Callable[[datetime], bool],
) -> KnownDays:
    """What the rows of ``left_days`` and ``package_days`` tell; None for packages that are too many to be read.

    ``own`` has the columns ``run_id``, ``began_at``, ``settings_hash`` and ``tables_state`` of the row that a sync would
    write now. ``loaded`` returns those of the packages that are loaded, ``has_other_version`` whether a run of another
    version has written since an instant.
    """
    if packages is None:
        return KnownDays(None, None, {})
    began_at: datetime = own["began_at"]
    last = max(noted, key=lambda row: row["noted_at"], default=None)
    before = {} if last is None else _of_json(last["not_loaded"])
    noted_since = None if last is None else _noted_since(last, packages)
    if last is None or noted_since is None or began_at - last["began_at"] > _USED_FOR:
        return KnownDays(None, None, own | _packages(own, packages, before | _of_rows(packages), loaded))
    following = own | _packages(own, packages, before | _of_rows(noted_since), loaded)
    not_loaded = _of_json(following["not_loaded"])
    is_loaded_now = any(
        load_id not in not_loaded for load_id, note in before.items() if note[2] >= began_at - _WEEK
    )
    is_explained = bool(noted_since) or is_loaded_now
    is_certain = (
        last["settings_hash"] == own["settings_hash"]
        and (
            last["tables_state"] == own["tables_state"]
            or (is_explained and not _has_lost_rows(last["tables_state"], own["tables_state"]))
        )
        and not any(_is_on_any_day(row, last) for row in packages)
        and all(row["first_day"] is not None for row in noted_since)
        and not has_other_version(last["began_at"])
    )
    if not is_certain:
        return KnownDays(None, None, following)
    days = [Window(row["first_day"], row["last_day"] + DAY) for row in noted_since]
    days += [Window(first, end + DAY) for first, end, _ in before.values()]
    known = LeftDays(midnight(last["left_since"]), last["selected_since"] or FIRST_INSTANT).joined(days)
    return KnownDays(known, last, following, bool(noted_since) or not_loaded.keys() != before.keys())


_Notes = dict[str, tuple[datetime, datetime, datetime]]
"""First day, last day and instant of the note, by package."""


def _packages(
    own: Row, packages: Sequence[Row], candidates: _Notes, loaded: Callable[[Collection[str]], set[str]]
) -> Row:
    """The columns about packages, of which these may not be loaded."""
    since = own["began_at"] - _WEEK
    candidates = {load_id: note for load_id, note in candidates.items() if note[2] >= since}
    done = loaded(candidates.keys()) if candidates else set()
    others = [row["noted_at"] for row in packages if row["run_id"] != own["run_id"]]
    until = max([since, *others])
    return {
        "packages_until": until,
        "packages": sum(until - _WEEK <= noted_at for noted_at in others),
        "not_loaded": json.dumps(
            {
                load_id: [instant.isoformat() for instant in note]
                for load_id, note in sorted(candidates.items())
                if load_id not in done
            }
        ),
    }


def _of_rows(packages: Sequence[Row]) -> _Notes:
    known = [row for row in packages if row["load_id"] and row["first_day"] is not None]
    return {
        str(row["load_id"]): (row["first_day"], row["last_day"], row["noted_at"])
        for row in sorted(known, key=lambda row: row["noted_at"])
    }


def _of_json(not_loaded: str) -> _Notes:
    notes: dict[str, list[str]] = json.loads(not_loaded)
    return {
        load_id: (
            datetime.fromisoformat(first),
            datetime.fromisoformat(end),
            datetime.fromisoformat(noted_at),
        )
        for load_id, (first, end, noted_at) in notes.items()
    }


def _noted_since(last: Row, packages: Sequence[Row]) -> list[Row] | None:
    """The packages that were noted since; None where some came late, or were deleted."""
    until = last["packages_until"]
    others = [row for row in packages if not _is_of_run(row, last)]
    if sum(until - _WEEK <= row["noted_at"] <= until for row in others) != last["packages"]:
        return None
    return [row for row in others if row["noted_at"] > until]


def _is_of_run(package: Row, last: Row) -> bool:
    """Whether the run that wrote a row of ``left_days`` had noted a package by then; its process may note more later."""
    return bool(package["run_id"] == last["run_id"] and package["noted_at"] <= last["noted_at"])


def _is_on_any_day(row: Row, last: Row) -> bool:
    """Whether something may have changed on any day since the last sync began, noted before, by another run."""
    return row["first_day"] is None and not _is_of_run(row, last) and row["noted_at"] > last["began_at"] - DAY


def _has_lost_rows(before: str, now: str) -> bool:
    """Whether a table has fewer rows than it had, by two values of the column ``tables_state``."""
    rows: dict[str, tuple[int, str]] = json.loads(now)
    return any(name not in rows or rows[name][0] < count for name, (count, _) in json.loads(before).items())


def is_of_other_version(runs: Iterable[Mapping[str, object]], version: str, since: datetime) -> bool:
    """Whether a run of another version has written since, by rows of ``sync_runs``, or may go on to write."""
    for run in runs:
        written_at = run["written_at"] or run["ended_at"] or run["started_at"]
        limit = since - (_WEEK if run["outcome"] == "running" else _CLOCKS_DIFFER_BY)
        if run["version"] != version and (not isinstance(written_at, datetime) or written_at > limit):
            return True
    return False


def is_worth_noting(known: KnownDays, left_since: datetime, *, has_written: bool) -> bool:
    """Whether a row that says so spares the next sync something; ``has_written`` is whether this one wrote packages."""
    if not known.next:
        return False
    if known.days is None or known.noted is None or known.has_new_packages or has_written:
        return True
    return bool(
        left_since >= known.noted["left_since"] + _RENEWED_AFTER
        or known.next["began_at"] >= known.noted["began_at"] + _RENEWED_AFTER
    )
