"""Records as table rows: an hour or a reading is one row, with a column of thousandths per parameter."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.storage.database import insert_into, is_postgres, to_epoch
from backend.storage.postgres_copy import incoming
from backend.storage.precedence import Values
from backend.storage.schema import storable

COLUMNS = tuple(parameter.value for parameter in Parameter)
CHUNK = 400  # keys in one IN list: well below the limit on bound variables of either database
FETCHED_AT_ONCE = 500  # rows: few enough to stay in the processor's cache until they are used

Key = tuple[int, int]
"""Site or station id, and time: identifies a row within one batch."""

_ABSENT: Values = (None,) * len(COLUMNS)


def rows_by_key(values: Iterable[tuple[int, datetime, Parameter, float]]) -> dict[Key, Values]:
    """Group values (owner id, time, parameter, value in its unit) by row; missing parameters stay absent."""
    epoch = _Cached(to_epoch)  # a batch has few different times, each of them many times
    rows: dict[Key, list[int | None]] = {}
    for owner, time, parameter, value in values:
        key = owner, epoch[time]
        row = rows.get(key)
        if row is None:
            row = rows[key] = list(_ABSENT)
        row[parameter.number] = round(value * 1000)
    return {key: tuple(row) for key, row in rows.items()}


def value_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns of a table that hold values, in the order of the parameters."""
    return [table.c[name] for name in COLUMNS]


def write_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[int | None, ...]]) -> None:
    """Write rows of integers, in the order of the table's columns, over the stored rows with the same key."""
    if not rows:
        return
    insert = insert_into(connection, table)
    key = table.primary_key.columns
    new = {name: insert.excluded[name] for name in table.c.keys() if name not in key}  # noqa: SIM118
    over: dict[str, Any] = {"index_elements": table.primary_key, "set_": new}
    if is_postgres(connection):
        with incoming(connection, table, rows) as copied:
            insert = insert.from_select(copied.c.keys(), sa.select(copied))
            connection.execute(insert.on_conflict_do_update(**over))
    else:
        execute_many(connection, insert.on_conflict_do_update(**over), table, rows)


def execute_many(
    connection: sa.Connection, insert: sa.Insert, table: sa.Table, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Execute an INSERT for rows that need no conversion, in the order of the table's columns.

    It uses the driver's own executemany: SQLAlchemy's checks each of 80 000 rows for values to convert.
    """
    statement = insert.values(dict.fromkeys(table.c.keys()))
    connection.exec_driver_sql(str(statement.compile(connection)), list(rows))


def ids_of(connection: sa.Connection, column: sa.Column[Any], names: Sequence[str]) -> dict[str, int]:
    """Return the id of each name in a table of names; new names are inserted."""
    stored = {name: storable(name) for name in names}
    ids = known_ids(connection, column, stored.values())
    new = sorted(set(stored.values()) - ids.keys())
    if new:
        connection.execute(sa.insert(column.table), [{column.name: name} for name in new])
        ids |= known_ids(connection, column, new)
    return {name: ids[text] for name, text in stored.items()}


def known_ids(connection: sa.Connection, column: sa.Column[Any], names: Iterable[str]) -> dict[str, int]:
    """Return the id of each of these names that the table contains."""
    query = sa.select(column, column.table.c.id)
    return {
        row[0]: row[1]
        for chunk in chunks(names)
        for row in connection.execute(query.where(column.in_(chunk)))
    }


def fetched(
    connection: sa.Connection, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows of a query as the driver's own tuples: faster for many rows of plain values."""
    with _translated(connection, query):
        cursor: Any = connection.execute(query, parameters).cursor
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def fetched_in_parts(
    connection: sa.Connection, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the same rows in parts: a caller that fills an array never holds all tuples in memory."""
    with _translated(connection, query):
        cursor: Any = connection.execute(query, parameters).cursor
        while rows := cursor.fetchmany(FETCHED_AT_ONCE):
            yield rows


@contextmanager
def _translated(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[None]:
    """Convert the driver's errors, which SQLAlchemy does not see here, to SQLAlchemy's."""
    try:
        yield
    except connection.dialect.loaded_dbapi.DatabaseError as error:
        raise sa.exc.OperationalError(str(query), None, error) from error


T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class _Cached(dict[K, T]):
    """The results of a function by argument, each computed at its first use."""

    def __init__(self, function: Callable[[K], T]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: K) -> T:
        result = self[key] = self._function(key)
        return result


def chunks(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Split into tuples that fit an IN list (itertools.batched needs Python 3.12)."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, CHUNK)):
        yield chunk
