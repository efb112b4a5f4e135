"""Runs without all of their values, through the job: what is stored, and the status of each collection.

The sources are the real ones on scripted answers; the runner and the store are real too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from backend.collectors.base import Channel, Source
from backend.collectors.worker import Worker
from backend.core.records import ForecastBatch, Site
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage.runs import JobRun, SourceRun
from backend.tests.fakes import ScriptedFetch
from backend.tests.test_arome import NOW, SITES, file_url, grib, listing, listing_url, source
from backend.tests.test_arome_ground import ground, ground_url
from backend.tests.worlds import (
    HandClock,
    NoTraffic,
    World,
    brings_a_run,
    forecast_source,
    make_world,
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


class Life:
    """One installation over several collections of one source."""

    def __init__(self, folder: Path, source: Source[ForecastBatch], sites: tuple[Site, ...] = SITES) -> None:
        self.folder = folder
        self.fetch = ScriptedFetch({}, now=NOW, folder=folder)
        self.world: World = make_world(
            folder,
            forecasts=(source,),
            sites=lambda: sites,
            clock=HandClock(NOW),
            channel_for=lambda _run, _source: Channel(self.fetch, NoTraffic(requests=1)),
            forecast_lookback_hours=11,
        )

    async def collect(self, script: dict[str, Any], after: timedelta = timedelta()) -> SourceRun:
        """Collect on these answers, `after` the collection before; return the outcome of the source."""
        now: datetime = self.world.clock.now + after
        self.world.clock.now = now
        self.fetch = ScriptedFetch(script, now=now, folder=self.folder)
        run = await self.world.runner.run(FORECASTS, "cli")
        assert run is not None
        (outcome,) = run.sources
        assert run.status == outcome.status
        return outcome

    @property
    def files(self) -> list[str]:
        """Return the addresses of the GRIB files that the last collection asked for."""
        return [url for url in self.fetch.urls if url.endswith(".grib2")]


# --- A job without an enabled source ----------------------------------------------------------------


async def test_a_job_without_an_enabled_source_has_nothing_new_and_says_why(tmp_path: Path) -> None:
    off = replace(forecast_source(brings_a_run), disabled="turned off: SOURCES does not name it")
    world = make_world(tmp_path, forecasts=(off,), observations=())

    forecasts = await world.runner.run(FORECASTS, "cli")
    observations = await world.runner.run(OBSERVATIONS, "cli")

    def ended(run: JobRun | None) -> tuple[str, str]:
        assert run is not None
        return run.status, run.note

    assert ended(forecasts) == (
        "nothing_new",
        "no source of this job is enabled; arome: turned off: SOURCES does not name it",
    )
    assert ended(observations) == ("nothing_new", "no source of this job is enabled")


# --- AROME ------------------------------------------------------------------------------------------


async def test_a_run_without_the_file_of_the_ground_is_partial_and_no_failure(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker, arome_runs="6"))
    script = {listing_url(): listing(), file_url("00H06H"): grib()}

    first = await life.collect(script)
    second = await life.collect(script)
    third = await life.collect({**script, ground_url(): ground()})

    reason = "the height of the model's ground: HTTP 404"
    assert (first.status, first.reason, first.stored) == ("partial", reason, 2 * (7 * 4 - 1))
    assert (second.status, second.reason, second.collected) == ("partial", reason, 0)
    assert (third.status, third.reason) == ("nothing_new", "")
    assert life.files == [ground_url()]
