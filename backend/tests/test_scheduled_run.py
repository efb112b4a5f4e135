"""What a scheduled run of the real service goes through: every source, and the manners of the HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.collectors.base import Channel
from backend.collectors.http import HttpClient
from backend.collectors.http_hosts import Patience
from backend.core.clock import utc_now
from backend.core.config import SOURCE_NAMES, Settings
from backend.main import Service
from backend.scheduler.config import FORECASTS, JOBS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner
from backend.storage.runs import JobRun
from backend.tests.commands import StandIns, stand_ins

BRISK = Patience(attempts=1, failures=3)


@pytest.fixture(scope="module")
def upstreams() -> Iterator[StandIns]:
    with stand_ins() as serving:
        yield serving


def scheduled_run(
    job: JobId, upstreams: StandIns, folder: Path, database_url: str, **variables: Any
) -> JobRun:
    """Run the newest slot of a job as the schedule does, with the service's sources and HTTP client."""
    environment = upstreams.environment(folder, database_url=database_url, **variables)
    known = {name: environment[name.upper()] for name in Settings.model_fields if name.upper() in environment}
    service = Service.make(Settings.load(**known), SchedulerConfig.load(), durable=False)
    client = HttpClient.from_settings(service.settings, utc_now, patience=BRISK)

    def channel_for(_run: int, _source: str) -> Channel:
        counted = client.counted()
        return Channel(counted, counted)

    runner = Runner(
        store=service.store,
        ledger=service.ledger,
        sources=replace(service.sources, channel_for=channel_for),
        config=service.config,
        sites=service.runner.sites,
    )

    async def run() -> None:
        await runner.tick(job)
        await runner.drain(60)
        await client.aclose()
        await service.close()

    service.database.migrate()
    asyncio.run(run())
    (made,) = service.ledger.runs(job=job)
    service.database.close()
    assert made.trigger == "schedule"
    return made


def test_a_host_that_fails_again_and_again_is_left_alone_for_the_rest_of_the_run(
    upstreams: StandIns, database_url: str, tmp_path: Path
) -> None:
    asked = upstreams.requests("meteo_parapente")
    with upstreams.faults(meteo_parapente="500@data"):
        run = scheduled_run(FORECASTS, upstreams, tmp_path, database_url, sources="meteo_parapente")
    (source,) = (source for source in run.sources if source.source == "meteo_parapente")
    refused = [failure for failure in source.failures if "circuit open" in failure.reason]
    assert run.status == "failed"
    assert len(refused) == source.failed - BRISK.failures > 3
    assert upstreams.requests("meteo_parapente") - asked == 1 + BRISK.failures


def test_the_stations_of_one_host_are_asked_for_one_after_the_other_with_its_spacing(
    upstreams: StandIns, database_url: str, tmp_path: Path
) -> None:
    asked = upstreams.requests("meteo_parapente")
    spaced = {"sources": "meteo_parapente", "meteo_parapente_spacing_seconds": 0.1}
    run = scheduled_run(FORECASTS, upstreams, tmp_path, database_url, **spaced)
    requests = upstreams.requests("meteo_parapente") - asked
    assert run.status == "success"
    assert run.duration is not None and run.duration >= (requests - 1) * 0.1


@pytest.mark.parametrize("named", SOURCE_NAMES)
def test_every_source_belongs_to_a_job_and_is_collected_or_says_that_it_is_turned_off(named: str) -> None:
    service = Service.make(Settings.load(sources=named), SchedulerConfig.load())
    sources = [source for job in JOBS for source in service.sources.every(job)]
    assert {source.name for source in sources} >= set(SOURCE_NAMES)
    turned_off = {source.name for source in sources if "SOURCES does not name it" in (source.disabled or "")}
    assert turned_off == set(SOURCE_NAMES) - {named}
