"""Where stations stood, with dates and per route; the moves that follow from it; what a site confirmed.

A station has moved when one route states a place at least MOVED_METRES away in MOVE_SIGHTINGS answers over
at least MOVE_SPAN seconds, without stating the old place between them. The move is dated back to the first of
these answers. Routes are never compared: they may state the same place differently.

The places at which a station stayed are a function of the stored positions, in whatever order these came:
each (route, day, place) keeps the earliest and the latest answer, and two of them a day are enough to count
to three over a day. For a site, readings count while the station stands at a place of that site: the first
one that is known, the one where it stood when the operator gave it to the site, and those confirmed since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import sqlalchemy as sa

from backend.core.distance import metres_between
from backend.core.local_time import day_of_epoch
from backend.core.records import ObservationBatch
from backend.storage import schema as t
from backend.storage.database import from_epoch, insert_into, to_epoch
from backend.storage.due import READING_REACH, note_due
from backend.storage.rows import chunks, ids_of

MOVED_METRES = 300.0
"""So far away another place begins. A network's rounding or a better reading of a place stays below."""

MOVE_SIGHTINGS = 3
"""In so many answers of one route a new place must be stated: one answer may be wrong."""

MOVE_SPAN = 24 * 3600
"""Seconds between the first and the last of these answers, at least."""

NO_PLACE = ""
"""In place of the rounded degrees: the answer stated no position."""

_DAY = 86_400
_ALWAYS = 2**62


class Stay(NamedTuple):
    """A place at which a station stood from `since` (seconds since 1970) until its next stay began.

    Degrees, metres (None: not stated) and name are those of the first answer that stated the place.
    """

    route: str
    since: int
    latitude: float
    longitude: float
    elevation: float | None
    name: str


class Sighting(NamedTuple):
    """A position as one answer of one route stated it."""

    time: int
    since: int
    latitude: float
    longitude: float
    elevation: float | None
    name: str


class Place(NamedTuple):
    """A place that belongs to a site: confirmed by the operator, or that of the day it was given to it."""

    route: str
    latitude: float
    longitude: float
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A station's move as one of its sites sees it. `metres` lie between the places."""

    site: str
    station: str
    route: str
    since: datetime
    before: Stay
    after: Stay
    metres: float
    confirmed: bool


# --- What follows from positions ---------------------------------------------------------------------


def apart_metres(one: Stay | Sighting | Place, other: Stay | Sighting | Place) -> float:
    """Return the distance of two places in metres."""
    return metres_between((one.latitude, one.longitude), (other.latitude, other.longitude))


def stays(route: str, sightings: Iterable[Sighting]) -> list[Stay]:
    """Return the places at which a station stood by one route, oldest first."""
    found: list[Stay] = []
    candidate: list[Sighting] = []
    for seen in sorted(sightings):
        if not found:
            found.append(_stay(route, [seen]))
        elif apart_metres(seen, found[-1]) < MOVED_METRES:
            candidate = []
        else:
            if candidate and apart_metres(seen, candidate[0]) >= MOVED_METRES:
                candidate = []
            candidate.append(seen)
            if len(candidate) >= MOVE_SIGHTINGS and seen.time - candidate[0].time >= MOVE_SPAN:
                found.append(_stay(route, candidate))
                candidate = []
    return found


def _stay(route: str, seen: Sequence[Sighting]) -> Stay:
    first = seen[0]
    since = min(each.since for each in seen)
    return Stay(route, since, first.latitude, first.longitude, first.elevation, first.name)


def elsewhere(of_route: Sequence[Stay], places: Sequence[Place]) -> list[tuple[int, int]]:
    """Return from when to when (seconds since 1970) a station stood at none of a site's places, by one route.

    Of a route by which no place is known from the day the station was given to the site, the first stay is
    one of them; but not where the route knows of a stay at the place that another route stated that day: an
    archive shows then where the station stood before.
    """
    if not of_route:
        return []
    given = [place for place in places if not place.confirmed]
    given = [
        place
        for place in given
        if place.route == of_route[0].route
        or any(apart_metres(stay, place) < MOVED_METRES for stay in of_route)
    ]
    return [
        (stay.since if number else 0, end)  # before its first position it stood where it was first seen
        for number, (stay, end) in enumerate(zip(of_route, _ends(of_route), strict=True))
        if (number > 0 or given) and not _at_one_of(stay, places)
    ]


def _ends(of_route: Sequence[Stay]) -> list[int]:
    """Return when each stay ends: at the next one, or not yet."""
    return [*(stay.since for stay in of_route[1:]), _ALWAYS]


def _at_one_of(stay: Stay, places: Sequence[Place]) -> bool:
    return any(apart_metres(stay, place) < MOVED_METRES for place in places)


# --- Positions in ------------------------------------------------------------------------------------


def note_positions(connection: sa.Connection, batch: ObservationBatch) -> None:
    """Store the positions of a batch, and note the days that a move makes due.

    A station of a site has a row for each day and place. Of any other the newest row is extended for as long
    as its place stays: there are thousands of them, and a site may still come to name one.
    """
    if not batch.positions:
        return
    ids = ids_of(connection, t.station.c.code, sorted({each.station for each in batch.positions}))
    sites = _sites_of(connection, ids)
    rows: dict[tuple[int, str, int, str], dict[str, Any]] = {}
    newest = _newest_rows(connection, [ids[code] for code in ids if not sites.get(ids[code])])
    for each in sorted(batch.positions, key=lambda each: each.time):
        station_id, route, time = ids[each.station], each.route or batch.route, to_epoch(each.time)
        place = place_key(each.latitude, each.longitude)
        day = time // _DAY
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
            "since": time if each.since is None else min(time, to_epoch(each.since)),
            "latitude": each.latitude if place else None,
            "longitude": each.longitude if place else None,
            "elevation": each.elevation,
            "name": each.name,
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
    """Delete the positions that were seen later than `ahead` (seconds since 1970), under a wrong clock."""
    column = t.station_position.c
    query = sa.select(column.station_id, column.route, t.station.c.code).join(
        t.station, t.station.c.id == column.station_id
    )
    concerned = connection.execute(query.where(column.last_seen > ahead).distinct()).all()
    connection.execute(sa.delete(t.station_position).where(column.last_seen > ahead))
    sites = _sites_of(connection, {row.code: row.station_id for row in concerned})
    for row in concerned:
        _derive(connection, row.station_id, row.route, sites.get(row.station_id, ()))


def place_key(latitude: float | None, longitude: float | None) -> str:
    """Return a place rounded to 1e-4 degrees, by which equal ones are recognised; NO_PLACE without one."""
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

    A station of which every position lies within MOVED_METRES has one stay; it is derived once, and again
    only if an earlier position came.
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
    found = []
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
                found.append(station_id)
    return found


def _derive(connection: sa.Connection, station_id: int, route: str, sites: Iterable[tuple[int, str]]) -> None:
    """Write the stays of a station by one route, and note what they change at its sites."""
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
        if row.last_seen // _DAY > row.day:  # of a station without a site: it was seen in between as well
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
    """Note the days as due whose readings count now and did not, or the other way round."""
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
    """Return id and name of every site, past series included, that names one of these stations."""
    found: dict[int, list[tuple[int, str]]] = {}
    for row in connection.execute(sa.select(t.site.c.id, t.site.c.slug, t.site.c.stations)):
        for code in row.stations.split(","):
            if code in ids:
                found.setdefault(ids[code], []).append((row.id, row.slug))
    return found


# --- Positions out -----------------------------------------------------------------------------------


def stays_of(connection: sa.Connection, station_ids: Iterable[int]) -> dict[int, dict[str, list[Stay]]]:
    """Return the stays of stations, by route."""
    column = t.station_stay.c
    query = sa.select(t.station_stay).order_by(column.station_id, column.route, column.number)
    found: dict[int, dict[str, list[Stay]]] = {}
    for some in chunks(station_ids):
        for row in connection.execute(query.where(column.station_id.in_(some))):
            stay = Stay(row.route, row.since, row.latitude, row.longitude, row.elevation, row.name)
            found.setdefault(row.station_id, {}).setdefault(row.route, []).append(stay)
    return found


def places_of(connection: sa.Connection, site: str, station_id: int) -> list[Place]:
    """Return the places at which a station measures for a site, besides the first one that is known."""
    column = t.confirmed_place.c
    query = sa.select(t.confirmed_place).where(column.site == site, column.station_id == station_id)
    return [
        Place(row.route, row.latitude, row.longitude, row.confirmed_at is not None)
        for row in connection.execute(query.order_by(column.route, column.place))
    ]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a site needs to know of the places of one station.

    `away` are the spans (seconds since 1970) whose readings do not count. `stays` are those of the route that
    knows of most; `counted` is the newest of them that counts, None where no position is known.
    """

    away: tuple[tuple[int, int], ...] = ()
    stays: tuple[Stay, ...] = ()
    counted: Stay | None = None


def whereabouts(connection: sa.Connection, site: str, station_ids: Collection[int]) -> dict[int, Whereabouts]:
    """Return where each station stood, as far as a site is concerned."""
    found = {}
    for station_id, by_route in stays_of(connection, station_ids).items():
        places = places_of(connection, site, station_id)
        away = {route: elsewhere(of_route, places) for route, of_route in by_route.items()}
        most = max(by_route.values(), key=len)
        not_counted = {end for _, end in away[most[0].route]}
        found[station_id] = Whereabouts(
            away=tuple(sorted({span for spans in away.values() for span in spans})),
            stays=tuple(most),
            counted=next(
                (
                    stay
                    for stay, end in reversed(list(zip(most, _ends(most), strict=True)))
                    if end not in not_counted
                ),
                None,
            ),
        )
    return found


def moves(connection: sa.Connection, sites: Mapping[str, Sequence[str]]) -> list[Move]:
    """Return the moves of the stations of sites (name, station codes), oldest first."""
    codes = {code for stations in sites.values() for code in stations}
    moved = (
        sa.select(t.station.c.code, t.station.c.id)
        .join(t.station_stay, t.station_stay.c.station_id == t.station.c.id)
        .where(t.station_stay.c.number > 0)
        .distinct()
    )
    ids = {row.code: row.id for row in connection.execute(moved) if row.code in codes}
    of_station = stays_of(connection, ids.values())
    found = []
    for site, stations in sites.items():
        for code in stations:
            for route, of_route in of_station.get(ids.get(code, -1), {}).items():
                if len(of_route) < 2:
                    continue
                places = places_of(connection, site, ids[code])
                away = {first for first, _ in elsewhere(of_route, places)}
                found += [
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
    return sorted(found, key=lambda move: (move.since, move.site, move.station, move.route))
