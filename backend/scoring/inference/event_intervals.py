"""The intervals of the scores of an event."""

from __future__ import annotations

import numpy as np

from backend.scoring.inference.jackknife import jackknife, rates, symmetric
from backend.scoring.intervals import Interval
from backend.scoring.metrics.contingency import (
    SCORES,
    Contingency,
)

OF_CASES: dict[str, str] = {"surprise_rate": "cd", "pod": "ac", "far": "ab", "pofd": "bd", "csi": "abc"}
"""The scores that are rates, and the cells that make up their denominators."""

LOWEST = {"frequency_bias": 0.0, "ets": -1 / 3, "hss": -1.0, "peirce": -1.0, "sedi": -1.0}

HIGHEST = {"frequency_bias": np.inf, "ets": 1.0, "hss": 1.0, "peirce": 1.0, "sedi": 1.0}


def score_intervals(of_days: Contingency) -> list[dict[str, Interval | None]]:
    """Return the interval of each score, by group, from counts with columns (days, groups).

    Hours of one day are not independent cases: whole days are what is left out in turn.
    """
    present = np.asarray(of_days.n > 0)
    found: dict[str, list[Interval | None]] = {}
    for name, formula in SCORES.items():
        sure = jackknife(formula.each, of_days, present)
        if name in OF_CASES:
            cases = sum(getattr(of_days, cell) for cell in OF_CASES[name])
            found[name] = rates(sure, np.asarray((cases > 0).sum(axis=0)))
        else:
            found[name] = symmetric(sure, LOWEST[name], HIGHEST[name])
    return [dict(zip(found, of_group, strict=True)) for of_group in zip(*found.values(), strict=True)]
