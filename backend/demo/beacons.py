"""Beacons with positions and readings; the stand-ins convert them into the format of each network.

Every beacon measures the true weather of its site plus a little noise, every ten minutes (one network: every
thirty) from its own minute on. Some readings are missing, some are without wind or temperature, and a few
beacons stopped long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import numpy as np
from starlette.responses import Response

from backend.core.clock import PARIS
from backend.core.records import Site, number_of
from backend.core.registry import WINDS_MOBI_PROVIDERS
from backend.demo.faults import Fault
from backend.demo.noise import Floats, Integers, chance, normal, stream, uniform
from backend.demo.weather import DAY
from backend.demo.world import View, utc

PERIOD = 600
_SKIPPED = 0.04  # share of readings that are missing
_WINDLESS = 0.008  # share of readings without wind
_NO_TEMPERATURE = 0.03
_GUST_OF_A_ZERO = 11.0  # km/h: even rounded to whole km/h, the gust shows that a mean of 0 is a missing value
_NOISE_KMH, _NOISE_DEGREES, _NOISE_C = 0.5, 3.0, 0.2


@dataclass(frozen=True, slots=True)
class Beacon:
    """A beacon at a site, with a reading every `period` seconds. `kind` is the FFVL's name of its type.

    `last_heard` returns, for a time (seconds), the last reading of a beacon that has stopped; None for a
    working one.
    """

    network: str
    number: str
    site: Site
    kind: str = "FFVL"
    last_heard: Callable[[float], float] | None = None
    period: int = PERIOD

    @property
    def name(self) -> str:
        """Return its name in its network."""
        return f"{self.site.name} (démo {self.number})"

    @property
    def phase(self) -> int:
        """Return its delay after the full period, in seconds."""
        return int(self.period * chance("phase", self.network, self.number))


@dataclass(frozen=True, slots=True)
class SimulatedReading:
    """Values of a beacon at `time` (seconds, UTC): km/h, one of sixteen sectors (0 is north), °C.

    Wind and temperature are None where the sensor gave no value.
    """

    time: int
    mean: float | None
    gust: float | None
    lull: float | None
    sector: int | None
    temperature: float | None


def _months_ago(now: float) -> float:
    """Return an evening in August of the year before: five to seventeen months back."""
    return datetime(utc(now).year - 1, 8, 14, 17, 3, 20, tzinfo=PARIS).timestamp()


def _weeks_ago(now: float) -> float:
    """Return a time 12 to 19 days back."""
    return (now - 12 * DAY) // (7 * DAY) * (7 * DAY)


def ffvl_beacons(sites: Iterable[Site]) -> tuple[Beacon, ...]:
    """Return the beacons of the FFVL's feed: one per site, two that stopped, and one of another network."""
    sites = tuple(sites)
    return (
        *mapped("ffvl", sites),
        Beacon("ffvl", "9090", sites[0], last_heard=_months_ago),
        Beacon("ffvl", "9091", sites[-1], last_heard=_weeks_ago),
        Beacon("ffvl", "9777", sites[0], kind="PIOUPIOU"),
    )


def romma_beacons(sites: Iterable[Site]) -> tuple[Beacon, ...]:
    """Return the stations of ROMMA: one per site, and one that stopped."""
    sites = tuple(sites)
    return (*mapped("romma", sites), Beacon("romma", "990", sites[0], last_heard=_months_ago))


def pioupiou_beacons(sites: Iterable[Site]) -> tuple[Beacon, ...]:
    """Return the beacons of Pioupiou: one per site with one, one switched off, and one without a position."""
    sites = tuple(sites)
    return (
        *mapped("pioupiou", sites),
        Beacon("pioupiou", "8090", sites[0], last_heard=_months_ago),
        Beacon("pioupiou", "8091", sites[-1]),
    )


def meteofrance_beacons(sites: Iterable[Site]) -> tuple[Beacon, ...]:
    """Return the stations of Météo-France: one per site with one, and one without an anemometer."""
    sites = tuple(sites)
    return (*mapped("meteofrance", sites), Beacon("meteofrance", "04039001", sites[-1]))


def meteofrance_masts(sites: Iterable[Site]) -> tuple[Beacon, ...]:
    """Return the masts of the hourly files: one per site with one, an unmapped one, a rain gauge."""
    sites = tuple(sites)
    network = "meteofrance_hourly"
    others = (Beacon(network, "74999001", sites[0]), Beacon(network, "74999002", sites[-1]))
    return (*mapped(network, sites), *others)


def winds_mobi_stations(sites: Iterable[Site]) -> tuple[Beacon, ...]:
    """Return the stations of each further network of winds.mobi: one per site with one, and one more."""
    sites = tuple(sites)
    return tuple(
        replace(beacon, period=1800 if network == "slf" else PERIOD)
        for network in WINDS_MOBI_PROVIDERS
        for beacon in (*mapped(network, sites), Beacon(network, "DEM9", sites[-1]))
    )


def measured_at(view: View, beacon: Beacon, times: Integers) -> list[SimulatedReading]:
    """Return the readings of a station at these times (seconds, UTC), without missing ones."""
    return _measure(view, beacon, times) if len(times) else []


def mapped(network: str, sites: tuple[Site, ...]) -> tuple[Beacon, ...]:
    """Return a working beacon for each station of a network that a site names, by number."""
    numbers = {
        number_of(station): site
        for site in reversed(sites)
        for station in site.stations
        if station.startswith(f"{network}:")
    }
    ordered = sorted(numbers, key=lambda number: (len(number), number))
    return tuple(Beacon(network, number, numbers[number]) for number in ordered)


def readings(view: View, beacon: Beacon, since: float, until: float) -> list[SimulatedReading]:
    """Return the readings of a beacon after `since` and up to `until`, newest first."""
    if beacon.last_heard:
        last = int(beacon.last_heard(view.now))
        return _measure(view, beacon, np.array([last])) if since < last <= until else []
    phase, period = beacon.phase, beacon.period
    slots = np.arange((since - phase) // period + 1, (until - phase) // period + 1).astype(np.int64)
    came = uniform(_stream(view, beacon, "came"), slots) >= _SKIPPED
    return _measure(view, beacon, slots[came] * period + phase)[::-1]


def latest(view: View, beacon: Beacon, until: float) -> SimulatedReading | None:
    """Return the last reading of the beacon up to `until`, of any age."""
    if beacon.last_heard:
        until = beacon.last_heard(view.now)
        return readings(view, beacon, until - PERIOD, until)[0]
    return next(iter(readings(view, beacon, until - 20 * beacon.period, until)), None)


def _measure(view: View, beacon: Beacon, times: Integers) -> list[SimulatedReading]:
    truth = view.weather.truth(beacon.site, times.astype(np.float64))

    def noise(name: str, size: float) -> Floats:
        return size * normal(_stream(view, beacon, name), times)

    mean = np.maximum(truth.speed + noise("mean", _NOISE_KMH), 0.0)
    gust = np.maximum(truth.gust + noise("gust", _NOISE_KMH), mean)
    lull = mean * (0.5 + 0.2 * uniform(_stream(view, beacon, "lull"), times))
    if view.fault is Fault.ZERO_MEAN:
        mean = np.where(gust >= _GUST_OF_A_ZERO, 0.0, mean)
    sector = np.rint((truth.direction + noise("direction", _NOISE_DEGREES)) / 22.5).astype(np.int64) % 16
    warmth = truth.temperature + noise("temperature", _NOISE_C)
    has_wind = uniform(_stream(view, beacon, "wind said"), times) >= _WINDLESS
    has_temperature = uniform(_stream(view, beacon, "warmth said"), times) >= _NO_TEMPERATURE
    return [
        SimulatedReading(
            time=int(times[i]),
            mean=float(mean[i]) if has_wind[i] else None,
            gust=float(gust[i]) if has_wind[i] else None,
            lull=float(lull[i]) if has_wind[i] else None,
            sector=int(sector[i]) if has_wind[i] else None,
            temperature=float(warmth[i]) if has_temperature[i] else None,
        )
        for i in range(len(times))
    ]


def _stream(view: View, beacon: Beacon, name: str) -> int:
    return stream(view.weather.seed, beacon.network, beacon.number, name)


def json_response(content: object, status: int = 200) -> Response:
    """Return an answer of a network that writes JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")
