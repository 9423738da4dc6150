"""``task-history explore``: a marimo app over the views, in the browser; a notebook of your own with ``--edit``."""

from __future__ import annotations

import argparse
import html
import http.client
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path

from task_history.client.proxy import VARIABLES as PROXY_VARIABLES
from task_history.core import child_python, files
from task_history.core.errors import ConfigurationError, UsageError
from task_history.core.folders import temporary_folder

from ..console import arguments, output
from ..explore.server import REFUSED
from ..runtime import views
from ..runtime.target import Target, find_target

SERVER = "task_history_cli.explore.server"
APP = Path(__file__).parents[1] / "explore" / "app.py"
ADVICE = (
    "task-history explore opens a marimo app, and {missing} is not installed. Install it with: "
    "pip install 'task-history[explore]', or: pip install marimo altair pandas"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_warehouse(parser)
    parser.add_argument(
        "--port", type=arguments.whole_number, default=2718, metavar="P", help="on 127.0.0.1 (default 2718)"
    )
    parser.add_argument("--headless", action="store_true", help="open no browser")
    parser.add_argument(
        "--edit", type=Path, metavar="FILE", help="copy the app to that .py file and open it as a notebook"
    )


def run(args: argparse.Namespace) -> int:
    missing = [name for name in ("marimo", "altair", "pandas") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(ADVICE.format(missing=missing[0]))
    app = _app(args.edit)
    target = find_target(args.destination, "task_history_views")
    with views.asked(target) as access:  # what is wrong with the warehouse is said here, not in a cell
        access.query("SELECT count(*) FROM task_history.questions")
    _check_port(args.port)
    token = secrets.token_urlsafe(32)
    address = f"http://127.0.0.1:{args.port}/?access_token={token}"
    command = ["edit" if args.edit else "run", "--headless", "--host", "127.0.0.1", "--port", str(args.port)]
    process = subprocess.Popen(  # noqa: S603 - our own words # nosec B603
        child_python.command(SERVER, "--quiet", "--yes", *command, str(app.absolute())),
        env=_environment(args.destination, target),
        stdin=subprocess.PIPE,
        text=True,
    )
    if threading.current_thread() is threading.main_thread():
        # The server ends with the command.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        assert process.stdin is not None  # noqa: S101 - as asked for
        with process.stdin as pipe:
            pipe.write(token)
        _wait_until_it_answers(process, args.port)
        output.tell(f"{address} over {target.place}; Ctrl-C ends it.")
        if args.headless:
            return process.wait()
        with temporary_folder() as folder:
            _open_browser(folder / "explore.html", address)
            return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(process)


def _check_port(port: int) -> None:
    """Raises UsageError when another process uses the port: it would receive the token."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"--port {port} cannot be had ({error.strerror}): choose another one.") from None


def _environment(destination_name: str | None, target: Target) -> dict[str, str]:
    """The environment of the app: the place of the warehouse, and no vendor's key."""
    variables = {
        "MARIMO_SKIP_UPDATE_CHECK": "1",
        "RUNTIME__DLTHUB_TELEMETRY": os.environ.get("RUNTIME__DLTHUB_TELEMETRY", "false"),
    }
    if destination_name:
        variables["TASK_HISTORY_DESTINATION"] = destination_name
    prefixes: tuple[str, ...] = ()
    if target.file is not None:
        variables["DESTINATION__DUCKDB__CREDENTIALS"] = str(target.file)
    else:
        # The app opens it by itself, with what dlt finds.
        prefixes = (
            "DESTINATION__",
            "TASK_HISTORY_VIEWS__DESTINATION__",
            "CREDENTIALS__",
            "GOOGLE_",
            "CLOUDSDK_",
        )
        prefixes += PROXY_VARIABLES
    return child_python.environment(APP.parents[2], prefixes=prefixes, **variables)


def _wait_until_it_answers(process: subprocess.Popen[str], port: int) -> None:
    """Returns once the server answers and refuses a foreign Host.

    Raises:
        ConfigurationError: it ended, or answers to any name: this version of marimo starts in another way.
    """
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/health", headers={"Host": f"rebound.invalid:{port}"})
            answer = connection.getresponse()
            body = answer.read(len(REFUSED) + 1)
        except OSError:
            time.sleep(0.1)
            continue
        finally:
            connection.close()
        if (answer.status, body) == (403, REFUSED):
            return
        raise ConfigurationError(
            "This version of marimo answers to any site's name, which would let web pages in. Install the one that "
            "task-history was made with: pip install 'task-history[explore]'."
        )
    raise ConfigurationError(f"marimo ended with exit code {process.returncode}: what it printed says why.")


def _open_browser(page: Path, address: str) -> None:
    """Opens the address through a file that only this user can read: a browser's arguments are visible to other users."""
    files.write_new(page, f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">\n'.encode())
    webbrowser.open(page.as_uri())


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _app(edit: Path | None) -> Path:
    """The app, or the copy to edit; an existing copy is kept."""
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
