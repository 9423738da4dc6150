"""Headless Chromium, driven by its DevTools protocol: pages as people see them, in any size, colours and time zone.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.sync.client import connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_ENABLED = ("Page", "Runtime", "Network", "Log")


class Browser:
    """A browser with one page. Skips the test where there is no Chromium."""

    def __init__(self, folder: Path) -> None:
        if PROGRAM is None:
            pytest.skip("there is no Chromium")
        self._process = subprocess.Popen(
            [
                PROGRAM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder / 'profile'}",
                "about:blank",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        stderr = self._process.stderr
        assert stderr is not None
        address = next(match[0] for line in stderr if (match := re.search(r"ws://\S+", line)))
        threading.Thread(target=lambda: [None for _ in stderr], daemon=True).start()
        self._ends = contextlib.ExitStack()
        self._socket = self._ends.enter_context(connect(address, max_size=None))
        self._calls = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What the page reported: console messages, errors, requests."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in _ENABLED:
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()
        self._process.terminate()
        self._process.wait(timeout=60)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=120))
            if answer.get("id") == self._calls:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, address: str, until: str = "true") -> None:
        """Loads a page and waits until the JavaScript expression is true in it."""
        self.events.clear()
        self.call("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && ({until})")

    def wait(self, until: str, seconds: float = 120) -> None:
        """Waits until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(until):
            assert time.monotonic() < deadline, f"never true: {until}\n{self.complaints}"
            time.sleep(0.1)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, or of its promise."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def colours(self, scheme: str, media: str = "") -> None:
        """Light or dark, for the screen or for print."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def zone(self, name: str) -> None:
        self.call("Emulation.setTimezoneOverride", timezoneId=name)

    def pdf(self) -> bytes:
        """The page as it is printed, on the paper that it asks for."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def picture(self, file: Path) -> None:
        """A picture of the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))

    @property
    def complaints(self) -> list[str]:
        """Console messages and errors of the page."""
        kinds = ("Runtime.consoleAPICalled", "Log.entryAdded", "Runtime.exceptionThrown")
        return [json.dumps(event) for event in self.events if event.get("method") in kinds]

    @property
    def requests(self) -> list[str]:
        """The addresses that the page loaded or connected to."""
        found = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        sockets = [
            event["params"]["url"]
            for event in self.events
            if event.get("method") == "Network.webSocketCreated"
        ]
        return found + sockets
