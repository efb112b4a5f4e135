"""Days for scores: which of them are due, and the days themselves, packed as bytes in rows.

Values are whole thousandths of their unit; ABSENT stands for what is not there. Times are whole seconds
since 1970 in UTC.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import sqlite

from backend.core.columns import MOST_REASONS, ForecastDays, Ints, ObservedDays, Times
from backend.core.local_time import HOURS_A_DAY, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.storage import schema as t
from backend.storage.database import is_postgres
from backend.storage.due import EVERY_DAY
from backend.storage.postgres_copy import copy_rows
from backend.storage.rows import fetched

DAYS_A_YEAR = 366

NO_MEANS = np.full((len(Parameter), HOURS_A_DAY), ABSENT, "<i4").tobytes()
"""In place of the means of a day that was made before there were any: it is due."""

NO_DOUBTS = np.zeros((len(Parameter), MOST_REASONS), "<u2").tobytes()
"""In place of the counts of a day that was made before they were kept with it, and had none to count."""

Doubt = tuple[int, int, int, str]
"""A reading that enters no score: station, time, index of the parameter, reason."""


# --- Statements: to build one takes longer than to execute it ------------------------------------------

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


def _pairs(connection: sa.Connection, query: sa.Select[Any], **given: Any) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(query, given)}


# --- Days, written and read --------------------------------------------------------------------------


def write_forecast_days(
    connection: sa.Connection, site_id: int, days: range, made: Mapping[int, ForecastDays]
) -> None:
    """Put new forecast days, by view, in the place of those that there are of these views and days."""
    span = {"site": site_id, "first": days[0], "last": days[-1]}
    connection.execute(_FORECAST_DAYS_REPLACED, {**span, "views": list(made)})
    insert_rows(connection, t.forecast_day, forecast_day_rows(site_id, made))


def forecast_day_rows(site_id: int, made: Mapping[int, ForecastDays]) -> list[tuple[Any, ...]]:
    """Return forecast days, by view, as rows of forecast_day or public_forecast_day."""
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
    insert_rows(connection, t.observed_day, observed_day_rows(site_id, made))
    insert_rows(
        connection,
        t.doubted,
        [(site_id, time, station, parameter, reason) for station, time, parameter, reason in doubts],
    )


def observed_day_rows(site_id: int, made: Iterable[ObservedDays]) -> list[tuple[Any, ...]]:
    """Return the days of several stations as rows of observed_day or public_observed_day."""
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
    return ForecastDays(*columns, np.array(estimated, np.int64), _ages(older))


def _ages(older: Sequence[bytes | None]) -> NDArray[np.int16]:
    """Return the ages of runs, (n, 4, 25); days whose values are all of the newest run take no memory."""
    shape = len(older), len(Parameter), HOURS_A_DAY
    stored = [row for row, packed in enumerate(older) if packed is not None]
    if not stored:
        return np.broadcast_to(np.int16(0), shape)
    ages = np.zeros(shape, "<i2")
    ages[stored] = np.frombuffer(b"".join(filter(None, older)), "<i2").reshape(-1, *shape[1:])
    return ages


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


def insert_rows(connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
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
