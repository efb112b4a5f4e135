"""Comparisons: which of two models is better here, or too close to call, and skill against a reference.

Hours of one day are not independent: so first average over each local day, then test the days. The
correlation between days is handled in scoring/intervals.py. A day without pairs is no value, and not 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import numpy as np

from backend.core.parameters import Parameter
from backend.scoring.constants import DIFFERENCE, FALSE_DISCOVERIES
from backend.scoring.grid import SCALE, Bools, Floats, Integers
from backend.scoring.inference.group_intervals import departures_spread, leave_one_out, symmetric
from backend.scoring.intervals import Interval, spread, student_tails
from backend.scoring.metrics.sums import Formula, number, ratio

MICRO = 1_000_000
"""Steps in one unit of a daily mean: whole ones, so that means are exact."""


class Sized(Protocol):
    """Sums with a number of pairs and a sum of error sizes, in thousandths: of scalars, directions, winds."""

    @property
    def n(self) -> Integers: ...  # noqa: D102

    @property
    def sum_abs(self) -> Integers: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class DailySeries:
    """One value for each of successive calendar days, in millionths of the unit; 0 where not `present`."""

    micro: Integers
    present: Bools

    @property
    def days(self) -> int:
        """The number of days with a value."""
        return int(self.present.sum())

    @property
    def mean(self) -> float | None:
        """The mean over the days that have a value, each counting once, in the unit. None without any."""
        return int(self.micro.sum()) / (self.days * MICRO) if self.days else None

    def departures(self) -> Floats:
        """Return each day's value minus the mean, in the unit; 0 in a gap, so that it adds nothing."""
        # Subtracted as whole numbers: a series that never changes must give 0, not a rounding error.
        rest = self.micro * self.days - self.micro.sum()
        return np.where(self.present, rest / (max(self.days, 1) * MICRO), 0.0)


def daily_difference(a: Sized, b: Sized) -> DailySeries:
    """Return `mean|e_A| - mean|e_B|` of each day; negative where A was better.

    The sums must be of the common sample, the same pairs for both models: ValueError otherwise. For
    directions that is where both are pairs of `direction_pairs`, since a forecast calm has no direction.
    """
    if not np.array_equal(a.n, b.n):
        raise ValueError("the two models were not summed over the same pairs")
    present = a.n > 0
    means = (a.sum_abs - b.sum_abs) * (MICRO // SCALE) / np.maximum(a.n, 1)
    return DailySeries(np.rint(np.where(present, means, 0.0)).astype(np.int64), present)


# --- Two models ------------------------------------------------------------------------------------------


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
    test: MeanTest | None
    outcome: Outcome


def compare(series: DailySeries, parameter: Parameter) -> Comparison:
    """Compare two models by their daily differences; those of the vector error count as a wind speed."""
    test = mean_test(series)
    return Comparison(series.mean, test, outcome(test, DIFFERENCE[parameter].value))


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
    # A test that could not be made is no candidate: it would make the others harder to pass.
    made = sorted(p for p in p_values if p is not None)
    passing = [p for rank, p in enumerate(made, start=1) if p <= rank * q / len(made)]
    threshold = max(passing, default=-1.0)
    return tuple(p is not None and p <= threshold for p in p_values)


def significant_winners(p_values: Sequence[float | None], winners: Sequence[bool]) -> list[bool]:
    """Return which winners stand in a list of so many; the tests without a winner count in it too."""
    passed = benjamini_hochberg(p_values)
    return [won and stands for won, stands in zip(winners, passed, strict=True)]


# --- Skill against a reference ---------------------------------------------------------------------------


class PooledSkill(NamedTuple):
    """The mean of the groups' skills, and how many groups it rests on and leaves out."""

    skill: float | None
    used: int
    left_out: int
    interval: Interval | None = None


def skill_score(score: float | None, reference: float | None) -> float | None:
    """Return `1 - S / S_ref` for a score whose best is 0: 1 is perfect, 0 no better than the reference.

    Negative skill means worse than yesterday's observation. None when a score is undefined
    or the reference is perfect.
    """
    if score is None or reference is None:
        return None
    return number(1.0 - ratio(score, reference))


def pooled_skills(formula: Formula[Any], models: Sequence[Any], reference: Any) -> list[PooledSkill]:
    """Return the mean of each model's skills in groups, weighted by pairs; those without skill are left out.

    All are sums of one kind, of the same pairs, columns (days, groups). For the interval each day is left out
    of all of them, and what remains forms its own skills. Pooling the pairs of groups with different climates
    first, and forming one skill of them, would credit a model for knowing the climates. Hamill & Juras 2006,
    QJRMS 132. Raises ValueError for other pairs.
    """
    n = reference.n
    if not all(np.array_equal(n, model.n) for model in models):
        raise ValueError("the models and their reference were not summed over the same pairs")
    columns = zip(*(table.columns() for table in (*models, reference)), strict=True)
    stacked = type(reference)(*(np.stack(tables, axis=1) for tables in columns))
    together = replace(stacked, n=n[:, None])  # the pairs are the same for all: (days, 1, groups)

    def mean_skills(sums: Any) -> tuple[Floats, Integers]:
        """Return each model's mean skill over the groups where it is defined, and their number."""
        scores = formula.each(sums)
        skills = 1.0 - ratio(scores[..., :-1, :], scores[..., -1:, :])  # the reference is the last table
        defined = np.isfinite(skills)
        total = np.where(defined, skills * sums.n, 0.0).sum(axis=-1)
        return ratio(total, np.where(defined, sums.n, 0).sum(axis=-1)), defined.sum(axis=-1)

    of_all_days, without = leave_one_out(together)
    means, used = mean_skills(of_all_days)
    # A day without pairs in any group changes no mean: it is left out for all models alike.
    present = np.broadcast_to((n > 0).any(axis=1)[:, None], (len(n), len(models)))
    spread_of_means = departures_spread(mean_skills(without)[0] - means, present)
    groups = n.shape[1]
    return [
        PooledSkill(mean, of_model, groups - of_model, interval)
        for mean, of_model, interval in zip(
            map(number, means), used.tolist(), symmetric(means, spread_of_means, highest=1.0), strict=True
        )
    ]
