"""``task-history sandbox SYSTEM``: a vendor's API as a local server."""

from __future__ import annotations

import argparse

from sources.task_history.sandbox import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    serve.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return serve.run(args)
