"""Small worlds for tests: scripted sources, a clock that is set, and a runner on a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backend.collectors.base import B, Fetch, MeteredFetch, Source
from backend.core.errors import FetchError
from backend.core.parameters import Parameter
from backend.core.records import (
    CollectionRequest,
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Run,
    Site,
)
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import FORECASTS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner, Sources
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.storage.run_records import JobRun
from backend.storage.store import Store
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import HANG_SECONDS

NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
PLANFAIT = Site("planfait", "Planfait", 45.85, 6.22, 950.0, ("W",), ("ffvl:2496",), ("romma",))

Act = Callable[[CollectionRequest], AsyncIterator[B]]


@dataclass
class HandClock:
    """A clock that stands still until it is set."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class ActingRoute:
    """A route with the behaviour that a test gives it, under its source's name."""

    source: str
    act: Act[Any]
    name: str = "acting"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[Any]:
        async for batch in self.act(needs):
            yield replace(batch, source=self.source)


@dataclass
class NoTraffic:
    requests: int = 0
    bytes: int = 0


def forecast_source(act: Act[ForecastBatch], name: str = "arome", **options: Any) -> Source[ForecastBatch]:
    defaults: dict[str, Any] = {
        "max_age": timedelta(hours=18),
        "public": True,
        "attribution": "",
        "models": (name,),
    }
    return Source(name=name, batch=ForecastBatch, routes=(ActingRoute(name, act),), **(defaults | options))


def observation_source(
    act: Act[ObservationBatch], name: str = "ffvl", **options: Any
) -> Source[ObservationBatch]:
    defaults: dict[str, Any] = {"max_age": timedelta(minutes=35), "public": True, "attribution": ""}
    return Source(name=name, batch=ObservationBatch, routes=(ActingRoute(name, act),), **(defaults | options))


def a_run(needs: CollectionRequest, value: float = 20.0, model: str = "arome") -> ForecastBatch:
    """Return one hour of the newest six-hourly run at the first site, valid at its start."""
    reference_time = needs.now.replace(hour=needs.now.hour // 6 * 6, minute=0, second=0)
    site = needs.sites[0].id
    return ForecastBatch(
        source=model,
        route="acting",
        rank=0,
        collected_at=needs.now,
        newest=reference_time,
        run=Run(model, reference_time, needs.now, published=True),
        parts=("whole",),
        sites=(site,),
        records=(Forecast(model, site, Parameter.WIND_SPEED, reference_time, reference_time, value),),
    )


def a_reading(needs: CollectionRequest, value: float = 12.0, station: str = "ffvl:2496") -> ObservationBatch:
    """Return one reading of now."""
    return ObservationBatch(
        source="ffvl",
        route="acting",
        rank=0,
        collected_at=needs.now,
        newest=needs.now,
        records=(Observation(station, Parameter.WIND_SPEED, needs.now, value),),
    )


async def brings_a_run(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
    yield a_run(needs)


async def brings_a_reading(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
    yield a_reading(needs)


async def fails(needs: CollectionRequest) -> AsyncIterator[Any]:
    raise FetchError("HTTP 503", url="https://models.example/run", status=503, retryable=True)
    yield


async def breaks(needs: CollectionRequest) -> AsyncIterator[Any]:
    raise KeyError("a bug of ours")
    yield


@dataclass
class World:
    """A runner on a store of its own, with a clock that the test sets."""

    clock: HandClock
    database: Database
    store: Store
    ledger: Ledger
    runner: Runner


def make_world(
    place: Path | str,
    *,
    forecasts: Sequence[Source[ForecastBatch]] | None = None,
    observations: Sequence[Source[ObservationBatch]] | None = None,
    sites: Callable[[], tuple[Site, ...]] = lambda: (PLANFAIT,),
    owner: str | None = None,
    lease: float = 60.0,
    clock: HandClock | None = None,
    busy_timeout: float = HANG_SECONDS,
    channel_for: Callable[[int, str], MeteredFetch] | None = None,
    on_request: Callable[[int, CollectionRequest], None] | None = None,
    on_start: Callable[[JobId, int], None] | None = None,
    on_end: Callable[[JobRun], None] | None = None,
    source_seconds: Callable[[JobId, datetime], float] | None = None,
    **config: Any,
) -> World:
    """Return a world on the database of this address, or on one of its own in a folder."""
    clock = clock or HandClock()
    url = place if isinstance(place, str) else f"sqlite:///{place / 'world.sqlite3'}"
    database = Database(url, durable=False, busy_timeout=busy_timeout)
    make_tables(database)
    store, ledger = Store(database), Ledger(database, lease=lease, owner=owner)

    def listed() -> tuple[Site, ...]:
        store.save_sites(sites())
        return store.sites()

    runner = Runner(
        store=store,
        ledger=ledger,
        sources=Sources(
            forecasts=(forecast_source(brings_a_run),) if forecasts is None else forecasts,
            observations=(observation_source(brings_a_reading),) if observations is None else observations,
            channel_for=channel_for or (lambda _run, _source: MeteredFetch(ScriptedFetch({}), NoTraffic())),
        ),
        config=SchedulerConfig.load(**config),
        sites=listed,
        clock=clock,
        on_request=on_request,
        on_start=on_start,
        on_end=on_end,
        source_seconds=source_seconds,
    )
    return World(clock, database, store, ledger, runner)


async def catch_up(world: World, job: JobId = FORECASTS) -> int | None:
    """Run one round of catching up to its end; return the id of the run, None where nothing was due."""
    run_id = await CatchUp(world.runner).once(job)
    await world.runner.drain(HANG_SECONDS)
    return run_id


def lease_until(world: World) -> float:
    """Return until when the only run of a world is leased, in seconds since 1970."""
    with world.database.read() as connection:
        return float(connection.execute(sa.select(t.job_run.c.lease_until)).scalar_one())
