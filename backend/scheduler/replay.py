"""Parsing kept payloads again, so that a mistake of a parser can be repaired.

Each source is asked as it was then, with the payloads of that run for answers. What it says now wins
over what it said then, within the same route. A replay takes the job's lease and leaves a row of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from backend.collectors.archive import KeptRun, PayloadArchive
from backend.collectors.base import Channel, Source
from backend.core.errors import NotFound
from backend.core.records import Batch, Site, SourceStatus, Wanted
from backend.scheduler.config import FORECASTS, JOBS, JobId
from backend.scheduler.jobs import collect_all_forecasts, collect_all_observations, run_status
from backend.scheduler.runner import Runner
from backend.storage.runs import Claim, JobRun, SourceRun

NOT_KEPT = "not kept"
"""What the archive says of a request that was not made in that run, or whose answer it does not keep."""


@dataclass
class _NoTraffic:
    requests: int = 0
    bytes: int = 0


async def replay(runner: Runner, archive: PayloadArchive, kept: KeptRun) -> JobRun:
    """Parse the kept payloads of one run again and store what differs; return the replay's own run.

    Raises JobBusy while a run of the same job is under way, NotFound where no source of it is known.
    """
    job, sources = _work(runner, kept)
    claim = await asyncio.to_thread(runner.ledger.claim, job, "cli", runner.clock())
    if claim is None:
        raise AssertionError("a run without a slot is always granted")
    began = time.monotonic()
    sites = await asyncio.to_thread(runner.sites)
    outcomes = [await _again(runner, archive, job, kept, claim, source, sites) for source in sources]
    await asyncio.to_thread(
        runner.ledger.finish,
        claim,
        run_status(outcomes),
        runner.clock(),
        duration=time.monotonic() - began,
        sources=outcomes,
        note=f"replay of run {kept.run_id}",
    )
    return await asyncio.to_thread(runner.ledger.run, claim.run_id)


def _work(runner: Runner, kept: KeptRun) -> tuple[JobId, list[Source[Any]]]:
    for job in JOBS:
        sources = [source for source in runner.sources.of(job) if source.name in kept.sources]
        if sources:
            return job, sources
    raise NotFound(f"run {kept.run_id} holds payloads of unknown sources only: {', '.join(kept.sources)}")


async def _again(
    runner: Runner,
    archive: PayloadArchive,
    job: JobId,
    kept: KeptRun,
    claim: Claim,
    source: Source[Any],
    sites: tuple[Site, ...],
) -> SourceRun:
    answers = await asyncio.to_thread(archive.replay, kept.run_id, source.name)
    stations = await asyncio.to_thread(runner.store.stations)
    wanted = Wanted(
        now=answers.now,
        since=answers.now - runner.config.lookback(job),
        sites=sites,
        stations={station.id: station for station in stations},
    )
    add: Callable[..., int] = (
        runner.store.add_forecasts if job == FORECASTS else runner.store.add_observations
    )
    stored: Counter[str] = Counter()

    async def deliver(batch: Batch) -> None:
        stored[source.name] += await asyncio.to_thread(add, batch, claim, replace=True)
        await asyncio.to_thread(runner.ledger.renew, claim)

    collect: Callable[..., Awaitable[Any]] = (
        collect_all_forecasts if job == FORECASTS else collect_all_observations
    )
    collection = await collect(
        wanted=wanted,
        deliver=deliver,
        sources=[source],
        channel_for=lambda _source: Channel(answers, _NoTraffic()),
    )
    return replace(_as_replayed(collection.outcomes[0]), stored=stored[source.name])


def _as_replayed(outcome: SourceRun) -> SourceRun:
    """Return an outcome in which a request that could not be made again is no failure."""
    failures = tuple(failure for failure in outcome.failures if failure.reason != NOT_KEPT)
    status: SourceStatus = outcome.status
    if not failures:
        status = "success" if outcome.collected else "nothing_new"
    return replace(
        outcome,
        status=status,
        reason=failures[0].reason if failures else "",
        failures=failures,
        failed=len(failures),
        newest=None,  # what was new then is no sign of life now
    )
