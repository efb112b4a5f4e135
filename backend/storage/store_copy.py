"""Copy of a whole store from one database to another, with a comparison of both."""

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
"""Called with the name of a table and the number of rows just copied or checked."""


@dataclass
class Tally:
    """Number of rows, and a checksum over them that does not depend on their order."""

    rows: int = 0
    _sum: int = field(default=0, repr=False)

    @property
    def checksum(self) -> str:
        """Return the checksum as sixteen hexadecimal digits."""
        return f"{self._sum % 2**64:016x}"

    def add(self, rows: Sequence[Any]) -> None:
        """Count rows. Both databases return equal Python values, so their text is compared."""
        for row in rows:
            digest = blake2b(repr(tuple(row)).encode(), digest_size=8).digest()
            self._sum += int.from_bytes(digest, "big")
        self.rows += len(rows)


@dataclass(frozen=True)
class TableCopy:
    """The rows of a table as read from the source, and as read back from the target."""

    name: str
    source: Tally
    target: Tally

    @property
    def same(self) -> bool:
        """Return True if source and target are equal."""
        return self.source == self.target


class CopyDiffersError(MeteoScoreError):
    """The rows read back from the target differ from those of the source; the target was left empty."""

    def __init__(self, tables: Sequence[TableCopy]) -> None:
        names = ", ".join(table.name for table in tables if not table.same)
        super().__init__(f"the copy differs in {names}: nothing was stored in the target")
        self.tables = tables


def require_store(source: Database) -> None:
    """Raise ConfigError if the database has no tables of meteo-score; raise StoreUnavailableError."""
    with source.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            raise ConfigError(f"SOURCE={source.name!r}: has no tables of meteo-score")


def count_rows(database: Database) -> int:
    """Return the number of rows in all tables of a store."""
    with database.read() as connection:
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in t.metadata.sorted_tables
        )


def copy_store(source: Database, target: Database, on_rows: OnRows) -> tuple[TableCopy, ...]:
    """Copy every row of every table in one transaction, read it back, compare, and return both sides.

    Both databases have their tables already. The source is read in its state at the start of the copy, while
    others may write to it. Raises ConfigError if the target is the source or not empty, CopyDiffersError if
    the rows differ, StoreUnavailableError. After an error the target contains nothing.
    """
    if source.identity() == target.identity():
        raise ConfigError(f"TARGET={target.name!r}: is the SOURCE itself")
    with source.read() as outgoing, target.write() as incoming:
        # A new store has an identity already; the copy gets that of its source.
        incoming.execute(sa.delete(t.store_identity))
        for table in t.metadata.sorted_tables:
            if incoming.execute(sa.select(table).limit(1)).first() is not None:
                raise ConfigError(
                    f"TARGET={target.name!r}: is not empty, there are rows in {table.name}:"
                    " give the address of a database without any data of meteo-score"
                )
        sent = {table: _copy(outgoing, incoming, table, on_rows) for table in t.metadata.sorted_tables}
        tables = []
        for table, tally in sent.items():
            arrived = Tally()
            for rows in _batches(incoming, table):
                arrived.add(rows)
                on_rows(table.name, len(rows))
            tables.append(TableCopy(table.name, tally, arrived))
        if not all(table.same for table in tables):
            raise CopyDiffersError(tables)
    return tuple(tables)


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
        # The copied rows have their ids, so that PostgreSQL's sequence still starts at 1.
        sequence, last = sa.func.pg_get_serial_sequence(table.name, "id"), sa.func.max(table.c.id)
        incoming.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None))))
    return tally


def _batches(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[Any]]:
    query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
    yield from connection.execute(query).partitions()
