"""winds.mobi's copies of networks: epoch seconds, numbers, and zeros for missing values."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.demo.beacons import (
    Beacon,
    SimulatedReading,
    ffvl_beacons,
    json_response,
    latest,
    readings,
    winds_mobi_stations,
)
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.upstreams.ffvl import SECTORS
from backend.demo.weather import DAY
from backend.demo.world import World

LATENCY = 360  # seconds: it asks the networks every five minutes or less often
_FORGOTTEN = 10 * DAY  # a last value older than this is dropped
_HIDDEN = 30 * DAY  # and a station without a reading for longer is not shown
_HISTORY = 7 * DAY

EXAMPLE = "/api/2.3/stations/?provider=ffvl&limit=0"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"w-avg":[^,}]*,', b""),
        Fault.NO_TEMPERATURE: (rb',"temp":[^,}]*', b""),
        Fault.MOVED: (rb'("coordinates":\[[^,]*,)4', rb"\g<1>3"),
        Fault.ODD_ROW: (rb"\A\[(?={)", rb'\g<0>{"_id":false},'),
        Fault.NAN: (rb'("w-avg":)[^,}]*', rb"\1NaN"),  # Python's NaN, which is not JSON
    }
)


def measure(reading: SimulatedReading) -> dict[str, int | float]:
    """Compose a reading. The service writes 0 for a missing wind."""
    fields: dict[str, int | float] = {
        "_id": reading.time,
        "w-dir": 0 if reading.sector is None else SECTORS[reading.sector],
        "w-avg": float(round(reading.mean or 0.0)),
        "w-max": float(round(reading.gust or 0.0)),
    }
    if reading.temperature is not None:
        fields["temp"] = float(round(reading.temperature))
    return fields


def _id(beacon: Beacon) -> str:
    return f"{beacon.network}-{beacon.number}"


def _station(beacon: Beacon, reading: SimulatedReading, age: float) -> dict[str, object]:
    station: dict[str, object] = {
        "_id": _id(beacon),
        "alt": round(beacon.site.elevation),
        "loc": {"type": "Point", "coordinates": [beacon.site.longitude, beacon.site.latitude]},
        "name": beacon.name,
        "peak": False,
        "pv-code": beacon.network,
        "short": beacon.site.name,
        "status": "green" if age < 3600 else "red",
        "tz": "Europe/Paris",
    }
    return station if age > _FORGOTTEN else {**station, "last": measure(reading)}


class _WindsMobi:
    def __init__(self, world: World) -> None:
        self._world = world
        # Networks that the FFVL re-publishes are listed under their own names only.
        own = (beacon for beacon in ffvl_beacons(world.sites) if beacon.kind == "FFVL")
        self._beacons = {_id(beacon): beacon for beacon in (*own, *winds_mobi_stations(world.sites))}

    async def stations(self, request: Request) -> Response:
        query = request.query_params
        limit = int(query.get("limit", "20"))
        ids = query.getlist("ids")
        provider = query.get("provider")
        asked = [one for one in self._beacons.values() if provider in (None, one.network)]
        view = self._world.view("winds_mobi")
        newest = ((beacon, latest(view, beacon, view.now - LATENCY)) for beacon in asked)
        stations = [
            _station(beacon, reading, age)
            for beacon, reading in newest
            if reading and (age := view.now - reading.time) < _HIDDEN
        ]
        shown = [station for station in stations if not ids or station["_id"] in ids]
        return json_response(shown[: min(limit, 500)] if limit else shown)

    async def historic(self, request: Request) -> Response:
        """Answer with the readings of the last `duration` seconds before the station's last one."""
        view = self._world.view("winds_mobi")
        beacon = self._beacons.get(request.path_params["station"])
        last = latest(view, beacon, view.now - LATENCY) if beacon else None
        if beacon is None or last is None:
            return json_response({"detail": "Station not found"}, 404)
        duration = min(int(request.query_params.get("duration", "3600")), int(_HISTORY))
        return json_response(
            [measure(reading) for reading in readings(view, beacon, last.time - duration, last.time)]
        )


def app(world: World) -> Router:
    """Return the upstream."""
    service = _WindsMobi(world)
    return Router(
        [
            Route("/api/2.3/stations/", service.stations),
            Route("/api/2.3/stations/{station}/historic/", service.historic),
        ]
    )


def error_page() -> ErrorPage:
    """Return a refusal that comes with HTTP 200."""
    return b'{"detail":"Internal error"}', "application/json"
