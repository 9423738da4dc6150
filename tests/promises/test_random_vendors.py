"""Complete on evidence: a vendor that misbehaves in any way a reader can notice loses no row silently.

A world is known by its system and its number: ``_world(name, number)`` tells how its vendor behaves.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from typing import Any, cast

import pytest

from task_history.core.errors import TaskHistoryError
from task_history.core.models import Selection, Window
from task_history.extract import unsorted_listing
from task_history.runs.backfill import Backfill
from task_history.runs.context import Context
from task_history.runs.lanes import BACKFILL, SYNC
from task_history.runs.run_loop import RunLoop
from task_history.runs.sync import Sync
from task_history.settings_reader import build
from task_history.systems import find
from task_history.warehouse.coverage import filters_text
from tests.support.memory_warehouse import MemoryWarehouse
from tests.support.random_vendor import DAYS, NOW, PAGE_SIZE, Behaviour, RandomVendor, drawn, small_pages
from tests.support.torture import rest_as_torture

SETTINGS: dict[str, dict[str, Any]] = {
    "paragon": {"project_id": "p", "api_key": "k"},
    "sailpoint": {"tenant": "t", "client_id": "c", "client_secret": "s"},
    "twinit": {"base_url": "https://twinit.invalid", "token": "t", "namespaces": ["n1", "n2"]},
    "b3os": {"api_key": "k"},
}
RUNS, _MAX_RUNS = 3, 8
START = NOW - timedelta(days=DAYS + 1)
WHOLE = Window(START, NOW)


@dataclass(slots=True)
class World:
    """An account, and the warehouse that is filled from it."""

    vendor: RandomVendor
    warehouse: MemoryWarehouse
    command: str
    lookback: timedelta
    now: datetime = NOW
    cursor: datetime | None = None
    window: Window = WHOLE
    """What is backfilled."""

    def run(self) -> tuple[Context, TaskHistoryError | None]:
        """One run of the command; gives the error that ended it."""
        name = self.vendor.name
        given = {
            **SETTINGS[name],
            "start_date": START.isoformat(),
            "lookback_minutes": self.lookback / timedelta(minutes=1),
            "steps": "none",
            "concurrency": 1,
        }
        settings = replace(build(find(name), given), system=small_pages(name))
        is_sync = self.command == "sync"
        context = Context(
            settings,
            cast("Any", self.vendor),
            self.warehouse.queries,
            now=lambda: self.now,
            command=self.command,
            lane=(SYNC if is_sync else BACKFILL).name,
            selection=None if is_sync else Selection(self.window),
        )
        loop = RunLoop(context, Sync(context, cursor=self.cursor) if is_sync else Backfill(context))
        for batch in loop.batches():
            self.warehouse.take(batch)
            self.cursor = batch.cursor or self.cursor
            context.progress.committed += 1
        if loop.error is not None and not isinstance(loop.error, TaskHistoryError):
            raise loop.error
        return context, loop.error

    def held(self) -> set[str]:
        """The executions that the warehouse says the vendor has."""
        table = self.vendor_table
        _, rows = self.warehouse.query(f"SELECT id FROM {table} WHERE purged_at_source IS NULL")
        return {str(identity) for (identity,) in rows}

    @property
    def vendor_table(self) -> str:
        return find(self.vendor.name).executions.name

    def is_verified(self, partition: str, start: datetime) -> bool:
        """Whether the coverage says that everything which began then is loaded, and on evidence."""
        partitioned_by = find(self.vendor.name).listing.partitioned_by
        filters = filters_text({partitioned_by: partition} if partitioned_by else {})
        return any(
            start in window
            for day in self.warehouse.queries.coverage()
            if day.filters == filters and day.is_verified
            for window in day.windows
        )

    def unverified_days(self) -> list[str]:
        return [
            f"{day.day:%d} {day.filters}" for day in self.warehouse.queries.coverage() if not day.is_verified
        ]


def _world(name: str, number: int, behaviour: Behaviour | None = None) -> World:
    rng = random.Random(f"{name} {number}")
    behaviour = behaviour or drawn(name, rng)
    executions = rng.choice([0, 1, 20, 30, 31, 60, 90, 150, 150, 300])
    vendor = RandomVendor(name, number, behaviour, executions=executions)
    command = rng.choice(["sync", "sync", "backfill"])
    lookback = rng.choice([timedelta(hours=2), timedelta(days=DAYS + 2)])
    return World(vendor, _warehouse(name), command, lookback)


@cache
def _warehouse(name: str) -> MemoryWarehouse:
    return MemoryWarehouse(small_pages(name))


def _loses_nothing_silently(name: str, number: int, world: World | None = None) -> None:
    world = world or _world(name, number)
    vendor = world.vendor
    described = f"{name} {number}: {world.command}, {len(vendor.executions)} executions, {vendor.behaviour}"
    first = dict(vendor.visible)
    late = set(vendor.hidden)
    try:
        for index in itertools.count():
            before = dict(vendor.visible)
            requests = vendor.requests
            context, error = world.run()
            requests = vendor.requests - requests
            if vendor.behaviour.is_honest:
                assert error is None, f"{described}: {error}"
                assert not world.unverified_days(), f"{described}: {world.unverified_days()}"
                assert not context.tally.unverified, described
                if index == 0:
                    assert set(first) <= world.held(), described
                    if name == "paragon" and not vendor.behaviour.page_cap:
                        assert requests <= 1.02 * math.ceil(len(first) / PAGE_SIZE) + 5, (
                            f"{described}: {requests}"
                        )
            if world.command == "sync":
                world.now += timedelta(hours=1) if index == 0 else timedelta(hours=25)
                if index < RUNS - 1:
                    vendor.grow(7, until=world.now)
            # What a run that failed left out is not silent.
            if index >= RUNS - 1 and (error is None or index > _MAX_RUNS):
                break
        held = world.held()
        missing = [
            one
            for key, one in before.items()
            if key in vendor.visible and key not in held and world.is_verified(one.partition, one.start)
        ]
        # What appears behind a short lookback is an audit's to find.
        if world.lookback < timedelta(days=DAYS) or world.command == "backfill":
            missing = [one for one in missing if one.id not in late]
        assert not missing, f"{described}: {len(missing)} rows are missing in verified windows"
    finally:
        world.warehouse.clear()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("block", rest_as_torture(range(20), kept=range(1)))
def test_a_row_is_missing_only_where_the_coverage_says_so(name: str, block: int) -> None:
    """After three runs, what is missing lies in windows that are unverified; an honest vendor has none of these."""
    for number in range(block * 4, block * 4 + 4):
        _loses_nothing_silently(name, number)


@pytest.mark.parametrize(("name", "number"), [("twinit", 2_819), ("sailpoint", 2_093)])
def test_worlds_that_once_failed(name: str, number: int) -> None:
    """2819: a row that had been read vanished, and was counted as the last one, which had not been read.

    2093: an empty page behind others was asked for thirty times, thousands of requests in all.
    """
    _loses_nothing_silently(name, number)


def test_a_row_that_comes_as_another_goes_takes_no_place() -> None:
    """The count stays as it is: rows that were seen are as many as are counted before the last position was shown."""
    behaviour = Behaviour(page_cap=3, order="oldest", late=7, purged=1, empty_at=(27,))
    vendor = RandomVendor("twinit", 12_019, behaviour, executions=30)
    world = World(vendor, _warehouse("twinit"), "backfill", timedelta(hours=2))
    _loses_nothing_silently("twinit", 12_019, world)


@pytest.mark.parametrize(
    ("order", "number"),
    rest_as_torture(
        product(["changing", "changing_in_day"], range(250)),
        kept=[
            ("changing", 27),
            ("changing", 41),
            ("changing_in_day", 0),
            ("changing_in_day", 2),
            ("changing_in_day", 13),
        ],
    ),
)
def test_short_pages_that_join_by_chance_are_no_evidence(order: str, number: int) -> None:
    """Pages of three rows share one, which may stand at its position by chance where the order changes."""
    behaviour = Behaviour(page_cap=3, order=order, empty_at=(3, 11, 19, 25), late=1, purged=7)
    _loses_nothing_silently("sailpoint", number, _world("sailpoint", number, behaviour))


@pytest.mark.parametrize(
    ("name", "order", "number"),
    rest_as_torture(
        product(["sailpoint", "twinit", "b3os"], ["updated", "moving_once"], range(40)),
        kept=[("b3os", "updated", 0), ("twinit", "moving_once", 0), ("sailpoint", "moving_once", 0)],
    ),
)
def test_a_row_that_jumps_to_the_front_is_read(name: str, order: str, number: int) -> None:
    """The pages join as if rows had come before them; what jumped over the reader is on no page that it asks for."""
    total = "absent" if name == "twinit" else "true"
    vendor = RandomVendor(name, number, Behaviour(order=order, total=total), executions=300)
    _loses_nothing_silently(name, number, World(vendor, _warehouse(name), "backfill", timedelta(hours=2)))


@pytest.mark.parametrize(
    ("name", "order", "total", "number"),
    rest_as_torture(
        [
            *product(["sailpoint", "twinit", "b3os"], ["updated_to_middle"], ["absent"], range(20)),
            *product(["sailpoint", "twinit"], ["updated_as_one_goes"], ["given"], range(20)),
        ],
        kept=[
            ("b3os", "updated_to_middle", "absent", 0),
            ("twinit", "updated_to_middle", "absent", 0),
            ("sailpoint", "updated_as_one_goes", "given", 0),
        ],
    ),
)
def test_a_row_that_jumps_over_the_reader_is_read(name: str, order: str, total: str, number: int) -> None:
    """What comes to the front later is not taken for a row that moved; nor does one that went hide one that came."""
    vendor = RandomVendor(name, number, Behaviour(order=order, total=total), executions=300)
    _loses_nothing_silently(name, number, World(vendor, _warehouse(name), "backfill", timedelta(hours=2)))


@pytest.mark.parametrize("request_number", [2, 3, 4, 5])
@pytest.mark.parametrize("more", ["true", "always"])
def test_a_jump_after_a_page_that_was_cut_short_is_read(more: str, request_number: int) -> None:
    """The page is asked for once more, and by then a row has moved over it: positions say so there, too."""
    behaviour = Behaviour(order="updated_to_front", more=more, short_at=(request_number,))
    vendor = RandomVendor("b3os", request_number, behaviour, executions=300)
    vendor.move_at(request_number + 1)
    _loses_nothing_silently("b3os", 0, World(vendor, _warehouse("b3os"), "backfill", timedelta(hours=2)))


@pytest.mark.parametrize("request_number", [2, 3, 4, 6])
@pytest.mark.parametrize("name", ["b3os", "twinit"])
def test_a_row_that_jumps_over_what_is_stored_is_read(name: str, request_number: int) -> None:
    """A backfill of older days begins behind the newer rows that are stored, and looks before these for what jumped."""
    vendor = RandomVendor(name, request_number, Behaviour(order="updated"), executions=600)
    vendor.move_at(10_000)
    stored, older = (
        Window(NOW - timedelta(days=10), NOW),
        Window(NOW - timedelta(days=17), NOW - timedelta(days=12)),
    )
    world = World(vendor, _warehouse(name), "backfill", timedelta(hours=2), window=stored)
    try:
        world.run()
        moved = min((one for one in vendor.visible.values() if one.start in older), key=lambda one: one.start)
        vendor.move_at(request_number, moved.id)
        world.window = older
        world.run()
        assert moved.id in world.held() or not world.is_verified(moved.partition, moved.start)
    finally:
        world.warehouse.clear()


@pytest.mark.parametrize("name", ["sailpoint", "twinit"])
def test_rows_that_expire_cost_no_second_reading(name: str) -> None:
    """A vendor that counts and deletes its oldest rows takes hardly more requests, and no day stays unverified."""
    requests = []
    for purged in (0, 7):
        behaviour = Behaviour(total="given" if name == "sailpoint" else "true", purged=purged)
        vendor = RandomVendor(name, 5, behaviour, executions=1_000)
        vendor.move_at(9)
        world = World(vendor, _warehouse(name), "backfill", timedelta(hours=2))
        try:
            world.run()
            assert not world.unverified_days()
        finally:
            world.warehouse.clear()
        requests.append(vendor.requests)
    assert requests[1] <= 1.1 * requests[0]


@pytest.mark.parametrize("more", ["true", "always"])
def test_an_order_that_changes_nearby_is_verified(more: str) -> None:
    """Neighbours swap, and a last page may announce more: two readings agree, and no day stays unverified."""
    for number in range(4):
        vendor = RandomVendor("b3os", number, Behaviour(order="changing_nearby", more=more), executions=150)
        world = World(vendor, _warehouse("b3os"), "backfill", timedelta(hours=2))
        try:
            world.run()
            assert not world.unverified_days()
        finally:
            world.warehouse.clear()


def test_an_unsorted_list_whose_oldest_rows_expire_is_verified_by_the_next_run() -> None:
    """Two readings that agree but for the oldest rows, which expire all the time, are evidence."""
    vendor = RandomVendor("twinit", 3, Behaviour(order="any", expires_every=9), executions=600)
    vendor.executions = {key: replace(one, partition="n1") for key, one in vendor.executions.items()}
    world = World(vendor, _warehouse("twinit"), "backfill", timedelta(hours=2))
    try:
        world.run()
        world.run()
        assert not world.unverified_days()
    finally:
        world.warehouse.clear()


def test_a_list_that_was_read_to_its_end_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor ignores the filter by time, and rows come while its long list is read: it is not read in halves then."""
    monkeypatch.setattr(unsorted_listing, "_MAX_PIECE_FACTOR", 0.002)
    behaviour = Behaviour(order="any", bounds="ignored", arrives_every=9)
    vendor = RandomVendor("sailpoint", 1, behaviour, executions=900)
    world = World(vendor, _warehouse("sailpoint"), "backfill", timedelta(hours=2))
    try:
        world.run()
    finally:
        world.warehouse.clear()
    assert vendor.requests <= 6 * 900 / PAGE_SIZE


def test_the_beginning_of_a_long_unsorted_list_is_not_read_with_each_page() -> None:
    """Of a list of two thousand rows in any order one row moves: it is read again once, and not for every page."""
    vendor = RandomVendor("b3os", 3, Behaviour(order="updated_to_middle"), executions=2_400)
    vendor.move_at(70)
    world = World(vendor, _warehouse("b3os"), "backfill", timedelta(hours=2))
    _loses_nothing_silently("b3os", 3, world)
    assert vendor.requests <= 4 * 2_400 / PAGE_SIZE


def _is_mended_by_later_runs(name: str, number: int) -> None:
    world = _world(name, number)
    vendor = world.vendor
    described = f"{name} {number}: {world.command}, {len(vendor.executions)} executions, {vendor.behaviour}"
    late = set(vendor.hidden) if world.command == "backfill" else set()
    try:
        world.run()
        vendor.behaviour = Behaviour(page_cap=vendor.behaviour.page_cap)
        vendor.hidden.clear()
        # A sync compares a few days at a time.
        for _ in range(DAYS // 3 + 2 if world.command == "sync" else 2):
            world.now += timedelta(hours=25)
            _, error = world.run()
            assert error is None, f"{described}: {error}"
        assert not world.unverified_days(), f"{described}: {world.unverified_days()} stay unverified"
        if world.lookback >= timedelta(days=DAYS):
            assert set(vendor.executions) - late <= world.held(), described
    finally:
        world.warehouse.clear()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("block", rest_as_torture(range(10), kept=range(1)))
def test_what_stayed_unverified_is_mended_once_the_vendor_behaves(name: str, block: int) -> None:
    """Days that a run could not verify are compared again by later runs, until nothing is missing or unverified."""
    for number in range(block * 2, block * 2 + 2):
        _is_mended_by_later_runs(name, number)


@pytest.mark.torture
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("block", range(25))
def test_a_row_is_missing_only_where_the_coverage_says_so_in_10_000_worlds(name: str, block: int) -> None:
    """The same, a hundred worlds in each of a hundred tests."""
    for number in range(1_000 + block * 100, 1_000 + block * 100 + 100):
        _loses_nothing_silently(name, number)
        _is_mended_by_later_runs(name, number)
