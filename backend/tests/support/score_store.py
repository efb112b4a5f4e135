"""Stores that hold days of scores, written straight into the tables, without a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from backend.core.columns import MOST_REASONS, UNPAIRED, ForecastDays, ObservedDays
from backend.core.local_time import HOURS_A_DAY, day_number, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site
from backend.scoring.reasons import REASONS
from backend.scoring.views import EVENING_BEFORE, View
from backend.storage import days as store
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch
from backend.storage.site_rows import save_site

Grid = NDArray[np.float64]
"""Values (days, 25) in the parameter's unit; NaN is absent."""

SPEED, GUST, DIRECTION, TEMPERATURE = Parameter


def constant(days: int, value: float) -> Grid:
    """Return the same value in every hour."""
    return np.full((days, HOURS_A_DAY), value)


def keep(
    database: Database,
    site: Site,
    first: date,
    *,
    models: Mapping[str, Mapping[Parameter, Grid]],
    stations: Mapping[str, Mapping[Parameter, Grid]],
    views: Sequence[View] = (EVENING_BEFORE,),
    grounds: Mapping[str, float | None] | None = None,
    elevations: Mapping[str, float | None] | None = None,
    positions: Mapping[str, tuple[float, float]] | None = None,
    lead: int = 18 * 60,
    means: Mapping[str, Mapping[Parameter, Grid]] | None = None,
    doubts: Mapping[tuple[Parameter, str], int] | None = None,
) -> None:
    """Write days of models and of stations from a local day on, as an update would make them.

    `doubts` counts how many values of each day of every station are doubted, by parameter and reason.
    """
    start = day_number(first)
    with database.write() as connection:
        save_site(connection, site, from_epoch(local_moment(start)))
        site_id = connection.execute(sa.select(t.site.c.id).where(t.site.c.slug == site.id)).scalar_one()
        forecast_days = [
            _forecast_days(connection, site_id, start, name, values, (grounds or {}).get(name), lead)
            for name, values in models.items()
        ]
        if forecast_days:
            together = ForecastDays(*map(np.concatenate, zip(*map(_columns, forecast_days), strict=True)))
            days = range(start, max([start, *together.day.tolist()]) + 1)
            store.write_forecast_days(connection, site_id, days, {view.number: together for view in views})
        observed = []
        for code, values in stations.items():
            number = _number(connection, t.station, code=code)
            place = (positions or {}).get(code, (site.latitude, site.longitude))
            connection.execute(
                sa.update(t.station)
                .where(t.station.c.id == number)
                .values(
                    elevation=(elevations or {}).get(code, site.elevation),
                    latitude=place[0],
                    longitude=place[1],
                )
            )
            observed.append(_observed_days(start, number, values, (means or {}).get(code), doubts or {}))
        last = max([start, *(day for each in observed for day in each.day.tolist())])
        store.write_observed_days(connection, site_id, range(start, last + 1), observed, [])
        store.stamp_days(connection, site_id)


def _forecast_days(
    connection: sa.Connection,
    site_id: int,
    start: int,
    name: str,
    values: Mapping[Parameter, Grid],
    ground: float | None,
    lead: int,
) -> ForecastDays:
    number = _number(connection, t.model, name=name)
    if not connection.execute(
        sa.select(t.grid_point).where(t.grid_point.c.site_id == site_id, t.grid_point.c.model_id == number)
    ).first():
        connection.execute(
            sa.insert(t.grid_point).values(
                site_id=site_id, model_id=number, cell="1/1", ground=ground, height=10
            )
        )
    packed = _packed(values, start)
    there = (packed != ABSENT).any(axis=1)
    days = np.flatnonzero(there.any(axis=1))
    leads = np.where(there, lead, -1).astype(np.int16)
    none = np.zeros(len(days), np.int64)
    newest = np.zeros(packed[days].shape, np.int16)
    return ForecastDays(np.full(len(days), number), start + days, packed[days], leads[days], none, newest)


def _observed_days(
    start: int,
    number: int,
    values: Mapping[Parameter, Grid],
    means: Mapping[Parameter, Grid] | None,
    doubts: Mapping[tuple[Parameter, str], int],
) -> ObservedDays:
    packed = _packed(values, start)
    of_hours = np.full_like(packed, ABSENT) if means is None else _packed(means, start)
    days = np.flatnonzero((packed != ABSENT).any(axis=(1, 2)))
    offsets = np.where(packed[days, 0] != ABSENT, 0, UNPAIRED).astype(np.int8)
    count = len(days)
    owner, readings = np.full(count, number), np.full(count, 144)
    doubted = np.zeros((count, len(Parameter), MOST_REASONS), np.int64)
    for (parameter, reason), of_day in doubts.items():
        doubted[:, parameter.number, REASONS.index(reason)] = of_day
    return ObservedDays(
        owner, start + days, packed[days], offsets, readings, (None,) * count, of_hours[days], doubted
    )


def _columns(days: ForecastDays) -> tuple[NDArray[Any], ...]:
    return days.owner, days.day, days.hourly, days.minutes, days.estimated, days.older


def _packed(values: Mapping[Parameter, Grid], start: int) -> NDArray[np.int32]:
    """Return (days, 4, 25) in thousandths; what the clock change leaves out of a day is absent."""
    days = len(next(iter(values.values())))
    packed = np.full((days, len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
    exists = np.array(
        [
            np.arange(HOURS_A_DAY) < (local_moment(start + day + 1) - local_moment(start + day)) // 3600
            for day in range(days)
        ]
    )
    for parameter in Parameter:
        if parameter in values:
            given = values[parameter]
            known = ~np.isnan(given) & exists
            packed[:, parameter.number][known] = np.rint(given[known] * 1000)
    return packed


def _number(connection: sa.Connection, table: sa.Table, **key: str) -> int:
    ((name, value),) = key.items()
    query = sa.select(table.c.id).where(table.c[name] == value)
    found = connection.execute(query).scalar()
    if found is None:
        connection.execute(sa.insert(table).values(**key))
        found = connection.execute(query).scalar_one()
    return int(found)
