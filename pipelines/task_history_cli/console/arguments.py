"""Command-line arguments that several commands share."""

from __future__ import annotations

import argparse
import math
import re
from datetime import timedelta

from task_history.core.models import Scope
from task_history.settings_reader import Settings
from task_history.systems import names


def add_system(parser: argparse.ArgumentParser) -> None:
    """Adds SYSTEM and --instance."""
    system = parser.add_argument("system", metavar="SYSTEM", help=f"one of {', '.join(names())}")
    # What argcomplete reads: https://kislyuk.github.io/argcomplete/#specifying-completers
    system.completer = lambda **_: names()  # type: ignore[attr-defined]
    parser.add_argument("--instance", metavar="NAME", help="another account of the same system, by its name")


def instance_option(instance: str | None) -> str:
    """What names the account on a command line, with a space before it; empty for the first account."""
    return f" --instance {instance}" if instance else ""


def add_warehouse(parser: argparse.ArgumentParser) -> None:
    """Adds --destination."""
    parser.add_argument(
        "--destination",
        metavar="NAME",
        help="warehouse: duckdb (default), bigquery, or another SQL destination of dlt",
    )


def add_details(parser: argparse.ArgumentParser) -> None:
    """Adds --steps and --payloads, which override the settings of those names."""
    for name, parents in (("steps", "executions"), ("payloads", "steps")):
        parser.add_argument(
            f"--{name}",
            choices=("all", "failed", "none"),
            help=f"load {name} of these {parents} (default: the setting {name})",
        )


def scope(args: argparse.Namespace, settings: Settings) -> Scope:
    """The details to load, by arguments or settings; oldest first, because the vendor purges those next."""
    return Scope(
        args.steps or settings.values.steps, args.payloads or settings.values.payloads, first="oldest"
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds --max-requests and --max-minutes."""
    parser.add_argument(
        "--max-requests",
        type=whole_number,
        metavar="N",
        help="stop after N requests; the next run continues",
    )
    parser.add_argument(
        "--max-minutes",
        type=_minutes,
        metavar="M",
        help="stop after M minutes; the next run continues",
    )


def add_fail_if_stale(parser: argparse.ArgumentParser) -> None:
    """Adds --fail-if-stale."""
    parser.add_argument(
        "--fail-if-stale",
        type=span,
        metavar="SPAN",
        help="exit with 11 where a dataset is further behind than that, or was never synced: 90m, 2h, 1d",
    )


def span(text: str) -> timedelta:
    """A span of time such as ``90m``, ``2h`` or ``1d``. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} must be a span such as 90m, 2h or 1d")
    return (
        int(match[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[match[2]]
    )


def whole_number(text: str) -> int:
    """The whole number ≥ 0 that ``text`` is; at most 18 digits. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{text} must be a whole number ≥ 0")
    return int(text)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} must be a number of minutes ≥ 0")
    return value
