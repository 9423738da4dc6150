"""A server between the command and a sandbox, which asks for something else or changes what is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import urlsplit

_KEPT = ("authorization", "content-type", "x-org-id")


class Between(ThreadingHTTPServer):
    """Hands each request on to ``base_url``; ``asks`` may change its target, ``answers`` the body that comes back."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, base_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(base_url).netloc
        self.url = f"http://127.0.0.1:{self.server_address[1]}{urlsplit(base_url).path}"
        self.asks: Callable[[str], str] = lambda target: target
        self.answers: Callable[[str, bytes], bytes] = lambda _, body: body
        self.speaks: Callable[[str, BinaryIO], bool] = lambda *_: False
        """Answers the request for that target in bytes of its own, if it says so; then the connection ends."""
        self.asked: list[str] = []
        """The targets of all requests, as they came."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Between:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if server.speaks(self.path, self.wfile):
            self.close_connection = True
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() in _KEPT}
        connection = HTTPConnection(server.behind, timeout=60)
        connection.request(self.command, server.asks(self.path), content, headers)
        answer = connection.getresponse()
        body = server.answers(self.path, answer.read())
        connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in ("content-type", "retry-after"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass
