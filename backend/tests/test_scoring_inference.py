"""Is the difference real? Daily series, both tests, blocks of days, and the verdict."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

from backend.core.parameters import Parameter
from backend.scoring.bootstrap import (
    block_length,
    draws,
    effective_pairs,
    mean_interval,
    resampled,
)
from backend.scoring.constants import REPLICATES
from backend.scoring.continuous import mae
from backend.scoring.daily import MICRO, DailySeries, daily_difference
from backend.scoring.diebold_mariano import MeanTest, Method, hering_genton, hln, mean_test
from backend.scoring.event_scores import csi, pod
from backend.scoring.formula import Formula
from backend.scoring.grid import ABSENT, Integers
from backend.scoring.grouped import beside, over_days
from backend.scoring.intervals import Interval, benjamini_hochberg, percentile, percentiles, quantiles, wilson
from backend.scoring.sums import DirectionSums, ScalarSums, Sums, VectorSums
from backend.scoring.verdict import Outcome, compare, outcome
from backend.tests.scoring_grids import counted, filled, grid, random_grid


def series(*values: float | None) -> DailySeries:
    """Return a daily series in the unit; None is a day without pairs."""
    micro = np.array([0 if value is None else round(value * MICRO) for value in values], dtype=np.int64)
    return DailySeries(micro, np.array([value is not None for value in values]))


def noise(days: int, mean: float = 0.0, seed: int = 0) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).normal(mean, 1.0, days)]


def score_interval(score: Formula[Any], sums: Sums) -> Interval | None:
    drawn = resampled(sums)
    return None if drawn is None else percentile(score.each(drawn[0]))


def effective_of(sums: ScalarSums | DirectionSums | VectorSums) -> float | None:
    drawn = resampled(sums)
    (found,) = effective_pairs(sums.total(), None if drawn is None else drawn[0])
    return found


def test_a_day_counts_once_however_many_hours_it_has() -> None:
    o = filled(2, 10.0)
    a, b = grid([11] * 24, [17]), grid([13] * 24, [12])  # A: |e| 1, then 7; B: 3, then 2
    b[1, 1:] = ABSENT
    mask = (a != ABSENT) & (b != ABSENT)
    difference = daily_difference(ScalarSums.of(a, o, mask), ScalarSums.of(b, o, mask))
    assert difference.micro.tolist() == [-2 * MICRO, 5 * MICRO]
    assert difference.mean == 1.5
    assert difference.days == 2


def test_a_day_without_pairs_is_a_gap_and_not_a_zero() -> None:
    a = ScalarSums.of(grid([2], [None], [2]), filled(3, 0.0))
    b = ScalarSums.of(grid([1], [None], [1]), filled(3, 0.0))
    difference = daily_difference(a, b)
    assert difference.present.tolist() == [True, False, True]
    assert difference.mean == 1.0
    assert series(None, None).mean is None


def test_models_summed_over_different_pairs_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same pairs"):
        daily_difference(ScalarSums.of(filled(1, 1), filled(1, 0)), ScalarSums.of(grid([1]), filled(1, 0)))


def test_directions_and_winds_have_daily_differences_too() -> None:
    wind, north = filled(1, 20.0), filled(1, 0.0)
    turned = daily_difference(
        DirectionSums.of(filled(1, 350), north, wind, wind),
        DirectionSums.of(filled(1, 30), north, wind, wind),
    )
    assert turned.mean == -20.0
    stronger = daily_difference(
        VectorSums.of(north, north, filled(1, 23.0), wind), VectorSums.of(north, north, wind, wind)
    )
    assert stronger.mean == 3.0


def test_one_step_ahead_is_the_t_test_worked_out_by_hand() -> None:
    # 1, 2, 3, 6: mean 3, squares about it 4 + 1 + 0 + 9 = 14; V = 14/4/4, corrected by (n - 1) / n: 14/12.
    found = hln(series(1, 2, 3, 6), 1)
    assert found is not None
    error = math.sqrt(14 / 12)
    assert found.mean == 3.0
    assert found.interval == pytest.approx((3 - 3.182446 * error, 3 + 3.182446 * error), abs=1e-5)
    assert found.p_value == pytest.approx(2 * float(stdtr(3, -3 / error)))
    assert (found.days, found.method) == (4, Method.HARVEY_LEYBOURNE_NEWBOLD)


def test_two_steps_ahead_counts_the_first_autocovariance_as_worked_out_by_hand() -> None:
    # About the mean 3: -2, -1, 0, 3; products of neighbours 2 + 0 + 0 = 2, so V = (14 + 2 * 2) / 4 / 4.
    # Correction (4 + 1 - 4 + 2 / 4) / 4 = 0.375.
    found = hln(series(1, 2, 3, 6), 2)
    assert found is not None
    reach = float(stdtrit(3, 0.975)) * math.sqrt(18 / 16 / 0.375)
    assert found.interval == pytest.approx((3 - reach, 3 + reach))


def test_days_either_side_of_a_gap_are_not_neighbours() -> None:
    # With the gap only -2 * -1 is a product of neighbours: V = (14 + 2 * 2) / 16; glued, 0 * 3 adds
    # nothing here but -1 * 0 would; moving the gap takes the product away: V = 14 / 16.
    glued, kept, taken = (
        hln(s, 2) for s in (series(1, 2, 3, 6), series(1, 2, None, 3, 6), series(1, None, 2, 3, 6))
    )
    assert glued is not None
    assert kept is not None
    assert taken is not None
    assert kept.interval == pytest.approx(glued.interval)
    reach = float(stdtrit(3, 0.975)) * math.sqrt(14 / 16 / 0.375)
    assert taken.interval == pytest.approx((3 - reach, 3 + reach))


def test_gaps_at_the_ends_change_nothing() -> None:
    values = noise(40)
    for test in (hln, hering_genton):
        plain, padded = test(series(*values), 2), test(series(None, *values, None, None), 2)
        assert plain is not None
        assert padded is not None
        assert padded == plain
    assert mean_interval(series(None, *values, None, None)) == mean_interval(series(*values))


def test_a_variance_that_is_not_positive_hands_over_to_hering_genton() -> None:
    # Alternating signs: the first autocovariance is nearly minus the variance.
    alternating = series(*[1.0, -0.9] * 20)
    assert hln(alternating, 2) is None
    found = mean_test(alternating, 2)
    assert found is not None
    assert found.method is Method.HERING_GENTON
    assert found.interval.low < found.interval.high
    ordinary = mean_test(series(*noise(30)), 2)
    assert ordinary is not None
    assert ordinary.method is Method.HARVEY_LEYBOURNE_NEWBOLD


def test_hering_genton_recovers_an_exponential_autocovariance() -> None:
    # AR(1) with 0.6: the variance of the mean is that of one day times (1 + 0.6) / (1 - 0.6) / n.
    shocks = np.random.default_rng(5).standard_normal(4000)
    values = [float(shocks[0])]
    for shock in shocks[1:]:
        values.append(0.6 * values[-1] + float(shock))
    found = hering_genton(series(*values), 2)
    assert found is not None
    expected = 1.96 * math.sqrt(1 / (1 - 0.6**2) * (1.6 / 0.4) / 4000)
    assert found.interval.high - found.mean == pytest.approx(expected, rel=0.15)


def test_with_every_second_day_missing_hering_genton_sees_a_series_of_every_second_day() -> None:
    shocks = np.random.default_rng(14).standard_normal(801)
    values = [float(shocks[0])]
    for shock in shocks[1:]:
        values.append(0.8 * values[-1] + float(shock))
    gappy = hering_genton(series(*[value if day % 2 == 0 else None for day, value in enumerate(values)]), 2)
    glued = hering_genton(series(*values[::2]), 2)
    assert gappy is not None
    assert glued is not None
    assert gappy.interval == pytest.approx(glued.interval, rel=0.02)


def test_the_tests_do_not_depend_on_the_unit() -> None:
    values = noise(60, seed=6)
    for test in (hln, hering_genton):
        one, thousand = test(series(*values), 3), test(series(*[1000 * value for value in values]), 3)
        assert one is not None
        assert thousand is not None
        assert thousand.p_value == pytest.approx(one.p_value, rel=1e-4)


@pytest.mark.parametrize(
    ("values", "steps"),
    [([], 1), ([1.0], 1), ([1.0, 2.0], 2), ([0.1] * 50, 1), ([1 / 3] * 50, 2), ([None] * 9, 1)],
)
def test_without_days_or_change_there_is_no_test(values: list[float | None], steps: int) -> None:
    assert mean_test(series(*values), steps) is None


def test_a_forecast_of_the_past_is_refused() -> None:
    for test in (hln, hering_genton):
        with pytest.raises(ValueError, match="step"):
            test(series(*noise(9)), 0)


@pytest.mark.parametrize(
    ("days", "length"),
    [(1, 5), (100, 5), (125, 5), (126, 6), (216, 6), (217, 7), (343, 7), (365, 8), (1000, 10)],
)
def test_blocks_have_five_days_or_the_cube_root_rounded_up(days: int, length: int) -> None:
    assert block_length(days) == length


def drawn_days(days: int) -> Integers:
    """Return the days of each replicate, one by one, shape (replicates, days)."""
    drawn = draws(days)
    assert drawn is not None
    blocks = (drawn.starts[:, :, None] + np.arange(drawn.length)) % days
    return blocks.reshape(len(blocks), -1)[:, :days]


@pytest.mark.parametrize("days", [10, 11, 53, 365])
def test_totals_of_replicates_are_those_of_their_days(days: int) -> None:
    drawn = draws(days)
    assert drawn is not None
    column = np.random.default_rng(7).integers(-(10**12), 10**12, days)
    assert np.array_equal(drawn.totals(column), column[drawn_days(days)].sum(axis=1))
    assert (drawn.totals(np.ones(days, dtype=np.int64)) == days).all()


def test_every_day_is_as_likely_as_any_other_those_at_the_ends_too() -> None:
    counts = np.bincount(drawn_days(53).ravel(), minlength=53) / REPLICATES.value
    assert counts == pytest.approx(np.ones(53), abs=0.15)


def test_neighbours_are_drawn_together_around_the_end_too() -> None:
    followed = (np.diff(drawn_days(50), axis=1) % 50 == 1).mean()
    assert followed == pytest.approx(0.8 + 0.2 / 50, abs=0.03)  # four of five steps are within a block


def test_the_same_days_are_drawn_every_time_and_on_every_machine() -> None:
    first = drawn_days(90)
    draws.cache_clear()
    assert np.array_equal(first, drawn_days(90))
    # As drawn on the day this was written: PCG64's raw stream is promised to stay.
    assert first[0, ::5].tolist() == [16, 88, 6, 48, 77, 53, 64, 40, 25, 65, 21, 58, 9, 8, 52, 69, 73, 42]


def test_a_gap_that_is_drawn_adds_nothing() -> None:
    values: list[float | None] = [*noise(60, 2.0)]
    gappy = mean_interval(series(*[v if day % 3 else None for day, v in enumerate(values)]))
    assert gappy is not None
    assert 1.5 < gappy.low < 2.0 < gappy.high < 2.5


def test_the_interval_of_a_mean_is_about_what_theory_says() -> None:
    values = noise(400, 1.0, seed=8)
    found = mean_interval(series(*values))
    assert found is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(values) / 20, rel=0.15)


@pytest.mark.parametrize("days", [0, 1, 5, 9])
def test_fewer_days_than_two_blocks_have_no_interval_instead_of_a_point(days: int) -> None:
    sums = ScalarSums.of(filled(days, 2.0), filled(days, 1.0))
    assert mean_interval(series(*[1.0] * days)) is None
    assert score_interval(mae, sums) is None
    assert effective_of(sums) is None


def test_days_before_the_first_and_after_the_last_with_data_are_not_drawn() -> None:
    generator = np.random.default_rng(13)
    f, o = random_grid(generator, 60, 0, 40), random_grid(generator, 60, 0, 40)
    late = f.copy()
    late[:20] = ABSENT
    late[50:] = ABSENT
    whole, part = ScalarSums.of(late, o), ScalarSums.of(f[20:50], o[20:50])
    assert score_interval(mae, whole) == score_interval(mae, part)
    assert effective_of(whole) == effective_of(part)


def test_ratios_are_formed_from_resampled_counts() -> None:
    generator = np.random.default_rng(9)
    f, o = random_grid(generator, 60, 0, 40), random_grid(generator, 60, 0, 40)
    counts = counted(f, o, 25.0)
    found = score_interval(pod, counts)
    days = drawn_days(60)
    by_hand = counts.a[days].sum(axis=1) / (counts.a + counts.c)[days].sum(axis=1)
    assert found == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))


def test_a_score_that_is_mostly_undefined_has_no_interval() -> None:
    f, o = filled(60, 0.0), filled(60, 0.0)
    o[7, 12] = 30_000  # one event: a third of the replicates never draw it
    assert score_interval(csi, counted(f, o, 25.0)) is None
    assert percentile(np.array([1.0] * 90 + [math.nan] * 10)) == Interval(1.0, 1.0)
    assert percentile(np.array([1.0] * 89 + [math.nan] * 11)) is None


def test_hours_that_repeat_each_other_count_for_less() -> None:
    generator = np.random.default_rng(11)
    o = filled(120, 0.0)
    independent = random_grid(generator, 120, -5, 5, absent=0)
    same_all_day = np.repeat(independent[:, :1], 25, axis=1)
    alone, repeated = (
        effective_of(ScalarSums.of(independent, o)),
        effective_of(ScalarSums.of(same_all_day, o)),
    )
    assert alone == pytest.approx(120 * 24, rel=0.25)
    assert repeated == pytest.approx(120, rel=0.35)
    assert effective_of(ScalarSums.of(filled(60, 1.0), filled(60, 0.0))) is None


def test_hours_of_directions_and_winds_that_repeat_each_other_count_for_less_too() -> None:
    generator = np.random.default_rng(12)
    o, speed = filled(120, 0.0), filled(120, 20.0)
    independent = random_grid(generator, 120, 0, 360, absent=0)
    same_all_day = np.repeat(independent[:, :1], 25, axis=1)
    for kind in (DirectionSums, VectorSums):
        alone, repeated = (effective_of(kind.of(f, o, speed, speed)) for f in (independent, same_all_day))
        assert alone == pytest.approx(120 * 24, rel=0.25)
        assert repeated == pytest.approx(120, rel=0.35)


def test_a_few_days_far_apart_have_no_effective_pairs_as_they_have_no_interval() -> None:
    f = filled(365, ABSENT / 1000)
    f[0, :2], f[364, :2] = 12_000, 15_000
    sums = ScalarSums.of(f, filled(365, 10.0))
    assert sums.total().n == 4
    assert score_interval(mae, sums) is None
    assert effective_of(sums) is None


def test_groups_have_the_effective_pairs_that_each_has_alone() -> None:
    generator = np.random.default_rng(14)
    f, o = random_grid(generator, 60, 0, 40), random_grid(generator, 60, 0, 40)
    halves = [ScalarSums.of(f, o, np.broadcast_to(np.arange(25) % 2 == half, f.shape)) for half in (0, 1)]
    both = beside([half.each(lambda column: column[:, None]) for half in halves])
    drawn = resampled(both)
    assert drawn is not None
    assert effective_pairs(over_days(both), drawn[0]) == [effective_of(half) for half in halves]


def test_wilson_is_the_one_worked_out_by_hand() -> None:
    # 8 of 10 with z = 1.959964: (0.8 + 0.192073 ± 1.959964 sqrt(0.016 + 0.0096036)) / 1.384146.
    assert wilson(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert wilson(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)
    assert wilson(10, 10) == pytest.approx((1 - 0.277533, 1.0), abs=1e-6)
    assert wilson(0, 0) is None


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


def test_intervals_of_many_columns_are_those_of_each_by_itself() -> None:
    replicates = np.random.default_rng(4).normal(size=(500, 4))
    replicates[0, 1] = replicates[:, 2] = np.nan
    assert percentiles(replicates) == [percentile(replicates[:, column]) for column in range(4)]
    assert percentiles(replicates)[2] is None


@given(of=st.integers(1, 5000), data=st.data())
def test_wilson_contains_its_rate_and_mirrors(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    found, mirrored = wilson(count, of), wilson(of - count, of)
    assert found is not None
    assert mirrored is not None
    assert 0 <= found.low <= count / of <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_a_count_above_its_total_is_refused() -> None:
    with pytest.raises(ValueError, match="no rate"):
        wilson(3, 2)


def test_benjamini_hochberg_is_the_one_worked_out_by_hand() -> None:
    # Five tests, q = 0.10: limits 0.02, 0.04, 0.06, 0.08, 0.10. 0.03 fails its own rank 1, but rank 3 passes.
    assert benjamini_hochberg([0.9, 0.03, 0.059, 0.035, 0.5]) == (False, True, True, True, False)
    assert benjamini_hochberg([0.021, 0.9, 0.9, 0.9, 0.9]) == (False,) * 5
    assert benjamini_hochberg([0.05, None, 0.05]) == (True, False, True)
    assert benjamini_hochberg([]) == ()
    assert benjamini_hochberg([None]) == (False,)


def found(low: float, high: float) -> MeanTest:
    return MeanTest((low + high) / 2, Interval(low, high), 0.01, 90, Method.HARVEY_LEYBOURNE_NEWBOLD)


@pytest.mark.parametrize(
    ("test", "bootstrap", "verdict"),
    [
        (found(-2, -1), Interval(-2, -1), Outcome.A_BETTER),
        (found(1, 2), Interval(1, 2), Outcome.B_BETTER),
        (found(-2, -1), Interval(-2, 0), Outcome.TOO_CLOSE),
        (found(-2, 0), Interval(-2, -1), Outcome.TOO_CLOSE),
        (found(-0.6, -0.4), Interval(-0.6, -0.4), Outcome.TOO_CLOSE),  # exactly the least difference
        (found(-0.61, -0.4), Interval(-0.6, -0.4), Outcome.A_BETTER),
        (found(1, 2), Interval(-2, -1), Outcome.TOO_CLOSE),
        (None, Interval(1, 2), Outcome.TOO_CLOSE),
        (found(1, 2), None, Outcome.TOO_CLOSE),
    ],
)
def test_better_needs_both_intervals_and_a_difference_that_matters(
    test: MeanTest | None, bootstrap: Interval | None, verdict: Outcome
) -> None:
    assert outcome(test, bootstrap, 0.5) is verdict


def test_a_clear_difference_is_found_and_its_mirror_names_the_other() -> None:
    values = noise(90, -2.0, seed=12)
    here = compare(series(*values), 1, Parameter.WIND_SPEED)
    there = compare(series(*[-value for value in values]), 1, Parameter.WIND_SPEED)
    assert (here.outcome, there.outcome) == (Outcome.A_BETTER, Outcome.B_BETTER)
    assert here.days == 90
    assert here.difference == pytest.approx(-2.0, abs=0.3)
    assert compare(series(*values), 1, Parameter.WIND_DIRECTION).outcome is Outcome.TOO_CLOSE


def test_two_equal_models_are_too_close_to_call() -> None:
    same = compare(series(*[0.0] * 90), 1, Parameter.WIND_SPEED)
    assert (same.outcome, same.test, same.difference) == (Outcome.TOO_CLOSE, None, 0.0)
    none = compare(series(), 1, Parameter.WIND_SPEED)
    assert (none.outcome, none.difference, none.days) == (Outcome.TOO_CLOSE, None, 0)
