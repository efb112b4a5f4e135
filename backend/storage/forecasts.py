"""What the models said: one batch into the tables, on a connection that the store has opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa

from backend.core.records import Forecast, ForecastBatch, Run
from backend.storage import schema as t
from backend.storage.database import insert_into, inserted_id, to_epoch
from backend.storage.due import forecasts_changed
from backend.storage.merging import Row, Values, merge
from backend.storage.places import present_ids
from backend.storage.rows import Key, chunks, fetched, ids_of, rows_by_key, value_columns, write_rows
from backend.storage.runs import Claim

VALUES_AT_A_TIME = 20_000
"""How many values are merged and written at a time, all in one transaction.

A batch may have ten times as many. Sorting, copying and freeing as many things at once keeps the
interpreter for a tenth of a second, and every answer of the API waiting.
"""


_PART_KEY = ("reference_time", "model_id", "part", "site_id")


def keep_forecasts(
    connection: sa.Connection, batch: ForecastBatch, run: Run, claim: Claim | None, *, replace: bool
) -> int:
    """Write a batch of `run`; return how many values are new or better."""
    model_id = ids_of(connection, t.model.c.name, [run.model])[run.model]
    sites = present_ids(connection, batch.collected_at)
    known = _is_known(connection, model_id, run)
    batch_id: int | None = None
    gained = 0
    for came in _portions(batch, run, sites):
        kept = _kept(connection, model_id, run, came) if known else {}
        changed, new = merge(kept, came, batch.rank, last_wins=False, replace=replace)
        gained += new
        if changed:
            if batch_id is None:
                batch_id = _note_batch(connection, batch, run, claim, model_id)
            same = (model_id, to_epoch(run.reference_time), batch_id)
            rows = [(*key, *same, *values) for key, values in sorted(changed.items())]
            write_rows(connection, t.forecast, rows)
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


def _kept(connection: sa.Connection, model_id: int, run: Run, came: Mapping[Key, Values]) -> dict[Key, Row]:
    """Return those of the rows that are there already: one span of valid times per site is read."""
    forecast, batch = t.forecast.c, t.forecast_batch.c
    times = [valid_time for _, valid_time in came]
    query = (
        sa.select(forecast.site_id, forecast.valid_time, batch.rank, *value_columns(t.forecast))
        .join_from(t.forecast, t.forecast_batch, batch.id == forecast.batch_id)
        .where(
            forecast.valid_time.between(min(times), max(times)),
            forecast.model_id == model_id,
            forecast.reference_time == to_epoch(run.reference_time),
        )
    )
    return {
        (row[0], row[1]): Row(row[2], row[3:])
        for chunk in chunks(sorted({site_id for site_id, _ in came}))
        for row in fetched(connection, query.where(forecast.site_id.in_(chunk)))
    }


def _note_batch(
    connection: sa.Connection, batch: ForecastBatch, run: Run, claim: Claim | None, model_id: int
) -> int:
    """Write where the values come from, and return the id that their rows name."""
    return inserted_id(
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
