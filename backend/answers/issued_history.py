"""The forecasts that were issued for a site on past days, beside what its station measured on them.

From them come the chances of a coming day and how often intervals held. Late forecasts do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.columns import SPEED, Ints
from backend.core.issued import Audience, GateState, IssuedForecast, IssuedHours, PastHours
from backend.core.local_time import HOUR, date_of, day_number, local_moment
from backend.core.parameters import Parameter
from backend.core.records import Site, network_of
from backend.forecast.cells import CLASSES, PLACES, Bools, Floats, to_cells
from backend.forecast.directions import in_wind
from backend.forecast.gate import GATED_DAYS
from backend.forecast.interval import chance_of_day, chance_of_hour
from backend.forecast.verification import DayMean, over_days
from backend.scoring.grid import CLOCK, SCALE, Hours, Integers, clock_hours, to_units
from backend.scoring.sample.sample import Sample
from backend.scoring.views import DecisionView
from backend.storage.issued import issued_forecasts

WINDS = (Parameter.WIND_SPEED, Parameter.WIND_GUST)
"""The parameters with a limit."""

SHOWN_STATES = (GateState.SHOWN, GateState.TRIAL)


@dataclass(frozen=True, slots=True, eq=False)
class IssuedHistory:
    """Past days of one station and view: forecasts as they were issued, and readings, as cells.

    `issued` (3, 4, days, 8, 4) has the values, then the lower and the upper ends of their intervals, by
    parameter, and `measured` (4, days, 8, 4) the readings of the same days: wind and gust of a day stay
    together. Whole thousandths, ABSENT where missing.
    """

    issued: Ints
    measured: Ints

    def errors(self, parameter: Parameter) -> Floats:
        """Return readings minus issued values, (days, 8, 4), in the unit; NaN where one is missing."""
        return np.asarray(self._observed(parameter) - to_units(self.issued[0, parameter.number]))

    def _observed(self, parameter: Parameter) -> Floats:
        observed = to_units(self.measured[parameter.number])
        if parameter is Parameter.WIND_DIRECTION:
            return in_wind(observed, to_units(self.measured[SPEED]))
        return observed

    def days(self, parameter: Parameter) -> int:
        """Return the number of days with an issued hour that has a reading."""
        return int((~np.isnan(self.errors(parameter))).any(axis=(1, 2)).sum())

    def held(self, parameter: Parameter) -> tuple[DayMean, int]:
        """Return the share of readings within their interval, by days, and the number of hours."""
        low, high = to_units(self.issued[1:, parameter.number])
        observed = self._observed(parameter)
        if parameter is Parameter.WIND_DIRECTION:  # its quantiles are signed differences from the value
            observed = (self.errors(parameter) + 180) % 360 - 180
        missing = np.isnan(low + high + observed)
        inside = np.where(missing, np.nan, (low <= observed) & (observed <= high))
        return over_days(inside), int((~missing).sum())

    def chance_of_hour(self, parameter: Parameter, values: Floats, limit: float) -> tuple[Floats, Floats]:
        """Return the chance of more than `limit` in each cell of a coming day, (8, 4), and its days."""
        chance, days = chance_of_hour(values[None], self.errors(parameter)[None], limit)
        return chance[0], days[0]


class DayChance(ApiModel):
    """The chance that wind or gust exceeds its limit in any hour from `first_hour` to `last_hour`.

    Each past day lends its errors of all these hours, wind and gust together: on `days_above` of `n_days`
    days the limit would have been exceeded.
    """

    parameters: list[Parameter]
    first_hour: int
    last_hour: int
    days_above: int
    n_days: int
    chance: float | None = Field(description="(k + 1) / (n + 2), never 0 or 1; null below 30 days")


def chance(days_above: int, days: int) -> float:
    """Return the chance that follows from so many of so many days: never 0, and never 1."""
    return (days_above + 1) / (days + 2)


def cells_of_hours(hours: Hours) -> Bools:
    """Return which cells, (8, 4), are of these hours; the hour that comes twice in autumn included."""
    clock = np.array([0, 1, 2, *range(2, CLOCK)])
    return np.asarray(to_cells(hours.counted(clock).astype(float), clock) == 1)


def cells_of_days(values: NDArray[Any], clocks: Integers) -> Floats:
    """Return values (..., days, 25) as cells (..., days, 8, 4); `clocks` as for `to_cells`, by day."""
    cells = np.full((*values.shape[:-1], CLASSES, PLACES), np.nan)
    for clock in np.unique(clocks, axis=0):
        same = (clocks == clock).all(axis=1)
        cells[..., same, :, :] = to_cells(values[..., same, :], clock)
    return cells


def columns_of(times: Sequence[int], day: int) -> Integers:
    """Return the column, 0 to 24, of each time of a local day."""
    return np.asarray((np.array(times, np.int64) - local_moment(day)) // HOUR)


def in_units(values: Sequence[int | None]) -> Floats:
    """Return issued thousandths in the unit of the parameter, NaN where missing."""
    return np.array(values, np.float64) / SCALE


def measured_in_units(sample: Sample, parameter: Parameter) -> Floats:
    """Return what was measured, (days, 25), in the unit, NaN where missing; directions in wind only."""
    measured = to_units(sample.measured[parameter])
    if parameter is Parameter.WIND_DIRECTION:
        return in_wind(measured, to_units(sample.measured[Parameter.WIND_SPEED]))
    return measured


def is_public(hours: IssuedHours | PastHours, withheld: Withholding) -> bool:
    """Return whether a forecast has no trace of what is withheld now: it may have been public when issued."""
    models = {given.model for given in hours.inputs} | {hours.best}
    return not models & withheld.models.keys() and (
        hours.station is None or network_of(hours.station) not in withheld.networks
    )


def newest_issued(
    service: ReadingParts,
    sites: Sequence[Site],
    day: date,
    withheld: Withholding,
    view: DecisionView | None = None,
) -> dict[str, dict[Parameter, IssuedForecast]]:
    """Return the forecasts of the newest decision for a day, by site id and parameter; of one view or of all.

    For the operator they are those of all models; without such ones, those of the public. Raises
    StoreUnavailableError.
    """
    number, found = day_number(day), {site.id: dict[Parameter, IssuedForecast]() for site in sites}
    audiences: tuple[Audience, ...] = ("public",) if withheld.public else ("operator", "public")
    for audience in audiences:
        with service.database.read() as connection:
            rows = issued_forecasts(
                connection,
                [name for name, of_site in found.items() if not of_site],
                audience=audience,
                view=None if view is None else view.number,
                first=number,
                last=number,
            )
        for name, of_site in groupby(
            (row for row in rows if is_public(row.hours, withheld)), key=lambda row: row.site
        ):
            known = list(of_site)
            newest = max(known, key=lambda row: row.decision_time).view
            found[name] = {row.parameter: row for row in known if row.view == newest}  # the last method stays
    return found


def cells_of(row: IssuedForecast) -> Floats:
    """Return the issued values of a row as cells (8, 4)."""
    clock = clock_hours(date_of(row.day), 1)[0]
    values = np.full(clock.shape, np.nan)
    values[columns_of(row.hours.times, row.day)] = in_units(row.hours.values)
    return to_cells(values, clock)


def day_chance(
    rows: Mapping[Parameter, IssuedForecast],
    errors: Mapping[Parameter, Floats],
    limits: Mapping[Parameter, float],
) -> DayChance | None:
    """Return the chance of a day from whole past days: wind and gust, or the wind alone without gusts.

    `errors`: (days, 8, 4) of past days, wind and gust on the same days. `limits` in km/h. None without a past
    day, and unless all of `rows` with a limit may be shown, if only on trial.
    """
    parameters = [parameter for parameter in WINDS if parameter in rows]
    if Parameter.WIND_SPEED not in rows or not errors:
        return None
    if any(rows[parameter].hours.state not in SHOWN_STATES for parameter in parameters):
        return None
    share, count = chance_of_day(
        [cells_of(rows[parameter])[None] for parameter in parameters],
        [errors[parameter][None] for parameter in parameters],
        [limits[parameter] for parameter in parameters],
        cells_of_hours(Hours.FLYING),
    )
    days = int(count[0])
    if not days:
        return None
    above = round(float(share[0]) * (days + 2) - 1)
    first, last = Hours.FLYING.ends
    return DayChance(
        parameters=parameters,
        first_hour=first,
        last_hour=last,
        days_above=above,
        n_days=days,
        chance=chance(above, days) if days >= GATED_DAYS else None,
    )
