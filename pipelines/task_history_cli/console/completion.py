"""Completion of commands, options and names of systems in bash, zsh and fish, by argcomplete."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from typing import NoReturn

import argcomplete
from argcomplete.shell_integration import shellcode

from .invocation import NAME
from .parser import Parser


def script(shell: str) -> str:
    """What that shell has to run to complete the command."""
    return str(shellcode([NAME], True, shell))


def complete(parser_for: Callable[[Sequence[str]], Parser]) -> NoReturn:
    """Answers the shell that asks for completions, and ends the process.

    ``parser_for`` gives the parser for the words typed so far.
    https://kislyuk.github.io/argcomplete/
    """
    typed = os.environ.get("COMP_LINE", "")
    try:
        words = shlex.split(typed)
    except ValueError:  # an open quote
        words = typed.split()
    argcomplete.autocomplete(parser_for(words[1:]), always_complete_options="long")
    raise SystemExit(0)
