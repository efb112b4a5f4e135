"""A server of raw bytes on 127.0.0.1, for what a mock transport cannot do: refuse, reset, hang, drip, cut.

Each request is answered by the next of the scripted answers; the last one stays. Everything ends with
the context, hanging answers too.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable
from typing import Self

from backend.collectors.base import Request

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

JSON = b'{"wind": 12.5}'


def sends(text: bytes) -> Answer:
    """Answer with exactly these bytes, then close."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()

    return answer


def says(body: bytes = JSON, status: str = "200 OK", **headers: str) -> Answer:
    """Answer with a status, a body and its length."""
    lines = {"Content-Length": str(len(body)), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return sends(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def says_gzipped(body: bytes) -> Answer:
    """Answer with a compressed body."""
    return says(gzip.compress(body), Content_Encoding="gzip")


def redirects(location: str, status: str = "302 Found") -> Answer:
    """Answer with a redirect."""
    return says(b"", status, Location=location)


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Send nothing until the client goes away."""
    await reader.read()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Start a body and break the connection with a RST."""
    await sends(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"half": ')(reader, writer)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body that never stalls and never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.005)


class Loopback:
    """The server; `heads` are the requests it saw, each as the text of its head."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.heads: list[str] = []
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.netloc = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"http://{self.netloc}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*(handler for handler in self._open.values() if handler))
        await self._server.wait_closed()

    def asks(self, path: str = "/data") -> Request:
        """Return a request for JSON from this server."""
        return Request(url=self.url + path, kind="json")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.current_task()
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await self.answers[min(len(self.heads), len(self.answers)) - 1](reader, writer)
        except (ConnectionError, EOFError):
            pass  # the client has seen enough
        finally:
            del self._open[writer]
            writer.close()


def unused_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
