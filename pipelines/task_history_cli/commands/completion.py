"""``task-history completion SHELL``: what makes a shell complete commands, options and names of systems."""

from __future__ import annotations

import argparse

from ..console import output

_SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell",
        choices=_SHELLS,
        help='the shell; for bash and zsh put eval "$(task-history completion bash)" into .bashrc or .zshrc, '
        "for fish: task-history completion fish > ~/.config/fish/completions/task-history.fish",
    )


def run(args: argparse.Namespace) -> int:
    from ..console.completion import script

    text = script(args.shell)
    if args.json:
        output.emit({"command": "completion", "shell": args.shell, "script": text})
    else:
        output.say_verbatim(text)
    return 0
