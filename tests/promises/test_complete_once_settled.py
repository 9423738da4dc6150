"""Every execution is in the warehouse once and in its final state, whatever the vendor's answers are like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import PERFECT, Place, differences
from tests.support.torture import rest_as_torture

VARIANTS: dict[str, dict[str, Any]] = {
    "as_documented": {},
    "inclusive_bounds": {"after": "inclusive", "before": "inclusive", "next_link": "relative"},
    "inclusive_end_same_link": {"before": "inclusive", "next_link": "same"},
    "inclusive_start_unstable_ties": {"after": "inclusive", "ties": "unstable", "next_link": "absent"},
    "no_total": {"total": "absent"},
    "no_total_no_link": {"total": "absent", "next_link": "absent", "envelope": "data"},
    "no_total_unstable_ties": {"total": "absent", "ties": "unstable", "next_link": "null_absent"},
    "bare_list": {"envelope": "list"},
    "moving_total": {"total": "moving", "next_link": "empty"},
    "short_pages": {"short_pages": True},
    "short_pages_no_total": {"short_pages": True, "total": "absent"},
    "newest_first_always": {"ignore_sort": True},
    "shallow_offsets": {"max_offset": 700},
    "null_fields_and_extra_ones": {"open_rows": "null", "extra_fields": True, "extra_statuses": True},
    "status_filter_refused": {"status_filter": "refused"},
    "status_filter_ignored": {"status_filter": "ignored"},
    "no_date_header": {"date_header": False},
    "short_pages_that_say_nothing": {"envelope": "list", "short_pages": True},
    "shallow_offsets_no_total": {"max_offset": 700, "envelope": "list", "next_link": "empty"},
    "shallow_unstable_ties_inclusive": {
        "max_offset": 1_000,
        "ties": "unstable",
        "after": "inclusive",
        "before": "inclusive",
    },
    "appearing_while_paging": {"insert_late_while_paging": 2},
}


TOGETHER: dict[str, dict[str, Any]] = {
    "newest_first_inclusive_end_same_link_extra_fields": {
        "ignore_sort": True,
        "before": "inclusive",
        "next_link": "same",
        "status_filter": "ignored",
        "open_rows": "null",
        "extra_fields": True,
        "extra_statuses": True,
    },
    "no_total_no_link_inclusive_start": {
        "total": "absent",
        "next_link": "absent",
        "envelope": "data",
        "after": "inclusive",
    },
    "no_total_unstable_ties_short_pages": {
        "total": "absent",
        "ties": "unstable",
        "next_link": "null_absent",
        "short_pages": True,
    },
    "moving_total_no_date_header": {
        "total": "moving",
        "next_link": "empty",
        "date_header": False,
        "status_filter": "refused",
    },
    "shallow_offsets_short_pages_that_say_nothing": {
        "max_offset": 700,
        "envelope": "list",
        "next_link": "empty",
        "short_pages": True,
    },
    "shallow_unstable_ties_inclusive_relative_link": VARIANTS["shallow_unstable_ties_inclusive"]
    | {"max_offset": 700, "next_link": "relative"},
    "appearing_while_paging": VARIANTS["appearing_while_paging"],
}
"""The same values of all switches, several at once."""
SOME = (
    "newest_first_inclusive_end_same_link_extra_fields",
    "no_total_unstable_ties_short_pages",
)
"""Listings that are read in different ways: with a count, and without one."""


def _copy_is_perfect(
    folder: Path, switch: dict[str, Any], *, executions: int, hours: tuple[int, ...]
) -> None:
    with SandboxProcess(
        executions=executions,
        seed=11,
        days=20,
        future_hours=30,
        freeze=True,
        tie_burst=130,
        switch=switch,
    ) as sandbox:
        place = Place(folder, sandbox, steps="none", payloads="none", integrations=None)
        for at in hours:
            sandbox.advance(at * 3600)
            place.quick_sync()
            if "insert_late_while_paging" not in switch or at == 0:
                assert differences(place, sandbox) == PERFECT, f"after {at} hours"


@pytest.mark.parametrize("variant", rest_as_torture(TOGETHER, SOME), ids=str)
def test_a_copy_is_perfect_after_first_and_later_sync(tmp_path: Path, variant: str) -> None:
    """After each sync the copy has every execution that is shown, once, with every field as it is now."""
    # What appears while the last of few pages are read is for the next sync.
    is_growing = variant == "appearing_while_paging"
    executions, hours = (2_000, (0, 27, 0)) if is_growing else (800, (0, 27))
    _copy_is_perfect(tmp_path, TOGETHER[variant], executions=executions, hours=hours)


def test_no_value_of_a_switch_is_left_out() -> None:
    """Whatever a vendor does in the long version it does in the short one."""

    def values(variants: dict[str, dict[str, Any]]) -> set[tuple[str, Any]]:
        return {pair for switch in variants.values() for pair in switch.items()}

    assert values(VARIANTS) - values(TOGETHER) == {("max_offset", 1_000)}


@pytest.mark.torture
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_copy_is_perfect_whatever_the_vendor_does(tmp_path: Path, variant: str) -> None:
    """The same with each switch by itself, in a larger world and with a sync more."""
    _copy_is_perfect(tmp_path, VARIANTS[variant], executions=2_000, hours=(0, 1, 26, 0))


def test_days_that_were_not_verified_are_compared_again(tmp_path: Path) -> None:
    """330 rows of one instant lie deeper than the vendor goes; once it goes deeper, the next sync has them all."""
    with SandboxProcess(
        executions=1_000, seed=3, days=5, freeze=True, tie_burst=330, switch={"max_offset": 150}
    ) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        doubted = "SELECT count(*) FROM paragon.coverage WHERE NOT is_verified"
        result = place.quick_sync()
        assert (result["complete"], result["unverified_windows"]) == (False, 1)
        assert place.query(doubted) == [(1,)]
        sandbox.switches(max_offset=None)
        result = place.quick_sync()
        assert (result["complete"], result["unverified_windows"]) == (True, 0)
        assert place.query(doubted) == [(0,)]
        assert differences(place, sandbox) == PERFECT
        assert place.quick_sync()["requests"] <= 3


@pytest.mark.parametrize("executions", rest_as_torture([2_500, 5_000, 30_000], [2_500]))
def test_first_sync_lists_each_page_once(tmp_path: Path, executions: int) -> None:
    """Listing N executions costs at most 1.02 × ceil(N/100) + 5 requests, an idle sync at most 3."""
    with SandboxProcess(executions=executions, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None)
        place.sync()
        assert sandbox.counters()["list"] <= 1.02 * math.ceil(executions / 100) + 5
        assert differences(place, sandbox) == PERFECT
        sandbox.reset_counters()
        idle = place.sync()
        assert idle["requests"] <= 3
        assert {request["origin"] for request in sandbox.requests()} == {"main"}
