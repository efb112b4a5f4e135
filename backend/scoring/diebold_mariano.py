"""Is the mean of a daily series of score differences 0? Two tests that allow for correlated days.

Harvey-Leybourne-Newbold first, and where its variance estimate is not positive, Hering-Genton, which
always is. Diebold & Mariano 1995, JBES 13, 253-265.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from backend.scoring.daily import DailySeries
from backend.scoring.grid import Bools, Floats
from backend.scoring.intervals import Interval, student


class Method(StrEnum):
    """How the variance of the mean was estimated."""

    HARVEY_LEYBOURNE_NEWBOLD = "HLN"
    HERING_GENTON = "HG"


@dataclass(frozen=True, slots=True)
class MeanTest:
    """The mean of a daily series (the unit's), its interval, and the p-value of "it is 0"."""

    mean: float
    interval: Interval
    p_value: float
    days: int
    method: Method


def mean_test(series: DailySeries, steps_ahead: int) -> MeanTest | None:
    """Test a daily series of differences of forecasts made `steps_ahead` days ahead (see `views`).

    None when no variance can be estimated: fewer than two days, not more than `steps_ahead`, or a
    series that never changes.
    """
    found = hln(series, steps_ahead)
    return found if found is not None else hering_genton(series, steps_ahead)


def hln(series: DailySeries, steps_ahead: int) -> MeanTest | None:
    """Harvey, Leybourne & Newbold 1997, IJF 13, 281-291, with Student's t of n - 1.

    `V = (g0 + 2 sum_{k=1}^{h-1} gk) / n` with gk the autocovariance at lag k (divisor n), and
    `statistic = mean / sqrt(V) * sqrt((n + 1 - 2h + h(h-1)/n) / n)`. None when V is not positive.
    A lag is counted in calendar days: a product across a gap of missing days is left out, which makes
    V the plain estimate of the variance of the mean of the days there are.
    """
    n, h = series.days, _checked(steps_ahead)
    if n <= max(h, 1):
        return None
    g = _lag_sums(series.departures(), h) / n
    variance = float(g[0] + 2.0 * g[1:].sum()) / n
    correction = (n + 1 - 2 * h + h * (h - 1) / n) / n
    if variance <= 0 or correction <= 0:
        return None
    return _result(series, math.sqrt(variance / correction), Method.HARVEY_LEYBOURNE_NEWBOLD)


def hering_genton(series: DailySeries, steps_ahead: int) -> MeanTest | None:
    """Hering & Genton 2011, Technometrics 53, 414-425, with Student's t of n - 1.

    The autocovariances up to half the longest lag are fitted, by least squares, with
    `s² exp(-3k / θ)`, here `s² r**k` with 0 <= r < 1; the model's sum over all lags, always positive,
    gives the variance of the mean. Across gaps, a lag's autocovariance and its weight in that sum
    follow from the pairs of days that there are. None when the series never changes.
    """
    series = series.trimmed()
    n, h, span = series.days, _checked(steps_ahead), len(series.present)
    if n <= max(h, 1) or not series.departures().any():
        return None
    lags = np.arange(span)
    pairs, complete = _lag_sums(series.present.astype(float), span), (span - lags) / span
    fitted = slice(0, max((span - 1) // 2, h))
    products = _lag_sums(series.departures(), span)
    empirical = np.divide(products, pairs, out=np.zeros(span), where=pairs > 0.5) * complete
    variance, r = _exponential_fit(empirical[fitted], pairs[fitted] > 0.5)
    weights = pairs / n / complete
    density = variance * (1.0 + 2.0 * float((weights * r**lags)[1:].sum()))
    return _result(series, math.sqrt(density / n), Method.HERING_GENTON)


def _exponential_fit(autocovariances: Floats, known: Bools) -> tuple[float, float]:
    """Return s² and r of the least-squares fit of `s² r**k` to autocovariances from lag 0.

    For a given r the best s² is linear, so that only r is searched: on a grid, then around its best.
    """
    lags = np.arange(len(autocovariances))[known]
    g = autocovariances[known] / autocovariances[0]

    def explained(r: Floats | float) -> Floats:
        powers = np.power.outer(np.asarray(r, float), lags)
        return np.asarray(np.maximum(powers @ g, 0.0) ** 2 / (powers**2).sum(axis=-1))

    grid = np.linspace(0.0, 1.0, 51)
    best = int(explained(grid).argmax())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 50)]
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    found = minimize_scalar(
        lambda r: -float(explained(r)), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    )
    r = float(found.x)
    powers = r**lags
    return float(autocovariances[0] * (powers @ g) / (powers @ powers)), r


def _lag_sums(x: Floats, lags: int) -> Floats:
    """Return `sum_t x(t) x(t + k)` for k from 0 to `lags` - 1."""
    return np.array([x[: len(x) - k] @ x[k:] for k in range(min(lags, len(x)))])


def _checked(steps_ahead: int) -> int:
    if steps_ahead < 1:
        raise ValueError("a forecast is at least one step ahead")
    return steps_ahead


def _result(series: DailySeries, standard_error: float, method: Method) -> MeanTest:
    mean = series.mean
    assert mean is not None  # noqa: S101  # a variance was estimated, so there are days
    interval, p_value = student(mean, standard_error, series.days - 1)
    return MeanTest(mean, interval, p_value, series.days, method)
