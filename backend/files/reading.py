"""Tables to import, a piece of rows at a time, so that memory does not grow with the file.

A table yields frames with the row's number, from 0, in the column ROW; of a CSV file every cell is text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl

from backend.files.refusing import FileRefused

ROW = "row"
PIECE = 100_000
"""How many rows are looked at together: some tens of megabytes, with all that is made of them."""

BLOCK = 8_000_000
"""How many bytes of a CSV file are read at a time: about as many rows."""


class Shape(NamedTuple):
    """The columns of a table: those it must have, those it may have, and those that are not read."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    ignored: tuple[str, ...]


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
            try:
                frame = pl.read_csv(
                    header + block.text,
                    infer_schema=False,  # "1.0" may be a model; a guess from the first rows fails later
                    row_index_name=ROW,
                    row_index_offset=first,
                )
            except pl.exceptions.PolarsError as error:
                self._find_break()
                raise FileRefused(f"{self.path}: cannot be read as CSV: {_first_line(error)}") from error
            first += block.rows
            yield frame.select(ROW, *cells).filter(pl.any_horizontal(cell.is_not_null() for cell in cells))

    def _blocks(self) -> Iterator[_Block]:
        """Yield what comes after the header in blocks of whole rows.

        Polars can do that by itself, but reads ahead: 400 MB of memory for a file of 260 MB.
        """
        with self.path.open("rb") as file:
            rest, skip = file.read(3).removeprefix(b"\xef\xbb\xbf"), 1
            while chunk := file.read(self._block):
                block = _whole_rows(rest + chunk, skip)
                if block is None and len(rest) > BLOCK:
                    self._find_break()  # a quote that is never closed
                if block is None:
                    rest += chunk
                    continue
                rest, skip = block.rest, 0
                yield block
            if rest.strip():
                block = _whole_rows(rest + b"\n", skip)
                if block is not None:
                    yield block
                else:  # nothing but a header, or a quote that is never closed
                    self._find_break()

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of lines: a row is not always one line further, for a cell may hold several."""
        wanted, found = set(rows), {}
        for row, (line, _) in enumerate(self._walk(), start=-1):  # the header comes first
            if row in wanted:
                found[row] = f"line {line}"
                if len(found) == len(wanted):
                    break
        return [found[row] for row in rows]

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
            header = pl.scan_parquet(path, glob=False).collect_schema().names()
        except pl.exceptions.PolarsError as error:
            raise FileRefused(f"{path}: is not a Parquet file: {_first_line(error)}") from error
        self._columns = checked_header(path, header, shape)

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order."""
        rows = pl.scan_parquet(self.path, row_index_name=ROW, glob=False).select(ROW, *self._columns)
        try:
            yield from rows.collect_batches(chunk_size=PIECE, maintain_order=True)
        except pl.exceptions.PolarsError as error:
            raise FileRefused(f"{self.path}: cannot be read: {_first_line(error)}") from error

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of rows, from 1."""
        return [f"row {row + 1}" for row in rows]


class _Block(NamedTuple):
    """Some whole rows of a CSV file, how many they are, and what came after them."""

    text: bytes
    rows: int
    rest: bytes


def _whole_rows(text: bytes, skip: int) -> _Block | None:
    """Cut off what comes after the last whole row, and the first `skip` rows; None if nothing is left."""
    letters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    if b'"' in text:  # a line that ends within quotes is not the end of a row
        ends = ends[np.cumsum(letters == ord('"'))[ends] % 2 == 0]
    if len(ends) <= skip:
        return None
    begin = int(ends[skip - 1]) + 1 if skip else 0
    end = int(ends[-1]) + 1
    return _Block(text[begin:end], len(ends) - skip, text[end:])


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
