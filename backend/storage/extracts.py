"""Long stretches of what was collected, a month of one site or station at a time: for files.

Values are whole thousandths of their unit, None is absent, and times are seconds since 1970 in UTC. All
functions take an open connection, so that a whole file shows one state of the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.rows import fetched, value_columns

MONTH = 30 * 86_400

Row = tuple[Any, ...]


def forecast_extracts(
    connection: sa.Connection, site_id: int, first: int | None, end: int | None, models: Collection[int]
) -> Iterator[list[Row]]:
    """Yield the forecasts of some models for a site that are valid from `first` to before `end`.

    A row is valid time, model id, start of the run, values, when the run could be had, whether its publisher
    said so, when it came, and its source; by valid time, model and run.
    """
    forecast, batch = t.forecast.c, t.forecast_batch.c
    query = (
        sa.select(
            forecast.valid_time,
            forecast.model_id,
            forecast.reference_time,
            *value_columns(t.forecast),
            batch.available_at,
            batch.published,
            batch.collected_at,
            batch.source,
        )
        .join_from(t.forecast, t.forecast_batch, batch.id == forecast.batch_id)
        .where(forecast.site_id == site_id, forecast.model_id.in_(models))
        .order_by(forecast.valid_time, forecast.model_id, forecast.reference_time)
    )
    yield from _months(connection, query, forecast.valid_time, forecast.site_id == site_id, first, end)


def reading_extracts(
    connection: sa.Connection, station_id: int, first: int | None, end: int | None
) -> Iterator[list[Row]]:
    """Yield the readings of a station from `first` to before `end`, by time.

    A row is time, values, averaging period (minutes), resolution of directions (degrees), when it came, and
    its source.
    """
    observation, batch = t.observation.c, t.observation_batch.c
    query = (
        sa.select(
            observation.time,
            *value_columns(t.observation),
            batch.averaging_minutes,
            batch.direction_resolution,
            batch.collected_at,
            batch.source,
        )
        .join_from(t.observation, t.observation_batch, batch.id == observation.batch_id)
        .where(observation.station_id == station_id)
        .order_by(observation.time)
    )
    yield from _months(connection, query, observation.time, observation.station_id == station_id, first, end)


def kept_days(connection: sa.Connection, site_id: int) -> tuple[int, int] | None:
    """Return the first and last local day for which anything was forecast for a site, or None."""
    column = t.forecast_day.c
    query = sa.select(sa.func.min(column.day), sa.func.max(column.day)).where(column.site_id == site_id)
    first, last = connection.execute(query).one()
    return None if first is None else (first, last)


def _months(
    connection: sa.Connection,
    query: sa.Select[Any],
    time: sa.Column[int],
    here: sa.ColumnElement[bool],
    first: int | None,
    end: int | None,
) -> Iterator[list[Row]]:
    """Yield what a query answers, a month at a time and only months that have anything."""
    within = sa.and_(here, time >= first if first is not None else sa.true())
    if end is not None:
        within = sa.and_(within, time < end)
    # One by one: each is the end of a walk along the index, together they would be the whole of it.
    begin = connection.execute(sa.select(sa.func.min(time)).where(within)).scalar()
    last = connection.execute(sa.select(sa.func.max(time)).where(within)).scalar()
    while begin is not None and last is not None and begin <= last:
        rows = list(fetched(connection, query.where(time.between(begin, min(begin + MONTH - 1, last)))))
        if rows:
            yield rows
        begin = connection.execute(sa.select(sa.func.min(time)).where(within, time >= begin + MONTH)).scalar()
