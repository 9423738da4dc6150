"""Regular expressions that are compiled when they are first used: compiling all of them takes half a second."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

_USED = ("search", "match", "fullmatch", "finditer", "findall", "sub", "split", "pattern", "groupindex")
"""What is used of a compiled expression."""


class _Expression:
    """Stands for a compiled expression; its first use compiles it and takes over the methods."""

    __slots__ = ("_flags", "_text", *_USED)

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:  # called where no attribute is set: before the first use
        if name not in _USED:
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        for used in _USED:
            object.__setattr__(self, used, getattr(compiled, used))
        return getattr(compiled, name)


@lru_cache(2_000)  # several redactors share what they look for
def expression(text: str, flags: int = 0) -> re.Pattern[str]:
    """A regular expression that is compiled when it is first used."""
    return cast("re.Pattern[str]", _Expression(text, flags))
