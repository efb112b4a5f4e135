"""Pioupiou / OpenWindMap: the newest reading of every beacon in one answer, and the archive of each.

Speeds are in quarters of a km/h, directions in steps of 22.5 degrees; there is no temperature. One beacon is
switched off and reports zero, one has no position, and one item has no number.
"""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.core.clock import require_utc
from backend.demo.beacons import Beacon, SimulatedReading, json_response, latest, pioupiou_beacons, readings
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.weather import DAY
from backend.demo.world import World, utc

LATENCY = 60  # seconds from a reading to its place here
SWITCHED_OFF, LOST = "8090", "8091"
_LONGEST = 31 * DAY
_LEGEND = (
    *("time", "latitude", "longitude", "wind_speed_min", "wind_speed_avg", "wind_speed_max"),
    *("wind_heading", "pressure"),
)
_UNITS = ("utc", "degrees", "degrees", "km/h", "km/h", "km/h", "degrees", "(deprecated)")
_CREDIT = "(c) contributors of the synthetic wind network"

EXAMPLE = "/v1/live/all"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"wind_speed_avg":[^,}]*,|"wind_speed_avg",', b""),
        Fault.MOVED: (rb'("latitude":|T[^"]*Z",)4', rb"\g<1>3"),
        Fault.ODD_ROW: (rb'"data":\[(?=[{\[])', rb"\g<0>null,"),
        Fault.NAN: (rb'("wind_speed_avg":)[^,}]*|(T[^"]*Z",[^,]*,[^,]*,[^,]*,)[^,]*', rb"\1\2NaN"),
    }
)


def quarters(speed: float | None) -> float | None:
    """Round a speed (km/h) as the beacons do."""
    return None if speed is None else round(4 * speed) / 4


def heading(reading: SimulatedReading) -> float | None:
    """Return the direction in the steps of the beacons."""
    return None if reading.sector is None else 22.5 * reading.sector


def stamp(seconds: float) -> str:
    """Write a time as the network does."""
    return f"{utc(seconds):%Y-%m-%dT%H:%M:%S}.000Z"


def item(beacon: Beacon, reading: SimulatedReading) -> dict[str, object]:
    """Compose the newest reading of a beacon. One that stopped is switched off, and has a mean of 0."""
    off = beacon.number == SWITCHED_OFF
    placed = beacon.number != LOST
    date = stamp(reading.time)
    return {
        "id": int(beacon.number),
        "meta": {"name": f" {beacon.name} "},
        "location": {
            "latitude": beacon.site.latitude if placed else 0.12345,
            "longitude": beacon.site.longitude if placed else 0.12345,
            "date": date,
            "success": placed,
            "hdop": 1 if placed else None,
        },
        "measurements": {
            "date": date,
            "pressure": None,
            "wind_heading": None if off else heading(reading),
            "wind_speed_avg": 0 if off else quarters(reading.mean),
            "wind_speed_max": None if off else quarters(reading.gust),
            "wind_speed_min": None if off else quarters(reading.lull),
        },
        "status": {"date": date, "snr": 0, "state": "off" if off else "on"},
    }


def nobody() -> dict[str, object]:
    """Compose an item without a beacon: it has no number, no position and no reading."""
    nothing = dict.fromkeys(("pressure", "wind_heading", "wind_speed_avg", "wind_speed_max"))
    return {
        "id": None,
        "meta": {"name": "Pioupiou "},
        "location": {"latitude": 0, "longitude": 0, "date": None, "success": False},
        "measurements": {"date": None, **nothing, "wind_speed_min": None},
        "status": {"date": None, "snr": None, "state": "off"},
    }


def row(beacon: Beacon, reading: SimulatedReading) -> list[object]:
    """Compose a row of the archive, in the order of its legend."""
    return [
        stamp(reading.time),
        beacon.site.latitude,
        beacon.site.longitude,
        quarters(reading.lull),
        quarters(reading.mean),
        quarters(reading.gust),
        heading(reading),
        None,
    ]


class _Pioupiou:
    def __init__(self, world: World) -> None:
        self._world = world
        self._beacons = {beacon.number: beacon for beacon in pioupiou_beacons(world.sites)}

    async def live(self, request: Request) -> Response:
        view = self._world.view("pioupiou")
        newest = ((beacon, latest(view, beacon, view.now - LATENCY)) for beacon in self._beacons.values())
        items = [item(beacon, reading) for beacon, reading in newest if reading]
        return _answer("live", {"data": [nobody(), *items]})

    async def archive(self, request: Request) -> Response:
        """Answer with the readings of a beacon from `start` to `stop`, oldest first."""
        view = self._world.view("pioupiou")
        beacon = self._beacons.get(request.path_params["station"])
        if beacon is None:
            return _refused("station_not_found", "unable to find station with this {station_id}", 404)
        try:
            start, stop = (
                require_utc(datetime.fromisoformat(request.query_params[name])).timestamp()
                for name in ("start", "stop")
            )
        except (KeyError, ValueError):
            return _refused("invalid_argument", "start and stop must be dates in ISO 8601", 400)
        if stop - start > _LONGEST:
            return _refused("request_too_large", "31 days is the most", 413)
        until = min(stop + view.ahead, view.now - LATENCY)
        newest_first = readings(view, beacon, start + view.ahead - 1, until)
        rows = [row(beacon, reading) for reading in reversed(newest_first)]
        return _answer("archive", {"legend": _LEGEND, "units": _UNITS, "data": rows})


def _answer(what: str, content: dict[str, object]) -> Response:
    head = {"doc": f"https://developers.pioupiou.fr/api/{what}/", "attribution": _CREDIT}
    return json_response(head | content)


def _refused(code: str, message: str, status: int) -> Response:
    return json_response({"error_code": code, "error_message": message}, status)


def app(world: World) -> Router:
    """Return the upstream."""
    service = _Pioupiou(world)
    return Router([Route("/v1/live/all", service.live), Route("/v1/archive/{station}", service.archive)])


def error_page() -> ErrorPage:
    """Return an error that comes with HTTP 200."""
    return b'{"error_code":"internal_error","error_message":"try again later"}', "application/json"
