"""From sums of a day to one value a day: the series on which differences are judged.

Hours of one day are not independent: so first average over each local day, then test the days. The
correlation between days is handled in effective_days. A day without pairs is no value, and not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from backend.scoring.grid import SCALE, Bools, Floats, Integers

MICRO = 1_000_000
"""Steps in one unit of a daily mean: whole ones, so that means are exact."""


class Sized(Protocol):
    """Sums with a number of pairs and a sum of error sizes, in thousandths: of scalars, directions, winds."""

    @property
    def n(self) -> Integers: ...  # noqa: D102

    @property
    def sum_abs(self) -> Integers: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class DailySeries:
    """One value for each of successive calendar days, in millionths of the unit; 0 where not `present`."""

    micro: Integers
    present: Bools

    @property
    def days(self) -> int:
        """The number of days with a value."""
        return int(self.present.sum())

    @property
    def mean(self) -> float | None:
        """The mean over the days that have a value, each counting once, in the unit. None without any."""
        return int(self.micro.sum()) / (self.days * MICRO) if self.days else None

    def departures(self) -> Floats:
        """Return each day's value minus the mean, in the unit; 0 in a gap, so that it adds nothing."""
        # Subtracted as whole numbers: a series that never changes must give 0, not a rounding error.
        rest = self.micro * self.days - self.micro.sum()
        return np.where(self.present, rest / (max(self.days, 1) * MICRO), 0.0)


def daily_difference(a: Sized, b: Sized) -> DailySeries:
    """Return `mean|e_A| - mean|e_B|` of each day; negative where A was better.

    The sums must be of the common sample, the same pairs for both models: ValueError otherwise. For
    directions that is where both are pairs of `direction_pairs`, since a forecast calm has no direction.
    """
    if not np.array_equal(a.n, b.n):
        raise ValueError("the two models were not summed over the same pairs")
    present = a.n > 0
    means = (a.sum_abs - b.sum_abs) * (MICRO // SCALE) / np.maximum(a.n, 1)
    return DailySeries(np.rint(np.where(present, means, 0.0)).astype(np.int64), present)
