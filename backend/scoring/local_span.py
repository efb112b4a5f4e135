"""A span of local days as arrays: where each hour lies, and which moment each decision was taken at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backend.core.local_time import HOUR, HOURS_A_DAY, local_moment


@dataclass(frozen=True)
class Span:
    """The local days from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def days(self) -> range:
        """Return the numbers of the days."""
        return range(self.first, self.last + 1)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Return when each day begins, and when the last one ends: seconds since 1970, one more than days."""
        return np.array([local_moment(day) for day in range(self.first, self.last + 2)], np.int64)

    def moments(self, hour: int, days_before: int) -> NDArray[np.int64]:
        """Return, per day, when it was `hour` o'clock that many days before."""
        return np.array([local_moment(day - days_before, hour) for day in self.days], np.int64)

    def hours(self) -> NDArray[np.int64]:
        """Return the moment of each hour, (days, 25); of a shorter day, the last ones lie in the next day."""
        return self.starts[:-1, None] + HOUR * np.arange(HOURS_A_DAY)

    def lengths(self) -> NDArray[np.int64]:
        """Return how many hours each day has: 24, or when the clocks change 23 or 25."""
        return np.diff(self.starts) // HOUR

    def locate(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the index of the day in which each moment lies (-1 before, len(days) after) and its hour."""
        starts = self.starts
        index = np.searchsorted(starts, times, side="right") - 1
        hour = (times - starts[np.clip(index, 0, len(starts) - 1)]) // HOUR
        return index, hour
