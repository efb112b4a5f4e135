"""A store with the values that a world of weather gives, over seventy days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from backend.core.parameters import Parameter
from backend.core.records import (
    Forecast,
    ForecastBatch,
    GridPoint,
    Observation,
    ObservationBatch,
    Run,
    Site,
    Station,
)
from backend.core.sites import load_sites
from backend.demo.store import SITES_FILE
from backend.demo.weather import Values, Weather
from backend.scoring.days.update import update
from backend.storage.store import Store
from backend.tests.support.stores import open_store, sqlite_url

DAYS = 70
FIRST = datetime(2026, 6, 1, tzinfo=UTC)
END = FIRST + timedelta(days=DAYS)
MODELS = ("arome_0025", "meteo_parapente")
SITES = {site.id: site for site in load_sites(SITES_FILE)}
HOUR = 3600.0


def _values(found: Values) -> Iterator[dict[Parameter, float]]:
    columns = (found.speed, found.gust, found.direction, found.temperature)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield dict(zip(Parameter, row, strict=True))


def forecasts(weather: Weather, site: Site, model: str, run: datetime) -> ForecastBatch:
    """Return a run of 48 hours, out five hours after its start, at the height of the station."""
    times = np.array([run.timestamp() + HOUR * hour for hour in range(48)])
    return ForecastBatch(
        source=model,
        route="world",
        rank=0,
        collected_at=run + timedelta(hours=6),
        run=Run(model, run, run + timedelta(hours=5), published=True),
        grid_points=[GridPoint(model, site.id, "here", model_elevation=site.elevation)],
        records=[
            Forecast(model, site.id, parameter, run, run + timedelta(hours=hour), value)
            for hour, values in enumerate(_values(weather.forecast(model, site, run.timestamp(), times)))
            for parameter, value in values.items()
        ],
    )


def readings(weather: Weather, site: Site, day: datetime) -> ObservationBatch:
    """Return a day of ten-minute readings, stamped at the end of what they are the mean of."""
    station = site.stations[0]
    stamps = [day + timedelta(minutes=5 + 10 * step) for step in range(144)]
    middles = np.array([stamp.timestamp() - 300 for stamp in stamps])
    return ObservationBatch(
        source="ffvl",
        route="world",
        rank=0,
        collected_at=stamps[-1],
        averaging_minutes=10,
        stations=[Station(station, "", site.latitude, site.longitude, site.elevation)],
        records=[
            Observation(station, parameter, stamp, value)
            for stamp, values in zip(stamps, _values(weather.truth(site, middles)), strict=True)
            for parameter, value in values.items()
            if parameter is not Parameter.WIND_GUST
        ],
    )


def lived(folder: Path, seed: int, *sites: Site) -> Store:
    """Return a store with all values of these sites over DAYS days, and their score days."""
    folder.mkdir(exist_ok=True)
    store, weather = open_store(sqlite_url(folder), *sites), Weather(seed)
    for site in sites:
        for day in (FIRST + timedelta(days=count) for count in range(DAYS)):
            for model in MODELS:
                store.add_forecasts(forecasts(weather, site, model, day + timedelta(hours=6)))
            store.add_observations(readings(weather, site, day))
    update(store.database, END)
    return store
