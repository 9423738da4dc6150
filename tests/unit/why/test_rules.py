"""Rules about reasons, whereabouts and sightings."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history.core.models import MS, Scope, Window
from task_history.systems import find
from task_history.warehouse.coverage import BACKFILL, SYNC, Day, midnight
from task_history_cli.console.times import exact
from task_history_cli.why.absent import Absent, VendorReply, absent
from task_history_cli.why.coverage import KnownExecution, Loaded, blind, fits
from task_history_cli.why.history import brought, timeline
from task_history_cli.why.present import DetailFacts, Words, details, present

PARAGON = find("paragon")
WORDS = Words(PARAGON, None, 90)


def at(day: float) -> datetime:
    """That day of September, and part of it."""
    return datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=day - 1)


def loaded_day(start: float, end: float, *, lane: str = SYNC, filters: str = "", checked: float = 25) -> Day:
    window = Window(at(start), at(end))
    return Day(midnight(window.start), lane, filters, (window,), 1, 1, True, at(checked))


LOADED = Loaded(
    (
        loaded_day(10, 11),
        loaded_day(11, 11.5),
        loaded_day(5, 6, lane=BACKFILL),
        loaded_day(7, 8, lane=BACKFILL, filters="status=FAILED"),
        loaded_day(8, 9, lane=BACKFILL, filters="integration=slack&user=a%26b"),
    ),
    lost=(Window(at(9), at(9.5)),),
    start=at(10),
    horizon=at(3),
    rechecked_from=at(11.4),
    blind=(Window(at(5), at(5.2)),),
)


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (2, "purged"),
        (4, "before"),
        (5.1, "blind"),
        (5.5, "covered"),
        (6.5, "gap"),
        (7.5, "perhaps"),
        (9.2, "lost"),
        (9.7, "gap"),
        (10.5, "covered"),
        (11.5, "after"),
        (20, "after"),
    ],
    ids=str,
)
def test_where_an_instant_lies(day: float, kind: str) -> None:
    """Each instant lies in one kind of stretch."""
    assert LOADED.spot(Window(at(day), at(day) + MS), PARAGON).kind == kind


@pytest.mark.parametrize(
    ("day", "fields", "ended", "kind"),
    [
        (7.5, {"status": "SUCCEEDED"}, 7.6, "filtered"),
        (7.5, {"status": "FAILED"}, 7.6, "covered"),
        (7.5, {"status": "FAILED"}, 26, "filtered"),
        (7.5, {"status": "FAILED"}, 25, "perhaps"),
        (8.5, {"status": "FAILED", "user": "a&b", "integration": "slack"}, 9, "covered"),
        (8.5, {"status": "FAILED", "user": "a&b"}, 9, "perhaps"),
        (8.5, {"status": "FAILED", "user": "c"}, 9, "filtered"),
    ],
    ids=str,
)
def test_filters_are_compared_with_what_is_known(
    day: float, fields: dict[str, str | None], ended: float, kind: str
) -> None:
    """A status is compared as it was when the listing was read; what nothing tells is not guessed."""
    known = KnownExecution(fields, at(ended))
    assert LOADED.spot(Window(at(day), at(day) + MS), PARAGON, known).kind == kind


def test_open_statuses_say_little_of_the_past() -> None:
    """What has ended since may have been in any open status before; what had ended was in none."""
    known = KnownExecution({"status": "SUCCEEDED"}, at(10))
    assert fits({"status": "DELAYED"}, known, PARAGON, read_at=at(9)) is None
    assert fits({"status": "DELAYED"}, known, PARAGON, read_at=at(11)) is False
    assert fits({}, known, PARAGON, read_at=at(9)) is True


def test_what_was_purged_before_it_was_read() -> None:
    """Only what no read came to in time is blind."""
    reads = [(Window(at(1), at(20)), at(20)), (Window(at(4), at(6)), at(12))]
    assert blind(reads, timedelta(days=10)) == [Window(at(1), at(4)), Window(at(6), at(10))]
    assert blind(reads, None) == []


def absence(**facts: Any) -> tuple[str, str]:
    reason = absent(Absent(WORDS, LOADED, "w.duckdb", **facts))
    assert reason.sentence
    assert reason.next_step
    return reason.code, reason.next_step


def test_what_the_vendor_still_shows_is_not_beyond_retention() -> None:
    """A row from before the retention that the vendor shows is told with the setting that hides it."""
    code, step = absence(
        reply=VendorReply(200, "FAILED", at(2), KnownExecution({"status": "FAILED"}, at(2.1)))
    )
    assert code == "before_coverage"
    assert "retention_days" in step
    assert absence(reply=VendorReply(200, "FAILED", at(9.2), KnownExecution({}, None)))[0] == "in_gap"
    assert (
        absence(reply=VendorReply(200, "FAILED", at(5.1), KnownExecution({}, None), is_listed=True))[0]
        == "missing_in_coverage"
    )


def test_refused_ids_and_unknown_ones_differ() -> None:
    """404 and 410 say that it is not there; another refusal is about the id."""
    assert absence(reply=VendorReply(404))[0] == absence(reply=VendorReply(410))[0] == "never_existed"
    assert absence(reply=VendorReply(400))[0] == "id_refused"


def test_late_ones_come_with_the_next_sync() -> None:
    """Within the lookback the next sync is named, before it the audit."""
    reply = VendorReply(200, "FAILED", at(11.45), KnownExecution({}, None), is_listed=True)
    assert "task-history sync paragon" in absence(reply=reply)[1]
    reply = VendorReply(200, "FAILED", at(10.2), KnownExecution({}, None), is_listed=True)
    assert "task-history audit paragon --from 2026-09-10 --to 2026-09-11 --repair" in absence(reply=reply)[1]


def test_a_day_that_is_loaded_in_part() -> None:
    """What to do is said for the part that is not loaded."""
    code, step = absence(around=Window(at(11), at(12)))
    assert code == "after_cursor"
    assert "--live" in step


def test_an_account_is_named_in_what_to_do() -> None:
    """Commands carry the instance."""
    words = Words(PARAGON, "eu", 90)
    assert words.call("sync") == "task-history sync paragon --instance eu"
    assert words.days("audit", Window(at(3.5), at(4))) == (
        "task-history audit paragon --instance eu --from 2026-09-03 --to 2026-09-04"
    )


SEEN = {
    "status_seen_at": at(5),
    "fetched_at": at(6),
    "read_by": "execution",
    "run_id": "b",
    "status": "FAILED",
}
EARLIER = {"seen_at": at(4), "last_seen_at": at(4), "read_by": "list", "run_id": "a", "status": "DELAYED"}


def test_timeline_in_order() -> None:
    """Earlier states come first; of one that was purged the last sight is the one that was kept."""
    assert [(state.status, state.run_id) for state in timeline(SEEN, [EARLIER])] == [
        ("DELAYED", "a"),
        ("FAILED", "b"),
    ]
    purged = {**SEEN, "purged_at_source": at(6)}
    (only,) = timeline(purged, [])
    assert (only.since, only.at, only.run_id) == (at(5), None, None)
    kept = {**EARLIER, "seen_at": at(5), "last_seen_at": at(5.5), "status": "FAILED"}
    (only,) = timeline(purged, [kept])
    assert (only.at, only.run_id) == (at(5.5), "a")


def read(day: float, run_id: str, filters: str = "") -> dict[str, Any]:
    return {"read_at": at(day), "run_id": run_id, "filters": filters}


def test_the_read_that_brought_it() -> None:
    """It is the one at the first sight, under filters that it fits; of one that came late, an earlier one missed it."""
    seen = timeline(SEEN, [EARLIER])
    known = KnownExecution({"status": "FAILED", "user": "u"}, at(4.5))
    soon = 1 / 86_400
    reads = [read(3, "x"), read(4 + soon, "y", "user=v"), read(4 + 2 * soon, "a"), read(5, "z")]
    found = brought(seen, reads, known, PARAGON, run_then=None)
    assert (found.read, found.read_by, found.run_id) == (reads[2], "list", "a")
    delayed = read(4, "d", "status=DELAYED")
    assert brought(seen, [delayed], known, PARAGON, run_then=None).read == delayed
    late = timeline({**SEEN, "read_by": "late", "fetched_at": at(5)}, [])
    found = brought(late, [read(3, "x"), read(5, "z")], known, PARAGON, run_then="r")
    assert (found.read, found.run_id, found.missed) == (None, "b", read(3, "x"))


def test_every_resolution_has_its_answer() -> None:
    """Open, ended, purged, gone and unresolved are reply apart."""
    ended: dict[str, Any] = {"status": "FAILED", "is_open": False, "resolution": "ended"}
    assert present(WORDS, ended).code == "loaded"
    assert present(WORDS, ended, is_purged_now=True).code == "purged_at_source"
    assert present(WORDS, {**ended, "purged_at_source": at(3)}).code == "purged_at_source"
    for resolution in ("gone", "unresolved_at_retention"):
        assert (
            present(WORDS, {**ended, "resolution": resolution, "purged_at_source": at(3)}).code == resolution
        )
    assert present(WORDS, {"status": "DELAYED", "is_open": True}).code == "loaded_open"


def test_steps_that_differ_from_the_details_log() -> None:
    """Steps that somebody deleted are seen."""
    log_row = {"outcome": "loaded", "steps": 4, "fetched_at": at(3)}
    facts = DetailFacts(Scope("all", "none"), log_row, 3, {}, 0, [], 0, "task-history sync paragon")
    (found,) = details(WORDS, {"status": "FAILED", "is_open": False}, facts)
    assert found.code == "details_altered"


def test_instants_are_shown_in_utc() -> None:
    """To the millisecond, without it where it is none."""
    assert exact(at(1.5)) == "2026-09-01 12:00:00 UTC"
    assert exact(at(1) + 7 * MS) == "2026-09-01 00:00:00.007 UTC"


def test_the_page_names_each_code() -> None:
    """Scripts read the codes: each stands in ``docs/how-to/why.md``, those of remarks by how they begin."""
    root = Path(__file__).parents[3]
    calls = [
        node
        for path in (root / "pipelines" / "task_history_cli" / "why").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason"
    ]
    codes = {str(ast.literal_eval(call.args[0])) for call in calls if isinstance(call.args[0], ast.Constant)}
    assert len(codes) > 30
    page = (root / "docs" / "how-to" / "why.md").read_text("utf-8")
    assert {
        code for code in codes if f"`{code}`" not in page and f"`{code.partition('_')[0]}_…`" not in page
    } == set()
