"""The interval of any score, from what the score would be without each single day.

Scores are ratios, roots and angles of sums of days. Leaving out day `t` of `n` gives `score_t`; about their
mean, `(n - 1) (score - score_t)` are what each day adds to the score (the jackknife's pseudo-values; Efron &
Stein 1981, Ann. Stat. 9, 586-596). Their spread is that of a mean of days, and `effective_days` allows for
their correlation. For a mean of one value a day that is exactly the interval of this mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from backend.scoring.grid import Bools, Floats, Integers
from backend.scoring.inference.effective_days import Spread, spread
from backend.scoring.intervals import Interval, wilson
from backend.scoring.metrics.sums import Sums

S = TypeVar("S", bound=Sums)

_ROUNDING = 1e-9
"""The rounding error of scores that do not depend on the day left out, in the score's unit."""


class Jackknifed(NamedTuple):
    """Scores of groups, and their spread."""

    values: Floats
    spread: Spread


def jackknife(score: Callable[[S], Floats], of_days: S, present: Bools) -> Jackknifed:
    """Return the scores of sums, columns (days, ...), and their spread; `present` are the days with pairs.

    `score` returns one value for each group: of sums without their days, or of many such, days first. A
    group has no spread where the score is undefined without one of its days: it depends on that day alone.
    """
    total, without = leave_one_out(of_days)
    values = score(total)
    return Jackknifed(values, departures_spread(score(without) - values, present))


def leave_one_out(of_days: S) -> tuple[S, S]:
    """Return the sums over all days, and those without each day; columns (days, ...)."""
    columns = of_days.columns()
    totals = [np.asarray(column.sum(axis=0, dtype=np.int64)) for column in columns]
    without = [total - column for total, column in zip(totals, columns, strict=True)]
    return type(of_days)(*totals), type(of_days)(*without)


def departures_spread(changes: Floats, present: Bools) -> Spread:
    """Return the spread of scores from their changes by leaving out a day each; arrays (days, groups)."""
    days: Integers = present.sum(axis=0)
    changes = np.where(present, changes, 0.0)
    with np.errstate(invalid="ignore"):
        about = np.where(present, changes - changes.sum(axis=0) / np.maximum(days, 1), 0.0)
    about[np.abs(about) < _ROUNDING] = 0.0
    return spread(np.ascontiguousarray((about * (days - 1)).T), np.ascontiguousarray(present.T))


def symmetric(
    jackknifed: Jackknifed, lowest: float = -np.inf, highest: float = np.inf
) -> list[Interval | None]:
    """Return `value ± reach` of each group, cut at the ends of what the score can be; None where unknown."""
    reach = jackknifed.spread.reach()
    known = np.isfinite(jackknifed.values + reach).tolist()
    lows = np.maximum(jackknifed.values - reach, lowest).tolist()
    highs = np.minimum(jackknifed.values + reach, highest).tolist()
    return [
        Interval(low, high) if is_known else None
        for low, high, is_known in zip(lows, highs, known, strict=True)
    ]


def rates(jackknifed: Jackknifed, days: Integers) -> list[Interval | None]:
    """Return Wilson's interval of each group's rate, of as many cases as the spread of its days shows.

    A rate `p` with the standard error `s` is worth `p (1 - p) / s²` independent cases. At 0 and 1, where no
    day differs from another, it is worth one case for each of the `days` that have any.
    """
    columns = (jackknifed.values, jackknifed.spread.standard_error, jackknifed.spread.quantile(), days)
    intervals: list[Interval | None] = []
    for rate, error, z, count in zip(*(column.tolist() for column in columns), strict=True):
        if not np.isfinite(rate + error):
            intervals.append(None)
        elif rate in {0.0, 1.0}:
            intervals.append(wilson(rate, count, z))
        else:
            intervals.append(
                wilson(rate, rate * (1 - rate) / error**2, z) if error > 0 else Interval(rate, rate)
            )
    return intervals
