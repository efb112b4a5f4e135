"""Open-Meteo: the newest run of a model (meta.json), and single runs as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.core.records import Site
from backend.core.registry import OPEN_METEO
from backend.core.units import KMH_PER_MS
from backend.demo.arome import complete_at, runs
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.grib import MAX_STEP
from backend.demo.noise import Floats, Integers
from backend.demo.weather import HOUR
from backend.demo.world import View, World, utc

_INGESTED_AFTER = timedelta(minutes=12)


class Served(NamedTuple):
    """A model as it is served: its names in questions, in metadata and in the weather, and when it is run.

    A run starts every `every` hours and reaches `horizon` hours; `minutes` later it is there. None: as soon
    as AROME's files are taken in. Hours between those that a model has are interpolated.
    """

    id: str
    domain: str
    weather: str
    every: int
    horizon: int
    minutes: int | None = None

    def available_at(self, run: datetime) -> datetime:
        """Return the time of publication of a run."""
        if self.minutes is None:
            return complete_at(self.weather.removeprefix("arome_"), run) + _INGESTED_AFTER
        return run + timedelta(minutes=self.minutes)

    def starts(self, run: datetime) -> bool:
        """True if the model has a run at this time."""
        return run.timestamp() % (self.every * HOUR) == 0


_AROME = (
    Served("meteofrance_arome_france", "meteofrance_arome_france0025", "arome_0025", 3, MAX_STEP),
    Served("meteofrance_arome_france_hd", "meteofrance_arome_france_hd", "arome_001", 3, MAX_STEP),
)

_MINUTES = {
    "icon_d2": 85,
    "icon_ch1": 105,
    "icon_ch2": 170,
    "icon_2i": 175,
    "dmi_harmonie": 165,
    "knmi_harmonie": 160,
    "arpege_europe": 280,
    "ecmwf_ifs025": 445,
    "gfs_global": 310,
}
"""Minutes from the start of a run to its publication, as seen in 2026; for others: 3/4 of the usual delay."""


SERVED = (
    *_AROME,
    *(
        Served(
            copy.id,
            copy.domain,
            model.name,
            every=24 // len(model.run_hours),
            horizon=copy.horizon,
            minutes=_MINUTES.get(model.name, int(0.75 * copy.delay / timedelta(minutes=1))),
        )
        for model in OPEN_METEO.models
        if (copy := model.open_meteo) is not None and copy.id not in {served.id for served in _AROME}
    ),
)
DOMAINS = {model.domain: model for model in SERVED}
MODELS = {model.id: model for model in SERVED} | {"meteofrance_arome_france0025": SERVED[0]}
VARIABLES = {
    "wind_speed_10m": "km/h",
    "wind_direction_10m": "°",
    "wind_gusts_10m": "km/h",
    "temperature_2m": "°C",
}

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"wind_speed_10m":\[[^\]]*\],?|"last_run_initialisation_time":\d+,', b""),
        Fault.NO_TEMPERATURE: (rb',"temperature_2m":\[[^\]]*\]', b""),
        Fault.NO_GUSTS: (rb',"wind_gusts_10m":\[[^\]]*\]', b""),
        Fault.NO_PLACE: (
            rb'\A(\[\{)"latitude":[^,]*,"longitude":[^,]*,(.*?"hourly":\{)[^}]*\}',
            rb'\1"latitude":nan,"longitude":nan,\2"time":[]}',
        ),
        Fault.NAN: (rb'("wind_speed_10m":\[)[^,\]]*', rb"\1NaN"),
    }
)


def meta(model: Served, now: float) -> bytes:
    """Compose meta.json of a model."""
    started = (run for run in runs(now, 2) if model.starts(run))
    run = max(run for run in started if model.available_at(run).timestamp() <= now)
    available = model.available_at(run).timestamp()
    return msgspec.json.encode(
        {
            "chunk_time_length": 157,
            "data_end_time": int(run.timestamp() + model.horizon * HOUR),
            "last_run_availability_time": int(available),
            "last_run_initialisation_time": int(run.timestamp()),
            "last_run_modification_time": int(available - 70),
            "temporal_resolution_seconds": 3600,
            "update_interval_seconds": model.every * 3600,
        }
    )


def _series(
    view: View, model: Served, site: Site, run: float, times: Floats
) -> dict[str, list[float | None]]:
    """Return every variable with the service's rounding: winds to 0.1 m/s; null where there is no value."""
    forecast = view.weather.forecast(model.weather, site, run, times)
    steps = np.rint((times - run) / HOUR).astype(np.int64)
    columns: dict[str, Floats | Integers] = {
        "wind_speed_10m": np.round(np.round(forecast.speed / KMH_PER_MS, 1) * KMH_PER_MS, 1),
        "wind_direction_10m": np.rint(forecast.direction).astype(np.int64) % 360,
        "wind_gusts_10m": np.round(np.round(forecast.gust / KMH_PER_MS, 1) * KMH_PER_MS, 1),
        "temperature_2m": np.round(forecast.temperature, 1),
    }
    first = {"wind_gusts_10m": 1}
    return {
        name: [
            value if first.get(name, 0) <= step <= model.horizon else None
            for step, value in zip(steps.tolist(), column.tolist(), strict=True)
        ]
        for name, column in columns.items()
    }


def _location(view: View, query: Query, site: Site) -> dict[str, object]:
    run = query.run.timestamp()
    times = run + view.ahead + HOUR * np.arange(24 * query.days, dtype=np.float64)
    stamps = [f"{utc(moment):%Y-%m-%dT%H:%M}" for moment in times]
    units: dict[str, str] = {"time": "iso8601"}
    hourly: dict[str, object] = {"time": stamps}
    for model in query.models:
        series = _series(view, MODELS[model], site, run, times)
        suffix = f"_{model}" if len(query.models) > 1 else ""
        for name in query.variables:
            units[name + suffix] = VARIABLES[name]
            hourly[name + suffix] = series[name]
    return {
        "latitude": round(site.latitude, 2),
        "longitude": round(site.longitude, 2),
        "generationtime_ms": 0.25,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "timezone_abbreviation": "GMT",
        "elevation": float(site.elevation),
        "hourly_units": units,
        "hourly": hourly,
    }


class Query(msgspec.Struct, frozen=True):
    """A request to the single-runs service, read and checked."""

    run: datetime
    places: list[tuple[float, float]]
    variables: list[str]
    models: list[str]
    days: int


def _read(parameters: Mapping[str, str]) -> Query:
    """Read a request; raise ValueError with the reason that the service would give."""
    try:
        query = Query(
            run=datetime.strptime(parameters["run"], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC),
            places=list(zip(_floats(parameters["latitude"]), _floats(parameters["longitude"]), strict=True)),
            variables=parameters["hourly"].split(","),
            models=parameters["models"].split(","),
            days=int(parameters.get("forecast_days", "7")),
        )
    except KeyError as error:
        raise ValueError(f"Parameter {error} is missing") from error
    for known, names in ((VARIABLES, query.variables), (MODELS, query.models)):
        for name in names:
            if name not in known:
                raise ValueError(f"Cannot initialize from invalid String value {name}")
    if parameters.get("wind_speed_unit", "kmh") != "kmh" or parameters.get("timezone", "GMT") not in {
        "GMT",
        "UTC",
    }:
        raise ValueError("The stand-in has only km/h and GMT")
    return query


def _floats(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


class _OpenMeteo:
    def __init__(self, world: World) -> None:
        self._world = world

    async def meta(self, request: Request) -> Response:
        model = DOMAINS.get(request.path_params["domain"])
        if model is None:
            return Response("Not found", 404, media_type="text/plain")
        return _json(meta(model, self._world.view("open_meteo").now))

    async def single_run(self, request: Request) -> Response:
        view = self._world.view("open_meteo_single_runs")
        try:
            query = _read(request.query_params)
        except ValueError as error:
            return _refused(str(error))
        for name in query.models:
            model = MODELS[name]
            if not model.starts(query.run) or model.available_at(query.run).timestamp() > view.now:
                return _refused(f"modelRunUnavailable(run: {query.run:%Y-%m-%dT%H:%MZ}, model: {name})")
        answers = [_location(view, query, view.nearest(*place)) for place in query.places]
        return _json(msgspec.json.encode(answers if len(answers) > 1 else answers[0]))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json; charset=utf-8")


def _refused(reason: str) -> Response:
    body = msgspec.json.encode({"error": True, "reason": reason})
    return Response(body, 400, media_type="application/json; charset=utf-8")


def app(world: World) -> Router:
    """Return the service of the metadata, with the newest run."""
    return Router([Route("/data/{domain}/static/meta.json", _OpenMeteo(world).meta)])


def single_runs_app(world: World) -> Router:
    """Return the service of single runs."""
    return Router([Route("/v1/forecast", _OpenMeteo(world).single_run)])


def error_page() -> ErrorPage:
    """Return an error that comes with HTTP 200."""
    return b'{"error":true,"reason":"The database is busy"}', "application/json"
