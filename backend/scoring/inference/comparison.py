"""Which of two models is better here, or that it is too close to call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.core.parameters import Parameter
from backend.scoring.constants import DIFFERENCE, FALSE_DISCOVERIES
from backend.scoring.inference.daily import DailySeries
from backend.scoring.inference.effective_days import spread
from backend.scoring.intervals import Interval, student_tails


@dataclass(frozen=True, slots=True)
class MeanTest:
    """The mean of a daily series (the unit's), its interval, and the p-value of "it is 0"."""

    mean: float
    interval: Interval
    p_value: float
    days: int
    effective_days: float


def mean_test(series: DailySeries) -> MeanTest | None:
    """Test whether the mean of a daily series is 0.

    None for fewer than INTERVAL_DAYS, and for a series that never changes.
    """
    departures = series.departures()
    of_mean = spread(departures[None], series.present[None])
    (error,), (effective,) = of_mean.standard_error.tolist(), of_mean.effective_days.tolist()
    mean = series.mean
    if mean is None or not error > 0:
        return None
    reach = float(of_mean.reach()[0])
    return MeanTest(
        mean=mean,
        interval=Interval(mean - reach, mean + reach),
        p_value=student_tails(mean / error, effective - 1),
        days=series.days,
        effective_days=effective,
    )


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


def significant_winners(p_values: Sequence[float | None], winners: Sequence[bool]) -> list[bool]:
    """Return which winners stand in a list of so many; the tests without a winner count in it too."""
    passed = benjamini_hochberg(p_values)
    return [won and stands for won, stands in zip(winners, passed, strict=True)]
