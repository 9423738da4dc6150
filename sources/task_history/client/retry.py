"""The retry rules: what each status means for a request, as a table, and how long it pauses between attempts.

``responses`` carries out what the table says of an answer; ``client`` makes the pauses, and ends them at the deadline of
``pending_request``. Callers that catch ``Rejected`` treat it as a 4xx: this request can never be answered.

Three waits are kept apart: after a fault a request pauses for seconds (here); when the vendor asks to wait, all
processes do, for as long as ``Retry-After`` says (``retry_after``); without budget a request waits for a slot
(``rate_limit``).

After a fault a request is tried until its deadline, to which its last pause is cut: ``fault_deadline_s``; 3 seconds where
a person waits (``interactive_client``), and before one of many single reads is put off (``extract/single_reads``). So a
longer pause brings nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

MAX_REDIRECTS = 3


class Action(Enum):
    """What is done with an answer of some status."""

    READ = "its body is the answer"
    REDIRECT = "the request follows within the same origin"
    LOG_IN = "new credentials are made, once"
    REFUSE = "the credentials are refused: the run stops"
    WAIT = "all processes wait, then it is tried again; never a reason to fail"
    WAIT_OR_RETRY = (
        "with a Retry-After it is waited for, as in WAIT, but for at most fault_deadline_s longer than the vendor asked; "
        "without one it is tried again, as in RETRY"
    )
    RETRY = "it is tried again until fault_deadline_s have passed since its first fault"
    REJECT = "this one request is refused; its caller decides what that means"


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What is done with answers of a status, and the pauses of a request before each further attempt."""

    action: Action
    first_pause_s: float = 0.5
    """The longest pause after the first fault; each further fault doubles it."""
    max_pause_s: float = 30.0


BY_STATUS: Mapping[int, StatusRule] = {
    401: StatusRule(Action.LOG_IN),
    403: StatusRule(Action.REFUSE),
    408: StatusRule(Action.RETRY),
    425: StatusRule(Action.RETRY),
    429: StatusRule(Action.WAIT),
    503: StatusRule(Action.WAIT_OR_RETRY),
}
BY_HUNDRED: Mapping[int, StatusRule] = {
    2: StatusRule(Action.READ),
    3: StatusRule(Action.REDIRECT),
    4: StatusRule(Action.REJECT),
}
"""Of every other status, by its first digit."""
OTHERWISE = StatusRule(Action.RETRY)
"""Of a status in neither table, and where no answer came."""


def rule_of(status: int | None) -> StatusRule:
    """The rule for answers of that status; None where no answer came."""
    if status is None:
        return OTHERWISE
    return BY_STATUS.get(status) or BY_HUNDRED.get(status // 100, OTHERWISE)


def action_of(status: int, *, asks_to_wait: bool) -> Action:
    """What is done with an answer of that status; ``asks_to_wait`` says whether it has a usable ``Retry-After``."""
    action = rule_of(status).action
    if action is Action.WAIT_OR_RETRY:
        return Action.WAIT if asks_to_wait else Action.RETRY
    return action


def pause_s(faults: int, status: int | None, uniform: Callable[[float, float], float]) -> float:
    """A random pause in seconds after so many earlier faults of one request, the last of that status.

    It lies between 0 and the longest one, so that requests that failed together are not retried together.
    ``uniform(a, b)`` draws it.
    """
    rule = rule_of(status)
    return uniform(0, min(rule.max_pause_s, rule.first_pause_s * 2.0 ** min(faults, 16)))
