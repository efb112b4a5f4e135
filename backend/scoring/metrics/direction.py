"""Wind direction: errors on a circle. Never average degrees arithmetically.

`d = wrap(f - o)` in (-180, 180] degrees is positive when the forecast lies clockwise of the
observation (veered). MET's DIR_ERR has the opposite sign, harp's `circle_bias` the same as ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backend.scoring.constants import LIGHT_WIND, STEADY_RESULTANT, TRIGONOMETRIC_STEPS
from backend.scoring.grid import SCALE, Bools, Floats, Integers, Values, paired, present, thousandths
from backend.scoring.metrics.sums import ErrorKind, ErrorSums, Formula, Series, ratio

CIRCLE = 360 * SCALE
HALF_CIRCLE = CIRCLE // 2


def wrap(angle: Integers) -> Integers:
    """Return angles in thousandths of a degree, of any size, as the same ones in (-180000, 180000]."""
    turned = np.asarray(angle, dtype=np.int64) % CIRCLE
    return np.where(turned > HALF_CIRCLE, turned - CIRCLE, turned)


def direction_errors(f: Values, o: Values) -> Integers:
    """Return `wrap(f - o)` in thousandths of a degree; 0 where one of them is absent."""
    return np.where(paired(f, o), wrap(f.astype(np.int64) - o), 0)


def sines_and_cosines(angle: Integers) -> tuple[Integers, Integers]:
    """Return sine and cosine of angles in thousandths of a degree, in whole TRIGONOMETRIC_STEPS."""
    radians = np.deg2rad(angle / SCALE)
    steps = TRIGONOMETRIC_STEPS.value
    sine, cosine = np.rint(np.sin(radians) * steps), np.rint(np.cos(radians) * steps)
    return sine.astype(np.int64), cosine.astype(np.int64)


def direction_pairs(
    f: Values, o: Values, speed_f: Values, speed_o: Values, *, least: float, below: float | None
) -> tuple[Bools, Bools, Bools]:
    """Return which pairs of winds have a direction error, which are too light, and which have no direction.

    Pairs of winds are where a speed was observed and a wind forecast. Those whose observed speed is
    not in [`least`, `below`) km/h are "light"; of the others, those with a forecast calm or without
    one of the two directions are "undefined".
    """
    wind = present(speed_o) & (present(speed_f) | present(f))
    inside = speed_o >= thousandths(least)
    if below is not None:
        inside &= speed_o < thousandths(below)
    defined = paired(f, o) & (speed_f != 0)
    return wind & inside & defined, wind & ~inside, wind & inside & ~defined


@dataclass(frozen=True, slots=True, eq=False)
class DirectionSums(ErrorSums):
    """Sums over the pairs of a wind direction, with the number of those left out and why.

    `n + light + undefined` is the number of hours for which a wind was both forecast and observed.
    """

    sum_sin: Integers
    """The sum of the errors' sines, in millionths; `sum_cos` likewise."""
    sum_cos: Integers
    sum_abs: Integers
    """The sum of `|d|` with `d` the wrapped error, in thousandths of a degree.

    `sum_errors` is that of `d`, `sum_squares` that of `d**2`.
    """
    sum_errors: Integers
    sum_squares: Integers
    light: Integers
    """Pairs left out because the observed wind was too light (or outside the speeds asked for)."""
    undefined: Integers
    """Pairs left out because one side has no direction, as in a forecast calm."""


@Formula
def mean_absolute_direction_error(sums: DirectionSums) -> Floats:
    """`mean(|d|)` in degrees, 0 to 180. A random direction gives UNINFORMED_DIRECTION_MAE."""
    return ratio(sums.sum_abs, sums.n * SCALE)


@Formula
def mean_direction_error(sums: DirectionSums) -> Floats:
    """DIR_ME, `mean(d)` in degrees: for comparison with others only, the circular bias is better founded."""
    return ratio(sums.sum_errors, sums.n * SCALE)


@Formula
def resultant(sums: DirectionSums) -> Floats:
    """`R = hypot(mean(sin d), mean(cos d))`, 0 (errors everywhere) to 1 (all alike). Mardia & Jupp 2000."""
    length = _resultant(sums)
    return np.where(length < _ROUNDING, 0.0, np.minimum(length, 1.0))


def _resultant(sums: DirectionSums) -> Floats:
    sine, cosine = (np.asarray(column, np.float64) for column in (sums.sum_sin, sums.sum_cos))
    length = np.sqrt(sine * sine + cosine * cosine)  # far from where hypot, which takes longer, is needed
    return ratio(length, sums.n * TRIGONOMETRIC_STEPS.value)


_ROUNDING = 1.0 / TRIGONOMETRIC_STEPS.value
"""Each sine is off by half a step at most: what is shorter than this is no direction but rounding."""


@Formula
def circular_bias(sums: DirectionSums) -> Floats:
    """`atan2(mean(sin d), mean(cos d))` in degrees, (-180, 180]; undefined when R is 0."""
    angle = np.rad2deg(np.arctan2(sums.sum_sin, sums.sum_cos))
    return np.where(_resultant(sums) >= _ROUNDING, angle, np.nan)


@Formula
def steady_bias(sums: DirectionSums) -> Floats:
    """The circular bias where R reaches STEADY_RESULTANT; elsewhere there is no steady direction error."""
    steady = resultant.each(sums) >= STEADY_RESULTANT.value
    return np.where(steady, circular_bias.each(sums), np.nan)


@Formula
def circular_sd(sums: DirectionSums) -> Floats:
    """`sqrt(-2 ln R)` in degrees; undefined when R is 0. Mardia & Jupp 2000."""
    length = resultant.each(sums)
    log = np.log(length, out=np.full(length.shape, np.nan), where=length > 0)
    return np.rad2deg(np.sqrt(-2.0 * log)) + 0.0  # + 0.0: the root of -0.0 is -0.0


class DirectionError(ErrorKind):
    """The error of a direction on the circle, of winds observed at `least` to below `below` km/h.

    By default those from LIGHT_WIND on (WMO LC-DNV); the light-wind group has those from BREEZE to
    LIGHT_WIND.
    """

    formulas: ClassVar[Mapping[str, Formula[Any]]] = {
        "mean_error": steady_bias,
        "mae": mean_absolute_direction_error,
        "circular_bias": circular_bias,
        "circular_sd": circular_sd,
        "resultant": resultant,
        "mean_direction_error": mean_direction_error,
    }
    ranking = mean_absolute_direction_error
    bias = steady_bias
    widest_bias = 180.0  # an interval never runs the long way round; its ends may lie beyond 180 degrees
    of_wind = True
    left_out: ClassVar[Mapping[str, str]] = {"light_wind_pairs": "light", "undefined_pairs": "undefined"}

    def __init__(self, least: float = LIGHT_WIND.value, below: float | None = None) -> None:
        self.least = least
        self.below = below

    def hourly(self, f: Series, o: Series) -> DirectionSums:
        """Return the sums of each hour by itself."""
        pair, light, undefined = direction_pairs(
            f.main, o.main, f.wind_speed, o.wind_speed, least=self.least, below=self.below
        )
        rows = np.flatnonzero(pair)  # of a year of hours a third has a pair: sines are taken of these alone
        d = wrap(f.main.ravel()[rows].astype(np.int64) - o.main.ravel()[rows])
        terms = np.zeros((5, pair.size), np.int64)
        terms[:, rows] = (*sines_and_cosines(d), np.abs(d), d, d * d)
        counts = [part.astype(np.int64) for part in (pair, light, undefined)]
        return DirectionSums(counts[0], *terms.reshape(5, *pair.shape), *counts[1:])

    def bias_changes(self, bias: Floats, without: Any) -> Floats:
        """Return the changes of the circular bias around the steady one, in (-180, 180] degrees."""
        turned = circular_bias.each(without) - bias
        return np.asarray((turned + 180.0) % 360.0 - 180.0)


def quantisation_floor(resolution: float) -> float:
    """Return the MAE (degrees) that a beacon of this `resolution` (degrees) costs a perfect forecast.

    Rounding to steps leaves an error spread evenly over half a step either way: a quarter of a step
    in the mean, 5.6 degrees for sixteen points.
    """
    return resolution / 4.0


def mean_direction(sines: Integers, cosines: Integers, n: Integers) -> tuple[Integers, Bools]:
    """Return the direction (thousandths of a degree, [0, 360000)) of sums of unit vectors, and where it is.

    `sines` and `cosines` are sums of `n` whole TRIGONOMETRIC_STEPS. Vectors that cancel out have none.
    """
    known = np.hypot(sines, cosines) > n
    angle = np.rint(np.rad2deg(np.arctan2(sines, cosines)) * SCALE).astype(np.int64) % CIRCLE
    return angle, known
