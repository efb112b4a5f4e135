"""The vector error of the wind: speed and direction in one number, with no rule for light winds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backend.scoring.grid import SCALE, Bools, Floats, Integers, Values, present
from backend.scoring.metrics.direction import direction_errors
from backend.scoring.metrics.sums import ErrorKind, ErrorSums, Formula, Series, ratio


def vector_errors(f: Values, o: Values, speed_f: Values, speed_o: Values) -> tuple[Integers, Bools]:
    """Return the length of each vector error, in whole thousandths of a km/h, and where it exists.

    With u = -s sin t and v = -s cos t, `ve = sqrt((uf-uo)**2 + (vf-vo)**2)`. By the half-angle form of
    the law of cosines that is `sqrt((sf-so)**2 + 4 sf so sin(d/2)**2)`, which depends on the directions
    through their difference only and is never less than `|sf-so|`, rounding included. A calm needs no
    direction. 0 where there is no pair.
    """
    pair = _wind(f, speed_f) & _wind(o, speed_o)
    fcst, obs = np.where(pair, speed_f, 0).astype(np.float64), np.where(pair, speed_o, 0).astype(np.float64)
    half = np.sin(np.deg2rad(direction_errors(f, o) / SCALE) / 2.0)
    # Rounded to whole thousandths: sums of whole numbers are the same in any order.
    return np.rint(np.sqrt((fcst - obs) ** 2 + 4.0 * fcst * obs * half**2)).astype(np.int64), pair


def _wind(direction: Values, speed: Values) -> Bools:
    return np.asarray(present(speed) & (present(direction) | (speed == 0)))


@dataclass(frozen=True, slots=True, eq=False)
class VectorSums(ErrorSums):
    """Sums over pairs of winds: the length of the vector error in thousandths of a km/h, and its square."""

    vector_error_sum: Integers
    sum_squares: Integers

    @property
    def sum_abs(self) -> Integers:
        """The sum of what a comparison of two models compares: here the length of the error."""
        return self.vector_error_sum

    @property
    def sum_errors(self) -> Integers:
        """The same: a length has no sign."""
        return self.vector_error_sum


@Formula
def mean_vector_error(sums: VectorSums) -> Floats:
    """MVE, `mean(ve)` in km/h."""
    return ratio(sums.sum_abs, sums.n * SCALE)


@Formula
def rms_vector_error(sums: VectorSums) -> Floats:
    """RMSVE, `sqrt(mean(ve**2))` in km/h: WMO's mandatory score for upper-air winds (WMO-No. 485)."""
    return np.sqrt(ratio(sums.sum_squares, sums.n)) / SCALE


class VectorError(ErrorKind):
    """The length of the difference of two winds, in km/h."""

    formulas: ClassVar[Mapping[str, Formula[Any]]] = {"mae": mean_vector_error, "rmse": rms_vector_error}
    ranking = mean_vector_error
    bias = None
    of_wind = True

    def hourly(self, f: Series, o: Series) -> VectorSums:
        """Return the sums of each hour by itself. A calm is a pair too: a vector of length 0."""
        ve, pair = vector_errors(f.main, o.main, f.wind_speed, o.wind_speed)
        return VectorSums(pair.astype(np.int64), ve, ve * ve)
