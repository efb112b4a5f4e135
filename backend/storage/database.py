"""Connections to the database: engines, transactions, translation of errors, migrations."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import sqlite

from backend.core.clock import Clock, utc_now
from backend.core.errors import (
    ConfigError,
    StoreDamagedError,
    StoreReplacedError,
    StoreUnavailableError,
)
from backend.storage.driver_errors import is_damage, is_full, is_state_of_store
from backend.storage.engines import file_identity, postgres_arguments, shown, sqlite_engine, usable_url
from backend.storage.sqlite_copy import copy_sqlite

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"
_WRITER_LOCK = 7_276_391  # an arbitrary number; all processes must use the same one


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem of the store: when it was first seen (UTC), and the message of the database.

    The message can contain hosts, users and paths. It is for the log and the operator only.
    """

    since: datetime
    reason: str


Connection = sa.Connection
"""An open connection. Scoring passes it to functions of storage and builds no statement itself."""


_MIGRATING = threading.Lock()  # Alembic has one global context in a process, also for two databases


class Database:
    """An engine for SQLite or PostgreSQL. Its constructor does not connect: the service starts without it."""

    def __init__(
        self,
        url: str,
        *,
        setting: str = "DATABASE_URL",
        make: bool | None = True,
        durable: bool = True,
        busy_timeout: float = 5.0,
        idle_timeout: float = 60.0,
        clock: Clock = utc_now,
    ) -> None:
        """Prepare for `url`; raise ConfigError with the name of the `setting` if the address can never work.

        `make=False` rejects a missing file; with None, connecting to it fails. `durable=False` trades safety
        at power loss for speed (demo, tests). `busy_timeout`: seconds to wait for another writer, a free
        connection or a server before StoreUnavailableError. `idle_timeout`: seconds after which PostgreSQL
        ends an idle writer, which may be frozen, so that others can write; 0 turns this off. SQLite has no
        such timeout.
        """
        parsed = usable_url(url, setting, make=make)
        self.name = shown(parsed)
        self.damage: Trouble | None = None
        """Damage that a query or a check found; a whole check without damage (store_check.py) clears it."""
        self.checked_at: datetime | None = None
        """When this process last checked the store (UTC); None before the end of its first check."""
        self.full: Trouble | None = None
        """Set when a write failed on a full disk; the next successful write clears it."""
        self.replaced: Trouble | None = None
        """Set when the store is not the one of before; it stays set until the end of the process."""
        self.copied_to: Path | None = None
        """The copy of a SQLite store that `migrate` made before it upgraded the tables."""
        self._durable = durable
        self._file: tuple[int, int] | None = None
        self.clock = clock
        self._idle_timeout = f"{round(idle_timeout * 1000)}ms"
        self._setting = setting
        self.path: Path | None = None
        """The file of a SQLite store, absolute: a later chdir does not change it."""
        self._connect: dict[str, Any] = {}
        reader: dict[str, Any] = {"reader": True}
        if parsed.drivername == "sqlite":
            self.path = Path(str(parsed.database)).absolute()
            self.engine = sqlite_engine(self.path, durable=durable, busy_timeout=busy_timeout)
        else:
            self._connect = postgres_arguments(parsed, durable=durable, busy_timeout=busy_timeout)
            self.engine = sa.create_engine(
                parsed,
                connect_args=self._connect,
                isolation_level="READ COMMITTED",  # independent of the server's default: write() needs it
                pool_timeout=busy_timeout,
                pool_pre_ping=True,  # replaces connections that a restart of the server closed
            )
            reader |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**reader)
        weakref.finalize(self, self.engine.dispose)  # for callers that never call close()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open one transaction: everything written in it is committed, or nothing is.

        There is one writer at a time, on PostgreSQL as on SQLite. Between a read and a write of this
        transaction no other process writes.
        """
        with self._translated(), self.engine.begin() as connection:
            if is_postgres(connection):
                # READ COMMITTED shows what the writer before us committed. A stricter level would show
                # the state from before the wait for the lock.
                idle = sa.func.set_config("idle_in_transaction_session_timeout", self._idle_timeout, True)
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK), idle))
            yield connection
        self.full = None

    @contextmanager
    def write_beside(self) -> Iterator[sa.Connection]:
        """Open one transaction that waits for no other writer, for tables that are no part of the store.

        PostgreSQL only: a SQLite file has one writer in any case.
        """
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a connection that sees one state of the database and blocks no writer."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    def migrate(self, *, confirmed: bool = False) -> bool:
        """Update the tables to this version of the program; return True if the store is new.

        Before an upgrade a SQLite store is copied to a file beside it (`copied_to`). A store on a server is
        upgraded only if that is `confirmed`. Neither holds for a store that is not durable. Several processes
        may call it at the same time. Raises StoreUnavailableError, or ConfigError for a database of a newer
        version and for an upgrade that is not confirmed.
        """
        # Alembic takes as long to import as a command that only reads takes in all.
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", MIGRATIONS.as_posix().replace("%", "%%"))
        with _MIGRATING, self.write() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            if before in revisions()[:-1] and self._durable:
                self._prepare_upgrade(str(before), confirmed)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise ConfigError(
                    f"{self._setting}={self.name!r}: was made by a newer meteo-score, this one knows tables"
                    f" up to {revisions()[-1]}: {_newer_program(connection)} ({error})"
                ) from error
            if before != revisions()[-1]:
                from backend import __version__

                program = sa.text("UPDATE store_identity SET program = :version")
                connection.execute(program, {"version": __version__})
        return before is None

    def require_current(self) -> None:
        """Raise unless the store exists and has this version's tables. Changes nothing.

        Raises ConfigError, which names `db upgrade`, or StoreUnavailableError.
        """
        upgrade = "meteo-score db upgrade"
        missing = (
            f"{self._setting}={self.name!r}: there is no store: check the address, or create one"
            f" with {upgrade}"
        )
        if self.path is not None and not self.path.exists():
            raise ConfigError(missing)
        *older_ones, newest = revisions()
        with self.read() as connection:
            is_new = not sa.inspect(connection).has_table("alembic_version")
            version = (
                None if is_new else connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            )
            if version is None:
                raise ConfigError(missing)
            if version == newest:
                return
            if version not in older_ones:
                do = _newer_program(connection)
            elif self.path is not None:
                do = f"run {upgrade}"
            else:
                do = f"make a backup, then run {upgrade} --yes"
        what = f"is of version {version}, and this program needs {newest}"
        raise ConfigError(f"{self._setting}={self.name!r}: {what}: {do}")

    def _prepare_upgrade(self, before: str, confirmed: bool) -> None:
        """Copy a SQLite store before its upgrade, or require that the upgrade of another one is confirmed."""
        newest = revisions()[-1]
        if self.path is None:
            if not confirmed:
                raise ConfigError(
                    f"{self._setting}={self.name!r}: is of version {before}, and this program needs {newest}:"
                    " stop all services on it, make a backup (pg_dump), then run meteo-score db upgrade --yes"
                )
            return
        copy = self.path.with_name(f"{self.path.name}.before-{newest}")
        draft = copy.with_name(f"{copy.name}.draft")
        try:
            draft.unlink(missing_ok=True)
            draft.touch(0o600)
            copy_sqlite(self.path, draft)
            draft.replace(copy)
        except OSError as error:
            raise StoreUnavailableError(
                f"the store cannot be copied to {draft} before its upgrade: {error.strerror}"
            ) from error
        finally:
            if draft.is_file():  # a part of a copy: it must not fill the disk of a store that goes on
                draft.unlink()
        log.warning("store copied before its upgrade", copy=str(copy), version=before)
        self.copied_to = copy

    def identity(self) -> object:
        """Return a value that identifies this database, independent of the address used to reach it.

        Raises StoreUnavailableError.
        """
        if self.path is not None:
            return file_identity(self.path)
        server = "SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()"
        with self.read() as connection:
            return tuple(connection.exec_driver_sql(server).one())

    def connect_arguments(self) -> dict[str, Any]:
        """Return the arguments of psycopg for a connection to this database on PostgreSQL."""
        _, arguments = self.engine.dialect.create_connect_args(self.engine.url)
        return {**arguments, **self._connect}

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def note_check(self) -> None:
        """Record that a check of the store has ended."""
        self.checked_at = self.clock()

    def note_damage(self, reason: str) -> None:
        """Record that the store is damaged, with the time at which this was first seen."""
        if self.damage is None:
            log.critical("the store is damaged", reason=reason)
            self.damage = Trouble(self.clock(), reason)

    def replaced_by(self, reason: str) -> StoreReplacedError:
        """Record that another store is in the place of this one, and return the error to raise."""
        if self.replaced is None:
            log.critical("the store was replaced under this process", reason=reason)
            self.replaced = Trouble(self.clock(), reason)
        return StoreReplacedError(
            f"the store was replaced while this process uses it ({self.replaced.reason}): stop the service,"
            " see that no -wal or -shm of the old store lies beside the new one, and start it again"
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise StoreReplacedError if another file has the store's name; translate errors of the driver."""
        if self.replaced is not None:
            raise self.replaced_by(self.replaced.reason)
        file = None if self.path is None else file_identity(self.path)
        if file is not None:
            # SQLite would write the pages of the old -wal into another file. The device may differ: a volume
            # that was mounted again.
            if self._file is not None and self._file[1] != file[1]:
                raise self.replaced_by("another file has its name")
            self._file = file
        try:
            yield
        except sa.exc.DBAPIError as error:
            if not is_state_of_store(error):
                raise
            reason = str(error.orig).strip().partition("\n")[0]
            if is_damage(error.orig):
                self.note_damage(reason)
                raise StoreDamagedError(f"the store is damaged: {reason}") from error
            if is_full(error.orig):
                self.full = self.full or Trouble(self.clock(), reason)
            raise StoreUnavailableError(f"the store does not answer: {reason}") from error
        except sa.exc.TimeoutError as error:
            raise StoreUnavailableError(
                "the store does not answer: all its connections are in use"
            ) from error


def revisions() -> list[str]:
    """Return the versions of the tables that this program knows, oldest first.

    A migration's file name starts with its revision, so that Alembic need not be loaded to compare versions.
    """
    return sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _newer_program(connection: sa.Connection) -> str:
    """Return what to do about a store of a newer version: it records the program that upgraded it."""
    known = sa.inspect(connection).has_table("store_identity")
    program = connection.scalar(sa.text("SELECT program FROM store_identity")) if known else None
    return f"use meteo-score {program} or later" if program else "update the program"


def is_postgres(connection: sa.Connection) -> bool:
    """Return True for PostgreSQL, False for SQLite."""
    return connection.dialect.name == "postgresql"


def clock_of(connection: sa.Connection) -> float:
    """Return the database server's time in seconds since 1970: one clock for all processes that share it.

    The processes that share a SQLite file run on one machine, so that machine's clock is used.
    """
    if not is_postgres(connection):
        return time.time()
    now = sa.extract("epoch", sa.func.clock_timestamp())
    return float(connection.execute(sa.select(now)).scalar_one())


def insert_into(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an INSERT with `on_conflict_do_…`, which has the same methods in both dialects."""
    if is_postgres(connection):
        # Imported here: installations with SQLite do not need it.
        from sqlalchemy.dialects.postgresql import insert

        return insert(table)
    return sqlite.insert(table)


def inserted_id(connection: sa.Connection, statement: sa.Insert) -> int:
    """Execute an INSERT of one row and return its id."""
    result: Any = connection.execute(statement)
    return int(result.inserted_primary_key[0])


# --- Times: the tables store whole seconds -----------------------------------------------------------


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
