"""``task-history explore``: a marimo app over the views, in the browser; a notebook of your own with ``--edit``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from task_history.core import files
from task_history.core.errors import ConfigurationError, UsageError

from ..console import arguments, output
from ..runtime import target as destination
from ..runtime import views as viewing

APP = Path(__file__).parents[1] / "explore" / "app.py"
ADVICE = (
    "task-history explore opens a marimo app, and {missing} is not installed. Install it with: "
    "pip install 'task-history[explore]', or: pip install marimo altair"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.of_warehouse(parser)
    parser.add_argument(
        "--port", type=arguments.whole, default=2718, metavar="P", help="on 127.0.0.1 (default 2718)"
    )
    parser.add_argument("--headless", action="store_true", help="open no browser")
    parser.add_argument(
        "--edit", type=Path, metavar="FILE", help="copy the app to that .py file and open it as a notebook"
    )


def run(args: argparse.Namespace) -> int:
    missing = [name for name in ("marimo", "altair") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(ADVICE.format(missing=missing[0]))
    app = _app(args.edit)
    target = destination.find(args.destination, "task_history_views")
    with viewing.asked(target) as access:  # what is wrong with the warehouse is said here, not in a cell
        access.query("SELECT count(*) FROM task_history.questions")
    words = [sys.executable, "-m", "marimo", "edit" if args.edit else "run", str(app)]
    words += ["--host", "127.0.0.1", "--port", str(args.port), "--no-token"]
    if args.headless:
        words.append("--headless")
    output.tell(f"http://127.0.0.1:{args.port} over {target.place}; Ctrl-C ends it.")
    environment = {**os.environ, "MARIMO_SKIP_UPDATE_CHECK": "1"}
    if args.destination:
        environment["TASK_HISTORY_DESTINATION"] = args.destination
    root = str(APP.parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    try:
        return subprocess.run(words, env=environment, check=False).returncode  # noqa: S603 - our own words
    except KeyboardInterrupt:
        return 0


def _app(edit: Path | None) -> Path:
    """The app, or the copy that is to be edited; one that is there already is kept."""
    if edit is None:
        return APP
    if edit.suffix != ".py":
        raise UsageError(f"--edit {edit}: a marimo notebook is a .py file.")
    if not edit.exists():
        try:
            files.write_new(edit, APP.read_bytes())
        except OSError as error:
            raise UsageError(
                f"--edit {edit} cannot be written ({error.strerror}). Name another file."
            ) from None
    return edit
