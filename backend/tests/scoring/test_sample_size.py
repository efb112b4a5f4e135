"""What a sample may claim, by its distinct days and seasons."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from backend.scoring.grid import SEASONS, Season, season_index
from backend.scoring.sample_size import SampleLabel, SampleSize, sample_of
from backend.tests.support.scoring_grids import months

WINTER, SPRING, SUMMER, AUTUMN = SEASONS


def sample(days: dict[Season, int]) -> SampleSize:
    """Return the size of a sample of so many days in each season."""
    of_days = [3 * SEASONS.index(season) or 12 for season, count in days.items() for _ in range(count)]
    return sample_of(np.ones(len(of_days), dtype=bool), np.array(of_days, dtype=np.int64))


@pytest.mark.parametrize(
    ("days", "label", "season"),
    [
        ({}, SampleLabel.COLLECTING, None),
        ({SUMMER: 14}, SampleLabel.COLLECTING, None),
        ({SUMMER: 15}, SampleLabel.FIRST_LOOK, None),
        ({SUMMER: 29}, SampleLabel.FIRST_LOOK, None),
        ({SUMMER: 30}, SampleLabel.PRELIMINARY, None),
        ({SUMMER: 89}, SampleLabel.PRELIMINARY, None),
        ({SUMMER: 90}, SampleLabel.ESTABLISHED_SEASON, SUMMER),
        ({SUMMER: 46, AUTUMN: 44}, SampleLabel.ESTABLISHED_SEASON, SUMMER),
        ({SUMMER: 45, AUTUMN: 45}, SampleLabel.PRELIMINARY, None),  # neither season has enough days
        ({WINTER: 179}, SampleLabel.ESTABLISHED_SEASON, WINTER),
        ({WINTER: 400}, SampleLabel.ESTABLISHED_SEASON, WINTER),  # span alone never upgrades
        ({WINTER: 90, SPRING: 90}, SampleLabel.PRELIMINARY, None),
        ({WINTER: 60, SPRING: 60, SUMMER: 60}, SampleLabel.ESTABLISHED, None),
        ({WINTER: 60, SPRING: 60, SUMMER: 59}, SampleLabel.PRELIMINARY, None),
        ({WINTER: 140, SPRING: 20, SUMMER: 20}, SampleLabel.ESTABLISHED, None),
        ({WINTER: 160, SPRING: 19, SUMMER: 19}, SampleLabel.ESTABLISHED_SEASON, WINTER),
        ({WINTER: 91, SPRING: 91, SUMMER: 91, AUTUMN: 91}, SampleLabel.ESTABLISHED, None),
    ],
)
def test_a_sample_is_labelled_by_its_days_and_seasons(
    days: dict[Season, int], label: SampleLabel, season: Season | None
) -> None:
    found = sample(days)
    assert (found.days, found.label, found.season) == (sum(days.values()), label, season)
    assert found.label.shows_values is (label is not SampleLabel.COLLECTING)


def test_december_belongs_to_winter() -> None:
    assert [SEASONS[i] for i in season_index(np.array([12, 1, 2, 3, 5, 6, 8, 9, 11]))] == [
        *[WINTER] * 3, *[SPRING] * 2, *[SUMMER] * 2, *[AUTUMN] * 2,
    ]  # fmt: skip


def test_only_days_that_are_present_count() -> None:
    present = np.zeros(365, dtype=bool)
    present[::4] = True
    found = sample_of(present, months(date(2026, 1, 1), 365))
    assert (found.days, found.label) == (92, SampleLabel.PRELIMINARY)


@pytest.mark.parametrize(("days", "may_rank"), [(14, False), (29, False), (30, True), (90, True)])
def test_no_model_is_called_better_before_thirty_days(days: int, may_rank: bool) -> None:
    assert sample({SUMMER: days}).label.may_rank is may_rank
