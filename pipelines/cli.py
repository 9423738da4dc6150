"""The ``task-history`` command: which words it takes, and how it ends."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence

from sources.task_history.errors import Stopped, TaskHistoryError

from . import output

COMMANDS = {
    "demo": "sandbox → sync → DuckDB → what you would ask; no key needed",
    "systems": "the systems, their tables and their settings",
    "check": "is the key right, and what does the API hold; at most 3 requests",
    "sync": "bring the warehouse up to date; run it as often as you like",
    "status": "what is loaded, what is left, what it cost",
    "replay": "run executions again at the vendor; shows what it would do until you say --yes",
    "sandbox": "a vendor's API as a local server, for trying and testing",
}
EXITS = """exit codes: 0 done (also when stopped at a limit with work left), 1 unexpected, 2 usage,
3 configuration or credentials, 4 vendor or warehouse unavailable, 5 another run is at work"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(words)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 2
    output.start_logging(args.log_level, args.log_format)
    try:
        code = _module(args.command).run(args)
    except TaskHistoryError as error:
        return _failed(args, error.exit_code, str(error))
    except Stopped as stopped:
        return _failed(args, 0, f"stopped: {stopped.reason}")
    except KeyboardInterrupt:
        return _failed(args, 130, "interrupted")
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the last one to know
        if args.log_level == "debug":
            output.tell(traceback.format_exc())
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _failed(
            args,
            1,
            f"Unexpected {type(error).__name__} in {where.name}: {error}. This is a fault of task-history; what was "
            "committed is safe. Run again with --log-level debug and report what it prints.",
        )
    return int(code)


def _failed(args: argparse.Namespace, code: int, text: str) -> int:
    if args.json:
        output.emit({"command": args.command, "exit_code": code, "error": text})
    output.tell(f"task-history {args.command}: {text}" if code else text)
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, nothing else there"
    )
    shared.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="form of the lines on stderr"
    )
    shared.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="which lines"
    )
    parser = argparse.ArgumentParser(
        prog="task-history",
        description="Sync workflow task history from vendor APIs into a warehouse.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    return importlib.import_module(f"pipelines.{'systems_list' if command == 'systems' else command}")


if __name__ == "__main__":
    sys.exit(main())
