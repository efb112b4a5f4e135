"""How far from the models a reading may be: by site, parameter and quarter of the local day.

The limit of a month comes from the forecasts of the closed months before it, never from the month
itself: a reading is judged by the same limit whenever it comes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT
from backend.scoring.constants import CLIMATE_DAYS, FAR_FROM_MODELS
from backend.scoring.days.quality_control import LIMITED, QUARTERS

_QUARTER = np.minimum(np.arange(HOURS_A_DAY) // (24 // QUARTERS), QUARTERS - 1)


def limits(forecasts: NDArray[np.int32], distinct_days: int) -> NDArray[np.int32]:
    """Return limits (4 quarters, 3 parameters) in thousandths from days of forecasts (n, 4, 25), or ABSENT.

    The limit is FAR_FROM_MODELS sample standard deviations of the forecasts, from exact sums.
    """
    found = np.full((QUARTERS, len(LIMITED)), ABSENT, np.int32)
    if distinct_days < CLIMATE_DAYS.value:
        return found
    for quarter in range(QUARTERS):
        for column, parameter in enumerate(LIMITED):
            values = forecasts[:, parameter, quarter == _QUARTER]
            values = values[values != ABSENT].astype(np.int64)
            count = len(values)
            if count < CLIMATE_DAYS.value:
                continue
            total, squares = int(values.sum()), int((values * values).sum())
            variance = (count * squares - total * total) / (count * (count - 1))
            found[quarter, column] = round(FAR_FROM_MODELS.value * math.sqrt(variance))
    return found


def by_hour(of_days: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Lay the limits of days (4, 3) out by their hours: (days, 25, 3)."""
    return np.stack(of_days)[:, _QUARTER]
