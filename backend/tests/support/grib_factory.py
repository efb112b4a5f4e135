"""GRIB 2 messages as AROME writes them, composed with ecCodes: headers, packing and bitmap are the true ones.

sqlite3 and psycopg must be imported before this module (conftest imports them), because the order matters.
Packing is chosen before the values: chosen afterwards, it silently shifts the values under a bitmap.
"""

from __future__ import annotations

import sqlite3  # noqa: F401 - before eccodes
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import psycopg  # noqa: F401 - before eccodes

import eccodes  # isort: skip
import numpy as np
from numpy.typing import NDArray

RUN = datetime(2026, 7, 15, 6, tzinfo=UTC)
MISSING = 9999.0

Floats = NDArray[np.floating[Any]]
Values = Callable[[Floats, Floats, int], Floats | float]
"""Values at latitudes, longitudes (-180 to 180) and a step."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut of the grid: its north-west cell (degrees, east positive), its size, and how it is scanned.

    Columns are `across` degrees apart, if not `degrees`.
    """

    north: float = 46.2
    west: float = 6.4
    rows: int = 17
    columns: int = 33
    degrees: float = 0.025
    from_south: bool = False
    from_east: bool = False
    across: float | None = None
    flags: Mapping[str, int] = field(default_factory=dict)

    def latitudes(self) -> Floats:
        south_going = self.north - self.degrees * np.arange(self.rows)
        return south_going[::-1] if self.from_south else south_going

    def longitudes(self) -> Floats:
        east_going = self.west + (self.across or self.degrees) * np.arange(self.columns)
        return east_going[::-1] if self.from_east else east_going


@dataclass(frozen=True, slots=True)
class Kind:
    """A field in the numbers of GRIB; `statistic` 1 is a sum since the start, others cover the last hour."""

    category: int
    number: int
    level_type: int | None = 103
    level: int = 10
    statistic: int | None = None
    template: int = 0


def _statistic(number: int, category: int, statistic: int, level_type: int = 103, level: int = 10) -> Kind:
    return Kind(category, number, level_type, level, statistic, template=8)


WIND_AND_TEMPERATURE = {
    "wind_east": Kind(2, 2),
    "wind_north": Kind(2, 3),
    "temperature": Kind(0, 0, level=2),
}
GUST_COMPONENTS = {"gust_east": _statistic(23, 2, 2), "gust_north": _statistic(24, 2, 2)}
GUST_SPEED = {"gust_speed": _statistic(22, 2, 2)}
# With these, a file of seven steps has the 97 messages that 00H06H has on the 0.025 degree grid.
INSTANT_DECOYS = {
    "humidity": Kind(1, 1, level=2),
    "sea_level_pressure": Kind(3, 1, level_type=101, level=0),
    "wind_speed": Kind(2, 1),
    "wind_direction": Kind(2, 0),
}
HOURLY_DECOYS = {
    "cloud_cover": Kind(6, 1, level_type=1, level=0),
    "rain": _statistic(52, 1, 1, level_type=1, level=0),
    "snow": _statistic(53, 1, 1, level_type=1, level=0),
    "graupel": _statistic(75, 1, 1, level_type=1, level=0),
    "sunshine": _statistic(7, 4, 1, level_type=1, level=0),
}
NEAR_MISSES = {
    "wind_east_100m": Kind(2, 2, level=100),
    "wind_east_isobaric": Kind(2, 2, level_type=100),
    "lowest_gust": _statistic(22, 2, 3),
    "wind_east_mean": _statistic(2, 2, 0),
    "satellite_image": Kind(2, 2, level_type=None, template=31),
}
# What lies in the files of packages SP2 and SP3 that hold it; nothing else there is of interest.
GROUND = {"ground": Kind(3, 6, level_type=1, level=0)}
GROUND_DECOYS = {
    "surface_pressure": Kind(3, 0, level_type=1, level=0),
    "geopotential_height": Kind(3, 5, level_type=100, level=500),
    "height_of_a_level": Kind(3, 6, level=10),
    "brightness_temperature": Kind(5, 7, level_type=None, template=32),
}
KINDS: dict[str, Kind] = {
    **GROUND,
    **GROUND_DECOYS,
    **WIND_AND_TEMPERATURE,
    **GUST_COMPONENTS,
    **GUST_SPEED,
    **INSTANT_DECOYS,
    **HOURLY_DECOYS,
    **NEAR_MISSES,
}

# A wind of 18 km/h from 323.13 degrees, gusts of 36 km/h, 15 °C, and ground at 1234 m; decoys with
# values that a test would notice.
WEATHER: dict[str, float] = {
    "ground": 1234.0,
    "wind_east": 3.0,
    "wind_north": -4.0,
    "temperature": 288.15,
    "gust_east": 6.0,
    "gust_north": -8.0,
    "gust_speed": 10.0,
    **dict.fromkeys([*INSTANT_DECOYS, *HOURLY_DECOYS, *NEAR_MISSES, *GROUND_DECOYS], 66.0),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `masked` holds rows and columns in scanning order, `headers` what is to be wrong."""

    name: str
    step: int
    run: datetime = RUN
    cut: Cut = Cut()
    values: Values | float | None = None
    masked: Collection[tuple[int, int]] = ()
    hours: int = 1
    headers: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
        try:
            for key, value in {**self._head(), **self._grid(), **self._packing(), **self.headers}.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set_values(handle, self._field().ravel())
            message: bytes = eccodes.codes_get_message(handle)
            return message
        finally:
            eccodes.codes_release(handle)

    def _head(self) -> dict[str, int]:
        kind = KINDS[self.name]
        head = {
            "tablesVersion": 15,
            "centre": 84,
            "subCentre": 0,
            "significanceOfReferenceTime": 1,
            "dataDate": int(f"{self.run:%Y%m%d}"),
            "dataTime": int(f"{self.run:%H%M}"),
            "typeOfProcessedData": 1,
            "productDefinitionTemplateNumber": kind.template,
            "typeOfGeneratingProcess": 2,
            "generatingProcessIdentifier": 204,
            "discipline": 0,
            "parameterCategory": kind.category,
            "parameterNumber": kind.number,
        }
        if kind.level_type is None:
            return head
        head |= {
            "typeOfFirstFixedSurface": kind.level_type,
            "scaleFactorOfFirstFixedSurface": 0,
            "scaledValueOfFirstFixedSurface": kind.level,
            "indicatorOfUnitOfTimeRange": 1,
        }
        if kind.statistic is None:
            return {**head, "forecastTime": self.step}
        return {
            **head,
            "typeOfStatisticalProcessing": kind.statistic,
            "indicatorOfUnitForTimeRange": 1,
            "forecastTime": 0 if kind.statistic == 1 else self.step - self.hours,
            "endStep": self.step,
        }

    def _grid(self) -> dict[str, float]:
        latitudes, longitudes = self.cut.latitudes(), self.cut.longitudes()
        return {
            "shapeOfTheEarth": 6,
            "resolutionAndComponentFlags": 48,
            "Ni": self.cut.columns,
            "Nj": self.cut.rows,
            "latitudeOfFirstGridPointInDegrees": float(latitudes[0]),
            "latitudeOfLastGridPointInDegrees": float(latitudes[-1]),
            "longitudeOfFirstGridPointInDegrees": float(longitudes[0]) % 360,
            "longitudeOfLastGridPointInDegrees": float(longitudes[-1]) % 360,
            "iDirectionIncrementInDegrees": self.cut.across or self.cut.degrees,
            "jDirectionIncrementInDegrees": self.cut.degrees,
            "iScansNegatively": int(self.cut.from_east),
            "jScansPositively": int(self.cut.from_south),
            **self.cut.flags,
        }

    @staticmethod
    def _packing() -> dict[str, float | str]:
        return {
            "missingValue": MISSING,
            "packingType": "grid_ccsds",
            "bitsPerValue": 16,
            "bitmapPresent": 1,
        }

    def _field(self) -> Floats:
        source_values = WEATHER[self.name] if self.values is None else self.values
        longitudes, latitudes = np.meshgrid(self.cut.longitudes(), self.cut.latitudes())
        values = source_values(latitudes, longitudes, self.step) if callable(source_values) else source_values
        grid = np.full((self.cut.rows, self.cut.columns), values, dtype=np.float64)
        for row, column in self.masked:
            grid[row, column] = MISSING
        return grid


def messages(
    leads: Iterable[int],
    *,
    gusts: Mapping[str, Kind] = GUST_COMPONENTS,
    decoys: bool = False,
    weather: Mapping[str, Values | float] | None = None,
    like: Message = Message("wind_east", 0),
) -> list[Message]:
    """Return the messages of a file of package SP1, step by step; `like` gives them their run and grid."""
    source_values = weather or {}
    made = []
    for lead in leads:
        names = [*WIND_AND_TEMPERATURE, *(INSTANT_DECOYS if decoys else ())]
        if lead:
            names += [*gusts, *(HOURLY_DECOYS if decoys else ())]
        made += [replace(like, name=name, step=lead, values=source_values.get(name)) for name in names]
    return made


def ground(value: Values | float | None = None, *, like: Message = Message("ground", 0)) -> list[Message]:
    """Return the messages of a file that holds the height of the ground, and others, at step 0."""
    decoys = [replace(like, name=name, step=0) for name in GROUND_DECOYS]
    return [*decoys[:2], replace(like, name="ground", step=0, values=value), *decoys[2:]]


def encode(messages: Iterable[Message]) -> bytes:
    """Return a file: one message after the other."""
    return b"".join(message.encode() for message in messages)
