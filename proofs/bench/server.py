"""In a process of its own: the real service behind uvicorn, idle or with something to do."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from backend.core.logs import configure_logging
from backend.core.records import CollectionRequest, ForecastBatch
from backend.core.sites import load_sites
from backend.main import Service, create_app
from backend.scheduler.config import JOBS
from backend.scheduler.jobs import collect_all_forecasts
from backend.storage.run_records import SourceRun
from backend.tests.support.waiting import until
from proofs.bench import values
from proofs.bench.processes import answer, given, peak_megabytes
from proofs.bench.world import NOW, make_service

Work = Callable[[], Awaitable[None]]


async def idle() -> None:
    """Do nothing, for a while."""
    await asyncio.sleep(0.1)


def decoding(service: Service) -> Work:
    """Return work that collects a run of AROME without storing it."""
    needs = CollectionRequest(
        now=NOW, since=NOW - timedelta(hours=7), sites=load_sites(service.settings.sites_file)
    )
    sources = [source for source in service.sources.forecasts if source.name == "arome"]

    async def drop(batch: ForecastBatch) -> None:
        if batch.failures:
            raise RuntimeError(f"nothing was decoded: {batch.failures}")

    async def collect() -> None:
        await collect_all_forecasts(
            needs=needs,
            deliver=drop,
            sources=sources,
            channel_for=lambda source: service.sources.channel_for(0, source),
            settings=service.settings,
        )

    return collect


def storing(service: Service, shape: values.Shape, batches: int) -> Work:
    """Return work that stores batches made beforehand: each as new, and later once more."""
    service.store.save_sites(shape.list_sites())
    made = [values.batch(run, shape) for run in range(batches)]
    turn = count()

    async def store() -> None:
        await asyncio.to_thread(service.store.add_forecasts, made[next(turn) % batches])

    return store


def note_runs(service: Service) -> None:
    """Put a run of each job into the ledger, so that the status has runs to show."""
    for job in JOBS:
        claim = service.ledger.claim(job, "schedule", NOW, NOW)
        if claim is None:
            raise RuntimeError(f"{job} cannot be claimed")
        names = [source.name for source in service.sources.of(job)]
        outcomes = [SourceRun(source=name, status="success", collected=100, newest=NOW) for name in names]
        service.ledger.finish(claim, "success", NOW, duration=1.0, sources=outcomes)


def work_for(service: Service, task: dict[str, Any]) -> Work:
    """Return the work of the service during the requests."""
    match task["load"]:
        case "decode":
            return decoding(service)
        case "store":
            return storing(service, values.Shape(**task["shape"]), task["batches"])
    return idle


async def main() -> None:
    """Serve, and work until standard input ends; print the port, and at the end how many jobs are done."""
    task = given()
    with TemporaryDirectory() as folder:
        service = make_service(Path(folder), task["environment"], Path(task["sites"]), port=0)
        configure_logging(service.settings)
        await asyncio.to_thread(service.database.migrate)
        note_runs(service)
        work = work_for(service, task)
        await work()  # the worker is up, the tables are warm
        config = uvicorn.Config(create_app(service), host="127.0.0.1", port=0, log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        done: list[float] = []
        working = asyncio.create_task(_again_and_again(work, done))
        answer({"port": server.servers[0].sockets[0].getsockname()[1]})
        await asyncio.to_thread(sys.stdin.readline)
        jobs = len(done)
        await until(lambda: done or working.done())  # a job that never ends, or fails, is no load
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        found = {"jobs": jobs, "megabytes": peak_megabytes()}
        server.should_exit = True
        await serving
    answer(found)


async def _again_and_again(work: Work, done: list[float]) -> None:
    """Work until cancelled, and note in `done` when each job ended."""
    while True:
        await work()
        done.append(time.monotonic())
