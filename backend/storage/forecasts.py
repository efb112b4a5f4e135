"""Storage of a forecast batch, on a connection that the store has opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from backend.core.records import Forecast, ForecastBatch, Run
from backend.storage import schema as t
from backend.storage.database import insert_into, inserted_id, to_epoch
from backend.storage.due import forecasts_changed
from backend.storage.origins import by_row, mixed, origin_of, origins_of, stored_row, write_values
from backend.storage.precedence import NEW, Mode, Origin, Row, Values, merge
from backend.storage.removals import held
from backend.storage.retention import retention
from backend.storage.rows import Key, chunks, fetched, ids_of, rows_by_key, value_columns
from backend.storage.run_records import Claim
from backend.storage.site_rows import present_ids

VALUES_AT_A_TIME = 20_000
"""How many values are merged and written at a time, all in one transaction.

A batch may have ten times as many. Sorting, copying and freeing as many objects at once blocks the
interpreter for a tenth of a second, and with it every answer of the API.
"""


_PART_KEY = ("reference_time", "model_id", "part", "site_id")


def store_forecasts(
    connection: sa.Connection, batch: ForecastBatch, run: Run, claim: Claim | None, *, mode: Mode = "collect"
) -> int:
    """Store a batch of `run`; return how many values are new or better."""
    model_id = ids_of(connection, t.model.c.name, [run.model])[run.model]
    sites = present_ids(connection, batch.collected_at)
    batch_rows = _BatchRows(connection, batch, run, claim, model_id)
    of_run = (model_id, to_epoch(run.reference_time))
    # Most runs are new: one look-up here saves reading the stored rows of each portion.
    column = t.forecast_batch.c
    earlier = sa.select(column.id).where(column.model_id == model_id, column.reference_time == of_run[1])
    known = connection.execute(earlier.limit(1)).first() is not None
    gained, floor = 0, retention(connection).forecasts_from
    # What the operator removed is not stored again; its parts are noted, so that they are not asked for.
    is_held = held(connection).of_model(run.model, of_run[1]) is not None
    for incoming in () if is_held else _portions(batch, run, sites):
        if floor is not None:
            incoming = {key: values for key, values in incoming.items() if key[1] >= floor}
            if not incoming:
                continue
        stored: dict[Key, Row] = {}
        origins: dict[int, Origin] = {}
        if known:
            stored, origins = stored_forecasts(connection, *of_run, incoming)
        changed, new = merge(stored, incoming, origin_of(batch), origins, last_wins=False, mode=mode)
        gained += new
        if changed:
            before = [key for key in mixed(stored) if key in changed]
            write_values(connection, t.forecast, changed, batch_rows.id_of, before, of_run)
            forecasts_changed(connection, changed)
    _note_parts(connection, batch, run, model_id, sites)
    _note_incomplete(connection, batch, run, model_id, sites)
    _note_grid_points(connection, batch, model_id, sites)
    return gained


def _portions(batch: ForecastBatch, run: Run, sites: Mapping[str, int]) -> Iterator[dict[Key, Values]]:
    """Yield the rows of a batch, a few sites at a time, in the order of the sites' row ids."""
    by_site: dict[str, list[Forecast]] = defaultdict(list)
    for record in batch.records:
        if record.model != run.model or record.reference_time != run.reference_time:
            raise ValueError(f"{record} is not of the run of its batch: {run}")
        by_site[record.site].append(record)
    portion: list[Forecast] = []
    for site in sorted(by_site, key=sites.__getitem__):
        portion += by_site.pop(site)
        if len(portion) >= VALUES_AT_A_TIME:
            yield _rows(portion, sites)
            portion = []
    if portion:
        yield _rows(portion, sites)


def _rows(records: Iterable[Forecast], sites: Mapping[str, int]) -> dict[Key, Values]:
    return rows_by_key(
        (sites[record.site], record.valid_time, record.parameter, record.value) for record in records
    )


def stored_forecasts(
    connection: sa.Connection, model_id: int, reference_time: int, incoming: Iterable[Key]
) -> tuple[dict[Key, Row], dict[int, Origin]]:
    """Return the stored rows of a run for these keys, and the origins of their batches.

    One span of valid times is read for all sites.
    """
    times = [valid_time for _, valid_time in incoming]
    sites = sorted({site_id for site_id, _ in incoming})

    def within(table: sa.Table, *columns: sa.ColumnElement[int]) -> Iterator[tuple[Any, ...]]:
        query = sa.select(table.c.site_id, table.c.valid_time, *columns).where(
            table.c.valid_time.between(min(times), max(times)),
            table.c.model_id == model_id,
            table.c.reference_time == reference_time,
        )
        for some in chunks(sites):
            yield from fetched(connection, query.where(table.c.site_id.in_(some)))

    origin = t.forecast_origin
    other_batches = by_row(within(origin, origin.c.parameter, origin.c.batch_id))
    stored = {
        (row[0], row[1]): stored_row(row[2], row[3:], other_batches.get((row[0], row[1])))
        for row in within(t.forecast, t.forecast.c.batch_id, *value_columns(t.forecast))
    }
    ids = {batch for row in stored.values() for batch in row.batches if batch is not None}
    return stored, origins_of(connection, t.forecast_batch, ids)


class _BatchRows:
    """Rows of the table of batches for the values of one batch, each inserted when it is first needed.

    A batch can need several: a value that was known earlier keeps the availability of its first batch.
    """

    def __init__(
        self,
        connection: sa.Connection,
        batch: ForecastBatch,
        run: Run,
        claim: Claim | None,
        model_id: int,
    ) -> None:
        self._connection = connection
        self._fields = {
            "job_run_id": claim.run_id if claim else None,
            "model_id": model_id,
            "reference_time": to_epoch(run.reference_time),
            "source": batch.source,
            "route": batch.route,
            "rank": batch.rank,
            "collected_at": to_epoch(batch.collected_at),
        }
        self._availability: dict[int, tuple[int, bool]] = {NEW: (to_epoch(run.available_at), run.published)}
        self._ids: dict[tuple[int, bool], int] = {}

    def id_of(self, batch: int) -> int:
        """Return the row id for a batch number of a merged row (precedence.Batches)."""
        if batch > 0:
            return batch
        if batch not in self._availability:
            column = t.forecast_batch.c
            query = sa.select(column.available_at, column.published).where(column.id == -batch)
            available_at, published = self._connection.execute(query).one()
            self._availability[batch] = available_at, bool(published)
        availability = self._availability[batch]
        if availability not in self._ids:
            self._ids[availability] = inserted_id(
                self._connection,
                sa.insert(t.forecast_batch).values(
                    self._fields | {"available_at": availability[0], "published": availability[1]}
                ),
            )
        return self._ids[availability]


def _note_parts(
    connection: sa.Connection, batch: ForecastBatch, run: Run, model_id: int, sites: Mapping[str, int]
) -> None:
    rows = [
        {
            "reference_time": to_epoch(run.reference_time),
            "model_id": model_id,
            "part": part,
            "site_id": sites[site],
            "rank": batch.rank,
        }
        for part, site in batch.complete()
    ]
    if rows:
        no_more = sa.delete(t.incomplete_part).where(
            *(t.incomplete_part.c[key] == sa.bindparam(f"its_{key}") for key in _PART_KEY)
        )
        connection.execute(no_more, [{f"its_{key}": row[key] for key in _PART_KEY} for row in rows])
        insert = insert_into(connection, t.collected_part)
        better = insert.on_conflict_do_update(
            index_elements=t.collected_part.primary_key,
            set_={"rank": insert.excluded.rank},
            where=insert.excluded.rank < t.collected_part.c.rank,
        )
        connection.execute(better, rows)


def _note_incomplete(
    connection: sa.Connection, batch: ForecastBatch, run: Run, model_id: int, sites: Mapping[str, int]
) -> None:
    """Store which parts are incomplete, except those that a route of the same or a better rank completed."""
    if not batch.incomplete:
        return
    part, reference_time = t.collected_part.c, to_epoch(run.reference_time)
    completed = sa.select(part.part, part.site_id).where(
        part.reference_time == reference_time, part.model_id == model_id, part.rank <= batch.rank
    )
    complete = {tuple(row) for row in connection.execute(completed)}
    rows = [
        {
            "reference_time": reference_time,
            "model_id": model_id,
            "part": part_of_site.part,
            "site_id": sites[part_of_site.site],
            "version": part_of_site.version,
            "reason": part_of_site.reason,
        }
        for part_of_site in batch.incomplete
        if (part_of_site.part, sites[part_of_site.site]) not in complete
    ]
    if rows:
        insert = insert_into(connection, t.incomplete_part)
        over = {"version": insert.excluded.version, "reason": insert.excluded.reason}
        connection.execute(insert.on_conflict_do_update(index_elements=_PART_KEY, set_=over), rows)


def note_outside(connection: sa.Connection, batch: ForecastBatch) -> None:
    """Store which sites a model does not cover; the first stated reason stays."""
    if not batch.outside:
        return
    models = ids_of(
        connection, t.model.c.name, sorted({site_outside.model for site_outside in batch.outside})
    )
    sites = present_ids(connection, batch.collected_at)
    rows = [
        {
            "model_id": models[site_outside.model],
            "site_id": sites[site_outside.site],
            "reason": site_outside.reason,
            "noted_at": to_epoch(batch.collected_at),
        }
        for site_outside in batch.outside
    ]
    insert = insert_into(connection, t.outside_model)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["model_id", "site_id"]), rows)


def _note_grid_points(
    connection: sa.Connection, batch: ForecastBatch, model_id: int, sites: Mapping[str, int]
) -> None:
    """Store the grid cells of a model. A height that is not stated stays while the cell stays.

    A site with a grid cell is covered by the model, so that an earlier note to the contrary is deleted.
    """
    rows = [
        {
            "model_id": model_id,
            "site_id": sites[point.site],
            "cell": point.cell,
            "ground": point.model_elevation,
            "height": point.height,
        }
        for point in batch.grid_points
    ]
    if rows:
        outside = t.outside_model.c
        covered = [row["site_id"] for row in rows]
        for chunk in chunks(covered):
            connection.execute(
                sa.delete(t.outside_model).where(outside.model_id == model_id, outside.site_id.in_(chunk))
            )
        insert = insert_into(connection, t.grid_point)
        new, old = insert.excluded, t.grid_point.c
        heights = {
            name: sa.case(
                (new.cell == old.cell, sa.func.coalesce(new[name], old[name])),
                else_=new[name],
            )
            for name in ("ground", "height")
        }
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=t.grid_point.primary_key, set_={"cell": new.cell, **heights}
            ),
            rows,
        )
