"""Writing of frames to a file; the file appears under its name when it is complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import polars as pl

from backend.core.errors import ConfigError, MeteoScoreError
from backend.files.columns import Columns, schema

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_BUFFERED = 200_000
"""Rows of a row group in Parquet; they are in memory at the same time."""


class Writer(Protocol):
    """A file that frames are written to."""

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows."""
        ...

    def finish(self) -> None:
        """Write the remaining rows; the file is complete then."""
        ...

    def close(self) -> None:
        """Release files and folders, complete or not."""
        ...


@contextmanager
def new_file(path: Path, columns: Columns, *, force: bool) -> Iterator[Writer]:
    """Open a writer of a .csv or .parquet file; the file appears when the context ends without error.

    Raises ConfigError for another ending, or for an existing file without `force`, and MeteoScoreError if the
    file cannot be written.
    """
    kinds: dict[str, Callable[[Path, Columns], Writer]] = {".csv": _Csv, ".parquet": _Parquet}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path}: must end in .csv or .parquet")
    with replacing(path, force=force) as part:
        writer = kind(part, columns)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[Path]:
    """Return a temporary path beside `path`; it is renamed to `path` if the context ends without error."""
    if os.path.lexists(path) and not force:
        raise ConfigError(f"{path}: exists already: give another name, or --force to overwrite it")
    part = path.with_name(f".{path.name}.part")
    try:
        # O_EXCL and O_NOFOLLOW: in a folder of other users a symbolic link may have this name.
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield part
        part.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise MeteoScoreError(f"{path}: cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


class _Csv:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._file = path.open("wb")
        # A file without rows also has its header.
        pl.DataFrame(schema=schema(columns)).write_csv(self._file)

    def write(self, frame: pl.DataFrame) -> None:
        frame.write_csv(self._file, include_header=False, datetime_format=_TIME)

    def finish(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Parts of the file, joined at the end: Polars has no writer that takes frames one by one."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._folder = tempfile.TemporaryDirectory(prefix=path.name, dir=path.parent)
        # An empty frame, so that a file without rows also has its columns.
        self._waiting: list[pl.DataFrame] = [pl.DataFrame(schema=schema(columns))]
        self._parts: list[Path] = []

    def write(self, frame: pl.DataFrame) -> None:
        self._waiting.append(frame)
        if sum(map(len, self._waiting)) >= _BUFFERED:
            self._flush()

    def finish(self) -> None:
        if self._waiting:
            self._flush()
        pl.scan_parquet(self._parts, glob=False).sink_parquet(self._path)

    def close(self) -> None:
        self._folder.cleanup()

    def _flush(self) -> None:
        part = Path(self._folder.name) / f"{len(self._parts):06}.parquet"
        pl.concat(self._waiting).write_parquet(part)
        self._parts.append(part)
        self._waiting.clear()
