"""The real application on a store in a folder, filled by hand, for the tests of the API and the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2

from backend.collectors.base import MeteredFetch, Source
from backend.core.config import Settings
from backend.core.parameters import Parameter
from backend.core.records import (
    Failure,
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Run,
    Station,
)
from backend.main import Service, create_app
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, SchedulerConfig
from backend.scheduler.runner import Runner, Sources
from backend.storage.run_records import SourceRun
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import until
from backend.tests.support.worlds import HandClock, NoTraffic

NOW = datetime(2026, 7, 15, 12, 10, tzinfo=UTC)
RUN = datetime(2026, 7, 15, 6, 0, tzinfo=UTC)
TOKEN = "let-me-in-éééé-please"
ADMIN = {b"Authorization": f"Bearer {TOKEN}".encode()}

# Speed, gust, direction, temperature.
SPEED, GUST, DIRECTION, TEMPERATURE = Parameter

OPENED = "meteo_parapente,romma"
"""A value of PUBLIC_RAW_SOURCES with which nothing of the usual sources is withheld."""

FOUR_SOURCES = "meteo_parapente,arome,ffvl,romma"
"""The sources of a service here: a source that becomes a default later changes no answer of the tests."""

SITES = """
[[sites]]
id = "grand-pre"
name = "Grand Pré"
latitude = 45.9
longitude = 6.7
elevation = 1400
orientation = ["S", "SW"]
stations = ["ffvl:901", "romma:902"]

[[sites]]
id = "petit-col"
name = "Petit Col <b>& Cie</b>"
latitude = 45.8
longitude = 6.6
elevation = 1100
orientation = ["W"]
stations = ["romma:903"]
without = ["ffvl"]

[[sites]]
id = "sans-balise"
name = "Sans Balise"
latitude = 45.7
longitude = 6.5
elevation = 900
orientation = ["E"]
without = ["ffvl", "romma"]
"""


def lose_the_store(folder: Path) -> None:
    """Remove the file, as if its disk were gone."""
    for file in folder.glob("store.sqlite3*"):
        file.unlink()


def make_service(
    folder: Path,
    *,
    clock: HandClock | None = None,
    admin_token: str | None = TOKEN,
    enabled: bool = False,
    sites: str = SITES,
    **settings: Any,
) -> Service:
    """Return a service on a store in `folder`, the scheduler off and FOUR_SOURCES on."""
    sites_file = folder / "sites.toml"
    sites_file.write_text(sites)
    settings = {"sources": FOUR_SOURCES, **settings}
    return Service.make(
        Settings.load(
            database_url=f"sqlite:///{folder / 'store.sqlite3'}",
            data_dir=folder,
            sites_file=sites_file,
            contact="test@example.org",
            admin_token=admin_token,
            **settings,
        ),
        SchedulerConfig.load(scheduler_enabled=enabled, shutdown_grace_seconds=0),
        clock or HandClock(NOW),
        durable=False,
    )


def with_sources(
    service: Service,
    forecasts: Sequence[Source[ForecastBatch]] = (),
    observations: Sequence[Source[ObservationBatch]] = (),
) -> Service:
    """Return the same service, collecting from other sources."""
    sources = Sources(
        forecasts=forecasts,
        observations=observations,
        channel_for=lambda _run, _source: MeteredFetch(ScriptedFetch({}), NoTraffic()),
    )
    runner = Runner(
        store=service.store,
        ledger=service.ledger,
        sources=sources,
        config=service.config,
        sites=service.runner.sites,
        clock=service.clock,
    )
    return replace(service, sources=sources, runner=runner)


@asynccontextmanager
async def served(service: Service, *, live: bool = False) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of the application; `live` starts and stops what the lifespan does."""
    app = create_app(service)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        if live:
            async with app.router.lifespan_context(app):
                yield client
        else:
            try:
                yield client
            finally:
                await service.runner.drain(0)
                await service.close()


async def when_ready(client: httpx2.AsyncClient) -> None:
    """Wait until what the lifespan started is up."""

    async def is_ready() -> bool:
        return (await client.get("/api/ready")).status_code == 200

    await until(is_ready)


# --- What lies in the store --------------------------------------------------------------------------


def in_use(service: Service, since: datetime = NOW - timedelta(days=30)) -> None:
    """Let the service know its sites since then, and put in a run of each job that asked every source."""
    make_tables(service.database)
    clock = cast(HandClock, service.clock)
    now, clock.now = clock.now, since
    service.store.save_sites(service.sites())
    for job in JOBS:
        claim = service.ledger.claim(job, "cli", since)
        assert claim is not None
        outcomes = [SourceRun(source=one.name, status="failed") for one in service.sources.of(job)]
        service.ledger.finish(claim, "failed", since, duration=1, sources=outcomes)
    clock.now = now


def fill(service: Service) -> None:
    """Put in a run of two models for two sites, readings of both networks, and a run of each job."""
    make_tables(service.database)
    service.store.save_sites(service.sites())
    store_forecasts(service, "arome_0025", "arome", base=10.0, gust=True)
    store_forecasts(service, "meteo_parapente", "meteo_parapente", base=77.0, gust=False)
    store_observations(service)
    keep_runs(service)


def store_forecasts(
    service: Service,
    model: str,
    source: str,
    *,
    base: float,
    gust: bool,
    run: datetime = RUN,
    hours: int = 12,
) -> None:
    """Put in twelve hours of the run: wind `base` plus the lead in hours, and 40 km/h more for gusts."""
    sites = ("grand-pre", "petit-col")
    records = []
    for site in sites:
        for lead in range(12):
            valid_time = RUN + timedelta(hours=lead)
            values = {SPEED: base + lead, DIRECTION: 270.0, TEMPERATURE: 0.0 if lead == 6 else 14.5}
            if gust:
                values[GUST] = base + lead + 40
            records += [
                Forecast(model, site, parameter, RUN, valid_time, value)
                for parameter, value in values.items()
            ]
    service.store.add_forecasts(
        ForecastBatch(
            source=source,
            route="object_storage" if source == "arome" else "data_php",
            rank=0,
            collected_at=RUN + timedelta(hours=4),
            newest=RUN,
            run=Run(model, RUN, RUN + timedelta(hours=3), published=gust),
            parts=("whole",),
            sites=sites,
            records=tuple(records),
        )
    )


def store_observations(service: Service) -> None:
    """Put in two hours of readings every ten minutes; the FFVL beacon has no thermometer."""
    stations_of = {"ffvl": ("ffvl:901",), "romma": ("romma:902", "romma:903")}
    for network, stations in stations_of.items():
        records = []
        for station in stations:
            for step in range(12):
                time = NOW - timedelta(minutes=10 * step + 5)
                values = {SPEED: 21.0 if network == "ffvl" else 88.0, DIRECTION: 225.0}
                if network == "romma":
                    values[TEMPERATURE] = 18.3
                records += [Observation(station, each, time, value) for each, value in values.items()]
        service.store.add_observations(
            ObservationBatch(
                source=network,
                route="winds_mobi" if network == "ffvl" else "pages",
                rank=1,
                collected_at=NOW,
                newest=NOW - timedelta(minutes=5),
                records=tuple(records),
                averaging_minutes=10 if network == "romma" else None,
                stations=(Station("ffvl:901", "Grand Pré (balise)", 45.9, 6.7, 1402.0, "FFVL"),)
                if network == "ffvl"
                else (),
            )
        )


def keep_runs(service: Service) -> None:
    """Put in a forecast run in which a source failed in part, and an observation run that went well."""
    slot = NOW.replace(minute=0)
    forecasts = service.ledger.claim(FORECASTS, "schedule", slot, slot)
    assert forecasts is not None
    service.ledger.finish(
        forecasts,
        "partial",
        slot + timedelta(minutes=2),
        duration=121.5,
        sources=[
            SourceRun(source="arome", status="success", collected=4000, stored=4000, newest=RUN, requests=9,
                      bytes=88_000_000, duration=120.0),
            SourceRun(
                source="meteo_parapente",
                status="partial",
                reason="HTTP 503",
                collected=300,
                stored=300,
                rejected=2,
                rejected_reasons={"out_of_range": 2},
                failures=(Failure("data_php", "https://models.example/data.php", "HTTP 503", "FetchError"),),
                failed=1,
                requests=12,
                bytes=345_000,
                duration=18.0,
                newest=RUN,
            ),
        ],
    )  # fmt: skip
    observations = service.ledger.claim(OBSERVATIONS, "cli", NOW)
    assert observations is not None
    newest = NOW - timedelta(minutes=5)
    service.ledger.finish(
        observations,
        "success",
        NOW,
        duration=3.25,
        sources=[
            SourceRun(source="ffvl", status="success", collected=24, stored=24, newest=newest, requests=1),
            SourceRun(source="romma", status="disabled", reason="ROMMA_KEY is not set"),
        ],
    )


def owe_nothing(service: Service) -> None:
    """Put in a run of each job for its last slot, so that the start has no slot to catch up."""
    make_tables(service.database)
    for job in JOBS:
        claim = service.ledger.claim(job, "schedule", NOW, NOW.replace(minute=0))
        assert claim is not None
        service.ledger.finish(claim, "nothing_new", NOW, duration=1)
