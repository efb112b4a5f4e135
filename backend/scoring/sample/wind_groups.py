"""Groups of pairs: by wind sector, by wind class, and what is observed given what was forecast.

Group by something that is the same for every model compared. A group by the *observed* value is always
pulled towards underestimation by plain noise and must never rank models (Lerch et al. 2017, Stat. Sci.).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.scoring.constants import GIVEN_WIND_EDGES, SECTORS, WIND_CLASSES
from backend.scoring.grid import SCALE, Bools, Integers, Values, paired, present, thousandths
from backend.scoring.intervals import quantiles
from backend.scoring.metrics.direction import CIRCLE

NO_GROUP = -1


def sectors(direction: Values) -> Integers:
    """Return the sector of each direction, 0 (north) clockwise to 7 (north-west); NO_GROUP where absent.

    A sector is 45 degrees wide and has its lower edge in it: 337.5 is north, 22.5 is north-east.
    """
    width = CIRCLE // SECTORS.value
    sector = (direction.astype(np.int64) + width // 2) % CIRCLE // width
    return np.where(present(direction), sector, NO_GROUP)


def wind_classes(speed: Values) -> Integers:
    """Return the class of each speed, counting the WIND_CLASSES it reaches; NO_GROUP where absent."""
    edges = [thousandths(edge) for edge in WIND_CLASSES.value]
    return np.where(present(speed), np.searchsorted(edges, speed, side="right"), NO_GROUP)


@dataclass(frozen=True, slots=True)
class ConditionalQuantiles:
    """What was observed when the forecast was in [`low`, `high`), None for no end; the parameter's unit.

    `days_above` are the days with an observation above the limit of the question, None without a limit.
    """

    low: float | None
    high: float | None
    n: int
    days: int
    p10: float
    median: float
    p90: float
    days_above: int | None = None


def given_forecast(
    f: Values,
    o: Values,
    edges: Sequence[float] = GIVEN_WIND_EDGES.value,
    mask: Bools | None = None,
    *,
    limit: float | None = None,
) -> tuple[ConditionalQuantiles, ...]:
    """Return the distribution of `o` for each bin of `f` that has pairs: what follows a forecast of 25?

    Not for directions. Quantiles of type 7. Calibration-refinement view of Murphy & Winkler 1987, MWR.
    """
    pair = paired(f, o, mask)
    day, observed = np.nonzero(pair)[0], o[pair]
    bins = np.searchsorted(np.array([thousandths(edge) for edge in edges], np.int32), f[pair], side="right")
    lows, highs = (None, *edges), (*edges, None)
    quantiles_of_bins = []
    for index in np.unique(bins).tolist():
        inside = bins == index
        p10, median, p90 = (quantiles(observed[inside], [0.1, 0.5, 0.9]) / SCALE).tolist()
        above = None if limit is None else _days(day[inside & (observed > thousandths(limit))])
        quantiles_of_bins.append(
            ConditionalQuantiles(
                lows[index], highs[index], int(inside.sum()), _days(day[inside]), p10, median, p90, above
            )
        )
    return tuple(quantiles_of_bins)


def _days(days_in_order: Integers) -> int:
    """Return the number of distinct days."""
    return int(np.count_nonzero(np.diff(days_in_order, prepend=-1)))
