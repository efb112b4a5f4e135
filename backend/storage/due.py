"""Days of sites that need recomputation. They are marked in the transaction that changes their values.

A value affects more than its own day: a reading near midnight may be the nearest one to the first hour of
the next day, and its quality control uses the readings of the hours around it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import sqlalchemy as sa

from backend.core.local_time import HOUR, day_of_epoch
from backend.storage import schema as t
from backend.storage.database import insert_into
from backend.storage.rows import chunks

EVERY_DAY = -1
"""Used as a day: all days of the site, including days of stations that no longer belong to it."""

FORECAST_REACH = HOUR
"""Seconds around its valid time in which a forecast matters: readings there are compared with it."""

READING_REACH = 7 * HOUR
"""Seconds around its time in which a reading matters: six hours of quality control, one of pairing."""


def note_due(connection: sa.Connection, days: Iterable[tuple[int, int]]) -> None:
    """Mark (site id, local day) pairs as due; days that are due already get a new stamp.

    The stamp is random, so that a computation that started before this change cannot clear the mark.
    """
    stamp = secrets.randbits(31)
    rows = [{"site_id": site_id, "day": day, "stamp": stamp} for site_id, day in sorted(set(days))]
    if rows:
        insert = insert_into(connection, t.due_day)
        again = insert.on_conflict_do_update(
            index_elements=t.due_day.primary_key, set_={"stamp": insert.excluded.stamp}
        )
        connection.execute(again, rows)


def forecasts_changed(connection: sa.Connection, keys: Iterable[tuple[int, int]]) -> None:
    """Mark the days affected by changed (site id, valid time) pairs as due."""
    note_due(connection, _reached(keys, FORECAST_REACH))


def readings_changed(connection: sa.Connection, keys: Iterable[tuple[int, int]]) -> None:
    """Mark the days affected by changed (station id, time) pairs as due, at every site of the station."""
    reached = _reached(keys, READING_REACH)
    sites = sites_of_stations(connection, {station_id for station_id, _ in reached})
    note_due(
        connection,
        ((site_id, day) for station_id, day in reached for site_id in sites.get(station_id, ())),
    )


def any_due(connection: sa.Connection, site_id: int, days: range) -> bool:
    """Return True if one of these days of a site still has to be computed."""
    due = t.due_day.c
    here = sa.or_(due.day.between(days[0], days[-1]), due.day == EVERY_DAY)
    query = sa.select(due.day).where(due.site_id == site_id, here)
    return connection.execute(query.limit(1)).first() is not None


def sites_of_stations(connection: sa.Connection, station_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return the ids of the sites of each station id, past series of sites included."""
    station = t.station.c
    ids = {
        row.code: row.id
        for some in chunks(station_ids)
        for row in connection.execute(sa.select(station.code, station.id).where(station.id.in_(some)))
    }
    sites_by_station: dict[int, list[int]] = {}
    for site_id, stations in connection.execute(sa.select(t.site.c.id, t.site.c.stations)):
        for code in stations.split(","):
            if code in ids:
                sites_by_station.setdefault(ids[code], []).append(site_id)
    return sites_by_station


def _reached(keys: Iterable[tuple[int, int]], reach: int) -> set[tuple[int, int]]:
    # Reduce to whole hours first: many values fall into one, and a local day begins on a whole hour.
    hours = {(owner_id, time // HOUR * HOUR) for owner_id, time in keys}
    return {(owner_id, day) for owner_id, hour in hours for day in reached_days(hour, hour, reach)}


def reached_days(first: int, last: int, reach: int) -> range:
    """Return the local days that values from `first` to `last` (epoch seconds, of one day of UTC) affect."""
    begin, end = first // HOUR * HOUR - reach, (last // HOUR + 1) * HOUR + reach
    return range(day_of_epoch(begin), day_of_epoch(end) + 1)
