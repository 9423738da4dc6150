"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import math

from task_history.core.models import Scope
from task_history.settings import Settings
from task_history.systems import names


def add_system(parser: argparse.ArgumentParser) -> None:
    """The system, and which account of it."""
    parser.add_argument("system", metavar="SYSTEM", help=f"one of {', '.join(names())}")
    parser.add_argument("--instance", metavar="NAME", help="a second account of the same system")


def add_warehouse(parser: argparse.ArgumentParser) -> None:
    """Where the tables are."""
    parser.add_argument(
        "--destination",
        metavar="NAME",
        help="the warehouse: duckdb (default), bigquery, or another SQL destination of dlt",
    )


def add_details(parser: argparse.ArgumentParser) -> None:
    """Whose details are wanted, where that is not what the settings say."""
    for name in ("steps", "payloads"):
        parser.add_argument(
            f"--{name}",
            choices=("all", "failed", "none"),
            help=f"whose {name}; as the setting {name} if not given",
        )


def scope(args: argparse.Namespace, settings: Settings) -> Scope:
    """Whose details are wanted; the oldest first, which are the next that the vendor purges."""
    return Scope(
        args.steps or settings.values.steps, args.payloads or settings.values.payloads, first="oldest"
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """When a run ends although work is left."""
    parser.add_argument(
        "--max-requests",
        type=whole_number,
        metavar="N",
        help="stop after that many requests; go on with the next run",
    )
    parser.add_argument(
        "--max-minutes",
        type=_minutes,
        metavar="M",
        help="stop after that many minutes; go on with the next run",
    )


def whole_number(text: str) -> int:
    """A number of 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{text} is no whole number of 0 or more")
    return int(text)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of minutes")
    return value
