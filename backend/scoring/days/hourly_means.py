"""The mean of an hour's reports: a second pairing, which shows whether a verdict hangs on single reports.

An hour is what lies within MEAN_REACH of it, by the middle of each report's averaging window. A gust has no
such mean: what is compared with it is the highest of an hour already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import DIRECTION, SPEED, TEMPERATURE
from backend.core.local_time import HOUR
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.constants import MEAN_REACH, MEAN_REPORTS, MEAN_REPORTS_OF
from backend.scoring.grid import rounded_mean
from backend.scoring.metrics.direction import mean_direction, sines_and_cosines


def hourly_means(
    middle: NDArray[np.int64],
    averaging: NDArray[np.int64],
    values: NDArray[np.int32],
    hours: NDArray[np.int64],
    interval: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return the means of each hour, (days, 4, 25) in thousandths; ABSENT where too few reports make one.

    `middle` of each report's window and `hours` (days, 25) are seconds since 1970, `averaging` minutes,
    `values` (n, 4), and `interval` the seconds between two reports of each day. A speed or temperature is
    rounded to a thousandth, halves upwards. The direction is that of the mean vector, to which a calm adds
    nothing. What was averaged over more than an hour is no part of an hour.
    """
    means = np.full((len(hours), len(Parameter), hours.shape[1]), ABSENT, np.int32)
    rows = np.flatnonzero(averaging * 60 <= HOUR)
    rows = rows[np.argsort(middle[rows], kind="stable")]
    reach = MEAN_REACH.value * 60
    first = np.searchsorted(middle[rows], hours - reach, side="left")
    end = np.searchsorted(middle[rows], hours + reach, side="left")
    expected = (HOUR // np.maximum(interval, 60))[:, None]

    def within_hours(column: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
        """Add a column up over each hour: whole numbers, so that the order makes no difference."""
        running = np.concatenate([[0], np.cumsum(column, dtype=np.int64)])
        return np.asarray(running[end] - running[first])

    def enough(count: NDArray[np.int64]) -> NDArray[np.bool_]:
        share = count * MEAN_REPORTS_OF.value >= MEAN_REPORTS.value * expected
        return np.asarray((count >= MEAN_REPORTS.value) & share)

    for parameter in (SPEED, TEMPERATURE):
        there = values[rows, parameter] != ABSENT
        count = within_hours(there)
        total = within_hours(np.where(there, values[rows, parameter], 0).astype(np.int64))
        means[:, parameter] = np.where(enough(count), rounded_mean(total, count), ABSENT)

    speed, direction = values[rows, SPEED].astype(np.int64), values[rows, DIRECTION].astype(np.int64)
    wind = (speed != ABSENT) & ((direction != ABSENT) | (speed == 0))
    speed = np.where(wind, speed, 0)
    sines, cosines = sines_and_cosines(np.where(wind & (speed > 0), direction, 0))
    angle, known = mean_direction(
        within_hours(speed * sines), within_hours(speed * cosines), within_hours(speed)
    )
    means[:, DIRECTION] = np.where(enough(within_hours(wind)) & known, angle, ABSENT)
    return means
