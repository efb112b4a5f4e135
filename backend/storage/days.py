"""Days for scores: what they are made from, as columns of integers, and the days themselves.

Values are whole thousandths of their unit; ABSENT stands for what is not there. Times are whole seconds
since 1970 in UTC.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import sqlite

from backend.core.local_time import HOURS_A_DAY, local_moment, month_days, month_number
from backend.core.parameters import ABSENT, Parameter
from backend.storage import schema as t
from backend.storage.database import is_postgres
from backend.storage.due import EVERY_DAY
from backend.storage.origins import other_batches
from backend.storage.postgres_copy import copy_rows
from backend.storage.rows import chunks, fetched, fetched_in_parts, value_columns

Ints = NDArray[np.int32]
Times = NDArray[np.int64]

DAYS_A_YEAR = 366

UNKNOWN_MINUTES = 0
"""In an array of averaging periods: the source does not say."""


@dataclass(frozen=True, slots=True)
class ForecastRows:
    """Forecast hours of one site, by valid time, model and run; `values` has a column per parameter.

    `available_at` is that of the value of an hour that was available first. `later` has a row for each value
    that was available later: index of the hour, index of the parameter, when.
    """

    valid_time: Times
    model: Times
    reference_time: Times
    available_at: Times
    estimated: NDArray[np.bool_]
    values: Ints
    later: Times


@dataclass(frozen=True, slots=True)
class ReadingRows:
    """Readings of one station, by time; `averaging` in minutes, `values` with a column per parameter.

    `averaging` is that of the wind, `temperature_averaging` that of the temperature. `resolution` is of their
    directions, in thousandths of a degree; 0 where the source does not say.
    """

    time: Times
    averaging: Times
    values: Ints
    resolution: Times
    temperature_averaging: Times


@dataclass(frozen=True, slots=True, eq=False)
class DayColumns:
    """Many days as columns: whose each is, its day, its values (n, 4, 25), minutes of its hours (n, 25)."""

    owner: Times
    day: Times
    hourly: Ints
    minutes: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastDays(DayColumns):
    """Rows of forecast_day of one view: `owner` is a model, `minutes` are lead times.

    `minutes` are of the newest run; `older` (n, 4, 25) is by how many minutes the run that a value is from is
    older than that one. `estimated` counts the hours of each whose run told no time of publication.
    """

    estimated: Times
    older: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ObservedDays(DayColumns):
    """Rows of observed_day: `owner` is a station, `minutes` are distances of readings from their hour.

    `readings` is how many there were on the day, `resolution` the coarsest of their directions in degrees or
    None.
    `means` are of the same hours (n, 4, 25), each the mean of its reports. `doubts` (n, 4, 8) counts the
    values of the day that are doubted, by parameter and by the number of the reason.
    """

    readings: Times
    resolution: tuple[float | None, ...]
    means: Ints
    doubts: NDArray[np.integer[Any]]


NO_MEANS = np.full((len(Parameter), HOURS_A_DAY), ABSENT, "<i4").tobytes()
"""In place of the means of a day that was made before there were any: it is due."""

NO_OLDER = np.zeros((len(Parameter), HOURS_A_DAY), "<i2").tobytes()
"""In place of the ages of the runs of a day whose values are all of the newest run."""

MOST_REASONS = 16
"""For how many reasons to doubt a value a day has room."""

NO_DOUBTS = np.zeros((len(Parameter), MOST_REASONS), "<u2").tobytes()
"""In place of the counts of a day that was made before they were kept with it, and had none to count."""

Doubt = tuple[int, int, int, str]
"""A reading that enters no score: station, time, index of the parameter, reason."""


FlagRow = tuple[int, int, str, int, int, bool]
"""A flag: station, index of the parameter, reason, first moment, first moment after it, does it exclude."""


# --- Statements: to build one takes longer than to execute it ------------------------------------------

_SPEED, _GUST, _DIRECTION, _TEMPERATURE = range(len(Parameter))
_WIND = (_SPEED, _DIRECTION, _GUST)

_SITE, _FIRST, _LAST = (sa.bindparam(name, type_=sa.BigInteger) for name in ("site", "first", "last"))

_DUE_SITES = (
    sa.select(
        t.due_day.c.site_id,
        sa.func.sum(sa.case((t.due_day.c.day == EVERY_DAY, DAYS_A_YEAR), else_=1)),
    )
    .where(t.due_day.c.day <= sa.bindparam("until"))
    .group_by(t.due_day.c.site_id)
    .order_by(t.due_day.c.site_id)
)
_DUE_DAYS = sa.select(t.due_day.c.day, t.due_day.c.stamp).where(
    t.due_day.c.site_id == _SITE, t.due_day.c.day <= sa.bindparam("until")
)
_SETTLED = sa.delete(t.due_day).where(t.due_day.c.site_id == _SITE, t.due_day.c.day == sa.bindparam("of_day"))
_STAMPED = sa.update(t.site).where(t.site.c.id == _SITE).values(days_stamp=sa.bindparam("stamp"))
_STATIONS_OF = sa.select(t.site.c.stations).where(t.site.c.id == _SITE)
_STATION_IDS = sa.select(t.station.c.code, t.station.c.id).where(
    t.station.c.code.in_(sa.bindparam("names", expanding=True))
)
_FORECASTS = (
    sa.select(
        t.forecast.c.valid_time,
        t.forecast.c.batch_id,  # it knows the model and the run, which need not be said of every hour
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
_FORECAST_DAYS = {  # by whether they are the days as published
    public: sa.select(
        *(table.c[name] for name in ("model_id", "day", "hourly", "leads", "estimated", "older"))
    ).where(
        table.c.site_id == _SITE,
        table.c.view == sa.bindparam("view"),
        table.c.day.between(_FIRST, _LAST),
    )
    for public, table in ((False, t.forecast_day), (True, t.public_forecast_day))
}
_OBSERVED_DAYS = {
    public: sa.select(
        *(
            table.c[name]
            for name in (
                *("station_id", "day", "hourly", "offsets"),
                *("readings", "resolution", "means", "doubts"),
            )
        )
    ).where(table.c.site_id == _SITE, table.c.day.between(_FIRST, _LAST))
    for public, table in ((False, t.observed_day), (True, t.public_observed_day))
}
_DIGESTS = (
    sa.select(t.sensor_day.c.station_id, t.sensor_day.c.day, t.sensor_day.c.digest)
    .where(t.sensor_day.c.site_id == _SITE)
    .order_by(t.sensor_day.c.station_id, t.sensor_day.c.day)
)
_DIGESTS_REPLACED = sa.delete(t.sensor_day).where(
    t.sensor_day.c.site_id == _SITE, t.sensor_day.c.day.between(_FIRST, _LAST)
)
_FLAGS = sa.select(*(column for column in t.station_flag.c if column.name != "site_id")).where(
    t.station_flag.c.site_id == _SITE
)
_FLAGS_REPLACED = sa.delete(t.station_flag).where(t.station_flag.c.site_id == _SITE)
_EXCLUSIONS = sa.select(
    t.station_exclusion.c.station_id,
    t.station_exclusion.c.parameter,
    t.station_exclusion.c.first_day,
    t.station_exclusion.c.last_day,
).where(t.station_exclusion.c.station_id.in_(sa.bindparam("ids", expanding=True)))
_STAMP = sa.select(t.site.c.days_stamp).where(t.site.c.id == _SITE)
_LIMITS = sa.select(t.quality_limit.c.month, t.quality_limit.c.limits).where(
    t.quality_limit.c.site_id == _SITE
)
_FORECAST_DAYS_REPLACED = sa.delete(t.forecast_day).where(
    t.forecast_day.c.site_id == _SITE,
    t.forecast_day.c.view.in_(sa.bindparam("views", expanding=True)),
    t.forecast_day.c.day.between(_FIRST, _LAST),
)
_OBSERVED_DAYS_REPLACED = sa.delete(t.observed_day).where(
    t.observed_day.c.site_id == _SITE, t.observed_day.c.day.between(_FIRST, _LAST)
)
_DOUBTS_REPLACED = sa.delete(t.doubted).where(
    t.doubted.c.site_id == _SITE, t.doubted.c.time >= _FIRST, t.doubted.c.time < sa.bindparam("end")
)


# --- What is due -------------------------------------------------------------------------------------


def due_sites(connection: sa.Connection, until: int) -> dict[int, int]:
    """Return by site id how many days of it are due up to `until`; EVERY_DAY counts as a year."""
    return _pairs(connection, _DUE_SITES, until=until)


def due_days(connection: sa.Connection, site_id: int, until: int) -> dict[int, int]:
    """Return the due days of a site up to `until`, EVERY_DAY among them, with their stamps."""
    return _pairs(connection, _DUE_DAYS, site=site_id, until=until)


def days_stamp(connection: sa.Connection, site_id: int) -> int:
    """Return the number that a site has until its days change."""
    return int(connection.execute(_STAMP, {"site": site_id}).scalar_one())


def settle(connection: sa.Connection, site_id: int, stamps: Mapping[int, int], of_site: int) -> bool:
    """Take days off the list of what is due; False, and nothing done, where they are not as read.

    `of_site` is the site's days_stamp as read: limits and flags rest on all its days, so that none of them
    may have been written in between.
    """
    now = due_days(connection, site_id, max(stamps))
    if any(now.get(day) != stamp for day, stamp in stamps.items()):
        return False
    if days_stamp(connection, site_id) != of_site:
        return False
    connection.execute(_SETTLED, [{"site": site_id, "of_day": day} for day in stamps])
    stamp_days(connection, site_id)
    return True


def stamp_days(connection: sa.Connection, site_id: int) -> None:
    """Note that a site's days are not what they were: whoever remembers an answer asks again."""
    connection.execute(_STAMPED, {"site": site_id, "stamp": secrets.randbits(31)})


def site_stations(connection: sa.Connection, site_id: int) -> tuple[int, ...]:
    """Return the ids of the stations that speak for a site and are known, in order of preference."""
    codes = connection.execute(_STATIONS_OF, {"site": site_id}).scalar_one()
    names = [code for code in codes.split(",") if code]
    ids = _pairs(connection, _STATION_IDS, names=names)
    return tuple(ids[name] for name in names if name in ids)


def site_slug(connection: sa.Connection, site_id: int) -> str:
    """Return the name of a site, which all its series share."""
    return str(connection.execute(sa.select(t.site.c.slug).where(t.site.c.id == site_id)).scalar_one())


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
    table = _table(connection, _FORECASTS, 2 + len(Parameter), owner=site_id, first=first, last=last)
    others = other_batches(connection, t.forecast, site_id, first, last)
    ids = np.unique(table[:, 1])
    wanted = {*ids.tolist(), *(batch for of_row in others.values() for batch in of_row.values())}
    batches = np.array(
        [
            tuple(batch)
            for some in chunks(sorted(wanted))
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
    """Return rows with the availability of each value; `known` is that of each batch, and if it is estimated.

    `others` is by valid time, model and run.
    """
    later: list[tuple[int, int, int]] = []
    keys = zip(rows.valid_time.tolist(), rows.model.tolist(), rows.reference_time.tolist(), strict=True)
    for index, key in enumerate(keys):
        if key not in others:
            continue
        present = np.flatnonzero(rows.values[index] != ABSENT).tolist()
        each = {place: known[others[key].get(place, int(batch[index]))] for place in present}
        earliest = min(available_at for available_at, _ in each.values())
        rows.available_at[index] = earliest
        rows.estimated[index] = any(estimated for _, estimated in each.values())
        later += (
            (index, place, available_at)
            for place, (available_at, _) in each.items()
            if available_at > earliest
        )
    return replace(rows, later=np.array(later, np.int64).reshape(-1, 3))


def reading_rows(connection: sa.Connection, station_id: int, first: int, last: int) -> ReadingRows:
    """Return the readings of a station from `first` to `last`."""
    table = _table(connection, _READINGS, 3 + len(Parameter), owner=station_id, first=first, last=last)
    rows = ReadingRows(
        time=table[:, 0],
        averaging=table[:, 1],
        values=table[:, 3:].astype(np.int32),
        resolution=table[:, 2],
        temperature_averaging=table[:, 1].copy(),
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
        # The first of the wind's values that is there says how the wind was averaged.
        wind = next((each for each in _WIND if rows.values[index, each] != ABSENT), None)
        if wind in of_row:
            rows.averaging[index] = ways[of_row[wind]][0]
        if _DIRECTION in of_row:
            rows.resolution[index] = ways[of_row[_DIRECTION]][1]
        if _TEMPERATURE in of_row:
            rows.temperature_averaging[index] = ways[of_row[_TEMPERATURE]][0]
    return rows


def _pairs(connection: sa.Connection, query: sa.Select[Any], **given: Any) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(query, given)}


def _table(connection: sa.Connection, query: sa.Select[Any], width: int, **given: int) -> NDArray[np.int64]:
    """Return what a query of whole numbers answers, as an array with a row per row."""
    rows = chain.from_iterable(fetched_in_parts(connection, query, given))
    return np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, width)


# --- Days, written and read --------------------------------------------------------------------------


def write_forecast_days(
    connection: sa.Connection, site_id: int, days: range, made: Mapping[int, ForecastDays]
) -> None:
    """Put new forecast days, by view, in the place of those that there are of these views and days."""
    span = {"site": site_id, "first": days[0], "last": days[-1]}
    connection.execute(_FORECAST_DAYS_REPLACED, {**span, "views": list(made)})
    _insert(connection, t.forecast_day, _forecast_day_rows(site_id, made))


def _forecast_day_rows(site_id: int, made: Mapping[int, ForecastDays]) -> list[tuple[Any, ...]]:
    return [
        (site_id, view, *row)
        for view, found in made.items()
        for row in zip(
            found.day.tolist(),
            found.owner.tolist(),
            _packed(found.hourly, "<i4"),
            _packed(found.minutes, "<i2"),
            found.estimated.tolist(),
            _packed_or_none(found.older),
            strict=True,
        )
    ]


def _packed_or_none(older: NDArray[np.integer[Any]]) -> list[bytes | None]:
    """Return the bytes of each row, None of a day whose values are all of the newest run."""
    some: list[bool] = np.asarray(older.any(axis=(1, 2))).tolist()
    return [packed if kept else None for packed, kept in zip(_packed(older, "<i2"), some, strict=True)]


def write_observed_days(
    connection: sa.Connection,
    site_id: int,
    days: range,
    made: Iterable[ObservedDays],
    doubts: Iterable[Doubt],
) -> None:
    """Put new observed days and doubts in the place of those that there are of these days."""
    moments = {"first": local_moment(days[0]), "end": local_moment(days[-1] + 1)}
    connection.execute(_OBSERVED_DAYS_REPLACED, {"site": site_id, "first": days[0], "last": days[-1]})
    connection.execute(_DOUBTS_REPLACED, {"site": site_id, **moments})
    _insert(connection, t.observed_day, _observed_day_rows(site_id, made))
    _insert(
        connection,
        t.doubted,
        [(site_id, time, station, parameter, reason) for station, time, parameter, reason in doubts],
    )


def _observed_day_rows(site_id: int, made: Iterable[ObservedDays]) -> list[tuple[Any, ...]]:
    return [
        (site_id, *row)
        for found in made
        for row in zip(
            found.day.tolist(),
            found.owner.tolist(),
            _packed(found.hourly, "<i4"),
            _packed(found.minutes, "<i1"),
            found.readings.tolist(),
            found.resolution,
            _packed(found.means, "<i4"),
            _packed(found.doubts, "<u2"),
            strict=True,
        )
    ]


def write_limits(connection: sa.Connection, site_id: int, limits: Mapping[int, Ints]) -> None:
    """Put limits in the place of those of these months."""
    column = t.quality_limit.c
    for months in chunks(limits):
        connection.execute(
            sa.delete(t.quality_limit).where(column.site_id == site_id, column.month.in_(months))
        )
    rows = [(site_id, month, found.astype("<i4").tobytes()) for month, found in limits.items()]
    _insert(connection, t.quality_limit, rows)


def read_limits(connection: sa.Connection, site_id: int) -> dict[int, Ints]:
    """Return the limits of each month, as they were written, flat."""
    found = connection.execute(_LIMITS, {"site": site_id})
    return {month: np.frombuffer(limits, "<i4") for month, limits in found}


def write_digests(
    connection: sa.Connection, site_id: int, days: range, made: Iterable[tuple[int, int, bytes]]
) -> None:
    """Put new digests (station, day, bytes) in the place of those that there are of these days."""
    connection.execute(_DIGESTS_REPLACED, {"site": site_id, "first": days[0], "last": days[-1]})
    _insert(connection, t.sensor_day, [(site_id, *row) for row in made])


def read_digests(connection: sa.Connection, site_id: int) -> list[tuple[int, int, bytes]]:
    """Return the digests of a site (station, day, bytes), by station and day."""
    return [(row[0], row[1], bytes(row[2])) for row in connection.execute(_DIGESTS, {"site": site_id})]


def write_flags(connection: sa.Connection, site_id: int, flags: Iterable[FlagRow]) -> None:
    """Put flags in the place of all that a site has."""
    connection.execute(_FLAGS_REPLACED, {"site": site_id})
    _insert(connection, t.station_flag, [(site_id, *flag) for flag in flags])


def read_flags(connection: sa.Connection, site_id: int) -> list[FlagRow]:
    """Return the flags of a site's stations."""
    return [tuple(row) for row in connection.execute(_FLAGS, {"site": site_id})]


def read_exclusions(
    connection: sa.Connection, stations: Collection[int]
) -> list[tuple[int, int, int, int | None]]:
    """Return what the operator excludes of these stations: station, parameter, first and last local day."""
    return [tuple(row) for row in connection.execute(_EXCLUSIONS, {"ids": list(stations)})]


def forget(connection: sa.Connection, site_id: int) -> None:
    """Remove every day that was made for a site."""
    for table in (
        *(t.forecast_day, t.observed_day, t.doubted, t.quality_limit),
        *(t.sensor_day, t.station_flag),
    ):
        connection.execute(sa.delete(table).where(table.c.site_id == site_id))


def forecast_columns(
    connection: sa.Connection, site_id: int, view: int, first: int, last: int, *, public: bool = False
) -> ForecastDays:
    """Return a view's days from `first` to `last`, or those of its published months."""
    given = {"site": site_id, "view": view, "first": first, "last": last}
    columns, (estimated, older) = _day_columns(fetched(connection, _FORECAST_DAYS[public], given), 2, "<i2")
    of_runs = np.frombuffer(b"".join(NO_OLDER if each is None else each for each in older), "<i2")
    return ForecastDays(
        *columns, np.array(estimated, np.int64), of_runs.reshape(-1, len(Parameter), HOURS_A_DAY)
    )


def observed_columns(
    connection: sa.Connection, site_id: int, first: int, last: int, *, public: bool = False
) -> ObservedDays:
    """Return the days of all stations of a site from `first` to `last`, or those of its published months."""
    given = {"site": site_id, "first": first, "last": last}
    columns, (readings, resolution, means, doubts) = _day_columns(
        fetched(connection, _OBSERVED_DAYS[public], given), 4, "<i1"
    )
    of_hours = _hours_of_days(b"".join(NO_MEANS if each is None else each for each in means))
    counts = np.frombuffer(b"".join(NO_DOUBTS if each is None else each for each in doubts), "<u2")
    return ObservedDays(
        *columns,
        np.array(readings, np.int64),
        resolution,
        of_hours,
        counts.reshape(-1, len(Parameter), MOST_REASONS),
    )


# --- Months as they are published ----------------------------------------------------------------------

OF_MODEL, OF_STATION = 0, 1
"""The kinds of owners of a published month."""


def public_months(connection: sa.Connection, site_id: int) -> dict[tuple[int, int], set[int]]:
    """Return the published months of a site by kind and id of their owner."""
    column = t.public_month.c
    found: dict[tuple[int, int], set[int]] = {}
    for kind, owner, month in connection.execute(
        sa.select(column.kind, column.owner_id, column.month).where(column.site_id == site_id)
    ):
        found.setdefault((kind, owner), set()).add(month)
    return found


def months_with_days(connection: sa.Connection, site_id: int) -> tuple[int, int] | None:
    """Return the first and the last month with any day of a site, or None."""
    ends: list[int] = []
    for column in (t.forecast_day.c, t.observed_day.c):
        row = connection.execute(
            sa.select(sa.func.min(column.day), sa.func.max(column.day)).where(column.site_id == site_id)
        ).one()
        ends += [month_number(day) for day in row if day is not None]
    return (min(ends), max(ends)) if ends else None


def publish_forecast_month(
    connection: sa.Connection, site_id: int, month: int, model_id: int, made: Mapping[int, ForecastDays]
) -> None:
    """Put a model's days, by view, in the place of those of a month that are published."""
    _replace_month(connection, t.public_forecast_day, site_id, month, OF_MODEL, model_id)
    rows = _forecast_day_rows(site_id, made)
    _insert(connection, t.public_forecast_day, rows)
    if rows:
        _insert(connection, t.public_month, [(site_id, month, OF_MODEL, model_id)])


def publish_observed_month(
    connection: sa.Connection, site_id: int, month: int, station_id: int, made: ObservedDays
) -> None:
    """Put a station's days in the place of those of a month that are published."""
    _replace_month(connection, t.public_observed_day, site_id, month, OF_STATION, station_id)
    rows = _observed_day_rows(site_id, [made])
    _insert(connection, t.public_observed_day, rows)
    if rows:
        _insert(connection, t.public_month, [(site_id, month, OF_STATION, station_id)])


def _replace_month(
    connection: sa.Connection, table: sa.Table, site_id: int, month: int, kind: int, owner: int
) -> None:
    days, column = month_days(month), t.public_month.c
    connection.execute(
        sa.delete(table).where(
            table.c.site_id == site_id,
            table.c.day.between(days[0], days[-1]),
            table.c["model_id" if kind == OF_MODEL else "station_id"] == owner,
        )
    )
    connection.execute(
        sa.delete(t.public_month).where(
            column.site_id == site_id, column.month == month, column.kind == kind, column.owner_id == owner
        )
    )


def _day_columns(
    rows: Iterable[tuple[Any, ...]], more: int, minutes: str
) -> tuple[tuple[Times, Times, Ints, NDArray[np.integer[Any]]], list[tuple[Any, ...]]]:
    """Return the columns that all days have, and the `more` others that these have."""
    owners, days, hourly, told, *others = tuple(zip(*rows, strict=True)) or ((),) * (4 + more)
    columns = (
        np.array(owners, np.int64),
        np.array(days, np.int64),
        _hours_of_days(b"".join(hourly)),
        np.frombuffer(b"".join(told), minutes).reshape(-1, HOURS_A_DAY),
    )
    return columns, others


def _hours_of_days(packed: bytes) -> Ints:
    return np.frombuffer(packed, "<i4").reshape(-1, len(Parameter), HOURS_A_DAY)


def _packed(rows: NDArray[Any], kind: str) -> list[bytes]:
    """Return the bytes of each row."""
    packed = np.ascontiguousarray(rows, kind).tobytes()
    width = len(packed) // max(len(rows), 1)
    return [packed[start : start + width] for start in range(0, len(packed), width or 1)]


def _insert(connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
    """Write rows, their values in the order of the table's columns."""
    if not rows:
        return
    if is_postgres(connection):
        copy_rows(connection, table, rows)
    else:
        connection.exec_driver_sql(_insert_text(table), rows)


@cache
def _insert_text(table: sa.Table) -> str:
    """Return an INSERT for the driver's own executemany into SQLite."""
    return str(sa.insert(table).values(dict.fromkeys(table.c.keys())).compile(dialect=sqlite.dialect()))
