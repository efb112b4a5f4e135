"""Forecasts and readings of long periods, one month of one site or station at a time, for exported files.

Values are whole thousandths of their unit, None is absent, and times are seconds since 1970 in UTC. All
functions take an open connection, so that a whole file shows one state of the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from backend.core.clock import DAY_SECONDS
from backend.core.utc_month import UtcMonth
from backend.storage import schema as t
from backend.storage.origins import batch_fields, other_batches
from backend.storage.rows import COLUMNS, fetched, value_columns

MONTH = 30 * DAY_SECONDS

_BEFORE_ALL = -(2**53)

Row = tuple[Any, ...]

_OF_FORECASTS = ("available_at", "published", "collected_at", "source")
_OF_READINGS = ("averaging_minutes", "direction_resolution", "collected_at", "source")


def forecast_extracts(
    connection: sa.Connection,
    site_id: int,
    first: int | None,
    end: int | None,
    models: Collection[int],
    more: Sequence[str] = (),
) -> Iterator[list[Row]]:
    """Yield the forecasts of some models for a site that are valid from `first` to before `end`.

    A row is valid time, model id, reference time, values, availability, whether the publisher stated the
    availability, time of collection, source, and the columns `more` of the batch, in the order of valid time,
    model and run. Values of the same hour from several batches are in one row each.
    """
    forecast, batch = t.forecast.c, t.forecast_batch.c
    names = (*_OF_FORECASTS, *more)
    query = (
        sa.select(
            forecast.valid_time,
            forecast.model_id,
            forecast.reference_time,
            *value_columns(t.forecast),
            *(batch[name] for name in names),
        )
        .join_from(t.forecast, t.forecast_batch, batch.id == forecast.batch_id)
        .where(forecast.site_id == site_id, forecast.model_id.in_(models))
        .order_by(forecast.valid_time, forecast.model_id, forecast.reference_time)
    )
    for rows in _months(connection, query, forecast.valid_time, forecast.site_id == site_id, first, end):
        yield _by_batch(connection, t.forecast, site_id, rows, t.forecast_batch, names)


def reading_extracts(
    connection: sa.Connection,
    station_id: int,
    first: int | None,
    end: int | None,
    more: Sequence[str] = (),
) -> Iterator[list[Row]]:
    """Yield the readings of a station from `first` to before `end`, by time.

    A row is time, values, averaging period (minutes), direction resolution (degrees), time of collection,
    source, and the columns `more` of the batch. Values of the same time from several batches are in one row
    each.
    """
    observation, batch = t.observation.c, t.observation_batch.c
    names = (*_OF_READINGS, *more)
    query = (
        sa.select(
            observation.time,
            *value_columns(t.observation),
            *(batch[name] for name in names),
        )
        .join_from(t.observation, t.observation_batch, batch.id == observation.batch_id)
        .where(observation.station_id == station_id)
        .order_by(observation.time)
    )
    for rows in _months(
        connection, query, observation.time, observation.station_id == station_id, first, end
    ):
        yield _by_batch(connection, t.observation, station_id, rows, t.observation_batch, names)


def _by_batch(
    connection: sa.Connection,
    table: sa.Table,
    owner: int,
    rows: list[Row],
    batches: sa.Table,
    names: Sequence[str],
) -> list[Row]:
    """Split rows of one site or station into one row per batch; `names` are columns of the batch."""
    batches_by_row = other_batches(connection, table, owner, rows[0][0], rows[-1][0])
    if not batches_by_row:
        return rows
    ids = {batch for of_row in batches_by_row.values() for batch in of_row.values()}
    fields = batch_fields(connection, batches, ids, names)
    length = len(table.primary_key.columns) - 1
    split_rows: list[Row] = []
    for row in rows:
        key, values = row[:length], row[length : length + len(COLUMNS)]
        fields[None] = row[length + len(COLUMNS) :]
        of_row = batches_by_row.get((owner, *key), {})
        for batch in (None, *sorted(set(of_row.values()))):
            values_of_batch = (
                value if of_row.get(index) == batch else None for index, value in enumerate(values)
            )
            split_rows.append((*key, *values_of_batch, *fields[batch]))
    return split_rows


def months_with_values(connection: sa.Connection, table: sa.Table) -> dict[UtcMonth, list[int]]:
    """Return the months with forecasts or readings, oldest first, each with its sites or stations (ids)."""
    owner, time = list(table.primary_key)[:2]
    owners = t.site.c.id if table is t.forecast else t.station.c.id
    following = sa.select(sa.func.min(time)).where(
        owner == sa.bindparam("owner"), time >= sa.bindparam("begin", type_=sa.BigInteger)
    )
    months: dict[UtcMonth, list[int]] = {}
    for owner_id in connection.execute(sa.select(owners).order_by(owners)).scalars().all():
        begin = _BEFORE_ALL
        # From month to month: each step is one look-up in the index.
        while (
            found := connection.execute(following, {"owner": owner_id, "begin": begin}).scalar()
        ) is not None:
            month = UtcMonth.of(found)
            months.setdefault(month, []).append(owner_id)
            begin = month.end
    return dict(sorted(months.items()))


def model_names(connection: sa.Connection) -> dict[int, str]:
    """Return the names of all models by id."""
    return {row.id: row.name for row in connection.execute(sa.select(t.model))}


def site_series(connection: sa.Connection) -> dict[int, tuple[str, int]]:
    """Return name and series of all sites by id, in the order of the names."""
    query = sa.select(t.site.c.id, t.site.c.slug, t.site.c.series)
    rows = connection.execute(query.order_by(t.site.c.slug, t.site.c.series))
    return {row.id: (row.slug, row.series) for row in rows}


def station_codes(connection: sa.Connection) -> dict[int, str]:
    """Return the codes of all stations by id, in the order of the codes."""
    query = sa.select(t.station.c.id, t.station.c.code).order_by(t.station.c.code)
    return {row.id: row.code for row in connection.execute(query)}


def owner_names(connection: sa.Connection, table: sa.Table) -> dict[int, str]:
    """Return the names of all sites, for forecasts, or the codes of all stations, by id."""
    if table is t.observation:
        return station_codes(connection)
    return {site_id: slug for site_id, (slug, _) in site_series(connection).items()}


def stored_days(connection: sa.Connection, site_id: int) -> tuple[int, int] | None:
    """Return the first and last local day with a stored forecast or reading of a site, or None."""
    ends = [
        day
        for column in (t.forecast_day.c, t.observed_day.c)
        for day in connection.execute(
            sa.select(sa.func.min(column.day), sa.func.max(column.day)).where(column.site_id == site_id)
        ).one()
        if day is not None
    ]
    return (min(ends), max(ends)) if ends else None


def _months(
    connection: sa.Connection,
    query: sa.Select[Any],
    time: sa.Column[int],
    here: sa.ColumnElement[bool],
    first: int | None,
    end: int | None,
) -> Iterator[list[Row]]:
    """Yield the rows of a query, one month at a time; months without rows are left out."""
    in_period = sa.and_(here, time >= first if first is not None else sa.true())
    if end is not None:
        in_period = sa.and_(in_period, time < end)
    # Two queries: each reads one end of the index. One query for both ends would read all of it.
    begin = connection.execute(sa.select(sa.func.min(time)).where(in_period)).scalar()
    last = connection.execute(sa.select(sa.func.max(time)).where(in_period)).scalar()
    while begin is not None and last is not None and begin <= last:
        rows = list(fetched(connection, query.where(time.between(begin, min(begin + MONTH - 1, last)))))
        if rows:
            yield rows
        begin = connection.execute(
            sa.select(sa.func.min(time)).where(in_period, time >= begin + MONTH)
        ).scalar()
