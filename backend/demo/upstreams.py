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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backend.core.sites import load_sites
from backend.demo import (
    arome_portal,
    arome_storage,
    balisemeteo,
    control,
    ffvl,
    meteo_parapente,
    open_meteo,
    romma,
    winds_mobi,
)
from backend.demo.arome import Archive
from backend.demo.faults import ErrorPage, Unreliable
from backend.demo.world import World

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_LOOK_AFTER_PARENT_SECONDS = 0.5


def upstream_apps(world: World, *, full_grid: bool = False) -> dict[str, Unreliable]:
    """Return every upstream behind its faults, by name."""
    archive = Archive(world, full_grid=full_grid)
    apps: dict[str, tuple[ASGIApp, Callable[[], ErrorPage]]] = {
        "meteo_parapente": (meteo_parapente.app(world), meteo_parapente.error_page),
        "arome": (arome_storage.app(world, archive), arome_storage.error_page),
        "meteofrance_api": (arome_portal.app(world, archive), arome_portal.error_page),
        "open_meteo": (open_meteo.app(world), open_meteo.error_page),
        "open_meteo_single_runs": (open_meteo.single_runs_app(world), open_meteo.error_page),
        "ffvl": (ffvl.app(world), ffvl.error_page),
        "winds_mobi": (winds_mobi.app(world), winds_mobi.error_page),
        "balisemeteo": (balisemeteo.app(world), balisemeteo.error_page),
        "romma": (romma.app(world), romma.error_page),
    }
    return {name: Unreliable(name, app, world, error_page) for name, (app, error_page) in apps.items()}


class _Protocol(HttpToolsProtocol):
    """Lets an app reach its connection, because some faults are about the connection itself."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class _Server(uvicorn.Server):
    """One of several servers in one loop: signals are for the process, and its end is quick."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = self.force_exit = True
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


@asynccontextmanager
async def serving(world: World, *, full_grid: bool = False) -> AsyncIterator[dict[str, str]]:
    """Serve everything for as long as the context lasts; give the addresses by setting."""
    apps: dict[str, ASGIApp] = {
        **{f"{name.upper()}_URL": app for name, app in upstream_apps(world, full_grid=full_grid).items()},
        "control": control.app(world),
    }
    servers, addresses, running = [], {}, []
    for name, app in apps.items():
        listener = _listen()
        addresses[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        servers.append(_server(app))
        running.append(asyncio.create_task(servers[-1].serve([listener])))
    try:
        yield addresses
    finally:
        for server in servers:
            server.stop()
        await asyncio.gather(*running)


def _listen() -> socket.socket:
    """Listen on a free port of loopback: whoever connects from here on is served."""
    # asyncio sends small writes at once only on sockets that name their protocol; without it every
    # answer waits 40 ms for an acknowledgement of its header.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _server(app: ASGIApp) -> _Server:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level=logging.ERROR,
        timeout_keep_alive=75,
        server_header=False,
        date_header=False,  # the answers carry the simulated time
    )
    return _Server(config)


def _listen_for_the_end() -> asyncio.Event:
    """Return an event that SIGTERM, SIGINT or the end of standard input sets."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    stdin = sys.stdin.fileno()
    if stat.S_ISFIFO(os.fstat(stdin).st_mode):  # a terminal or /dev/null says nothing about a parent

        def read() -> None:
            if not os.read(stdin, 1024):
                loop.remove_reader(stdin)
                told.set()

        loop.add_reader(stdin, read)
    return told


async def _until(told: asyncio.Event, parent: int) -> None:
    """Wait until told to end, or until the parent is no longer the one that started us."""
    while not told.is_set() and os.getppid() == parent:
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), _LOOK_AFTER_PARENT_SECONDS)


async def _run(world: World, parent: int, *, full_grid: bool) -> None:
    told = _listen_for_the_end()
    async with serving(world, full_grid=full_grid) as addresses:
        print(msgspec.json.encode(addresses).decode(), flush=True)
        await _until(told, parent)


def main() -> None:
    """Serve until told to stop."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="python -m backend.demo", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which synthetic weather (1)")
    parser.add_argument(
        "--now", type=datetime.fromisoformat, help="the simulated time, such as 2026-11-01T06:00Z"
    )
    parser.add_argument("--sites", type=Path, help="a sites file other than the demo's own")
    parser.add_argument("--full-grid", action="store_true", help="AROME on its whole grid: 37 MB a file")
    asked = parser.parse_args()
    sites = load_sites(asked.sites) if asked.sites else ()
    world = World(asked.seed, sites=sites, now=asked.now)
    asyncio.run(_run(world, parent, full_grid=asked.full_grid))


if __name__ == "__main__":
    main()
