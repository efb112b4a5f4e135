"""The intervals of scores of many groups at once, from what each score would be without each single day.

Scores are ratios, roots and angles of sums of days. Leaving out day `t` of `n` gives `score_t`; about their
mean, `(n - 1) (score - score_t)` are what each day adds to the score (the jackknife's pseudo-values; Efron &
Stein 1981, Ann. Stat. 9, 586-596). Their spread is that of a mean of days, and `intervals.spread` allows for
their correlation. For a mean of one value a day that is exactly the interval of this mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from backend.scoring.grid import SCALE, Bools, Floats, Integers
from backend.scoring.intervals import Interval, Spread, spread, student_quantile, wilson
from backend.scoring.metrics.contingency import (
    SCORES,
    Contingency,
)
from backend.scoring.metrics.sums import ErrorKind, ErrorSums, Sums
from backend.scoring.sample.strata import Groups

S = TypeVar("S", bound=Sums)


def group_sums(hourly: S, groups: Groups) -> S:
    """Return the sums of each day and group, columns (days, groups)."""
    days, count = len(groups.index), len(groups.names)
    cell = np.arange(days)[:, None] * count + groups.index
    cell = np.where(groups.index >= 0, cell, -1).ravel()
    by_cell = hourly.each(np.ravel).groups(cell, days * count)
    return by_cell.each(lambda column: column.reshape(days, count))


def by_day_groups(of_days: S, group: Integers, count: int) -> S:
    """Return the sums of each day in the column of its group, as that of its month: (days, groups)."""
    days, shape = np.arange(len(group)), (len(group), count)
    columns = []
    for column in of_days.columns():
        if column.any():
            columns.append(np.zeros(shape, np.int64))
            columns[-1][days, group] = column
        else:
            columns.append(np.broadcast_to(np.int64(0), shape))  # takes no memory
    return type(of_days)(*columns)


def beside(tables: Sequence[S]) -> S:
    """Return the groups of several tables of one kind in one: (days, all of their groups).

    Sums of days without groups are one group.
    """
    columns = zip(*(table.columns() for table in tables), strict=True)
    return type(tables[0])(
        *(
            np.concatenate([column if column.ndim > 1 else column[:, None] for column in of_tables], axis=1)
            for of_tables in columns
        )
    )


def days_of(of_groups: ErrorSums) -> Integers:
    """Return how many days each group has."""
    return np.asarray((of_groups.n > 0).sum(axis=0))


# --- Without each day ------------------------------------------------------------------------------------


_ROUNDING = 1e-9
"""The rounding error of scores that do not depend on the day left out, in the score's unit."""


def leave_one_out(of_days: S) -> tuple[S, S]:
    """Return the sums over all days, and those without each day; columns (days, ...)."""
    total = of_days.total()
    columns = zip(total.columns(), of_days.columns(), strict=True)
    return total, type(of_days)(*[of_all - of_day for of_all, of_day in columns])


def departures_spread(changes: Floats, present: Bools) -> Spread:
    """Return the spread of scores from their changes by leaving out a day each; arrays (days, groups).

    `present` are the days with pairs. A group has no spread where the score is undefined without one of its
    days: it depends on that day alone.
    """
    days: Integers = present.sum(axis=0)
    changes = np.where(present, changes, 0.0)
    with np.errstate(invalid="ignore"):
        about = np.where(present, changes - changes.sum(axis=0) / np.maximum(days, 1), 0.0)
    about[np.abs(about) < _ROUNDING] = 0.0  # a score that no day changes has a spread of exactly 0
    return spread(np.ascontiguousarray((about * (days - 1)).T), np.ascontiguousarray(present.T))


def symmetric(
    values: Floats, of_values: Spread, lowest: float = -np.inf, highest: float = np.inf
) -> list[Interval | None]:
    """Return `value ± reach` of each group, cut at the ends of what the score can be; None where unknown."""
    reach = of_values.reach()
    known = np.isfinite(values + reach).tolist()
    lows = np.maximum(values - reach, lowest).tolist()
    highs = np.minimum(values + reach, highest).tolist()
    return [
        Interval(low, high) if is_known else None
        for low, high, is_known in zip(lows, highs, known, strict=True)
    ]


def rates(values: Floats, of_values: Spread, days: Integers) -> list[Interval | None]:
    """Return Wilson's interval of each group's rate, of as many cases as the spread of its days shows.

    A rate `p` with the standard error `s` is worth `p (1 - p) / s²` independent cases. At 0 and 1, where no
    day differs from another, it is worth one case for each of the `days` that have any.
    """
    columns = (values, of_values.standard_error, student_quantile(of_values.effective_days - 1), days)
    intervals: list[Interval | None] = []
    for rate, error, z, count in zip(*(column.tolist() for column in columns), strict=True):
        if not np.isfinite(rate + error):
            intervals.append(None)
        # No day differs, so that the spread is 0 and gives no number of cases.
        elif rate in {0.0, 1.0}:
            intervals.append(wilson(rate, count, z))
        else:
            intervals.append(
                wilson(rate, rate * (1 - rate) / error**2, z) if error > 0 else Interval(rate, rate)
            )
    return intervals


# --- Errors ----------------------------------------------------------------------------------------------


class Sizes(NamedTuple):
    """The intervals of groups' mean sizes of error, and how many independent pairs each rests on."""

    intervals: list[Interval | None]
    effective_pairs: list[float | None]


def bias_intervals(kind: ErrorKind, of_groups: ErrorSums) -> list[Interval | None]:
    """Return the interval of each group's bias, in the quantity's unit; None where there is no bias.

    It goes at most ErrorKind.widest_bias to either side.
    """
    if kind.bias is None:
        return [None] * of_groups.n.shape[1]
    total, without = leave_one_out(of_groups)
    values = kind.bias.each(total)
    reach = departures_spread(kind.bias_changes(values, without), of_groups.n > 0).reach()
    half = np.minimum(reach, kind.widest_bias)
    columns = (values - half, values + half, np.isfinite(values + reach))
    return [
        Interval(low, high) if is_known else None
        for low, high, is_known in zip(*(column.tolist() for column in columns), strict=True)
    ]


def size_intervals(kind: ErrorKind, of_groups: ErrorSums) -> Sizes:
    """Return the interval of each group's mean size of error, in the quantity's unit.

    The effective number of pairs is `n * var_iid / var_days`, at most n: `var_iid` is the variance of the
    mean of n independent errors' sizes, `var_days` that of the same mean by its days. Hours that repeat each
    other count for less. Capped at n because more than was measured is hard to explain. None where either
    variance is 0 or unknown.
    """
    sizes = of_groups.sizes()
    total, without = leave_one_out(sizes)
    means = kind.ranking.each(total)
    of_means = departures_spread(kind.ranking.each(without) - means, sizes.n > 0)
    columns = (total.n, total.sum_abs, total.sum_squares, of_means.standard_error * SCALE)
    effective: list[float | None] = []
    # As Python's whole numbers, of any length: equal sizes then have a variance of exactly 0.
    for n, size, square, error in zip(*(column.tolist() for column in columns), strict=True):
        iid = (n * square - size * size) / (n * (n - 1)) / n if n > 1 and error > 0 else 0.0
        effective.append(min(float(n), n * iid / error**2) if iid > 0 else None)
    return Sizes(symmetric(means, of_means, lowest=0.0), effective)


# --- Scores of an event ----------------------------------------------------------------------------------


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
    values = [SCORES[name].each(total) for name in names]
    changes = [SCORES[name].each(without) - value for name, value in zip(names, values, strict=True)]
    # The groups of all scores side by side: the spreads of ten scores one by one take much longer.
    spreads = departures_spread(np.concatenate(changes, axis=1), np.tile(present, len(names)))
    of_scores = zip(*(np.split(column, len(names)) for column in spreads), strict=True)
    intervals: dict[str, list[Interval | None]] = {}
    for name, value, of_score in zip(names, values, of_scores, strict=True):
        of_value = Spread(*of_score)
        if name in OF_CASES:
            cases = sum(getattr(of_days, cell) for cell in OF_CASES[name])
            intervals[name] = rates(value, of_value, np.asarray((cases > 0).sum(axis=0)))
        else:
            intervals[name] = symmetric(value, of_value, LOWEST[name], HIGHEST[name])
    return [dict(zip(intervals, of_group, strict=True)) for of_group in zip(*intervals.values(), strict=True)]
