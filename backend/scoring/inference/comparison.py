"""Which of two models is better here, or that it is too close to call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from backend.core.parameters import Parameter
from backend.scoring.constants import DIFFERENCE
from backend.scoring.inference.daily import DailySeries
from backend.scoring.inference.effective_days import MeanTest, mean_test


class Outcome(StrEnum):
    """The result of comparing models A and B."""

    A_BETTER = "a_better"
    B_BETTER = "b_better"
    TOO_CLOSE = "too_close_to_call"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean daily difference `|e_A| - |e_B|` (the unit's), its test, and what follows.

    `test` is None where the days allow none; then neither is called better.
    """

    difference: float | None
    days: int
    test: MeanTest | None
    outcome: Outcome


def compare(series: DailySeries, parameter: Parameter) -> Comparison:
    """Compare two models by their daily differences; those of the vector error count as a wind speed."""
    test = mean_test(series)
    return Comparison(series.mean, series.days, test, outcome(test, DIFFERENCE[parameter].value))


def outcome(test: MeanTest | None, least_difference: float) -> Outcome:
    """Return the verdict: better only if the interval excludes 0 and the difference exceeds the least."""
    if test is None or abs(test.mean) <= least_difference or not test.interval.excludes_zero():
        return Outcome.TOO_CLOSE
    return Outcome.A_BETTER if test.mean < 0 else Outcome.B_BETTER
