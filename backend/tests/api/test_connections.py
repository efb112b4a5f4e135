"""Clients that send no request, too much, or never read: their connection ends, others continue."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from backend.api.connections import BACKLOG, BoundedProtocol, connections_within
from backend.tests.support.waiting import until

LARGE = 40_000_000  # more than the system buffers between two of its own sockets


started: list[str] = []  # the paths that the last server began to answer


async def application(scope: Scope, _receive: Receive, send: Send) -> None:
    started.append(scope["path"])
    body = b"x" * LARGE if scope["path"] == "/large" else b"fine"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Hasty(BoundedProtocol):
    """The protocol with limits that a test reaches."""

    made: ClassVar[list[BoundedProtocol]] = []  # by the last server

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.made.append(self)

    most_connections = 20
    request_seconds = 0.2
    read_seconds = 0.2


class Patient(Hasty):
    """The protocol without time limits: only number and size end a connection."""

    request_seconds = read_seconds = 600


@asynccontextmanager
async def serving(protocol: type[BoundedProtocol]) -> AsyncIterator[int]:
    Hasty.made.clear()
    started.clear()
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=protocol, log_config=None, lifespan="off", proxy_headers=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(port: int, path: str = "/") -> bytes:
    async with connected(port) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_many_idle_clients_do_not_block_another_client() -> None:
    async with serving(Patient) as port, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connected(port)) for _ in range(100)]
        assert b"fine" in await ask(port)
        ended = [reader for reader, _ in silent[:80]]
        assert await asyncio.gather(*map(read_to_end, ended)) == [b""] * 80, (
            "those that are idle longest are closed"
        )


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nA"])
async def test_the_connection_of_an_endless_request_is_closed(sent: bytes) -> None:
    async with serving(Hasty) as port, connected(port) as (reader, writer):
        writer.write(sent)
        assert await read_to_end(reader) == b""


async def test_a_second_request_has_the_same_time_limit() -> None:
    async with serving(Hasty) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo")
        assert (await read_to_end(reader)).count(b"fine") == 1


async def test_empty_lines_after_an_answer_do_not_keep_a_connection_open() -> None:
    async with serving(Hasty) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"fine" in await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(b"\r\n")
        assert await read_to_end(reader) == b""


async def test_a_request_waits_until_the_answer_before_it_is_read() -> None:
    async with serving(Patient) as port, connected(port) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        next_one = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" + next_one)
        await until(lambda: "/large" in started)
        assert b"fine" in await ask(port)
        assert started == ["/large", "/"]
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert b"fine" in (await read_to_end(reader))[LARGE:]
    assert started == ["/large", "/", "/next"]


@pytest.mark.parametrize("requests", [2, 3])
async def test_a_request_of_a_client_that_is_gone_is_not_answered(requests: int) -> None:
    async with serving(Hasty) as port:
        with capture_logs() as lines:
            async with connected(port) as (reader, writer):
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * requests)
                await until(lambda: Hasty.made and Hasty.made[0].transport.is_closing())
                writer.transport.resume_reading()  # type: ignore[attr-defined]
                await read_to_end(reader)
            assert b"fine" in await ask(port)
        assert started == ["/large", "/"]
        assert [line for line in lines if line["log_level"] == "error"] == []


ENDLESS = [b"GET / HTTP/1.1\r\nA: ", b"GET /", b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n"]


@pytest.mark.parametrize("start", ENDLESS)
async def test_endless_headers_or_bodies_are_refused_before_they_fill_the_memory(start: bytes) -> None:
    async with serving(Patient) as port:
        async with connected(port) as (_, writer):
            writer.write(start)
            sent = 0
            with suppress(ConnectionError):
                while sent < 100_000_000:
                    writer.write(b"a" * 65_536)
                    await writer.drain()
                    sent += 65_536
        assert sent < 100_000_000, "the server read all of it"
        assert b"fine" in await ask(port)


async def test_the_connection_of_a_client_that_does_not_read_is_closed() -> None:
    async with serving(Hasty) as port, connected(port) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: Hasty.made and Hasty.made[0].transport.is_closing())
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await read_to_end(reader)) < LARGE


async def test_a_client_that_reads_gets_all_of_a_large_answer() -> None:
    async with serving(Patient) as port:
        answer = await ask(port, "/large")
    assert answer.count(b"x") == LARGE


LITTLE = """
import resource
from backend.api.connections import BoundedProtocol, allow_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
allow_files()
print(BoundedProtocol.most_connections)
"""


def test_with_a_low_limit_of_open_files_fewer_clients_are_connected() -> None:
    done = subprocess.run([sys.executable, "-c", LITTLE], capture_output=True, text=True, check=True)
    most = int(done.stdout.split()[-1])
    assert most == connections_within(256) == 64
    assert 256 - most - BACKLOG > 90, "files remain for collections"
