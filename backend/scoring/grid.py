"""The arrays that scoring works on: days down, hours across, whole thousandths of the parameter's unit.

A row is one local day at the sites (Europe/Paris), a column the number of hours since that day's
local midnight. A day of the clock change has 23 or 25 hours, so there are 25 columns; what does not exist
or has no forecast is ABSENT. Whole numbers make every sum exact in any order of adding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from backend.core.clock import PARIS
from backend.core.local_time import HOUR, HOURS_A_DAY, local_moment
from backend.core.parameters import ABSENT as ABSENT
from backend.scoring.constants import DAY_FROM, DAY_UNTIL, FLYING_FROM, FLYING_UNTIL

Values = NDArray[np.int32]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HOURS = HOURS_A_DAY
SCALE = 1000
"""Stored steps in one unit: a thousandth of a km/h, degree or °C is finer than any source states."""

NO_HOUR = -1

CLOCK = 24
"""How many hours a clock shows."""


def present(values: Values) -> Bools:
    """Return where there is a value."""
    return np.asarray(values != ABSENT)


def paired(f: Values, o: Values, mask: Bools | None = None) -> Bools:
    """Return where forecast and observation are both there, within `mask`."""
    if f.shape != o.shape:
        raise ValueError(f"forecast and observation differ in shape: {f.shape} and {o.shape}")
    both = present(f) & present(o)
    return both if mask is None else both & mask


def thousandths(value: float) -> int:
    """Return `value`, in the parameter's unit, as the nearest whole number of stored steps."""
    return round(value * SCALE)


def to_units(values: Values) -> NDArray[np.float64]:
    """Return stored steps in the parameter's unit, NaN where there is no value."""
    return np.where(present(values), values / SCALE, np.nan)


@lru_cache(maxsize=64)  # one answer asks for the same year several times
def clock_hours(first: date, days: int, zone: ZoneInfo = PARIS) -> Integers:
    """Return what a clock in `zone` shows at each column of `days` days from `first`: 0 to 23.

    Shape (days, 25). On the day the clocks go forward no column shows 2 and two columns are NO_HOUR;
    on the day they go back two columns show 2. "Ten in the morning" must be looked up here: on those
    two days it is not column 10.
    """
    hours = np.tile(np.append(np.arange(HOURS - 1), NO_HOUR), (days, 1)).astype(np.int64)
    midnights = [datetime.combine(first + timedelta(days=day), time(), zone) for day in range(days + 1)]
    for day, (midnight, next_midnight) in enumerate(pairwise(midnights)):
        if midnight.utcoffset() != next_midnight.utcoffset():
            start = midnight.astimezone(UTC)  # an hour added to a local time would ignore the change
            moments = [(start + timedelta(hours=hour)).astimezone(zone) for hour in range(HOURS)]
            hours[day] = [moment.hour if moment.date() == midnight.date() else NO_HOUR for moment in moments]
    hours.flags.writeable = False  # the cache hands the same array to all callers
    return hours


def rounded_mean(total: Integers, n: Integers) -> Integers:
    """Return `total / n` to the nearest whole number, halves upwards (-0.5 becomes 0); 0 where n is 0."""
    count = np.maximum(n, 1)
    return np.asarray((2 * total + count) // (2 * count))


class Season(StrEnum):
    """A meteorological season: three whole months."""

    WINTER = "winter"
    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"


SEASONS = tuple(Season)


def season_index(months: Integers) -> Integers:
    """Return the index in SEASONS of months 1 to 12: December to February is winter."""
    return months % 12 // 3


# --- The hours that a question counts --------------------------------------------------------------------


class Hours(StrEnum):
    """The hours of a question. Both ends are included."""

    ends: tuple[int, int]
    """The first and the last hour of the local clock that count."""
    text: str
    """The hours in words: "flying hours, 10 to 18"."""
    noun: str
    """The hours as the object of a sentence: "hours from 10 to 18"."""

    FLYING = "flying", int(FLYING_FROM.value), int(FLYING_UNTIL.value), "flying hours"
    DAY = "day", int(DAY_FROM.value), int(DAY_UNTIL.value), "daytime hours"
    ALL = "all", 0, 23, "all hours"

    def __new__(cls, value: str, *attributes: Any) -> Self:
        """Make a member of its row above; a call with a value alone finds the member."""
        first, last, name = attributes
        hours = str.__new__(cls, value)
        hours._value_ = value
        hours.ends = first, last
        if value == "all":
            hours.text, hours.noun = name, "hours"
        else:
            hours.text = f"{name}, {first:02d} to {last:02d}"
            hours.noun = f"hours from {first:02d} to {last:02d}"
        return hours

    def counted(self, clock: Integers) -> Bools:
        """Return which columns count, given what the clock shows at each (`clock_hours`)."""
        first, last = self.ends
        return np.asarray((clock != NO_HOUR) & (clock >= first) & (clock <= last))


# --- The moments of a span of days -----------------------------------------------------------------------


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

    @cached_property
    def month_numbers(self) -> NDArray[np.int64]:
        """Return the calendar month of each day, as `core.local_time.month_number`."""
        days = np.arange(self.first, self.last + 1).astype("datetime64[D]")
        return days.astype("datetime64[M]").astype(np.int64) + 1970 * 12

    @cached_property
    def months(self) -> NDArray[np.int64]:
        """Return the month of each day, 1 to 12."""
        return self.month_numbers % 12 + 1

    def moments(self, hour: int, days_before: int) -> NDArray[np.int64]:
        """Return, per day, when it was `hour` o'clock that many days before."""
        return np.array([local_moment(day - days_before, hour) for day in self.days], np.int64)

    def hours(self) -> NDArray[np.int64]:
        """Return the moment of each hour, (days, 25); of a shorter day, the last ones lie in the next day."""
        return self.starts[:-1, None] + HOUR * np.arange(HOURS_A_DAY)

    def locate(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the index of the day in which each moment lies (-1 before, len(days) after) and its hour."""
        starts = self.starts
        index = np.searchsorted(starts, times, side="right") - 1
        hour = (times - starts[np.clip(index, 0, len(starts) - 1)]) // HOUR
        return index, hour
