"""The values of a store, compared with the simulated weather itself, without any collector or parser.

The matrix compares stores with each other; this module compares the undisturbed one with the truth. It
finds, for example, a reading in October's doubled hour that is stored at the wrong instant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from backend.core.parameters import RULES, Parameter
from backend.core.sites import load_sites
from backend.core.units import KMH_PER_MS, ZERO_CELSIUS_K
from backend.demo.beacons import (
    Beacon,
    SimulatedReading,
    ffvl_beacons,
    measured_at,
    meteofrance_beacons,
    meteofrance_masts,
    pioupiou_beacons,
    readings,
    romma_beacons,
    winds_mobi_stations,
)
from backend.demo.store import SITES_FILE
from backend.demo.upstreams.ffvl import SECTORS
from backend.demo.upstreams.meteofrance import kelvin, ms
from backend.demo.weather import DAY, Weather
from backend.demo.world import View
from backend.storage import schema as t
from backend.storage.database import Database

Key = tuple[str | int, ...]
Values = dict[Key, int]
"""Values of a store, in thousandths: (station, time, parameter), or (model, site, run, time, parameter)."""

NAMES = tuple(parameter.value for parameter in Parameter)
SEED = 1
SITES = load_sites(SITES_FILE)

OFF_KMH, OFF_DEGREES, OFF_CELSIUS = 0.3, 0.6, 0.15
"""Errors by packing and rounding: Open-Meteo rounds to 0.1 m/s (0.36 km/h) and whole degrees.

The same error of the components turns a weak wind further than a strong one.
"""

DEAD_DAYS = 520
"""For how many days a network may show the same last reading of a dead beacon."""

BY_THE_CLOCK = {"meteofrance", "meteofrance_hourly"}
"""The networks whose stations report at fixed minutes of the hour."""

BY_WINDS_MOBI = {"ffvl", "meteoswiss", "slf"}
"""The networks that winds.mobi carries: whole degrees."""

DECIMALS = {"ffvl": 0, "romma": 1, "meteoswiss": 0, "slf": 0}
"""To how many decimals a network rounds its temperatures; winds are whole km/h, but quarters for Pioupiou."""


def values(database: Database) -> Values:
    """Return every value of a store."""
    forecast, observation = t.forecast.c, t.observation.c
    forecasts = (
        sa.select(
            *(t.model.c.name, t.site.c.slug, forecast.reference_time, forecast.valid_time),
            *(forecast[name] for name in NAMES),
        )
        .join_from(t.forecast, t.model, t.model.c.id == forecast.model_id)
        .join(t.site, t.site.c.id == forecast.site_id)
    )
    observations = sa.select(
        *(t.station.c.code, observation.time), *(observation[name] for name in NAMES)
    ).join_from(t.observation, t.station, t.station.c.id == observation.station_id)
    stored: Values = {}
    with database.read() as connection:
        for query in (forecasts, observations):
            for row in connection.execute(query):
                key = tuple(row[: -len(NAMES)])
                for name, value in zip(NAMES, row[-len(NAMES) :], strict=True):
                    if value is not None:
                        stored[*key, name] = value
    return stored


def untrue(stored: Values) -> list[Key]:
    """Return the keys whose values the weather does not confirm."""
    forecasts: Values = {key: value for key, value in stored.items() if len(key) == 5}
    observations: Values = {key: value for key, value in stored.items() if len(key) == 3}
    return [*_untrue_forecasts(forecasts), *_untrue_readings(observations)]


def _untrue_forecasts(stored: Values) -> list[Key]:
    weather, by_id = Weather(SEED), {site.id: site for site in SITES}
    series: dict[tuple[str, str, int], list[Key]] = {}
    for key in stored:
        model, site, run = key[:3]
        series.setdefault((str(model), str(site), int(run)), []).append(key)
    wrong = []
    for (model, site, run), keys in series.items():
        times = np.array([float(key[3]) for key in keys])
        simulated = weather.forecast(model, by_id[site], float(run), times)
        # In a wind as weak as the rounding error, any direction is possible.
        turned = np.where(simulated.speed > OFF_KMH, np.degrees(np.arctan2(OFF_KMH, simulated.speed)), 180.0)
        columns = {
            Parameter.WIND_SPEED: (simulated.speed, np.full_like(times, OFF_KMH)),
            Parameter.WIND_GUST: (simulated.gust, np.full_like(times, OFF_KMH)),
            Parameter.WIND_DIRECTION: (simulated.direction, OFF_DEGREES + turned),
            Parameter.TEMPERATURE: (simulated.temperature, np.full_like(times, OFF_CELSIUS)),
        }
        for index, key in enumerate(keys):
            parameter = Parameter(str(key[4]))
            values, off = columns[parameter]
            if _distance(parameter, stored[key] / 1000, values[index]) > off[index]:
                wrong.append(key)
    return wrong


def _distance(parameter: Parameter, one: float, other: float) -> float:
    distance = abs(one - other)
    return min(distance, 360.0 - distance) if RULES[parameter].circular else distance


def _written(reading: SimulatedReading, parameter: Parameter) -> int | None:
    """Return a value in thousandths as Météo-France writes it: tenths of m/s, hundredths of a kelvin."""
    match parameter:
        case Parameter.WIND_DIRECTION:
            return None if reading.sector is None else 1000 * round(22.5 * reading.sector)
        case Parameter.TEMPERATURE:
            warmth = kelvin(reading.temperature)
            return None if warmth is None else round(1000 * (warmth - ZERO_CELSIUS_K))
        case _:
            speed = ms(reading.mean if parameter is Parameter.WIND_SPEED else reading.gust)
            return None if speed is None else round(1000 * speed * KMH_PER_MS)


def _untrue_readings(stored: Values) -> list[Key]:
    now = max((float(time) for _, time, _ in stored), default=0.0)
    view = View(now=now, weather=Weather(SEED), sites=SITES)
    networks = (
        *(ffvl_beacons, romma_beacons, pioupiou_beacons, meteofrance_beacons, meteofrance_masts),
        winds_mobi_stations,
    )
    beacons = {f"{b.network}:{b.number}": b for network in networks for b in network(SITES)}
    spans: dict[str, list[int]] = {}
    for station, time, _ in stored:
        spans.setdefault(str(station), []).append(int(time))
    simulated = {
        (station, _stored_time(station, reading)): reading
        for station, times in spans.items()
        for reading in _simulated(view, beacons[station], times)
    }
    return [
        key
        for key, value in stored.items()
        if value != _measured(str(key[0]), simulated.get((str(key[0]), int(key[1]))), Parameter(str(key[2])))
    ]


def _simulated(view: View, beacon: Beacon, times: list[int]) -> list[SimulatedReading]:
    """Return the readings of a beacon about these times; the last one of a dead beacon depends on the day."""
    if beacon.network in BY_THE_CLOCK:  # by the clock
        return measured_at(view, beacon, np.array(sorted(set(times))))
    first, last = min(times) - 60, max(times) + 60
    if beacon.last_heard is None:
        return readings(view, beacon, first, last)
    days = (first + day * DAY for day in range(DEAD_DAYS))
    return [reading for now in days for reading in readings(replace(view, now=now), beacon, first, last)]


def _stored_time(station: str, reading: SimulatedReading) -> int:
    """Return the time a reading is stored with: whole minutes, except where each route states seconds."""
    to_the_minute = {"romma", *BY_WINDS_MOBI}
    return reading.time // 60 * 60 if station.partition(":")[0] in to_the_minute else reading.time


def _measured(station: str, reading: SimulatedReading | None, parameter: Parameter) -> int | None:
    """Return a value in thousandths as its network rounds it, or None where there is none."""
    network = station.partition(":")[0]
    if reading is None:
        return None
    if network == "meteofrance":
        return _written(reading, parameter)
    if network == "meteofrance_hourly" and parameter is Parameter.TEMPERATURE:
        return None if reading.temperature is None else round(1000 * round(reading.temperature, 1))
    if network == "meteofrance_hourly":
        return _written(reading, parameter)
    if parameter is Parameter.WIND_DIRECTION:
        if reading.sector is None:
            return None
        return round(1000 * (SECTORS[reading.sector] if network in BY_WINDS_MOBI else 22.5 * reading.sector))
    if parameter is Parameter.TEMPERATURE:
        warmth = reading.temperature
        return None if warmth is None else round(1000 * round(warmth, DECIMALS[network]))
    speed = reading.mean if parameter is Parameter.WIND_SPEED else reading.gust
    if speed is None:
        return None
    return 250 * round(4 * speed) if network == "pioupiou" else 1000 * round(speed)
