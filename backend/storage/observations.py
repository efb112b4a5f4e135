"""Storage of an observation batch, on a connection that the store has opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from backend.core.records import ObservationBatch
from backend.storage import schema as t
from backend.storage.database import insert_into, inserted_id, to_epoch
from backend.storage.due import readings_changed
from backend.storage.origins import by_row, mixed, origin_of, origins_of, stored_row, write_values
from backend.storage.positions import note_positions
from backend.storage.precedence import NEW, Mode, Origin, Row, merge
from backend.storage.removals import held
from backend.storage.retention import retention
from backend.storage.rows import Key, ids_of, rows_by_key, value_columns
from backend.storage.run_records import Claim


def store_observations(
    connection: sa.Connection, batch: ObservationBatch, claim: Claim | None, *, mode: Mode = "collect"
) -> int:
    """Store a batch; return how many values are new or changed."""
    _describe_stations(connection, batch)
    note_positions(connection, batch)
    _note_list(connection, batch)
    codes = sorted({record.station for record in batch.records} | batch.complete_until.keys())
    ids = ids_of(connection, t.station.c.code, codes)
    incoming = rows_by_key(
        (ids[record.station], record.time, record.parameter, record.value) for record in batch.records
    )
    periods = held(connection)
    if periods.stations:  # what the operator removed is not stored again
        code_of = {number: code for code, number in ids.items()}
        incoming = {
            key: values
            for key, values in incoming.items()
            if periods.of_station(code_of[key[0]], key[1]) is None
        }
    floor = retention(connection).observations_from
    if floor is not None:  # a network repeats the last reading of a silent beacon, however old it is
        incoming = {key: values for key, values in incoming.items() if key[1] >= floor}
    stored, origins = stored_readings(connection, incoming)
    changed, gained = merge(stored, incoming, origin_of(batch), origins, last_wins=True, mode=mode)
    if changed:
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
        before = [key for key in mixed(stored) if key in changed]
        write_values(
            connection, t.observation, changed, lambda batch: batch_id if batch == NEW else batch, before
        )
        readings_changed(connection, changed)
        newest = dict(sorted(changed))  # of several times of a station, the last one remains
        _move_forward(connection, t.station.c.newest, newest)
    complete_until = {ids[code]: to_epoch(time) for code, time in batch.complete_until.items()}
    _move_forward(connection, t.station.c.caught_up, complete_until)
    return gained


def stored_readings(
    connection: sa.Connection, incoming: Iterable[Key]
) -> tuple[dict[Key, Row], dict[int, Origin]]:
    """Return the stored rows for these keys, and the origins of their batches.

    One span of times per station is read. For a list of (station, time) pairs SQLite scans the whole table.
    One span for all stations would be too long: a network repeats the last reading of a silent beacon, which
    may be a year old.
    """
    times: dict[int, list[int]] = {}
    for station_id, time in incoming:
        times.setdefault(station_id, []).append(time)
    stored: dict[Key, Row] = {}
    for station_id, moments in times.items():
        span = {"station": station_id, "first": min(moments), "last": max(moments)}
        other_batches = by_row(connection.execute(_OTHERS, span))
        stored |= {
            (row[0], row[1]): stored_row(row[2], tuple(row[3:]), other_batches.get((row[0], row[1])))
            for row in connection.execute(_READINGS, span)
        }
    ids = {batch for row in stored.values() for batch in row.batches if batch is not None}
    return stored, origins_of(connection, t.observation_batch, ids)


def _spanned(table: sa.Table, *columns: sa.ColumnElement[int]) -> sa.Select[Any]:
    return sa.select(table.c.station_id, table.c.time, *columns).where(
        table.c.station_id == sa.bindparam("station"),
        table.c.time.between(sa.bindparam("first"), sa.bindparam("last")),
    )


_READINGS = _spanned(t.observation, t.observation.c.batch_id, *value_columns(t.observation))
_OTHERS = _spanned(t.observation_origin, t.observation_origin.c.parameter, t.observation_origin.c.batch_id)


def _move_forward(connection: sa.Connection, column: sa.Column[int], times: Mapping[int, int]) -> None:
    """Set a time of each station unless the stored one is later."""
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
        texts, numbers = ("name", "kind", "remarks"), ("latitude", "longitude", "elevation")
        # A route that does not state a property leaves the stored one as it is.
        known = {name: sa.func.coalesce(sa.func.nullif(new[name], ""), old[name]) for name in texts}
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
