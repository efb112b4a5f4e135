"""Runs and readings of one site, and what score days are derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from backend.core.columns import SPEED, DayColumns
from backend.core.local_time import day_number
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.storage import days
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store import Store

SITE = Site("planfait", "Planfait", 45.85, 6.22, 950.0, ("W",), ("ffvl:2496", "romma:241"))
WIND, WIND_GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST
WIND_DIRECTION, WARMTH = Parameter.WIND_DIRECTION, Parameter.TEMPERATURE

Hour = float | dict[Parameter, float]

LONG_AFTER = datetime(2027, 6, 1, tzinfo=UTC)
DERIVED = (t.forecast_day, t.observed_day, t.doubted, t.quality_limit, t.sensor_day, t.station_flag)


def utc(day: int, hour: int = 0, minute: int = 0, month: int = 7) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def number(day: int, month: int = 7) -> int:
    return day_number(date(2026, month, day))


def a_run(
    run: datetime,
    values: Mapping[datetime, Hour],
    *,
    available: datetime | None = None,
    model: str = "arome_0025",
    published: bool = True,
    site: str = SITE.id,
) -> ForecastBatch:
    """Return the batch of a run, available four hours after its start unless `available` is given."""
    given = {
        time: value if isinstance(value, dict) else {WIND: float(value)} for time, value in values.items()
    }
    return ForecastBatch(
        source=model,
        route="test",
        rank=0,
        collected_at=run + timedelta(hours=5),
        run=Run(model, run, available or run + timedelta(hours=4), published=published),
        records=[
            Forecast(model, site, parameter, run, time, value)
            for time, hour in given.items()
            for parameter, value in hour.items()
        ],
    )


def measured(
    values: Mapping[datetime, Hour],
    station: str = "ffvl:2496",
    averaging: int | None = 10,
    resolution: float | None = None,
) -> ObservationBatch:
    given = {
        time: value if isinstance(value, dict) else {WIND: float(value)} for time, value in values.items()
    }
    return ObservationBatch(
        source=station.partition(":")[0],
        route="test",
        rank=0,
        collected_at=max(values) + timedelta(minutes=2),
        averaging_minutes=averaging,
        direction_resolution=resolution,
        records=[
            Observation(station, parameter, time, value)
            for time, reading in given.items()
            for parameter, value in reading.items()
        ],
    )


def every(
    minutes: int, start: datetime, count: int, value: float | dict[Parameter, float]
) -> dict[datetime, Hour]:
    return {start + timedelta(minutes=minutes * step): value for step in range(count)}


def add(store: Store, batches: Iterable[ForecastBatch | ObservationBatch]) -> None:
    for batch in batches:
        if isinstance(batch, ForecastBatch):
            store.add_forecasts(batch)
        else:
            store.add_observations(batch)


def observed_hours(store: Store, day: int, parameter: int = SPEED, station: int = 1) -> dict[int, float]:
    with store.database.read() as connection:
        found = days.observed_columns(connection, 1, day, day)
    return hours_of(found, station, parameter)


def hours_of(found: DayColumns, owner: int, parameter: int) -> dict[int, float]:
    return {
        hour: value / 1000
        for hourly in found.hourly[found.owner == owner]
        for hour, value in enumerate(hourly[parameter].tolist())
        if value != ABSENT
    }


def derived(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return all derived rows, to the bit."""
    with database.read() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in DERIVED
        }
