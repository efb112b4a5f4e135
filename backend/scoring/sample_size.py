"""What a sample is large enough for. The unit is the distinct local day; span alone never upgrades."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from backend.scoring.constants import (
    DOMINANT_SEASON,
    ESTABLISHED_DAYS,
    ESTABLISHED_SEASONS,
    FIRST_LOOK_DAYS,
    PRELIMINARY_DAYS,
    SEASON_DAYS,
    STRATUM_DAYS,
)
from backend.scoring.grid import SEASONS, Bools, Integers, Season, season_index


class SampleLabel(StrEnum):
    """How far a sample carries."""

    shows_values: bool
    """Whether scores may be shown at all, with their intervals."""
    may_rank: bool
    """Whether a model may be called better, if the tests agree."""
    is_settled: bool
    """Whether models may have ranks although the tests do not agree."""

    COLLECTING = "collecting", False, False, False
    FIRST_LOOK = "first_look", True, False, False
    PRELIMINARY = "preliminary", True, True, False
    ESTABLISHED_SEASON = "established_for_season", True, True, True
    ESTABLISHED = "established", True, True, True

    def __new__(cls, value: str, *attributes: bool) -> Self:
        """Make a member of its row above; a call with a value alone finds the member."""
        label = str.__new__(cls, value)
        label._value_ = value
        label.shows_values, label.may_rank, label.is_settled = attributes
        return label


@dataclass(frozen=True, slots=True)
class SampleSize:
    """The distinct local days of a common sample, their label, and the season it is limited to, if so."""

    days: int
    label: SampleLabel
    season: Season | None


def sample_of(present: Bools, months: Integers) -> SampleSize:
    """Return the sample of the days `present`, or with an hour that is, given the month of every day.

    Its label follows from its distinct days in each season. Established: ESTABLISHED_DAYS over
    ESTABLISHED_SEASONS, a season counting from STRATUM_DAYS. Else, established for one season: SEASON_DAYS,
    most of them in it. A larger sample that is neither stays preliminary.
    """
    of_sample = present.any(axis=1) if present.ndim > 1 else present
    # minlength: seasons without a day count 0 too.
    by_season = np.bincount(season_index(months[of_sample]), minlength=len(SEASONS)).tolist()
    days = sum(by_season)
    covered = sum(count >= STRATUM_DAYS.value for count in by_season)
    seasons = zip(SEASONS, by_season, strict=True)
    dominant = next((season for season, count in seasons if count > DOMINANT_SEASON.value * days), None)
    if days < FIRST_LOOK_DAYS.value:
        return SampleSize(days, SampleLabel.COLLECTING, None)
    if days < PRELIMINARY_DAYS.value:
        return SampleSize(days, SampleLabel.FIRST_LOOK, None)
    if days >= ESTABLISHED_DAYS.value and covered >= ESTABLISHED_SEASONS.value:
        return SampleSize(days, SampleLabel.ESTABLISHED, None)
    if days >= SEASON_DAYS.value and dominant is not None:
        return SampleSize(days, SampleLabel.ESTABLISHED_SEASON, dominant)
    return SampleSize(days, SampleLabel.PRELIMINARY, None)
