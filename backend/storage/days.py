"""Score days: which of them are due, and their values, packed as bytes in rows.

Values are whole thousandths of their unit; ABSENT marks a missing value. Times are whole seconds
since 1970 in UTC.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import sqlite

from backend.core.columns import MOST_REASONS, ForecastDays, Ints, ObservedDays, Times
from backend.core.local_time import HOURS_A_DAY, local_moment, month_number
from backend.core.parameters import ABSENT, Parameter
from backend.storage import schema as t
from backend.storage.database import is_postgres
from backend.storage.due import EVERY_DAY
from backend.storage.postgres_copy import copy_rows
from backend.storage.rows import fetched

DAYS_A_YEAR = 366

_HOURLY = -1, len(Parameter), HOURS_A_DAY
"""Shape of the hours of several days, unpacked."""

NO_MEANS = np.full((len(Parameter), HOURS_A_DAY), ABSENT, "<i4").tobytes()
"""The means of a day that was computed before means were stored: such a day is due."""

NO_DOUBTS = np.zeros((len(Parameter), MOST_REASONS), "<u2").tobytes()
"""The counts of a day without flagged values from before counts were stored."""

Doubt = tuple[int, int, int, str]
"""A reading that enters no score: station, time, number of the parameter, reason."""


# --- Statements, built once: that takes longer than to execute them --------------------------------------

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
_FORECAST_DAYS = {  # True: the days of public months
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
_MEASURED_HOURS = (
    sa.select(t.observed_day.c.day, t.observed_day.c.hourly)
    .join_from(t.observed_day, t.station, t.station.c.id == t.observed_day.c.station_id)
    .where(
        t.observed_day.c.site_id == _SITE,
        t.observed_day.c.day.between(_FIRST, _LAST),
        t.station.c.code == sa.bindparam("station"),
    )
)
_STAMP = sa.select(t.site.c.days_stamp).where(t.site.c.id == _SITE)
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


# --- Due days ----------------------------------------------------------------------------------------


def due_sites(connection: sa.Connection, until: int) -> dict[int, int]:
    """Return, per site id, the number of due days up to `until`; EVERY_DAY counts as a year."""
    return _pairs(connection, _DUE_SITES, until=until)


def due_days(connection: sa.Connection, site_id: int, until: int) -> dict[int, int]:
    """Return the due days of a site up to `until`, EVERY_DAY included, with their stamps."""
    return _pairs(connection, _DUE_DAYS, site=site_id, until=until)


def days_stamp(connection: sa.Connection, site_id: int) -> int:
    """Return the stamp of a site, which changes whenever its days change."""
    return int(connection.execute(_STAMP, {"site": site_id}).scalar_one())


def settle(connection: sa.Connection, site_id: int, stamps: Mapping[int, int], of_site: int) -> bool:
    """Clear the marks of due days; return False, and change nothing, if a stamp differs from the one read.

    `of_site` is the site's days_stamp as read: limits and flags depend on all its days, so that none of them
    may have changed in between.
    """
    now = due_days(connection, site_id, max(stamps))
    if any(now.get(day) != stamp for day, stamp in stamps.items()):
        return False
    if days_stamp(connection, site_id) != of_site:
        return False
    # Only now: a mark that changed since the read belongs to newer values.
    connection.execute(_SETTLED, [{"site": site_id, "of_day": day} for day in stamps])
    stamp_days(connection, site_id)
    return True


def stamp_days(connection: sa.Connection, site_id: int) -> None:
    """Give a site a new stamp because its days changed, so that cached answers about it expire."""
    connection.execute(_STAMPED, {"site": site_id, "stamp": secrets.randbits(31)})


def _pairs(connection: sa.Connection, query: sa.Select[Any], **parameters: Any) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(query, parameters)}


# --- Writing and reading days ------------------------------------------------------------------------


def write_forecast_days(
    connection: sa.Connection, site_id: int, days: range, new_days: Mapping[int, ForecastDays]
) -> None:
    """Replace the forecast days of these views and days."""
    span = {"site": site_id, "first": days[0], "last": days[-1]}
    connection.execute(_FORECAST_DAYS_REPLACED, {**span, "views": list(new_days)})
    insert_rows(connection, t.forecast_day, forecast_day_rows(site_id, new_days))


def forecast_day_rows(site_id: int, new_days: Mapping[int, ForecastDays]) -> list[tuple[Any, ...]]:
    """Return forecast days, by view, as rows of forecast_day or public_forecast_day."""
    rows = []
    for view, columns in new_days.items():
        # Most days are all of the newest run: they have no ages of older runs.
        has_older: list[bool] = np.asarray(columns.older.any(axis=(1, 2))).tolist()
        ages = zip(_packed(columns.older, "<i2"), has_older, strict=True)
        of_view = zip(
            columns.day.tolist(),
            columns.owner.tolist(),
            _packed(columns.hourly, "<i4"),
            _packed(columns.minutes, "<i2"),
            columns.estimated.tolist(),
            [packed if is_older else None for packed, is_older in ages],
            strict=True,
        )
        rows += [(site_id, view, *row) for row in of_view]
    return rows


def write_observed_days(
    connection: sa.Connection,
    site_id: int,
    days: range,
    new_days: Iterable[ObservedDays],
    doubts: Iterable[Doubt],
) -> None:
    """Replace the observed days and flagged readings of these days."""
    moments = {"first": local_moment(days[0]), "end": local_moment(days[-1] + 1)}
    connection.execute(_OBSERVED_DAYS_REPLACED, {"site": site_id, "first": days[0], "last": days[-1]})
    connection.execute(_DOUBTS_REPLACED, {"site": site_id, **moments})
    insert_rows(connection, t.observed_day, observed_day_rows(site_id, new_days))
    insert_rows(
        connection,
        t.doubted,
        [(site_id, time, station, parameter, reason) for station, time, parameter, reason in doubts],
    )


def observed_day_rows(site_id: int, new_days: Iterable[ObservedDays]) -> list[tuple[Any, ...]]:
    """Return the days of several stations as rows of observed_day or public_observed_day."""
    return [
        (site_id, *row)
        for columns in new_days
        for row in zip(
            columns.day.tolist(),
            columns.owner.tolist(),
            _packed(columns.hourly, "<i4"),
            _packed(columns.minutes, "<i1"),
            columns.readings.tolist(),
            columns.resolution,
            _packed(columns.means, "<i4"),
            _packed(columns.doubts, "<u2"),
            strict=True,
        )
    ]


def forget(connection: sa.Connection, site_id: int, first: int) -> None:
    """Delete the score days of a site from local day `first` on, with their limits, and all its flags.

    `first` is the first day that can be computed again (storage/retention.py).
    """
    for column, least in (
        (t.forecast_day.c.day, first),
        (t.observed_day.c.day, first),
        (t.sensor_day.c.day, first),
        (t.doubted.c.time, local_moment(first)),
        (t.quality_limit.c.month, month_number(first)),
    ):
        table = column.table
        connection.execute(sa.delete(table).where(table.c.site_id == site_id, column >= least))
    connection.execute(sa.delete(t.station_flag).where(t.station_flag.c.site_id == site_id))


def forecast_columns(
    connection: sa.Connection, site_id: int, view: int, first: int, last: int, *, public: bool = False
) -> ForecastDays:
    """Return a view's days from `first` to `last`, or those of its published months."""
    given = {"site": site_id, "view": view, "first": first, "last": last}
    columns, (estimated, older) = _day_columns(fetched(connection, _FORECAST_DAYS[public], given), 2, "<i2")
    shape = len(older), len(Parameter), HOURS_A_DAY
    ages = np.broadcast_to(np.int16(0), shape)  # takes no memory where all values are of the newest runs
    stored = [row for row, packed in enumerate(older) if packed is not None]
    if stored:
        ages = np.zeros(shape, "<i2")
        ages[stored] = np.frombuffer(b"".join(filter(None, older)), "<i2").reshape(-1, *shape[1:])
    return ForecastDays(*columns, np.array(estimated, np.int64), ages)


def observed_columns(
    connection: sa.Connection, site_id: int, first: int, last: int, *, public: bool = False
) -> ObservedDays:
    """Return the days of all stations of a site from `first` to `last`, or those of its published months."""
    parameters = {"site": site_id, "first": first, "last": last}
    columns, (readings, resolution, means, doubts) = _day_columns(
        fetched(connection, _OBSERVED_DAYS[public], parameters), 4, "<i1"
    )
    of_hours = np.frombuffer(b"".join(NO_MEANS if of_day is None else of_day for of_day in means), "<i4")
    counts = np.frombuffer(b"".join(NO_DOUBTS if of_day is None else of_day for of_day in doubts), "<u2")
    return ObservedDays(
        *columns,
        np.array(readings, np.int64),
        resolution,
        of_hours.reshape(_HOURLY),
        counts.reshape(-1, len(Parameter), MOST_REASONS),
    )


def measured_hours(connection: sa.Connection, site_id: int, station: str, first: int, last: int) -> Ints:
    """Return what a station measured from day `first` to `last`, (4, days, 25), by parameter."""
    given = {"site": site_id, "station": station, "first": first, "last": last}
    days, hourly = tuple(zip(*fetched(connection, _MEASURED_HOURS, given), strict=True)) or ((), ())
    found = np.full((last - first + 1, len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
    found[np.array(days, np.int64) - first] = np.frombuffer(b"".join(hourly), "<i4").reshape(_HOURLY)
    return found.swapaxes(0, 1)


def _day_columns(
    rows: Iterable[tuple[Any, ...]], more: int, minutes: str
) -> tuple[tuple[Times, Times, Ints, NDArray[np.integer[Any]]], list[tuple[Any, ...]]]:
    """Return the columns common to all days, and the `more` others of these days."""
    # zip() of no rows has no columns at all, not empty ones.
    owners, days, hourly, hour_minutes, *others = tuple(zip(*rows, strict=True)) or ((),) * (4 + more)
    columns = (
        np.array(owners, np.int64),
        np.array(days, np.int64),
        np.frombuffer(b"".join(hourly), "<i4").reshape(_HOURLY),
        np.frombuffer(b"".join(hour_minutes), minutes).reshape(-1, HOURS_A_DAY),
    )
    return columns, others


def _packed(rows: NDArray[Any], kind: str) -> list[bytes]:
    """Return the bytes of each row. `kind` has the order of bytes: a store may move between machines."""
    packed = np.ascontiguousarray(rows, kind).tobytes()
    width = len(packed) // max(len(rows), 1)
    return [packed[start : start + width] for start in range(0, len(packed), width or 1)]


def insert_rows(connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows; their values are in the order of the table's columns."""
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
