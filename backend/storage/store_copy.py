"""A whole store from one database into another, and the proof that it is the same there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from backend.core.errors import ConfigError, MeteoScoreError
from backend.storage import schema as t
from backend.storage.database import Database, is_postgres
from backend.storage.postgres_copy import copy_rows

_BATCH = 10_000  # rows in memory at a time

OnRows = Callable[[str, int], None]
"""Called with the name of a table and how many more of its rows have been copied, or checked."""


@dataclass
class Tally:
    """How many rows were seen, and a checksum over them in which their order plays no part."""

    rows: int = 0
    _sum: int = field(default=0, repr=False)

    @property
    def checksum(self) -> str:
        """Return the checksum as sixteen hexadecimal digits."""
        return f"{self._sum % 2**64:016x}"

    def add(self, rows: Sequence[Any]) -> None:
        """Count rows in. Both databases give the same Python values, and these are what is compared."""
        for row in rows:
            digest = blake2b(repr(tuple(row)).encode(), digest_size=8).digest()
            self._sum += int.from_bytes(digest, "big")
        self.rows += len(rows)


@dataclass(frozen=True)
class TableCopy:
    """What was read of a table in the source, and what was then read of it in the target."""

    name: str
    source: Tally
    target: Tally

    @property
    def same(self) -> bool:
        """Say whether every row arrived as it was."""
        return self.source == self.target


class CopyDiffersError(MeteoScoreError):
    """What was written is not what was read; the target was left empty."""

    def __init__(self, tables: Sequence[TableCopy]) -> None:
        names = ", ".join(table.name for table in tables if not table.same)
        super().__init__(f"the copy is not the same in {names}: nothing of it was kept")
        self.tables = tables


def require_store(source: Database) -> None:
    """Raise ConfigError unless meteo-score has made its tables there; raise StoreUnavailableError."""
    with source.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            raise ConfigError(f"SOURCE={source.name!r}: has no tables of meteo-score")


def count_rows(database: Database) -> int:
    """Return how many rows there are in all tables of a store."""
    with database.read() as connection:
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in t.metadata.sorted_tables
        )


def copy_store(source: Database, target: Database, on_rows: OnRows) -> tuple[TableCopy, ...]:
    """Copy every row of every table, in one transaction; read it back, compare, and return what was found.

    Both have their tables already. The source is read as it is at this moment, whoever writes to it
    meanwhile. Raises ConfigError where the target is the source or not empty, CopyDiffersError where the
    target has anything else than the source, and StoreUnavailableError: always with nothing kept in the
    target.
    """
    if source.identity() == target.identity():
        raise ConfigError(f"TARGET={target.name!r}: is the SOURCE itself")
    with source.read() as outgoing, target.write() as incoming:
        _require_empty(incoming, target)
        sent = {table: _copy(outgoing, incoming, table, on_rows) for table in t.metadata.sorted_tables}
        tables = tuple(
            TableCopy(table.name, tally, _read_back(incoming, table, on_rows))
            for table, tally in sent.items()
        )
        if not all(table.same for table in tables):
            raise CopyDiffersError(tables)
    return tables


def _require_empty(connection: sa.Connection, target: Database) -> None:
    for table in t.metadata.sorted_tables:
        if connection.execute(sa.select(table).limit(1)).first() is not None:
            raise ConfigError(
                f"TARGET={target.name!r}: is not empty, there are rows in {table.name}:"
                " give the address of a database without any data of meteo-score"
            )


def _copy(outgoing: sa.Connection, incoming: sa.Connection, table: sa.Table, on_rows: OnRows) -> Tally:
    tally = Tally()
    for rows in _batches(outgoing, table):
        if is_postgres(incoming):
            copy_rows(incoming, table, rows)
        else:
            incoming.execute(sa.insert(table), [row._asdict() for row in rows])
        tally.add(rows)
        on_rows(table.name, len(rows))
    if is_postgres(incoming) and "id" in table.c:
        _count_on(incoming, table)
    return tally


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL give new rows the ids after the last one. SQLite does so by itself."""
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    last = sa.func.max(table.c.id)
    connection.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None))))


def _read_back(connection: sa.Connection, table: sa.Table, on_rows: OnRows) -> Tally:
    tally = Tally()
    for rows in _batches(connection, table):
        tally.add(rows)
        on_rows(table.name, len(rows))
    return tally


def _batches(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[Any]]:
    query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
    yield from connection.execute(query).partitions()
