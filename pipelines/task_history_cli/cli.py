"""The ``task-history`` command: its arguments, and its exit codes."""

from __future__ import annotations

import argparse
import difflib
import gc
import importlib
import logging
import os
import platform
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from task_history.core import files, folders
from task_history.core.errors import UsageError
from task_history.core.exit_codes import ExitCode

from .console import output
from .console.failures import described

COMMANDS = {
    "demo": "try it without a key: sync a sandbox into DuckDB and query it",
    "systems": "list the supported systems, their tables and their settings",
    "check": "check the credentials and count executions; about 3 requests",
    "sync": "load everything new since the last sync",
    "plan": "estimate the cost of a backfill; at most 5 requests",
    "backfill": "load a past month or range; resumes if killed",
    "audit": "compare the warehouse with the API; --repair repairs differences",
    "status": "show what is loaded, what is left and the budget used",
    "views": "re-create the analyst views, print their SQL, or check them",
    "explore": "open the views in a marimo app or a notebook of your own",
    "report": "write a report on one month as a single HTML file",
    "why": "explain where an execution came from, or why it is missing",
    "replay": "rerun executions at the vendor; a dry run without --yes",
    "answer": "answer a run that waits for a person; a dry run without --yes",
    "forget": "erase what is stored of a person for good; a dry run without --yes",
    "fleet": "list, sync or show all configured accounts of all systems at once",
    "sandbox": "serve a fake vendor API on this machine, for tests",
}
EXIT_CODES = "\n".join(["exit codes:", *(f"  {code:<5d}{code.meaning}" for code in ExitCode)])
_SURROGATE = re.compile("[\ud800-\udfff]")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    with output.escaped_streams():
        try:
            try:
                return _run(argv)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            return ExitCode.DONE
        except output.Unwritable as error:
            output.tell(f"task-history: {error}", level=logging.ERROR, exit_code=error.exit_code)
            return error.exit_code


def _run(argv: Sequence[str] | None) -> int:
    # Collecting garbage during imports takes a tenth of their time and frees nothing.
    gc.set_threshold(200_000)
    words = list(sys.argv[1:] if argv is None else argv)
    output.start_logging("info", "json" if _wants_json(words) else "text")
    parser = _parser(words)
    args = _parsed(parser, words)
    if args.command is None:
        parser.print_help()
        return ExitCode.USAGE
    output.start_logging(args.log_level, args.log_format)
    try:
        with files.with_umask(files.umask(os.environ)):
            folders.provide_home(os.environ)
            _hide_proxy_logins()
            code = _module(args.command).run(args)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - reported with its exit code
        return _failed(args, *described(error))
    return int(code)


def _hide_proxy_logins() -> None:
    """Proxies' passwords are printed nowhere, also where a library quotes the address of one."""
    if any(name.upper().endswith("_PROXY") and "@" in value for name, value in os.environ.items()):
        from task_history.client.proxy import encode_logins
        from task_history.redaction.own_secrets import OwnSecrets

        output.keep_secret(OwnSecrets(encode_logins(os.environ)))


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Parses the arguments; positional ``ids`` may stand before, between and after options."""
    command = words[0] if words else "--help"
    if not command.startswith("-") and command not in COMMANDS:
        similar = difflib.get_close_matches(command, COMMANDS, n=1)
        parser.error(f"unknown command {command!r}." + (f" Did you mean {similar[0]}?" if similar else ""))
    args, rest = parser.parse_known_args(words)
    if "ids" in args:
        args.ids = [*args.ids, *(word for word in rest if not word.startswith("-"))]
        rest = [word for word in rest if word.startswith("-")]
    for name, value in vars(args).items():
        # What the shell gave that is no UTF-8 stands as half a surrogate pair, which no warehouse and no vendor takes.
        if any(
            _SURROGATE.search(text)
            for text in (value if isinstance(value, list) else [value])
            if isinstance(text, str)
        ):
            parser.prog = " ".join(filter(None, (parser.prog, args.command)))
            parser.error(f"the value of {name} is no text in UTF-8.")
    if rest:
        parser.prog = " ".join(filter(None, (parser.prog, args.command)))
        parser.error(f"unknown argument{'s' * (len(rest) > 1)}: {' '.join(rest)}.")
    return args


def _failed(args: argparse.Namespace, code: int, text: str) -> int:
    if args.json:
        output.emit({"command": args.command, "exit_code": code, "error": text})
    if code:
        output.tell(f"task-history {args.command}: {text}", level=logging.ERROR, exit_code=code)
    else:
        output.tell(text)
    return code


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, or as JSON, with the command that prints the help."""

    def error(self, message: str) -> NoReturn:
        message = message.replace("the following arguments are required:", "missing argument:")
        text = f"{self.prog}: {message}{'' if message.endswith(('.', '?')) else '.'} See {self.prog} --help."
        output.tell(text, level=logging.ERROR, exit_code=UsageError.exit_code)
        self.exit(UsageError.exit_code)


class _Version(argparse.Action):
    """Prints the versions of task-history, dlt, DuckDB and Python, then exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        output.say(
            f"task-history {version('task-history')} (dlt {version('dlt')}, duckdb {version('duckdb')}, "
            f"Python {platform.python_version()})"
        )
        parser.exit()


def _wants_json(words: Sequence[str]) -> bool:
    """Whether lines on stderr shall be JSON; looked up before the arguments are parsed."""
    return "--log-format=json" in words or ("--log-format", "json") in pairwise(words)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout and nothing else"
    )
    shared.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="format of the log on stderr (default text)",
    )
    shared.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="lowest level to log (default info)",
    )
    parser = _Parser(
        prog="task-history",
        description="Sync workflow task history from vendor APIs into a warehouse.\n"
        "See task-history COMMAND --help for the options of a command.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            parents=[shared],
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Only the module of the command that is called is imported: the others import slow libraries.
        if name in words:
            _module(name).add_arguments(command)
    return parser


def _module(command: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"{__package__}.commands.{command}")


if __name__ == "__main__":
    sys.exit(main())
