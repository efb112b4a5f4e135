"""Tables to import, a piece of rows at a time, so that memory does not grow with the file.

A table yields frames with the row's number, from 0, in the column ROW; of a CSV file every cell is text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
import polars.selectors as cs

from backend.files.refusing import FileRefused

ROW = "row"
PIECE = 100_000
"""How many rows are looked at together: some tens of megabytes, with all that is made of them."""

BLOCK = 8_000_000
"""How many bytes of a CSV file are read at a time: about as many rows."""


_LONE_RETURN = re.compile(rb"\r(?!\n)")


class Shape(NamedTuple):
    """The columns of a table: those it must have, those it may have, and those that are not read."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    ignored: tuple[str, ...]


_TEXTS = (pl.String, pl.Categorical, pl.Enum)


class Table(Protocol):
    """A file with rows."""

    @property
    def path(self) -> Path:
        """Return where it is."""
        ...

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order. Raises FileRefused where the file itself is broken."""
        ...

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return what a person would call these rows, given in ascending order: "line 3"."""
        ...


def open_table(path: Path, shape: Shape) -> Table:
    """Return the table of a .csv or .parquet file; raise FileRefused for any other, or another header."""
    kinds: dict[str, type[CsvTable] | type[ParquetTable]] = {".csv": CsvTable, ".parquet": ParquetTable}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise FileRefused(f"{path}: must end in .csv, .parquet or .txt")
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise FileRefused(f"{path}: no such file") from None
    except OSError as error:
        raise FileRefused(f"{path}: cannot be read: {error.strerror}") from error
    return kind(path, shape)


def checked_header(path: Path, header: Sequence[str], shape: Shape) -> list[str]:
    """Return which columns of a header are to be read; raise FileRefused."""
    known = {*shape.required, *shape.optional, *shape.ignored}
    lacking = [name for name in shape.required if name not in header]
    strange = [name for name in header if name not in known]
    twice = sorted({name for name in header if header.count(name) > 1})
    problem = (
        (lacking and f"lacks {', '.join(lacking)}")
        or (strange and f"has {', '.join(map(repr, strange))}")
        or (twice and f"names {', '.join(twice)} twice")
    )
    if problem:
        optional = f", and it may have {','.join(shape.optional)}" if shape.optional else ""
        raise FileRefused(
            f"{path}, line 1: the header {problem}: it must be {','.join(shape.required)}{optional}"
        )
    return [name for name in header if name not in shape.ignored]


class CsvTable:
    """A CSV file in UTF-8 with commas, its first line a header. Blank lines are passed over."""

    def __init__(self, path: Path, shape: Shape, block: int = BLOCK) -> None:
        self.path = path
        self._block = block
        _, self._header = next(self._walk(), (1, []))
        self._columns = checked_header(path, self._header, shape)

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order, every cell as text."""
        cells = [pl.col(name) for name in self._columns]
        header = ",".join(self._header).encode() + b"\n"
        first = 0
        for block in self._blocks():
            self._refuse_lone_returns(block.text, block.line)
            try:
                frame = pl.read_csv(
                    header + block.text,
                    infer_schema=False,  # "1.0" may be a model; a guess from the first rows fails later
                    row_index_name=ROW,
                    row_index_offset=first,
                )
            except pl.exceptions.PolarsError as error:
                self._find_break()
                if b'"' in block.text:
                    raise self._stray_quote(block.line) from error
                raise FileRefused(f"{self.path}: cannot be read as CSV: {_first_line(error)}") from error
            if len(frame) != block.rows:
                raise self._stray_quote(block.line)
            first += block.rows
            yield frame.select(ROW, *cells).filter(pl.any_horizontal(cell.is_not_null() for cell in cells))

    def _blocks(self) -> Iterator[_Block]:
        """Yield what comes after the header in blocks of whole rows.

        Polars can do that by itself, but reads ahead: 400 MB of memory for a file of 260 MB.
        """
        with self.path.open("rb") as file:
            rest, skip, line = file.read(3).removeprefix(b"\xef\xbb\xbf"), 1, 1
            while chunk := file.read(self._block):
                block = _whole_rows(rest + chunk, skip, line)
                if block is None and len(rest) > BLOCK:
                    self._find_break()
                    raise self._stray_quote(line + skip)
                if block is None:
                    rest += chunk
                    continue
                rest, skip, line = block.rest, 0, block.next_line
                yield block
            if rest.strip():
                block = _whole_rows(rest + b"\n", skip, line)
                if block is not None:
                    yield block
                elif rest.count(b'"') % 2:
                    self._find_break()
                    raise self._stray_quote(line + skip)
                else:  # nothing but a header
                    self._refuse_lone_returns(rest, line)

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of lines: a row is not always one line further, for a cell may hold several."""
        wanted, found = set(rows), {}
        for row, (line, _) in enumerate(self._walk(), start=-1):  # the header comes first
            if row in wanted:
                found[row] = f"line {line}"
                if len(found) == len(wanted):
                    break
        return [found[row] for row in rows]

    def _stray_quote(self, line: int) -> FileRefused:
        """Return the error of a quote by which the rows from a line on cannot be told apart."""
        return FileRefused(
            f"{self.path}, line {line}: here or soon after, a quote is never closed, or stands within a cell"
            ' that is not quoted: quote the whole cell, and write "" for a quote in it'
        )

    def _refuse_lone_returns(self, text: bytes, line: int) -> None:
        """Raise FileRefused for a carriage return alone: not everybody takes it for the end of a row."""
        found = _LONE_RETURN.search(text)
        if found is not None:
            line += text.count(b"\n", 0, found.start())
            raise FileRefused(
                f"{self.path}, line {line}: has a carriage return without a line feed: end every line with"
                " a line feed"
            )

    def _find_break(self) -> None:
        """Raise FileRefused for the first row that has more cells than the header."""
        for line, cells in self._walk():
            if len(cells) > len(self._header):
                raise FileRefused(
                    f"{self.path}, line {line}: has {len(cells)} cells: must have as many as the header,"
                    f" {len(self._header)}"
                )

    def _walk(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every row, the header first, with the number of the line that it begins on."""
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            begins = 1
            try:
                for cells in reader:
                    yield begins, cells
                    begins = reader.line_num + 1
            except csv.Error as error:
                raise FileRefused(f"{self.path}, line {begins}: not valid CSV: {error}") from error
            except UnicodeDecodeError as error:
                raise FileRefused(
                    f"{self.path}, line {_undecodable(self.path)}: is not UTF-8: save the file with that"
                    " encoding"
                ) from error


class ParquetTable:
    """A Parquet file; its times carry a zone, or are text with one."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.path = path
        try:
            columns = pl.scan_parquet(path, glob=False).collect_schema()
        except pl.exceptions.PolarsError as error:
            raise FileRefused(f"{path}: is not a Parquet file: {_first_line(error)}") from error
        self._columns = checked_header(path, columns.names(), shape)
        for name in self._columns:
            kind = columns[name]
            if not (kind.is_numeric() or kind in _TEXTS or kind in (pl.Datetime, pl.Date, pl.Null)):
                raise FileRefused(
                    f"{path}: the column {name} is {kind}: must be text, numbers, or times with their zone"
                )

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order."""
        rows = pl.scan_parquet(self.path, row_index_name=ROW, glob=False).select(ROW, *self._columns)
        rows = rows.with_columns(cs.categorical().cast(pl.String), cs.enum().cast(pl.String))
        try:
            yield from rows.collect_batches(chunk_size=PIECE, maintain_order=True)
        except pl.exceptions.PolarsError as error:
            raise FileRefused(f"{self.path}: cannot be read: {_first_line(error)}") from error

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of rows, from 1."""
        return [f"row {row + 1}" for row in rows]


class _Block(NamedTuple):
    """Some whole rows of a CSV file, how many they are, the line they begin on, and what came after them."""

    text: bytes
    rows: int
    line: int
    rest: bytes

    @property
    def next_line(self) -> int:
        """The line on which `rest` begins."""
        return self.line + self.text.count(b"\n")


def _whole_rows(text: bytes, skip: int, line: int) -> _Block | None:
    """Cut off what comes after the last whole row, and the first `skip` rows; None if nothing is left."""
    letters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    if b'"' in text:  # a line that ends within quotes is not the end of a row
        ends = ends[np.cumsum(letters == ord('"'))[ends] % 2 == 0]
    if len(ends) <= skip:
        return None
    begin = int(ends[skip - 1]) + 1 if skip else 0
    end = int(ends[-1]) + 1
    return _Block(text[begin:end], len(ends) - skip, line + text.count(b"\n", 0, begin), text[end:])


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
