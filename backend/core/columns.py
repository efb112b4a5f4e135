"""Columns of whole numbers that storage and scoring share: collected rows and score days.

Values are whole thousandths of their unit; ABSENT stands for a missing value. Times are whole seconds since
1970 in UTC, days are local day numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.core.parameters import Parameter

Ints = NDArray[np.int32]
Times = NDArray[np.int64]

SPEED = Parameter.WIND_SPEED.number
GUST = Parameter.WIND_GUST.number
DIRECTION = Parameter.WIND_DIRECTION.number
TEMPERATURE = Parameter.TEMPERATURE.number

NO_LEAD = -1
"""Marks an hour without a forecast in an array of lead times."""

UNPAIRED = -128
"""Marks an hour without a reading in an array of offsets."""

UNKNOWN_MINUTES = 0
"""Marks an unpublished period in an array of averaging periods."""


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRows:
    """Forecast hours of one site, by valid time, model and run; `values` has a column per parameter.

    `available_at` is that of the first available value of an hour; `estimated` is true if it is the time of
    the first collection, because the source publishes none. `later` has a row for each value that was
    available later: index of the hour, number of the parameter, availability.
    """

    valid_time: Times
    model: Times
    reference_time: Times
    available_at: Times
    estimated: NDArray[np.bool_]
    values: Ints
    later: Times = field(default_factory=lambda: np.empty((0, 3), np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class ReadingRows:
    """Readings of one station, by time; `averaging` in minutes, `values` with a column per parameter.

    `averaging` is that of the wind, `temperature_averaging` that of the temperature. `resolution` is of their
    directions, in thousandths of a degree; 0 where the source publishes none. `gust_minutes` is the period of
    each gust, by the network in the registry.
    """

    time: Times
    averaging: Times
    values: Ints
    resolution: Times
    temperature_averaging: Times
    gust_minutes: int = UNKNOWN_MINUTES

    def where(self, mask: NDArray[np.bool_]) -> ReadingRows:
        """Return the rows that are true in `mask`."""
        return ReadingRows(
            self.time[mask],
            self.averaging[mask],
            self.values[mask],
            self.resolution[mask],
            self.temperature_averaging[mask],
            self.gust_minutes,
        )


@dataclass(frozen=True, slots=True, eq=False)
class DayColumns:
    """Many days as columns: owner and day of each, its values (n, 4, 25), minutes of its hours (n, 25)."""

    owner: Times
    day: Times
    hourly: Ints
    minutes: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastDays(DayColumns):
    """Forecast days of one view: `owner` is a model, `minutes` are lead times, NO_LEAD without a forecast.

    `minutes` are of the newest run; `older` (n, 4, 25) is by how many minutes the run of a value is older
    than that one. `estimated` counts the hours of each day whose run has no published time.
    """

    estimated: Times
    older: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ObservedDays(DayColumns):
    """Days of stations: `owner` is a station, `minutes` are distances of readings from their hour.

    `minutes` are UNPAIRED for an hour without a mean wind. `readings` is their number on the day,
    `resolution` the coarsest of their directions in degrees or None. `means` (n, 4, 25) are the hourly means
    of all readings. `doubts` (n, 4, MOST_REASONS) counts the values of the day that
    quality control flags, by parameter and by the number of the reason.
    """

    readings: Times
    resolution: tuple[float | None, ...]
    means: Ints
    doubts: NDArray[np.integer[Any]]


MOST_REASONS = 16
"""Number of quality control reasons that a stored day has space for."""
