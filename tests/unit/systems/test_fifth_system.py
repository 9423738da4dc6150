"""A system that is added as one file: the documentation's own example, against a server that does what it says."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from task_history import systems
from tests.support.place import ROOT, Place

EXAMPLE = r"`systems/acme/__init__\.py`.*?```python\n(.*?)```"


class Acme(ThreadingHTTPServer):
    """Jobs, oldest first, of which the newest runs on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.jobs = [
            {
                "id": f"j{at}",
                "recipe": "r",
                "status": "done",
                "beganAt": f"2026-03-{1 + at // 24:02d}T{at % 24:02d}:00:00Z",
            }
            for at in range(120)
        ]
        self.jobs[-1]["status"] = "running"
        self.asked: Counter[str] = Counter()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        parts = urlsplit(self.path)
        server.asked[parts.path] += 1
        if self.headers["X-Key"] != "acme-key-123456":
            self._say(401, {})
        elif parts.path == "/jobs":
            query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
            self._say(200, {"jobs": server.jobs[query["skip"] : query["skip"] + query["take"]]})
        else:
            job = next(job for job in server.jobs if job["id"] == parts.path.rsplit("/", 1)[1])
            steps = [{"name": "mix", "status": job["status"], "output": {"password": "hunter2-acme"}}]
            self._say(200, {**job, "steps": steps})

    def _say(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Acme]:
    """The server, and the module of the page where systems are found."""
    found = re.search(EXAMPLE, (ROOT / "docs" / "how-to" / "add-a-system.md").read_text("utf-8"), re.DOTALL)
    assert found
    package = tmp_path / "more" / "acme"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(found[1])
    systems.__path__.append(str(tmp_path / "more"))
    systems.names.cache_clear()
    server = Acme()
    yield server
    server.shutdown()
    server.server_close()
    systems.__path__.pop()
    systems.names.cache_clear()


def test_the_example_of_the_page_keeps_the_promises(tmp_path: Path, acme: Acme) -> None:
    """One file, and jobs are complete, once, settled, their details read once, and secrets taken out."""
    place = Place(tmp_path, None, system="acme")
    place.set(base_url=f"http://127.0.0.1:{acme.server_address[1]}", api_key="acme-key-123456")
    # The list, and the details of the newest.
    assert json.loads(place.run("check", "acme", "--json").stdout)["requests"] == 2
    acme.asked.clear()
    first = place.sync()
    assert (first["complete"], first["left"]["open_executions"]) == (True, 1)
    acme.jobs[-1]["status"] = "broken"
    assert place.sync()["settled"] == 1
    place.sync()
    assert place.query("SELECT count(*), count(DISTINCT id), sum(is_open::INT) FROM acme.jobs") == [
        (120, 120, 0)
    ]
    assert place.query(
        'SELECT count(*) FROM acme.job_steps WHERE output = \'{"password":"[redacted]"}\''
    ) == [(120,)]
    assert {number for path, number in acme.asked.items() if path not in ("/jobs", "/jobs/j119")} == {1}
    place.set(api_key="wrong-wrong-1")
    assert "Acme shows under Keys" in place.run("check", "acme", expect=3).stderr
    found = json.loads(place.run("status", "acme", "--json").stdout)["systems"][0]
    assert found["read_whole"] == ["jobs"]
