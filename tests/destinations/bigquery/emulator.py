"""The emulator as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-bigquery" / "bin" / "python"
PROJECT = "lab"
STARTS_WITHIN_S = 60
WHY_NOT = "no Python of .venv-bigquery: make .venv-bigquery/ready makes it where a Python 3.13 is"


def is_there() -> bool:
    """Whether there is an environment that runs the emulator."""
    return PYTHON.exists() and (PYTHON.parents[1] / "ready").exists()


class Emulator:
    """BigQuery's REST API on a free port of loopback, over an empty folder.

    Raises RuntimeError when it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "emulator.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        home = folder / "home"
        home.mkdir(parents=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PYTHON,
                    "-m",
                    "tests.destinations.bigquery.launcher",
                    "--project",
                    PROJECT,
                    "--data-dir",
                    folder / "data",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**environment, "HOME": str(home)},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail(f"exit code {self._process.wait()}")
        self.url = f"http://127.0.0.1:{json.loads(line)['port']}"
        self._wait()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it; gives back when it is over."""
        self._process.kill()  # what it holds is thrown away with its folder
        self._process.wait(timeout=20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _wait(self) -> None:
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/bigquery/v2/projects", timeout=STARTS_WITHIN_S):
                    return
            except urllib.error.HTTPError as error:
                self._fail(f"its first answer is {error.code}")
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._fail(str(error))
                time.sleep(0.05)

    def _fail(self, why: str) -> None:
        self._process.kill()
        raise RuntimeError(f"the emulator did not start: {why}\n{self._log.read_text()[-3000:]}")
