"""Which batch each value came in (docs/decisions/store-layout.md).

A row names the batch of most of its values; the others lie in a table of origins, a row per value. Most rows
came in one batch and have none there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

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

Exceptions = dict[tuple[int, ...], dict[int, int]]
"""By the key of a row and the number of a parameter: the batch of a value, where it is not the row's."""


def exceptions(connection: sa.Connection, table: sa.Table, owner: int, first: int, last: int) -> Exceptions:
    """Return those of the rows of a site or a station from `first` to `last`, by the whole key of a row."""
    origin = ORIGINS[table]
    columns = list(origin.primary_key)
    query = sa.select(origin).where(columns[0] == owner, columns[1].between(first, last))
    return by_row(fetched(connection, query))


def by_row(found: Iterable[Sequence[int]]) -> Exceptions:
    """Arrange rows of a table of origins by the key of the row that they belong to."""
    arranged: Exceptions = {}
    for *key, parameter, batch_id in found:
        arranged.setdefault(tuple(key), {})[parameter] = batch_id
    return arranged


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


def kept_row(batch_id: int, values: Values, others: Mapping[int, int] | None) -> Row:
    """Return a row of the store, `others` being its exceptions."""
    if others is None and None not in values:
        return Row(values, (batch_id,) * len(values))
    given = others or {}
    return Row(
        values,
        tuple(None if value is None else given.get(index, batch_id) for index, value in enumerate(values)),
    )


def origin_of(batch: Batch) -> Origin:
    """Return the origin of values that come in a batch."""
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
    rows: Mapping[Key, Row],
    id_of: Callable[[int], int],
    before: Iterable[Key],
    of_run: tuple[int, ...] = (),
) -> None:
    """Write merged rows, each over the one with its key; `of_run` is the rest of the key of all of them.

    `id_of` gives the id for what merge() says of a batch. `before` are the keys of rows with exceptions.
    """
    origin = ORIGINS[table]
    plain: list[tuple[int | None, ...]] = []
    others: list[tuple[int | None, ...]] = []
    parted: dict[Batches, tuple[int, tuple[tuple[int, int], ...]]] = {}
    for key, (values, batches) in sorted(rows.items()):
        if batches not in parted:  # there are few ways in which rows are made up of batches
            parted[batches] = _parted([None if batch is None else id_of(batch) for batch in batches])
        batch_id, rest = parted[batches]
        plain.append((*key, *of_run, batch_id, *values))
        if rest:
            others += ((*key, *of_run, *other) for other in rest)
    write_rows(connection, table, plain)
    _forget(connection, origin, [(*key, *of_run) for key in before])
    if others:
        write_rows(connection, origin, others)


def _parted(batches: Sequence[int | None]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return the batch of most values, the oldest of several, and (parameter, batch) of the other values."""
    counts = Counter(batch for batch in batches if batch is not None)
    commonest = max(counts, key=lambda batch: (counts[batch], -batch))
    rest = ((index, batch) for index, batch in enumerate(batches) if batch not in {None, commonest})
    return commonest, tuple((index, batch) for index, batch in rest if batch is not None)


def _forget(connection: sa.Connection, origin: sa.Table, keys: Iterable[tuple[int, ...]]) -> None:
    columns = list(origin.primary_key)[:-1]
    given = [{f"key_{column.name}": part for column, part in zip(columns, key, strict=True)} for key in keys]
    if given:
        same = (column == sa.bindparam(f"key_{column.name}") for column in columns)
        connection.execute(sa.delete(origin).where(*same), given)


def mixed(rows: Mapping[Key, Row]) -> Iterator[Key]:
    """Yield the keys of rows whose values came in several batches."""
    seen: dict[Batches, bool] = {}
    for key, (_, batches) in rows.items():
        if batches not in seen:
            seen[batches] = len({*batches} - {None}) > 1
        if seen[batches]:
            yield key
