"""The tests of the corrected forecast that must be able to fail, and the same bits from replay and steps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from backend.forecast.cells import PLACES, Floats, from_cells, to_cells
from backend.forecast.experts import TEMPERATURE, WIND, advise, expert_names, forget_model, remember
from backend.forecast.gate import Evidence, Reason, findings
from backend.forecast.interval import HIGH, LOW
from backend.forecast.learning import Day, ForecastHours, State, issue, learn, replay
from backend.forecast.verification import covered, over_days, pit
from backend.tests.support.forecast_worlds import evidence, issued_days, stored, values, world


def mae(issued: list[ForecastHours], observed: Floats, days: slice) -> float:
    return float(np.nanmean(np.abs(values(issued) - observed)[days]))


def part_of(all_units: Evidence, days: slice, units: list[int] | slice) -> Evidence:
    return Evidence(*(getattr(all_units, field.name)[days, units] for field in fields(Evidence)))


def opens(*, shuffled: bool) -> tuple[float, float]:
    """Return of how many of 100 installations of six stations the gate passes, also without the placebo."""
    models, observed = world(80, 24, [3.0, -2.0], seed=4)
    generator = np.random.default_rng(5)
    if shuffled:
        observed = observed[generator.permutation(len(observed))]
    else:
        models += np.tile([0.0, 6.0], 12)[:, None, None, None]  # the placebo is of the other kind
    found = evidence(models, observed)
    groups = [sorted(generator.choice(24, 6, replace=False).tolist()) for _ in range(100)]
    reasons = [
        {finding.reason for finding in findings(part_of(found, slice(30, None), group))} for group in groups
    ]
    passed = sum(not of_group for of_group in reasons)
    return passed / 100, sum(of_group <= {Reason.PLACEBO_AS_GOOD} for of_group in reasons) / 100


def test_shuffled_observations_open_the_gate_in_at_most_five_percent_of_worlds() -> None:
    """Readings of other days leave nothing to learn about a station: only the climate, which all share."""
    passed, without_placebo = opens(shuffled=True)
    assert passed <= 0.05
    assert without_placebo >= 0.5, "the placebo is the condition that fails"


def test_true_readings_open_the_gate_of_most_of_the_same_worlds() -> None:
    assert opens(shuffled=False)[0] >= 0.5


def test_a_gain_opens_the_gate_of_an_installation() -> None:
    models, observed = world(150, 6, [4.0, -4.0], seed=4)
    # Each station has a bias of its own, so that the correction of another one is no substitute.
    models += np.linspace(0, 6, 6)[:, None, None, None]
    found = evidence(models, observed)
    assert findings(part_of(found, slice(50, None), slice(None))) == ()


def test_the_weights_of_two_identical_models_give_no_gain() -> None:
    models, observed = world(60, 4, [2.0], seed=6)
    alone = issued_days(models, observed)
    twice = issued_days(models.repeat(2, axis=2), observed)
    np.testing.assert_array_equal(twice[-1].weights[:, 0], twice[-1].weights[:, 1])
    assert mae(twice, observed, slice(20, 60)) == pytest.approx(mae(alone, observed, slice(20, 60)), rel=0.02)


def test_a_jump_of_a_model_is_recovered_within_ten_days() -> None:
    models, observed = world(120, 6, [0.5, 3.0, -3.0], seed=7)
    jumped = models.copy()
    jumped[70:, :, 0] += 5.0
    before, after = issued_days(models, observed), issued_days(jumped, observed)
    assert mae(after, observed, slice(80, 90)) <= 1.15 * mae(before, observed, slice(80, 90))
    raw = float(np.nanmean(np.abs(jumped[80:90, :, 0] - observed[80:90])))
    assert mae(after, observed, slice(80, 90)) < 0.6 * raw


def test_a_changed_station_starts_again() -> None:
    models, observed = world(40, 3, [2.0, -1.0], seed=8)
    *_, (_, state) = replay(stored(models, observed), State.fresh(3, 2), WIND)
    again = state.restarted(1)
    assert again.days.tolist() == [state.days[0], 0, state.days[2]]
    for name, part in again.taken([1]).arrays().items():
        np.testing.assert_array_equal(part, State.fresh(1, 2).arrays()[name])
    for name, part in again.taken([0, 2]).arrays().items():
        np.testing.assert_array_equal(part, state.taken([0, 2]).arrays()[name])
    assert np.isnan(issue(again, models[-1], WIND).quantiles[1]).all()


def test_without_a_model_for_a_week_the_others_carry_on() -> None:
    models, observed = world(60, 4, [0.0, 2.0, -2.0], seed=9)
    models[40:47, :, 0] = np.nan
    issued = issued_days(models, observed)
    there = ~np.isnan(observed)
    assert not np.isnan(values(issued)[40:47][there[40:47]]).any()
    assert (issued[43].weights[:, 0] == 0).all()
    np.testing.assert_allclose(issued[43].weights.sum(axis=1)[..., : PLACES - 1], 1.0)
    slept = issued[39].weights[:, 0, :, :3], issued[47].weights[:, 0, :, :3]
    assert (slept[1] > 0).all()
    assert mae(issued, observed, slice(40, 47)) < 1.5 * mae(issued, observed, slice(30, 40))


def calm_beacon() -> tuple[Floats, Floats]:
    """Return the quantiles of eight beacons with 70 % zeros, and the readings, in km/h."""
    models, observed = world(140, 8, [2.0, -1.0], seed=10)
    observed = np.maximum(np.rint(observed - np.nanquantile(observed, 0.7)), 0)
    assert np.mean(observed[~np.isnan(observed)] == 0) == pytest.approx(0.7, abs=0.05)
    return np.stack([one.quantiles for one in issued_days(models, observed)]), observed


def test_a_calm_beacon_has_no_negative_wind() -> None:
    quantiles, _ = calm_beacon()
    assert np.nanmin(quantiles) >= 0
    assert np.nanmean(quantiles[60:, ..., HIGH] - quantiles[60:, ..., LOW]) < 8


def test_a_calm_beacon_has_an_honest_interval() -> None:
    quantiles, observed = calm_beacon()
    share = over_days(covered(pit(quantiles, observed, seed=2))[60:]).mean
    assert 0.75 <= share <= 0.85


def test_a_reading_is_not_used_before_it_came() -> None:
    models, observed = world(40, 1, [3.0, -2.0], seed=11)
    days = stored(models, observed)
    late = [day._replace(known=30) if t == 12 else day for t, day in enumerate(days)]
    other = [
        day._replace(observed=day.observed + 40, known=30) if t == 12 else day for t, day in enumerate(days)
    ]
    runs = [list(replay(inputs, State.fresh(1, 2), WIND)) for inputs in (late, other)]
    same = [
        np.array_equal(a.combined, b.combined, equal_nan=True) for (a, _), (b, _) in zip(*runs, strict=True)
    ]
    assert same == [day.decided < 30 for day in late]


def test_days_out_of_the_order_of_their_decisions_are_refused() -> None:
    days = stored(*world(3, 1, [0.0], seed=1))
    with pytest.raises(ValueError, match="order of their decisions"):
        list(replay(days[::-1], State.fresh(1, 1), WIND))


def test_steps_with_a_stored_state_give_the_bits_of_the_replay() -> None:
    models, observed = world(45, 2, [1.0, -2.0, 4.0], seed=12)
    days = stored(models, observed)
    replayed = list(replay(days, State.fresh(2, 3), WIND))
    again = list(replay(days, State.fresh(2, 3), WIND))
    alone = list(replay([Day(d.models[:1], d.observed[:1], d.decided, d.known) for d in days],
                        State.fresh(1, 3), WIND))  # fmt: skip
    state, waiting = State.fresh(2, 3), list[tuple[Day, ForecastHours]]()
    for day, (of_replay, _), (repeated, _), (of_one, _) in zip(days, replayed, again, alone, strict=True):
        for earlier, issued in [pair for pair in waiting if pair[0].known <= day.decided]:
            state = State.from_arrays(
                {k: v.copy() for k, v in learn(state, issued, earlier.observed).arrays().items()}
            )
        waiting = [pair for pair in waiting if pair[0].known > day.decided]
        step = issue(state, day.models, WIND)
        waiting.append((day, step))
        for field in fields(ForecastHours):
            expected = getattr(of_replay, field.name)
            np.testing.assert_array_equal(getattr(step, field.name), expected)
            np.testing.assert_array_equal(getattr(repeated, field.name), expected)
            np.testing.assert_array_equal(getattr(of_one, field.name), expected[:1])


def test_a_correction_removes_a_bias_and_its_model_may_be_forgotten() -> None:
    models, observed = world(30, 1, [6.0], seed=13)
    *_, (_, state) = replay(stored(models, observed), State.fresh(1, 1), WIND)
    corrected = advise(state.memory, models[-1], TEMPERATURE)[0, 2]
    shift = np.nanmean(corrected - models[-1][0, 0])
    assert -6.5 < shift < -4.0  # the prior of no bias keeps a part of it
    asleep = replace(state, memory=forget_model(state.memory, 0))
    assert np.isnan(advise(asleep.memory, models[-1], WIND)[0, 1:4]).all()


@pytest.mark.parametrize(
    "clock",
    [
        [*range(24), -1],
        [0, 1, *range(3, 24), -1, -1],
        [0, 1, 2, 2, *range(3, 24)],
    ],
)
def test_a_day_of_any_length_comes_back_from_its_cells(clock: list[int]) -> None:
    shown = np.array(clock)
    day = np.where(shown >= 0, np.arange(25.0), np.nan)
    cells = to_cells(day, shown)
    np.testing.assert_array_equal(from_cells(cells, shown), day)
    assert cells[4, 2] == day[clock.index(14)]


def test_each_expert_has_the_name_of_its_model_and_memory() -> None:
    models, observed = world(8, 1, [0.0, 0.0], seed=3)
    models[:, :, 1] = observed
    models[6, :, 1] += 10.0  # a short memory makes most of the newest day
    memory = State.fresh(1, 2).memory
    for day in range(7):
        memory = remember(memory, models[day], observed[day])
    advice = dict(zip(expert_names(["a", "b"]), advise(memory, models[7], TEMPERATURE)[0], strict=True))
    bias = {name: float(np.nanmean(value - models[7, 0, 1])) for name, value in advice.items()}
    np.testing.assert_array_equal(advice["b"], models[7, 0, 1])
    assert bias["b:3"] < bias["b:10"] < bias["b:30"] < 0.0
    np.testing.assert_array_equal(advice["newest_observation"], observed[6, 0])
    np.testing.assert_allclose(advice["mean"], models[7, 0].mean(axis=0))
