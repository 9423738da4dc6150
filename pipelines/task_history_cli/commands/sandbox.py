"""``task-history sandbox SYSTEM``: a vendor's API as a local server."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping

from ..console import output
from ..sandbox import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    serve.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    serve.run(args, _advise)
    return 0


def _advise(connection: Mapping[str, str]) -> None:
    """The commands to type next in another terminal."""
    prefix = f"SOURCES__TASK_HISTORY__{connection['system'].upper()}__"
    output.tell("In another terminal:")
    for name, value in connection.items():
        if name == "base_url" or not (name == "system" or name.endswith("_url")):
            output.tell(f"export {prefix}{name.upper()}={shlex.quote(str(value))}")
    output.tell(f"task-history sync {connection['system']}")
    output.tell("Ctrl-C ends the server.")
