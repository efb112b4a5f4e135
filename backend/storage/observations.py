"""What the beacons measured: one batch into the tables, on a connection that the store has opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from backend.core.records import ObservationBatch
from backend.storage import schema as t
from backend.storage.database import insert_into, inserted_id, to_epoch
from backend.storage.due import readings_changed
from backend.storage.merging import Row, Values, merge
from backend.storage.rows import Key, ids_of, rows_by_key, value_columns, write_rows
from backend.storage.runs import Claim


def keep_observations(
    connection: sa.Connection, batch: ObservationBatch, claim: Claim | None, *, replace: bool
) -> int:
    """Write a batch; return how many values are new or changed."""
    _describe_stations(connection, batch)
    _note_list(connection, batch)
    codes = sorted({record.station for record in batch.records} | batch.caught_up.keys())
    ids = ids_of(connection, t.station.c.code, codes)
    came = rows_by_key(
        (ids[record.station], record.time, record.parameter, record.value) for record in batch.records
    )
    changed, gained = merge(_kept(connection, came), came, batch.rank, last_wins=True, replace=replace)
    if changed:
        _write(connection, batch, claim, changed)
        newest = dict(sorted(changed))  # of a station's times, the last one stays
        _move_forward(connection, t.station.c.newest, newest)
    caught_up = {ids[code]: to_epoch(time) for code, time in batch.caught_up.items()}
    _move_forward(connection, t.station.c.caught_up, caught_up)
    return gained


def _kept(connection: sa.Connection, came: Iterable[Key]) -> dict[Key, Row]:
    """Return those of the rows that are there already: one span of times per station is read.

    SQLite answers a list of (station, time) pairs by walking the whole table. One span for all stations
    would be no better: a beacon that fell silent is sent with its last reading, which may be a year old.
    """
    observation, batch = t.observation.c, t.observation_batch.c
    query = (
        sa.select(observation.station_id, observation.time, batch.rank, *value_columns(t.observation))
        .join_from(t.observation, t.observation_batch, batch.id == observation.batch_id)
        .where(
            observation.station_id == sa.bindparam("station"),
            observation.time.between(sa.bindparam("first"), sa.bindparam("last")),
        )
    )
    times: dict[int, list[int]] = {}
    for station_id, time in came:
        times.setdefault(station_id, []).append(time)
    return {
        (row[0], row[1]): Row(row[2], tuple(row[3:]))
        for station_id, moments in times.items()
        for row in connection.execute(
            query, {"station": station_id, "first": min(moments), "last": max(moments)}
        )
    }


def _write(
    connection: sa.Connection,
    batch: ObservationBatch,
    claim: Claim | None,
    changed: Mapping[Key, Values],
) -> None:
    batch_id = inserted_id(
        connection,
        sa.insert(t.observation_batch).values(
            job_run_id=claim.run_id if claim else None,
            source=batch.source,
            route=batch.route,
            rank=batch.rank,
            averaging_minutes=batch.averaging_minutes,
            direction_resolution=batch.direction_resolution,
            collected_at=to_epoch(batch.collected_at),
        ),
    )
    rows = [(*key, batch_id, *values) for key, values in sorted(changed.items())]
    write_rows(connection, t.observation, rows)
    readings_changed(connection, changed)


def _move_forward(connection: sa.Connection, column: sa.Column[int], times: Mapping[int, int]) -> None:
    """Set a time of each station, unless it is at a later one already."""
    if not times:
        return
    later = sa.or_(column.is_(None), column < sa.bindparam("moment"))
    connection.execute(
        sa.update(t.station)
        .where(t.station.c.id == sa.bindparam("station"), later)
        .values({column: sa.bindparam("moment")}),
        [{"station": station_id, "moment": time} for station_id, time in times.items()],
    )


def _describe_stations(connection: sa.Connection, batch: ObservationBatch) -> None:
    rows = [
        {
            "code": station.id,
            "name": station.name,
            "latitude": station.latitude,
            "longitude": station.longitude,
            "elevation": station.elevation,
            "kind": station.kind,
            "remarks": station.remarks,
        }
        for station in batch.stations
    ]
    if rows:
        insert = insert_into(connection, t.station)
        new, old = insert.excluded, t.station.c
        words, numbers = ("name", "kind", "remarks"), ("latitude", "longitude", "elevation")
        # A route that says less about a station takes nothing away.
        known = {name: sa.func.coalesce(sa.func.nullif(new[name], ""), old[name]) for name in words}
        known |= {name: sa.func.coalesce(new[name], old[name]) for name in numbers}
        connection.execute(insert.on_conflict_do_update(index_elements=["code"], set_=known), rows)


def _note_list(connection: sa.Connection, batch: ObservationBatch) -> None:
    if batch.listed:
        insert = insert_into(connection, t.station_list)
        later = insert.on_conflict_do_update(
            index_elements=["network"],
            set_={"listed_at": insert.excluded.listed_at},
            where=insert.excluded.listed_at > t.station_list.c.listed_at,
        )
        connection.execute(later, {"network": batch.listed, "listed_at": to_epoch(batch.collected_at)})
