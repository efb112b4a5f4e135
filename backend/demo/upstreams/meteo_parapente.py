"""MeteoParapente's status.php and data.php, as documented in docs/sources/meteo_parapente.md.

Two details are assumptions, because they are undocumented: the wording of the refusal for a day that is not
public or does not exist, and that a run has no hours before its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.core.records import Site
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.noise import Floats, chance
from backend.demo.weather import HOUR
from backend.demo.world import View, World, utc

MODEL = "meteo_parapente"

# Hours between the start of a run and its publication, from and to, per cycle and day ahead.
DELAYS: dict[int, dict[int, tuple[float, float]]] = {
    0: {0: (6.3, 8.0), 1: (7.7, 9.5), 2: (9.2, 11.1), 3: (10.8, 11.3)},
    6: {0: (6.1, 6.4), 1: (7.6, 7.9), 2: (9.1, 9.4), 3: (10.1, 10.7), 4: (11.7, 12.2)},
    12: {1: (7.6, 7.8), 2: (9.1, 9.2), 3: (10.6, 10.7)},
    18: {1: (6.1, 6.2), 2: (7.5, 7.7), 3: (9.1, 9.3), 4: (10.6, 10.7), 5: (10.8, 12.5)},
}
KEPT_HOURS = 84.0
_ABSENT = 0.03  # share of (run, day) pairs that are never published
_STUCK = 0.015  # share that starts and is never finished
_VISIBLE_BEFORE = HOUR  # an unfinished pair is listed, with its progress, for this long

EXAMPLE = "/status.php"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"umet":\[[^\]]*\],|,"private":(true|false)', b""),
        Fault.NO_TEMPERATURE: (rb'"tc":\[[^\]]*\],', b""),
        Fault.NAN: (rb'("umet":\[)[^,\]]*', rb'\1"NaN"'),
    }
)

_LEVELS = np.array([8.2, 32.6, 78.0, 140.0, 215.0, 303.0, 404.0, 510.0, 617.0, 729.0, 837.0, 946.0])
_HALF_HOURS = np.arange(4.0, 21.01, 0.5) * HOUR
_HOURS = np.arange(4.0, 21.01, 1.0) * HOUR


@dataclass(frozen=True, slots=True)
class Pair:
    """One run and one day that it covers. `update` is its time of publication, None before."""

    run: datetime
    day: datetime
    status: str
    update: datetime | None


def published_at(seed: int, run: datetime, day: datetime) -> datetime | None:
    """Return the time of publication of a run's forecast for a day; None for a pair that has none."""
    delays = DELAYS.get(run.hour, {}).get(_days_ahead(run, day))
    pair = ("pair", run.isoformat(), day.isoformat())
    if delays is None or chance(seed, *pair, "fate") < _ABSENT + _STUCK:
        return None
    low, high = delays
    return (run + timedelta(hours=low + (high - low) * chance(seed, *pair))).replace(microsecond=0)


@lru_cache(maxsize=16)  # every data.php asks for the listing of the same stopped clock
def listing(seed: int, now: float) -> tuple[Pair, ...]:
    """Return the entries of status.php: the furthest day first, and of each day the newest run first."""
    cycle = int(6 * HOUR)
    runs = map(utc, range(int(now) // cycle * cycle, int(now - KEPT_HOURS * HOUR), -cycle))
    days = ((run, run.replace(hour=0) + timedelta(days=ahead)) for run in runs for ahead in DELAYS[run.hour])
    pairs = (pair for run, day in days if (pair := _pair(seed, run, day, now)))
    return tuple(sorted(pairs, key=lambda pair: (pair.day, pair.run), reverse=True))


def _days_ahead(run: datetime, day: datetime) -> int:
    return (day.date() - run.date()).days


def _pair(seed: int, run: datetime, day: datetime, now: float) -> Pair | None:
    update = published_at(seed, run, day)
    if update is None:  # never published, or stuck at a percentage
        fate = chance(seed, "pair", run.isoformat(), day.isoformat(), "fate")
        due = run.timestamp() + DELAYS[run.hour][_days_ahead(run, day)][0] * HOUR
        if fate < _ABSENT or now < due:
            return None
        return Pair(run, day, f"{int(40 + 50 * (fate - _ABSENT) / _STUCK)}%", None)
    late = now - update.timestamp()
    if late >= 0:
        return Pair(run, day, "complete", update)
    if late >= -_VISIBLE_BEFORE:
        return Pair(run, day, f"{int(100 + 100 * late / _VISIBLE_BEFORE)}%", None)
    return None


def private_day(pairs: tuple[Pair, ...]) -> datetime | None:
    """Return the day that is reserved for subscribers: the furthest one listed."""
    return pairs[0].day if pairs else None


def status(seed: int, now: float) -> bytes:
    """Compose status.php."""
    pairs = listing(seed, now)
    private = private_day(pairs)
    entries = [
        {
            "run": f"{pair.run:%Y%m%d%H}",
            "day": f"{pair.day:%Y%m%d}",
            "private": pair.day == private,
            "status": pair.status,
            **({"update": f"{pair.update:%Y-%m-%dT%H:%M:%SZ}"} if pair.update else {}),
        }
        for pair in pairs
    ]
    return msgspec.json.encode(
        {
            "france": entries,
            "app": {"favored": "3.9.0", "minimal": "3.8.0"},
            "js": {"manifest": "00d3m0", "vendor": "0d3m01", "client": "d3m020"},
            "tos": "2025-02-01T00:00:00Z",
            "news": [],
        }
    )


def failure(message: str, kind: str, now: float) -> bytes:
    """Compose a refusal: HTTP 200, and a `status` that is not "ok"."""
    return msgspec.json.encode({"message": message, "status": kind, "time": int(now)})


def data(view: View, site: Site, run: datetime, day: datetime, plot: str) -> bytes:
    """Compose data.php: one run's forecast for one place and one UTC day."""
    sounding = plot == "sounding"
    times = day.timestamp() + (_HALF_HOURS if sounding else _HOURS)
    times = times[times >= run.timestamp()]
    wind = view.weather.forecast(MODEL, site, run.timestamp(), times)
    ground = terrain(site)
    profile = 1.0 + 0.0006 * (_LEVELS - _LEVELS[0])  # the wind grows with height, from the lowest level
    columns: dict[str, list[list[float]]] = {
        "z": np.broadcast_to(np.round(ground + _LEVELS, 1), (len(times), len(_LEVELS))).tolist(),
        "umet": _rounded(wind.u[:, None] * profile, 2 if sounding else 1),
        "vmet": _rounded(wind.v[:, None] * profile, 2 if sounding else 1),
    }
    if sounding:
        lapse = 0.0065 * (_LEVELS - _LEVELS[0])
        columns["tc"] = _rounded(wind.temperature[:, None] - lapse, 3)
        columns["td"] = _rounded(wind.temperature[:, None] - 4.0 - 0.4 * lapse, 3)
        columns["p"] = [np.round(1013.25 * (1 - 2.2558e-5 * (ground + _LEVELS)) ** 5.2559, 2).tolist()] * len(
            times
        )
    flat: list[float] = [0] * len(_LEVELS)
    hours = {
        f"{utc(float(moment)):%H:%M}": {
            **{name: column[row] for name, column in columns.items()},
            "ter": ground,
            "pblh": 180,
            **(
                {} if sounding else {"raintot": 0, "cfracl": 0, "cfracm": 12.5, "cfrach": 100, "cldfra": flat}
            ),
            "ths": flat,
            "thr": flat,
        }
        for row, moment in enumerate(times)
    }
    return msgspec.json.encode(
        {"gridCoords": grid_cell(site), "data": hours, "status": "ok", "time": int(view.now)}
    )


def terrain(site: Site) -> float:
    """Return the model elevation at a site (metres): smoothed terrain, below the take-off."""
    return round(site.elevation - 60.0 - 240.0 * chance("terrain", site.id), 1)


def grid_cell(site: Site) -> dict[str, float]:
    """Return the cell of about 2.5 km for a site, with the requested position repeated."""
    return {
        "domain": 2,
        "sn": int((site.latitude - 33.4) / 0.0225),
        "we": int((site.longitude + 10.0) / 0.0323),
        "lat": round(site.latitude, 4),
        "lon": round(site.longitude, 4),
        "latDiff": 0,
        "lonDiff": 0,
    }


def _rounded(values: Floats, digits: int) -> list[list[float]]:
    """Round, and write a whole number without its point, as the real service does."""
    rows: list[list[float]] = np.round(values, digits).tolist()
    return [[int(value) if value.is_integer() else value for value in row] for row in rows]


def error_page() -> ErrorPage:
    """Return an error of the service that comes with HTTP 200."""
    return failure("Server is too busy", "error", 0.0), "application/json"


class _MeteoParapente:
    def __init__(self, world: World) -> None:
        self._world = world

    async def status(self, _: Request) -> Response:
        now = self._world.view(MODEL).now
        return Response(status(self._world.seed, now), media_type="application/json")

    async def data(self, request: Request) -> Response:
        view = self._world.view(MODEL)
        return Response(self._answer(view, request), media_type="application/json")

    def _answer(self, view: View, request: Request) -> bytes:
        query = request.query_params
        try:
            latitude, longitude = (float(part) for part in query["location"].split(","))
            run = _stamp(query["run"], "%Y%m%d%H")
            day = _stamp(query["date"], "%Y%m%d")
        except (KeyError, ValueError):
            return failure("Bad parameters", "bad_format", view.now)
        if query.get("plot") not in {"sounding", "windgram"}:
            return failure("Unknown plot", "bad_format", view.now)
        pairs = listing(self._world.seed, view.now)
        if not any((pair.run, pair.day, pair.status) == (run, day, "complete") for pair in pairs):
            return failure("No data for this run and date", "not_found", view.now)
        if day == private_day(pairs):
            return failure("This day is for subscribers", "forbidden", view.now)
        return data(view, view.nearest(latitude, longitude), run, day, query["plot"])


def _stamp(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def app(world: World) -> Router:
    """Return the upstream."""
    service = _MeteoParapente(world)
    return Router([Route("/status.php", service.status), Route("/data.php", service.data)])
