"""Ids in requests and answers: safe paths, and the check that an answer is about the requested id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from ..core.errors import UnexpectedResponse, UnusableId
from ..core.models import Json

MAX_ID_CHARS = 1_024
"""Maximum characters of an id in a request; servers refuse URLs of several thousand characters."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_SHOWN_CHARS, _SHORTENED_CHARS = 16, 12
"""Characters of an id that an error shows whole, and of a longer one: a vendor may send anything for an id."""


def path_of(prefix: str, *ids: str) -> str:
    """The path ``prefix`` plus one percent-encoded segment per id; no id can leave its folder.

    Slashes and backslashes within an id are encoded, but what stands between them is looked at as well: servers
    and proxies may decode a path before they resolve its dots. https://url.spec.whatwg.org/#double-dot-path-segment

    Raises:
        UnusableId: an id is empty or too long, is ``.`` or ``..``, or has a control character.
    """
    return "/".join((prefix, *map(_segment, ids)))


@lru_cache(maxsize=256)
def _segment(text: str) -> str:
    if not text:
        fault = "it is empty"
    elif len(text) > MAX_ID_CHARS:
        fault = f"it has {len(text):,} characters, and {MAX_ID_CHARS:,} are the most"
    elif _CONTROL.search(text):
        fault = "it has a control character"
    elif any(part in (".", "..") for part in re.split(r"[/\\]", text)):
        fault = "its dots would lead to another address"
    else:
        try:
            return quote(text, safe="")
        except UnicodeEncodeError:
            fault = "it has half of a surrogate pair"
    raise UnusableId(f"The id {shown(text)} cannot be part of a request's path: {fault}. Nothing was sent.")


def check_id(what: str, paths: Sequence[str], data: Json, expected: str) -> None:
    """Checks that an answer is about the requested execution, step or kind of statistics (``what``).

    ``paths`` are the JSON paths, such as ``data.events.executionId``, under which an answer names it; lists on the way
    are entered. An answer without one of them passes; the system's reader checks required fields.

    Raises:
        UnexpectedResponse: it names another; the message has the JSON path and both ids, shortened.
    """
    for path in paths:
        if (other := _other_id(data, path.split("."), expected)) is not None:
            json_path, value = other
            raise UnexpectedResponse(
                f"The answer is about another {what}: ${json_path} is {shown(value)}, {shown(expected)} was requested. "
                "Nothing of it was loaded; it will be requested again."
            )


def _other_id(data: Json, names: Sequence[str], expected: str) -> tuple[str, str] | None:
    """The first other id under the path of names, and the JSON path that leads to it; lists are entered."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            if (other := _other_id(item, names, expected)) is not None:
                return f"[{index}]{other[0]}", other[1]
    elif not names:
        if data not in (None, "", expected) and str(data) != expected:
            return "", str(data)
    elif isinstance(data, dict) and names[0] in data:
        other = _other_id(data[names[0]], names[1:], expected)
        return None if other is None else (f".{names[0]}{other[0]}", other[1])
    return None


def shown(text: str) -> str:
    """The id as an error shows it: shortened, with escapes for characters that do not print."""
    return repr(text if len(text) <= _MAX_SHOWN_CHARS else text[:_SHORTENED_CHARS] + "…")
