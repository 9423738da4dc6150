"""A proxy on loopback that ends each connection after a random number of bytes, in either direction."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from types import TracebackType


class CuttingProxy:
    """Passes connections on to a port; each ends amid what is sent, after at most ``most_bytes``."""

    def __init__(self, port: int, *, seed: int, most_bytes: int) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._most_bytes = most_bytes
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.cuts = 0
        """Connections that were ended."""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def url(self, url: str) -> str:
        """The address of the server, by way of this proxy."""
        return url.replace(f":{self._port}/", f":{self.port}/")

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                left = [self._random.randrange(self._most_bytes)]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, sink, left), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, left: list[int]) -> None:
        """Passes bytes on until both directions together had as many as are ``left``."""
        with suppress(OSError):
            while data := source.recv(65_536):
                passed, left[0] = data[: max(0, left[0])], left[0] - len(data)
                sink.sendall(passed)
                if left[0] <= 0:
                    self.cuts += 1
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
