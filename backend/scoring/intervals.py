"""Intervals, and the few distributions they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.scoring.constants import CONFIDENCE, DEFINED_REPLICATES, FALSE_DISCOVERIES
from backend.scoring.grid import Floats

_TAIL = (1 - CONFIDENCE.value) / 2
_ENDS = (_TAIL, 1 - _TAIL)


class Interval(NamedTuple):
    """The ends of a 95 % interval (CONFIDENCE), in the unit of what it encloses."""

    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Return whether 0 lies strictly outside."""
        return self.low > 0 or self.high < 0


def wilson(count: int, of: int) -> Interval | None:
    """Return Wilson's score interval of the rate `count / of`, None of none.

    `(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`. It stays within 0 to 1 and has a width even
    at 0 of n. Wilson 1927, JASA 22, 209-212.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no rate")
    if not of:
        return None
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE.value / 2)
    p, weight = count / of, z * z / of
    middle = p + weight / 2
    half = z * math.sqrt(p * (1 - p) / of + weight / (4 * of))
    low = 0.0 if count == 0 else (middle - half) / (1 + weight)
    high = 1.0 if count == of else (middle + half) / (1 + weight)
    return Interval(low, high)


def student(mean: float, standard_error: float, freedom: int) -> tuple[Interval, float]:
    """Return the interval of a mean and the two-sided p-value of "it is 0", by Student's t."""
    # Here, because it takes a second to load, and a service that collects may never be asked.
    from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

    reach = float(stdtrit(freedom, 0.5 + CONFIDENCE.value / 2)) * standard_error
    p_value = 2.0 * float(stdtr(freedom, -abs(mean) / standard_error))
    return Interval(mean - reach, mean + reach), p_value


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


def percentile(replicates: Floats) -> Interval | None:
    """Return the percentile interval of bootstrap `replicates`, NaN where one is undefined.

    None when fewer than DEFINED_REPLICATES of them are defined. Quantiles of type 7.
    """
    defined = replicates[np.isfinite(replicates)]
    if not replicates.size or defined.size < DEFINED_REPLICATES.value * replicates.size:
        return None
    low, high = quantiles(defined, _ENDS)
    return Interval(float(low), float(high))


def percentiles(replicates: Floats) -> list[Interval | None]:
    """Return the percentile interval of each column of `replicates`, as `percentile` does of one."""
    whole = np.asarray(np.isfinite(replicates).all(axis=0))
    found = iter(Interval(*ends) for ends in quantiles(replicates[:, whole], _ENDS).T.tolist())
    return [
        next(found) if is_whole else percentile(replicates[:, column])
        for column, is_whole in enumerate(whole.tolist())
    ]


def around(replicates: Floats, value: float) -> Interval | None:
    """Return the percentile interval of a direction's bias: of how far replicates turn from its `value`.

    In degrees; an end may lie beyond 180, so that an interval never runs the long way round.
    """
    return arounds(replicates[:, None], [value])[0]


def arounds(replicates: Floats, values: Sequence[float]) -> list[Interval | None]:
    """Return the interval of each column of `replicates` around its value, as `around` does of one."""
    turned = replicates - np.array(values)
    turned[turned >= 180.0] -= 360.0
    turned[turned < -180.0] += 360.0
    found = percentiles(turned)
    return [
        None if turn is None else Interval(value + turn.low, value + turn.high)
        for turn, value in zip(found, values, strict=True)
    ]


def benjamini_hochberg(
    p_values: Sequence[float | None], q: float = FALSE_DISCOVERIES.value
) -> tuple[bool, ...]:
    """Return which of `p_values` stand when at most a share `q` of those that stand may be chance.

    Of m tests, the largest k with `p(k) <= k q / m` in ascending order stands, with all smaller ones.
    None (a test that could not be made) never stands and does not count in m.
    Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57, 289-300.
    """
    made = sorted(p for p in p_values if p is not None)
    passing = [p for rank, p in enumerate(made, start=1) if p <= rank * q / len(made)]
    threshold = max(passing, default=-1.0)
    return tuple(p is not None and p <= threshold for p in p_values)
