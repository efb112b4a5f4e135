"""Stays of a station, derived from its positions: pure functions.

A station has moved if one route states a place at least MOVED_METRES away in MOVE_SIGHTINGS answers over at
least MOVE_SPAN seconds, and never the old place between them. The move is dated back to the first of these
answers. Positions of different routes are never compared: routes may state the same place differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backend.core.clock import DAY_SECONDS
from backend.core.distance import metres_between

MOVED_METRES = 300.0
"""Smallest distance of a move. A network's rounding or a corrected position stays below it."""

MOVE_SIGHTINGS = 3
"""How many answers of one route must state a new place: a single answer may be wrong."""

MOVE_SPAN = DAY_SECONDS
"""Minimum seconds between the first and the last of these answers."""

_ALWAYS = 2**62


class Stay(NamedTuple):
    """A place at which a station stood from `since` (seconds since 1970) until the start of its next stay.

    Degrees, metres (None: not stated) and name are those of the first answer that stated the place.
    """

    route: str
    since: int
    latitude: float
    longitude: float
    elevation: float | None
    name: str


class Sighting(NamedTuple):
    """A position in one answer of one route."""

    time: int
    since: int
    latitude: float
    longitude: float
    elevation: float | None
    name: str


class Place(NamedTuple):
    """A place of a site: confirmed by the operator, or the place when the site got the station."""

    route: str
    latitude: float
    longitude: float
    confirmed: bool


def apart_metres(one: Stay | Sighting | Place, other: Stay | Sighting | Place) -> float:
    """Return the distance between two places in metres."""
    return metres_between((one.latitude, one.longitude), (other.latitude, other.longitude))


def stays(route: str, sightings: Iterable[Sighting]) -> list[Stay]:
    """Return the places at which a station stood by one route, oldest first."""
    stays_so_far: list[Stay] = []
    candidate: list[Sighting] = []
    for sighting in sorted(sightings):
        if not stays_so_far:
            stays_so_far.append(_stay(route, [sighting]))
        elif apart_metres(sighting, stays_so_far[-1]) < MOVED_METRES:
            candidate = []
        else:
            if candidate and apart_metres(sighting, candidate[0]) >= MOVED_METRES:
                candidate = []
            candidate.append(sighting)
            if len(candidate) >= MOVE_SIGHTINGS and sighting.time - candidate[0].time >= MOVE_SPAN:
                stays_so_far.append(_stay(route, candidate))
                candidate = []
    return stays_so_far


def _stay(route: str, sightings: Sequence[Sighting]) -> Stay:
    first = sightings[0]
    since = min(sighting.since for sighting in sightings)
    return Stay(route, since, first.latitude, first.longitude, first.elevation, first.name)


def elsewhere(of_route: Sequence[Stay], places: Sequence[Place]) -> list[tuple[int, int]]:
    """Return the spans (seconds since 1970) in which a station stood at no place of a site, by one route.

    If the route had stated no position when the station was assigned to the site, its first stay counts as a
    place of the site. Exception: if the route also has a stay at the place that another route stated on that
    day, the first stay is an older place from an archive and does not count.
    """
    if not of_route:
        return []
    assigned = [place for place in places if not place.confirmed]
    assigned = [
        place
        for place in assigned
        if place.route == of_route[0].route
        or any(apart_metres(stay, place) < MOVED_METRES for stay in of_route)
    ]
    return [
        (stay.since if number else 0, end)  # before its first position it stood at the first place
        for number, (stay, end) in enumerate(zip(of_route, ends_of(of_route), strict=True))
        if (number > 0 or assigned) and all(apart_metres(stay, place) >= MOVED_METRES for place in places)
    ]


def ends_of(of_route: Sequence[Stay]) -> list[int]:
    """Return the end of each stay: the start of the next one; the last stay has none."""
    return [*(stay.since for stay in of_route[1:]), _ALWAYS]
