"""In a process of its own: one collection by the real runner, with the times of its steps."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import Download, Fetch, MeteredFetch, Payload, Request
from backend.collectors.grib.decode import prepare, read_fields
from backend.collectors.grib.worker import Worker
from backend.core.logs import configure_logging
from backend.core.parameters import Parameter
from backend.core.records import Batch, ForecastBatch
from backend.main import Service
from backend.scheduler.runner import Runner, Sources
from backend.tests.support.worlds import HandClock
from proofs.bench.processes import Span, answer, given, peak_megabytes, timed
from proofs.bench.world import make_service

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Watch:
    """When each download and each decode ran, and how often each address was requested."""

    downloads: list[Span] = field(default_factory=list)
    decodes: list[Span] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    decode_cpu: float = 0.0
    first_request: float | None = None


class WatchedWorker(Worker):
    """A worker that notes when it decoded."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        result, span, used = await super().run(partial(timed, function, *args, **kwargs))
        if function is read_fields:
            self._watch.decodes.append(span)
            self._watch.decode_cpu += used
        return result


@dataclass(frozen=True)
class WatchedFetch:
    """A fetch that notes the requests and when a download ran."""

    fetch: Fetch
    watch: Watch

    async def __call__(self, request: Request) -> Payload:
        self._note(request)
        return await self.fetch(request)

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        self._note(request)
        began = time.monotonic()
        async with self.fetch.download(request) as download:
            self.watch.downloads.append((began, time.monotonic()))
            yield download

    def _note(self, request: Request) -> None:
        """Count a request by the kind of its address: `r=histo` and a path of its own mean one beacon."""
        if self.watch.first_request is None:
            self.watch.first_request = time.monotonic()
        word = request.params.get("r") or Path(urlsplit(request.url).path).name
        self.watch.asked[word.partition("__")[0] or "listing"] += 1


def watched(service: Service, watch: Watch) -> Service:
    """Return the same service, with its sources under watch."""
    worker = WatchedWorker(watch)

    def channel_for(run_id: int, source: str) -> MeteredFetch:
        channel = service.sources.channel_for(run_id, source)
        return MeteredFetch(WatchedFetch(channel.fetch, watch), channel.meter)

    sources = Sources(
        forecasts=forecast_sources(service.settings, worker),
        observations=observation_sources(service.settings),
        channel_for=channel_for,
    )
    runner = Runner(
        store=service.store,
        ledger=service.ledger,
        sources=sources,
        config=service.config,
        sites=service.runner.sites,
        clock=service.clock,
        on_request=service.archive.store_request,
        after_run=service.archive.prune,
    )
    return replace(service, sources=sources, runner=runner, worker=worker)


async def collected(service: Service, watch: Watch, job: Any) -> dict[str, Any]:
    """Run a job once; return the seconds to its last batch and until all is stored, and counts."""
    warmth: list[float] = []
    handed_over = 0.0

    def on_batch(batch: Batch) -> None:
        nonlocal handed_over
        # The batch with the height of the ground has no records. It comes once, so it does not count.
        if not isinstance(batch, ForecastBatch) or batch.records:
            handed_over = time.monotonic()
        if isinstance(batch, ForecastBatch):
            warmth.extend(
                record.value for record in batch.records if record.parameter is Parameter.TEMPERATURE
            )

    before = Counter(watch.asked)
    watch.first_request = None
    began = time.monotonic()
    run = await service.runner.run(job, "cli", on_batch=on_batch)
    ended = time.monotonic()
    if run is None or run.status != "success":
        raise RuntimeError(f"the collection did not succeed: {run}")
    return {
        "seconds": ended - began,
        "fetched": handed_over - (watch.first_request or began),
        "collected": run.collected,
        "stored": run.stored,
        "requests": sum(source.requests for source in run.sources),
        "bytes": sum(source.bytes for source in run.sources),
        "asked": dict(watch.asked - before),
        "mean_temperature": sum(warmth) / len(warmth) if warmth else None,
    }


async def main() -> None:
    """Collect at each moment of the task, and print the costs."""
    task = given()
    with TemporaryDirectory() as folder:
        watch = Watch()
        service = watched(
            make_service(
                Path(folder),
                task["environment"],
                Path(task["sites"]),
                lookback=timedelta(hours=task["lookback"]),
                sources=task["sources"],
            ),
            watch,
        )
        configure_logging(service.settings)
        await asyncio.to_thread(service.database.migrate)
        if task["warm"]:
            await service.worker.run(prepare)
        gc.freeze()  # as the command and the service do
        rounds = []
        for index, moment in enumerate(task["moments"]):
            if index:
                answer({})  # the parent process now moves the clock of the stand-ins as well
                await asyncio.to_thread(sys.stdin.readline)
            assert isinstance(service.clock, HandClock)
            service.clock.now = datetime.fromisoformat(moment)
            rounds.append(await collected(service, watch, task["job"]))
        worker_pid = service.worker.pid
        found = {
            "rounds": rounds,
            "downloads": watch.downloads,
            "decodes": watch.decodes,
            "decode_cpu": watch.decode_cpu,
            "service_cpu": time.process_time(),
            "service_megabytes": peak_megabytes(),
            "worker_megabytes": peak_megabytes(worker_pid) if worker_pid else None,
        }
        await service.close()
    answer(found)
