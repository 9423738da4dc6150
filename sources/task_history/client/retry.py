"""The retry rules: what each status means for a request, as a table, and how long it pauses between attempts.

Three waits are kept apart: after a fault a request pauses for seconds (here); when the vendor asks to wait, all
processes do, for as long as ``Retry-After`` says; without budget a request waits for a slot (both in rate_limit).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 30.0
MAX_UNASKED_WAIT_S = 60.0
"""How long all processes wait at most where a vendor asks to wait and does not say how long."""
MAX_HOLD_S = 86_400.0
"""However long the vendor asks for silence, after a day it is asked again."""
MAX_REDIRECTS = 3


class Action(Enum):
    """What is done with an answer of some status."""

    READ = "its body is the answer"
    REDIRECT = "the request follows within the same origin"
    LOG_IN = "new credentials are made, once"
    REFUSE = "the credentials are refused: the run stops"
    WAIT = "all processes wait, then it is tried again; never a reason to fail"
    WAIT_OR_RETRY = "as WAIT where there is a Retry-After, but for fault_deadline_s beyond it; else as RETRY"
    RETRY = "it is tried again until fault_deadline_s have passed since its first fault"
    REJECT = "this one request is refused; its caller decides what that means"


BY_STATUS: Mapping[int, Action] = {
    401: Action.LOG_IN,
    403: Action.REFUSE,
    408: Action.RETRY,
    425: Action.RETRY,
    429: Action.WAIT,
    503: Action.WAIT_OR_RETRY,
}
BY_HUNDRED: Mapping[int, Action] = {2: Action.READ, 3: Action.REDIRECT, 4: Action.REJECT}
"""Of every other status, by its first digit; statuses in neither table are retried."""


def action_of(status: int, *, asks_to_wait: bool) -> Action:
    """What is done with an answer of that status; ``asks_to_wait`` says whether it has a usable ``Retry-After``."""
    action = BY_STATUS.get(status) or BY_HUNDRED.get(status // 100, Action.RETRY)
    if action is Action.WAIT_OR_RETRY:
        return Action.WAIT if asks_to_wait else Action.RETRY
    return action


def longest_pause_s(faults: int) -> float:
    """The longest pause after so many earlier faults of one request; the pause is a random part of it."""
    return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(faults, 16))


def unasked_wait_s(waits: int, *, longest_s: float) -> float:
    """How long all wait when the vendor asked so many times in a row and did not say how long."""
    return min(2.0 ** min(waits - 1, 20), longest_s)
