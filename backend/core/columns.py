"""Columns of whole numbers that storage and scoring share: collected rows, and the days made from them.

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

SPEED, GUST, DIRECTION, TEMPERATURE = range(len(Parameter))
"""The index of each parameter in an array that has one column per parameter."""

NO_LEAD = -1
"""In an array of lead times: no forecast."""

UNPAIRED = -128
"""In an array of offsets: the hour has no reading."""

UNKNOWN_MINUTES = 0
"""In an array of averaging periods: the source does not publish the period."""


def _no_later_values() -> Times:
    return np.empty((0, 3), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRows:
    """Forecast hours of one site, by valid time, model and run; `values` has a column per parameter.

    `available_at` is that of the value of an hour that was available first; `estimated` is true where that is
    the time of the first collection, because the source publishes none. `later` has a row for each value that
    was available later: index of the hour, index of the parameter, when.
    """

    valid_time: Times
    model: Times
    reference_time: Times
    available_at: Times
    estimated: NDArray[np.bool_]
    values: Ints
    later: Times = field(default_factory=_no_later_values)


@dataclass(frozen=True, slots=True, eq=False)
class ReadingRows:
    """Readings of one station, by time; `averaging` in minutes, `values` with a column per parameter.

    `averaging` is that of the wind, `temperature_averaging` that of the temperature. `resolution` is of their
    directions, in thousandths of a degree; 0 where the source publishes none.
    """

    time: Times
    averaging: Times
    values: Ints
    resolution: Times
    temperature_averaging: Times

    def where(self, mask: NDArray[np.bool_]) -> ReadingRows:
        """Return the rows that are true in `mask`."""
        return ReadingRows(
            self.time[mask],
            self.averaging[mask],
            self.values[mask],
            self.resolution[mask],
            self.temperature_averaging[mask],
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

    `minutes` are of the newest run; `older` (n, 4, 25) is by how many minutes the run that a value is from is
    older than that one. `estimated` counts the hours of each day whose run has no published time.
    """

    estimated: Times
    older: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ObservedDays(DayColumns):
    """Days of stations: `owner` is a station, `minutes` are distances of readings from their hour.

    `minutes` are UNPAIRED for an hour without a mean wind. `readings` is how many there were on the day,
    `resolution` the coarsest of their directions in degrees or None. `means` are of the same hours
    (n, 4, 25), each the mean of its reports. `doubts` (n, 4, MOST_REASONS) counts the values of the day that
    quality control flags, by parameter and by the number of the reason.
    """

    readings: Times
    resolution: tuple[float | None, ...]
    means: Ints
    doubts: NDArray[np.integer[Any]]


MOST_REASONS = 16
"""For how many reasons of quality control a stored day has room."""
