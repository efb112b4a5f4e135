"""A store for the comparison with version 1 of the method, and the point figures that its answers give.

`method_one.json` holds the figures that commit 6ba75e7 (method version 1) computed from this store. They are
point figures only: intervals, tests and the choice of a duel belong to inference, which has its own tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from backend.main import Service
from backend.scoring.views import EVENING_BEFORE, LEAD_VIEWS, NOON, View
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, TEMPERATURE, Grid, keep
from backend.tests.support.served import ADMIN, make_service
from backend.tests.support.stores import make_tables

STORED = Path(__file__).parent / "method_one.json"
FIRST, LAST = date(2025, 10, 1), date(2026, 2, 17)
"""140 days with a change of the clocks (2025-10-26)."""

DAYS = (LAST - FIRST).days + 1
SITE = "/api/v1/sites/grand-pre"
SPAN = f"from={FIRST}&to={LAST}"
QUANTITIES = ("wind_speed", "wind_gust", "wind_direction", "temperature", "temperature_raw", "wind")
ASKED_VIEWS: tuple[View, ...] = (EVENING_BEFORE, NOON, LEAD_VIEWS[2])


def world(folder: Path) -> Service:
    """Return a service on the store: three models, one of them short and without gusts, and two stations."""
    service = make_service(folder)
    make_tables(service.database)
    wind = _wave(12.0, 9.0, 7) + _hourly(8.0)
    speed = np.maximum(wind, 0.0)
    observed: dict[Any, Grid] = {
        SPEED: _with_gaps(speed, 37),
        GUST: _with_gaps(speed * 1.5 + 3.0, 41),
        DIRECTION: _with_gaps((_wave(180.0, 150.0, 11) + 360.0) % 360.0, 53),
        TEMPERATURE: _with_gaps(_wave(4.0, 9.0, 13), 29),
    }
    beside = {
        parameter: _with_gaps(values + _wave(0.5, 2.0, 5), 31) for parameter, values in observed.items()
    }
    for one in (observed, beside):
        one[DIRECTION] = one[DIRECTION] % 360.0
        one[SPEED] = np.maximum(one[SPEED], 0.0)
    arome = _forecast(observed, 1.0, 3.0, 17)
    parapente = _forecast(observed, -2.0, 4.5, 19)
    short = {
        parameter: values
        for parameter, values in _forecast(observed, 4.0, 2.5, 23).items()
        if parameter != GUST
    }
    for values in short.values():
        values[:45] = np.nan
    keep(
        service.database,
        service.sites()[0],
        FIRST,
        models={"arome_0025": arome, "meteo_parapente": parapente, "icon_d2": short},
        stations={"ffvl:901": observed, "romma:902": beside},
        means={"ffvl:901": {parameter: np.round(values, 0) for parameter, values in observed.items()}},
        grounds={"arome_0025": 1400.0, "meteo_parapente": 1250.0, "icon_d2": None},
        positions={"romma:902": (45.9, 6.3)},
        views=(*ASKED_VIEWS, *LEAD_VIEWS[:2]),
    )
    return service


def _hours() -> Grid:
    return np.arange(DAYS * 25, dtype=np.float64).reshape(DAYS, 25)


def _wave(middle: float, size: float, step: int) -> Grid:
    """Return values that look irregular and are the same everywhere: tenths, by whole-number arithmetic."""
    number = np.arange(DAYS * 25, dtype=np.int64).reshape(DAYS, 25)
    mixed = (number * 7919 + (number // 25) ** 2 * 104_729 + step * 1_299_709) * 2_654_435_761 % 4_294_967_296
    return np.asarray(np.round(middle + size * (mixed / 2_147_483_648 - 1.0), 1))


def _hourly(size: float) -> Grid:
    """Return a daily course: nothing at night, most at 14."""
    hour = np.tile(np.arange(25, dtype=np.float64), (DAYS, 1))
    return np.asarray(np.round(size * np.maximum(0.0, 1.0 - np.abs(hour - 14.0) / 8.0), 1))


def _with_gaps(values: Grid, every: int) -> Grid:
    found = values.copy()
    found[_hours().astype(np.int64) % every == 0] = np.nan
    return found


def _forecast(observed: dict[Any, Grid], bias: float, size: float, step: int) -> dict[Any, Grid]:
    said = {}
    for index, (parameter, values) in enumerate(observed.items()):
        filled = np.where(np.isnan(values), 15.0, values)
        error = (
            bias + _hourly(2.0) + _wave(0.0, size * (8.0 if parameter == DIRECTION else 1.0), step + index)
        )
        shifted = np.round(filled + error, 1)
        said[parameter] = _with_gaps(
            shifted % 360.0
            if parameter == DIRECTION
            else np.maximum(shifted, -30.0 if parameter == TEMPERATURE else 0.0),
            59 + step,
        )
    return said


async def figures(client: httpx2.AsyncClient, more: str = "") -> dict[str, Any]:
    """Return the point figures of each answer, by what is asked; `more` is added to each address."""
    return {asked: _points(await _get(client, f"{SITE}/{asked}&{SPAN}{more}")) for asked in _asked()}


def _asked() -> Iterator[str]:
    for view in ASKED_VIEWS:
        yield from (f"verdict?view={view.name}&parameter={quantity}" for quantity in QUANTITIES)
        yield f"events?view={view.name}&limit=20&gustLimit=30"
    for quantity in QUANTITIES:
        yield f"scores?parameter={quantity}"
    for quantity in ("wind_speed", "wind_direction"):
        yield f"comparison?parameter={quantity}"
        yield f"bias?parameter={quantity}"
    yield from (f"scores?stratum={stratum}" for stratum in ("part_of_day", "month"))


async def _get(client: httpx2.AsyncClient, address: str) -> Any:
    answer = await client.get(address, headers=ADMIN)
    assert answer.status_code == 200, (address, answer.text)
    return answer.json()


POINTS = frozenset(
    [
        "nPairs",
        "nDays",
        "ownPairs",
        "rmse",
        "mae",
        "meanError",
        "errorSd",
        "correlation",
        "within",
        "p10",
        "p25",
        "median",
        "p75",
        "p90",
        "p90Abs",
        "circularBias",
        "circularSd",
        "resultant",
        "meanDirectionError",
        "lightWindPairs",
        "undefinedPairs",
        "breezeMae",
        "breezePairs",
        "scoreA",
        "scoreB",
        "difference",
        "skill",
        "used",
        "leftOut",
        "commonSampleShare",
        "hits",
        "falseAlarms",
        "misses",
        "correctRejections",
        "count",
        "of",
        "surpriseRate",
        "pod",
        "far",
        "pofd",
        "csi",
        "frequencyBias",
        "ets",
        "hss",
        "peirce",
        "sedi",
        "hours",
        "expected",
        "estimatedHours",
    ]
)
INFERENCE = {"interval", "intervals", "test", "robustness", "duel", "hourlyMeans"}


def _points(answer: Any) -> dict[str, Any]:
    return {
        ".".join(path): round(value, 6) if isinstance(value, float) else value
        for path, value in _leaves(answer, ())
        if path[-1] in POINTS and INFERENCE.isdisjoint(path)
    }


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, _name(each, index)))
    elif not isinstance(value, str | bool):
        yield path, value


def _name(each: Any, index: int) -> str:
    """Return what an item of a list is known by, so that the order of a list is no figure."""
    for key in ("model", "group", "station", "month", "event"):
        if isinstance(each, dict) and key in each:
            return str(each[key])
    if isinstance(each, dict) and "a" in each:
        return f"{each['a']}-{each['b']}"
    return str(index)
