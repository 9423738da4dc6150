"""``task-history init [SYSTEM]``: asks for a system, its key and the warehouse, writes ``.dlt/``, then checks it."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from task_history.client.urls import base_address
from task_history.core.errors import UsageError
from task_history.settings_accounts import Account
from task_history.settings_reader import build, check_names, load, settings_of
from task_history.settings_sources import config_sources
from task_history.systems import find, names
from task_history.systems.common_settings import Setting

from ..console import arguments, output
from ..console.invocation import called_as
from ..runtime.settings_files import DestinationSettings, write_settings
from .check import check_all, lines

_PROMPT = "> "
_WAREHOUSES = ("duckdb", "bigquery", "postgres")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help=f"one of {', '.join(names())}")
    parser.add_argument("--instance", metavar="NAME", help="another account of the same system, by its name")
    arguments.add_warehouse(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting that is no secret, such as project_id=…; may be given several times",
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=VARIABLE",
        help="a secret, such as api_key=PARAGON_KEY: the environment variable that holds it",
    )
    parser.add_argument("--no-check", action="store_true", help="write the settings and send nothing")


def run(args: argparse.Namespace) -> int:
    is_asking = sys.stdin.isatty() and not args.json
    if args.system is None and not is_asking:
        raise UsageError(f"Name the system: {', '.join(names())}.")
    system = find(args.system or _asked("Which system", choices=names()))
    account = Account(system, args.instance)
    declared = settings_of(system)
    given = _given(args, declared)
    current = account.values(config_sources(os.environ))
    if is_asking:
        for setting in _questions(declared, given, current):
            value = _asked_secret(setting) if setting.is_secret else _asked(setting.text, setting=setting)
            if value:
                given[setting.name] = value
    destination = args.destination or (
        _asked("Which warehouse", choices=_WAREHOUSES, default="duckdb") if is_asking else "duckdb"
    )
    # Whatever is wrong is an error before a file is written.
    kept = {name: value for name, (value, _) in current.items() if name in declared}
    built = build(system, kept | given, instance=args.instance)
    values = built.values
    check_names(built, config_sources(os.environ), place="the call")
    base_address(values.base_url)
    warehouse = DestinationSettings(destination, _credentials(destination, is_asking=is_asking))
    written = write_settings(
        _folder(), account, [(declared[name], getattr(values, name)) for name in given], warehouse
    )
    settings = load(system.name, instance=args.instance)
    output.keep_secret(settings.secrets)
    overridden = [
        f"{place} overrides the {name} that was written: unset it to use the file."
        for name, (_, place) in account.values(config_sources(os.environ)).items()
        if name in given and place.startswith("the environment variable")
    ]
    result: dict[str, Any] = {
        "command": "init",
        "system": system.name,
        "instance": args.instance,
        "destination": destination,
        "files": [str(path) for path in written],
        "warnings": overridden,
        "check": None,
    }
    if not args.json:
        output.say(*(f"Written: {path}" for path in written), *overridden)
    if not args.no_check:
        result["check"] = check_all(settings, destination)
    if args.json:
        output.emit(result)
        return 0
    if result["check"]:
        output.say(*result["check"]["warehouse"], *lines(result["check"]))
    words = [called_as(), "sync", system.name + arguments.instance_option(args.instance)]
    words += ["--destination", destination] if destination != "duckdb" else []
    output.say("Next:", f"  {' '.join(words)}")
    return 0


def _folder() -> Path:
    return Path(os.environ.get("DLT_PROJECT_DIR") or ".") / ".dlt"


def _given(args: argparse.Namespace, declared: Mapping[str, Setting]) -> dict[str, Any]:
    """The settings that options give. Raises UsageError."""
    given: dict[str, Any] = {}
    for option, pairs, held in (("set", args.set, "VALUE"), ("secret", args.secret, "VARIABLE")):
        for pair in pairs:
            name, equals, value = pair.partition("=")
            setting = declared.get(name)
            if not equals or setting is None:
                raise UsageError(
                    f"--{option} {name}: NAME={held} is expected, and NAME is one of {', '.join(sorted(declared))}."
                )
            if setting.is_secret != (option == "secret"):
                how = (
                    f"it is a secret, which a shell would keep in its history: --secret {name}=VARIABLE names the "
                    "environment variable that holds it"
                    if setting.is_secret
                    else f"it is no secret: --set {name}=VALUE"
                )
                raise UsageError(f"--{option} {name}: {how}.")
            if setting.is_secret:
                if not os.environ.get(value):
                    raise UsageError(
                        f"--secret {name}: there is no environment variable {value}, or it is empty."
                    )
                value = os.environ[value]
            given[name] = value
    return given


def _questions(
    declared: Mapping[str, Setting], given: Mapping[str, Any], current: Mapping[str, tuple[Any, str]]
) -> Iterator[Setting]:
    """The settings to ask for, which name the account or are its credentials, unless they are given or set already."""
    for setting in declared.values():
        names_account = setting.names_account and setting.default in (None, "", ())
        if not (setting.is_required or setting.is_credential or names_account):
            continue
        if setting.name in current and setting.name not in given:
            output.say(f"{setting.name} is set already (in {current[setting.name][1]}): change it there.")
        elif setting.name not in given:
            yield setting


def _asked(
    question: str, *, setting: Setting | None = None, choices: tuple[str, ...] = (), default: str = ""
) -> str:
    """The answer to a question on the terminal. Raises UsageError when the input ends."""
    label = f"{setting.name}: {question}" if setting else question
    hint = (
        f" ({', '.join(choices)})"
        if choices
        else ""
        if setting is None or setting.is_required
        else " Empty: not set."
    )
    while True:
        output.tell(f"{label}{hint}" + (f" [{default}]" if default else ""))
        sys.stderr.write(_PROMPT)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise UsageError("The input ended before all questions were answered. Nothing was written.")
        answer = line.strip() or default
        if choices and answer not in choices:
            output.tell(f"{answer or 'An empty answer'} is none of them.")
        elif setting is None or answer or not setting.is_required:
            return answer


def _asked_secret(setting: Setting) -> str:
    """A secret, which the terminal does not show. Raises UsageError when the input ends."""
    hint = "" if setting.is_required else " Empty: not set."
    while True:
        output.tell(f"{setting.name}: {setting.text}{hint} It is not shown.")
        try:
            answer = getpass.getpass(_PROMPT).strip()
        except EOFError:
            raise UsageError(
                "The input ended before all questions were answered. Nothing was written."
            ) from None
        if answer or not setting.is_required:
            return answer


def _credentials(destination: str, *, is_asking: bool) -> str | None:
    """The warehouse's credentials where a person has to give them: a connection string of Postgres.

    Raises:
        UsageError: the input ended.
    """
    if destination != "postgres" or not is_asking:
        return None
    output.tell(
        "Connection string, such as postgresql://user:password@host/database. It is not shown. Empty: set already."
    )
    try:
        return getpass.getpass(_PROMPT).strip() or None
    except EOFError:
        raise UsageError("The input ended before all questions were answered. Nothing was written.") from None
