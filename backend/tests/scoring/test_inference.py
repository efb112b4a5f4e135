"""Is the difference real? Daily series, effective days, intervals, and the verdict."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr  # type: ignore[import-untyped]

from backend.core.parameters import Parameter
from backend.scoring.constants import LEAST_EFFECTIVE_DAYS, MOST_PERSISTENCE
from backend.scoring.grid import ABSENT
from backend.scoring.inference.comparison import (
    MICRO,
    DailySeries,
    MeanTest,
    Outcome,
    benjamini_hochberg,
    compare,
    daily_difference,
    mean_test,
    outcome,
)
from backend.scoring.inference.group_intervals import (
    beside,
    bias_intervals,
    score_intervals,
    size_intervals,
)
from backend.scoring.intervals import (
    Interval,
    effective_number,
    persistence,
    quantiles,
    student_quantile,
    wilson,
)
from backend.scoring.metrics.contingency import Contingency
from backend.scoring.metrics.direction import steady_bias
from backend.scoring.metrics.sums import ErrorSums, Series, Sums
from backend.scoring.sample.quantities import Quantity
from backend.tests.support.scoring_grids import (
    counted,
    direction_sums,
    filled,
    grid,
    random_grid,
    scalar_sums,
    vector_sums,
)

S = TypeVar("S", bound=Sums)


def alone(sums: S) -> S:
    """Return the sums of days as those of one group."""
    return beside([sums])


def series(*values: float | None) -> DailySeries:
    """Return a daily series in the unit; None is a day without pairs."""
    micro = np.array([0 if value is None else round(value * MICRO) for value in values], dtype=np.int64)
    return DailySeries(micro, np.array([value is not None for value in values]))


def noise(days: int, mean: float = 0.0, seed: int = 0) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).normal(mean, 1.0, days)]


def autoregressive(days: int, correlation: float, seed: int) -> list[float]:
    """Return an AR(1) series of variance 1."""
    shocks = np.random.default_rng(seed).standard_normal(days) * math.sqrt(1 - correlation**2)
    values = [float(shocks[0]) / math.sqrt(1 - correlation**2)]
    for shock in shocks[1:]:
        values.append(correlation * values[-1] + float(shock))
    return values


def effective_of(quantity: Quantity, sums: ErrorSums) -> float | None:
    (found,) = size_intervals(quantity.kind, alone(sums)).effective_pairs
    return found


def test_a_day_counts_once_however_many_hours_it_has() -> None:
    o = filled(2, 10.0)
    a, b = grid([11] * 24, [17]), grid([13] * 24, [12])  # A: |e| 1, then 7; B: 3, then 2
    b[1, 1:] = ABSENT
    mask = (a != ABSENT) & (b != ABSENT)
    difference = daily_difference(scalar_sums(a, o, mask), scalar_sums(b, o, mask))
    assert difference.micro.tolist() == [-2 * MICRO, 5 * MICRO]
    assert difference.mean == 1.5
    assert difference.days == 2


def test_a_day_without_pairs_is_a_gap_and_not_a_zero() -> None:
    a = scalar_sums(grid([2], [None], [2]), filled(3, 0.0))
    b = scalar_sums(grid([1], [None], [1]), filled(3, 0.0))
    difference = daily_difference(a, b)
    assert difference.present.tolist() == [True, False, True]
    assert difference.mean == 1.0
    assert series(None, None).mean is None


def test_models_summed_over_different_pairs_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same pairs"):
        daily_difference(scalar_sums(filled(1, 1), filled(1, 0)), scalar_sums(grid([1]), filled(1, 0)))


def test_directions_and_winds_have_daily_differences_too() -> None:
    wind, north = filled(1, 20.0), filled(1, 0.0)
    turned = daily_difference(
        direction_sums(filled(1, 350), north, wind, wind),
        direction_sums(filled(1, 30), north, wind, wind),
    )
    assert turned.mean == -20.0
    stronger = daily_difference(
        vector_sums(north, north, filled(1, 23.0), wind), vector_sums(north, north, wind, wind)
    )
    assert stronger.mean == 3.0


def test_days_that_do_not_resemble_each_other_give_students_own_interval() -> None:
    # 5, 1, 5, 1 …: neighbours differ, r is 0. Mean 3, squares about it 12 * 4 = 48; V = 48 / 12 / 11.
    found = mean_test(series(*[5, 1] * 6))
    assert found is not None
    error = math.sqrt(48 / 12 / 11)
    assert found.mean == 3.0
    assert found.interval == pytest.approx((3 - 2.200985 * error, 3 + 2.200985 * error), abs=1e-5)
    assert found.p_value == pytest.approx(2 * float(stdtr(11, -3 / error)))
    assert (found.days, found.effective_days) == (12, 12.0)


def test_days_that_resemble_each_other_are_worth_fewer_as_worked_out_by_hand() -> None:
    # Mean 4/3, departures squared add up to 86/3, products of neighbours to 134/9: r = 0.520 of the sample,
    # (12 r + 1) / 8 + 0.25 / sqrt(12) = 0.977 to reckon with.
    values = [1, 2, 4, 3, 0, -1, 0, 2, 3, 2, 1, -1]
    found = mean_test(series(*values))
    assert found is not None
    mean = 4 / 3
    products = sum((one - mean) * (two - mean) for one, two in pairwise(values))
    r = (12 * products / (86 / 3) + 1) / 8 + 0.25 / math.sqrt(12)
    worth = 12 / (1 + 2 * sum((1 - k / 12) * r**k for k in range(1, 12)))
    assert 1 < worth < LEAST_EFFECTIVE_DAYS.value == found.effective_days
    reach = 12.7062 * math.sqrt(86 / 3 / 12 / (2 - 1))
    assert found.interval == pytest.approx((mean - reach, mean + reach), abs=1e-3)


@pytest.mark.parametrize("r", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("days", [10, 30, 365])
def test_the_effective_number_is_the_sum_over_all_lags(days: int, r: float) -> None:
    expected = days / (1 + 2 * sum((1 - k / days) * r**k for k in range(1, days)))
    assert float(effective_number(np.asarray(days), np.asarray(r))) == pytest.approx(expected)


def test_the_autocorrelation_to_reckon_with_is_corrected_and_within_bounds() -> None:
    found = persistence(np.array([0.4, -0.9, 0.99]), np.array([100, 100, 20]))
    assert found.tolist() == pytest.approx([41 / 96 + 0.025, 0.0, MOST_PERSISTENCE.value])


def test_gaps_are_passed_over_wherever_they_are() -> None:
    values = noise(40)
    plain = mean_test(series(*values))
    assert mean_test(series(None, *values, None, None)) == plain
    assert mean_test(series(*values[:7], None, None, *values[7:])) == plain


def test_with_every_second_day_missing_the_others_are_worth_what_they_are_worth() -> None:
    values = autoregressive(801, 0.8, seed=14)
    whole = mean_test(series(*values))
    half = mean_test(series(*[value if day % 2 == 0 else None for day, value in enumerate(values)]))
    assert whole is not None and half is not None
    assert half.effective_days == pytest.approx(whole.effective_days, rel=0.15)


def test_an_interval_is_as_wide_as_the_variance_of_a_mean_of_correlated_days() -> None:
    found = mean_test(series(*autoregressive(4000, 0.6, seed=5)))
    assert found is not None
    expected = 1.96 * math.sqrt((1.6 / 0.4) / 4000)
    assert found.interval.high - found.mean == pytest.approx(expected, rel=0.1)


def test_the_test_does_not_depend_on_the_unit() -> None:
    values = noise(60, seed=6)
    one, thousand = mean_test(series(*values)), mean_test(series(*[1000 * value for value in values]))
    assert one is not None and thousand is not None
    assert thousand.p_value == pytest.approx(one.p_value, rel=1e-4)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], noise(9), [0.1] * 50, [1 / 3] * 50, [None] * 20])
def test_without_days_or_change_there_is_no_test(values: list[float | None]) -> None:
    assert mean_test(series(*values)) is None


def test_the_interval_of_a_mean_of_equal_days_is_that_of_the_daily_means() -> None:
    """24 pairs every day: the MAE is the mean of daily MAEs, and leaving out days has to show that."""
    f = random_grid(np.random.default_rng(3), 60, 0, 40, absent=0)[:, :24]
    sums = scalar_sums(np.pad(f, ((0, 0), (0, 1)), constant_values=ABSENT), filled(60, 20.0))
    expected = mean_test(daily_difference(sums, scalar_sums(filled(60, 20.0), filled(60, 20.0))))
    (found,) = size_intervals(Quantity.WIND_SPEED.kind, alone(sums)).intervals
    assert expected is not None
    assert found == pytest.approx(expected.interval, abs=1e-5)


@pytest.mark.parametrize("days", [0, 1, 5, 9])
def test_fewer_than_ten_days_have_no_interval(days: int) -> None:
    generator = np.random.default_rng(1)
    sums = scalar_sums(random_grid(generator, days, 0, 40), random_grid(generator, days, 0, 40))
    assert size_intervals(Quantity.WIND_SPEED.kind, alone(sums)) == ([None], [None])
    assert bias_intervals(Quantity.WIND_SPEED.kind, alone(sums)) == [None]


def test_days_before_the_first_and_after_the_last_with_data_change_nothing() -> None:
    generator = np.random.default_rng(13)
    f, o = random_grid(generator, 60, 0, 40), random_grid(generator, 60, 0, 40)
    late = f.copy()
    late[:20] = ABSENT
    late[50:] = ABSENT
    whole, part = (size_intervals(Quantity.WIND_SPEED.kind, alone(scalar_sums(*each))) for each in (
        (late, o), (f[20:50], o[20:50])
    ))  # fmt: skip
    assert whole.intervals[0] == pytest.approx(part.intervals[0], abs=1e-9)
    assert whole.effective_pairs == pytest.approx(part.effective_pairs)


def test_an_error_that_never_changes_has_an_interval_without_a_width() -> None:
    sums = alone(scalar_sums(filled(30, 12.0), filled(30, 10.0)))
    assert bias_intervals(Quantity.WIND_SPEED.kind, sums) == [Interval(2.0, 2.0)]
    turned = direction_sums(filled(30, 350), filled(30, 10), filled(30, 20.0), filled(30, 20.0))
    assert bias_intervals(Quantity.WIND_DIRECTION.kind, alone(turned))[0] == pytest.approx(
        (-20, -20), abs=1e-4
    )


def test_the_interval_of_a_turn_is_around_it_even_behind_the_observed_direction() -> None:
    generator = np.random.default_rng(2)
    opposite = 175 + generator.integers(0, 20, (60, 25)) * 1.0
    f = np.rint(1000 * (opposite % 360)).astype(np.int32)
    wind = filled(60, 20.0)
    sums = alone(direction_sums(f, filled(60, 0.0), wind, wind))
    (value,) = steady_bias.each(sums.total()).tolist()
    (found,) = bias_intervals(Quantity.WIND_DIRECTION.kind, sums)
    assert found is not None
    assert found.low < value < found.high
    assert found.high - found.low < 5
    assert bias_intervals(Quantity.WIND.kind, alone(vector_sums(f, filled(60, 0.0), wind, wind))) == [None]


def test_rates_are_intervals_by_days_and_wider_than_by_hours() -> None:
    # A day is wrong in all of its hours or in none: 60 days are 60 cases, however many hours they have.
    wrong = np.random.default_rng(9).random(60) < 0.3
    hits, misses = np.where(wrong, 0, 24), np.where(wrong, 24, 0)
    counts = alone(Contingency(hits, 24 - hits, misses, 24 - misses))
    (found,) = score_intervals(counts)
    by_hours, by_days = wilson(1 - wrong.mean(), 24 * 60), wilson(1 - wrong.mean(), 60)
    pod_interval = found["pod"]
    assert pod_interval is not None
    assert pod_interval == pytest.approx(by_days, abs=0.03)
    assert pod_interval.high - pod_interval.low > 3 * (by_hours.high - by_hours.low)


def test_a_rate_of_none_is_worth_one_case_a_day() -> None:
    none = np.zeros(40, np.int64)
    counts = alone(Contingency(none + 2, none + 1, none, none + 21))
    (found,) = score_intervals(counts)
    worth = effective_number(np.asarray(40), persistence(np.asarray(0.0), np.asarray(40)))
    z = float(student_quantile(worth - 1))
    assert found["surprise_rate"] == pytest.approx(tuple(wilson(0, 40, z)))
    assert found["pod"] == pytest.approx(tuple(wilson(1, 40, z)))
    assert found["far"] == pytest.approx((1 / 3, 1 / 3))


def test_a_score_that_hangs_on_one_day_has_no_interval() -> None:
    f, o = filled(60, 0.0), filled(60, 0.0)
    o[7, 12] = 30_000  # one event
    (found,) = score_intervals(alone(counted(f, o, 25.0)))
    assert found["pod"] is None
    assert found["surprise_rate"] is not None


def test_hours_that_repeat_each_other_count_for_less() -> None:
    generator = np.random.default_rng(11)
    o = filled(120, 0.0)
    independent = random_grid(generator, 120, -5, 5, absent=0)
    same_all_day = np.repeat(independent[:, :1], 25, axis=1)
    single, repeated = (
        effective_of(Quantity.WIND_SPEED, scalar_sums(each, o)) for each in (independent, same_all_day)
    )
    assert single == pytest.approx(120 * 24, rel=0.3)
    assert repeated == pytest.approx(120, rel=0.35)
    assert effective_of(Quantity.WIND_SPEED, scalar_sums(filled(60, 1.0), filled(60, 0.0))) is None


def test_hours_of_directions_and_winds_that_repeat_each_other_count_for_less_too() -> None:
    generator = np.random.default_rng(12)
    o, speed = filled(120, 0.0), filled(120, 20.0)
    independent = random_grid(generator, 120, 0, 360, absent=0)
    same_all_day = np.repeat(independent[:, :1], 25, axis=1)
    for quantity in (Quantity.WIND_DIRECTION, Quantity.WIND):
        single, repeated = (
            effective_of(quantity, quantity.kind.hourly(Series(f, speed), Series(o, speed)).of_days())
            for f in (independent, same_all_day)
        )
        assert single == pytest.approx(120 * 24, rel=0.3)
        assert repeated == pytest.approx(120, rel=0.35)


def test_groups_have_the_intervals_and_effective_pairs_that_each_has_alone() -> None:
    generator = np.random.default_rng(14)
    f, o = random_grid(generator, 60, 0, 40), random_grid(generator, 60, 0, 40)
    halves = [
        alone(scalar_sums(f, o, np.broadcast_to(np.arange(25) % 2 == half, f.shape))) for half in (0, 1)
    ]
    together = beside(halves)
    each = [size_intervals(Quantity.WIND_SPEED.kind, half) for half in halves]
    found = size_intervals(Quantity.WIND_SPEED.kind, together)
    assert found.intervals == [interval for one in each for interval in one.intervals]
    assert found.effective_pairs == [pairs for one in each for pairs in one.effective_pairs]
    assert bias_intervals(Quantity.WIND_SPEED.kind, together) == [
        interval for half in halves for interval in bias_intervals(Quantity.WIND_SPEED.kind, half)
    ]


def test_wilson_is_the_one_worked_out_by_hand() -> None:
    # 8 of 10 with z = 1.959964: (0.8 + 0.192073 ± 1.959964 sqrt(0.016 + 0.0096036)) / 1.384146.
    assert wilson(0.8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert wilson(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)
    assert wilson(1, 10) == pytest.approx((1 - 0.277533, 1.0), abs=1e-6)


@given(
    values=st.lists(st.integers(-360_000, 360_000), min_size=1, max_size=60),
    columns=st.integers(1, 3),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    unit=st.sampled_from([1, 1000.0]),
)
def test_quantiles_are_those_of_numpy_to_the_last_bit(
    values: list[int], columns: int, shares: list[float], unit: float
) -> None:
    table = np.array(values * columns).reshape(columns, -1).T // unit
    for each in (table, table[:, 0]):
        assert np.array_equal(quantiles(each, shares), np.quantile(each, shares, axis=0, method="linear"))


@given(of=st.integers(1, 5000), data=st.data())
def test_wilson_contains_its_rate_and_mirrors(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    found, mirrored = wilson(count / of, of), wilson((of - count) / of, of)
    assert 0 <= found.low <= count / of <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@pytest.mark.parametrize(("rate", "of"), [(1.5, 2), (-0.1, 2), (0.5, 0)])
def test_what_is_no_rate_is_refused(rate: float, of: float) -> None:
    with pytest.raises(ValueError, match="no rate"):
        wilson(rate, of)


def test_benjamini_hochberg_is_the_one_worked_out_by_hand() -> None:
    # Five tests, q = 0.10: limits 0.02, 0.04, 0.06, 0.08, 0.10. 0.03 fails its own rank 1, but rank 3 passes.
    assert benjamini_hochberg([0.9, 0.03, 0.059, 0.035, 0.5]) == (False, True, True, True, False)
    assert benjamini_hochberg([0.021, 0.9, 0.9, 0.9, 0.9]) == (False,) * 5
    assert benjamini_hochberg([0.05, None, 0.05]) == (True, False, True)
    assert benjamini_hochberg([]) == ()
    assert benjamini_hochberg([None]) == (False,)


def found(low: float, high: float) -> MeanTest:
    return MeanTest((low + high) / 2, Interval(low, high), 0.01, 90, 80.0)


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        (found(-2, -1), Outcome.A_BETTER),
        (found(1, 2), Outcome.B_BETTER),
        (found(-2, 0), Outcome.TOO_CLOSE),
        (found(-0.6, -0.4), Outcome.TOO_CLOSE),  # exactly the least difference
        (found(-0.62, -0.4), Outcome.A_BETTER),
        (None, Outcome.TOO_CLOSE),
    ],
)
def test_better_needs_an_interval_without_zero_and_a_difference_that_matters(
    test: MeanTest | None, verdict: Outcome
) -> None:
    assert outcome(test, 0.5) is verdict


def test_a_clear_difference_is_found_and_its_mirror_names_the_other() -> None:
    values = noise(90, -2.0, seed=12)
    here = compare(series(*values), Parameter.WIND_SPEED)
    there = compare(series(*[-value for value in values]), Parameter.WIND_SPEED)
    assert (here.outcome, there.outcome) == (Outcome.A_BETTER, Outcome.B_BETTER)
    assert here.test is not None and here.test.days == 90
    assert here.difference == pytest.approx(-2.0, abs=0.3)
    assert compare(series(*values), Parameter.WIND_DIRECTION).outcome is Outcome.TOO_CLOSE


def test_two_equal_models_are_too_close_to_call() -> None:
    same = compare(series(*[0.0] * 90), Parameter.WIND_SPEED)
    assert (same.outcome, same.test, same.difference) == (Outcome.TOO_CLOSE, None, 0.0)
    none = compare(series(), Parameter.WIND_SPEED)
    assert (none.outcome, none.difference) == (Outcome.TOO_CLOSE, None)
