"""How often intervals and winners are wrong in worlds whose truth is known: one small cell of `make prove`.

Seeded: the figures are the same on every run. docs/lab/inference.md has those of all cells.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.scoring.inference.comparison import MICRO, DailySeries, mean_test
from proofs.inference import (
    CELLS,
    DAYS,
    LAGS,
    POWER_BEFORE,
    Cell,
    Row,
    aim_of,
    chunk,
    lasting,
    line,
    rows,
    surprise_rate,
)

REPETITIONS = 200


def figures(cell: Cell) -> dict[str, Row]:
    return {row.what: row for row in rows(cell, chunk(cell, 0, REPETITIONS))}


def test_on_few_and_correlated_days_intervals_hold_the_truth_as_often_as_they_should() -> None:
    found = figures(Cell("model", 0.5, 20))
    assert [line(row) for row in found.values() if not row.met] == []
    assert set(found) == {"mean_error", "word", "mae", "hour", "direction", "surprise_rate", "skill"}
    assert found["mean_error"].figure == 1 - found["word"].figure
    assert found["mean_error"].repetitions == REPETITIONS


@pytest.mark.parametrize("lag", [0.5, 0.7])
def test_two_equal_models_seldom_have_a_winner_where_whole_days_are_correlated(lag: float) -> None:
    (row,) = figures(Cell("equal", lag, 60)).values()
    assert row.met, line(row)


def test_a_difference_is_found_about_as_often_as_by_the_two_tests_of_version_1() -> None:
    (row,) = figures(Cell("power", 0.0, 60)).values()
    assert row.met, line(row)
    assert row.aim == 0.9 * POWER_BEFORE[60] > 0.6


def test_taking_correlated_days_for_independent_would_miss_the_aim() -> None:
    """The worlds are hard enough: Student's t of all days, as r = 0 would give it, is wrong far too often."""
    wrong = []
    for number in range(REPETITIONS):
        days = np.nanmean(lasting(np.random.default_rng(number), 60, 0.5), axis=1)
        wrong.append(abs(days.mean()) > 2.0 * days.std(ddof=1) / math.sqrt(60))
    assert np.mean(wrong) > 0.15


def test_a_third_of_the_days_missing_does_not_make_the_test_cry_wolf() -> None:
    alarms = []
    for number in range(REPETITIONS):
        generator = np.random.default_rng([3, number])
        days = np.nanmean(lasting(generator, 120, 0.5), axis=1)
        there = generator.random(120) > 1 / 3
        micro = np.rint(np.where(there, days, 0.0) * MICRO).astype(np.int64)
        found = mean_test(DailySeries(micro, there))
        assert found is not None
        alarms.append(found.interval.excludes_zero())
    assert np.mean(alarms) <= 0.08 + 2 * math.sqrt(0.08 * 0.92 / REPETITIONS)


def test_the_cells_are_those_of_the_aims() -> None:
    model, equal, power = (
        [cell for cell in CELLS if cell.kind == kind] for kind in ("model", "equal", "power")
    )
    assert {(cell.lag, cell.days) for cell in model} == {(lag, days) for lag in LAGS for days in DAYS}
    assert {(cell.lag, cell.days) for cell in equal} == {(lag, days) for lag in LAGS for days in (60, 120)}
    assert [(cell.lag, cell.days) for cell in power] == [(0.0, 60), (0.0, 120)]
    assert aim_of("mean_error", Cell("model", 0.5, 15)) == (0.92, True)
    assert aim_of("mean_error", Cell("model", 0.7, 15)) == (0.88, True)
    assert aim_of("winner", Cell("equal", 0.7, 60)) == (0.12, False)


def test_a_figure_is_met_up_to_two_standard_errors_from_its_aim() -> None:
    cell = Cell("model", 0.0, 15)
    slack = 2 * math.sqrt(0.92 * 0.08 / 1000)
    assert Row("mean_error", cell, 0.92 - slack + 0.001, 1000, 0.92, at_least=True).met
    missed = Row("mean_error", cell, 0.92 - slack - 0.001, 1000, 0.92, at_least=True)
    assert not missed.met
    assert line(missed).endswith("MISSED")
    known = Row("surprise_rate", Cell("model", 0.5, 20), 0.8, 1000, 0.92, at_least=True)
    assert line(known).endswith("missed, see Limits")


def test_the_true_surprise_rate_is_that_of_many_hours() -> None:
    generator = np.random.default_rng(1)
    wind = 20 + 4 * math.sqrt(2) * generator.standard_normal(1_000_000)
    said = wind + 3 * math.sqrt(2) * generator.standard_normal(1_000_000)
    assert surprise_rate() == pytest.approx((wind[said <= 25] > 25).mean(), abs=0.002)
