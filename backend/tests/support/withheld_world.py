"""A store in which the values of one model and one network are withheld, and easy to recognise.

Two of these worlds differ only in withheld values. A public page that differs between them shows, or lets
readers compute, something of these values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from backend.core.clock import PARIS
from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run, Station
from backend.main import Service
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scoring.days.update import update
from backend.storage.run_records import SourceRun
from backend.tests.support.served import make_service
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

EVENING = datetime(2026, 7, 15, 17, 25, tzinfo=UTC)
"""25 minutes past 19 local time: the evening bulletin is about tomorrow."""

TODAY = EVENING.date()
MID_JUNE = date(2026, 6, 15)
"""First day of a store without a closed month of 20 days: no figure of a withheld source is published."""
MAY_31 = date(2026, 5, 31)
"""First day of a store with one closed month, June: its figures are published, rounded."""
JULY = date(2026, 7, 1)

PUBLIC_MODELS = {"arome_0025": ("arome", 1.5), "icon_d2": ("open_meteo", -2.5)}
"""The public models: source, and the error of the wind in km/h."""

SITES = """
[[sites]]
id = "ouvert"
name = "Grand Pré"
latitude = 45.90
longitude = 6.70
elevation = 1400
orientation = ["S", "SW"]
stations = ["ffvl:901", "romma:902"]

[[sites]]
id = "derriere"
name = "Derrière <b>&amp; Cie</b>"
latitude = 45.80
longitude = 6.60
elevation = 1100
orientation = ["W"]
stations = ["romma:903", "ffvl:904"]

[[sites]]
id = "ferme"
name = "Col Fermé"
latitude = 45.75
longitude = 6.55
elevation = 1200
orientation = ["N"]
stations = ["romma:905"]
without = ["ffvl"]

[[sites]]
id = "releve"
name = "Relevé Neuf"
latitude = 45.85
longitude = 6.65
elevation = 1300
orientation = ["SW"]
stations = ["ffvl:906", "romma:907"]
references = [{station = "romma:907"}, {station = "ffvl:906", since = 2026-07-05}]

[[sites]]
id = "sans-balise"
name = "Sans Balise"
latitude = 45.7
longitude = 6.5
elevation = 900
orientation = ["E"]
without = ["ffvl", "romma"]
"""

STATIONS = {
    "ffvl:901": Station("ffvl:901", "Grand Pré (balise)", 45.9, 6.7, 1402.0, "FFVL"),
    "ffvl:904": Station("ffvl:904", "Derrière (balise)", 45.83, 6.62, 1050.0, "FFVL"),
    "ffvl:906": Station("ffvl:906", "Relevé (balise)", 45.85, 6.65, 1301.0, "FFVL"),
    "romma:902": Station("romma:902", "Grand Pré (station)", 45.91, 6.71, 1390.0),
    "romma:903": Station("romma:903", "Derrière (station)", 45.8, 6.6, 1098.0),
    "romma:905": Station("romma:905", "Col Fermé (station)", 45.75, 6.55, 1201.0),
    "romma:907": Station("romma:907", "Relevé (station)", 45.86, 6.66, 1290.0),
}

SPEED, GUST, DIRECTION, TEMPERATURE = Parameter


@dataclass(frozen=True, slots=True)
class Secret:
    """The withheld values: those of the model, and those of the stations. Directions change by 6 degrees."""

    model: tuple[float, float, float, float]
    station: tuple[float, float, float, float]


SECRET = Secret((177.7, 191.3, 313.7, 47.3), (183.3, 195.9, 331.3, 43.9))
OTHER = Secret((164.2, 203.6, 287.1, 39.7), (168.9, 188.4, 301.9, 36.1))


def withheld_world(
    folder: Path,
    first: date,
    closed: Secret = SECRET,
    recent: Secret = SECRET,
    *,
    public_raw_sources: str = "",
) -> Service:
    """Return a service with days from `first` to this evening; `recent` are the secrets from July on."""
    service = make_service(
        folder,
        clock=HandClock(EVENING),
        sites=SITES,
        open_meteo_models="icon_d2",
        public_raw_sources=public_raw_sources,
        rate_limit_per_minute=0,
        public_url="https://meteo.example",
        map_tiles_url="https://tiles.example/{z}/{x}/{y}.png",
    )
    make_tables(service.database)
    service.store.save_sites(service.sites())
    days = [first + timedelta(days=day) for day in range((TODAY - first).days + 1)]
    for day in days:
        secret = closed if day < JULY else recent
        for batch in _runs(day, secret):
            service.store.add_forecasts(batch)
        for readings in _readings(day, secret):
            service.store.add_observations(readings)
    update(service.database, EVENING)
    _finish_run(service, FORECASTS, ("arome", "open_meteo", "meteo_parapente"))
    _finish_run(service, OBSERVATIONS, ("ffvl", "romma"))
    return service


def _true_wind(moment: datetime) -> float:
    """Return the wind in km/h: a breeze by day, another each day, and some noise."""
    local = moment.astimezone(PARIS)
    day = np.random.default_rng(local.date().toordinal())
    strength, peak = day.uniform(10, 30), day.uniform(13, 16)
    noise = np.random.default_rng(int(moment.timestamp())).normal(0, 1.5)
    breeze = math.exp(-(((local.hour + local.minute / 60 - peak) / 4) ** 2))
    return float(max(round(2 + strength * breeze + noise, 1), 0.5))


def _public_values(moment: datetime, error: float) -> dict[Parameter, float]:
    wind = _true_wind(moment)
    turn = np.random.default_rng(int(moment.timestamp()) + 1).uniform(-12, 12)
    return {
        SPEED: max(round(wind + error * wind / 15, 1), 0.1),
        GUST: round((wind + error * wind / 15) * 1.4 + 3, 1),
        DIRECTION: round(215 + turn + error),  # far from the wholes of the secrets
        TEMPERATURE: round(14 + wind / 4 + error / 4, 1),
    }


def _secret_values(values: tuple[float, float, float, float], step: int) -> dict[Parameter, float]:
    speed, gust, direction, temperature = values
    # Without any change in direction, the readings would be set aside as those of a stuck sensor.
    return {
        SPEED: speed,
        GUST: gust,
        DIRECTION: round(direction + 6 * (step % 2), 1),
        TEMPERATURE: temperature,
    }


def _runs(day: date, secret: Secret) -> Iterator[ForecastBatch]:
    sites = ("ouvert", "derriere", "ferme", "releve", "sans-balise")
    hours = (6, 12) if (TODAY - day).days < 10 else (12,)
    for start in (datetime.combine(day, time(hour), UTC) for hour in hours):
        for model, (source, error) in {**PUBLIC_MODELS, "meteo_parapente": ("meteo_parapente", 0.0)}.items():
            records = []
            for lead in range(57):
                moment = start + timedelta(hours=lead)
                if model == "meteo_parapente":
                    values = _secret_values(secret.model, lead)
                else:
                    values = _public_values(moment, error)
                records += [
                    Forecast(model, site, parameter, start, moment, value)
                    for site in sites
                    for parameter, value in values.items()
                ]
            yield ForecastBatch(
                source=source,
                route="object_storage" if source == "arome" else "data",
                rank=0,
                collected_at=start + timedelta(hours=4),
                newest=start,
                run=Run(model, start, start + timedelta(hours=3), published=True),
                parts=("whole",),
                sites=sites,
                records=tuple(records),
            )


def _readings(day: date, secret: Secret) -> Iterator[ObservationBatch]:
    begins = datetime.combine(day, time(7, 5), PARIS).astimezone(UTC)
    moments = [begins + timedelta(minutes=10 * step) for step in range(13 * 6)]
    moments = [moment for moment in moments if moment < EVENING]
    for network in ("ffvl", "romma"):
        records = []
        for code in (code for code in STATIONS if code.startswith(network)):
            for step, moment in enumerate(moments):
                values = (
                    _public_values(moment, 0.0) if network == "ffvl" else _secret_values(secret.station, step)
                )
                records += [
                    Observation(code, parameter, moment, value) for parameter, value in values.items()
                ]
        yield ObservationBatch(
            source=network,
            route="winds_mobi" if network == "ffvl" else "pages",
            rank=1,
            collected_at=moments[-1] + timedelta(minutes=4),
            newest=moments[-1],
            records=tuple(records),
            averaging_minutes=10,
            stations=tuple(station for code, station in STATIONS.items() if code.startswith(network)),
        )


def _finish_run(service: Service, job: JobId, sources: tuple[str, ...]) -> None:
    slot = EVENING.replace(minute=0)
    claim = service.ledger.claim(job, "schedule", slot, slot)
    assert claim is not None
    service.ledger.finish(
        claim,
        "success",
        slot + timedelta(minutes=2),
        duration=60,
        sources=[
            SourceRun(source=source, status="success", collected=10, stored=10, newest=slot)
            for source in sources
        ],
    )
