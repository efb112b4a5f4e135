"""In a process of its own: the pages of a scored store behind uvicorn, idle or while it collects."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.logs import configure_logging
from backend.core.records import CollectionRequest, ForecastBatch
from backend.main import Service, create_app
from backend.scheduler.jobs import collect_all_forecasts
from backend.scoring.days.update import update
from backend.tests.support.waiting import until
from proofs.bench.page_service import BARE, page_service
from proofs.bench.processes import answer, given
from proofs.bench.world import NOW


async def collect(service: Service) -> None:
    """Collect the AROME run of the stand-ins for all sites, store it, and update the scores."""
    needs = CollectionRequest(now=NOW, since=NOW - timedelta(hours=7), sites=service.sites())

    async def deliver(batch: ForecastBatch) -> None:
        if batch.failures or not batch.records:
            raise RuntimeError(f"nothing was collected: {batch.failures}")
        await asyncio.to_thread(service.store.add_forecasts, batch)

    await collect_all_forecasts(
        needs=needs,
        deliver=deliver,
        sources=[source for source in service.sources.forecasts if source.name == "arome"],
        channel_for=lambda source: service.sources.channel_for(0, source),
        settings=service.settings,
    )
    await asyncio.to_thread(update, service.database, NOW)


def with_bare(app: ASGIApp) -> ASGIApp:
    """Return the application with an address that answers fixed bytes: what a page costs at least.

    `BARE?bytes=20000` passes by everything of the service, on the same event loop and in the same server.
    """

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != BARE:
            await app(scope, receive, send)
            return
        size = int(parse_qs(scope["query_string"].decode())["bytes"][0])
        headers = [(b"content-length", str(size).encode()), (b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size)})

    return served


async def main() -> None:
    """Serve until standard input ends; print the port, and at the end the number of collections."""
    task = given()
    with TemporaryDirectory() as folder:
        service = page_service(task["url"], Path(folder), task.get("environment"))
        configure_logging(service.settings)
        config = uvicorn.Config(with_bare(create_app(service)), host="127.0.0.1", port=0, log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        done: list[float] = []
        answer({"port": server.servers[0].sockets[0].getsockname()[1]})
        working = asyncio.create_task(_again_and_again(service, done)) if task.get("environment") else None
        await asyncio.to_thread(sys.stdin.readline)
        if working is not None:
            await until(lambda: done or working.done())  # a collection that fails is no load
            working.cancel()
            await asyncio.wait([working])
            if not working.cancelled():
                working.result()
        server.should_exit = True
        await serving
    answer({"collections": len(done)})


async def _again_and_again(service: Service, done: list[float]) -> None:
    while True:
        await collect(service)
        done.append(time.monotonic())
