"""CSV files to import: detection of the format, rows in blocks, and errors with line numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from backend.files.cells import NumberCells, without_marks
from backend.files.faults import FileRefusedError
from backend.files.tables import LONGEST_LINE, ROW, Shape, bounded_lines, checked_header, first_line, too_long

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}

BLOCK = 8_000_000
"""Bytes of a CSV file read at a time: about PIECE rows."""

_INDEX = ("", "unnamed: 0")
"""Names that pandas gives to its index if that is the first column."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


class _Dialect(NamedTuple):
    """Format of a CSV file: column separator, line of the header, and column names."""

    separator: str
    line: int
    header: list[str]

    @property
    def how(self) -> str:
        """Describe the separator, for the end of an error message."""
        return f" (the columns are separated by {SEPARATORS.get(self.separator, repr(self.separator))})"


def _dialect(path: Path, shape: Shape) -> _Dialect:
    """Detect the format of a CSV file from its first lines. Raises FileRefusedError.

    The separator is that of Excel's line "sep=;", or else the first of SEPARATORS with which the header has
    all required columns.
    """
    with path.open("rb") as file:
        head = file.read(LONGEST_LINE)
    if head.startswith(_UTF_16) or b"\0" in head:
        raise FileRefusedError(
            f"{path}: is UTF-16 or not text: save it as CSV in UTF-8 (in Excel: CSV UTF-8, comma delimited)"
        )
    stated, text = None, b""
    lines = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, text in enumerate(lines, start=1):
        sep = _SEP.fullmatch(text.decode("utf-8", "replace").strip()) if stated is None else None
        if sep is not None:
            stated = sep[1]
            if stated not in SEPARATORS:
                allowed = ", ".join(SEPARATORS.values())
                raise FileRefusedError(f"{path}, line {number}: sep={stated}: must be {allowed}")
        elif text.strip():
            break
    if len(head) == LONGEST_LINE and number == len(lines):
        raise too_long(path, number)
    if _LONE_RETURN.search(text[:-1]):
        raise _lone_return(path, number)
    try:
        line = text.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise _not_utf_8(path, number) from error
    candidates = [
        _Dialect(separator, number, _names(line, separator))
        for separator in ([stated] if stated else SEPARATORS)
    ]
    for dialect in candidates:
        if set(shape.required) <= {*dialect.header}:
            return dialect
    # No separator fits. The error is most useful for the one that finds the most columns.
    return max(candidates, key=lambda dialect: len(dialect.header))


def _names(line: str, separator: str) -> list[str]:
    """Return the column names of a header in lower case, without surrounding blanks."""
    try:
        cells = next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        cells = line.split(separator)
    return [cell.strip().lower() for cell in cells]


def _lone_return(path: Path, line: int) -> FileRefusedError:
    """Return the error for a lone carriage return: programs disagree whether it ends a row."""
    return FileRefusedError(
        f"{path}, line {line}: has a carriage return without a line feed: end every line with a line feed"
    )


def _not_utf_8(path: Path, line: int) -> FileRefusedError:
    return FileRefusedError(f"{path}, line {line}: is not UTF-8: save the file with that encoding")


class CsvTable:
    """A CSV file in UTF-8: a header with rows, and optionally Excel's line "sep=;" before it.

    Blank lines and pandas' index column are skipped. `NumberCells` parses the numbers.
    """

    def __init__(self, path: Path, shape: Shape, block: int = BLOCK) -> None:
        self.path = path
        self._block = block
        self._dialect = _dialect(path, shape)
        header = list(self._dialect.header)
        if header and header[0] in _INDEX:
            header[0] = ROW + " index"
            shape = shape._replace(ignored=(*shape.ignored, header[0]))
        self._header = header
        self._columns = checked_header(path, header, shape, self._dialect.line, self._dialect.how)
        self._needed = max(header.index(name) for name in shape.required) + 1
        self._numbers = [name for name in self._columns if name in shape.numbers]
        self._marked = [
            name for name in shape.optional if name in self._columns and name not in self._numbers
        ]
        self._cells = NumberCells(path, self.lines, comma_parts=self._dialect.separator == ",")

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order, every cell as text."""
        cells = [pl.col(name) for name in self._columns]
        separator = self._dialect.separator
        header = separator.join(self._header).encode() + b"\n"
        first = 0
        for block in self._blocks():
            self._refuse_lone_returns(block.text, block.line)
            try:
                frame = pl.read_csv(
                    header + block.text,
                    infer_schema=False,  # "1.0" may be a model; a guess from the first rows fails later
                    row_index_name=ROW,
                    row_index_offset=first,
                    separator=separator,
                )
            except pl.exceptions.PolarsError as error:
                self._find_break()
                if b'"' in block.text:
                    raise self._stray_quote(block.line) from error
                raise FileRefusedError(f"{self.path}: cannot be read as CSV: {first_line(error)}") from error
            # A stray quote hides line ends from Polars, or from the count of this block.
            if len(frame) != block.rows:
                raise self._stray_quote(block.line)
            first += block.rows
            # Spreadsheets leave rows of empty cells at the end.
            frame = frame.filter(pl.any_horizontal(cell.is_not_null() for cell in cells))
            if frame[self._header[self._needed - 1]].null_count():
                self._refuse_short_rows(block)
            yield frame.select(ROW, *cells).with_columns(
                *(self._cells.read(name, frame[name], frame[ROW]).alias(name) for name in self._numbers),
                *(without_marks(frame[name].str.strip_chars()).alias(name) for name in self._marked),
            )

    def _refuse_short_rows(self, block: _Block) -> None:
        """Raise FileRefusedError for a row that ends before the last required column.

        Its value is not missing: the row is broken.
        """
        lines = block.text.decode().splitlines(keepends=True)
        reader = csv.reader(lines, delimiter=self._dialect.separator)
        begins = block.line
        for cells in reader:
            if cells and len(cells) < self._needed and any(cell.strip() for cell in cells):
                raise self._other_width(begins, len(cells))
            begins = block.line + reader.line_num

    def _other_width(self, line: int, cells: int) -> FileRefusedError:
        advice = ""
        if self._dialect.separator == "," and cells > len(self._header):
            advice = ": a number with a decimal comma must be quoted"
        return FileRefusedError(
            f"{self.path}, line {line}: has {cells} cells: must have as many as the header,"
            f" {len(self._header)}{self._dialect.how}{advice}"
        )

    def _blocks(self) -> Iterator[_Block]:
        """Yield the rows after the header in blocks of whole rows.

        Polars can do this itself, but reads ahead: 400 MB of memory for a file of 260 MB.
        """
        with self.path.open("rb") as file:
            rest, skip, line = file.read(3).removeprefix(b"\xef\xbb\xbf"), self._dialect.line, 1
            while chunk := file.read(self._block):
                text = rest + chunk
                # Complete or not: a line without an end would otherwise be read to the end of the file.
                ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
                long = np.flatnonzero(np.diff(ends, prepend=-1, append=len(text)) > LONGEST_LINE)
                if len(long):
                    raise too_long(self.path, line + int(long[0]))
                block = _whole_rows(text, skip, line)
                if block is None and len(rest) > BLOCK:
                    self._find_break()
                    raise self._stray_quote(line + skip)
                if block is None:
                    rest = text
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
                else:  # only a header
                    self._refuse_lone_returns(rest, line)

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of lines. Rows and lines differ, because a cell may contain line breaks."""
        requested, names = set(rows), {}
        for row, (line, _) in enumerate(self._walk(), start=-1):  # the header comes first
            if row in requested:
                names[row] = f"line {line}"
                if len(names) == len(requested):
                    break
        return [names[row] for row in rows]

    def _stray_quote(self, line: int) -> FileRefusedError:
        """Return the error for a quote after which rows cannot be separated, at or after this line."""
        return FileRefusedError(
            f"{self.path}, line {line}: here or soon after, a quote is not closed, or is inside a cell"
            ' that is not quoted: quote the whole cell, and write "" for a quote in it'
        )

    def _refuse_lone_returns(self, text: bytes, line: int) -> None:
        """Raise FileRefusedError for a lone carriage return."""
        match = _LONE_RETURN.search(text)
        if match is not None:
            raise _lone_return(self.path, line + text.count(b"\n", 0, match.start()))

    def _find_break(self) -> None:
        """Raise FileRefusedError for the first row that has more cells than the header."""
        for line, cells in self._walk():
            if len(cells) > len(self._header):
                raise self._other_width(line, len(cells))

    def _walk(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every row, the header first, with the number of its first line."""
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            before = self._dialect.line - 1
            lines = bounded_lines(self.path, file)
            reader = csv.reader(islice(lines, before, None), delimiter=self._dialect.separator, strict=True)
            begins = before + 1
            try:
                for cells in reader:
                    yield begins, cells
                    begins = before + reader.line_num + 1
            except csv.Error as error:
                raise FileRefusedError(f"{self.path}, line {begins}: not valid CSV: {error}") from error
            except UnicodeDecodeError as error:
                raise _not_utf_8(self.path, _undecodable(self.path)) from error


class _Block(NamedTuple):
    """Some whole rows of a CSV file, their number, their first line, and the bytes after them."""

    text: bytes
    rows: int
    line: int
    rest: bytes

    @property
    def next_line(self) -> int:
        """The line on which `rest` begins."""
        return self.line + self.text.count(b"\n")


def _whole_rows(text: bytes, skip: int, line: int) -> _Block | None:
    """Split after the last whole row and skip the first `skip` rows; None if no whole row remains."""
    letters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    if b'"' in text:  # a line break between quotes does not end a row
        ends = ends[np.cumsum(letters == ord('"'))[ends] % 2 == 0]
    if len(ends) <= skip:
        return None
    begin = int(ends[skip - 1]) + 1 if skip else 0
    end = int(ends[-1]) + 1
    return _Block(text[begin:end], len(ends) - skip, line + text.count(b"\n", 0, begin), text[end:])


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
