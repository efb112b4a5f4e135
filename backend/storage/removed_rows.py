"""Rows that move out of the tables of values and back: nothing that reads those tables meets them.

A removed row has the values of one batch, so that it needs no table of origins. What was stored in its place
since then stays when it is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from backend.core.clock import DAY_SECONDS
from backend.core.local_time import month_number
from backend.storage import schema as t
from backend.storage.due import FORECAST_REACH, READING_REACH, note_due, reached_days, sites_of_stations
from backend.storage.origins import ORIGINS, by_row, stored_row, write_values
from backend.storage.precedence import Row
from backend.storage.published_months import OF_MODEL, OF_STATION, note_withdrawn
from backend.storage.retention import first_open_day
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
        numbers = {
            batch
            for batch in stored.batches
            if batch is not None and (batches is None or batches[0] <= batch <= batches[1])
        }
        if not numbers:
            continue
        split.append(key)
        for number in sorted(numbers):
            pairs = zip(stored.values, stored.batches, strict=True)
            of_batch = (value if batch == number else None for value, batch in pairs)
            parts.append((removal, *key, number, *of_batch))
        rest = tuple(None if batch in numbers else batch for batch in stored.batches)
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


def put_back(connection: sa.Connection, table: sa.Table, removal: int, floor: int) -> None:
    """Move the rows of a removal back; a value in whose place another one is stored now stays removed.

    So does a value of before `floor`, which is no longer kept.
    """
    removed, origin = REMOVED[table], ORIGINS[table]
    keys = [column.name for column in table.primary_key]
    other = removed.alias()
    time = list(table.primary_key)[1].name
    of_removal = sa.and_(removed.c.removal_id == removal, removed.c[time] >= floor)
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


def _delete(connection: sa.Connection, table: sa.Table, keys: Sequence[FullKey]) -> None:
    names = [column.name for column in table.primary_key if column.name != "parameter"]
    if keys:
        same = (table.c[name] == sa.bindparam(f"key_{name}") for name in names)
        connection.execute(
            sa.delete(table).where(*same),
            [{f"key_{name}": part for name, part in zip(names, key, strict=True)} for key in keys],
        )


def _changed(connection: sa.Connection, table: sa.Table, removal: int) -> None:
    """Mark the days that the rows of a removal reach as due, and withdraw the published months of these days.

    The copy of a month changes by at least 20 days or not at all, but a removed value must count nowhere.
    Final days go on counting it, and nothing would publish a month again without a change of another day.
    """
    removed, of_forecasts = REMOVED[table], table is t.forecast
    owner, time = (removed.c[column.name] for column in list(table.primary_key)[:2])
    models = [removed.c.model_id] if of_forecasts else []
    # By day: a removal may have millions of rows.
    query = (
        sa.select(sa.func.min(time), sa.func.max(time), owner, *models)
        .where(removed.c.removal_id == removal)
        .group_by(owner, *models, time - time % DAY_SECONDS)
    )
    rows = connection.execute(query).all()
    sites = {} if of_forecasts else sites_of_stations(connection, {row[2] for row in rows})
    reach = FORECAST_REACH if of_forecasts else READING_REACH
    first_open = first_open_day(connection)
    due: set[tuple[int, int]] = set()
    months: set[tuple[int, int, int]] = set()
    for first, last, number, *model in rows:
        days = reached_days(first, last, reach)
        for site_id in (number,) if of_forecasts else sites.get(number, ()):
            due.update((site_id, day) for day in days)
            counted_by = model[0] if of_forecasts else number
            months.update((site_id, month_number(day), counted_by) for day in days if day >= first_open)
    note_due(connection, due)
    for site_id, month, counted_by in sorted(months):
        note_withdrawn(connection, site_id, month, OF_MODEL if of_forecasts else OF_STATION, counted_by)
