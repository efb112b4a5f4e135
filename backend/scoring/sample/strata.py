"""Groups of hours in which a model is looked at by itself: by the clock, the calendar, or its own forecast.

A group by sector or by wind class is a group by the model's own forecast, the only thing a pilot knows
beforehand. Such groups hold different hours for every model, so that models are not ranked in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from backend.core.parameters import Parameter
from backend.core.units import COMPASS
from backend.scoring.constants import DAY_FROM, DAY_UNTIL, LIGHT_WIND, PART_OF_DAY, WIND_CLASSES
from backend.scoring.grid import CLOCK, NO_HOUR, SEASONS, Integers, season_index, thousandths
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.wind_groups import NO_GROUP, sectors, wind_classes


class Stratum(StrEnum):
    """What hours are grouped by."""

    HOUR = "hour"
    PART_OF_DAY = "part_of_day"
    DAY_AND_NIGHT = "day_and_night"
    MONTH = "month"
    SEASON = "season"
    SECTOR = "sector"
    WIND_CLASS = "wind_class"


BY_CLOCK = frozenset({Stratum.HOUR, Stratum.PART_OF_DAY, Stratum.DAY_AND_NIGHT})
"""The strata by the time of day."""

TEXTS = {
    Stratum.HOUR: "the hour that the local clock shows",
    Stratum.PART_OF_DAY: f"{PART_OF_DAY.value} hours of the local clock",
    Stratum.DAY_AND_NIGHT: f"day: {DAY_FROM.value} to {DAY_UNTIL.value} o'clock local time; else night",
    Stratum.MONTH: "the month of the year, of all years together",
    Stratum.SEASON: "the season: three whole months, winter from December on",
    Stratum.SECTOR: "the sector that the model itself forecast, where it forecast at least"
    f" {LIGHT_WIND.value:g} km/h",
    Stratum.WIND_CLASS: "the mean wind that the model itself forecast",
}


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """An index into `names` for every hour, (days, 25); NO_GROUP where an hour is in none."""

    names: tuple[str, ...]
    index: Integers


def groups(sample: Sample, stratum: Stratum, model: str) -> Groups:
    """Return the groups of a stratum, for a model."""
    clock = sample.clock
    if stratum in BY_CLOCK:
        return Groups(*clock_groups(stratum, clock))
    if stratum is Stratum.MONTH:
        months = np.broadcast_to(sample.span.months[:, None] - 1, clock.shape)
        return Groups(tuple(f"{month:02d}" for month in range(1, 13)), months)
    if stratum is Stratum.SEASON:
        seasons = np.broadcast_to(season_index(sample.span.months)[:, None], clock.shape)
        return Groups(tuple(SEASONS), seasons)
    forecast = sample.forecasts[model]
    speed = forecast[Parameter.WIND_SPEED]
    if stratum is Stratum.WIND_CLASS:
        ends = ("0", *(f"{edge:g}" for edge in WIND_CLASSES.value))
        names = (*(f"{low}-{high}" for low, high in pairwise(ends)), f"{ends[-1]}+")
        return Groups(names, wind_classes(speed))
    windy = speed >= thousandths(LIGHT_WIND.value)
    return Groups(COMPASS, np.where(windy, sectors(forecast[Parameter.WIND_DIRECTION]), NO_GROUP))


def clock_groups(stratum: Stratum, clock: Integers) -> tuple[tuple[str, ...], Integers]:
    """Return the names of groups by the clock, and the group of each hour; NO_HOUR is in none."""
    if stratum is Stratum.PART_OF_DAY:
        width = PART_OF_DAY.value
        names = tuple(f"{hour:02d}-{hour + width - 1:02d}" for hour in range(0, CLOCK, width))
        return names, np.where(clock == NO_HOUR, NO_GROUP, clock // width)
    if stratum is Stratum.DAY_AND_NIGHT:
        night = (clock < DAY_FROM.value) | (clock > DAY_UNTIL.value)
        return ("day", "night"), np.where(clock == NO_HOUR, NO_GROUP, night.astype(np.int64))
    return tuple(f"{hour:02d}" for hour in range(CLOCK)), np.where(clock == NO_HOUR, NO_GROUP, clock)
