"""A scheduled run of the real service: every source, and the limits of the HTTP client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.collectors.base import MeteredFetch
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.clock import utc_now
from backend.core.config import SOURCE_NAMES, Settings
from backend.core.local_time import date_of, local_day
from backend.main import Service
from backend.scheduler.config import FORECASTS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner
from backend.storage.run_records import JobRun
from backend.tests.support.commands import StandIns
from backend.tests.support.score_store import TEMPERATURE, constant, keep
from backend.tests.support.served import served
from backend.tests.support.waiting import HANG_SECONDS

BRISK = HttpLimits(attempts=1, failures=3)


def installed(upstreams: StandIns, folder: Path, database_url: str, **variables: Any) -> Service:
    environment = upstreams.environment(folder, database_url=database_url, **variables)
    known = {name: environment[name.upper()] for name in Settings.model_fields if name.upper() in environment}
    return Service.make(Settings.load(**known), SchedulerConfig.load(), durable=False)


def scheduled_run(
    job: JobId, upstreams: StandIns, folder: Path, database_url: str, **variables: Any
) -> JobRun:
    """Run the newest slot of a job as the schedule does, with the service's sources and HTTP client."""
    service = installed(upstreams, folder, database_url, **variables)
    client = HttpClient.from_settings(service.settings, utc_now, limits=BRISK)

    def channel_for(_run: int, _source: str) -> MeteredFetch:
        counted = client.counted()
        return MeteredFetch(counted, counted)

    runner = Runner(
        store=service.store,
        ledger=service.ledger,
        sources=replace(service.sources, channel_for=channel_for),
        config=service.config,
        sites=service.runner.sites,
    )

    async def run() -> None:
        await runner.tick(job)
        await runner.drain(HANG_SECONDS)
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


def test_aromes_temperature_is_corrected_to_the_stations_height_and_ranked(
    upstreams: StandIns, database_url: str, tmp_path: Path
) -> None:
    """Its ground is collected, 930 m. The station of the days written lies 100 m below: 0.65 °C are added."""
    run = scheduled_run(FORECASTS, upstreams, tmp_path, database_url, sources="arome")
    assert run.status == "success"

    service = installed(upstreams, tmp_path, database_url)
    (site,) = service.sites()
    drawn = np.random.default_rng(1).normal(0.0, 1.0, (40, 25))
    said = {"arome_0025": {TEMPERATURE: 10.0 + drawn}, "icon_d2": {TEMPERATURE: 17.0 - 2 * drawn}}
    keep(
        service.database,
        site,
        date_of(local_day(service.clock()) - 39),
        models=said,
        stations={"ffvl:9001": {TEMPERATURE: constant(40, 10.0)}},
        grounds={"icon_d2": 830.0},
        elevations={"ffvl:9001": 830.0},
    )

    async def verdict() -> Any:
        async with served(service) as client:
            answer = await client.get(f"/api/v1/sites/{site.id}/verdict?parameter=temperature")
            return answer.json()

    found = {each["model"]: each for each in asyncio.run(verdict())["models"]}
    service.database.close()
    arome = found["arome_0025"]
    assert arome["score"]["meanError"] == pytest.approx(0.65 + drawn.mean(), abs=0.05)
    assert (arome["rank"], found["icon_d2"]["rank"]) == (1, 2)


@pytest.mark.parametrize("fault", ["404", "missing_fields", "truncated"])
def test_a_ground_that_is_unavailable_leaves_a_run_partial_with_all_its_values(
    upstreams: StandIns, tmp_path: Path, fault: str
) -> None:
    store = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    with upstreams.faults(arome=f"{fault}@/SP2/"):
        run = scheduled_run(FORECASTS, upstreams, tmp_path, store, sources="arome")

    (source,) = (source for source in run.sources if source.source == "arome")
    assert (source.status, source.failed) == ("partial", 1)
    assert source.reason.startswith("the height of the model's ground: ")
    assert source.stored == source.collected > 0


@pytest.mark.parametrize("named", SOURCE_NAMES)
def test_every_source_belongs_to_a_job_and_is_collected_or_shown_as_turned_off(named: str) -> None:
    service = Service.make(Settings.load(sources=named), SchedulerConfig.load())
    sources = service.sources.every()
    assert {source.name for source in sources} >= set(SOURCE_NAMES)
    turned_off = {source.name for source in sources if "SOURCES does not name it" in (source.disabled or "")}
    assert turned_off == set(SOURCE_NAMES) - {named}
