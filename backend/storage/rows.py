"""How records lie in tables: an hour or a reading is one row, with a column of thousandths per parameter."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.storage.database import insert_into, is_postgres, to_epoch
from backend.storage.postgres_copy import incoming
from backend.storage.precedence import Values
from backend.storage.schema import storable

COLUMNS = tuple(parameter.value for parameter in Parameter)
CHUNK = 400  # keys in one IN list: well below the limit on variables of either database
FETCHED_AT_ONCE = 500  # rows: few enough to stay near the processor until they are used

Key = tuple[int, int]
"""Site or station, and time: what tells the rows of one batch apart."""

_COLUMN_OF = {parameter: index for index, parameter in enumerate(Parameter)}
_ABSENT: Values = (None,) * len(COLUMNS)


def rows_by_key(values: Iterable[tuple[int, datetime, Parameter, float]]) -> dict[Key, Values]:
    """Lay values (owner, time, parameter, value in its unit) side by side; what is not given stays absent."""
    epoch = _Once(to_epoch)  # a batch has few times, and each of them often
    rows: dict[Key, list[int | None]] = {}
    for owner, time, parameter, value in values:
        key = owner, epoch[time]
        row = rows.get(key)
        if row is None:
            row = rows[key] = list(_ABSENT)
        row[_COLUMN_OF[parameter]] = round(value * 1000)
    return {key: tuple(row) for key, row in rows.items()}


def value_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns of a table that hold values, in the order of the parameters."""
    return [table.c[name] for name in COLUMNS]


def write_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[int | None, ...]]) -> None:
    """Write rows of whole numbers in the order of the table's columns, each over the one with its key."""
    insert = insert_into(connection, table)
    key = table.primary_key.columns
    new = {name: insert.excluded[name] for name in table.c.keys() if name not in key}  # noqa: SIM118
    over: dict[str, Any] = {"index_elements": table.primary_key, "set_": new}
    if is_postgres(connection):
        with incoming(connection, table, rows) as came:
            insert = insert.from_select(came.c.keys(), sa.select(came))
            connection.execute(insert.on_conflict_do_update(**over))
    else:
        execute_many(connection, insert.on_conflict_do_update(**over), table, rows)


def execute_many(
    connection: sa.Connection, insert: sa.Insert, table: sa.Table, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Execute an INSERT for rows of values that need no converting, in the order of the table's columns.

    By the driver's own executemany: SQLAlchemy's would look at each of 80 000 rows for values to convert.
    """
    statement = insert.values(dict.fromkeys(table.c.keys()))
    connection.exec_driver_sql(str(statement.compile(connection)), list(rows))


def ids_of(connection: sa.Connection, column: sa.Column[Any], names: Sequence[str]) -> dict[str, int]:
    """Return the id of each name in a table of names, making rows for the new ones."""
    stored = {name: storable(name) for name in names}
    found = known_ids(connection, column, stored.values())
    new = sorted(set(stored.values()) - found.keys())
    if new:
        connection.execute(sa.insert(column.table), [{column.name: name} for name in new])
        found |= known_ids(connection, column, new)
    return {name: found[text] for name, text in stored.items()}


def known_ids(connection: sa.Connection, column: sa.Column[Any], names: Iterable[str]) -> dict[str, int]:
    """Return the id of each name that a table of names has."""
    query = sa.select(column, column.table.c.id)
    return {
        row[0]: row[1]
        for chunk in chunks(names)
        for row in connection.execute(query.where(column.in_(chunk)))
    }


def fetched(
    connection: sa.Connection, query: sa.Select[Any], given: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return what a query answers as the driver's own tuples: for many rows of plain values."""
    with _translated(query):
        found: list[tuple[Any, ...]] = _cursor(connection, query, given).fetchall()
    return found


def fetched_in_parts(
    connection: sa.Connection, query: sa.Select[Any], given: Mapping[str, Any] | None = None
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the same, some rows at a time: whoever makes an array of many never has them all in memory."""
    with _translated(query):
        cursor = _cursor(connection, query, given)
        while rows := cursor.fetchmany(FETCHED_AT_ONCE):
            yield rows


def _cursor(connection: sa.Connection, query: sa.Select[Any], given: Mapping[str, Any] | None) -> Any:
    return connection.execute(query, given).cursor


@contextmanager
def _translated(query: sa.Select[Any]) -> Iterator[None]:
    """Raise the driver's errors, which SQLAlchemy does not see, as its own."""
    try:
        yield
    except (sqlite3.DatabaseError, psycopg.DatabaseError) as error:
        raise sa.exc.OperationalError(str(query), None, error) from error


T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class _Once(dict[K, T]):
    """The results of a function, each worked out when it is first asked for."""

    def __init__(self, function: Callable[[K], T]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: K) -> T:
        found = self[key] = self._function(key)
        return found


def chunks(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Split into tuples that fit an IN list (itertools.batched, which Python 3.11 lacks)."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, CHUNK)):
        yield chunk
