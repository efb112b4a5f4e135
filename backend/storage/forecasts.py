"""What the models said: one batch into the tables, on a connection that the store has opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from backend.core.records import Forecast, ForecastBatch, Run
from backend.storage import schema as t
from backend.storage.database import insert_into, inserted_id, to_epoch
from backend.storage.due import forecasts_changed
from backend.storage.origins import by_row, kept_row, mixed, origin_of, origins_of, write_values
from backend.storage.precedence import NEW, Mode, Origin, Row, Values, merge
from backend.storage.rows import Key, chunks, fetched, ids_of, rows_by_key, value_columns
from backend.storage.run_records import Claim
from backend.storage.site_rows import present_ids

VALUES_AT_A_TIME = 20_000
"""How many values are merged and written at a time, all in one transaction.

A batch may have ten times as many. Sorting, copying and freeing as many things at once keeps the
interpreter for a tenth of a second, and every answer of the API waiting.
"""


_PART_KEY = ("reference_time", "model_id", "part", "site_id")


def store_forecasts(
    connection: sa.Connection, batch: ForecastBatch, run: Run, claim: Claim | None, *, mode: Mode = "collect"
) -> int:
    """Write a batch of `run`; return how many values are new or better."""
    model_id = ids_of(connection, t.model.c.name, [run.model])[run.model]
    sites = present_ids(connection, batch.collected_at)
    known = _is_known(connection, model_id, run)
    noted = _Noted(connection, batch, run, claim, model_id)
    of_run = (model_id, to_epoch(run.reference_time))
    gained = 0
    for came in _portions(batch, run, sites):
        kept: dict[Key, Row] = {}
        origins: dict[int, Origin] = {}
        if known:
            kept, origins = kept_forecasts(connection, *of_run, came)
        changed, new = merge(kept, came, origin_of(batch), origins, last_wins=False, mode=mode)
        gained += new
        if changed:
            before = [key for key in mixed(kept) if key in changed]
            write_values(connection, t.forecast, changed, noted.id_of, before, of_run)
            forecasts_changed(connection, changed)
    _note_parts(connection, batch, run, model_id, sites)
    _note_incomplete(connection, batch, run, model_id, sites)
    _note_grid_points(connection, batch, model_id, sites)
    return gained


def _portions(batch: ForecastBatch, run: Run, sites: Mapping[str, int]) -> Iterator[dict[Key, Values]]:
    """Yield the rows of a batch, those of some sites at a time, in the order of the sites' ids."""
    by_site: dict[str, list[Forecast]] = defaultdict(list)
    for record in batch.records:
        if record.model != run.model or record.reference_time != run.reference_time:
            raise ValueError(f"{record} is not of the run that its batch is about: {run}")
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


def _is_known(connection: sa.Connection, model_id: int, run: Run) -> bool:
    """Say whether something of this run is there already."""
    batch = t.forecast_batch.c
    query = sa.select(batch.id).where(
        batch.model_id == model_id, batch.reference_time == to_epoch(run.reference_time)
    )
    return connection.execute(query.limit(1)).first() is not None


def kept_forecasts(
    connection: sa.Connection, model_id: int, reference_time: int, came: Iterable[Key]
) -> tuple[dict[Key, Row], dict[int, Origin]]:
    """Return those of the rows of a run that are there already, and the origins of their batches.

    One span of valid times per site is read.
    """
    times = [valid_time for _, valid_time in came]
    sites = sorted({site_id for site_id, _ in came})

    def within(table: sa.Table, *columns: sa.ColumnElement[int]) -> Iterator[tuple[Any, ...]]:
        query = sa.select(table.c.site_id, table.c.valid_time, *columns).where(
            table.c.valid_time.between(min(times), max(times)),
            table.c.model_id == model_id,
            table.c.reference_time == reference_time,
        )
        for some in chunks(sites):
            yield from fetched(connection, query.where(table.c.site_id.in_(some)))

    origin = t.forecast_origin
    others = by_row(within(origin, origin.c.parameter, origin.c.batch_id))
    kept = {
        (row[0], row[1]): kept_row(row[2], row[3:], others.get((row[0], row[1])))
        for row in within(t.forecast, t.forecast.c.batch_id, *value_columns(t.forecast))
    }
    ids = {batch for row in kept.values() for batch in row.batches if batch is not None}
    return kept, origins_of(connection, t.forecast_batch, ids)


class _Noted:
    """The rows in the table of batches that the values of one batch need, each written when it is needed."""

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
        """Return the id of a batch of a merged row."""
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
    """Keep which parts are not complete, but for those that are by a route as good as this one."""
    if not batch.incomplete:
        return
    part, reference_time = t.collected_part.c, to_epoch(run.reference_time)
    kept = sa.select(part.part, part.site_id).where(
        part.reference_time == reference_time, part.model_id == model_id, part.rank <= batch.rank
    )
    complete = {tuple(row) for row in connection.execute(kept)}
    rows = [
        {
            "reference_time": reference_time,
            "model_id": model_id,
            "part": one.part,
            "site_id": sites[one.site],
            "version": one.version,
            "reason": one.reason,
        }
        for one in batch.incomplete
        if (one.part, sites[one.site]) not in complete
    ]
    if rows:
        insert = insert_into(connection, t.incomplete_part)
        over = {"version": insert.excluded.version, "reason": insert.excluded.reason}
        connection.execute(insert.on_conflict_do_update(index_elements=_PART_KEY, set_=over), rows)


def note_outside(connection: sa.Connection, batch: ForecastBatch) -> None:
    """Keep which sites a model does not cover, each with the reason that was given first."""
    if not batch.outside:
        return
    models = ids_of(connection, t.model.c.name, sorted({one.model for one in batch.outside}))
    sites = present_ids(connection, batch.collected_at)
    rows = [
        {
            "model_id": models[one.model],
            "site_id": sites[one.site],
            "reason": one.reason,
            "noted_at": to_epoch(batch.collected_at),
        }
        for one in batch.outside
    ]
    insert = insert_into(connection, t.outside_model)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["model_id", "site_id"]), rows)


def _note_grid_points(
    connection: sa.Connection, batch: ForecastBatch, model_id: int, sites: Mapping[str, int]
) -> None:
    """Keep where the model answers; a height that is not told stays as it was while the cell does.

    A site for which the model answers is not outside of it, whatever was noted before.
    """
    rows = [
        {
            "model_id": model_id,
            "site_id": sites[point.site],
            "cell": point.cell,
            "ground": point.ground,
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
        new, kept = insert.excluded, t.grid_point.c
        heights = {
            name: sa.case(
                (new.cell == kept.cell, sa.func.coalesce(new[name], kept[name])),
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
