"""Skill, groups of pairs, and the registry of constants."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backend.core.parameters import Parameter
from backend.scoring.constants import CONSTANTS, DIFFERENCE, LIGHT_WIND, WITHIN
from backend.scoring.grid import SCALE, Bools, Values, present
from backend.scoring.inference.comparison import PooledSkill, pooled_skills, skill_score
from backend.scoring.inference.group_intervals import by_day_groups
from backend.scoring.intervals import Interval, spread
from backend.scoring.metrics.scalar import ScalarSums, mae
from backend.scoring.sample.wind_groups import NO_GROUP, given_forecast, sectors, wind_classes
from backend.scoring.words.sentences import skill_words
from backend.tests.support.scoring_grids import filled, grid, random_grid, scalar_sums


@pytest.mark.parametrize(
    ("score", "reference", "skill"),
    [(0.0, 4.0, 1.0), (4.0, 4.0, 0.0), (1.0, 4.0, 0.75), (6.0, 4.0, -0.5), (1.0, 0.0, None), (0.0, 0.0, None),
     (None, 4.0, None), (1.0, None, None)],
)  # fmt: skip
def test_skill_is_one_for_perfect_zero_for_the_reference_and_negative_below(
    score: float | None, reference: float | None, skill: float | None
) -> None:
    assert skill_score(score, reference) == skill


def of_groups(*groups: tuple[float, int]) -> ScalarSums:
    """Return the sums of one day: for each group a mean error size (in the unit) and a number of pairs."""
    n = np.array([[pairs for _, pairs in groups]], np.int64)
    sizes = np.array([[round(size * SCALE) * pairs for size, pairs in groups]], np.int64)
    none = np.zeros_like(n)
    return ScalarSums(n, none, none, none, none, none, sizes)


def skill_of(model: ScalarSums, reference: ScalarSums) -> PooledSkill:
    (found,) = pooled_skills(mae, [model], reference)
    return found


def test_skills_of_groups_are_averaged_and_not_the_groups_pooled() -> None:
    # Each group has no skill at all; pooled errors (1 * 90 + 9 * 10) / 100 against a reference of the
    # common climate would have seemed skilful.
    none = of_groups((1.0, 90), (9.0, 10))
    assert skill_of(none, none) == PooledSkill(0.0, 2, 0)
    # 0.5 with 30 pairs and -0.1 with 10: (15 - 1) / 40.
    found = skill_of(of_groups((1.0, 30), (2.2, 10)), of_groups((2.0, 30), (2.0, 10)))
    assert found.skill == pytest.approx(0.35)


def test_groups_without_skill_are_left_out_and_counted() -> None:
    model, reference = of_groups((1.0, 30), (1.0, 30), (0.0, 0)), of_groups((2.0, 30), (0.0, 30), (0.0, 0))
    assert skill_of(model, reference) == PooledSkill(0.5, 1, 2)
    assert skill_of(of_groups(), of_groups()) == PooledSkill(None, 0, 0)


def test_each_of_several_models_has_the_skill_that_it_has_alone() -> None:
    generator = np.random.default_rng(15)
    naive, o, *forecasts = (random_grid(generator, 60, 0, 40, absent=0) for _ in range(5))
    reference, *models = (monthly(f, o) for f in (naive, *forecasts))
    assert pooled_skills(mae, models, reference) == [skill_of(model, reference) for model in models]
    assert pooled_skills(mae, [], reference) == []


def monthly(f: Values, o: Values, mask: Bools | None = None) -> ScalarSums:
    """Return sums of days in two groups of thirty: (60, 2)."""
    return by_day_groups(scalar_sums(f, o, mask), np.repeat([0, 1], 30), 2)


def test_the_interval_of_a_skill_is_that_of_its_months_without_each_day() -> None:
    generator = np.random.default_rng(10)
    f, naive, o = (random_grid(generator, 60, 0, 40) for _ in range(3))
    model, reference = monthly(f, o, present(naive)), monthly(naive, o, present(f))
    found = skill_of(model, reference)

    def skill(days: Bools) -> float:
        n, ours, theirs = (each[days].sum(axis=0) for each in (model.n, model.sum_abs, reference.sum_abs))
        return float(((1 - ours / theirs) * n).sum() / n.sum())

    departures = 59 * np.array([skill(np.arange(60) != day) for day in range(60)])
    by_hand = spread((departures - departures.mean())[None], np.ones((1, 60), np.bool_))
    (reach,) = by_hand.reach().tolist()
    assert found.interval is not None and found.skill is not None
    assert found.interval == pytest.approx((found.skill - reach, found.skill + reach))


def test_model_and_reference_lose_the_same_days() -> None:
    generator = np.random.default_rng(11)
    f, o = random_grid(generator, 60, 0, 40), random_grid(generator, 60, 0, 40)
    model = monthly(f, o)
    # A reference that is wrong by twice as much on every day: the skill is 0.5 without any one of them.
    reference = dataclasses.replace(model, sum_abs=2 * model.sum_abs)
    assert skill_of(model, reference).interval == pytest.approx((0.5, 0.5))


def test_a_skill_of_other_pairs_than_those_of_the_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="not summed over the same pairs"):
        skill_of(of_groups((1.0, 30)), of_groups((1.0, 29)))


def test_a_skill_that_is_not_defined_has_no_interval() -> None:
    o = filled(60, 10.0)
    perfect = monthly(o, o)
    assert skill_of(monthly(filled(60, 12.0), o), perfect) == PooledSkill(None, 0, 2, None)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (PooledSkill(0.2, 1, 0, Interval(0.1, 0.3)), "better than yesterday's observation"),
        (PooledSkill(-0.2, 1, 0, Interval(-0.3, -0.1)), "worse than yesterday's observation"),
        (
            PooledSkill(0.1, 1, 0, Interval(-0.1, 0.3)),
            "better than yesterday's observation, but not clearly so",
        ),
        (PooledSkill(-0.1, 1, 0, None), "worse than yesterday's observation, but not clearly so"),
        (PooledSkill(0.0, 1, 0, Interval(-0.1, 0.1)), "no better than yesterday's observation"),
        (PooledSkill(None, 0, 1, None), None),
    ],
)
def test_a_skill_is_called_clear_only_where_its_interval_excludes_zero(
    found: PooledSkill, words: str | None
) -> None:
    assert skill_words(found, "yesterday") == words


@pytest.mark.parametrize(
    ("direction", "sector"),
    [
        (0, 0),
        (22.499, 0),
        (22.5, 1),
        (45, 1),
        (90, 2),
        (180, 4),
        (337.499, 7),
        (337.5, 0),
        (359.999, 0),
        (360, 0),
    ],
)
def test_eight_sectors_are_centred_on_their_points(direction: float, sector: int) -> None:
    assert sectors(grid([direction]))[0, 0] == sector


def test_an_absent_value_is_in_no_group_and_a_calm_in_the_first() -> None:
    assert sectors(grid([None]))[0, 0] == NO_GROUP
    assert wind_classes(grid([None, 0.0, 4.999, 5, 10.799, 10.8, 20, 29.999, 30, 200]))[0, :10].tolist() == [
        NO_GROUP, 0, 0, 1, 1, 2, 3, 3, 4, 4,
    ]  # fmt: skip


def test_what_was_observed_given_the_forecast_is_the_table_worked_out_by_hand() -> None:
    f = grid([0, 4.999, 5, 9, 7, None, 26], [6, 40])
    o = grid([1, 3, 10, 12, 14, 99, None], [20, 33])
    found = given_forecast(f, o, edges=(5, 10, 25))
    assert [(bin_.low, bin_.high, bin_.n, bin_.days) for bin_ in found] == [
        (None, 5, 2, 1), (5, 10, 4, 2), (25, None, 1, 1),
    ]  # fmt: skip
    spread = [(bin_.p10, bin_.median, bin_.p90) for bin_ in found]
    assert np.array(spread) == pytest.approx(
        np.array([(1.2, 2.0, 2.8), (10.6, 13.0, 18.2), (33.0, 33.0, 33.0)])
    )
    assert given_forecast(f, grid([None], [None])) == ()
    assert sum(bin_.n for bin_ in given_forecast(f, o, mask=f > 8_000)) == 2


def test_a_day_above_the_limit_counts_once_and_the_limit_itself_is_not_above() -> None:
    f = grid([6, 7, 8, 26], [6, 6], [9, None])
    o = grid([20.1, 30, 3, 99], [20, 12], [21, 99])
    found = given_forecast(f, o, edges=(5, 10, 25), limit=20.0)
    assert [(bin_.low, bin_.days, bin_.days_above) for bin_ in found] == [(5, 3, 2), (25, 1, 1)]
    assert {bin_.days_above for bin_ in given_forecast(f, o)} == {None}


def test_bins_of_the_forecast_cover_every_pair_once() -> None:
    generator = np.random.default_rng(1)
    f, o = random_grid(generator, 30, 0, 80, 0), random_grid(generator, 30, 0, 80, 0)
    bins = given_forecast(f, o)
    assert sum(bin_.n for bin_ in bins) == f.size
    assert all(bin_.p10 <= bin_.median <= bin_.p90 for bin_ in bins)


def test_every_constant_has_a_name_of_its_own_a_unit_and_a_reason() -> None:
    assert len({constant.name for constant in CONSTANTS}) == len(CONSTANTS) >= 40
    for constant in CONSTANTS:
        assert constant.reason.endswith((".", ":")) or len(constant.reason) > 20, constant.name
        assert constant.reference is None or constant.reference, constant.name
    assert LIGHT_WIND in CONSTANTS
    with pytest.raises(dataclasses.FrozenInstanceError):
        LIGHT_WIND.value = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("parameter", Parameter)
def test_every_parameter_has_its_tolerance_and_its_least_difference(parameter: Parameter) -> None:
    assert WITHIN[parameter] in CONSTANTS
    assert DIFFERENCE[parameter] in CONSTANTS
    assert WITHIN[parameter].unit == DIFFERENCE[parameter].unit
