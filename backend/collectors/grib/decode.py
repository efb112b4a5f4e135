"""Read values at points from GRIB 2 files, message by message. Runs in the worker process.

Only `_load_eccodes` imports ecCodes, when it is called. So the service, where ecCodes must never be loaded,
can import this module and its records.

Quirks of ecCodes 2.50 (checked 2026-11-23):
- importing it before `sqlite3` replaces Python's SQLite by the older one in its wheel, and before
  `psycopg` it crashes at exit;
- a point under the bitmap reads as 9999.0, not as NaN;
- names of fields change between releases ("10efg" became "max_10efg"), numbers do not;
- a file cut between two messages reads as a whole one, so `_messages` checks the lengths of all messages.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from backend.core.errors import MeteoScoreError

MASKED_FROM = 9998.0
"""Any value from here on is ecCodes' 9999, a point under the bitmap."""

MAX_CELLS = 10_000_000
"""Twice the cells of AROME's fine grid. A few bytes can announce 4 thousand million equal cells."""

_START, _END = b"GRIB", b"7777"
_SHORTEST = 20
_HEAD_BYTES = 512  # the sections before the values take 143 bytes in AROME's messages
_HOUR = 1
_REGULAR_LATITUDE_LONGITUDE = 0
_IEEE_PACKING = 4  # unpacked values; every other packing adds to a reference value


class GribError(MeteoScoreError):
    """The file is not the requested one. Holds only a text, so that it can be pickled to the parent."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Identifies a field by the numbers of the GRIB 2 tables; `level` in the unit of its type (metres).

    `statistic` is the statistical process (2: maximum) of a template that has one.
    """

    discipline: int
    category: int
    number: int
    template: int
    level_type: int
    level: float
    statistic: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A grid cell: row and column in scanning order, and its centre in degrees."""

    j: int
    i: int
    latitude: float
    longitude: float

    @property
    def name(self) -> str:
        """Return row and column: "376,692"."""
        return f"{self.j},{self.i}"


@dataclass(frozen=True, slots=True)
class Field:
    """One message: its metadata, and its values at the requested points, in their order.

    `step` is the lead time of its end and `hours` the interval it covers (0: an instant). `spacing`
    is the distance between cells in degrees. A point outside the grid has no cell; a point under the
    bitmap has a cell and no value.
    """

    name: str
    reference_time: datetime
    step: int
    hours: int
    centre: int
    process: int
    spacing: float
    cells: tuple[Cell | None, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class _Grid:
    """A regular grid as its message scans it; the steps carry the sign of the scan."""

    columns: int
    rows: int
    first_latitude: float
    first_longitude: float
    latitude_step: float
    longitude_step: float

    def cell(self, latitude: float, longitude: float) -> Cell | None:
        """Return the cell nearest to a position, or None if that is outside the grid."""
        width = abs(self.longitude_step)
        along = (longitude - self.first_longitude) * (1 if self.longitude_step > 0 else -1) % 360
        if along > 360 - width / 2:
            along -= 360  # up to half a cell before the first column, computed modulo 360
        i = round(along / width)
        j = round((latitude - self.first_latitude) / self.latitude_step)
        if not (0 <= i < self.columns and 0 <= j < self.rows):
            return None
        east = self.first_longitude + i * self.longitude_step
        return Cell(
            j, i, round(self.first_latitude + j * self.latitude_step, 6), round((east + 180) % 360 - 180, 6)
        )


def read_fields(
    path: Path, points: Sequence[tuple[float, float]], selectors: Mapping[str, Selector]
) -> list[Field]:
    """Return the fields of `selectors` at all `points` (latitude, longitude in degrees) at once.

    Each selected message is unpacked once for all points, and one field is in memory at a time. Raises
    GribError unless the file is a whole GRIB 2 file whose selected messages are hourly, on a regular grid,
    and unique.
    """
    eccodes = _load_eccodes()
    names: dict[Selector | None, str] = {selector: name for name, selector in selectors.items()}
    products = {(selector.discipline, selector.category, selector.number) for selector in names if selector}
    cells: dict[_Grid, tuple[Cell | None, ...]] = {}
    fields: dict[tuple[str, int], Field] = {}
    with path.open("rb") as file:
        for offset, length, head in _messages(file, path.stat().st_size):
            # Discipline, category and number are at fixed offsets. ecCodes takes most of a millisecond to
            # open a message, and more than half of a file's messages are not selected.
            product = _section(head, 4)
            if len(product) > 10 and (head[6], product[9], product[10]) not in products:
                continue
            packing = _section(head, 5)
            if len(packing) >= 15 and int.from_bytes(packing[9:11], "big") != _IEEE_PACKING:
                # ecCodes takes NaN and infinity for 0, and unpacks wrong values.
                (reference_value,) = struct.unpack(">f", packing[11:15])
                if not math.isfinite(reference_value):
                    raise GribError("GRIB reference value is not a number")
            file.seek(offset)
            try:
                handle = eccodes.codes_new_from_message(file.read(length))
                try:
                    message = _Message(eccodes, handle)
                    name = names.get(message.selector())
                    if name is None:
                        continue
                    field = _read(message, name, points, cells)
                finally:
                    eccodes.codes_release(handle)
            except (eccodes.CodesInternalError, ValueError) as error:
                raise GribError(f"the message at byte {offset} cannot be decoded: {error}") from error
            if (name, field.step) in fields:
                raise GribError(f"{name} at step {field.step} h is in the file twice")
            fields[name, field.step] = field
    return list(fields.values())


def prepare() -> None:
    """Load ecCodes before the first file arrives."""
    _load_eccodes()


def _load_eccodes() -> ModuleType:
    import sqlite3  # noqa: F401 - first, or ecCodes replaces it by the SQLite of its wheel

    import eccodes

    return eccodes  # type: ignore[no-any-return]


class _Message:
    """A message opened by ecCodes; its values stay packed until `values` is called."""

    def __init__(self, eccodes: ModuleType, handle: int) -> None:
        self._eccodes = eccodes
        self._handle = handle

    def integer(self, key: str) -> int:
        return int(self._eccodes.codes_get(self._handle, key, int))

    def number(self, key: str) -> float:
        return float(self._eccodes.codes_get(self._handle, key, float))

    def integer_if_any(self, key: str) -> int | None:
        return self.integer(key) if self._eccodes.codes_is_defined(self._handle, key) else None

    def number_if_any(self, key: str) -> float | None:
        return self.number(key) if self._eccodes.codes_is_defined(self._handle, key) else None

    def selector(self) -> Selector | None:
        """Return its selector, or None if it has no level: no selected field is without one."""
        level_type = self.integer_if_any("typeOfFirstFixedSurface")
        level = self.number_if_any("level")
        if level_type is None or level is None:
            return None
        return Selector(
            discipline=self.integer("discipline"),
            category=self.integer("parameterCategory"),
            number=self.integer("parameterNumber"),
            template=self.integer("productDefinitionTemplateNumber"),
            level_type=level_type,
            level=level,
            statistic=self.integer_if_any("typeOfStatisticalProcessing"),
        )

    def grid(self) -> _Grid:
        """Read its grid; longitudes may run from 0 to 360 or from -180 to 180."""
        if (template := self.integer("gridDefinitionTemplateNumber")) != _REGULAR_LATITUDE_LONGITUDE:
            raise GribError(f"a grid of template 3.{template}, not a regular latitude-longitude grid")
        if self.integer("jPointsAreConsecutive") or self.integer("alternativeRowScanning"):
            raise GribError("a grid that is not scanned row by row in one direction")
        columns, rows = self.integer("Ni"), self.integer("Nj")
        if columns < 2 or rows < 2:
            raise GribError(f"a grid of {rows} x {columns} cells")
        north, south = (self.number(f"latitudeOf{end}GridPointInDegrees") for end in ("First", "Last"))
        west, east = (self.number(f"longitudeOf{end}GridPointInDegrees") for end in ("First", "Last"))
        # Modulo 360: a grid may cross Greenwich, where the corner in the west has the larger number.
        westward = bool(self.integer("iScansNegatively"))
        width = ((west - east if westward else east - west) % 360) / (columns - 1)
        latitude_step = (south - north) / (rows - 1)
        if not width or not latitude_step or (latitude_step > 0) != bool(self.integer("jScansPositively")):
            raise GribError(f"a grid whose corners contradict its scanning: {north} {west} to {south} {east}")
        return _Grid(columns, rows, north, west, latitude_step, -width if westward else width)

    def values(self) -> Any:
        """Unpack; return a one-dimensional array in scanning order."""
        return self._eccodes.codes_get_values(self._handle)


def _messages(file: BinaryIO, size: int) -> list[tuple[int, int, bytes]]:
    """Return offset, length and head of every message; raise GribError unless they fill the file exactly."""
    messages: list[tuple[int, int, bytes]] = []
    offset = 0
    while offset < size or not messages:
        file.seek(offset)
        head = file.read(_HEAD_BYTES)
        if len(head) < _SHORTEST or not head.startswith(_START):
            raise GribError(f"no GRIB message starts at byte {offset} of {size}")
        if head[7] != 2:
            raise GribError(f"GRIB edition {head[7]} at byte {offset}, not 2")
        length = int.from_bytes(head[8:16], "big")
        end = offset + length
        if length < _SHORTEST or end > size:
            raise GribError(f"cut: the message at byte {offset} has {length} bytes, the file ends at {size}")
        file.seek(end - len(_END))
        if file.read(len(_END)) != _END:
            raise GribError(f"the message at byte {offset} does not end with 7777")
        messages.append((offset, length, head))
        offset = end
    return messages


def _section(head: bytes, number: int) -> bytes:
    """Return a section from its start to the end of the head; empty if the head is too short."""
    start = 16
    while start + 5 <= len(head):
        if head[start + 4] == number:
            return head[start:]
        start += int.from_bytes(head[start : start + 4], "big") or len(head)
    return b""


def _read(
    message: _Message,
    name: str,
    points: Sequence[tuple[float, float]],
    known: dict[_Grid, tuple[Cell | None, ...]],
) -> Field:
    step, start = message.integer("endStep"), message.integer("startStep")
    # ecCodes turns minutes into hours where they are whole hours, but 0 minutes stay minutes.
    if (unit := message.integer("stepUnits")) != _HOUR and (step or start):
        raise GribError(f"{name} has steps in unit {unit} of table 4.4, not in hours")
    grid = message.grid()
    # Refuse more cells than fit into memory, and a bitmap that would assign values to the wrong cells.
    size = message.integer("numberOfDataPoints")
    if size != grid.rows * grid.columns:
        raise GribError(f"{size} points for {grid.rows} x {grid.columns} cells")
    if size > MAX_CELLS:
        raise GribError(f"grid has {size} cells, the limit is {MAX_CELLS}")
    hidden, coded = message.integer("numberOfMissing"), message.integer("numberOfCodedValues")
    if hidden + coded != size:
        raise GribError(f"{hidden} cells under the bitmap and {coded} values do not add up to {size} cells")
    if grid not in known:
        known[grid] = tuple(grid.cell(latitude, longitude) for latitude, longitude in points)
    cells = known[grid]
    year, month, day, hour, minute, second = map(
        message.integer, ("year", "month", "day", "hour", "minute", "second")
    )
    values = message.values()
    if len(values) != size:
        raise GribError(f"{len(values)} values for {grid.rows} x {grid.columns} cells")
    # Index all points at once: numpy creates an object for each scalar access.
    taken = iter(values[[cell.j * grid.columns + cell.i for cell in cells if cell is not None]].tolist())
    at_cells = (None if cell is None else next(taken) for cell in cells)
    return Field(
        name=name,
        reference_time=datetime(year, month, day, hour, minute, second, tzinfo=UTC),
        step=step,
        hours=step - start,
        centre=message.integer("centre"),
        process=message.integer("generatingProcessIdentifier"),
        spacing=abs(grid.latitude_step),
        cells=cells,
        # NaN is not a mask: return it; the range check rejects it.
        values=tuple(None if value is None or value >= MASKED_FROM else value for value in at_cells),
    )
