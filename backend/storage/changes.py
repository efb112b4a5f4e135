"""Whether a SQLite store was written to, without a query: fast enough to be asked before each answer."""

from __future__ import annotations

import sqlite3
from threading import Lock

from backend.storage.database import Database
from backend.storage.engines import file_identity


class Changes:
    """Notices each commit to a SQLite file, of this process and of others. Safe for several threads."""

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: object = None
        self._opened = 0

    def now(self) -> object | None:
        """Return a value that is equal only while nothing has been written.

        None where that is unknown: on PostgreSQL, which would have to be asked, and without a file.
        """
        if self._path is None:
            return None
        with self._lock:
            file = file_identity(self._path)
            try:
                if file is None or file != self._file:  # numbers of two connections cannot be compared
                    self._reopen(file)
                if self._connection is None:
                    return None
                (number,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.Error:
                return None  # what is wrong with the file is reported by the answer that reads it
            return self._opened, number

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._reopen(None)

    def _reopen(self, file: object | None) -> None:
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            connection.close()
        if file is not None and self._path is not None:
            self._opened += 1
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=0, check_same_thread=False
            )
            self._file = file
