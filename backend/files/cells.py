"""Parsing of numbers as spreadsheets and statistics programs write them: decimal commas, missing marks.

A cell is converted only if it has a single meaning. Other cells stay as they are and break a rule later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from backend.files.faults import FileRefusedError

MISSING = ("", "-", "--", ".", "na", "n/a", "#n/a", "#na", "nan", "nd", "null", "none", "missing", "?")
"""Texts that stand for a missing value, in lower case."""

MISSING_NUMBERS = (-999.0, -9999.0, -99999.0)
"""Numbers that stand for a missing value: no parameter has such values."""

_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"
_THOUSANDS = r"^[+-]?\d{1,3},\d{3}$"


class NumberCells:
    """Parses the number cells of one file. A file has decimal commas or decimal points, not both."""

    def __init__(self, path: Path, lines: Callable[[Sequence[int]], list[str]], *, comma_parts: bool) -> None:
        """`comma_parts`: a comma also separates columns, so that 1,234 may mean 1234."""
        self._path = path
        self._lines = lines
        self._comma_parts = comma_parts
        self._seen: dict[str, tuple[int, str]] = {}

    def read(self, name: str, cells: pl.Series, rows: pl.Series) -> pl.Series:
        """Return a column with missing marks as null and decimal commas as points.

        `rows` are the numbers of the rows in the file. Raises FileRefusedError if a comma has two possible
        meanings.
        """
        if cells.dtype.is_float() or cells.dtype.is_integer():
            present = ~cells.cast(pl.Float64).is_in([*MISSING_NUMBERS, math.nan])
            return pl.select(pl.when(present).then(cells)).to_series()
        if cells.dtype != pl.String:
            return cells
        text = without_marks(cells.str.strip_chars())
        commas = text.str.contains(_COMMA).fill_null(value=False)
        points = text.str.contains(".", literal=True).fill_null(value=False) & ~commas
        if commas.any():
            self._note("comma", text, rows, commas)
            unclear = commas & text.str.contains(_THOUSANDS).fill_null(value=False)
            if self._comma_parts and unclear.any():
                row = int(unclear.arg_true()[0])
                raise FileRefusedError(
                    f"{self._where(int(rows[row]))}: {name} = {text[row]!r}: the comma may separate decimals"
                    " or thousands: write a decimal point"
                )
        if points.any():
            self._note("point", text, rows, points)
        # With both in one file, a point or a comma may separate thousands: 1.234 and 1,5.
        if len(self._seen) == 2:
            (first, one), (second, other) = sorted(self._seen.values(), key=lambda mark: mark[0])
            raise FileRefusedError(
                f"{self._where(second)}: {other!r}, and {one!r} in {self._lines([first])[0]}:"
                " a file must have decimal commas or decimal points, not both"
            )
        pointed = text.str.replace(",", ".", literal=True)
        return pl.select(pl.when(commas).then(pointed).otherwise(text)).to_series()

    def _note(self, mark: str, text: pl.Series, rows: pl.Series, marked: pl.Series) -> None:
        if mark not in self._seen:
            index = int(marked.arg_true()[0])
            self._seen[mark] = int(rows[index]), str(text[index])

    def _where(self, row: int) -> str:
        return f"{self._path}, {self._lines([row])[0]}"


def without_marks(text: pl.Series) -> pl.Series:
    """Return the text with missing marks as null."""
    numbers = text.cast(pl.Float64, strict=False).is_in(MISSING_NUMBERS).fill_null(value=False)
    marks = text.str.to_lowercase().is_in(MISSING).fill_null(value=False)
    return pl.select(pl.when(~(numbers | marks)).then(text)).to_series()
