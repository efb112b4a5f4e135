"""Parquet files to import."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import polars.selectors as cs

from backend.core.clock import DAY_SECONDS
from backend.files.cells import NumberCells
from backend.files.faults import FileRefusedError
from backend.files.tables import PIECE, ROW, Shape, checked_header, first_line

_FIRST_DAY, _LAST_DAY = ((day - date(1970, 1, 1)).days for day in (date.min, date.max))
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


class ParquetTable:
    """A Parquet file. Its times have a zone, or are text with one."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.path = path
        try:
            # Without glob=False, Polars reads [ and * in a file name as a pattern.
            columns = pl.scan_parquet(path, glob=False).collect_schema()
        except pl.exceptions.PolarsError as error:
            raise FileRefusedError(f"{path}: is not a Parquet file: {first_line(error)}") from error
        self._columns = checked_header(path, columns.names(), shape)
        self._numbers = [name for name in self._columns if name in shape.numbers]
        self._cells = NumberCells(path, self.lines, comma_parts=True)
        for name in self._columns:
            kind = columns[name]
            if not (kind.is_numeric() or kind in _TEXTS or kind in (pl.Datetime, pl.Date, pl.Null)):
                raise FileRefusedError(
                    f"{path}: the column {name} is {kind}: must be text, numbers, or times with their zone"
                )

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order."""
        rows = pl.scan_parquet(self.path, row_index_name=ROW, glob=False).select(ROW, *self._columns)
        rows = rows.with_columns(cs.categorical().cast(pl.String), cs.enum().cast(pl.String))
        try:
            for frame in rows.collect_batches(chunk_size=PIECE, maintain_order=True):
                for name in self._columns:
                    self._refuse_no_date(name, frame[name], frame[ROW])
                yield frame.with_columns(
                    self._cells.read(name, frame[name], frame[ROW]).alias(name) for name in self._numbers
                )
        except pl.exceptions.PolarsError as error:
            raise FileRefusedError(f"{self.path}: cannot be read: {first_line(error)}") from error

    def _refuse_no_date(self, name: str, cells: pl.Series, rows: pl.Series) -> None:
        """Raise FileRefusedError for a time outside the years 1 to 9999: Polars panics on formatting."""
        ticks = {"ns": 10**9, "us": 10**6, "ms": 10**3}
        if isinstance(cells.dtype, pl.Datetime):
            days = cells.to_physical() // (ticks[cells.dtype.time_unit] * DAY_SECONDS)
        elif cells.dtype == pl.Date:
            days = cells.to_physical()
        else:
            return
        outside = (~days.is_between(_FIRST_DAY, _LAST_DAY)).arg_true()
        if len(outside):
            line = self.lines([int(rows[int(outside[0])])])[0]
            raise FileRefusedError(f"{self.path}, {line}: {name}: is outside the calendar")

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of rows, from 1."""
        return [f"row {row + 1}" for row in rows]
