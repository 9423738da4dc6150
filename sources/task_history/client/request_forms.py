"""Sends a request in another form where the vendor does not know the first, and then always in that form."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Lock

from ..core.errors import ReadFailed, Rejected
from ..core.log import log
from ..core.models import Answer, Request, Sender


class FallbackSender:
    """A client that turns to ``Request.instead`` where the vendor does not know a request's form."""

    def __init__(self, client: Sender) -> None:
        self._client = client
        self._lock = Lock()
        self._forms: dict[str, int] = {}
        """By kind, how many forms the vendor was seen not to know while it knew the next."""

    def send(self, request: Request) -> Answer:
        """The answer. Raises what the client raises."""
        request, level = self._known(request)
        try:
            return self._client.send(request)
        except Rejected as error:
            return self._instead(request, error, level)

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in order; those that are read raw are asked for in no other form."""
        if is_raw:
            return self._client.map(requests, is_raw=True, ahead=ahead)
        return self._mapped(requests)

    def _mapped(self, requests: Iterable[Request]) -> Iterator[Answer | Exception]:
        asked: deque[tuple[Request, int]] = deque()

        def known() -> Iterator[Request]:
            for request in requests:
                asked.append(self._known(request))
                yield asked[-1][0]

        for answer in self._client.map(known()):
            request, level = asked.popleft()
            if isinstance(answer, Rejected) and request.instead and answer.status in request.unknown:
                try:
                    yield self._instead(request, answer, level)
                except Exception as error:  # noqa: BLE001 - given to the caller in place of the answer
                    yield error
            else:
                yield answer

    def _known(self, request: Request) -> tuple[Request, int]:
        """The request in the first form that may be known, and which one that is."""
        level = self._forms.get(request.kind, 0)
        for _ in range(level):
            request = request.instead or request
        return request, level

    def _instead(self, request: Request, error: Rejected, level: int) -> Answer:
        tried = 0
        first = error
        while request.instead is not None and error.status in request.unknown:
            request = request.instead
            tried += 1
            try:
                answer = self._client.send(request)
            except ReadFailed:
                # It says nothing about the form.
                raise
            except Rejected as again:
                error = again
                continue
            # The same thing was there when it was asked otherwise: it was the form that is not known.
            with self._lock:
                # Several that were asked at once found out the same.
                self._forms[request.kind] = max(self._forms.get(request.kind, 0), level + tried)
            log.info("request_fallback", kind=request.kind, status=first.status, asked="otherwise")
            return answer
        raise first
