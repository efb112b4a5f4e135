"""Days for scores: what they are made from, as columns of integers, and the days themselves.

Values are whole thousandths of their unit; ABSENT stands for what is not there. Times are whole seconds
since 1970 in UTC.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from backend.core.local_time import HOURS_A_DAY, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.storage import schema as t
from backend.storage.bulk import copy_rows
from backend.storage.database import is_postgres
from backend.storage.rows import chunks, execute_many, fetched, value_columns

Ints = NDArray[np.int32]
Times = NDArray[np.int64]

UNKNOWN_MINUTES = 0
"""In an array of averaging periods: the source does not say."""


@dataclass(frozen=True, slots=True)
class ForecastRows:
    """Forecast hours of one site, by valid time, model and run; `values` has a column per parameter."""

    valid_time: Times
    model: Times
    reference_time: Times
    available_at: Times
    estimated: NDArray[np.bool_]
    values: Ints


@dataclass(frozen=True, slots=True)
class ReadingRows:
    """Readings of one station, by time; `averaging` in minutes, `values` with a column per parameter."""

    time: Times
    averaging: Times
    values: Ints
    resolution: float | None


@dataclass(frozen=True, slots=True)
class ForecastDay:
    """A row of forecast_day: hourly values (parameters × 25) and lead times in minutes (25)."""

    view: int
    model: int
    day: int
    hourly: Ints
    leads: NDArray[np.int16]
    estimated: int


@dataclass(frozen=True, slots=True)
class ObservedDay:
    """A row of observed_day: hourly values (parameters × 25), each reading's distance from its hour.

    `means` are of the same hours, each the mean of its reports.
    """

    station: int
    day: int
    hourly: Ints
    offsets: NDArray[np.int8]
    readings: int
    resolution: float | None
    means: Ints


NO_MEANS = np.full((len(Parameter), HOURS_A_DAY), ABSENT, "<i4").tobytes()
"""In place of the means of a day that was made before there were any: it is due."""

Doubt = tuple[int, int, int, str]
"""A reading that enters no score: station, time, index of the parameter, reason."""


# --- What is due -------------------------------------------------------------------------------------


def due_sites(connection: sa.Connection, until: int) -> list[int]:
    """Return the ids of the sites that have due days up to `until`, EVERY_DAY among them."""
    query = sa.select(t.due_day.c.site_id).where(t.due_day.c.day <= until).distinct()
    return sorted(connection.execute(query).scalars())


def due_days(connection: sa.Connection, site_id: int, until: int) -> dict[int, int]:
    """Return the due days of a site up to `until`, EVERY_DAY among them, with their stamps."""
    column = t.due_day.c
    query = sa.select(column.day, column.stamp).where(column.site_id == site_id, column.day <= until)
    return _pairs(connection, query)


def settle(connection: sa.Connection, site_id: int, stamps: Mapping[int, int]) -> bool:
    """Take days off the list of what is due; False, and nothing done, where they are not as read."""
    column = t.due_day.c
    for days in chunks(stamps):
        here = sa.and_(column.site_id == site_id, column.day.in_(days))
        now = _pairs(connection, sa.select(column.day, column.stamp).where(here))
        if now != {day: stamps[day] for day in days}:
            return False
    for days in chunks(stamps):
        connection.execute(sa.delete(t.due_day).where(column.site_id == site_id, column.day.in_(days)))
    stamp_days(connection, site_id)
    return True


def stamp_days(connection: sa.Connection, site_id: int) -> None:
    """Note that a site's days are not what they were: whoever remembers an answer asks again."""
    stamp = secrets.randbits(31)
    connection.execute(sa.update(t.site).where(t.site.c.id == site_id).values(days_stamp=stamp))


def site_stations(connection: sa.Connection, site_id: int) -> tuple[int, ...]:
    """Return the ids of the stations that speak for a site and are known, in order of preference."""
    codes = connection.execute(sa.select(t.site.c.stations).where(t.site.c.id == site_id)).scalar_one()
    names = [code for code in codes.split(",") if code]
    query = sa.select(t.station.c.code, t.station.c.id).where(t.station.c.code.in_(names))
    ids = _pairs(connection, query)
    return tuple(ids[name] for name in names if name in ids)


def span_of(connection: sa.Connection, site_id: int, stations: Collection[int]) -> tuple[int, int] | None:
    """Return the first and the last moment of anything kept for a site and its stations, or None."""
    forecast, observation = t.forecast.c, t.observation.c
    ends: list[int] = []
    for column, owner, owners in (
        (forecast.valid_time, forecast.site_id, [site_id]),
        (observation.time, observation.station_id, stations),
    ):
        for each in owners:
            query = sa.select(sa.func.min(column), sa.func.max(column)).where(owner == each)
            ends += [end for end in connection.execute(query).one() if end is not None]
    return (min(ends), max(ends)) if ends else None


# --- Columns of what was collected -------------------------------------------------------------------


def forecast_rows(connection: sa.Connection, site_id: int, first: int, last: int) -> ForecastRows:
    """Return the forecasts for a site that are valid from `first` to `last`."""
    forecast = t.forecast.c
    query = (
        sa.select(
            forecast.valid_time,
            forecast.model_id,
            forecast.reference_time,
            forecast.batch_id,
            *(sa.func.coalesce(column, ABSENT) for column in value_columns(t.forecast)),
        )
        .where(forecast.site_id == site_id, forecast.valid_time.between(first, last))
        .order_by(forecast.valid_time, forecast.model_id, forecast.reference_time)
    )
    table = _columns(connection, query, 4 + len(Parameter))
    available_at, published = _batch_times(connection, table[:, 3])
    return ForecastRows(
        valid_time=table[:, 0],
        model=table[:, 1],
        reference_time=table[:, 2],
        available_at=available_at,
        estimated=~published,
        values=table[:, 4:].astype(np.int32),
    )


def _batch_times(
    connection: sa.Connection, batch_ids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return when the run of each row's batch could be had, and whether its publisher said so."""
    batch = t.forecast_batch.c
    query = sa.select(batch.id, batch.available_at, batch.published)
    ids, row = np.unique(batch_ids, return_inverse=True)
    told = {
        batch_id: (available_at, published)
        for some in chunks(ids.tolist())
        for batch_id, available_at, published in connection.execute(query.where(batch.id.in_(some)))
    }
    available_at = np.array([told[batch_id][0] for batch_id in ids.tolist()], np.int64)
    published = np.array([told[batch_id][1] for batch_id in ids.tolist()], np.bool_)
    return available_at[row], published[row]


def reading_rows(connection: sa.Connection, station_id: int, first: int, last: int) -> ReadingRows:
    """Return the readings of a station from `first` to `last`."""
    observation, batch = t.observation.c, t.observation_batch.c
    query = (
        sa.select(
            observation.time,
            sa.func.coalesce(batch.averaging_minutes, UNKNOWN_MINUTES),
            sa.cast(sa.func.coalesce(batch.direction_resolution, 0) * 1000, sa.Integer),
            *(sa.func.coalesce(column, ABSENT) for column in value_columns(t.observation)),
        )
        .join_from(t.observation, t.observation_batch, batch.id == observation.batch_id)
        .where(observation.station_id == station_id, observation.time.between(first, last))
        .order_by(observation.time)
    )
    table = _columns(connection, query, 3 + len(Parameter))
    coarsest = int(table[:, 2].max()) / 1000 if len(table) else 0.0
    return ReadingRows(
        time=table[:, 0],
        averaging=table[:, 1],
        values=table[:, 3:].astype(np.int32),
        resolution=coarsest or None,
    )


def _pairs(connection: sa.Connection, query: sa.Select[Any]) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _columns(connection: sa.Connection, query: sa.Select[Any], width: int) -> NDArray[np.int64]:
    """Return what a query of whole numbers answers, as an array with a row per row."""
    return np.fromiter(chain.from_iterable(fetched(connection, query)), np.int64).reshape(-1, width)


# --- Days, written and read --------------------------------------------------------------------------


def write_forecast_days(
    connection: sa.Connection, site_id: int, views: Iterable[int], days: range, made: Iterable[ForecastDay]
) -> None:
    """Put new forecast days in the place of those that there are of these views and days."""
    column = t.forecast_day.c
    for view in views:
        connection.execute(
            sa.delete(t.forecast_day).where(
                column.site_id == site_id, column.view == view, column.day.between(days[0], days[-1])
            )
        )
    rows = [
        (
            site_id,
            day.view,
            day.day,
            day.model,
            _bytes(day.hourly, "<i4"),
            _bytes(day.leads, "<i2"),
            day.estimated,
        )
        for day in made
    ]
    _insert(connection, t.forecast_day, rows)


def write_observed_days(
    connection: sa.Connection,
    site_id: int,
    days: range,
    made: Iterable[ObservedDay],
    doubts: Iterable[Doubt],
) -> None:
    """Put new observed days and doubts in the place of those that there are of these days."""
    day, time_ = t.observed_day.c.day, t.doubted.c.time
    first, end = local_moment(days[0]), local_moment(days[-1] + 1)
    connection.execute(
        sa.delete(t.observed_day).where(t.observed_day.c.site_id == site_id, day.between(days[0], days[-1]))
    )
    connection.execute(
        sa.delete(t.doubted).where(t.doubted.c.site_id == site_id, time_ >= first, time_ < end)
    )
    rows = [
        (
            site_id,
            each.day,
            each.station,
            _bytes(each.hourly, "<i4"),
            _bytes(each.offsets, "<i1"),
            each.readings,
            each.resolution,
            _bytes(each.means, "<i4"),
        )
        for each in made
    ]
    _insert(connection, t.observed_day, rows)
    _insert(
        connection,
        t.doubted,
        [(site_id, time, station, parameter, reason) for station, time, parameter, reason in doubts],
    )


def doubted_counts(connection: sa.Connection, site_id: int, days: range) -> dict[tuple[int, int, str], int]:
    """Return how many values of these days are doubted, by station, index of the parameter, and reason."""
    column = t.doubted.c
    key = (column.station_id, column.parameter, column.reason)
    query = (
        sa.select(*key, sa.func.count())
        .where(column.site_id == site_id)
        .where(column.time >= local_moment(days[0]), column.time < local_moment(days[-1] + 1))
        .group_by(*key)
    )
    return {(row[0], row[1], row[2]): row[3] for row in connection.execute(query)}


def write_limits(connection: sa.Connection, site_id: int, limits: Mapping[int, Ints]) -> None:
    """Put limits in the place of those of these months."""
    column = t.quality_limit.c
    for months in chunks(limits):
        connection.execute(
            sa.delete(t.quality_limit).where(column.site_id == site_id, column.month.in_(months))
        )
    rows = [(site_id, month, _bytes(found, "<i4")) for month, found in limits.items()]
    _insert(connection, t.quality_limit, rows)


def read_limits(connection: sa.Connection, site_id: int) -> dict[int, Ints]:
    """Return the limits of each month, as they were written, flat."""
    column = t.quality_limit.c
    query = sa.select(column.month, column.limits).where(column.site_id == site_id)
    return {month: np.frombuffer(limits, "<i4") for month, limits in connection.execute(query)}


def forget(connection: sa.Connection, site_id: int) -> None:
    """Remove every day that was made for a site."""
    for table in (t.forecast_day, t.observed_day, t.doubted, t.quality_limit):
        connection.execute(sa.delete(table).where(table.c.site_id == site_id))


def read_forecast_days(
    connection: sa.Connection, site_id: int, view: int, first: int, last: int
) -> list[ForecastDay]:
    """Return a view's days from `first` to `last`, by day and model."""
    column = t.forecast_day.c
    query = (
        sa.select(column.model_id, column.day, column.hourly, column.leads, column.estimated)
        .where(column.site_id == site_id, column.view == view, column.day.between(first, last))
        .order_by(column.day, column.model_id)
    )
    return [
        ForecastDay(view, model, day, _hourly(hourly), np.frombuffer(leads, "<i2"), estimated)
        for model, day, hourly, leads, estimated in connection.execute(query)
    ]


def read_observed_days(connection: sa.Connection, site_id: int, first: int, last: int) -> list[ObservedDay]:
    """Return the days of all stations of a site from `first` to `last`, by day and station."""
    column = t.observed_day.c
    query = (
        sa.select(t.observed_day)
        .where(column.site_id == site_id, column.day.between(first, last))
        .order_by(column.day, column.station_id)
    )
    return [
        ObservedDay(
            row.station_id,
            row.day,
            _hourly(row.hourly),
            np.frombuffer(row.offsets, "i1"),
            row.readings,
            row.resolution,
            _hourly(NO_MEANS if row.means is None else row.means),
        )
        for row in connection.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class DayColumns:
    """Many days as columns: whose each is, its day, its values (n, 4, 25), and minutes of its hours (n, 25).

    The minutes are lead times, or distances of readings. `extra` is what the row says besides.
    """

    owner: Times
    day: Times
    hourly: Ints
    minutes: Times
    extra: tuple[Any, ...]


def forecast_columns(connection: sa.Connection, site_id: int, view: int, first: int, last: int) -> DayColumns:
    """Return a view's days from `first` to `last`; `extra` counts hours whose run told no time."""
    column = t.forecast_day.c
    query = sa.select(column.model_id, column.day, column.hourly, column.leads, column.estimated).where(
        column.site_id == site_id, column.view == view, column.day.between(first, last)
    )
    return _day_columns(fetched(connection, query), "<i2")


def observed_columns(
    connection: sa.Connection, site_id: int, first: int, last: int
) -> tuple[DayColumns, DayColumns]:
    """Return the days of all stations of a site from `first` to `last`, and the same with their hourly means.

    `extra` are resolutions.
    """
    column = t.observed_day.c
    query = sa.select(
        column.station_id, column.day, column.hourly, column.offsets, column.resolution, column.means
    ).where(column.site_id == site_id, column.day.between(first, last))
    rows = fetched(connection, query)
    days = _day_columns([row[:-1] for row in rows], "i1")
    means = b"".join(NO_MEANS if row[-1] is None else row[-1] for row in rows)
    return days, replace(days, hourly=_hours_of_days(means))


def _day_columns(rows: Sequence[tuple[Any, ...]], minutes: str) -> DayColumns:
    owners, days, hourly, told, extra = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return DayColumns(
        np.array(owners, np.int64),
        np.array(days, np.int64),
        _hours_of_days(b"".join(hourly)),
        np.frombuffer(b"".join(told), minutes).reshape(-1, HOURS_A_DAY).astype(np.int64),
        extra,
    )


def _hours_of_days(packed: bytes) -> Ints:
    return np.frombuffer(packed, "<i4").reshape(-1, len(Parameter), HOURS_A_DAY)


def _hourly(packed: bytes) -> Ints:
    return np.frombuffer(packed, "<i4").reshape(len(Parameter), HOURS_A_DAY)


def _bytes(values: NDArray[Any], kind: str) -> bytes:
    return np.ascontiguousarray(values, kind).tobytes()


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows, their values in the order of the table's columns."""
    if not rows:
        return
    if is_postgres(connection):
        copy_rows(connection, table, rows)
    else:
        execute_many(connection, sa.insert(table), table, rows)
