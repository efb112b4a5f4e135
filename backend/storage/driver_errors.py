"""What an error of a database driver means for the store."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

# DatabaseError itself, without its other subclasses: a damaged file. IntegrityError and the like are bugs.
_STATES = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.DatabaseError)
# SQLAlchemy counts these SQLSTATEs as programming errors, but the operator can resolve them: missing
# privilege, missing table, missing schema.
_SQLSTATES = {"42501", "42P01", "3F000"}

# SQLite's primary result codes, and SQLSTATEs of PostgreSQL: data_corrupted, index_corrupted, and
# undefined_file (the file of a table is gone); disk_full.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, "XX001", "XX002", "58P01"}
_FULL = {sqlite3.SQLITE_FULL, "53100"}


def is_state_of_store(error: sa.exc.DBAPIError) -> bool:
    """Return True if the state of the store caused the error, and not a fault of this program."""
    return type(error) in _STATES or getattr(error.orig, "sqlstate", None) in _SQLSTATES


def is_damage(error: BaseException | None) -> bool:
    """Return True if a driver's error means that stored data are damaged."""
    return _code_of(error) in _DAMAGED


def is_full(error: BaseException | None) -> bool:
    """Return True if a driver's error means that the disk of the store is full."""
    return _code_of(error) in _FULL


def _code_of(error: BaseException | None) -> int | str | None:
    """Return the primary result code of an error of SQLite, or the SQLSTATE of one of PostgreSQL."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF
    return getattr(error, "sqlstate", None)
