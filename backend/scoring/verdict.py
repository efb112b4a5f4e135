"""Which of two models is better here, or that it is too close to call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from backend.core.parameters import Parameter
from backend.scoring.bootstrap import mean_interval
from backend.scoring.constants import DIFFERENCE
from backend.scoring.daily import DailySeries
from backend.scoring.diebold_mariano import MeanTest, mean_test
from backend.scoring.intervals import Interval


class Outcome(StrEnum):
    """What may be said of models A and B."""

    A_BETTER = "a_better"
    B_BETTER = "b_better"
    TOO_CLOSE = "too_close_to_call"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean daily difference `|e_A| - |e_B|` (the unit's), both tests, and what follows.

    `test` or `bootstrap` is None where the days allow none; then nobody is called better.
    """

    difference: float | None
    days: int
    test: MeanTest | None
    bootstrap: Interval | None
    outcome: Outcome


def compare(series: DailySeries, steps_ahead: int, parameter: Parameter) -> Comparison:
    """Compare two models by their daily differences; those of the vector error count as a wind speed."""
    test, interval = mean_test(series, steps_ahead), mean_interval(series)
    least = DIFFERENCE[parameter].value
    return Comparison(series.mean, series.days, test, interval, outcome(test, interval, least))


def outcome(test: MeanTest | None, bootstrap: Interval | None, least_difference: float) -> Outcome:
    """Return the verdict: better only if both intervals exclude 0 and the difference exceeds the least."""
    if test is None or bootstrap is None or abs(test.mean) <= least_difference:
        return Outcome.TOO_CLOSE
    if test.interval.high < 0 and bootstrap.high < 0:
        return Outcome.A_BETTER
    if test.interval.low > 0 and bootstrap.low > 0:
        return Outcome.B_BETTER
    return Outcome.TOO_CLOSE
