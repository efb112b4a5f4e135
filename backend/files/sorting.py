"""Sorting of checked rows on disk before they are stored, so that memory does not grow with the file.

A file may have any order and duplicates anywhere, and the store needs whole runs. The rows are written to a
SQLite file in the temporary folder, whose sorter works on disk with a few megabytes of memory. It needs about
three times the size of the CSV file (TMPDIR chooses the place).
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from backend.core.errors import MeteoScoreError
from backend.files.faults import MOST_NAMED
from backend.files.tables import ROW


class Staging:
    """Rows of numbers in the order of a key that should be unique."""

    def __init__(self, key: Sequence[str], rest: Sequence[str]) -> None:
        self.columns = (*key, *rest, ROW)
        self._key = key
        self._folder = tempfile.TemporaryDirectory(prefix="meteo-score-")
        with _room(self._folder.name):
            self._file = sqlite3.connect(Path(self._folder.name) / "rows.sqlite3", isolation_level=None)
            # A crash loses only what the next attempt writes again.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE"):
                self._file.execute(f"PRAGMA {pragma}")
            self._file.execute(f"CREATE TABLE came ({', '.join(self.columns)})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._folder.cleanup()

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows with all columns."""
        with _room(self._folder.name):
            self._file.execute("BEGIN")
            self._file.executemany(
                f"INSERT INTO came VALUES ({', '.join('?' * len(self.columns))})",  # noqa: S608 - marks only
                frame.select(self.columns).iter_rows(),
            )
            self._file.execute("COMMIT")

    def sort(self, *, merge_same: bool = False) -> int:
        """Sort the rows and return their number; `merge_same` keeps one of several equal rows."""
        same = ", ".join(self.columns[:-1])
        rows = "SELECT * FROM came"
        if merge_same:
            rows = f"SELECT {same}, min({ROW}) AS {ROW} FROM came GROUP BY {same}"  # noqa: S608 - our names
        with _room(self._folder.name):
            # The row number comes last, so that of two rows with the same key the later one is the
            # duplicate.
            self._file.execute(f"CREATE TABLE sorted AS {rows} ORDER BY {', '.join((*self._key, ROW))}")
            self._file.execute("DROP TABLE came")
            return int(self._file.execute("SELECT count(*) FROM sorted").fetchone()[0])

    def duplicates(self) -> tuple[list[tuple[int, int]], int]:
        """Return the first rows with the key of an earlier row, each with that row, and their number."""
        same = " AND ".join(f"later.{name} = earlier.{name}" for name in self._key)
        # Rows with the same key are neighbours, because the table is in the order of the key.
        pairs = f"FROM sorted later JOIN sorted earlier ON earlier.rowid = later.rowid - 1 WHERE {same}"
        with _room(self._folder.name):
            count = int(self._file.execute(f"SELECT count(*) {pairs}").fetchone()[0])
            first = self._file.execute(
                f"SELECT later.{ROW}, earlier.{ROW} {pairs} ORDER BY 1 LIMIT {MOST_NAMED}"
            )
            return first.fetchall() if count else [], count

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows in the order of the key, with all columns."""
        with _room(self._folder.name):
            yield from self._file.execute("SELECT * FROM sorted ORDER BY rowid")


@contextmanager
def _room(folder: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise MeteoScoreError(
            f"{folder}: no space to sort the rows of the file ({error}):"
            " set TMPDIR to a folder with more space"
        ) from error
