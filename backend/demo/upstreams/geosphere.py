"""GeoSphere Austria's data hub: the list of runs of C-LAEF 1 km, and time series at many points."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.core.registry import GEOSPHERE
from backend.core.units import KMH_PER_MS
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.noise import Floats
from backend.demo.weather import HOUR
from backend.demo.world import View, World, utc

(MODEL,) = (model.name for model in GEOSPHERE.models)

DELAY = timedelta(minutes=230)
"""Time from the start of a run until it is listed: "3 h 20 to 4 h" for the dataset before this one."""

KEPT_RUNS = 6
STEPS = 61
_CYCLE = 3 * HOUR
LISTED = DELAY + KEPT_RUNS * timedelta(seconds=_CYCLE)
"""Time from the start of a run until it is no longer listed."""

_SOUTH, _WEST, _NORTH, _EAST = 43.002, 5.0317, 51.498, 22.5682
_CELL = (0.009, 0.0135)  # degrees of latitude and longitude

_PATH = "/v1/timeseries/forecast/nwp-v2-1h-1km"

EXAMPLE = f"{_PATH}/metadata"
"""A request (path and query) that is answered with data."""


class Field(NamedTuple):
    """A parameter as it is described; `first` is its first step with a value."""

    name: str
    unit: str
    first: int = 0


FIELDS = {
    "2t": Field("2m temperature", "degree Celsius"),
    "10u": Field("10m eastward wind", "m s-1"),
    "10v": Field("10m northward wind", "m s-1"),
    "10fg": Field("maximum 10m gust speed", "m s-1", first=1),
}

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"10u":\{[^}]*\},?|"last_forecast_reftime":"[^"]*",', b""),
        Fault.NO_TEMPERATURE: (rb'"2t":\{[^}]*\},?', b""),
        Fault.NO_GUSTS: (rb',"10fg":\{[^}]*\}', b""),
        Fault.NO_PLACE: (
            rb'("features":\[\{"type":"Feature","geometry":\{"type":"Point","coordinates":)\[[^\]]*\]'
            rb'(\},"properties":\{"parameters":)\{.*?\}\}(\}\})',
            rb"\1[null,null]\2{}\3",
        ),
        Fault.NAN: (rb'("10u":\{[^}]*"data":\[)[^,\]]*', rb"\1NaN"),
    }
)


def runs(now: float) -> list[datetime]:
    """Return the starts of the listed runs, newest first."""
    newest = int((now - DELAY.total_seconds()) // _CYCLE * _CYCLE)
    return [utc(newest - number * _CYCLE) for number in range(KEPT_RUNS)]


def _stamp(moment: datetime) -> str:
    """Format a time as the data hub does: with its offset, and without seconds."""
    return f"{moment:%Y-%m-%dT%H:%M}+00:00"


def metadata(now: float) -> dict[str, object]:
    """Compose the metadata of the dataset."""
    listed = [_stamp(run) for run in runs(now)]
    return {
        "title": "nwp",
        "parameters": [
            {"name": name, "long_name": field.name, "desc": field.name, "unit": field.unit}
            for name, field in FIELDS.items()
        ],
        "frequency": "1H",
        "type": "timeseries",
        "mode": "forecast",
        "response_formats": ["geojson", "csv"],
        "last_forecast_reftime": listed[0],
        "max_forecast_offset": KEPT_RUNS - 1,
        "available_forecast_reftimes": listed,
        "forecast_length": STEPS,
        "bbox": [_SOUTH, _WEST, _NORTH, _EAST],
        "spatial_resolution_m": 1000,
        "crs": "EPSG:4326",
    }


def _snapped(degrees: float, origin: float, cell: float) -> float:
    return round(origin + round((degrees - origin) / cell) * cell, 4)


def _feature(view: View, query: Query, latitude: float, longitude: float, times: Floats) -> dict[str, object]:
    run = query.run.timestamp()
    forecast = view.weather.forecast(MODEL, view.nearest(latitude, longitude), run, times)
    columns = {"2t": forecast.temperature, "10u": forecast.u, "10v": forecast.v}
    columns["10fg"] = forecast.gust / KMH_PER_MS
    steps = np.rint((times - run) / HOUR).astype(int).tolist()
    return {
        "type": "Feature",
        "geometry": {
            "type": "Point",
            "coordinates": [
                _snapped(longitude, _WEST, _CELL[1]),
                _snapped(latitude, _SOUTH, _CELL[0]),
            ],
        },
        "properties": {
            "parameters": {
                name: {
                    "name": FIELDS[name].name,
                    "unit": FIELDS[name].unit,
                    "data": [
                        value if step >= FIELDS[name].first else None
                        for step, value in zip(steps, np.round(columns[name], 1).tolist(), strict=True)
                    ],
                }
                for name in query.parameters
            }
        },
    }


class Query(msgspec.Struct, frozen=True):
    """A request for time series, read and checked; `start` and `end` limit the hours."""

    run: datetime
    points: list[tuple[float, float]]
    parameters: list[str]
    start: datetime
    end: datetime


def _read(view: View, parameters: Mapping[str, str], points: list[str]) -> Query:
    """Read a request; raise ValueError with the text of the refusal."""
    try:
        run = runs(view.now)[int(parameters.get("forecast_offset", "0"))]
    except IndexError as error:
        raise ValueError("forecast_offset is too large") from error
    names = parameters["parameters"].split(",")
    for name in names:
        if name not in FIELDS:
            raise ValueError(f"Parameter {name} is not available")
    places = []
    for point in points:
        latitude, longitude = (float(degrees) for degrees in point.split(","))
        if not (_SOUTH <= latitude <= _NORTH and _WEST <= longitude <= _EAST):
            raise ValueError(f"Requested point {latitude:g},{longitude:g} is outside of dataset bounds!")
        places.append((latitude, longitude))
    # Without `start` the answer begins at the last hour before now.
    start = parameters.get("start")
    end = parameters.get("end")
    return Query(
        run=run,
        points=places,
        parameters=names,
        start=_moment(start) if start else utc(view.now // HOUR * HOUR),
        end=_moment(end) if end else run + timedelta(hours=STEPS - 1),
    )


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)


class _DataHub:
    def __init__(self, world: World) -> None:
        self._world = world

    async def metadata(self, _: Request) -> Response:
        return _json(metadata(self._world.view("geosphere").now))

    async def series(self, request: Request) -> Response:
        view = self._world.view("geosphere")
        try:
            query = _read(view, request.query_params, request.query_params.getlist("lat_lon"))
        except (KeyError, ValueError) as error:
            return _json({"detail": str(error)}, 400)
        hours = query.run.timestamp() + HOUR * np.arange(STEPS, dtype=np.float64)
        times = hours[(hours >= query.start.timestamp()) & (hours <= query.end.timestamp())]
        return _json(
            {
                "media_type": "application/json",
                "type": "FeatureCollection",
                "version": "v1",
                "reference_time": _stamp(query.run),
                "timestamps": [_stamp(utc(moment)) for moment in times.tolist()],
                "features": [_feature(view, query, *point, times) for point in query.points],
            }
        )


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def app(world: World) -> Router:
    """Return the upstream."""
    hub = _DataHub(world)
    return Router([Route(f"{_PATH}/metadata", hub.metadata), Route(_PATH, hub.series)])


def error_page() -> ErrorPage:
    """Return an error that comes with HTTP 200."""
    return b'{"detail":"The service is being restarted"}', "application/json"
