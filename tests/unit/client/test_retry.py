"""The retry rules as pure functions."""

from __future__ import annotations

import pytest

from task_history.client.retry import Action, action_of, pause_s
from task_history.client.retry_after import MAX_HOLD_S, Holds, RetryAfter, Unavailability


@pytest.mark.parametrize(
    ("status", "asks_to_wait", "action"),
    [
        (200, False, Action.READ),
        (308, False, Action.REDIRECT),
        (401, False, Action.LOG_IN),
        (403, False, Action.REFUSE),
        (404, True, Action.REJECT),
        (408, False, Action.RETRY),
        (429, False, Action.WAIT),
        (500, True, Action.RETRY),
        (503, False, Action.RETRY),
        (503, True, Action.WAIT),
        (700, False, Action.RETRY),
    ],
)
def test_each_status_has_its_action(status: int, asks_to_wait: bool, action: Action) -> None:
    """A status that no table names is tried again; of 503 its Retry-After decides."""
    assert action_of(status, asks_to_wait=asks_to_wait) is action


@pytest.mark.parametrize("status", [None, 408, 500, 503])
def test_pauses_double_and_are_bounded(status: int | None) -> None:
    """Each fault of a request doubles its longest pause, up to half a minute, also after thousands of them."""
    longest = [pause_s(faults, status, lambda _, most: most) for faults in (0, 1, 2, 5, 6, 9_999)]
    assert longest == [0.5, 1, 2, 16, 30, 30]


def test_a_pause_may_be_none() -> None:
    """The pause is a random part of the longest: requests that failed together do not come again together."""
    assert pause_s(3, 500, lambda least, _: least) == 0


def test_a_vendor_that_does_not_say_how_long_is_left_alone_longer_each_time() -> None:
    """The wait doubles with each request that was sent after the last wait began, until one has its answer."""
    holds, asked = Holds(longest_unasked_s=5.0), RetryAfter(None, 429)
    assert holds.seconds_for(asked, sent_at=1.0, now=2.0) == 1.0
    assert holds.seconds_for(asked, sent_at=1.5, now=2.1) is None, "was under way when the vendor asked"
    waits = [holds.seconds_for(asked, sent_at=at, now=at + 1) for at in (10.0, 20.0, 30.0)]
    assert waits == [2.0, 4.0, 5.0]
    holds.note_answer(sent_at=30.5)
    assert holds.seconds_for(asked, sent_at=40.0, now=41.0) == 5.0, "that answer was to a request of before"
    holds.note_answer(sent_at=50.0)
    assert holds.seconds_for(asked, sent_at=60.0, now=61.0) == 1.0


def test_what_the_vendor_says_is_kept_to_for_a_day_at_most() -> None:
    """Every Retry-After counts, also that of a request under way; after a day the vendor is asked again."""
    holds = Holds(longest_unasked_s=5.0)
    assert holds.seconds_for(RetryAfter(90.0, 429), sent_at=1.0, now=2.0) == 90.0
    assert holds.seconds_for(RetryAfter(120.0, 429), sent_at=1.5, now=2.1) == 120.0
    assert holds.reason == "the vendor answered HTTP 429 and asks to wait for 120 s"
    assert holds.seconds_for(RetryAfter(10 * MAX_HOLD_S, 503), sent_at=3.0, now=4.0) == MAX_HOLD_S
    assert holds.reason.endswith("864,000 s, and is asked again after a day")


def test_503_fails_a_run_in_the_end_and_429_never() -> None:
    """Beyond the longest Retry-After of 503 a request goes on for the deadline of faults."""
    unavailability = Unavailability()
    asked = [(0.0, 60.0), (60.0, 30.0), (359.0, 30.0), (361.0, 30.0)]
    assert [unavailability.is_beyond(300.0, RetryAfter(s, 503), at) for at, s in asked] == [
        False,
        False,
        False,
        True,
    ]
    patient = Unavailability()
    assert not any(patient.is_beyond(300.0, RetryAfter(60.0, 429), at) for at in (0.0, 1e6))
