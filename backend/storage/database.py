"""One way to the database: connect, begin, translate what goes wrong, migrate."""

from __future__ import annotations

import sqlite3
import weakref
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

from backend.core.errors import ConfigError, StoreUnavailable
from backend.storage.address import shown, sqlite_file, sqlite_url, usable_url

MIGRATIONS = Path(__file__).parent / "migrations"
_WRITER_LOCK = 7_276_391  # any number, as long as every process asks PostgreSQL for the same one


class Database:
    """An engine for SQLite or PostgreSQL. Making one connects to nothing: the service starts without it."""

    def __init__(self, url: str, *, durable: bool = True, busy_timeout: float = 5.0) -> None:
        """Prepare for `url`; raise ConfigError where the address can never work.

        `durable=False` trades safety at power loss for speed (demo, tests). `busy_timeout` is how many
        seconds to wait for another writer, a free connection or a server before StoreUnavailable.
        """
        parsed = usable_url(url)
        self.name = shown(parsed)
        self.path = sqlite_file(parsed)
        reader: dict[str, Any] = {"reader": True}
        if self.path is not None:
            self.engine = sa.create_engine(sqlite_url(self.path), pool_timeout=busy_timeout)
            _prepare_sqlite(self.engine, self.path, durable=durable, busy_timeout=busy_timeout)
        else:
            waits = {
                "connect_timeout": max(2, round(busy_timeout)),  # seconds; the driver takes 2 at least
                "options": f"-c lock_timeout={round(busy_timeout * 1000)}",
            }
            self.engine = sa.create_engine(parsed, connect_args=waits, pool_timeout=busy_timeout)
            reader |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**reader)
        weakref.finalize(self, self.engine.dispose)  # for whoever does not get to close()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection inside one transaction: everything written in it is kept, or nothing is.

        There is one writer at a time, on PostgreSQL as on SQLite: whoever reads and then writes need not
        fear that another writer came between.
        """
        with _translated(), self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the database and holds up no writer."""
        with _translated(), self._reader.connect() as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the tables to this version of the program; several processes may try at once.

        Raises StoreUnavailable, or ConfigError for a database that a newer version has made.
        """
        config = Config()
        config.set_main_option("script_location", MIGRATIONS.as_posix().replace("%", "%%"))
        with self.write() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                newest = ScriptDirectory.from_config(config).get_current_head()
                raise ConfigError(
                    f"DATABASE_URL={self.name!r}: was made by a newer meteo-score, this one knows tables up"
                    f" to {newest}: update the program ({error})"
                ) from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def insert_into(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an INSERT that knows `on_conflict_do_…`, which both dialects spell alike."""
    make = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
    return make(table)


def inserted_id(connection: sa.Connection, statement: sa.Insert) -> int:
    """Execute an INSERT of one row and return the id it was given."""
    result: Any = connection.execute(statement)
    return int(result.inserted_primary_key[0])


# --- Times, which the tables hold as whole seconds ---------------------------------------------------


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


# --- What SQLite must be told, and what either may answer --------------------------------------------


def _prepare_sqlite(engine: sa.Engine, path: Path, *, durable: bool, busy_timeout: float) -> None:
    @sa.event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, record: Any) -> None:
        record.info["file"] = _identity(path)
        # SQLAlchemy's events below say BEGIN; the driver must not guess when to.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={round(busy_timeout * 1000)}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'OFF'}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "checkout")
    def _same_file(_connection: sqlite3.Connection, record: Any, _proxy: object) -> None:
        # SQLite goes on writing into a file that was deleted or replaced under it, where nobody will
        # ever read it. This makes the pool connect anew: to the file that is there, or with an error.
        if record.info["file"] != _identity(path):
            raise sa.exc.DisconnectionError

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes its lock first: a transaction that reads, then writes, can never be upgraded
        # once another process wrote in between, whatever the busy timeout.
        reader = connection.get_execution_options().get("reader")
        connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


# DatabaseError itself, not its other subclasses: a damaged file. IntegrityError and the like are bugs.
_STATES = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.DatabaseError)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        if type(error) not in _STATES:
            raise
        reason = str(error.orig).strip().partition("\n")[0]
        raise StoreUnavailable(f"the store does not answer: {reason}") from error
    except sa.exc.TimeoutError as error:
        raise StoreUnavailable("the store does not answer: all its connections are in use") from error
