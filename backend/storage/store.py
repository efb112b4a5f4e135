"""The store of sites, stations, forecasts and observations. Every batch is one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from backend.core.errors import NotFound
from backend.core.parameters import Parameter
from backend.core.records import (
    Batch,
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Rejected,
    Site,
    Station,
    Wanted,
)
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, inserted_id, maybe_epoch, to_epoch
from backend.storage.ledger import hold
from backend.storage.merging import Row, Values, merge_forecast, merge_observation
from backend.storage.places import active_ids, active_sites, save_site, site_record, station_record
from backend.storage.runs import Claim

_VALUE_COLUMNS = tuple(parameter.value for parameter in Parameter)
_CHUNK = 400  # keys in one IN list: well below the limit on variables of either database


class Store:
    """Everything we keep about the world. All methods block: call them from a thread."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # --- Sites and stations ------------------------------------------------------------------------

    def sites(self) -> tuple[Site, ...]:
        """Return every configured series of every site, oldest series first."""
        query = sa.select(t.site).where(t.site.c.configured).order_by(t.site.c.slug, t.site.c.series)
        with self.database.read() as connection:
            return tuple(site_record(row) for row in connection.execute(query))

    def save_sites(self, sites: Sequence[Site]) -> None:
        """Make `sites` the configured ones; those left out keep their data.

        Raises ConfigError where a known site has moved without a new id or a later valid_from.
        """
        with self.database.write() as connection:
            connection.execute(sa.update(t.site).values(configured=False))
            for site in sites:
                save_site(connection, site)

    def remove_site(self, site_id: str) -> None:
        """Take a site off the list; its data stay. Raises NotFound."""
        statement = sa.update(t.site).where(t.site.c.slug == site_id, t.site.c.configured)
        with self.database.write() as connection:
            if not connection.execute(statement.values(configured=False)).rowcount:
                raise NotFound(f"there is no site {site_id!r}")

    def stations(self) -> tuple[Station, ...]:
        """Return every station that a network has described or that has sent a reading."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.station).order_by(t.station.c.code))
            return tuple(station_record(row) for row in rows)

    # --- What to ask for ---------------------------------------------------------------------------

    def wanted_forecasts(self, sites: Sequence[Site], now: datetime, since: datetime) -> Wanted:
        """Return what a forecast collection should know: which parts of which runs are kept, and where."""
        part = t.collected_part
        collected = (
            sa.select(t.model.c.name, part.c.reference_time, part.c.part, t.site.c.slug, part.c.rank)
            .join_from(part, t.model, t.model.c.id == part.c.model_id)
            .join(t.site, t.site.c.id == part.c.site_id)
            .where(part.c.reference_time >= to_epoch(since), t.site.c.id.in_(active_ids(now)))
        )
        cells = (
            sa.select(t.model.c.name, t.site.c.slug, t.grid_point.c.cell)
            .join_from(t.grid_point, t.model)
            .join(t.site, t.site.c.id == t.grid_point.c.site_id)
            .where(t.site.c.id.in_(active_ids(now)))
        )
        with self.database.read() as connection:
            return Wanted(
                now=now,
                since=since,
                sites=tuple(sites),
                collected={
                    (model, from_epoch(run), name, site): rank
                    for model, run, name, site, rank in connection.execute(collected)
                },
                cells={(model, site): cell for model, site, cell in connection.execute(cells)},
            )

    def wanted_observations(self, sites: Sequence[Site], now: datetime, since: datetime) -> Wanted:
        """Return what an observation collection should know: the stations and their newest readings."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.station)).all()
            listed = connection.execute(sa.select(t.station_list)).all()
        return Wanted(
            now=now,
            since=since,
            sites=tuple(sites),
            newest={row.code: from_epoch(row.newest) for row in rows if row.newest is not None},
            stations={row.code: station_record(row) for row in rows},
            listed={row.network: from_epoch(row.listed_at) for row in listed},
        )

    # --- What came ---------------------------------------------------------------------------------

    def add_forecasts(
        self, batch: ForecastBatch, claim: Claim | None = None, *, replace: bool = False
    ) -> int:
        """Keep a batch whole, once, however often it comes; return how many values are new or better.

        Within a rank the first value stays (`replace` makes the new one win: a repaired parser).
        Raises StoreUnavailable with nothing written, LeaseLost where `claim` is no longer held.
        """
        with self.database.write() as connection:
            hold(connection, claim)
            self._set_aside(connection, batch, claim)
            if batch.run is None:
                return 0
            model_id = _dimension(connection, t.model, "name", [batch.run.model])[batch.run.model]
            sites = active_sites(connection, batch.collected_at)
            rows = _forecast_rows(batch.records, sites)
            kept = _kept_forecasts(connection, model_id, batch.run.reference_time, rows)
            changed = {
                key: merged
                for key, values in rows.items()
                if (merged := merge_forecast(kept.get(key), Row(batch.rank, values), replace=replace))
                != kept.get(key)
            }
            self._write_forecasts(connection, batch, claim, model_id, changed)
            self._note_parts(connection, batch, model_id, sites)
            return sum(_gained(kept.get(key), row) for key, row in changed.items())

    def add_observations(
        self, batch: ObservationBatch, claim: Claim | None = None, *, replace: bool = False
    ) -> int:
        """Keep a batch whole; return how many values are new or changed. Networks correct themselves.

        Within a rank the last value wins; a value that an answer does not give stays as it was.
        Raises StoreUnavailable with nothing written, LeaseLost where `claim` is no longer held.
        """
        with self.database.write() as connection:
            hold(connection, claim)
            self._set_aside(connection, batch, claim)
            self._describe_stations(connection, batch)
            codes = sorted({record.station for record in batch.records})
            ids = _dimension(connection, t.station, "code", codes)
            rows = _observation_rows(batch.records, ids)
            kept = _kept_observations(connection, rows)
            changed = {
                key: merged
                for key, values in rows.items()
                if (merged := merge_observation(kept.get(key), Row(batch.rank, values), replace=replace))
                != kept.get(key)
            }
            self._write_observations(connection, batch, claim, changed)
            return sum(_gained(kept.get(key), row) for key, row in changed.items())

    # --- The parts of keeping ----------------------------------------------------------------------

    def _write_forecasts(
        self,
        connection: sa.Connection,
        batch: ForecastBatch,
        claim: Claim | None,
        model_id: int,
        changed: dict[tuple[int, int], Row],
    ) -> None:
        if not changed or batch.run is None:
            return
        batch_id = inserted_id(
            connection,
            sa.insert(t.forecast_batch).values(
                job_run_id=claim.run_id if claim else None,
                model_id=model_id,
                reference_time=to_epoch(batch.run.reference_time),
                source=batch.source,
                route=batch.route,
                rank=batch.rank,
                available_at=to_epoch(batch.run.available_at),
                published=batch.run.published,
                collected_at=to_epoch(batch.collected_at),
            ),
        )
        key = {"model_id": model_id, "reference_time": to_epoch(batch.run.reference_time)}
        rows = [
            {
                "site_id": site_id,
                "valid_time": valid_time,
                "batch_id": batch_id,
                **key,
                **_columns(row.values),
            }
            for (site_id, valid_time), row in sorted(changed.items())
        ]
        self._upsert(connection, t.forecast, rows)

    def _write_observations(
        self,
        connection: sa.Connection,
        batch: ObservationBatch,
        claim: Claim | None,
        changed: dict[tuple[int, int], Row],
    ) -> None:
        if not changed:
            return
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
        rows = [
            {"station_id": station_id, "time": time, "batch_id": batch_id, **_columns(row.values)}
            for (station_id, time), row in sorted(changed.items())
        ]
        self._upsert(connection, t.observation, rows)
        newest: dict[int, int] = {}
        for station_id, time in changed:
            newest[station_id] = max(time, newest.get(station_id, time))
        later = sa.or_(t.station.c.newest.is_(None), t.station.c.newest < sa.bindparam("time"))
        connection.execute(
            sa.update(t.station)
            .where(t.station.c.id == sa.bindparam("station"), later)
            .values(newest=sa.bindparam("time")),
            [{"station": station_id, "time": time} for station_id, time in newest.items()],
        )

    def _upsert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        insert = self.database.insert(table)
        key = [column.name for column in table.primary_key]
        new = {name: insert.excluded[name] for name in ("batch_id", *_VALUE_COLUMNS)}
        connection.execute(insert.on_conflict_do_update(index_elements=key, set_=new), rows)

    def _note_parts(
        self, connection: sa.Connection, batch: ForecastBatch, model_id: int, sites: dict[str, int]
    ) -> None:
        if batch.run is None:
            return
        reference_time = to_epoch(batch.run.reference_time)
        rows = [
            {
                "reference_time": reference_time,
                "model_id": model_id,
                "part": part,
                "site_id": sites[site],
                "rank": batch.rank,
            }
            for part in batch.parts
            for site in batch.sites
        ]
        if rows:
            insert = self.database.insert(t.collected_part)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[column.name for column in t.collected_part.primary_key],
                    set_={"rank": insert.excluded.rank},
                    where=insert.excluded.rank < t.collected_part.c.rank,
                ),
                rows,
            )
        points = [
            {
                "model_id": model_id,
                "site_id": sites[point.site],
                "cell": point.cell,
                "ground": point.ground,
                "height": point.height,
            }
            for point in batch.grid_points
        ]
        if points:
            insert = self.database.insert(t.grid_point)
            new = {name: insert.excluded[name] for name in ("cell", "ground", "height")}
            statement = insert.on_conflict_do_update(index_elements=["model_id", "site_id"], set_=new)
            connection.execute(statement, points)

    def _describe_stations(self, connection: sa.Connection, batch: ObservationBatch) -> None:
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
            insert = self.database.insert(t.station)
            new, old = insert.excluded, t.station.c
            known = {  # a route that says less about a station takes nothing away
                name: sa.func.coalesce(sa.func.nullif(new[name], ""), old[name])
                for name in ("name", "kind", "remarks")
            } | {
                name: sa.func.coalesce(new[name], old[name])
                for name in ("latitude", "longitude", "elevation")
            }
            connection.execute(insert.on_conflict_do_update(index_elements=["code"], set_=known), rows)
        if batch.listed:
            insert = self.database.insert(t.station_list)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["network"], set_={"listed_at": insert.excluded.listed_at}
                ),
                {"network": batch.listed, "listed_at": to_epoch(batch.collected_at)},
            )

    def _set_aside(self, connection: sa.Connection, batch: Batch, claim: Claim | None) -> None:
        rows = [
            {
                "fingerprint": _fingerprint(value),
                "job_run_id": claim.run_id if claim else None,
                "source": batch.source,
                "route": batch.route,
                "subject": value.subject,
                "parameter": value.parameter,
                "time": maybe_epoch(value.time),
                "raw": value.raw,
                "reason": value.reason,
                "collected_at": to_epoch(batch.collected_at),
            }
            for value in batch.rejected
        ]
        if rows:
            insert = self.database.insert(t.rejected)
            connection.execute(insert.on_conflict_do_nothing(index_elements=["fingerprint"]), rows)


# --- Rows and records ------------------------------------------------------------------------------


def _forecast_rows(records: Iterable[Forecast], sites: dict[str, int]) -> dict[tuple[int, int], Values]:
    rows: defaultdict[tuple[int, int], list[int | None]] = defaultdict(lambda: [None] * len(_VALUE_COLUMNS))
    for record in records:
        key = sites[record.site], int(record.valid_time.timestamp())
        rows[key][_COLUMN_OF[record.parameter]] = round(record.value * 1000)
    return {key: tuple(values) for key, values in rows.items()}


def _observation_rows(records: Iterable[Observation], ids: dict[str, int]) -> dict[tuple[int, int], Values]:
    rows: defaultdict[tuple[int, int], list[int | None]] = defaultdict(lambda: [None] * len(_VALUE_COLUMNS))
    for record in records:
        key = ids[record.station], int(record.time.timestamp())
        rows[key][_COLUMN_OF[record.parameter]] = round(record.value * 1000)
    return {key: tuple(values) for key, values in rows.items()}


_COLUMN_OF = {parameter: index for index, parameter in enumerate(Parameter)}


def _columns(values: Values) -> dict[str, int | None]:
    return dict(zip(_VALUE_COLUMNS, values, strict=True))


def _gained(old: Row | None, new: Row) -> int:
    before = old.values if old else (None,) * len(_VALUE_COLUMNS)
    return sum(value is not None and value != was for value, was in zip(new.values, before, strict=True))


def _kept_forecasts(
    connection: sa.Connection, model_id: int, reference_time: datetime, rows: dict[tuple[int, int], Values]
) -> dict[tuple[int, int], Row]:
    run = to_epoch(reference_time)
    batch = t.forecast_batch
    known = sa.select(batch.c.id).where(batch.c.model_id == model_id, batch.c.reference_time == run)
    if not rows or connection.execute(known.limit(1)).first() is None:
        return {}
    times = [valid_time for _, valid_time in rows]
    columns = (t.forecast.c.site_id, t.forecast.c.valid_time, batch.c.rank)
    query = (
        sa.select(*columns, *(t.forecast.c[name] for name in _VALUE_COLUMNS))
        .join_from(t.forecast, batch, batch.c.id == t.forecast.c.batch_id)
        .where(
            t.forecast.c.valid_time.between(min(times), max(times)),
            t.forecast.c.model_id == model_id,
            t.forecast.c.reference_time == run,
        )
    )
    site_ids = sorted({site_id for site_id, _ in rows})
    return {
        (row[0], row[1]): Row(row[2], tuple(row[3:]))
        for chunk in _chunks(site_ids, _CHUNK)
        for row in connection.execute(query.where(t.forecast.c.site_id.in_(chunk)))
    }


def _kept_observations(
    connection: sa.Connection, rows: dict[tuple[int, int], Values]
) -> dict[tuple[int, int], Row]:
    batch = t.observation_batch
    columns = (t.observation.c.station_id, t.observation.c.time, batch.c.rank)
    query = sa.select(*columns, *(t.observation.c[name] for name in _VALUE_COLUMNS)).join_from(
        t.observation, batch, batch.c.id == t.observation.c.batch_id
    )
    key = sa.tuple_(t.observation.c.station_id, t.observation.c.time)
    return {
        (row[0], row[1]): Row(row[2], tuple(row[3:]))
        for chunk in _chunks(rows, _CHUNK)
        for row in connection.execute(query.where(key.in_(chunk)))
    }


def _dimension(
    connection: sa.Connection, table: sa.Table, column: str, names: Sequence[str]
) -> dict[str, int]:
    """Return the id of each name, making rows for the new ones."""
    found = dict(_ids(connection, table, column, names))
    new = [name for name in names if name not in found]
    if new:
        connection.execute(sa.insert(table), [{column: name} for name in new])
        found |= _ids(connection, table, column, new)
    return found


def _ids(
    connection: sa.Connection, table: sa.Table, column: str, names: Sequence[str]
) -> Iterator[tuple[str, int]]:
    for chunk in _chunks(names, _CHUNK):
        query = sa.select(table.c[column], table.c.id).where(table.c[column].in_(chunk))
        yield from ((row[0], row[1]) for row in connection.execute(query))


T = TypeVar("T")


def _chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Split into tuples of at most `size` (itertools.batched, which Python 3.11 lacks)."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


def _fingerprint(value: Rejected) -> str:
    parts = (value.subject, value.parameter, value.time, value.raw, value.reason)
    return blake2b("|".join(map(str, parts)).encode(), digest_size=16).hexdigest()
