"""The sandbox as a process: ``python -m task_history_cli.sandbox paragon --port 0 …``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from task_history.core.errors import UsageError

from . import serve


def main(words: Sequence[str]) -> None:
    """Serves with the options in ``words``; raises SystemExit 2 where they are wrong."""
    parser = argparse.ArgumentParser(prog="sandbox", description="A vendor's API as a local server.")
    serve.add_arguments(parser)
    try:
        serve.run(parser.parse_args(words))
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
