"""Rows that move out of the tables of values and back: nothing that reads those tables meets them.

A removed row has the values of one batch, so that it needs no table of origins. What was stored in its place
since then stays when it is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from backend.core.local_time import day_of_epoch, month_number
from backend.storage import schema as t
from backend.storage.due import forecasts_changed, readings_changed, sites_of_stations
from backend.storage.origins import ORIGINS, by_row, stored_row, write_values
from backend.storage.precedence import Row, Values
from backend.storage.published_months import OF_MODEL, OF_STATION, withdraw_month
from backend.storage.rows import COLUMNS, value_columns, write_rows

Within = Callable[[sa.Table], sa.ColumnElement[bool]]
"""The condition on the key of a row, for a table of values or of origins."""

FullKey = tuple[int, ...]

REMOVED = {t.forecast: t.removed_forecast, t.observation: t.removed_observation}


@dataclass(frozen=True, slots=True)
class Count:
    """Rows of a removal, and the values in them."""

    rows: int
    values: int


def counted(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> Count:
    """Return the number of rows and values of a table."""
    values = sum((sa.func.count(column) for column in value_columns(table)), start=sa.literal(0))
    return Count(*connection.execute(sa.select(sa.func.count(), values).where(where)).one())


def count_of_removal(connection: sa.Connection, removal: int) -> Count:
    """Return the rows and values that wait in a removal."""
    counts = [counted(connection, table, table.c.removal_id == removal) for table in REMOVED.values()]
    return Count(sum(count.rows for count in counts), sum(count.values for count in counts))


def move_out(
    connection: sa.Connection,
    table: sa.Table,
    removal: int,
    within: Within,
    batches: tuple[int, int] | None = None,
) -> None:
    """Move rows of a table of values to its removed rows; only the values of these batches, if given.

    `batches` are the first and the last id. Marks the days that change as due.
    """
    origin, removed = ORIGINS[table], REMOVED[table]
    keys = [column.name for column in table.primary_key]
    mixed = sa.exists().where(*(origin.c[key] == table.c[key] for key in keys))
    whole = sa.and_(within(table), ~mixed)
    if batches is not None:
        whole = sa.and_(whole, table.c.batch_id.between(*batches))
    taken = sa.select(sa.literal(removal), *(table.c[name] for name in (*keys, "batch_id", *COLUMNS)))
    connection.execute(
        sa.insert(removed).from_select([column.name for column in removed.c], taken.where(whole))
    )
    others = by_row(connection.execute(sa.select(origin).where(within(origin))))
    parts: list[tuple[int | None, ...]] = []
    left: dict[FullKey, Row] = {}
    split: list[FullKey] = []
    for row in connection.execute(sa.select(table).where(within(table), mixed)).all():
        key = tuple(row[: len(keys)])
        stored = stored_row(row[len(keys)], tuple(row[len(keys) + 1 :]), others[key])
        out = _by_batch(stored, batches)
        if not out:
            continue
        split.append(key)
        parts += ((removal, *key, batch, *values) for batch, values in out.items())
        rest = tuple(None if batch in out else batch for batch in stored.batches)
        if any(batch is not None for batch in rest):
            values = tuple(
                None if batch is None else value for value, batch in zip(stored.values, rest, strict=True)
            )
            left[key] = Row(values, rest)
    write_rows(connection, removed, parts)
    connection.execute(sa.delete(table).where(whole))
    _delete(connection, table, split)
    _delete(connection, origin, split)
    write_values(connection, table, left, lambda batch: batch, ())
    _changed(connection, table, removal)


def put_back(connection: sa.Connection, table: sa.Table, removal: int) -> None:
    """Move the rows of a removal back; a value in whose place another one is stored now stays removed."""
    removed, origin = REMOVED[table], ORIGINS[table]
    keys = [column.name for column in table.primary_key]
    other = removed.alias()
    of_removal = removed.c.removal_id == removal
    same_key = [table.c[key] == removed.c[key] for key in keys]
    lone = sa.and_(
        of_removal,
        ~sa.exists().where(*same_key),
        ~sa.exists().where(
            other.c.removal_id == removal,
            *(other.c[key] == removed.c[key] for key in keys),
            other.c.batch_id != removed.c.batch_id,
        ),
    )
    _changed(connection, table, removal)
    columns = [removed.c[name] for name in (*keys, "batch_id", *COLUMNS)]
    shared = connection.execute(sa.select(*columns).where(of_removal, sa.not_(lone))).all()
    present = sa.select(table).join(removed, sa.and_(*same_key)).where(of_removal).distinct()
    others = by_row(
        connection.execute(
            sa.select(origin)
            .join(removed, sa.and_(*(origin.c[key] == removed.c[key] for key in keys)))
            .where(of_removal)
            .distinct()
        )
    )
    merged: dict[FullKey, Row] = {}
    before: list[FullKey] = []
    for row in connection.execute(present).all():
        key = tuple(row[: len(keys)])
        merged[key] = stored_row(row[len(keys)], tuple(row[len(keys) + 1 :]), others.get(key))
        before.append(key)
    left: list[tuple[int | None, ...]] = []
    for row in shared:
        key, batch, values = tuple(row[: len(keys)]), row[len(keys)], tuple(row[len(keys) + 1 :])
        now = merged.get(key, Row((None,) * len(COLUMNS), (None,) * len(COLUMNS)))
        free = [held is None for held in now.batches]
        merged[key] = Row(
            tuple(new if gap else old for gap, new, old in zip(free, values, now.values, strict=True)),
            tuple(
                (None if new is None else batch) if gap else old
                for gap, new, old in zip(free, values, now.batches, strict=True)
            ),
        )
        rest = tuple(None if gap else value for gap, value in zip(free, values, strict=True))
        if any(value is not None for value in rest):
            left.append((removal, *key, batch, *rest))
    connection.execute(
        sa.insert(table).from_select([column.name for column in table.c], sa.select(*columns).where(lone))
    )
    connection.execute(sa.delete(removed).where(of_removal))
    write_values(connection, table, merged, lambda number: number, before)
    write_rows(connection, removed, left)


def _by_batch(row: Row, batches: tuple[int, int] | None) -> dict[int, Values]:
    """Return the values of each batch of a row, of these batches if given."""
    numbers = {batch for batch in row.batches if batch is not None}
    return {
        number: tuple(
            value if batch == number else None for value, batch in zip(row.values, row.batches, strict=True)
        )
        for number in sorted(numbers)
        if batches is None or batches[0] <= number <= batches[1]
    }


def _delete(connection: sa.Connection, table: sa.Table, keys: Sequence[FullKey]) -> None:
    names = [column.name for column in table.primary_key if column.name != "parameter"]
    if keys:
        same = (table.c[name] == sa.bindparam(f"key_{name}") for name in names)
        connection.execute(
            sa.delete(table).where(*same),
            [{f"key_{name}": part for name, part in zip(names, key, strict=True)} for key in keys],
        )


def _changed(connection: sa.Connection, table: sa.Table, removal: int) -> None:
    """Mark the days of the rows of a removal as due, and withdraw the published months with them.

    The copy of a month changes by at least 20 days or not at all, but a removed value must count nowhere.
    """
    removed = REMOVED[table]
    if table is t.forecast:
        column = removed.c
        rows: Iterable[tuple[int, int, int]] = [
            tuple(row)
            for row in connection.execute(
                sa.select(column.site_id, column.valid_time, column.model_id)
                .where(column.removal_id == removal)
                .distinct()
            )
        ]
        forecasts_changed(connection, ((site_id, time) for site_id, time, _ in rows))
        months = {(site, month_number(day_of_epoch(time)), model) for site, time, model in rows}
        for site_id, month, model in sorted(months):
            withdraw_month(connection, site_id, month, OF_MODEL, model)
        return
    readings = [
        tuple(row)
        for row in connection.execute(
            sa.select(removed.c.station_id, removed.c.time).where(removed.c.removal_id == removal).distinct()
        )
    ]
    readings_changed(connection, readings)
    sites = sites_of_stations(connection, {station for station, _ in readings})
    for station, month in sorted({(station, month_number(day_of_epoch(time))) for station, time in readings}):
        for site_id in sites.get(station, ()):
            withdraw_month(connection, site_id, month, OF_STATION, station)
