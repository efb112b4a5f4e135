"""Météo-France's observations of six minutes, on the portal that also serves AROME: DPPaquetObs.

A slot has every station, and fills up for twenty minutes; a history has one station's last day. There is a
station at each site that names one; one further station has no anemometer, and one is overseas.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.core.clock import require_utc
from backend.core.units import KMH_PER_MS, ZERO_CELSIUS_K
from backend.demo.beacons import Beacon, SimulatedReading, json_response, measured_at, meteofrance_beacons
from backend.demo.noise import chance
from backend.demo.weather import DAY
from backend.demo.world import ACCEPTED_KEYS, View, World, utc

SLOT = 360  # seconds
FILLS_FOR = 1200  # seconds until a slot has every station
_UPSTREAM = "meteofrance_api"
_BASE = "/public/DPPaquetObs/v2/paquet"
NO_WIND = "04039001"


def ms(speed: float | None) -> float | None:
    """Write a speed (km/h) as the portal does."""
    return None if speed is None else round(speed / KMH_PER_MS, 1)


def kelvin(temperature: float | None) -> float | None:
    """Write a temperature (°C) as the portal does."""
    return None if temperature is None else round(temperature + ZERO_CELSIUS_K, 2)


def row(beacon: Beacon, reading: SimulatedReading) -> dict[str, Any]:
    """Compose the row of a station in a slot."""
    windless = beacon.number == NO_WIND
    direction = None if reading.sector is None or windless else round(22.5 * reading.sector)
    gust = None if windless else ms(reading.gust)
    return {
        "lat": beacon.site.latitude,
        "lon": beacon.site.longitude,
        "geo_id_insee": beacon.number,
        "reference_time": _stamp(reading.time + SLOT),
        "insert_time": _stamp(reading.time + 130),
        "validity_time": _stamp(reading.time),
        "t": kelvin(reading.temperature),
        "td": None,
        "u": None,
        "dd": direction,
        "ff": None if windless else ms(reading.mean),
        "ddraf10": None if gust is None else direction,
        "raf10": gust,
        "rr_per": 0,
        "pres": None,
    }


def _stamp(seconds: float) -> str:
    return f"{utc(seconds):%Y-%m-%dT%H:%M:%SZ}"


class _Observations:
    def __init__(self, world: World) -> None:
        self._world = world
        self._beacons = {beacon.number: beacon for beacon in meteofrance_beacons(world.sites)}

    async def slot(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return refusal
        try:
            slot = require_utc(datetime.fromisoformat(request.query_params["date"])).timestamp()
        except (KeyError, ValueError):
            return _problem(400, "paramètre invalide")
        view = self._world.view(_UPSTREAM)
        rows = [
            row(beacon, reading)
            for beacon in self._beacons.values()
            for reading in _published(view, beacon, slot + view.ahead, slot + view.ahead)
        ]
        return json_response(rows)

    async def history(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return refusal
        view = self._world.view(_UPSTREAM)
        beacon = self._beacons.get(request.query_params.get("id_station", ""))
        history = _published(view, beacon, view.now - DAY, view.now) if beacon else []
        return json_response([row(beacon, reading) for reading in history] if beacon else [])


def _published(view: View, beacon: Beacon, first: float, last: float) -> list[SimulatedReading]:
    """Return the readings of the slots from `first` to `last` that are published by now."""
    latest = view.now - FILLS_FOR * chance("fills", beacon.number) / 2
    slots = np.arange(-(-first // SLOT), min(last, latest) // SLOT + 1).astype(np.int64) * SLOT
    return measured_at(view, beacon, slots)


def _refusal(request: Request) -> Response | None:
    if request.headers.get("apikey") != ACCEPTED_KEYS["meteofrance_api_key"]:
        return _problem(401, "Invalid Credentials")
    return None


def _problem(status: int, message: str) -> Response:
    return json_response({"code": str(status), "message": message}, status)


def routes(world: World) -> list[Route]:
    """Return the portal's service of observations."""
    service = _Observations(world)
    return [
        Route(f"{_BASE}/stations/infrahoraire-6m", service.slot),
        Route(f"{_BASE}/infrahoraire-6m", service.history),
    ]
