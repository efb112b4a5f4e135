"""A server of map tiles on loopback, for the tests of the map in a browser and for screenshots."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mOs+A8AAgUBgQvw1B0AAAAASUVORK5CYII="
)


def map_settings(tiles: str) -> dict[str, Any]:
    """Return the settings of a service that has its map tiles from this address."""
    return {
        "map_tiles_url": tiles + "/{z}/{x}/{y}.png",
        "map_tiles_attribution": "© Tuiles, https://tiles.example",
    }


@contextmanager
def tiles() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve one pixel for each tile; give the address, and the requests with their Referer."""
    seen: list[tuple[str, str | None]] = []

    class Tile(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Referer")))
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(PIXEL)))
            self.end_headers()
            self.wfile.write(PIXEL)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
