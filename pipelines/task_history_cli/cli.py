"""The ``task-history`` command: which words it takes, and how it ends."""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import os
import platform
import sys
import textwrap
import traceback
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from task_history.core import files
from task_history.core.errors import Stopped, TaskHistoryError, UsageError
from task_history.core.escapes import visible
from task_history.core.exit_codes import ExitCode

from .console import output

COMMANDS = {
    "demo": "sandbox → sync → DuckDB → what you would ask; no key needed",
    "systems": "the systems, their tables and their settings",
    "check": "is the key right, and what does the API hold; at most 3 requests",
    "sync": "bring the warehouse up to date; run it as often as you like",
    "plan": "what a backfill of a month or range would cost; at most 5 requests",
    "backfill": "load a month or range of the past, once; killed, it goes on where it was",
    "audit": "compare the warehouse with the API; --repair mends what differs",
    "status": "what is loaded, what is left, what it cost",
    "views": "the views that analysts ask: make them anew, print their SQL, check them",
    "explore": "the views as a marimo app in the browser, or a notebook of your own",
    "report": "one HTML file that says how a month went; opens offline",
    "why": "which window, run and request brought an execution, or why it is not there",
    "replay": "run executions again at the vendor; shows what it would do until you say --yes",
    "answer": "answer a run that waits for a person; shows what it would send until you say --yes",
    "sandbox": "a vendor's API as a local server, for trying and testing",
}
EXITS = textwrap.fill(f"exit codes: {', '.join(f'{code:d} {code.meaning}' for code in ExitCode)}", width=100)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    with output.escaped_streams():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    # To look for garbage while modules are imported takes a tenth of that time, and there is none.
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
            code = _module(args.command).run(args)
    except TaskHistoryError as error:
        return _failed(args, error.exit_code, str(error))
    except Stopped as stopped:
        return _failed(args, ExitCode.DONE, f"stopped: {stopped.reason}")
    except KeyboardInterrupt:
        return _failed(args, ExitCode.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the last one to know
        if args.log_level == "debug":
            output.tell(*traceback.format_exc().splitlines())
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _failed(
            args,
            ExitCode.UNEXPECTED,
            f"Unexpected {type(error).__name__} in {where.name}: {error}. This is a fault of task-history; what was "
            "committed is safe. Run again with --log-level debug and report what it prints.",
        )
    return int(code)


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """What the words say. A command that takes ``ids`` finds them before, between and after its options."""
    args, rest = parser.parse_known_args(words)
    if "ids" in args:
        args.ids = [*args.ids, *(word for word in rest if not word.startswith("-"))]
        rest = [word for word in rest if word.startswith("-")]
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
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
    """Says what is wrong with the words in the form of all other lines."""

    def error(self, message: str) -> NoReturn:
        if output.is_json():
            output.tell(f"{self.prog}: {message}", level=logging.ERROR, exit_code=UsageError.exit_code)
            self.exit(UsageError.exit_code)
        super().error(visible(message))


class _Version(argparse.Action):
    """Prints the version of the installed distribution and of what it runs on."""

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
    """Whether lines on stderr shall be JSON: known before the words are understood."""
    return "--log-format=json" in words or ("--log-format", "json") in pairwise(words)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, nothing else there"
    )
    shared.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="form of the lines on stderr"
    )
    shared.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="which lines"
    )
    parser = _Parser(
        prog="task-history",
        description="Sync workflow task history from vendor APIs into a warehouse.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            parents=[shared],
            epilog=EXITS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Only the module of the command that is called: the others need what takes long to import.
        if name in words:
            _module(name).add_arguments(command)
    return parser


def _module(command: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"{__package__}.commands.{command}")


if __name__ == "__main__":
    sys.exit(main())
