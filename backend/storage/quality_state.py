"""State of quality control per site: climate limits, digests of sensors by day, flags, exclusions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import sqlalchemy as sa

from backend.core.columns import Ints
from backend.storage import schema as t
from backend.storage.days import insert_rows
from backend.storage.rows import chunks

FlagRow = tuple[int, int, str, int, int, bool]
"""A flag: station id, number of the parameter, reason, start, end (exclusive), whether it excludes values."""

# --- Statements, built once: that takes longer than to execute them --------------------------------------

_SITE, _FIRST, _LAST = (sa.bindparam(name, type_=sa.BigInteger) for name in ("site", "first", "last"))
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
_LIMITS = sa.select(t.quality_limit.c.month, t.quality_limit.c.limits).where(
    t.quality_limit.c.site_id == _SITE
)


def write_limits(connection: sa.Connection, site_id: int, limits: Mapping[int, Ints]) -> None:
    """Replace the limits of these months."""
    column = t.quality_limit.c
    for months in chunks(limits):
        connection.execute(
            sa.delete(t.quality_limit).where(column.site_id == site_id, column.month.in_(months))
        )
    rows = [(site_id, month, of_month.astype("<i4").tobytes()) for month, of_month in limits.items()]
    insert_rows(connection, t.quality_limit, rows)


def read_limits(connection: sa.Connection, site_id: int) -> dict[int, Ints]:
    """Return the limits of each month as a flat array."""
    rows = connection.execute(_LIMITS, {"site": site_id})
    return {month: np.frombuffer(limits, "<i4") for month, limits in rows}


def write_digests(
    connection: sa.Connection, site_id: int, days: range, digests: Iterable[tuple[int, int, bytes]]
) -> None:
    """Replace the digests (station, day, bytes) of these days."""
    connection.execute(_DIGESTS_REPLACED, {"site": site_id, "first": days[0], "last": days[-1]})
    insert_rows(connection, t.sensor_day, [(site_id, *row) for row in digests])


def read_digests(connection: sa.Connection, site_id: int) -> list[tuple[int, int, bytes]]:
    """Return the digests of a site (station, day, bytes), by station and day."""
    return [(row[0], row[1], bytes(row[2])) for row in connection.execute(_DIGESTS, {"site": site_id})]


def write_flags(connection: sa.Connection, site_id: int, flags: Iterable[FlagRow]) -> None:
    """Replace all flags of a site."""
    connection.execute(_FLAGS_REPLACED, {"site": site_id})
    insert_rows(connection, t.station_flag, [(site_id, *flag) for flag in flags])


def read_flags(connection: sa.Connection, site_id: int) -> list[FlagRow]:
    """Return the flags of a site's stations."""
    return [tuple(row) for row in connection.execute(_FLAGS, {"site": site_id})]


def read_exclusions(
    connection: sa.Connection, stations: Collection[int]
) -> list[tuple[int, int, int, int | None]]:
    """Return the operator's exclusions of these stations: station, parameter, first and last local day."""
    return [tuple(row) for row in connection.execute(_EXCLUSIONS, {"ids": list(stations)})]
