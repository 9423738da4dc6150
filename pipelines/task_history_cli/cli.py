"""The ``task-history`` command: its arguments, and its exit codes."""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

from task_history.core import files, folders
from task_history.core.exit_codes import ExitCode

from .console import output
from .console.failures import described
from .console.parser import Parser, Version, WrongArguments, parsed

COMMANDS = {
    "demo": "try it without a key: sync a sandbox into DuckDB and query it",
    "init": "ask for a system, its key and the warehouse, write .dlt/ and check it",
    "systems": "list the supported systems, their tables and their settings",
    "check": "check the credentials and count executions; about 3 requests",
    "sync": "load everything new since the last sync",
    "plan": "estimate the cost of a backfill; at most 5 requests",
    "backfill": "load a past month or range; resumes if killed",
    "audit": "compare the warehouse with the API; --repair repairs differences",
    "status": "show what is loaded, what is left and the budget used",
    "views": "re-create the analyst views, print their SQL, or check them",
    "explore": "open the views in a marimo app or a notebook of your own",
    "report": "write a report on a month, a week or any days: one HTML file, PDF or CSV",
    "why": "explain where an execution came from, or why it is missing",
    "replay": "rerun executions at the vendor; a dry run without --yes",
    "answer": "answer a run that waits for a person; a dry run without --yes",
    "forget": "erase what is stored of a person for good; a dry run without --yes",
    "fleet": "list, sync or show all configured accounts of all systems at once",
    "sandbox": "serve a fake vendor API on this machine, for tests",
    "completion": "print what makes a shell complete commands and options",
}
EXIT_CODES = "\n".join(["exit codes:", *(f"  {code:<5d}{code.meaning}" for code in ExitCode)])


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
    if "_ARGCOMPLETE" in os.environ:
        from .console.completion import complete

        complete(lambda typed: parsers(typed)[0])
    parser, commands = parsers(words)
    try:
        args = parsed(words, parser, commands)
    except WrongArguments as error:
        return _refused(error, is_json="--json" in words)
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


def _refused(error: WrongArguments, *, is_json: bool) -> int:
    """Reports wrong arguments with the usage of the command."""
    text = f"{error} See {error.prog} --help."
    if is_json:
        command = error.prog.partition(" ")[2] or None
        output.emit({"command": command, "exit_code": error.exit_code, "error": text})
    usage = [] if output.is_json() else error.usage.splitlines()
    output.tell(*usage, f"{error.prog}: {text}", level=logging.ERROR, exit_code=error.exit_code)
    return error.exit_code


def _failed(args: argparse.Namespace, code: int, text: str) -> int:
    if args.json:
        output.emit({"command": args.command, "exit_code": code, "error": text})
    if code:
        output.tell(f"task-history {args.command}: {text}", level=logging.ERROR, exit_code=code)
    else:
        output.tell(text)
    return code


def _wants_json(words: Sequence[str]) -> bool:
    """Whether lines on stderr shall be JSON; looked up before the arguments are parsed."""
    return "--log-format=json" in words or ("--log-format", "json") in pairwise(words)


def parsers(words: Sequence[str]) -> tuple[Parser, Mapping[str, Parser]]:
    """The parser of all arguments, and those of the commands; of these only the one called has its arguments."""
    shared = Parser(add_help=False)
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
    parser = Parser(
        prog="task-history",
        description="Sync workflow task history from vendor APIs into a warehouse.\n"
        "See task-history COMMAND --help for the options of a command.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=Version, help="print the version and exit")
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
    return parser, commands.choices


def _module(command: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"{__package__}.commands.{command}")


if __name__ == "__main__":
    sys.exit(main())
