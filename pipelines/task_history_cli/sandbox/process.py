"""A server as a child process."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from task_history.core import child_python

_PACKAGE = __name__.rpartition(".")[0]
_ROOT = Path(__file__).parents[len(_PACKAGE.split("."))]
"""Where this package is imported from."""


def start(words: list[str]) -> subprocess.Popen[str]:
    """The server with these words of its command line, as a process whose stdout is a pipe."""
    return subprocess.Popen(
        child_python.command(_PACKAGE, *words),
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env=child_python.environment(_ROOT),
    )


class SandboxProcess:
    """Runs the sandbox of a system as ``python -m … paragon`` with the options given as keywords.

    ``switch`` is a mapping of switches. Raises RuntimeError when the server does not start.
    """

    def __init__(
        self, system: str = "paragon", *, switch: dict[str, Any] | None = None, **options: Any
    ) -> None:
        words = [system, "--port", "0"]
        for name, value in options.items():
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
        for name, value in (switch or {}).items():
            words += ["--switch", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        self._process = start(words)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the sandbox did not start: exit code {self._process.wait()}")
        connection = json.loads(line)
        self.base_url: str = connection["base_url"]
        self.evil_url: str = connection["evil_url"]
        self.control_url: str = connection["control_url"]
        self.settings = {
            name: value
            for name, value in connection.items()
            if name == "base_url" or not (name == "system" or name.endswith("_url"))
        }
        """The settings with which the connector is let in."""
        self.project_id: str = connection.get("project_id", "")
        self.api_key: str = connection.get("api_key", "")

    def __enter__(self) -> SandboxProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process and waits for its end."""
        self._process.terminate()
        self._process.wait(timeout=20)

    def get(self, name: str) -> Any:
        with urllib.request.urlopen(f"{self.control_url}/{name}", timeout=60) as answer:
            return json.load(answer)

    def post(self, name: str, data: Any) -> Any:
        request = urllib.request.Request(
            f"{self.control_url}/{name}", json.dumps(data).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def set_clock(self, at: str, *, freeze: bool | None = None) -> None:
        self.post("clock", {"at": at, "freeze": freeze})

    def advance(self, seconds: float) -> None:
        self.post("clock", {"advance_s": seconds})

    def switches(self, **values: Any) -> None:
        self.post("switches", values)

    def faults(self, *rules: dict[str, Any]) -> None:
        """Replaces the rules."""
        self.post("faults", list(rules))

    def limit(self, requests: int, period_s: float) -> None:
        self.post("limit", {"requests": requests, "period_s": period_s})

    def counters(self) -> dict[str, Any]:
        counters: dict[str, Any] = self.get("counters")
        return counters

    def requests(self, limit: int = 100_000) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = self.get(f"requests?limit={limit}")
        return requests

    def replays(self) -> dict[str, Any]:
        """How often a replay of each id was asked for, and which ids began for it."""
        found: dict[str, Any] = self.get("replays")
        return found

    def reset_counters(self) -> None:
        self.post("reset_counters", {})

    def truth(self, *, steps: bool = False) -> list[dict[str, Any]]:
        """What a perfect copy holds now."""
        with urllib.request.urlopen(f"{self.control_url}/truth?steps={int(steps)}", timeout=300) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def secrets(self, least: int = 200) -> list[str]:
        found: list[str] = self.get(f"secrets?least={least}")
        return found
