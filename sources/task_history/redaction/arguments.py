"""Secrets in lists of texts: after names, after flags, and among the arguments of a command."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.models import Json
from ..core.redaction_mark import MARK
from . import names_as_values, patterns, shapes
from .judging import Judge

_ARGUMENTS = 200
"""Maximum arguments of a command in a list."""


def secret_arguments(
    items: list[Json],
    kind_of_value: names_as_values.KindOf,
    kind_of: names_as_values.KindOf,
    is_secret: Judge,
) -> Iterator[tuple[int, str]]:
    """The items of a list whose first is a text that are secrets: index and redacted text."""
    for index, kind in enumerate(names_as_values.alternating_kinds(items, kind_of_value) or ()):
        if kind and is_secret(kind, items[2 * index + 1]):
            yield 2 * index + 1, MARK
    for index, flag in enumerate(items[:-1], 1):
        if isinstance(flag, str) and flag[:1] == "-" and "=" not in flag and (kind := kind_of(flag)):
            following = items[index]
            is_flag = isinstance(following, str) and following[:1] == "-"
            if not is_flag and following not in ("", None, [], {}) and is_secret(kind, following):
                yield index, MARK
    has_flags = any(isinstance(word, str) and word[:1] in ("-", "/") for word in items)
    if not has_flags and items[0] not in patterns.COMMAND_WORDS:
        return
    # A command whose arguments are a list: read as one line, argument by argument.
    words = [word for word in items if isinstance(word, str) and "\n" not in word]
    if len(words) == len(items) < _ARGUMENTS:
        yield from _of_command(words)


def _of_command(words: list[str]) -> Iterator[tuple[int, str]]:
    position = 0
    line = " ".join(words)
    spans = [*shapes.after_commands(line), *(m.span("value") for m in patterns.LOGIN_FLAG.finditer(line))]
    for index, word in enumerate(words):
        for begin, end in spans:
            if position <= begin < position + len(word):
                yield index, f"{word[: begin - position]}{MARK}{word[end - position :]}"
        position += len(word) + 1
