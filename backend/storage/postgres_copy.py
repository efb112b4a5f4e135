"""Many rows at once into PostgreSQL, by its COPY (docs/decisions/postgresql.md has the measurement)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

_INCOMING = "incoming"

# What the server may answer to any statement: SQLAlchemy, which does not see a COPY, counts these so.
_STATES = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)


@contextmanager
def incoming(
    connection: sa.Connection, table: sa.Table, rows: Iterable[Sequence[Any]]
) -> Iterator[sa.TableClause]:
    """Give a temporary table with the columns of `table` and these rows in it, while the context lasts.

    A row has its values in the order of the columns.
    """
    names = table.columns.keys()
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {_INCOMING} (LIKE {table.name})")
    copy_rows(connection, table, rows, into=_INCOMING)
    yield sa.table(_INCOMING, *(sa.column(name) for name in names))
    connection.exec_driver_sql(f"DROP TABLE {_INCOMING}")


def copy_rows(
    connection: sa.Connection, table: sa.Table, rows: Iterable[Sequence[Any]], *, into: str = ""
) -> None:
    """Write rows, values in the order of the columns of `table`, to it or to one with the same columns."""
    # The columns are named: those that a migration added lie in another order than we have them in.
    names = sql.SQL(", ").join(map(sql.Identifier, table.columns.keys()))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(into or table.name), names)
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in _as_bound(connection, table, rows):
                copy.write_row(row)
    except _STATES as error:
        raise sa.exc.OperationalError(statement.as_string(driver), None, error) from error


def _as_bound(
    connection: sa.Connection, table: sa.Table, rows: Iterable[Sequence[Any]]
) -> Iterable[Sequence[Any]]:
    """Do to each value what its column's type does to a value in a statement; mostly that is nothing."""
    convert = [column.type.bind_processor(connection.dialect) for column in table.columns]
    if not any(convert):
        return rows
    return (
        [process(value) if process else value for process, value in zip(convert, row, strict=True)]
        for row in rows
    )
