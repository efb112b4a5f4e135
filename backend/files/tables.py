"""Tables to import, read in pieces, so that memory does not grow with the file.

A table yields frames with the row number, from 0, in the column ROW. All cells of a CSV file are text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

import polars as pl

from backend.files.faults import FileRefusedError

ROW = "row"
LONGEST_NAME = 40
"""How many characters of a column name an error shows."""

PIECE = 100_000
"""Rows in memory at a time: some tens of megabytes, with all derived columns."""


LONGEST_LINE = 1 << 20
"""Maximum bytes of a line in a text file. An exported row has about a hundred."""

MOST_COLUMNS = 64


class Shape(NamedTuple):
    """The columns of a table: required ones, optional ones, and those that are not read.

    `numbers` are the columns that contain numbers.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    ignored: tuple[str, ...]
    numbers: tuple[str, ...] = ("value",)


class Table(Protocol):
    """A file of rows."""

    @property
    def path(self) -> Path:
        """Return the path of the file."""
        ...

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order. Raises FileRefusedError if the file itself is malformed."""
        ...

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return names for these rows, given in ascending order, as a person counts them: "line 3"."""
        ...


def checked_header(
    path: Path, header: Sequence[str], shape: Shape, line: int = 1, how: str = ""
) -> list[str]:
    """Return the columns of a header that are read; raise FileRefusedError.

    `how` describes how the header was parsed.
    """
    if len(header) > MOST_COLUMNS:
        raise FileRefusedError(
            f"{path}, line {line}: the header has {len(header)} columns{how}:"
            f" must have at most {MOST_COLUMNS}"
        )
    known = {*shape.required, *shape.optional, *shape.ignored}
    missing = [name for name in shape.required if name not in header]
    unknown = [name for name in header if name not in known]
    twice = sorted({name for name in header if header.count(name) > 1})
    problem = (
        (missing and f"has no {', '.join(missing)}")
        or (unknown and f"has {', '.join(repr(name[:LONGEST_NAME]) for name in unknown)}")
        or (twice and f"names {', '.join(twice)} twice")
    )
    if problem:
        optional = f", and it may have {','.join(shape.optional)}" if shape.optional else ""
        raise FileRefusedError(
            f"{path}, line {line}: the header {problem}: it must be {','.join(shape.required)}{optional}{how}"
        )
    return [name for name in header if name not in shape.ignored]


def too_long(path: Path, line: int) -> FileRefusedError:
    """Return the error for a line that is longer than LONGEST_LINE."""
    return FileRefusedError(
        f"{path}, line {line}: is longer than {LONGEST_LINE} bytes: it is not a row of a table"
    )


def bounded_lines(path: Path, file: TextIO, first: int = 1) -> Iterator[str]:
    """Yield the lines of an open text file; `first` is the number of the first one.

    Raises FileRefusedError for a line that is too long, without reading all of it.
    """
    number = first
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise too_long(path, number)
        yield line
        number += 1


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).partition("\n")[0]
