"""Intervals, and the few distributions they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.scoring.constants import CONFIDENCE
from backend.scoring.grid import Floats

Z = NormalDist().inv_cdf(0.5 + CONFIDENCE.value / 2)
"""How many standard errors an interval goes to either side where the variance is known."""


class Interval(NamedTuple):
    """The ends of a 95 % interval (CONFIDENCE), in the unit of what it encloses."""

    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Return whether 0 lies strictly outside."""
        return self.low > 0 or self.high < 0


def wilson(rate: float, of: float, z: float = Z) -> Interval:
    """Return Wilson's score interval of a `rate` of `of` independent cases.

    `(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`. It stays within 0 to 1 and has a width even
    at 0 of n. Wilson 1927, JASA 22, 209-212. `z` is its half width in standard errors. Raises ValueError for
    what is no rate.
    """
    if not (0 <= rate <= 1 and of > 0):
        raise ValueError(f"{rate} of {of} cases is no rate")
    weight = z * z / of
    middle = rate + weight / 2
    half = z * math.sqrt(rate * (1 - rate) / of + weight / (4 * of))
    low = 0.0 if rate == 0 else (middle - half) / (1 + weight)
    high = 1.0 if rate == 1 else (middle + half) / (1 + weight)
    return Interval(low, high)


def student_quantile(freedom: Floats) -> Floats:
    """Return how many standard errors an interval of Student's t goes to either side; NaN where it is."""
    # Here, because it takes a second to load, and a service that collects may never be asked.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return np.asarray(stdtrit(freedom, 0.5 + CONFIDENCE.value / 2))


def student_tails(statistic: float, freedom: float) -> float:
    """Return the two-sided p-value of a statistic of Student's t."""
    from scipy.special import stdtr

    return 2.0 * float(stdtr(freedom, -abs(statistic)))


def quantiles(values: NDArray[Any], shares: Sequence[float]) -> Floats:
    """Return the quantiles of `values` (at least one) along their first axis, a row for each of `shares`.

    Linear interpolation between order statistics: type 7 of Hyndman & Fan 1996. It is np.quantile to the
    bit, without what that looks at first: an answer asks for hundreds of quantiles of some hundred values.
    """
    rows = np.ascontiguousarray(values.T)  # what is looked through lies side by side
    places = _places(rows.shape[-1], tuple(shares))
    ordered = np.partition(rows, places.sought, axis=-1).T
    low, high = ordered[places.below], ordered[places.above]
    weight = places.weight.reshape(-1, *[1] * (values.ndim - 1))
    step = high - low
    return np.asarray(np.where(weight < 0.5, low + step * weight, high - step * (1 - weight)))


class _Places(NamedTuple):
    """Between which order statistics quantiles lie, and how far from the lower one."""

    below: NDArray[np.int64]
    above: NDArray[np.int64]
    weight: Floats
    sought: tuple[int, ...]


@lru_cache(maxsize=4096)
def _places(count: int, shares: tuple[float, ...]) -> _Places:
    place = np.array(shares) * (count - 1)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, count - 1)
    return _Places(below, above, place - below, tuple(sorted({*below.tolist(), *above.tolist()})))
