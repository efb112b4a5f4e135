"""A station whose level changes slowly against the models: a question to the operator that excludes nothing.

A worn bearing or a tree that grows makes a station read less and less, and season or a new version of a model
does the same to the models. So a drift is a question. Where another station of the site changes in the same
way, it is the models', and no question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import SPEED, TEMPERATURE, ForecastDays
from backend.core.local_time import HOURS_A_DAY, local_day, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.registry import OWN_MODEL
from backend.scoring.constants import (
    DRIFT_BEFORE,
    DRIFT_DAYS,
    DRIFT_LEAST,
    DRIFT_RATIO,
    DRIFT_TEMPERATURE,
)
from backend.scoring.grid import thousandths
from backend.scoring.views import EVENING_BEFORE
from backend.storage import days as store
from backend.storage.database import Connection, Database, from_epoch
from backend.storage.score_queries import model_ids, station_codes
from backend.storage.site_rows import present_ids
from backend.storage.station_flags import StationFlag

DRIFT = "drift"

_HOURS = 6  # of a day that both have; with fewer, the day does not count

Sums = NDArray[np.float64]
"""Per day (days, 3): number of hours with both, sum of the readings, sum of the forecasts."""


def drifts(database: Database, sites: Iterable[str], now: datetime) -> tuple[StationFlag, ...]:
    """Return which stations of these sites have drifted over the last DRIFT_DAYS.

    Raises StoreUnavailableError.
    """
    with database.read() as connection:
        ids = present_ids(connection, now)
        codes = station_codes(connection)
        return tuple(
            flag
            for site in sites
            if site in ids
            for flag in _of_site(connection, ids[site], site, codes, local_day(now))
        )


def _of_site(
    connection: Connection, site_id: int, site: str, codes: Mapping[int, str], today: int
) -> Iterator[StationFlag]:
    first = today - DRIFT_DAYS.value - DRIFT_BEFORE.value
    observed = store.observed_columns(connection, site_id, first, today - 1)
    forecasts = store.forecast_columns(connection, site_id, EVENING_BEFORE.number, first, today - 1)
    # Our own forecast learns from the station: it drifts with it.
    models = set(forecasts.owner.tolist()) - {model_ids(connection).get(OWN_MODEL.name)}
    stations = sorted(set(observed.owner.tolist()))
    days = today - first
    since = from_epoch(local_moment(today - DRIFT_DAYS.value))
    until = from_epoch(local_moment(today))
    for index, parameter in ((SPEED, Parameter.WIND_SPEED), (TEMPERATURE, Parameter.TEMPERATURE)):
        of_models = _model_mean(forecasts, models, index, first, days)
        measured = {
            station: _grid(observed.day[rows], observed.hourly[rows, index], first, days)
            for station in stations
            for rows in [observed.owner == station]
        }
        for station, mine in measured.items():
            if _changes(_sums(mine, of_models), index) not in ([-1, -1], [1, 1]):
                continue
            others = [each for other, each in measured.items() if other != station]
            if any(_changes(_sums(mine, other), index) == [0, 0] for other in others):
                continue  # the neighbour changed in the same way: it is the models
            yield StationFlag(codes[station], parameter, DRIFT, since, until, excludes=False, sites=(site,))


def _grid(day: NDArray[np.int64], hourly: NDArray[np.int32], first: int, days: int) -> NDArray[np.int32]:
    values = np.full((days, HOURS_A_DAY), ABSENT, np.int32)
    values[day - first] = hourly
    return values


def _model_mean(
    forecasts: ForecastDays, models: Iterable[int], index: int, first: int, days: int
) -> NDArray[np.int32]:
    """Return the mean of the models that reach over the whole time: one that comes or goes is no drift."""
    grids = []
    for model in sorted(models):
        rows = forecasts.owner == model
        grid = _grid(forecasts.day[rows], forecasts.hourly[rows, index], first, days)
        there = (grid != ABSENT).any(axis=1)
        if there[-DRIFT_DAYS.value :].sum() >= DRIFT_LEAST.value and (
            there[: -DRIFT_DAYS.value].sum() >= DRIFT_BEFORE.value // 2
        ):
            grids.append(grid)
    if not grids:
        return np.full((days, HOURS_A_DAY), ABSENT, np.int32)
    together = np.array(grids, np.int64)
    mean = together.sum(axis=0) // len(grids)
    return np.where((together != ABSENT).all(axis=0), mean, ABSENT).astype(np.int32)


def _sums(mine: NDArray[np.int32], other: NDArray[np.int32]) -> Sums:
    both = (mine != ABSENT) & (other != ABSENT)
    hours = both.sum(axis=1)
    sums = np.stack(
        [hours, np.where(both, mine, 0).sum(axis=1), np.where(both, other, 0).sum(axis=1)], axis=1
    )
    # A day with few common hours counts as a day without any.
    return np.where(hours[:, None] >= _HOURS, sums, 0).astype(np.float64)


def _changes(sums: Sums, index: int) -> list[int] | None:
    """Return for both halves of the last days: is the level lower (-1), higher (1) or as before (0).

    None with too few days.
    """
    recent, earlier = sums[-DRIFT_DAYS.value :], sums[: -DRIFT_DAYS.value]
    if (recent[:, 0] > 0).sum() < DRIFT_LEAST.value or (earlier[:, 0] > 0).sum() < DRIFT_BEFORE.value // 2:
        return None
    half = DRIFT_DAYS.value // 2
    levels = []
    for part in (earlier, recent[:half], recent[half:]):
        hours, measured, other = part.sum(axis=0)
        if hours == 0 or (index == SPEED and other <= 0):
            return None
        levels.append(measured / other if index == SPEED else (measured - other) / hours)
    before, *after = levels
    if index == SPEED:
        low, high = before * DRIFT_RATIO.value, before / DRIFT_RATIO.value
    else:
        low, high = (before + sign * thousandths(DRIFT_TEMPERATURE.value) for sign in (-1, 1))
    return [-1 if level < low else 1 if level > high else 0 for level in after]
