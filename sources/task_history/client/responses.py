"""What an answer means: a pure function of its status, headers and body. What each status does stands in ``retry``.

Nothing that is returned holds the body, except the ``Answer`` and, of a rejection, the vendor's own
message: short, printable and without secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

import orjson

from ..core.cutting import shortened
from ..core.errors import AuthenticationError, Rejected, TaskHistoryError, UnexpectedResponse
from ..core.escapes import visible
from ..core.json_reading import parse, shallow
from ..core.models import Answer, Json, Request
from ..redaction.redactor import Redactor
from .retry import Action, action_of
from .retry_after import RetryAfter, retry_after_s

_MESSAGE_CHARS = 200
_MESSAGE_KEYS = ("message", "_message", "error_description", "detail", "messages", "text", "error")

_BLANK = b" \t\r\n"
"""What JSON takes for space."""
_MARKUP = (b"{", b"[", b"<")
"""How JSON and web pages begin; text does not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The vendor or the way to it failed; the same request may do better later."""

    reason: str
    is_unreadable: bool = False
    """Whether an answer came that said success and could not be read."""
    is_unsent: bool = False
    """Whether the request certainly never reached the vendor."""
    is_closed: bool = False
    """Whether the connection was closed before anything of an answer came, as one that was kept for long may be."""
    status: int | None = None
    """The answer's; None when none came."""


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The credentials are not, or no longer, accepted."""

    error: AuthenticationError
    """What to raise when there are no better ones."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer is at another address."""

    location: str
    status: int


Outcome = Answer | Fault | RetryAfter | Unauthorized | Redirect | TaskHistoryError


@dataclass(frozen=True, slots=True)
class ResponseReader:
    """Reads the answers of one vendor. ``hint_for`` says what to check when it refuses with that status.

    ``status_in`` gives the status of an error that an answer holds although it says success; None where no
    answer does.
    """

    origin: str
    hint_for: Callable[[int], str]
    status_in: Callable[[Json], int | None] | None = None

    def outcome(
        self,
        request: Request,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        secrets: Iterable[str] = (),
        is_raw: bool = False,
    ) -> Outcome:
        """What the answer means for the request.

        Header names are lower case; ``secrets`` are never repeated, also where the vendor repeats them. With ``is_raw``
        a success whose body begins and ends as a list or an object is not read: its ``data`` is None. Where
        only what it holds tells whether it is one, it is read all the same.
        """
        if 200 <= status < 300:
            if request.may_be_text and body.lstrip(_BLANK)[:1] not in _MARKUP:
                return Answer(body.decode(errors="replace"), body, status, headers)
            answer = _answer(status, headers, body, is_raw=is_raw and self.status_in is None)
            within = self._status_within(answer)
            if within is None or 200 <= within < 400:
                return answer
            status = within
        return self._failure(request, status, headers, refusal_text(body, secrets))

    def _failure(self, request: Request, status: int, headers: Mapping[str, str], text: str) -> Outcome:
        """What an answer that is no success means for the request; ``text`` is the vendor's reason."""
        seconds = retry_after_s(headers)
        action = action_of(status, asks_to_wait=seconds is not None)
        if action is Action.REFUSE and request.is_partial:
            action = Action.REJECT
        match action:
            case Action.REDIRECT:
                return self._redirect(request, status, headers)
            case Action.LOG_IN:
                return Unauthorized(self._refused(request, status, text))
            case Action.REFUSE:
                return self._refused(request, status, text)
            case Action.WAIT:
                return RetryAfter(seconds, status)
            case Action.RETRY:
                return Fault(f"HTTP {status}", status=status)
            case Action.REJECT | Action.READ | Action.WAIT_OR_RETRY:
                what = f"{self.origin} refused {describe(request)} with HTTP {status}"
                return Rejected(what + (text or " and gave no reason."), status=status)
            case _:
                assert_never(action)

    def _status_within(self, answer: Answer | Fault) -> int | None:
        if self.status_in is None or isinstance(answer, Fault):
            return None
        return self.status_in(answer.data)

    def _redirect(self, request: Request, status: int, headers: Mapping[str, str]) -> Outcome:
        if headers.get("location"):
            return Redirect(headers["location"], status)
        return UnexpectedResponse(
            f"{self.origin} answered {describe(request)} with HTTP {status} and no address to go to. "
            "Check base_url; if it is right, the vendor's API has changed."
        )

    def _refused(self, request: Request, status: int, text: str) -> AuthenticationError:
        hint = self.hint_for(status) or "Check the key, its scope and the plan."
        return AuthenticationError(
            f"{self.origin} refused the credentials for {describe(request)} (HTTP {status}){text or '.'} {hint}",
            status=status,
        )


def describe(request: Request) -> str:
    """The request as errors name it: its kind, its method and its path, without parameters."""
    return f"the {request.kind} request {request.method} {request.path.partition('?')[0]}"


def _looks_whole(body: bytes) -> bool:
    """Whether it begins and ends as a list or an object of JSON."""
    text = body.strip(_BLANK)
    return text[:1] + text[-1:] in (b"{}", b"[]")


def _answer(status: int, headers: Mapping[str, str], body: bytes, *, is_raw: bool) -> Answer | Fault:
    body = shallow(body)
    if is_raw and _looks_whole(body):
        return Answer(None, body, status, headers)
    if not body.strip():
        return Fault(f"HTTP {status} with an empty answer", is_unreadable=True, status=status)
    try:
        return Answer(parse(body), body, status, headers)
    except (ValueError, RecursionError):
        return Fault(f"HTTP {status} with an answer that is not JSON", is_unreadable=True, status=status)


def refusal_text(body: bytes, secrets: Iterable[str]) -> str:
    """The end of the sentence about a refusal: what the vendor says, as one line; empty where it says nothing."""
    if body.lstrip(_BLANK)[:1] == b"<":
        return ", and a web page in place of a reason: it may not come from the API."
    message = vendor_message(body, secrets)
    if not message and body.lstrip(_BLANK)[:1] not in _MARKUP:
        message = _shown(body[: 4 * _MESSAGE_CHARS].decode(errors="replace"), secrets)
    return f": {message.rstrip('.')}." if message else ""


def vendor_message(body: bytes, secrets: Iterable[str]) -> str:
    """The message in the JSON of a refusal, as ``_shown``; empty where there is none."""
    try:
        return _shown(_message_in(parse(body), depth=4), secrets)
    except (ValueError, RecursionError):
        return ""


def _shown(message: str, secrets: Iterable[str]) -> str:
    """A vendor's message as one line of at most 200 characters, without secrets, control characters as escapes.

    It is prose, and what it quotes has no name: text that looks random is taken out as well.
    """
    from ..redaction.text import (
        without_long_runs,  # its rules take a moment, and most answers are not refusals
    )

    line = visible(" ".join(message.split()))
    text = without_long_runs(Redactor(secrets=secrets).text(line)[0])
    return shortened(text, _MESSAGE_CHARS)


def _message_in(value: Json, depth: int) -> str:
    """The first text under a key that holds messages; vendors nest them, also as JSON in a string."""
    if depth == 0:
        return ""
    if isinstance(value, str):
        if value.lstrip().startswith("{"):
            try:
                return _message_in(orjson.loads(value), depth - 1) or value
            except orjson.JSONDecodeError:
                pass
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, (_message_in(item, depth - 1) for item in value[:3])))
    if isinstance(value, dict):
        return next(
            filter(None, (_message_in(value[key], depth - 1) for key in _MESSAGE_KEYS if key in value)), ""
        )
    return ""
