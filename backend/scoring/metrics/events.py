"""What pilots call events: too windy, too gusty, the wind on the slope, flyable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.core.units import COMPASS
from backend.scoring.constants import FLYABLE_DAY_HOURS, FLYABLE_RUN, FLYING_FROM, FLYING_UNTIL, LIGHT_WIND
from backend.scoring.grid import Bools, Integers, Values, present, thousandths
from backend.scoring.metrics.direction import CIRCLE

Sector = tuple[float, float]
"""From and to, clockwise, in degrees; both ends are in it."""

EVERY_SECTOR: tuple[Sector, ...] = ((0.0, 360.0),)
"""The sectors of a take-off without an orientation, or with all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Occurrence:
    """Whether an event happens: `yes` where it does, `known` where the values decide it."""

    yes: Bools
    known: Bools

    def __and__(self, other: Self) -> Self:
        """Both events: also known not to happen where either is known not to."""
        known_not = (self.known & ~self.yes) | (other.known & ~other.yes)
        return type(self)(self.yes & other.yes, (self.known & other.known) | known_not)

    def where(self, mask: Bools) -> Self:
        """Return the same, known only within `mask`."""
        return type(self)(self.yes & mask, self.known & mask)

    def __invert__(self) -> Self:
        return type(self)(self.known & ~self.yes, self.known)


def above(values: Values, limit: float) -> Occurrence:
    """Return where `values` exceed `limit` (the parameter's unit). Strictly: the limit is still good."""
    known = present(values)
    return Occurrence(known & (values > thousandths(limit)), known)


def in_sector(direction: Values, start: float, end: float) -> Occurrence:
    """Return where the wind comes from the sector clockwise from `start` to `end` degrees, both included.

    350 to 20 is a sector of 30 degrees through north; 0 to 360 is every direction.
    """
    known = present(direction)
    # Modulo the circle, 0 to 360 would be a sector without width.
    width = CIRCLE if end - start >= 360 else (thousandths(end) - thousandths(start)) % CIRCLE
    # Modulo the circle, so that a sector may pass through north.
    beyond = (direction.astype(np.int64) - thousandths(start)) % CIRCLE
    return Occurrence(known & (beyond <= width), known)


def in_any_sector(direction: Values, sectors: Sequence[Sector]) -> Occurrence:
    """Return where the wind comes from one of several sectors."""
    known = present(direction)
    inside = [in_sector(direction, *sector).yes for sector in sectors]
    return Occurrence(np.asarray(np.logical_or.reduce([np.zeros_like(known), *inside])), known)


def sectors_of(orientation: Sequence[str]) -> tuple[Sector, ...]:
    """Return the sectors of a take-off from its compass names, neighbours as one; none stand for all.

    "SW" is 202.5 to 247.5 degrees.
    """
    width = 360 / len(COMPASS)
    faces = [name in orientation for name in COMPASS]
    if not any(faces) or all(faces):
        return EVERY_SECTOR
    sectors = []
    for index, faced in enumerate(faces):
        if faced and not faces[index - 1]:
            count = next(step for step in range(1, len(faces)) if not faces[(index + step) % len(faces)])
            start = index * width - width / 2
            sectors.append((start % 360, (start + count * width) % 360))
    return tuple(sectors)


def on_slope(direction: Values, speed: Values, sectors: Sequence[Sector]) -> Occurrence:
    """Return where the direction suits the take-off, known only from LIGHT_WIND on: below it is noise.

    For a table, pass the observed speed for forecast and observation alike: which hours count must not
    depend on the model.
    """
    sector = in_any_sector(direction, sectors)
    known = sector.known & (speed >= thousandths(LIGHT_WIND.value))
    return Occurrence(sector.yes & known, known)


def flyable(
    speed: Values, gust: Values, direction: Values, *,
    wind_limit: float, gust_limit: float, sectors: Sequence[Sector],
) -> Occurrence:  # fmt: skip
    """Return where wind and gust are not above their limits (km/h) and the direction suits the take-off.

    Any direction suits in winds below LIGHT_WIND. One bad value is enough to know an hour as not
    flyable; for it to be flyable, all that matters must be known.
    """
    windy = Occurrence(speed >= thousandths(LIGHT_WIND.value), present(speed))
    suits = ~(windy & ~in_any_sector(direction, sectors))
    return ~above(speed, wind_limit) & ~above(gust, gust_limit) & suits


def event_day(flyable_hours: Occurrence, clock: Integers, begins: int = int(FLYING_FROM.value)) -> Occurrence:
    """Return for each day, shape (days, 1), whether it was flyable: FLYABLE_RUN good hours in a row.

    Only hours from `begins` to FLYING_UNTIL o'clock, both included, count; `clock` is that of
    `grid.clock_hours`. A day is known by how many of these hours are, and never by what they were.
    """
    window = (clock >= begins) & (clock <= FLYING_UNTIL.value)
    enough = (window & flyable_hours.known).sum(axis=1) >= FLYABLE_DAY_HOURS.value * window.sum(axis=1)
    good = window & flyable_hours.yes
    # A run of hours is seen from its first hour: the windows slide over the day, hour by hour.
    runs = np.lib.stride_tricks.sliding_window_view(good, FLYABLE_RUN.value, axis=-1).all(axis=-1)
    return Occurrence((runs.any(axis=-1) & enough)[:, None], enough[:, None])
