"""Errors of Paragon's API. Which form they have is documented nowhere: a switch says."""

from __future__ import annotations

import orjson

from .server import HttpResponse

JSON = {"Content-Type": "application/json; charset=utf-8"}


def refusal(status: int, message: str, style: str = "house") -> HttpResponse:
    """An error as the API gives it; which form it has is documented nowhere."""
    if style == "nest":
        return HttpResponse(status, orjson.dumps({"statusCode": status, "message": message}), JSON)
    if style == "text":
        return HttpResponse(status, message.encode(), {"Content-Type": "text/plain"})
    if style == "html":
        return HttpResponse(status, b"<html><body>error</body></html>", {"Content-Type": "text/html"})
    if style == "empty":
        return HttpResponse(status)
    request_id = {"requestId": f"00000000-0000-4000-8000-{status:012d}"}
    body = {"message": message, "code": str(status * 10), "status": status, "meta": request_id}
    return HttpResponse(status, orjson.dumps(body), JSON)
