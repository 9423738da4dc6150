"""The parser of the command line: wrong arguments are reported with the command's usage and the likely right word."""

from __future__ import annotations

import argparse
import difflib
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from task_history.core.connector_version import connector_version
from task_history.core.errors import UsageError

from . import output

_SURROGATE = re.compile("[\ud800-\udfff]")


class WrongArguments(UsageError):
    """The command line cannot be understood.

    ``prog`` is the command that refuses it, such as ``task-history sync``; ``usage`` what it takes.
    """

    def __init__(self, message: str, *, prog: str, usage: str) -> None:
        super().__init__(message)
        self.prog = prog
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """Raises WrongArguments where argparse would print and end the process."""

    def error(self, message: str) -> NoReturn:
        message = message.replace("the following arguments are required:", "missing argument:")
        sentence = message if message.endswith((".", "?")) else f"{message}."
        raise WrongArguments(sentence, prog=self.prog, usage=self.format_usage().rstrip())


class Version(argparse.Action):
    """Prints the versions of task-history, dlt, DuckDB and Python, then exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        output.say(
            f"task-history {connector_version()} (dlt {version('dlt')}, duckdb {version('duckdb')}, "
            f"Python {platform.python_version()})"
        )
        parser.exit()


def parsed(words: Sequence[str], parser: Parser, commands: Mapping[str, Parser]) -> argparse.Namespace:
    """Parses the arguments; positional ``ids`` may stand before, between and after options. Raises WrongArguments."""
    command = words[0] if words else "--help"
    if not command.startswith("-") and command not in commands:
        parser.error(f"unknown command {command!r}.{_similar(command, commands)}")
    args, rest = parser.parse_known_args(words)
    own = commands.get(args.command, parser)
    if "ids" in args:
        args.ids = [*args.ids, *(word for word in rest if not word.startswith("-"))]
        rest = [word for word in rest if word.startswith("-")]
    for word, value in pairwise([*words, "-"]):
        option = word.removesuffix("=")
        # As of a variable of the shell that is not set. An empty instance is the first account, as in the views.
        if option.startswith("--") and option != "--instance" and (option != word or not value.strip()):
            own.error(f"the value of {option} is empty.")
    for name, value in vars(args).items():
        # What the shell gave that is no UTF-8 stands as half a surrogate pair, which no warehouse and no vendor takes.
        if any(
            _SURROGATE.search(text)
            for text in (value if isinstance(value, list) else [value])
            if isinstance(text, str)
        ):
            own.error(f"the value of {name} is no text in UTF-8.")
    if rest:
        option = next((word.partition("=")[0] for word in rest if word.startswith("--")), "")
        similar = _similar(option, re.findall(r"--[a-z][a-z-]*", own.format_help())) if option else ""
        own.error(f"unknown argument{'s' * (len(rest) > 1)}: {' '.join(rest)}.{similar}")
    return args


def _similar(word: str, known: Iterable[str]) -> str:
    """A question that names the most similar word, with a space before it; empty where none is similar."""
    similar = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {similar[0]}?" if similar else ""
