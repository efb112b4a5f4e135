"""The scores of the rows that the proof through the service finds in the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backend.core.issued import LEVELS
from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT, Parameter
from backend.forecast import verification
from backend.forecast.cells import Floats
from backend.forecast.gate import GATED_DAYS
from backend.forecast.verification import DayMean, at_all_levels, over_days
from backend.scoring.grid import SCALE
from backend.scoring.views import EVENING_BEFORE
from backend.storage.issued import issued_forecasts
from backend.storage.store import Store
from proofs.forecast import Aim, percent
from proofs.forecast_store import FIRST, Years

PIT_SEED = 7


@dataclass(eq=False)
class Scores:
    """Measures of the wind as issued on the evening before, from GATED_DAYS learned days on, (days, ...)."""

    error: Floats
    best_error: Floats
    placebo_error: Floats
    crps: Floats
    dressed_crps: Floats
    covered: Floats

    @classmethod
    def of(cls, store: Store, years: Years) -> Scores:
        """Return the scores of what is in the record, beside the readings that came in the end."""
        shape = years.days, len(years.sites), HOURS_A_DAY
        value, best, placebo = (np.full(shape, np.nan) for _ in range(3))
        own, dressed = (np.full((*shape, len(LEVELS)), np.nan) for _ in range(2))
        for number, site in enumerate(years.sites):
            with store.database.read() as connection:
                rows = issued_forecasts(
                    connection,
                    [site.id],
                    audience="public",
                    view=EVENING_BEFORE.number,
                    first=FIRST,
                    last=FIRST + years.days,
                )
            for row in rows:
                if row.parameter is not Parameter.WIND_SPEED or row.hours.days < GATED_DAYS:
                    continue
                place = row.day - FIRST, number, slice(0, len(row.hours.times))
                value[place] = _units(row.hours.values)
                best[place] = _units(row.hours.best_values)
                if row.hours.placebo:
                    placebo[place] = _units(row.hours.placebo)
                own[place] = np.stack([_units(each) for each in row.hours.quantiles], axis=-1)
                dressed[place] = np.stack([_units(each) for each in row.hours.best_quantiles], axis=-1)
        readings = years.observed[Parameter.WIND_SPEED]
        truth = np.where(readings == ABSENT, np.nan, readings / SCALE)
        own, dressed = at_all_levels(own), at_all_levels(dressed)
        return cls(
            np.abs(value - truth),
            np.abs(best - truth),
            np.abs(placebo - truth),
            verification.crps(own, truth),
            verification.crps(dressed, truth),
            verification.covered(verification.pit(own, truth, PIT_SEED)),
        )

    def aims(self) -> Iterator[Aim]:
        """Yield the aims that some sites and months can show."""
        for text, own, other, limit in (
            ("MAE against the best raw model so far", self.error, self.best_error, -0.10),
            ("CRPS against the dressed best", self.crps, self.dressed_crps, -0.05),
        ):
            both = ~np.isnan(own + other)
            mine, of_other = own[both].mean(), other[both].mean()
            found = f"{mine:.3f} and {of_other:.3f} km/h, {percent(mine / of_other - 1)}"
            yield Aim(f"{text}: {percent(limit)} and better", found, mine / of_other - 1 <= limit)
        held = over_days(self.covered)
        yield Aim("the interval of coverage contains 80 %", _share(held), held.low <= 0.8 <= held.high)
        gain = over_days(self.placebo_error - self.error)
        text = f"{gain.mean:.2f} km/h ({gain.low:.2f} to {gain.high:.2f})"
        yield Aim("gain over the placebo, its interval above 0", text, gain.low > 0)


def _share(of: DayMean) -> str:
    return f"{100 * of.mean:.1f} % ({100 * of.low:.1f} to {100 * of.high:.1f}) on {of.days} days"


def _units(values: Sequence[int | None]) -> Floats:
    return np.array([np.nan if value is None else value / SCALE for value in values])
