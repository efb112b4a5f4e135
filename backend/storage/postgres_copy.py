"""Writing many rows to PostgreSQL with COPY (docs/decisions/postgresql.md has the measurement)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

_INCOMING = "incoming"


@contextmanager
def incoming(
    connection: sa.Connection, table: sa.Table, rows: Iterable[Sequence[Any]]
) -> Iterator[sa.TableClause]:
    """Create a temporary table with the columns of `table` and these rows; it exists inside the context.

    The values of a row are in the order of the columns.
    """
    names = table.columns.keys()
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {_INCOMING} (LIKE {table.name})")
    copy_rows(connection, table, rows, into=_INCOMING)
    yield sa.table(_INCOMING, *(sa.column(name) for name in names))
    connection.exec_driver_sql(f"DROP TABLE {_INCOMING}")


def copy_rows(
    connection: sa.Connection, table: sa.Table, rows: Iterable[Sequence[Any]], *, into: str = ""
) -> None:
    """Write rows, with values in the order of the columns of `table`, to it or to `into` (same columns)."""
    # The driver is imported here: installations with SQLite do not need it.
    import psycopg
    from psycopg import sql

    # The columns are named: a column added by a migration has another position in the database than here.
    names = sql.SQL(", ").join(map(sql.Identifier, table.columns.keys()))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(into or table.name), names)
    # A COPY gets the values as SQLAlchemy converts them in a statement; most columns need no conversion.
    convert = [column.type.bind_processor(connection.dialect) for column in table.columns]
    if any(convert):
        rows = (
            [process(value) if process else value for process, value in zip(convert, row, strict=True)]
            for row in rows
        )
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        # SQLAlchemy does not see the errors of a COPY. It converts these classes for any other statement.
        raise sa.exc.OperationalError(statement.as_string(driver), None, error) from error
