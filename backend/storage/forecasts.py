"""What the models said: one batch into the tables, on a connection that the store has opened."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import sqlalchemy as sa

from backend.core.records import ForecastBatch, Run
from backend.storage import schema as t
from backend.storage.database import insert_into, inserted_id, to_epoch
from backend.storage.due import forecasts_changed
from backend.storage.merging import Row, Values, merge
from backend.storage.places import present_ids
from backend.storage.rows import Key, chunks, fetched, ids_of, rows_by_key, value_columns, write_rows
from backend.storage.runs import Claim


def keep_forecasts(
    connection: sa.Connection, batch: ForecastBatch, run: Run, claim: Claim | None, *, replace: bool
) -> int:
    """Write a batch of `run`; return how many values are new or better."""
    model_id = ids_of(connection, t.model.c.name, [run.model])[run.model]
    sites = present_ids(connection, batch.collected_at)
    came = _rows(batch, run, sites)
    kept = _kept(connection, model_id, run, came)
    changed, gained = merge(kept, came, batch.rank, last_wins=False, replace=replace)
    if changed:
        _write(connection, batch, run, claim, model_id, changed)
    _note_parts(connection, batch, run, model_id, sites)
    _note_grid_points(connection, batch, model_id, sites)
    return gained


def _rows(batch: ForecastBatch, run: Run, sites: Mapping[str, int]) -> dict[Key, Values]:
    for record in batch.records:
        if record.model != run.model or record.reference_time != run.reference_time:
            raise ValueError(f"{record} is not of the run that its batch is about: {run}")
    return rows_by_key(
        (sites[record.site], record.valid_time, record.parameter, record.value) for record in batch.records
    )


def _kept(connection: sa.Connection, model_id: int, run: Run, came: Mapping[Key, Values]) -> dict[Key, Row]:
    """Return those of the rows that are there already: one span of valid times per site is read."""
    forecast, batch = t.forecast.c, t.forecast_batch.c
    reference_time = to_epoch(run.reference_time)
    known = sa.select(batch.id).where(batch.model_id == model_id, batch.reference_time == reference_time)
    if not came or connection.execute(known.limit(1)).first() is None:
        return {}
    times = [valid_time for _, valid_time in came]
    query = (
        sa.select(forecast.site_id, forecast.valid_time, batch.rank, *value_columns(t.forecast))
        .join_from(t.forecast, t.forecast_batch, batch.id == forecast.batch_id)
        .where(
            forecast.valid_time.between(min(times), max(times)),
            forecast.model_id == model_id,
            forecast.reference_time == reference_time,
        )
    )
    return {
        (row[0], row[1]): Row(row[2], row[3:])
        for chunk in chunks(sorted({site_id for site_id, _ in came}))
        for row in fetched(connection, query.where(forecast.site_id.in_(chunk)))
    }


def _write(
    connection: sa.Connection,
    batch: ForecastBatch,
    run: Run,
    claim: Claim | None,
    model_id: int,
    changed: Mapping[Key, Values],
) -> None:
    batch_id = inserted_id(
        connection,
        sa.insert(t.forecast_batch).values(
            job_run_id=claim.run_id if claim else None,
            model_id=model_id,
            reference_time=to_epoch(run.reference_time),
            source=batch.source,
            route=batch.route,
            rank=batch.rank,
            available_at=to_epoch(run.available_at),
            published=run.published,
            collected_at=to_epoch(batch.collected_at),
        ),
    )
    same = (model_id, to_epoch(run.reference_time), batch_id)
    rows = [(*key, *same, *values) for key, values in sorted(changed.items())]
    write_rows(connection, t.forecast, rows)
    forecasts_changed(connection, changed)


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
        for part, site in product(batch.parts, batch.sites)
    ]
    if rows:
        insert = insert_into(connection, t.collected_part)
        better = insert.on_conflict_do_update(
            index_elements=t.collected_part.primary_key,
            set_={"rank": insert.excluded.rank},
            where=insert.excluded.rank < t.collected_part.c.rank,
        )
        connection.execute(better, rows)


def _note_grid_points(
    connection: sa.Connection, batch: ForecastBatch, model_id: int, sites: Mapping[str, int]
) -> None:
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
        insert = insert_into(connection, t.grid_point)
        new = {name: insert.excluded[name] for name in ("cell", "ground", "height")}
        connection.execute(
            insert.on_conflict_do_update(index_elements=t.grid_point.primary_key, set_=new), rows
        )
