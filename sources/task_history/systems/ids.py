"""Ids in requests and answers: the path that asks for one, and whether an answer is of the one that was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from ..core.errors import UnexpectedResponse, UnusableId
from ..core.models import Json

LONGEST_ID = 1_024
"""Characters of an id that is asked for; servers refuse addresses of several thousand."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHOWN_WHOLE, _SHOWN = 16, 12
"""Characters of an id that an error shows whole, and of a longer one: a vendor may send anything for an id."""


def path_of(prefix: str, *ids: str) -> str:
    """The path below ``prefix`` with each id, percent-encoded, as one segment: none leads out of its folder.

    Slashes and backslashes within an id are encoded, but what stands between them is looked at as well: servers
    and proxies may decode a path before they resolve its dots. https://url.spec.whatwg.org/#double-dot-path-segment

    Raises:
        UnusableId: an id is empty or too long, is ``.`` or ``..``, or has a control character.
    """
    return "/".join((prefix, *map(_segment, ids)))


def _segment(text: str) -> str:
    if not text:
        fault = "it is empty"
    elif len(text) > LONGEST_ID:
        fault = f"it has {len(text):,} characters, and {LONGEST_ID:,} are the most"
    elif _CONTROL.search(text):
        fault = "it has a control character"
    elif any(part in (".", "..") for part in re.split(r"[/\\]", text)):
        fault = "its dots would lead to another address"
    else:
        try:
            return quote(text, safe="")
        except UnicodeEncodeError:
            fault = "it has half of a surrogate pair"
    raise UnusableId(f"The id {shown(text)} cannot stand in a request's path: {fault}. Nothing was asked.")


def check_id(what: str, paths: Sequence[str], data: Json, asked: str) -> None:
    """Checks that an answer is of the execution, step or kind of statistics (``what``) that was asked for.

    ``paths`` are the JSON paths, such as ``data.events.executionId``, under which an answer names it; lists on the way
    are entered. An answer that leaves one out is let pass: what has to be there, the system's reading demands.

    Raises:
        UnexpectedResponse: it names another; the message has the JSON path and both ids, shortened.
    """
    for path in paths:
        for place, value in _values(data, path.split("."), "$"):
            if value not in (None, "") and str(value) != asked:
                raise UnexpectedResponse(
                    f"The answer is of another {what}: {shown(str(value))} stands at {place}, and {shown(asked)} was "
                    "asked for. Nothing of it was loaded; it is asked for again."
                )


def _values(data: Json, names: Sequence[str], place: str) -> Iterator[tuple[str, Json]]:
    """What stands under these names, in every item of a list, and where."""
    if isinstance(data, list):
        for at, item in enumerate(data):
            yield from _values(item, names, f"{place}[{at}]")
    elif not names:
        yield place, data
    elif isinstance(data, dict) and names[0] in data:
        yield from _values(data[names[0]], names[1:], f"{place}.{names[0]}")


def shown(text: str) -> str:
    """The id as an error shows it: its beginning, what does not print as escapes."""
    return repr(text if len(text) <= _SHOWN_WHOLE else text[:_SHOWN] + "…")
