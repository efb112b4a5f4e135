"""Sums of the verification of issued forecasts by day, which add up over sites.

A figure is the mean over days, each day one value. Of several sites a day is the mean of all their hours:
days count, and not sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from backend.answers.issued_history import cells_of_hours
from backend.answers.verified_days import HISTORY, VerifiedDays
from backend.core.parameters import Parameter
from backend.forecast import verification as scores
from backend.forecast.cells import Bools, Floats
from backend.forecast.gate import GATED_DAYS
from backend.forecast.interval import HIGH, LOW, WINDOW, chance_of_day, chance_of_hour
from backend.forecast.verification import BINS, DayMean, over_days
from backend.scoring.grid import Hours
from backend.scoring.views import DecisionView


@dataclass(slots=True)
class DayMeans:
    """The sum and number of the values of each day."""

    total: Floats
    count: Floats

    @classmethod
    def of(cls, values: Floats) -> Self:
        """Return the sums of (days, ...), NaN where missing."""
        by_day = values.reshape(len(values), -1)
        return cls(np.nansum(by_day, axis=1), (~np.isnan(by_day)).sum(axis=1).astype(float))

    def add(self, other: Self) -> None:
        """Add the sums of other sites on the same days."""
        self.total = self.total + other.total
        self.count = self.count + other.count

    def mean(self) -> DayMean:
        """Return the mean over the days with a value; its `days` is 0 without any."""
        means = np.divide(self.total, self.count, out=np.full(len(self.total), np.nan), where=self.count > 0)
        return over_days(means)


@dataclass(slots=True)
class Chances:
    """The announced chances of each tenth: their sum, and what happened, by day."""

    chance: Floats
    happened: list[DayMeans]
    brier: DayMeans

    @classmethod
    def of(cls, chance: Floats, happened: Floats) -> Self:
        """Return the sums of chances (days, ...) and of what happened (0 or 1); NaN where missing."""
        happened = np.where(np.isnan(chance), np.nan, happened)
        chance = np.where(np.isnan(happened), np.nan, chance)
        tenth = np.minimum(np.nan_to_num(chance, nan=-1.0) * BINS, BINS - 1).astype(np.int64)
        of_tenths = scores.reliability(chance, happened)
        return cls(
            np.nan_to_num(of_tenths.chance * of_tenths.cases),
            [DayMeans.of(np.where(tenth == each, happened, np.nan)) for each in range(BINS)],
            DayMeans.of(scores.brier(chance, happened)),
        )

    def add(self, other: Self) -> None:
        """Add the chances of other sites on the same days."""
        self.chance = self.chance + other.chance
        for mine, others in zip(self.happened, other.happened, strict=True):
            mine.add(others)
        self.brier.add(other.brier)


@dataclass(slots=True)
class SiteSums:
    """All sums of one parameter: means by name, counts of the PIT by tenth, and chances."""

    means: dict[str, DayMeans] = field(default_factory=dict)
    pit: Floats = field(default_factory=lambda: np.zeros(BINS))
    chances: Chances | None = None

    def add(self, other: Self) -> None:
        """Add the sums of other sites on the same days."""
        for name, means in other.means.items():
            if name in self.means:
                self.means[name].add(means)
            else:
                self.means[name] = means
        self.pit = self.pit + other.pit
        if self.chances is None:
            self.chances = other.chances
        elif other.chances is not None:
            self.chances.add(other.chances)


# --- Sums of one site ------------------------------------------------------------------------------------


def of_site(days: VerifiedDays, parameter: Parameter, counted: Bools, seed: int) -> SiteSums:
    """Return the sums of the verified days without their history, of the cells that count."""
    error, best, yesterday, placebo = (
        np.where(counted, each[HISTORY:], np.nan)
        for each in (days.error, days.best_error, days.yesterday_error, days.placebo_error)
    )
    offsets, dressed = days.offsets[HISTORY:], days.best_offsets[HISTORY:]
    has_crps = parameter is not Parameter.WIND_DIRECTION
    pit = scores.pit(offsets, error, seed)
    width = offsets[..., HIGH] - offsets[..., LOW]
    values = {
        "mae": np.abs(error),
        "coverage": scores.plainly_covered(offsets, error),
        "coverage_by_pit": scores.covered(pit),
        "width": np.where(np.isnan(error), np.nan, width),
        "interval_score": scores.interval_score(offsets, error),
    }
    if has_crps:
        values["crps"] = scores.crps(offsets, error)
    for name, of_reference in (("best_model", best), ("yesterday", yesterday), ("placebo", placebo)):
        size = np.where(np.isnan(error), np.nan, np.abs(of_reference))
        values[f"{name}.mae"] = size
        values[f"{name}.mae_difference"] = np.abs(error) - size
    both = np.isnan(error) | np.isnan(offsets[..., LOW])
    of_dressed = {
        "interval_score": scores.interval_score(dressed, best),
        "coverage": scores.plainly_covered(dressed, best),
    }
    if has_crps:
        of_dressed["crps"] = scores.crps(dressed, best)
        of_dressed["crps_difference"] = scores.crps(offsets, error) - of_dressed["crps"]
    values |= {
        f"best_model_dressed.{name}": np.where(both, np.nan, each) for name, each in of_dressed.items()
    }
    tenths = np.minimum(pit[~np.isnan(pit)] * BINS, BINS - 1).astype(np.int64)
    return SiteSums(
        {name: DayMeans.of(each) for name, each in values.items()},
        np.bincount(tenths, minlength=BINS).astype(float),
    )


def _past(days: VerifiedDays, view: DecisionView) -> Floats:
    """Return the errors that were known at the decision of each verified day, (days, WINDOW, 8, 4).

    They are those of the same station on the WINDOW days before the day of the decision, as the answer with
    the forecast takes them.
    """
    count = len(days.error) - HISTORY
    newest = HISTORY - view.days_before - 1
    index = newest + np.arange(count)[:, None] - np.arange(WINDOW)[None, ::-1]
    same = days.station[index] == days.station[HISTORY:, None]
    return np.where(same[..., None, None], days.error[index], np.nan)


def hour_chances(days: VerifiedDays, view: DecisionView, limit: float, counted: Bools) -> Chances:
    """Return the chances of more than `limit` in the hours that count, as they were announced."""
    chance, known_days = chance_of_hour(days.value[HISTORY:], _past(days, view), limit)
    observed = np.where(counted, days.observed[HISTORY:], np.nan)
    shown = np.where(known_days >= GATED_DAYS, chance, np.nan)
    return Chances.of(shown, np.where(np.isnan(observed), np.nan, observed > limit))


def day_chances(
    of_winds: Mapping[Parameter, VerifiedDays], view: DecisionView, limits: Mapping[Parameter, float]
) -> Chances:
    """Return the chances that wind or gust (without gusts the wind) exceeds its limit in any flying hour.

    A day happened if any reading of it is above its limit; it did not if all hours with a forecast have a
    reading at or below it.
    """
    flying = cells_of_hours(Hours.FLYING)
    days = list(of_winds.values())
    chance, known_days = chance_of_day(
        [each.value[HISTORY:] for each in days],
        [_past(each, view) for each in days],
        [limits[parameter] for parameter in of_winds],
        flying,
    )
    above = np.zeros(len(chance), np.bool_)
    complete = np.ones_like(above)
    for parameter, each in of_winds.items():
        value, observed = (of[HISTORY:][:, flying] for of in (each.value, each.observed))
        above |= (observed > limits[parameter]).any(axis=1)
        complete &= (np.isnan(value) | ~np.isnan(observed)).all(axis=1)
    happened = np.where(above, 1.0, np.where(complete, 0.0, np.nan))
    return Chances.of(np.where(known_days >= GATED_DAYS, chance, np.nan), happened)
