"""The intervals of the scores of an event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.scoring.inference.jackknife import Jackknifed, departures_spread, leave_one_out, rates, symmetric
from backend.scoring.intervals import Interval
from backend.scoring.metrics.contingency import (
    SCORES,
    Contingency,
)

OF_CASES: dict[str, str] = {"surprise_rate": "cd", "pod": "ac", "far": "ab", "pofd": "bd", "csi": "abc"}
"""The scores that are rates, and the cells that make up their denominators."""

LOWEST = {"frequency_bias": 0.0, "ets": -1 / 3, "hss": -1.0, "peirce": -1.0, "sedi": -1.0}

HIGHEST = {"frequency_bias": np.inf, "ets": 1.0, "hss": 1.0, "peirce": 1.0, "sedi": 1.0}


def score_intervals(
    of_days: Contingency, names: Sequence[str] = tuple(SCORES)
) -> list[dict[str, Interval | None]]:
    """Return the interval of each score in `names`, by group, from counts with columns (days, groups).

    Hours of one day are not independent cases: whole days are what is left out in turn.
    """
    present = of_days.n > 0
    total, without = leave_one_out(of_days)
    intervals: dict[str, list[Interval | None]] = {}
    for name in names:
        score = SCORES[name].each
        values = score(total)
        jackknifed = Jackknifed(values, departures_spread(score(without) - values, present))
        if name in OF_CASES:
            cases = sum(getattr(of_days, cell) for cell in OF_CASES[name])
            intervals[name] = rates(jackknifed, np.asarray((cases > 0).sum(axis=0)))
        else:
            intervals[name] = symmetric(jackknifed, LOWEST[name], HIGHEST[name])
    return [dict(zip(intervals, of_group, strict=True)) for of_group in zip(*intervals.values(), strict=True)]
