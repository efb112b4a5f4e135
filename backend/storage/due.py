"""Which days of which sites have to be made again: noted in the transaction that changes their values.

A value speaks for more than its own day: a reading near midnight may be the one that fits the other day's
first hour, and whether it can be trusted depends on what the station said in the hours around it.
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
"""In place of a day: all of them, with what is left over from stations that speak for the site no more."""

FORECAST_REACH = HOUR
"""How many seconds from its valid time a forecast matters: to a reading that is compared with it."""

READING_REACH = 7 * HOUR
"""How many seconds from its time a reading matters: six hours of quality control, one of matching."""


def note_due(connection: sa.Connection, days: Iterable[tuple[int, int]]) -> None:
    """Note (site id, local day) pairs as due, anew where they were due already.

    The stamp is drawn by lot: whoever read an earlier state of a day cannot take it for this one.
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
    """Note what changed (site id, valid time) pairs make due."""
    note_due(connection, _reached(keys, FORECAST_REACH))


def readings_changed(connection: sa.Connection, keys: Iterable[tuple[int, int]]) -> None:
    """Note what changed (station id, time) pairs make due, at every site that a station speaks for."""
    reached = _reached(keys, READING_REACH)
    sites = sites_of_stations(connection, {station_id for station_id, _ in reached})
    note_due(
        connection,
        ((site_id, day) for station_id, day in reached for site_id in sites.get(station_id, ())),
    )


def sites_of_stations(connection: sa.Connection, station_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return, per station id, the ids of the sites it speaks for, past series included."""
    station = t.station.c
    ids = {
        row.code: row.id
        for some in chunks(station_ids)
        for row in connection.execute(sa.select(station.code, station.id).where(station.id.in_(some)))
    }
    found: dict[int, list[int]] = {}
    for site_id, stations in connection.execute(sa.select(t.site.c.id, t.site.c.stations)):
        for code in stations.split(","):
            if code in ids:
                found.setdefault(ids[code], []).append(site_id)
    return found


def _reached(keys: Iterable[tuple[int, int]], reach: int) -> set[tuple[int, int]]:
    # Whole hours first: many values lie in one, and a local day begins on one.
    hours = {(owner, time // HOUR) for owner, time in keys}
    return {
        (owner, day)
        for owner, hour in hours
        for day in range(day_of_epoch(hour * HOUR - reach), day_of_epoch((hour + 1) * HOUR + reach) + 1)
    }
