"""Which batch each value came in (docs/decisions/store-layout.md).

A row names the batch of most of its values. Values from other batches have a row each in a table of origins.
Most rows come from one batch and need none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from backend.core.records import BACKFILLED, IMPORTED, Batch, ForecastBatch
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.storage.precedence import Batches, Origin, Row, Values
from backend.storage.rows import Key, chunks, fetched, write_rows

ORIGINS: Mapping[sa.Table, sa.Table] = {
    t.forecast: t.forecast_origin,
    t.observation: t.observation_origin,
}


_OTHERS = {
    table: sa.select(origin).where(
        owner == sa.bindparam("owner"), time.between(sa.bindparam("first"), sa.bindparam("last"))
    )
    for table, origin in ORIGINS.items()
    for owner, time, *_ in [origin.primary_key]
}
"""Built once: that takes longer than to execute them."""

K = TypeVar("K", bound=tuple[int, ...])

OtherBatches = dict[tuple[int, ...], dict[int, int]]
"""Key of a row -> number of a parameter -> batch of the value, if it is not the batch of the row."""


def other_batches(
    connection: sa.Connection, table: sa.Table, owner: int, first: int, last: int
) -> OtherBatches:
    """Return the values with other batches than their row, of a site or station from `first` to `last`."""
    return by_row(fetched(connection, _OTHERS[table], {"owner": owner, "first": first, "last": last}))


def by_row(origin_rows: Iterable[Sequence[int]]) -> OtherBatches:
    """Group rows of a table of origins by the key of the row they belong to."""
    grouped: OtherBatches = {}
    for *key, parameter, batch_id in origin_rows:
        grouped.setdefault(tuple(key), {})[parameter] = batch_id
    return grouped


def batch_fields(
    connection: sa.Connection, batches: sa.Table, ids: Iterable[int], names: Sequence[str]
) -> dict[int | None, tuple[Any, ...]]:
    """Return columns of batches by id."""
    query = sa.select(batches.c.id, *(batches.c[name] for name in names))
    return {
        row[0]: tuple(row[1:])
        for some in chunks(sorted(set(ids)))
        for row in connection.execute(query.where(batches.c.id.in_(some)))
    }


def stored_row(batch_id: int, values: Values, others: Mapping[int, int] | None) -> Row:
    """Return a stored row with the batch of each value; `others` are those that differ from `batch_id`."""
    if others is None and None not in values:
        return Row(values, (batch_id,) * len(values))
    batches = others or {}
    return Row(
        values,
        tuple(None if value is None else batches.get(index, batch_id) for index, value in enumerate(values)),
    )


def origin_of(batch: Batch) -> Origin:
    """Return the origin of the values of a batch."""
    available_at, published = 0, True
    if isinstance(batch, ForecastBatch) and batch.run is not None:
        available_at, published = to_epoch(batch.run.available_at), batch.run.published
    return Origin(
        batch.rank,
        f"{batch.source}/{batch.route}",
        to_epoch(batch.collected_at),
        available_at,
        _witnessed(batch.source, batch.route, published=published),
    )


def origins_of(connection: sa.Connection, table: sa.Table, ids: Iterable[int]) -> dict[int, Origin]:
    """Return the origins of stored batches of forecasts or observations by their id."""
    batch = table.c
    timed = table is t.forecast_batch
    query = sa.select(
        batch.id,
        batch.rank,
        batch.collected_at,
        batch.source,
        batch.route,
        batch.available_at if timed else sa.literal(0),
        batch.published if timed else sa.true(),
    )
    return {
        number: Origin(
            rank,
            f"{source}/{route}",
            collected_at,
            available_at,
            _witnessed(source, route, published=bool(published)),
        )
        for some in chunks(sorted(set(ids)))
        for number, rank, collected_at, source, route, available_at, published in connection.execute(
            query.where(batch.id.in_(some))
        )
    }


def _witnessed(source: str, route: str, *, published: bool) -> bool:
    return published or (source != IMPORTED and not route.endswith(BACKFILLED))


def write_values(
    connection: sa.Connection,
    table: sa.Table,
    rows: Mapping[K, Row],
    id_of: Callable[[int], int],
    before: Iterable[K],
    of_run: tuple[int, ...] = (),
) -> None:
    """Write merged rows over the stored ones; `of_run` is the rest of the key, the same for all of them.

    `id_of` returns the row id of a batch number of merge(). `before` are the keys of stored rows with values
    from other batches.
    """
    origin = ORIGINS[table]
    plain: list[tuple[int | None, ...]] = []
    others: list[tuple[int | None, ...]] = []
    split: dict[Batches, tuple[int, tuple[tuple[int, int], ...]]] = {}
    for key, (values, batches) in sorted(rows.items()):
        if batches not in split:  # the rows have few different combinations of batches
            ids = [(index, id_of(batch)) for index, batch in enumerate(batches) if batch is not None]
            counts = Counter(batch for _, batch in ids)
            # The row names the batch of most values, on a tie the oldest.
            commonest = max(counts, key=lambda batch: (counts[batch], -batch))
            split[batches] = commonest, tuple(entry for entry in ids if entry[1] != commonest)
        batch_id, rest = split[batches]
        plain.append((*key, *of_run, batch_id, *values))
        if rest:
            others += ((*key, *of_run, *other) for other in rest)
    write_rows(connection, table, plain)
    columns = list(origin.primary_key)[:-1]  # without the parameter
    old = [
        {f"key_{column.name}": part for column, part in zip(columns, (*key, *of_run), strict=True)}
        for key in before
    ]
    if old:
        same = (column == sa.bindparam(f"key_{column.name}") for column in columns)
        connection.execute(sa.delete(origin).where(*same), old)
    if others:
        write_rows(connection, origin, others)


def mixed(rows: Mapping[Key, Row]) -> Iterator[Key]:
    """Yield the keys of rows whose values are from several batches."""
    is_mixed: dict[Batches, bool] = {}
    for key, (_, batches) in rows.items():
        if batches not in is_mixed:
            is_mixed[batches] = len({*batches} - {None}) > 1
        if is_mixed[batches]:
            yield key
