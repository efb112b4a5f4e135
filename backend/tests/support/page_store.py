"""A service on a store as it is after weeks of collection, for the tests of the pages in a browser.

Three sites: one with a beacon that everyone may see, one whose beacon is withheld, one without a beacon. Two
public models and one that is withheld. Everything is collected by batches and scored by `update`, up to the
evening of NOW.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run, Station
from backend.main import Service
from backend.scoring.days.update import update
from backend.tests.support.served import keep_runs, make_service
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

NOW = datetime(2026, 7, 15, 17, 10, tzinfo=UTC)
"""19:10 local time: after the decision of the evening before."""

DAYS = 40

SITES = """
[[sites]]
id = "planfait"
name = "Planfait"
latitude = 45.857
longitude = 6.224
elevation = 930
orientation = ["W", "SW"]
stations = ["ffvl:901"]
without = ["romma"]

[[sites]]
id = "petit-col"
name = "Petit Col <b>& Cie</b>"
latitude = 45.814
longitude = 6.247
elevation = 1270
orientation = ["W", "NW"]
stations = ["romma:902"]
without = ["ffvl"]

[[sites]]
id = "sans-balise"
name = "Sans Balise"
latitude = 45.797
longitude = 6.104
elevation = 1660
orientation = ["E"]
without = ["ffvl", "romma"]
"""
PLACES = {"planfait": "ffvl:901", "petit-col": "romma:902", "sans-balise": None}

SPEED, GUST, DIRECTION, TEMPERATURE = Parameter

MODELS = {  # source, mean error in km/h, spread in km/h, gusts
    "arome_0025": ("arome", 1.0, 2.5, True),
    "arome_ifs_0025": ("arome_ifs", 3.5, 3.5, True),
    "meteo_parapente": ("meteo_parapente", -2.0, 3.0, False),
}


def true_wind(site: int, moment: datetime) -> float:
    """Return the mean wind in km/h: a breeze that changes from day to day, with a maximum at 15:00 local."""
    hour = moment.hour + moment.minute / 60 + 2
    strength = 14 + 7 * math.sin(moment.timetuple().tm_yday * 1.7 + site)
    return max(1.0, 5 + strength * math.exp(-(((hour - 15) / 4) ** 2)))


def page_service(folder: Path, *, days: int = DAYS, **settings: Any) -> Service:
    """Return a service with `days` days of values; its clock stands at NOW."""
    (folder / "store.sqlite3").write_bytes(_filled_file(days))
    return _service(folder, **settings)


def _service(folder: Path, **settings: Any) -> Service:
    return make_service(
        folder,
        clock=HandClock(NOW),
        sites=SITES,
        sources="meteo_parapente,arome,arome_ifs,ffvl,romma",
        rate_limit_per_minute=0,
        **{"public_url": "https://meteo.example", **settings},
    )


@cache
def _filled_file(days: int) -> bytes:
    """Return the store as a file: no setting changes what is in it, and filling it takes 3 s of CPU time."""
    with tempfile.TemporaryDirectory() as name:
        service = _service(Path(name))
        make_tables(service.database)
        service.store.save_sites(service.sites())
        noise = np.random.default_rng(7)
        for batch in _forecasts(days, noise):
            service.store.add_forecasts(batch)
        for readings in _readings(days, noise):
            service.store.add_observations(readings)
        keep_runs(service)
        update(service.database, NOW)
        service.database.close()  # moves the log into the file
        return Path(name, "store.sqlite3").read_bytes()


def _forecasts(days: int, noise: np.random.Generator) -> Iterator[ForecastBatch]:
    midnight = NOW.replace(hour=0, minute=0)
    for back in range(days, -1, -1):
        for start in (0, 6, 12):
            run = midnight - timedelta(days=back) + timedelta(hours=start)
            published = run + timedelta(hours=3, minutes=40)
            if published > NOW:
                continue
            for model, (source, bias, spread, gusts) in MODELS.items():
                records = []
                for index, site in enumerate(PLACES):
                    error = bias + noise.normal(0, spread, 52)
                    for lead in range(52):
                        time = run + timedelta(hours=lead)
                        wind = max(0.0, true_wind(index, time) + float(error[lead]))
                        values = {SPEED: wind, DIRECTION: 250.0 + 3 * lead % 40, TEMPERATURE: 18.0}
                        if gusts:
                            values[GUST] = wind * 1.5
                        records += [
                            Forecast(model, site, parameter, run, time, value)
                            for parameter, value in values.items()
                        ]
                yield ForecastBatch(
                    source=source,
                    route="object_storage" if source != "meteo_parapente" else "data_php",
                    rank=0,
                    collected_at=published,
                    newest=run,
                    run=Run(model, run, published, published=True),
                    parts=("whole",),
                    sites=tuple(PLACES),
                    records=tuple(records),
                )


def _readings(days: int, noise: np.random.Generator) -> Iterator[ObservationBatch]:
    for index, (site, station) in enumerate(PLACES.items()):
        if station is None:
            continue
        first = NOW.replace(hour=0, minute=0) - timedelta(days=days)
        count = int((NOW - first) / timedelta(minutes=10))
        records = []
        for step in range(count):
            time = first + timedelta(minutes=10 * step)
            wind = max(0.5, true_wind(index, time) + float(noise.normal(0, 1.5)))
            values = {SPEED: wind, GUST: wind * 1.45, DIRECTION: 255.0 + step % 7, TEMPERATURE: 17.5}
            records += [Observation(station, parameter, time, value) for parameter, value in values.items()]
        network = station.partition(":")[0]
        yield ObservationBatch(
            source=network,
            route="winds_mobi" if network == "ffvl" else "pages",
            rank=1,
            collected_at=NOW,
            newest=NOW - timedelta(minutes=10),
            records=tuple(records),
            averaging_minutes=10,
            stations=(Station(station, f"Balise {site}", 45.857, 6.224, 935.0, network.upper()),),
        )
