"""The arrays that scoring works on: days down, hours across, whole thousandths of the parameter's unit.

A row is one local day at the sites (Europe/Paris), a column the number of hours since that day's
local midnight. A day of the clock change has 23 or 25 hours, so there are 25 columns; what does not exist
or has no forecast is ABSENT. Whole numbers make every sum exact in any order of adding.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from backend.core.clock import PARIS
from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT as ABSENT

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


@lru_cache(maxsize=64)
def clock_hours(first: date, days: int, zone: ZoneInfo = PARIS) -> Integers:
    """Return what a clock in `zone` shows at each column of `days` days from `first`: 0 to 23.

    Shape (days, 25). On the day the clocks go forward no column shows 2 and two columns are NO_HOUR;
    on the day they go back two columns show 2. "Ten in the morning" must be looked up here: on those
    two days it is not column 10.
    """
    hours = np.tile(np.append(np.arange(HOURS - 1), NO_HOUR), (days, 1)).astype(np.int64)
    offsets = [_midnight(first + timedelta(days=day), zone).utcoffset() for day in range(days + 1)]
    for day in range(days):
        if offsets[day] != offsets[day + 1]:
            local_day = first + timedelta(days=day)
            start = _midnight(local_day, zone).astimezone(UTC)
            moments = [(start + timedelta(hours=hour)).astimezone(zone) for hour in range(HOURS)]
            hours[day] = [moment.hour if moment.date() == local_day else NO_HOUR for moment in moments]
    hours.flags.writeable = False
    return hours


@lru_cache(maxsize=64)
def months(first: date, days: int) -> Integers:
    """Return the month, 1 to 12, of each of `days` days from `first`."""
    found = np.array([(first + timedelta(days=day)).month for day in range(days)], dtype=np.int64)
    found.flags.writeable = False
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


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
