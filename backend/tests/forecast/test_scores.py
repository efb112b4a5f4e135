"""Scores, quantiles and weights against independent implementations and figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import scoringrules  # type: ignore[import-untyped]

from backend.forecast import aggregation, interval, verification
from backend.forecast.gate import Evidence, Gate, Reason, Stage, decide, findings, stage, veto
from backend.forecast.interval import HIGH, LEVELS, LOW, MEDIAN


def test_crps_and_interval_score_equal_those_of_scoringrules() -> None:
    generator = np.random.default_rng(1)
    quantiles = np.sort(generator.gamma(3, 4, (50, 19)), axis=-1)
    observed = generator.gamma(3, 4, 50)
    np.testing.assert_allclose(
        verification.crps(quantiles, observed), scoringrules.crps_quantile(observed, quantiles, LEVELS)
    )
    np.testing.assert_allclose(
        verification.interval_score(quantiles, observed),
        scoringrules.interval_score(observed, quantiles[:, LOW], quantiles[:, HIGH], 0.2),
    )


@pytest.mark.parametrize("days", [9, 19, 29, 60, 90])
def test_the_interval_has_the_ranks_of_split_conformal_prediction(days: int) -> None:
    errors = np.random.default_rng(days).permutation(np.arange(1.0, days + 1))
    past_errors = np.full((90, 8, 4), np.nan)
    past_errors[-days:, 0, 0] = errors
    past = np.where(np.isnan(past_errors), np.nan, 10.0)  # one strength: a third that is the whole class
    found = interval.dressed(np.full((8, 4), 10.0), past, past_errors, 0.0) - 10
    # By hand: of n errors 1 ... n, the ranks 0.1 (n + 1) and 0.9 (n + 1).
    assert found[0, 0, LOW] == pytest.approx((days + 1) / 10)
    assert found[0, 0, HIGH] == pytest.approx(9 * (days + 1) / 10)
    assert found[0, 0, MEDIAN] == pytest.approx((days + 1) / 2)
    assert np.isnan(found[1]).all()


def test_the_quantiles_of_one_hour_a_day_are_those_of_numpy() -> None:
    errors = np.random.default_rng(4).gamma(2, 3, 40)
    past_errors = np.full((40, 8, 4), np.nan)
    past_errors[:, 2, 1] = errors
    past = np.where(np.isnan(past_errors), np.nan, 10.0)
    found = interval.dressed(np.full((8, 4), 10.0), past, past_errors, 0.0)[2, 0]
    np.testing.assert_allclose(found, np.quantile(10 + errors, LEVELS, method="weibull"))


def test_a_past_calm_stays_a_calm() -> None:
    past, errors = np.full((2, 90, 8, 4), np.nan)
    past[:, 0] = np.tile([1.0, 2.0, 3.0, np.nan], (90, 1))
    errors[:, 0] = np.where(np.arange(90)[:, None] % 3 < 2, -past[:, 0], 4.0)  # two of three days are calm
    found = interval.dressed(np.full((8, 4), 3.0), past, errors, 0.0)[0, 0]
    assert (found[LEVELS < 0.66] == 0).all()
    assert found[HIGH] == 7.0


def test_of_few_days_the_newest_three_quarters_count() -> None:
    errors = np.ones((4, 90, 8, 4))
    counted = interval.newest(errors, np.array([10, 40, 100, 500]))
    assert (~np.isnan(counted[:, :, 0, 0])).sum(axis=1).tolist() == [20, 30, 75, 90]
    assert not np.isnan(counted[:, -20:]).any()


def test_there_is_no_interval_below_nine_days_even_of_three_hours() -> None:
    past_errors = np.full((90, 8, 4), np.nan)
    past_errors[-8:, :, :3] = 1.0
    values = np.full((8, 4), 10.0)
    assert np.isnan(interval.dressed(values, past_errors * 10, past_errors, 0.0)).all()


def test_equal_errors_count_in_the_order_of_their_hours_and_a_day_of_25_hours_as_one_day() -> None:
    rng = np.random.default_rng(1)
    errors = rng.integers(-2, 3, (3, 30, 8, 4)).astype(float)
    errors[rng.random(errors.shape) < 0.3] = np.nan
    errors[..., 3] = np.nan
    errors[0, 20, 0, 3] = 1.0  # the second 2 o'clock
    past = np.broadcast_to(np.arange(30.0)[:, None, None] + 10, errors.shape)  # a third has 10 days, too few
    values = np.full((3, 8, 4), 20.0)
    together = interval.dressed(values, past, errors, 0.0) - 20
    for unit, hour_class in product(range(3), range(8)):
        alone = interval.dressed(values[unit], past[unit], errors[unit], 0.0) - 20
        np.testing.assert_array_equal(together[unit], alone)
        there = ~np.isnan(errors[unit, :, hour_class])
        weight = (there / np.maximum(there.sum(axis=1, keepdims=True), 1))[there]
        members = errors[unit, :, hour_class][there]
        order = members.argsort(kind="stable")
        rank = weight[order].cumsum() - weight[order] / 2 + 0.5
        expected = np.interp(interval.LEVELS * (weight.sum() + 1), rank, members[order])
        np.testing.assert_allclose(together[unit, hour_class], np.tile(expected, (4, 1)), atol=1e-12)


def test_strong_wind_is_dressed_with_the_errors_of_strong_wind() -> None:
    past, errors = np.full((2, 90, 8, 4), np.nan)
    past[:, :, 0] = np.linspace(1, 90, 90)[:, None]
    errors[:, :, 0] = np.where(past[:, :, 0] > 60, 8.0, 1.0)
    values = np.full((8, 4), 80.0)
    values[:, 1] = 5.0
    found = interval.dressed(values, past, errors, 0.0) - values[..., None]
    assert found[0, 0, MEDIAN] == 8.0
    assert found[0, 1, MEDIAN] == 1.0


def test_the_chance_of_a_day_counts_days_and_is_never_0_or_100_percent() -> None:
    hours = np.zeros((8, 4), dtype=bool)
    hours[3:6, :3] = True
    wind, gust = np.full((1, 8, 4), 15.0), np.full((1, 8, 4), 25.0)
    wind_errors, gust_errors = np.zeros((2, 1, 90, 8, 4))
    wind_errors[:, :80] = np.nan  # ten members
    wind_errors[0, 81, 4, 1] = 20.0
    gust_errors[0, 81, 3, 0] = gust_errors[0, 82, 5, 2] = 20.0
    gust_errors[0, 83, 0, 0] = 20.0  # at night
    chance, days = interval.chance_of_day([wind, gust], [wind_errors, gust_errors], [25.0, 40.0], hours)
    assert (chance[0], days[0]) == (3 / 12, 10)
    chance, _ = interval.chance_of_day([wind, gust], [wind_errors, gust_errors], [99.0, 99.0], hours)
    assert chance[0] == 1 / 12


def test_the_chance_of_an_hour_weighs_days() -> None:
    errors = np.full((1, 90, 8, 4), np.nan)
    errors[0, -10:, 4, :3] = 0.0
    errors[0, -1, 4, :3] = 20.0, 20.0, 0.0
    chance, days = interval.chance_of_hour(np.full((1, 8, 4), 15.0), errors, 25.0)
    assert days[0, 4, 0] == pytest.approx(10)
    assert chance[0, 4, 0] == pytest.approx((2 / 3 + 1) / 12)
    assert np.isnan(chance[0, 0, 0])


def test_one_step_of_the_aggregation_by_hand() -> None:
    experts = np.full((1, 2, 8, 4), np.nan)
    experts[0, 0, 0, 0], experts[0, 1, 0, 0] = 10.0, 14.0
    known = aggregation.fresh(1, 2)
    weights = aggregation.weights(known, experts)
    combined = aggregation.combine(weights, experts)
    assert combined[0, 0, 0] == 12.0
    regrets = aggregation.regrets(experts, combined, np.full((1, 8, 4), 10.0))
    known = aggregation.update(known, regrets)
    # p - o = 2: r = +-2, 1 / eta^2 = 1 + 2.2 * 4, R = r - eta r^2.
    rate = 9.8**-0.5
    assert known.inverse_rate[0, :, 0] == pytest.approx([9.8, 9.8])
    assert known.regret[0, :, 0] == pytest.approx([2 - 4 * rate, -2 - 4 * rate])
    after = aggregation.weights(known, experts)[0, :, 0, 0]
    assert after[0] / after[1] == pytest.approx(np.exp(4 * rate))
    assert np.isfinite(aggregation.weights(aggregation.fresh(1, 2), np.full((1, 2, 8, 4), np.nan))).all()


def test_pit_of_calm_is_spread_over_what_the_zeros_hold() -> None:
    quantiles = np.concatenate([np.zeros(14), np.arange(1.0, 6.0)])
    calm = verification.pit(np.tile(quantiles, (20_000, 1)), np.zeros(20_000), seed=3)
    assert calm.min() >= 0
    assert calm.max() <= 0.75
    assert np.nanmean(verification.covered(calm)) == pytest.approx(0.65 / 0.75, abs=0.01)
    assert np.nanmean(verification.plainly_covered(np.tile(quantiles, (5, 1)), np.zeros(5))) == 1


def test_reliability_and_brier_by_hand() -> None:
    chance, happened = np.array([0.05, 0.15, 0.15, 1.0, np.nan]), np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    table = verification.reliability(chance, happened)
    assert table.cases.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert table.happened[[0, 1, 9]].tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(
        verification.brier(chance, happened)[:4],
        [scoringrules.brier_score(o, p) for o, p in zip(happened[:4], chance[:4], strict=True)],
    )


def days_of(gain: float, *, placebo: float = 2.0, share: float = 0.8, days: int = 60) -> Evidence:
    generator = np.random.default_rng(8)
    noise = generator.normal(0, 0.1, (days, 5))
    base = 3 + generator.normal(0, 0.3, (days, 5))
    # Day by day one hour in twenty more and less than the share is inside.
    inside = np.tile((np.arange(20) < share * 20).astype(float), (days, 1))
    inside[::2, 0], inside[1::2, -1] = 0.0, 1.0
    return Evidence(base - gain + noise, base, base - gain + placebo, base - gain + noise, base, inside)


def test_the_stage_of_a_site_follows_its_days() -> None:
    assert [stage(days) for days in (14, 15, 29, 30)] == [
        *(Stage.NOTHING, Stage.TRIAL, Stage.TRIAL, Stage.GATED)
    ]


@pytest.mark.parametrize(
    ("evidence", "reasons"),
    [
        (days_of(0.5), set()),
        (days_of(0.5, days=29), {Reason.FEW_DAYS}),
        (days_of(-0.1), {Reason.MAE_NOT_BETTER, Reason.CRPS_NOT_BETTER}),
        (days_of(0.5, placebo=0.0), {Reason.PLACEBO_AS_GOOD}),
        (days_of(0.5, share=0.6), {Reason.COVERAGE_OFF}),
    ],
)
def test_each_reason_closes_the_gate(evidence: Evidence, reasons: set[Reason]) -> None:
    assert {finding.reason for finding in findings(evidence)} == reasons


def test_few_effective_days_leave_the_coverage_uncertain() -> None:
    evidence = days_of(0.5)
    inside = np.repeat(np.random.default_rng(2).random((60, 1)) < 0.8, 5, axis=1).astype(float)
    found = findings(replace(evidence, covered=inside))
    assert Reason.COVERAGE_UNCERTAIN in {finding.reason for finding in found}


def test_the_gate_is_decided_weekly_and_closes_after_two_failures() -> None:
    good, bad = days_of(0.5), days_of(-0.1)
    gate = decide(Gate(), good, 100)
    assert gate.open
    assert decide(gate, bad, 106) is gate
    once = decide(gate, bad, 107)
    assert (once.open, once.failures) == (True, 1)
    assert not decide(once, bad, 114).open
    assert decide(decide(once, good, 114), bad, 121).open
    assert not decide(Gate(), bad, 100).open


def test_a_site_is_refused_for_its_shrunk_gain_or_for_too_little_coverage() -> None:
    assert veto(days_of(0.5), 0.3) is None
    assert veto(days_of(-0.1, days=20), 0.3) is None
    no_gain = veto(days_of(-0.1, days=120), 0.3)
    assert no_gain is not None
    assert no_gain.reason is Reason.SITE_NO_GAIN
    uncovered = veto(days_of(0.5, share=0.6), 0.3)
    assert uncovered is not None
    assert uncovered.reason is Reason.SITE_UNDER_COVERS
