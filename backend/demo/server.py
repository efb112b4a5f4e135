"""The stand-in process: every upstream on a port of its own, and a control port beside them.

It prints one line of JSON when it is ready (the settings that point at it, and "control") and ends on
SIGTERM, when its parent dies, or when the pipe that is its standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from email.utils import formatdate
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backend.core.sites import load_sites
from backend.demo import control
from backend.demo.arome import Archive
from backend.demo.faults import ErrorPage, Fault
from backend.demo.unreliable import Unreliable
from backend.demo.upstreams import arome_portal, arome_storage, open_meteo
from backend.demo.world import UPSTREAMS, World

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CHECK_PARENT_SECONDS = 0.5


class _Upstream(Protocol):
    """The part of a stand-in's module that describes its failures."""

    def error_page(self) -> ErrorPage: ...

    def spoil(self, fault: Fault, body: bytes, /) -> bytes: ...


def upstream_apps(
    world: World, *, full_grid: bool = False, files: Path | None = None
) -> dict[str, Unreliable]:
    """Return every upstream, wrapped for faults, by name; composed AROME files are stored in `files`."""
    archive = Archive(world, full_grid=full_grid, folder=files)
    # A stand-in is the module with the name of the upstream; these need more than the world.
    apps: dict[str, tuple[ASGIApp, _Upstream]] = {
        "arome": (arome_storage.app(world, archive), arome_storage),
        "meteofrance_api": (arome_portal.app(world, archive), arome_portal),
        "open_meteo": (open_meteo.app(world), open_meteo),
        "open_meteo_single_runs": (open_meteo.single_runs_app(world), open_meteo),
    }
    for name in UPSTREAMS:
        if name not in apps:
            module = import_module(f"backend.demo.upstreams.{name}")
            apps[name] = module.app(world), module
    return {
        name: Unreliable(name, app, world, upstream.error_page, upstream.spoil)
        for name in UPSTREAMS
        for app, upstream in [apps[name]]
    }


class _Dated:
    """An app whose answers have the simulated time in their `Date` header."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._world.now(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
            await send(message)

        await self._app(scope, receive, send_dated)


class _FarAway:
    """An app whose answers start `latency` seconds after the request."""

    def __init__(self, app: ASGIApp, latency: float) -> None:
        self._app = app
        self._latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self._latency)
        await self._app(scope, receive, send)


class _Protocol(HttpToolsProtocol):
    """Gives an app access to its connection: some faults are faults of the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class _Server(uvicorn.Server):
    """One of several servers in one loop. It leaves signals to the process and ends at once."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = self.force_exit = True
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


class _Port:
    """An app on a free port of loopback, which can be closed and opened again.

    Connections are refused while it is closed; the port stays reserved.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._holder = _bind(0)
        self.number: int = self._holder.getsockname()[1]
        self._serving: tuple[_Server, asyncio.Task[None]] | None = None

    def open(self) -> None:
        """Listen, and serve new connections."""
        if self._serving is None:
            listener = _bind(self.number)
            listener.listen()
            config = uvicorn.Config(
                self._app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_level=logging.ERROR,
                timeout_keep_alive=75,
                server_header=False,
                date_header=False,  # the answers have the simulated time
            )
            server = _Server(config)
            self._serving = server, asyncio.create_task(server.serve([listener]))

    async def close(self) -> None:
        """Refuse connections, and abort the open ones."""
        if self._serving is not None:
            (server, task), self._serving = self._serving, None
            server.stop()
            await task

    async def end(self) -> None:
        """Close, and release the port."""
        await self.close()
        self._holder.close()


@asynccontextmanager
async def serving(
    world: World,
    *,
    full_grid: bool = False,
    files: Path | None = None,
    latency: float = 0.0,
    dates: bool = False,
) -> AsyncIterator[dict[str, str]]:
    """Serve all upstreams for as long as the context lasts; give the addresses by setting.

    `files` stores composed AROME files; each answer starts after `latency` seconds; with `dates` each answer
    has the simulated time.
    """
    apps: dict[str, ASGIApp] = dict(upstream_apps(world, full_grid=full_grid, files=files))
    if dates:
        apps = {name: _Dated(app, world) for name, app in apps.items()}
    ports = {name: _Port(_FarAway(app, latency) if latency else app) for name, app in apps.items()}

    async def heed_faults() -> None:
        for name, port in ports.items():
            if world.refuses(name):
                await port.close()
            else:
                port.open()

    control_port = _Port(control.app(world, heed_faults))
    settings = {f"{name.upper()}_URL": port for name, port in ports.items()} | {"control": control_port}
    for port in settings.values():
        port.open()
    try:
        yield {name: f"http://127.0.0.1:{port.number}" for name, port in settings.items()}
    finally:
        await asyncio.gather(*(port.end() for port in settings.values()))


def _bind(port: int) -> socket.socket:
    """Bind a port of loopback; 0: any free one."""
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits
    # 40 ms for an acknowledgement of its header.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _stop_event() -> asyncio.Event:
    """Return an event that SIGTERM, SIGINT or the end of standard input sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stdin = sys.stdin.fileno()
    if stat.S_ISFIFO(os.fstat(stdin).st_mode):  # only a pipe closes with its parent

        def read() -> None:
            if not os.read(stdin, 1024):
                loop.remove_reader(stdin)
                stop.set()

        loop.add_reader(stdin, read)
    return stop


async def _run(
    world: World, parent: int, *, full_grid: bool, files: Path | None, latency: float, dates: bool
) -> None:
    stop = _stop_event()
    async with serving(world, full_grid=full_grid, files=files, latency=latency, dates=dates) as addresses:
        print(msgspec.json.encode(addresses).decode(), flush=True)
        while not stop.is_set() and os.getppid() == parent:  # another parent: its own died
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _CHECK_PARENT_SECONDS)


def main() -> None:
    """Serve the stand-in upstreams until a signal, or until standard input closes."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="python -m backend.demo", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic weather (1)")
    parser.add_argument(
        "--now", type=datetime.fromisoformat, help="the simulated time, such as 2026-11-01T06:00Z"
    )
    parser.add_argument("--sites", type=Path, help="a sites file other than the demo's own")
    parser.add_argument("--full-grid", action="store_true", help="AROME on its whole grid: 37 MB a file")
    parser.add_argument("--files", type=Path, help="a folder that stores composed AROME files")
    parser.add_argument("--dates", action="store_true", help="state the simulated time in each answer")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer starts (0)")
    arguments = parser.parse_args()
    sites = load_sites(arguments.sites) if arguments.sites else ()
    world = World(arguments.seed, sites=sites, now=arguments.now)
    work = _run(
        world,
        parent,
        full_grid=arguments.full_grid,
        files=arguments.files,
        latency=arguments.latency,
        dates=arguments.dates,
    )
    asyncio.run(work)


if __name__ == "__main__":
    main()
