"""Scores of speeds, gusts and temperatures. Error is `e = f - o`: positive means forecast too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backend.scoring.grid import SCALE, Floats, Integers, paired, thousandths
from backend.scoring.intervals import quantiles
from backend.scoring.metrics.sums import ErrorKind, ErrorSums, Formula, Series, ratio


@dataclass(frozen=True, slots=True, eq=False)
class ScalarSums(ErrorSums):
    """Sums over the pairs of a speed, gust or temperature, in thousandths (or their squares)."""

    sum_f: Integers
    sum_o: Integers
    sum_ff: Integers
    sum_oo: Integers
    sum_fo: Integers
    sum_abs: Integers
    """The sum of `|f - o|`."""

    @property
    def sum_errors(self) -> Integers:
        """The sum of `f - o`: it follows exactly from the others and needs no column."""
        return self.sum_f - self.sum_o

    @property
    def sum_squares(self) -> Integers:
        """The sum of `(f - o)**2`: it follows exactly from the others and needs no column."""
        return self.sum_ff - 2 * self.sum_fo + self.sum_oo


@Formula
def mean_error(sums: ScalarSums) -> Floats:
    """ME, `mean(f - o)` in the parameter's unit; the bias. None without pairs."""
    return ratio(sums.sum_errors, sums.n * SCALE)


@Formula
def mae(sums: ScalarSums) -> Floats:
    """MAE, `mean(|f - o|)` in the parameter's unit. None without pairs."""
    return ratio(sums.sum_abs, sums.n * SCALE)


@Formula
def rmse(sums: ScalarSums) -> Floats:
    """RMSE, `sqrt(mean((f - o)**2))` in the parameter's unit. None without pairs."""
    return np.sqrt(ratio(sums.sum_squares, sums.n)) / SCALE


@Formula
def error_sd(sums: ScalarSums) -> Floats:
    """The sample standard deviation of the error, with n - 1, in the parameter's unit.

    `RMSE**2 = ME**2 + (n - 1) / n * sd**2`. None with fewer than two pairs.
    """
    squares = _about_mean(sums.n, sums.sum_errors, sums.sum_errors, sums.sum_squares)
    return np.sqrt(ratio(squares, np.where(sums.n > 1, sums.n - 1, 0))) / SCALE


@Formula
def correlation(sums: ScalarSums) -> Floats:
    """Pearson's r of forecast and observation, -1 to 1. None where either never changes.

    For the detail view: it ignores every bias, and does not describe a single day.
    """
    ff = _about_mean(sums.n, sums.sum_f, sums.sum_f, sums.sum_ff)
    oo = _about_mean(sums.n, sums.sum_o, sums.sum_o, sums.sum_oo)
    fo = _about_mean(sums.n, sums.sum_f, sums.sum_o, sums.sum_fo)
    # Rounding can leave the last digit above 1.
    return np.clip(ratio(fo, np.sqrt(ff) * np.sqrt(oo)), -1.0, 1.0)


def _about_mean(n: Integers, sum_x: Integers, sum_y: Integers, sum_xy: Integers) -> Floats:
    """Return `sum((x - mean x) * (y - mean y))` from plain sums.

    The sums are shifted by whole numbers next to the means while they are still integers, so that
    nothing cancels and a constant series gives exactly 0; only the small rest is a float.
    """
    count = np.maximum(n, 1)
    x, y = (2 * sum_x + count) // (2 * count), (2 * sum_y + count) // (2 * count)
    shifted = sum_xy - x * sum_y - y * sum_x + n * x * y
    return np.asarray(shifted - (sum_x - n * x) * (sum_y - n * y) / count)


class ScalarError(ErrorKind):
    """The error `e = f - o` of a speed, gust or temperature."""

    formulas: ClassVar[Mapping[str, Formula[Any]]] = {
        "mean_error": mean_error,
        "mae": mae,
        "rmse": rmse,
        "error_sd": error_sd,
        "correlation": correlation,
    }
    ranking = mae
    bias = mean_error

    def hourly(self, f: Series, o: Series) -> ScalarSums:
        """Return the sums of each hour by itself."""
        pair = paired(f.main, o.main).astype(np.int64)
        # An hour without a pair adds 0, so that sums need no mask.
        fcst, obs = f.main * pair, o.main * pair
        return ScalarSums(pair, fcst, obs, fcst * fcst, obs * obs, fcst * obs, np.abs(fcst - obs))


@dataclass(frozen=True, slots=True)
class ErrorQuantiles:
    """Quantiles of the error `e`, and the ninth decile of its size, in the parameter's unit."""

    p10: float
    p25: float
    median: float
    p75: float
    p90: float
    p90_abs: float


def error_quantiles(errors: Integers) -> ErrorQuantiles | None:
    """Return quantiles of `errors` (thousandths, in a row; of directions the wrapped ones), None of none."""
    if not errors.size:
        return None
    of_error = quantiles(errors, (0.1, 0.25, 0.5, 0.75, 0.9)) / SCALE
    of_size = quantiles(np.abs(errors), (0.9,)) / SCALE
    return ErrorQuantiles(*of_error.tolist(), *of_size.tolist())


def within_share(errors: Integers, tolerance: float) -> float | None:
    """Return W(x), the share of `errors` (thousandths) of at most `tolerance` (the unit's), None of none."""
    if not errors.size:
        return None
    return np.count_nonzero(np.abs(errors) <= thousandths(tolerance)) / errors.size
