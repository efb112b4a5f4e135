"""Files of AROME, ARPEGE and ICON-2I in GRIB2: headers, packing, bitmap and layout are their publishers'.

Only the stand-in process may import this module: it loads ecCodes, and sqlite3 must be imported first.

The grid is a cut of the true one around the sites, on the true grid's own points, or the whole grid. The cell
nearest to a site has exactly the model's forecast of weather.py; all other cells have a smooth background.
Fields that the collector never reads (the decoys) are packed once, and only their times change from file to
file.
"""

from __future__ import annotations

import sqlite3  # noqa: F401 - before eccodes, whose wheels load a SQLite of their own
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import eccodes
import numpy as np
from numpy.typing import NDArray

from backend.core.records import Site
from backend.core.units import ZERO_CELSIUS_K
from backend.demo.noise import Floats
from backend.demo.weather import HOUR, Weather, components

MISSING = 9999.0
MAX_STEP = 51
"""Of AROME, in hours."""

_MARGIN = 4  # cells around the sites; a corner of this size is masked


@dataclass(frozen=True, slots=True)
class Mesh:
    """A grid of a model as it is published: its cells and bounds in degrees, and the runs on it.

    `model` is its name in weather.py and `process` its generating process in GRIB. A file has `hours` of a
    run, which ends at `max_step`. `masked` is False for a model that fills its grid. Columns are `across`
    degrees apart, if not `increment`. `minutes` is True for steps that are written in minutes.
    """

    model: str
    increment: float
    north: float = 55.4
    south: float = 37.5
    west: float = -12.0
    east: float = 16.0
    process: int = 204
    max_step: int = MAX_STEP
    hours: int = 6
    masked: bool = True
    across: float | None = None
    from_south: bool = False
    centre: int = 84
    packing: str = "grid_ccsds"
    minutes: bool = False

    @property
    def column_step(self) -> float:
        """Return the distance of two columns, in degrees."""
        return self.across or self.increment

    def true_cell(self, site: Site) -> tuple[int, int]:
        """Return the row and column nearest to a site."""
        down = site.latitude - self.south if self.from_south else self.north - site.latitude
        return round(down / self.increment), round((site.longitude - self.west) / self.column_step)

    def holds(self, site: Site) -> bool:
        """True if a site lies on the grid."""
        return self.south <= site.latitude <= self.north and self.west <= site.longitude <= self.east


MESHES = {
    "0025": Mesh("arome_0025", 0.025),
    "001": Mesh("arome_001", 0.01, hours=1),
    "ifs_0025": Mesh("arome_ifs_0025", 0.025, process=254),
    "arpege_01": Mesh(
        "arpege_01", 0.1, 72.0, 20.0, -32.0, 42.0, process=211, max_step=102, hours=12, masked=False
    ),
    # Centre, process and packing were not seen; two bytes a value are the size of the files.
    "icon_2i": Mesh(
        *("meteohub_icon_2i", 0.02, 48.9, 33.7, 3.0, 22.0),
        process=62,
        max_step=72,
        hours=72,
        masked=False,
        across=0.025,
        from_south=True,
        centre=80,
        packing="grid_simple",
        minutes=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Grid:
    """A rectangle of a model's grid: rows as the model scans them, columns from west to east."""

    mesh: Mesh
    row: int  # of the true grid, where this one starts
    column: int
    rows: int
    columns: int

    @property
    def latitudes(self) -> Floats:
        """Return the latitude of each row, in degrees."""
        steps = self.mesh.increment * (self.row + np.arange(self.rows))
        return np.round(self.mesh.south + steps if self.mesh.from_south else self.mesh.north - steps, 3)

    @property
    def longitudes(self) -> Floats:
        """Return the longitude of each column, in degrees from -180 to 180."""
        return np.round(self.mesh.west + self.mesh.column_step * (self.column + np.arange(self.columns)), 3)

    def cell(self, site: Site) -> tuple[int, int]:
        """Return the row and column of this grid nearest to a site."""
        row, column = self.mesh.true_cell(site)
        return row - self.row, column - self.column

    def masked(self) -> NDArray[np.bool_]:
        """Return which points lie outside the model's own domain: of AROME, the south-west corner."""
        if not self.mesh.masked:
            return np.zeros((self.rows, self.columns), dtype=np.bool_)
        whole = self.row == 0 and self.column == 0
        rows, columns = (0.58 * self.rows, 0.58 * self.columns) if whole else (_MARGIN, _MARGIN)
        up = np.arange(self.rows)[::-1, None] / rows
        return np.asarray(up + np.arange(self.columns)[None, :] / columns < 1.0)


def whole_grid(name: str) -> Grid:
    """Return the true grid; that of AROME is masked over 17 % of its points."""
    mesh = MESHES[name]
    rows = round((mesh.north - mesh.south) / mesh.increment)
    columns = round((mesh.east - mesh.west) / mesh.column_step)
    return Grid(mesh, 0, 0, rows + 1, columns + 1)


def cut_around(name: str, sites: Sequence[Site]) -> Grid:
    """Return the smallest cut with a margin around all sites that lie on the grid; at least one must."""
    cells = [MESHES[name].true_cell(site) for site in sites if MESHES[name].holds(site)]
    rows, columns = [row for row, _ in cells], [column for _, column in cells]
    return Grid(
        MESHES[name],
        row=min(rows) - _MARGIN,
        column=min(columns) - _MARGIN,
        rows=max(rows) - min(rows) + 2 * _MARGIN + 1,
        columns=max(columns) - min(columns) + 2 * _MARGIN + 1,
    )


_SUM, _HIGHEST = 1, 2  # kinds of statistical processing (code table 4.10)
_HOURS = 1  # of code table 4.4, where 0 is minutes


@dataclass(frozen=True, slots=True)
class Field:
    """A quantity in the numbers of GRIB2, its level, and the interval of its values.

    `statistic` is None for an instant, _HIGHEST for the highest of the hour that ends at the step, and _SUM
    for a sum since the start of the run. `series` is the name of its values in weather.py; None for a decoy.
    `bits` is the size of a packed value.
    """

    discipline: int
    category: int
    number: int
    surface: int
    level: int
    statistic: int | None = None
    series: str | None = None
    bits: int = 12

    @property
    def product(self) -> tuple[int, int, int]:
        """Return discipline, category and number."""
        return self.discipline, self.category, self.number

    def has(self, step: int) -> bool:
        """True if a file has this field at a step: step 0 has no fields over a past hour."""
        return step > 0 or not (self.statistic or self in _NOT_AT_START)

    def start(self, step: int) -> int:
        """Return the hour at which the interval that ends at `step` starts: `step` itself for an instant."""
        if self.statistic == _HIGHEST:
            return step - 1
        return 0 if self.statistic == _SUM else step


_CLOUD = Field(0, 6, 1, surface=1, level=0)
_NOT_AT_START = (_CLOUD,)

WIND_EAST = Field(0, 2, 2, 103, 10, series="u")
_WIND = (WIND_EAST, Field(0, 2, 3, 103, 10, series="v"))
_GUST_COMPONENTS = (
    Field(0, 2, 23, 103, 10, _HIGHEST, series="gust_u"),
    Field(0, 2, 24, 103, 10, _HIGHEST, series="gust_v"),
)
_GUST_SPEED = Field(0, 2, 22, 103, 10, _HIGHEST, series="gust")
GUSTS = (*_GUST_COMPONENTS, _GUST_SPEED)
TEMPERATURE = Field(0, 0, 0, 103, 2, series="temperature")
_HUMIDITY = Field(0, 1, 1, 103, 2)
_WIND_SPEED = Field(0, 2, 1, 103, 10)

FIELDS: dict[str, tuple[Field, ...]] = {
    "001": (*_WIND, *_GUST_COMPONENTS, TEMPERATURE, _HUMIDITY),
    "0025": (
        Field(0, 3, 1, 101, 0),  # pressure at sea level
        TEMPERATURE,
        _HUMIDITY,
        *_WIND,
        _WIND_SPEED,
        Field(0, 2, 0, 103, 10),  # wind direction
        _GUST_SPEED,
        *_GUST_COMPONENTS,
        _CLOUD,
        Field(0, 1, 52, 1, 0, _SUM),  # precipitation
        Field(0, 1, 66, 1, 0, _SUM),  # snow
        Field(0, 1, 75, 1, 0, _SUM),  # graupel
        Field(0, 4, 7, 1, 0, _SUM),  # sunshine
    ),
}
FIELDS["ifs_0025"] = FIELDS["arpege_01"] = FIELDS["0025"]
FIELDS["icon_2i"] = (*_WIND, TEMPERATURE, _GUST_SPEED)
"""The messages per step: of package SP1 in their order in a file, of ICON-2I in a file for each field."""

GROUND = Field(0, 3, 6, surface=1, level=0, bits=16)
_SURFACE_PRESSURE = Field(0, 3, 0, surface=1, level=0)


@lru_cache(maxsize=len(FIELDS))
def parts(grid_name: str) -> dict[str, tuple[int, ...]]:
    """Return the steps (hours) in each file of a run, by the part in its name: "00H06H", or "06H"."""
    mesh = MESHES[grid_name]
    hours, end = mesh.hours, mesh.max_step
    if hours == 1:
        return {f"{step:02}H": (step,) for step in range(end + 1)}
    bounds = [
        (0, hours),
        *((first, min(first + hours - 1, end)) for first in range(hours + 1, end + 1, hours)),
    ]
    digits = len(str(end))
    return {f"{first:0{digits}}H{last:0{digits}}H": tuple(range(first, last + 1)) for first, last in bounds}


class Writer:
    """Composes the files of one grid. Not thread-safe: it reuses its GRIB handles."""

    def __init__(self, grid_name: str, sites: tuple[Site, ...], *, full_grid: bool = False) -> None:
        self.grid = whole_grid(grid_name) if full_grid else cut_around(grid_name, sites)
        self._sites = tuple(site for site in sites if self.grid.mesh.holds(site))
        self._fields = FIELDS[grid_name]
        self._masked = self.grid.masked()
        self._handles = {field: self._template(field) for field in self._fields}
        # A run is composed file by file; evaluate its sites once for all files.
        self._at_sites = lru_cache(maxsize=8)(self._evaluate_sites)

    def compose(self, weather: Weather, run: datetime, steps: tuple[int, ...], *fields: Field) -> bytes:
        """Return one file: the messages of these fields, or of all, at these steps (hours) of the run."""
        values = self._values(weather, run.timestamp(), steps)
        for handle in self._handles.values():
            eccodes.codes_set(handle, "dataDate", int(f"{run:%Y%m%d}"))
            eccodes.codes_set(handle, "dataTime", int(f"{run:%H%M}"))
        messages: list[bytes] = []
        for index, step in enumerate(steps):
            for field in fields or self._fields:
                if not field.has(step):
                    continue
                handle = self._handles[field]
                if self.grid.mesh.minutes:
                    eccodes.codes_set(handle, "forecastTime", 60 * field.start(step))
                    if field.statistic:
                        eccodes.codes_set(handle, "lengthOfTimeRange", 60 * (step - field.start(step)))
                else:
                    eccodes.codes_set(handle, "forecastTime", field.start(step))
                    if field.statistic:
                        eccodes.codes_set(handle, "endStep", step)
                if field.series:
                    eccodes.codes_set_values(handle, values[field.series][index].ravel())
                messages.append(eccodes.codes_get_message(handle))
        return b"".join(messages)

    def compose_ground(self, run: datetime, steps: tuple[int, ...]) -> bytes:
        """Return the file with the model elevations (m): one message, and a decoy at every step (hours).

        In the cell of a site the elevation is that of the site, for which the forecasts of weather.py are.
        Elsewhere there are hills.
        """
        rows = 800.0 + 300.0 * np.sin(np.linspace(0.0, 9.0, self.grid.rows))
        columns = 300.0 * np.cos(np.linspace(0.0, 9.0, self.grid.columns))
        ground = rows[:, None] + columns[None, :]
        for site in self._sites:
            ground[self.grid.cell(site)] = site.elevation
        ground = np.where(self._masked, MISSING, ground)
        decoys = (self._moment(_SURFACE_PRESSURE, run, step, self._decoy()) for step in steps)
        return b"".join((self._moment(GROUND, run, steps[0], ground), *decoys))

    def _moment(self, field: Field, run: datetime, step: int, values: Floats) -> bytes:
        handle = self._template(field)
        eccodes.codes_set(handle, "dataDate", int(f"{run:%Y%m%d}"))
        eccodes.codes_set(handle, "dataTime", int(f"{run:%H%M}"))
        eccodes.codes_set(handle, "forecastTime", step)
        eccodes.codes_set_values(handle, values.ravel())
        message: bytes = eccodes.codes_get_message(handle)
        eccodes.codes_release(handle)
        return message

    def _values(self, weather: Weather, run: float, steps: tuple[int, ...]) -> dict[str, Floats]:
        """Return every series in GRIB's units, shaped (steps, rows, columns)."""
        times = run + HOUR * np.array(steps, dtype=np.float64)
        u, v, temperature = weather.background(self.grid.latitudes, self.grid.longitudes, times)
        fields = {"u": u, "v": v, "gust_u": 1.6 * u, "gust_v": 1.6 * v, "temperature": temperature}
        for site, at_site in zip(self._sites, self._at_sites(weather, run), strict=True):
            row, column = self.grid.cell(site)
            for name, series in at_site.items():
                fields[name][:, row, column] = series[list(steps)]
        fields["temperature"] += ZERO_CELSIUS_K
        fields["gust"] = np.hypot(fields["gust_u"], fields["gust_v"])
        for field in fields.values():
            field[:, self._masked] = MISSING
        return fields

    def _evaluate_sites(self, weather: Weather, run: float) -> list[dict[str, Floats]]:
        times = run + HOUR * np.arange(self.grid.mesh.max_step + 1, dtype=np.float64)
        series: list[dict[str, Floats]] = []
        for site in self._sites:
            forecast = weather.forecast(self.grid.mesh.model, site, run, times)
            gust_u, gust_v = components(forecast.gust, forecast.direction)
            gust = {"gust_u": gust_u, "gust_v": gust_v}
            series.append({"u": forecast.u, "v": forecast.v, **gust, "temperature": forecast.temperature})
        return series

    def _template(self, field: Field) -> int:
        handle: int = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
        grid = self.grid
        for key, value in {
            "tablesVersion": 15,
            "centre": grid.mesh.centre,
            "subCentre": 0,
            "typeOfProcessedData": 1,
            "productDefinitionTemplateNumber": 0 if field.statistic is None else 8,
            "typeOfGeneratingProcess": 2,
            "generatingProcessIdentifier": grid.mesh.process,
            "backgroundProcess": 255,
            "discipline": field.discipline,
            "parameterCategory": field.category,
            "parameterNumber": field.number,
            "typeOfFirstFixedSurface": field.surface,
            "scaleFactorOfFirstFixedSurface": 0,
            "scaledValueOfFirstFixedSurface": field.level,
            "shapeOfTheEarth": 6,
            "resolutionAndComponentFlags": 48,
            "Ni": grid.columns,
            "Nj": grid.rows,
            "latitudeOfFirstGridPointInDegrees": float(grid.latitudes[0]),
            "latitudeOfLastGridPointInDegrees": float(grid.latitudes[-1]),
            "longitudeOfFirstGridPointInDegrees": float(grid.longitudes[0]) % 360.0,
            "longitudeOfLastGridPointInDegrees": float(grid.longitudes[-1]) % 360.0,
            "iDirectionIncrementInDegrees": grid.mesh.column_step,
            "jDirectionIncrementInDegrees": grid.mesh.increment,
            "jScansPositively": int(grid.mesh.from_south),
            "indicatorOfUnitOfTimeRange": 0 if grid.mesh.minutes else _HOURS,
        }.items():
            eccodes.codes_set(handle, key, value)
        if field.statistic is not None:
            eccodes.codes_set(handle, "typeOfStatisticalProcessing", field.statistic)
            eccodes.codes_set(handle, "indicatorOfUnitForTimeRange", 0 if grid.mesh.minutes else _HOURS)
        # Set the packing before the values: set afterwards, it shifts them.
        eccodes.codes_set(handle, "missingValue", MISSING)
        eccodes.codes_set(handle, "packingType", grid.mesh.packing)
        eccodes.codes_set(handle, "bitsPerValue", field.bits)
        eccodes.codes_set(handle, "bitmapPresent", int(grid.mesh.packing == "grid_ccsds"))
        eccodes.codes_set_values(handle, self._decoy().ravel())
        return handle

    def _decoy(self) -> Floats:
        rows = 40.0 + 20.0 * np.sin(np.linspace(0.0, 3.0, self.grid.rows))
        columns = 10.0 * np.cos(np.linspace(0.0, 5.0, self.grid.columns))
        return np.where(self._masked, MISSING, rows[:, None] + columns[None, :])


# --- Faults in files ----------------------------------------------------------------------------------


def without(body: bytes, *fields: Field) -> bytes:
    """Return a file without the messages of some fields."""
    gone = {field.product for field in fields}
    return b"".join(message for product, message in _messages_of(body) if product not in gone)


def renumbered(body: bytes, field: Field, number: int) -> bytes:
    """Return a file in which the messages of a field have another parameter number."""
    changed = bytearray(body)
    start = 0
    for product, message in _messages_of(body):
        if product == field.product:
            changed[start + _product_section(message) + 10] = number
        start += len(message)
    return bytes(changed)


def replace_values(body: bytes, field: Field, value: float) -> bytes:
    """Return a file in which each message of a field has this value everywhere, as IEEE 754 writes it."""
    messages: list[bytes] = []
    for product, message in _messages_of(body):
        if product != field.product:
            messages.append(message)
            continue
        handle = eccodes.codes_new_from_message(message)
        values = eccodes.codes_get_values(handle)
        eccodes.codes_set(handle, "packingType", "grid_ieee")
        eccodes.codes_set_values(handle, np.where(values == MISSING, values, value))
        messages.append(eccodes.codes_get_message(handle))
        eccodes.codes_release(handle)
    return b"".join(messages)


def _product_section(message: bytes) -> int:
    """Return where the section with the number of the field starts."""
    start = 16
    while message[start + 4] != 4:
        start += int.from_bytes(message[start : start + 4], "big")
    return start


def _messages_of(body: bytes) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    """Yield the messages of a file, each with its discipline, category and number."""
    while body:
        length = int.from_bytes(body[8:16], "big")
        start = _product_section(body)
        yield (body[6], body[start + 9], body[start + 10]), body[:length]
        body = body[length:]
