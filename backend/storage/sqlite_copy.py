"""Copy of a SQLite file in one consistent state, while other processes write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from backend.core.errors import StoreDamagedError, StoreUnavailableError
from backend.storage.driver_errors import is_damage

_PAGES = 4096  # copied at a time; between two portions Ctrl-C takes effect


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy the state of the file at this moment to a new file, which is complete without a -wal.

    A plain copy of the file beside a running service misses what is still in the -wal. Raises
    StoreDamagedError, StoreUnavailableError.
    """
    address = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, isolation_level=None)) as reader,
            closing(sqlite3.connect(target, isolation_level=None)) as writer,
        ):
            # The transaction keeps one state for all portions: without it, a write of another process would
            # start the copy again.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            reader.backup(writer, pages=_PAGES)
            reader.execute("ROLLBACK")
            settle_sqlite(writer)
    except sqlite3.Error as error:
        if is_damage(error):
            raise StoreDamagedError(f"the store is damaged: {error}") from error
        raise StoreUnavailableError(f"the store cannot be copied to {target}: {error}") from error


def settle_sqlite(connection: sqlite3.Connection) -> None:
    """Write everything of the -wal into the file itself, and leave no -wal beside it."""
    connection.execute("PRAGMA journal_mode=DELETE")
