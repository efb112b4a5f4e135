"""Contradictions in the positions that routes state for stations, for the operator to check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations, pairwise, takewhile
from typing import Any, NamedTuple

import sqlalchemy as sa

from backend.core.clock import DAY_SECONDS
from backend.core.distance import metres_between
from backend.storage import schema as t
from backend.storage.database import from_epoch, to_epoch
from backend.storage.positions import NO_PLACE, stays_of
from backend.storage.rows import chunks
from backend.storage.stays import MOVE_SIGHTINGS, MOVED_METRES, Stay, apart_metres


class PlaceQuestion(NamedTuple):
    """A contradiction in a station's positions that is not a move; for the operator to check."""

    station: str
    text: str


HEIGHT_CHANGE_SECONDS = 30 * DAY_SECONDS
"""How long a changed height stays a question."""

_SAME_METRES = 1.0


def place_questions(connection: sa.Connection, stations: Sequence[str], now: datetime) -> list[PlaceQuestion]:
    """Return the questions about stations (codes), by station and route."""
    column = t.station_position.c
    query = (
        sa.select(t.station_position, t.station.c.code)
        .join(t.station, t.station.c.id == column.station_id)
        .order_by(t.station.c.code, column.route, column.last_seen, column.first_seen)
    )
    rows: dict[tuple[str, str], list[Any]] = {}
    for some in chunks(stations):
        for row in connection.execute(query.where(t.station.c.code.in_(some))):
            rows.setdefault((row.code, row.route), []).append(row)
    present = {
        (station_id, route): of_route[-1]
        for station_id, by_route in stays_of(connection, {of[0].station_id for of in rows.values()}).items()
        for route, of_route in by_route.items()
    }
    questions = []
    by_station: dict[str, list[Stay]] = {}
    for (code, route), of_route in sorted(rows.items()):
        stay = present.get((of_route[0].station_id, route))
        if stay is not None:
            by_station.setdefault(code, []).append(stay)
        texts = [_other_height(of_route, stay, to_epoch(now)), _elsewhere(of_route, stay)]
        without_place = list(takewhile(lambda row: row.place == NO_PLACE, reversed(of_route)))
        if without_place:
            since = from_epoch(without_place[-1].first_seen)
            texts.append(f"no position is stated since {since:%Y-%m-%d}; the last known one is used")
        questions += [PlaceQuestion(code, f"by {route}: {text}") for text in texts if text]
    for code, stays in by_station.items():
        for one, other in combinations(stays, 2):
            if (apart := apart_metres(one, other)) >= MOVED_METRES:
                text = f"{one.route} and {other.route} state places {apart / 1000:.1f} km apart"
                questions.append(PlaceQuestion(code, f"{text}; this is not a move"))
    return sorted(questions)


def _other_height(rows: Sequence[Any], stay: Stay | None, now: int) -> str:
    """Return the newest change of the stated height at the same place, if it is recent."""
    if stay is None:
        return ""
    here = [
        row
        for row in rows
        if row.place != NO_PLACE
        and row.elevation is not None
        and row.first_seen >= stay.since
        and metres_between((row.latitude, row.longitude), (stay.latitude, stay.longitude)) < MOVED_METRES
    ]
    for before, after in reversed(list(pairwise(here))):
        if abs(after.elevation - before.elevation) > _SAME_METRES:
            if now - after.first_seen > HEIGHT_CHANGE_SECONDS:
                return ""
            return (
                f"its height changed from {before.elevation:g} to {after.elevation:g} m on"
                f" {from_epoch(after.first_seen):%Y-%m-%d}, at the same place"
            )
    return ""


def _elsewhere(rows: Sequence[Any], stay: Stay | None) -> str:
    known = [row for row in rows if row.place != NO_PLACE]
    if stay is None or not known:
        return ""
    apart = metres_between((known[-1].latitude, known[-1].longitude), (stay.latitude, stay.longitude))
    if apart < MOVED_METRES:
        return ""
    seen = from_epoch(known[-1].last_seen)
    return (
        f"stated {apart / 1000:.1f} km from its place on {seen:%Y-%m-%d %H:%M} UTC;"
        f" it counts as a move after {MOVE_SIGHTINGS} such answers over 24 h"
    )
