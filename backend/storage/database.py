"""One way to the database: connect, begin, translate what goes wrong, migrate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from backend.core.errors import ConfigError, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 5000
_MIGRATION_LOCK = 7_276_391  # any number, as long as every process asks PostgreSQL for the same one


class Database:
    """An engine for SQLite or PostgreSQL. Making one opens nothing: the service starts without it."""

    def __init__(self, url: str, *, durable: bool = True) -> None:
        """Prepare for `url`; `durable=False` trades safety at power loss for speed (demo, tests).

        Raises ConfigError where the address can never work.
        """
        parsed = _usable_url(url)
        self.path = (
            Path(parsed.database) if parsed.drivername.startswith("sqlite") and parsed.database else None
        )
        self.engine = sa.create_engine(parsed)
        self._reader = self.engine.execution_options(reader=True)
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine, durable=durable)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection inside one transaction: everything written in it is kept, or nothing is."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the database and holds up no writer."""
        with _translated(), self._reader.connect() as connection:
            yield connection

    def insert(self, table: sa.Table) -> Any:
        """Return an INSERT that knows `on_conflict_do_…`, which both dialects spell alike."""
        make = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[self.engine.dialect.name]
        return make(table)

    def migrate(self) -> None:
        """Bring the tables to this version of the program; several processes may try at once."""
        config = Config()
        config.set_main_option("script_location", MIGRATIONS.as_posix())
        with self.write() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                newest = ScriptDirectory.from_config(config).get_current_head()
                raise ConfigError(
                    f"DATABASE_URL: this database was made by a newer meteo-score than {newest}: {error}"
                ) from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def inserted_id(connection: sa.Connection, statement: sa.Insert) -> int:
    """Execute an INSERT of one row and return the id it was given."""
    key = connection.execute(statement).inserted_primary_key
    if key is None:
        raise TypeError("the statement inserts no single row")
    return int(key[0])


def to_epoch(moment: datetime) -> int:
    """Return an aware time as whole seconds since 1970 in UTC."""
    return int(moment.timestamp())


def from_epoch(seconds: int) -> datetime:
    """Return whole seconds since 1970 as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def maybe_epoch(moment: datetime | None) -> int | None:
    """Return `to_epoch` of a time, or None for None."""
    return None if moment is None else to_epoch(moment)


def maybe_time(seconds: int | None) -> datetime | None:
    """Return `from_epoch` of a number, or None for None."""
    return None if seconds is None else from_epoch(seconds)


def _usable_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            f"DATABASE_URL={url!r}: is no database address such as sqlite:///scores.sqlite3"
        ) from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigError(f"DATABASE_URL={shown!r}: must start with sqlite:/// or postgresql+psycopg://")
    if parsed.drivername == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError(
                f"DATABASE_URL={shown!r}: must name a file, for several processes share the store"
            )
        path = Path(parsed.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):
                pass
        except OSError as error:
            raise ConfigError(f"DATABASE_URL={shown!r}: cannot be written: {error.strerror}") from error
    return parsed


def _prepare_sqlite(engine: sa.Engine, *, durable: bool) -> None:
    @sa.event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy's events below say BEGIN; the driver must not guess when to.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'OFF'}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes its lock first: a transaction that reads, then writes, can never be upgraded
        # once another process wrote in between, whatever the busy timeout.
        reader = connection.get_execution_options().get("reader")
        connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StoreUnavailable(f"the store does not answer: {reason}") from error
