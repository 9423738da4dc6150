"""The sandbox as a process: ``python -m task_history_cli.sandbox paragon --port 0 …``."""

from __future__ import annotations

import argparse

from task_history.core.errors import UsageError

from . import serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sandbox", description="A vendor's API as a local server.")
    serve.add_arguments(parser)
    try:
        serve.run(parser.parse_args())
    except UsageError as error:
        parser.error(str(error))
