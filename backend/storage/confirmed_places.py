"""Places at which a station measures for a site: the place on the day it was assigned, and confirmed ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.core.errors import NotFoundError
from backend.storage import schema as t
from backend.storage.database import insert_into, to_epoch
from backend.storage.positions import note_change, place_key, places_of, stays_of
from backend.storage.stays import Stay, elsewhere


def confirm(connection: sa.Connection, site: str, station: str, now: datetime) -> list[Stay]:
    """Let a site count the readings of a station at its present place; return that place by each route.

    Raises NotFoundError if no position of the station is known.
    """
    station_id, present = _present(connection, station)
    _change_places(
        connection,
        site,
        station_id,
        [_row(site, station_id, stay, confirmed_at=to_epoch(now)) for stay in present],
    )
    return present


def withdraw(connection: sa.Connection, site: str, station: str) -> int:
    """Remove the confirmed places of a station at a site; return how many places these were.

    Raises NotFoundError if no position of the station is known.
    """
    station_id, _ = _present(connection, station)
    return _change_places(connection, site, station_id, None)


def give_to_site(connection: sa.Connection, site: str, stations: Iterable[str]) -> None:
    """Store the present places of stations that an operator now assigns to a site, as places of that site."""
    codes = sorted(set(stations))
    ids = {
        row.code: row.id
        for row in connection.execute(
            sa.select(t.station.c.code, t.station.c.id).where(t.station.c.code.in_(codes))
        )
    }
    for station_id, by_route in stays_of(connection, ids.values()).items():
        column = t.confirmed_place.c
        connection.execute(
            sa.delete(t.confirmed_place).where(column.site == site, column.station_id == station_id)
        )
        rows = [_row(site, station_id, of_route[-1], confirmed_at=None) for of_route in by_route.values()]
        connection.execute(sa.insert(t.confirmed_place), rows)


def _present(connection: sa.Connection, station: str) -> tuple[int, list[Stay]]:
    station_id = connection.execute(
        sa.select(t.station.c.id).where(t.station.c.code == station)
    ).scalar_one_or_none()
    by_route = {} if station_id is None else stays_of(connection, [station_id]).get(station_id, {})
    if station_id is None or not by_route:
        raise NotFoundError(f"no position of {station} is known: collect observations first")
    return station_id, [of_route[-1] for of_route in by_route.values()]


def _row(site: str, station_id: int, stay: Stay, *, confirmed_at: int | None) -> dict[str, Any]:
    return {
        "site": site,
        "station_id": station_id,
        "route": stay.route,
        "place": place_key(stay.latitude, stay.longitude),
        "latitude": stay.latitude,
        "longitude": stay.longitude,
        "confirmed_at": confirmed_at,
    }


def _change_places(
    connection: sa.Connection, site: str, station_id: int, rows: Sequence[dict[str, Any]] | None
) -> int:
    """Add confirmed places of a site, or delete them if `rows` is None; mark the days that change as due."""
    column = t.confirmed_place.c
    by_route = stays_of(connection, [station_id])[station_id].values()
    before = places_of(connection, site, station_id)
    if rows is None:
        changed: int = connection.execute(
            sa.delete(t.confirmed_place).where(
                column.site == site, column.station_id == station_id, column.confirmed_at.is_not(None)
            )
        ).rowcount
    else:
        # Idempotent: a place that is confirmed already keeps its first date of confirmation.
        new = insert_into(connection, t.confirmed_place).on_conflict_do_nothing(
            index_elements=t.confirmed_place.primary_key
        )
        connection.execute(new, list(rows))
        changed = len(rows)
    after = places_of(connection, site, station_id)
    for site_id in connection.execute(sa.select(t.site.c.id).where(t.site.c.slug == site)).scalars().all():
        for of_route in by_route:
            note_change(
                connection, site_id, station_id, elsewhere(of_route, before), elsewhere(of_route, after)
            )
    return changed
