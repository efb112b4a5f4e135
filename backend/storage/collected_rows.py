"""Collected forecasts and readings of a site as columns of integers, the input of score days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from backend.core.columns import (
    DIRECTION,
    GUST,
    SPEED,
    TEMPERATURE,
    UNKNOWN_MINUTES,
    ForecastRows,
    ReadingRows,
    Times,
)
from backend.core.local_time import HOUR
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import network_of
from backend.core.registry import NETWORKS
from backend.storage import schema as t
from backend.storage.origins import batch_fields, other_batches
from backend.storage.rows import chunks, fetched, fetched_in_parts, value_columns

# --- Statements, built once: that takes longer than to execute them --------------------------------------

_SITE, _FIRST, _LAST = (sa.bindparam(name, type_=sa.BigInteger) for name in ("site", "first", "last"))
_WIND = (SPEED, DIRECTION, GUST)
_STATIONS_OF = sa.select(t.site.c.stations).where(t.site.c.id == _SITE)
_STATION_IDS = sa.select(t.station.c.code, t.station.c.id).where(
    t.station.c.code.in_(sa.bindparam("names", expanding=True))
)
_CODE_OF = sa.select(t.station.c.code).where(t.station.c.id == sa.bindparam("station"))
_FORECASTS = (
    sa.select(
        t.forecast.c.valid_time,
        t.forecast.c.batch_id,  # stands for model and run, which are then not read for every hour
        *(sa.func.coalesce(column, ABSENT) for column in value_columns(t.forecast)),
    )
    .where(t.forecast.c.site_id == sa.bindparam("owner"), t.forecast.c.valid_time.between(_FIRST, _LAST))
    .order_by(t.forecast.c.valid_time, t.forecast.c.model_id, t.forecast.c.reference_time)
)
_BATCHES = sa.select(
    t.forecast_batch.c.id,
    t.forecast_batch.c.model_id,
    t.forecast_batch.c.reference_time,
    t.forecast_batch.c.available_at,
    t.forecast_batch.c.published,
).where(t.forecast_batch.c.id.in_(sa.bindparam("ids", expanding=True)))
_AVERAGING = sa.func.coalesce(t.observation_batch.c.averaging_minutes, UNKNOWN_MINUTES)
_RESOLUTION = sa.cast(sa.func.coalesce(t.observation_batch.c.direction_resolution, 0) * 1000, sa.Integer)
_WAYS = sa.select(t.observation_batch.c.id, _AVERAGING, _RESOLUTION).where(
    t.observation_batch.c.id.in_(sa.bindparam("ids", expanding=True))
)
_ARRIVALS = (
    sa.select(t.observation.c.time, t.observation_batch.c.collected_at)
    .join_from(t.observation, t.observation_batch, t.observation_batch.c.id == t.observation.c.batch_id)
    .where(t.observation.c.station_id == sa.bindparam("owner"), t.observation.c.time.between(_FIRST, _LAST))
    .order_by(t.observation.c.time)
)
_READINGS = (
    sa.select(
        t.observation.c.time,
        _AVERAGING,
        _RESOLUTION,
        *(sa.func.coalesce(column, ABSENT) for column in value_columns(t.observation)),
    )
    .join_from(t.observation, t.observation_batch, t.observation_batch.c.id == t.observation.c.batch_id)
    .where(t.observation.c.station_id == sa.bindparam("owner"), t.observation.c.time.between(_FIRST, _LAST))
    .order_by(t.observation.c.time)
)

# --- The site ------------------------------------------------------------------------------------------


def site_stations(connection: sa.Connection, site_id: int) -> tuple[int, ...]:
    """Return the ids of the known stations of a site, in order of preference."""
    codes = connection.execute(_STATIONS_OF, {"site": site_id}).scalar_one()
    names = [code for code in codes.split(",") if code]
    ids = dict(map(tuple, connection.execute(_STATION_IDS, {"names": names})))
    return tuple(ids[name] for name in names if name in ids)


def site_slug(connection: sa.Connection, site_id: int) -> str:
    """Return the name of a site, which all its series share."""
    return str(connection.execute(sa.select(t.site.c.slug).where(t.site.c.id == site_id)).scalar_one())


def span_of(connection: sa.Connection, site_id: int, stations: Collection[int]) -> tuple[int, int] | None:
    """Return the times of the first and last hour that a stored value of a site or a station may belong to.

    None without a value. A reading of the last hour of a day may belong to the hour that begins the next one.
    """
    forecast, observation = t.forecast.c, t.observation.c
    ends: list[int] = []
    for column, owner, owners in (
        (forecast.valid_time, forecast.site_id, [site_id]),
        (observation.time, observation.station_id, stations),
    ):
        for owner_id in owners:
            query = sa.select(sa.func.min(column), sa.func.max(column)).where(owner == owner_id)
            ends += [end for end in connection.execute(query).one() if end is not None]
    return (min(ends), max(ends) + HOUR) if ends else None


# --- Columns of collected values ---------------------------------------------------------------------


def forecast_rows(connection: sa.Connection, site_id: int, first: int, last: int) -> ForecastRows:
    """Return the forecasts for a site that are valid from `first` to `last`."""
    table = _table(connection, _FORECASTS, 2 + len(Parameter), owner=site_id, first=first, last=last)
    others = other_batches(connection, t.forecast, site_id, first, last)
    ids = np.unique(table[:, 1])
    all_ids = {*ids.tolist(), *(batch for of_row in others.values() for batch in of_row.values())}
    batches = np.array(
        [
            tuple(batch)
            for some in chunks(sorted(all_ids))
            for batch in fetched(connection, _BATCHES, {"ids": some})
        ],
        np.int64,
    ).reshape(-1, 5)
    batches = batches[np.argsort(batches[:, 0])]
    of_batch = batches[np.searchsorted(batches[:, 0], table[:, 1])]
    rows = ForecastRows(
        valid_time=table[:, 0],
        model=of_batch[:, 1],
        reference_time=of_batch[:, 2],
        available_at=of_batch[:, 3].copy(),
        estimated=of_batch[:, 4] == 0,
        values=table[:, 2:].astype(np.int32),
        later=np.empty((0, 3), np.int64),
    )
    if not others:
        return rows
    known = {
        batch: (available_at, not published) for batch, _, _, available_at, published in batches.tolist()
    }
    return _with_later(rows, table[:, 1], {key[1:]: of_row for key, of_row in others.items()}, known)


def _with_later(
    rows: ForecastRows,
    batch: Times,
    others: Mapping[tuple[int, ...], Mapping[int, int]],
    known: Mapping[int, tuple[int, bool]],
) -> ForecastRows:
    """Return rows with the availability of each value; `known` has it per batch, with True for an estimate.

    `others` is by valid time, model and run.
    """
    later: list[tuple[int, int, int]] = []
    keys = zip(rows.valid_time.tolist(), rows.model.tolist(), rows.reference_time.tolist(), strict=True)
    for index, key in enumerate(keys):
        if key not in others:
            continue
        present = np.flatnonzero(rows.values[index] != ABSENT).tolist()
        availability = {place: known[others[key].get(place, int(batch[index]))] for place in present}
        earliest = min(available_at for available_at, _ in availability.values())
        rows.available_at[index] = earliest
        rows.estimated[index] = any(estimated for _, estimated in availability.values())
        later += (
            (index, place, available_at)
            for place, (available_at, _) in availability.items()
            if available_at > earliest
        )
    return replace(rows, later=np.array(later, np.int64).reshape(-1, 3))


def reading_rows(connection: sa.Connection, station_id: int, first: int, last: int) -> ReadingRows:
    """Return the readings of a station from `first` to `last`."""
    code = connection.execute(_CODE_OF, {"station": station_id}).scalar_one()
    network = NETWORKS.get(network_of(code))  # None for a network that is no longer in the registry
    table = _table(connection, _READINGS, 3 + len(Parameter), owner=station_id, first=first, last=last)
    rows = ReadingRows(
        time=table[:, 0],
        averaging=table[:, 1],
        values=table[:, 3:].astype(np.int32),
        resolution=table[:, 2],
        temperature_averaging=table[:, 1].copy(),
        gust_minutes=(network.gust_minutes if network else None) or UNKNOWN_MINUTES,
    )
    others = other_batches(connection, t.observation, station_id, first, last)
    ids = {batch for of_row in others.values() for batch in of_row.values()}
    ways = {
        number: (averaging, resolution)
        for some in chunks(sorted(ids))
        for number, averaging, resolution in fetched(connection, _WAYS, {"ids": some})
    }
    for (_, time), of_row in others.items():
        index = int(np.searchsorted(rows.time, time))
        # The averaging period of the wind is that of its first present value.
        wind = next((parameter for parameter in _WIND if rows.values[index, parameter] != ABSENT), None)
        if wind in of_row:
            rows.averaging[index] = ways[of_row[wind]][0]
        if DIRECTION in of_row:
            rows.resolution[index] = ways[of_row[DIRECTION]][1]
        if TEMPERATURE in of_row:
            rows.temperature_averaging[index] = ways[of_row[TEMPERATURE]][0]
    return rows


def arrived_rows(connection: sa.Connection, station_id: int, first: int, last: int, by: int) -> ReadingRows:
    """Return the readings of a station from `first` to `last` that had arrived by a moment (epoch seconds).

    A value that was corrected later is absent: the store keeps only the correction, and when it came.
    """
    rows = reading_rows(connection, station_id, first, last)
    table = _table(connection, _ARRIVALS, 2, owner=station_id, first=first, last=last)
    arrived = np.repeat(table[:, 1:], len(Parameter), axis=1)
    others = other_batches(connection, t.observation, station_id, first, last)
    ids = {batch for of_row in others.values() for batch in of_row.values()}
    times = batch_fields(connection, t.observation_batch, ids, ("collected_at",))
    for (_, time), of_row in others.items():
        index = int(np.searchsorted(rows.time, time))
        for place, batch in of_row.items():
            arrived[index, place] = times[batch][0]
    values = np.where(arrived <= by, rows.values, ABSENT)
    return replace(rows, values=values).where((values != ABSENT).any(axis=1))


def _table(
    connection: sa.Connection, query: sa.Select[Any], width: int, **parameters: int
) -> NDArray[np.int64]:
    """Return the rows of a query of whole numbers as an array."""
    rows = chain.from_iterable(fetched_in_parts(connection, query, parameters))
    return np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, width)
