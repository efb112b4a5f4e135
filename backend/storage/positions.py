"""Positions of stations with dates and per route, their stays, and the places of a site (see stays.py).

The stays of a station are a function of the stored positions, independent of the order in which these
arrived: each (route, day, place) stores the earliest and the latest answer, and two per day are enough to
count to three over 24 hours. For a site, readings count while the station stands at a place of that site: the
first known place, the place on the day the operator assigned the station to the site, and confirmed places.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from backend.core.clock import DAY_SECONDS
from backend.core.distance import metres_between
from backend.core.local_time import day_of_epoch
from backend.core.records import ObservationBatch
from backend.storage import schema as t
from backend.storage.database import from_epoch, insert_into, to_epoch
from backend.storage.due import READING_REACH, note_due
from backend.storage.rows import chunks, ids_of
from backend.storage.stays import MOVED_METRES, Place, Sighting, Stay, apart_metres, elsewhere, ends_of, stays

NO_PLACE = ""
"""Used as the rounded degrees of an answer without a position."""


@dataclass(frozen=True, slots=True)
class Move:
    """A station's move, for one of its sites. `metres` is the distance between the places."""

    site: str
    station: str
    route: str
    since: datetime
    before: Stay
    after: Stay
    metres: float
    confirmed: bool


# --- Storing positions -------------------------------------------------------------------------------


def note_positions(connection: sa.Connection, batch: ObservationBatch) -> None:
    """Store the positions of a batch, and mark the days affected by a move as due.

    A station of a site has one row per day and place. For each of the thousands of other stations, the
    newest row is extended while the place stays the same: this keeps enough in case a site adds the station.
    """
    if not batch.positions:
        return
    ids = ids_of(connection, t.station.c.code, sorted({position.station for position in batch.positions}))
    sites = _sites_of(connection, ids)
    rows: dict[tuple[int, str, int, str], dict[str, Any]] = {}
    newest = _newest_rows(connection, [ids[code] for code in ids if not sites.get(ids[code])])
    for position in sorted(batch.positions, key=lambda position: position.time):
        station_id, route, time = (
            ids[position.station],
            position.route or batch.route,
            to_epoch(position.time),
        )
        place = place_key(position.latitude, position.longitude)
        day = time // DAY_SECONDS
        last = newest.get((station_id, route))
        if last is not None and last[1] == place and time >= last[2]:
            day = last[0]
        row = {
            "station_id": station_id,
            "route": route,
            "day": day,
            "place": place,
            "first_seen": time,
            "last_seen": time,
            "since": time if position.since is None else min(time, to_epoch(position.since)),
            "latitude": position.latitude if place else None,
            "longitude": position.longitude if place else None,
            "elevation": position.elevation,
            "name": position.name,
        }
        known = rows.setdefault((station_id, route, day, place), row)
        known["last_seen"] = max(known["last_seen"], time)
        known["since"] = min(known["since"], row["since"])
    _upsert(connection, [rows[key] for key in sorted(rows)])
    by_route: dict[str, set[int]] = {}
    for station_id, route, _, place in rows:
        if place != NO_PLACE:
            by_route.setdefault(route, set()).add(station_id)
    for route, station_ids in by_route.items():
        for station_id in _to_derive(connection, route, station_ids):
            _derive(connection, station_id, route, sites.get(station_id, ()))


def forget_positions(connection: sa.Connection, ahead: int) -> None:
    """Delete positions later than `ahead` (seconds since 1970): they were stored under a wrong clock."""
    column = t.station_position.c
    query = sa.select(column.station_id, column.route, t.station.c.code).join(
        t.station, t.station.c.id == column.station_id
    )
    affected = connection.execute(query.where(column.last_seen > ahead).distinct()).all()
    connection.execute(sa.delete(t.station_position).where(column.last_seen > ahead))
    sites = _sites_of(connection, {row.code: row.station_id for row in affected})
    for row in affected:
        _derive(connection, row.station_id, row.route, sites.get(row.station_id, ()))


def place_key(latitude: float | None, longitude: float | None) -> str:
    """Return a place rounded to 1e-4 degrees, for comparison of equal places; NO_PLACE without a position."""
    if latitude is None or longitude is None:
        return NO_PLACE
    return f"{round(latitude * 1e4)},{round(longitude * 1e4)}"


def _newest_rows(
    connection: sa.Connection, station_ids: Iterable[int]
) -> dict[tuple[int, str], tuple[int, str, int]]:
    """Return day, place and time of the newest row of each station and route."""
    column = t.station_position.c
    query = sa.select(
        column.station_id, column.route, column.day, column.place, column.first_seen, column.last_seen
    ).order_by(column.last_seen, column.first_seen)
    return {
        (row.station_id, row.route): (row.day, row.place, row.first_seen)
        for some in chunks(station_ids)
        for row in connection.execute(query.where(column.station_id.in_(some)))
    }


def _upsert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    insert = insert_into(connection, t.station_position)
    new, old = insert.excluded, t.station_position.c
    # The earliest answer of a day describes the place, in any order of the answers.
    earlier = new.first_seen < old.first_seen
    stated = {
        name: sa.case((earlier, new[name]), else_=old[name])
        for name in ("latitude", "longitude", "elevation", "name", "first_seen")
    }
    statement = insert.on_conflict_do_update(
        index_elements=t.station_position.primary_key,
        set_=stated
        | {
            "last_seen": sa.case((new.last_seen > old.last_seen, new.last_seen), else_=old.last_seen),
            "since": sa.case((new.since < old.since, new.since), else_=old.since),
        },
    )
    connection.execute(statement, rows)


def _to_derive(connection: sa.Connection, route: str, station_ids: Collection[int]) -> list[int]:
    """Return the stations whose stays may have changed.

    A station whose positions all lie within MOVED_METRES has one stay. It is derived once, and again only if
    an earlier position arrives.
    """
    column, stay = t.station_position.c, t.station_stay.c
    boxes = sa.select(
        column.station_id,
        sa.func.min(column.since).label("since"),
        *(
            bound(value)
            for value in (column.latitude, column.longitude)
            for bound in (sa.func.min, sa.func.max)
        ),
    )
    changed = []
    for some in chunks(station_ids):
        single = {
            row.station_id: row.since
            for row in connection.execute(
                sa.select(stay.station_id, sa.func.max(stay.since).label("since"))
                .where(stay.station_id.in_(some), stay.route == route)
                .group_by(stay.station_id)
                .having(sa.func.count() == 1)
            )
        }
        for station_id, since, south, north, west, east in connection.execute(
            boxes.where(
                column.station_id.in_(some), column.route == route, column.place != NO_PLACE
            ).group_by(column.station_id)
        ):
            small = metres_between((south, west), (north, east)) < MOVED_METRES
            if not small or single.get(station_id) != since:
                changed.append(station_id)
    return changed


def _derive(connection: sa.Connection, station_id: int, route: str, sites: Iterable[tuple[int, str]]) -> None:
    """Write the stays of a station by one route, and mark the days that change at its sites as due."""
    column = t.station_stay.c
    before = stays_of(connection, [station_id]).get(station_id, {}).get(route, [])
    after = stays(route, _sightings(connection, station_id, route))
    if before == after:
        return
    connection.execute(
        sa.delete(t.station_stay).where(column.station_id == station_id, column.route == route)
    )
    if after:
        connection.execute(
            sa.insert(t.station_stay),
            [
                {"station_id": station_id, "number": number, **stay._asdict()}
                for number, stay in enumerate(after)
            ],
        )
    for site_id, site in sites:
        places = places_of(connection, site, station_id)
        note_change(connection, site_id, station_id, elsewhere(before, places), elsewhere(after, places))


def _sightings(connection: sa.Connection, station_id: int, route: str) -> Iterable[Sighting]:
    column = t.station_position.c
    query = sa.select(t.station_position).where(
        column.station_id == station_id, column.route == route, column.place != NO_PLACE
    )
    for row in connection.execute(query):
        stated = (row.latitude, row.longitude, row.elevation, row.name)
        yield Sighting(row.first_seen, row.since, *stated)
        if row.last_seen // DAY_SECONDS > row.day:  # an extended row: the place was also stated in between
            between = (row.first_seen + row.last_seen) // 2
            yield Sighting(between, between, *stated)
        if row.last_seen != row.first_seen:
            yield Sighting(row.last_seen, row.last_seen, *stated)


def note_change(
    connection: sa.Connection,
    site_id: int,
    station_id: int,
    before: Sequence[tuple[int, int]],
    after: Sequence[tuple[int, int]],
) -> None:
    """Mark the days as due whose readings now count and did not before, or the reverse."""
    changed = [moment for span in set(before) ^ set(after) for moment in span]
    reading = t.observation.c
    last = connection.execute(
        sa.select(sa.func.max(reading.time)).where(reading.station_id == station_id)
    ).scalar()
    if changed and last is not None and last >= min(changed):
        first_day = day_of_epoch(min(changed) - READING_REACH)
        last_day = day_of_epoch(min(max(changed), last) + READING_REACH)
        note_due(connection, ((site_id, day) for day in range(first_day, last_day + 1)))


def _sites_of(connection: sa.Connection, ids: Mapping[str, int]) -> dict[int, list[tuple[int, str]]]:
    """Return (id, slug) of every site, past series included, of each of these stations."""
    sites_by_station: dict[int, list[tuple[int, str]]] = {}
    for row in connection.execute(sa.select(t.site.c.id, t.site.c.slug, t.site.c.stations)):
        for code in row.stations.split(","):
            if code in ids:
                sites_by_station.setdefault(ids[code], []).append((row.id, row.slug))
    return sites_by_station


# --- Reading positions -------------------------------------------------------------------------------


_STAYS = (  # built once, as the next one: that takes longer than to execute them
    sa.select(t.station_stay)
    .where(t.station_stay.c.station_id.in_(sa.bindparam("stations", expanding=True)))
    .order_by(t.station_stay.c.station_id, t.station_stay.c.route, t.station_stay.c.number)
)
_PLACES = (
    sa.select(t.confirmed_place)
    .where(
        t.confirmed_place.c.site == sa.bindparam("site"),
        t.confirmed_place.c.station_id == sa.bindparam("station"),
    )
    .order_by(t.confirmed_place.c.route, t.confirmed_place.c.place)
)


def stays_of(connection: sa.Connection, station_ids: Iterable[int]) -> dict[int, dict[str, list[Stay]]]:
    """Return the stays of stations, per route."""
    stays_by_station: dict[int, dict[str, list[Stay]]] = {}
    for some in chunks(station_ids):
        for row in connection.execute(_STAYS, {"stations": some}):
            stay = Stay(row.route, row.since, row.latitude, row.longitude, row.elevation, row.name)
            stays_by_station.setdefault(row.station_id, {}).setdefault(row.route, []).append(stay)
    return stays_by_station


def places_of(connection: sa.Connection, site: str, station_id: int) -> list[Place]:
    """Return the places at which a station measures for a site, except the first known one."""
    return [
        Place(row.route, row.latitude, row.longitude, row.confirmed_at is not None)
        for row in connection.execute(_PLACES, {"site": site, "station": station_id})
    ]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The stays of one station, from the point of view of a site.

    `away` are the spans (seconds since 1970) whose readings do not count. `stays` are those of the route with
    the most stays; `counted` is the newest of them that counts, None if no position is known.
    """

    away: tuple[tuple[int, int], ...] = ()
    stays: tuple[Stay, ...] = ()
    counted: Stay | None = None


def whereabouts(connection: sa.Connection, site: str, station_ids: Collection[int]) -> dict[int, Whereabouts]:
    """Return the whereabouts of each station with a known position, for a site."""
    result = {}
    for station_id, by_route in stays_of(connection, station_ids).items():
        places = places_of(connection, site, station_id)
        away = {route: elsewhere(of_route, places) for route, of_route in by_route.items()}
        most = max(by_route.values(), key=len)
        not_counted = {end for _, end in away[most[0].route]}
        result[station_id] = Whereabouts(
            away=tuple(sorted({span for spans in away.values() for span in spans})),
            stays=tuple(most),
            counted=next(
                (
                    stay
                    for stay, end in reversed(list(zip(most, ends_of(most), strict=True)))
                    if end not in not_counted
                ),
                None,
            ),
        )
    return result


_MOVED = (
    sa.select(t.station.c.code, t.station.c.id)
    .join(t.station_stay, t.station_stay.c.station_id == t.station.c.id)
    .where(t.station_stay.c.number > 0)
    .distinct()
)


def moves(connection: sa.Connection, sites: Mapping[str, Sequence[str]]) -> list[Move]:
    """Return the moves of the stations of sites (name, station codes), oldest first."""
    codes = {code for stations in sites.values() for code in stations}
    ids = {row.code: row.id for row in connection.execute(_MOVED) if row.code in codes}
    of_station = stays_of(connection, ids.values())
    site_moves = []
    for site, stations in sites.items():
        for code in stations:
            for route, of_route in of_station.get(ids.get(code, -1), {}).items():
                if len(of_route) < 2:
                    continue
                places = places_of(connection, site, ids[code])
                away = {first for first, _ in elsewhere(of_route, places)}
                site_moves += [
                    Move(
                        site=site,
                        station=code,
                        route=route,
                        since=from_epoch(after.since),
                        before=before,
                        after=after,
                        metres=apart_metres(before, after),
                        confirmed=after.since not in away,
                    )
                    for before, after in pairwise(of_route)
                ]
    return sorted(site_moves, key=lambda move: (move.since, move.site, move.station, move.route))


def first_stated_moves(connection: sa.Connection, sites: Mapping[str, Sequence[str]]) -> list[Move]:
    """Return `moves`, without those that another route stated before.

    Routes state a move at different times, and the first one dates it. Where routes state the new place
    MOVED_METRES apart or more, each has a move of its own.
    """
    newest: dict[tuple[str, str], Move] = {}
    found = []
    for move in moves(connection, sites):
        before = newest.get((move.site, move.station))
        if (
            before is None
            or before.route == move.route
            or apart_metres(before.after, move.after) >= MOVED_METRES
        ):
            newest[move.site, move.station] = move
            found.append(move)
    return found
