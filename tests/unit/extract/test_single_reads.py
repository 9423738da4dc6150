"""Single reads: what fails is postponed and read again, and only many failures in a row make the vendor down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from task_history.core.errors import (
    AuthenticationError,
    ReadFailed,
    Rejected,
    UnexpectedResponse,
    VendorError,
    VendorUnavailable,
)
from task_history.core.models import Answer, Request
from task_history.extract.single_reads import FaultDeadline, Item, SingleReads
from task_history.extract.warehouse_rows import ReadProblem
from task_history.systems.protocol import Detail
from task_history.warehouse.retry_schedule import next_try_at

AT = datetime(2026, 9, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Vendor:
    """Answers each request by its path; ``fails`` gives the error of an id, if any."""

    def __init__(self, fails: Callable[[str], VendorError | None]) -> None:
        self.fails = fails
        self.asked: list[tuple[str, float | None]] = []

    def send(self, request: Request) -> Answer:
        self.asked.append((request.path, request.fault_deadline_s))
        error = self.fails(request.path)
        if error is not None:
            if request.fault_deadline_s is None and isinstance(error, ReadFailed):
                raise VendorUnavailable(str(error))
            raise error
        return Answer(request.path, request.path.encode())

    def map(
        self,
        requests: Iterable[Request],
        *,
        is_raw: bool = False,
        ahead: int = 0,
    ) -> Iterator[Answer | Exception]:
        for request in requests:
            try:
                yield self.send(request)
            except (Rejected, UnexpectedResponse) as error:
                yield error


def items(*ids: str) -> list[Item[str]]:
    return [(identity, Request("execution", identity)) for identity in ids]


def reads(
    vendor: Vendor, *, known: Collection[str] = (), fault_deadline: FaultDeadline | None = None
) -> SingleReads[str]:
    return SingleReads(
        sender=vendor,
        fault_deadline=fault_deadline or FaultDeadline(300.0, clock=lambda: 0.0),
        key=lambda item: item,
        is_final=lambda error: error.status == 404,
        known=lambda without: items(*(identity for identity in known if identity not in without)),
    )


def read(item: str, _: Request, answer: Answer) -> str:
    if answer.data != item:
        raise UnexpectedResponse("another")
    return item


def first(single: SingleReads[str], *ids: str, may_postpone: bool = True) -> list[tuple[str, object]]:
    return list(single.first(items(*ids), read, may_postpone=lambda _: may_postpone))


def failing(
    *ids: str, error: Callable[[], VendorError] = lambda: ReadFailed("HTTP 500", status=500)
) -> Vendor:
    return Vendor(lambda identity: error() if identity in ids else None)


MANY = [f"bad{number}" for number in range(25)]


@pytest.mark.parametrize(
    ("tries", "distance"),
    [
        (1, HOUR),
        (2, 2 * HOUR),
        (3, 4 * HOUR),
        (5, 16 * HOUR),
        (6, 32 * HOUR),
        (7, 48 * HOUR),
        (9_999, 48 * HOUR),
    ],
)
def test_distance_grows_up_to_two_days(tries: int, distance: timedelta) -> None:
    """After the first try an hour, then twice as long each time."""
    assert next_try_at(tries, AT) == AT + distance


def test_parts_are_left_unread_after_some_tries() -> None:
    """A part that fails has the whole read again, but not for ever; reasons that no try can help are no reason to."""
    detail = Detail({}, {}, [], failed=("the log",), unreadable=("an id",))
    assert ReadProblem.parts_of(detail, tries=1, now=lambda: AT) == ReadProblem(
        ("the log", "an id"), 1, AT + HOUR
    )
    assert ReadProblem.parts_of(detail, tries=6, now=lambda: AT) == ReadProblem(("the log", "an id"), 6, None)
    assert ReadProblem.parts_of(
        Detail({}, {}, [], unreadable=("an id",)), tries=1, now=lambda: AT
    ) == ReadProblem(("an id",))


def test_time_is_shared_from_the_first_failure_on() -> None:
    """It passes while other items are read; each is tried for seconds first."""
    now = [0.0]
    fault_deadline = FaultDeadline(300.0, clock=lambda: now[0])
    assert (fault_deadline.first_s, fault_deadline.rest_s) == (3.0, 300.0)
    now[0] = 1_000.0
    assert fault_deadline.rest_s == 300.0
    fault_deadline.failed()
    now[0] = 1_100.0
    fault_deadline.failed()
    assert fault_deadline.rest_s == 200.0
    now[0] = 2_000.0
    assert fault_deadline.rest_s == 0.0
    assert FaultDeadline(0.5).first_s == 0.5


def test_what_fails_is_postponed_and_read_again() -> None:
    """All others come at once; at the end it is read with what is left of the time."""
    vendor = failing("b")
    single = reads(vendor)
    assert first(single, "a", "b", "c") == [("a", "a"), ("c", "c")]
    assert list(single.postponed) == ["b"]
    vendor.fails = lambda _: None
    assert list(single.retried(read)) == [("b", "b")]
    assert vendor.asked == [("a", 3.0), ("b", 3.0), ("c", 3.0), ("b", 300.0)]
    assert not single.postponed


def test_what_failed_in_an_earlier_run_does_not_wait() -> None:
    """Its failure comes at once, and so does a refusal of any item."""
    [_, (item, error)] = first(reads(failing("b")), "a", "b", may_postpone=False)
    assert (item, isinstance(error, ReadFailed)) == ("b", True)
    refused = failing("b", error=lambda: Rejected("HTTP 400", status=400))
    [(item, error), _] = first(reads(refused), "b", "a")
    assert (item, str(error)) == ("b", "HTTP 400")


def test_many_that_fail_are_believed_once_another_is_read() -> None:
    """One that the vendor is known to hold answers: all go on, and nothing is raised."""
    vendor = failing(*MANY)
    single = reads(vendor, known=[MANY[0], "good"])
    assert first(single, *MANY, "a") == [("a", "a")]
    assert [item for item, _ in single.retried(read)] == MANY
    assert ("good", 3.0) in vendor.asked


def test_many_that_fail_and_the_known_one_too_end_the_run() -> None:
    """It is retried as long as any request; none of them is given as unreadable."""
    vendor = failing(*MANY, "good")
    single = reads(vendor, known=["good"])
    with pytest.raises(VendorUnavailable):
        first(single, *MANY, "a")
    assert vendor.asked[-1] == ("good", None)
    with pytest.raises(VendorUnavailable):
        first(reads(failing(*MANY)), *MANY)


def test_an_outage_that_passes_ends_nothing() -> None:
    """While the known item is waited for, the vendor comes back."""
    vendor = failing(*MANY, "good")

    def fails(identity: str) -> VendorError | None:
        reached_end = vendor.asked[-1][1] is None or is_back
        return None if reached_end else ReadFailed(identity, status=502)

    is_back = False
    vendor.fails = fails
    single = reads(vendor, known=["good"])
    assert first(single, *MANY[:20]) == []
    is_back = True
    assert [item for item, outcome in single.retried(read) if item == outcome] == MANY[:20]


def test_a_few_that_fail_at_the_end_are_noted_only_if_another_is_read() -> None:
    """A vendor that went down as the last were read ends the run; without a known item they are believed."""
    single = reads(failing("a", "b", "good"), known=["good"])
    assert first(single, "a", "b") == []
    with pytest.raises(VendorUnavailable, match="same command again"):
        list(single.retried(read))
    for known in ([], ["good"]):
        single = reads(failing("a", "b"), known=known)
        assert first(single, "a", "b") == []
        assert [item for item, _ in single.retried(read)] == ["a", "b"]


def test_one_that_fails_has_no_other_read() -> None:
    """A single item proves nothing of the vendor: what was read before is not read again for it."""
    vendor = failing("b")
    single = reads(vendor, known=["a"])
    first(single, "a", "b")
    assert len(list(single.retried(read))) == 1
    assert [path for path, _ in vendor.asked] == ["a", "b", "b"]


def test_refusals_of_all_are_the_credentials() -> None:
    """403 for many and for the known one, too: the user is told to look at the key."""
    vendor = failing(*MANY, "good", error=lambda: Rejected("HTTP 403", status=403))
    with pytest.raises(AuthenticationError):
        first(reads(vendor, known=["good"]), *MANY)


def test_what_is_gone_is_no_failure() -> None:
    """However many are: the vendor's word on each of them is an answer."""
    vendor = failing(*MANY, error=lambda: Rejected("HTTP 404", status=404))
    assert len(first(reads(vendor), *MANY)) == 25
