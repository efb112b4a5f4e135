"""An HTTP server on 127.0.0.1 that keeps what it receives: the end of alerts and pings in tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Received(NamedTuple):
    """One request: method, path with its query, and body."""

    method: str
    path: str
    body: str


@dataclass
class Receiver:
    """What was received so far. Answers have `status`, and wait until `held` is set."""

    port: int
    requests: list[Received] = field(default_factory=list)
    status: int = 200
    held: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The paths of the requests, without their queries."""
        return [request.path.partition("?")[0] for request in self.requests]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive requests for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def _receive(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            receiver.requests.append(Received(self.command, self.path, body))
            receiver.held.wait()
            try:
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the client waited for no answer

        do_GET = do_POST = do_HEAD = _receive  # noqa: N815 - names of the library

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_port)
    receiver.held.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
