"""Issued forecasts of past days beside what their station measured, and beside their references.

Only forecasts for everyone count, and none that is late or withdrawn: what was issued, and never a hindcast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.answers.issued_history import cells_of_days, columns_of, in_units, is_public, measured_in_units
from backend.answers.question import load, make_question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.issued import LEVELS, IssuedForecast
from backend.core.local_time import date_of
from backend.core.parameters import RULES, Parameter
from backend.core.records import Site
from backend.forecast.cells import Floats
from backend.forecast.interval import WINDOW
from backend.forecast.verification import at_all_levels
from backend.scoring.grid import Hours, Integers, clock_hours, to_units
from backend.scoring.sample.sample import Sample
from backend.scoring.views import DecisionView
from backend.storage.issued import issued_forecasts

HISTORY = WINDOW + 3
"""Days before the first one that are read: the chance of a day is made from the errors of the days before."""


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedDays:
    """Successive local days of one parameter in its unit, (days, 8, 4); NaN where missing.

    An error is observation minus forecast, of directions the shorter turn. `offsets` (days, 8, 4, 19) are the
    quantiles minus the value, `best_offsets` those of the best raw model, dressed with its own past errors,
    minus that model's value. `station` (days,) has a number for each station of the days, -1 without one.
    """

    station: Integers
    value: Floats
    observed: Floats
    error: Floats
    offsets: Floats
    best_error: Floats
    best_offsets: Floats
    yesterday_error: Floats
    placebo_error: Floats


def verified_days(
    service: ReadingParts, site: Site, view: DecisionView, first: int, last: int, withheld: Withholding
) -> dict[Parameter, VerifiedDays]:
    """Return the issued days from `first` - HISTORY to `last` (local day numbers), by parameter.

    Readings are those of the station that a forecast was issued for. A forecast for a station that the site
    no longer lists, or made from what is withheld now, is left out. Raises StoreUnavailableError.
    """
    begin = first - HISTORY
    with service.database.read() as connection:
        rows = issued_forecasts(
            connection, [site.id], audience="public", view=view.number, first=begin, last=last
        )
    # Of several methods at one decision the last one counts, as in the score days.
    counted = {
        (row.parameter, row.day): (row, row.hours.station)
        for row in rows
        if row.hours.station in site.stations and not row.is_late and is_public(row.hours, withheld)
    }
    samples = {
        station: load(
            service,
            make_question(
                service,
                site,
                view=view,
                first=date_of(begin),
                last=date_of(last),
                hours=Hours.ALL,
                station=station,
                most=last - begin + 1,
            ),
        )
        for station in {station for _, station in counted.values()}
    }
    by_parameter: dict[Parameter, dict[int, tuple[IssuedForecast, Sample]]] = {}
    for (parameter, day), (row, station) in counted.items():
        by_parameter.setdefault(parameter, {})[day] = row, samples[station]
    clock = clock_hours(date_of(begin), last - begin + 1)
    return {
        parameter: _of_parameter(parameter, days, clock, begin) for parameter, days in by_parameter.items()
    }


def _of_parameter(
    parameter: Parameter,
    days: Mapping[int, tuple[IssuedForecast, Sample]],
    clock: Integers,
    begin: int,
) -> VerifiedDays:
    """Return the days of a parameter from `begin` on, each of its forecast and the sample of its station."""
    shape = clock.shape
    value, observed, best, yesterday, placebo = (np.full(shape, np.nan) for _ in range(5))
    quantiles, best_quantiles = (np.full((len(LEVELS), *shape), np.nan) for _ in range(2))
    station = np.full(shape[0], -1)
    samples = list({id(sample): sample for _, sample in days.values()}.values())
    measured = [measured_in_units(sample, parameter) for sample in samples]
    of_yesterday = [sample.reference("yesterday", parameter, ()) for sample in samples]
    for day, (row, sample) in days.items():
        index, hours = day - begin, row.hours
        columns = columns_of(hours.times, day)
        for target, stored in ((value, hours.values), (best, hours.best_values), (placebo, hours.placebo)):
            if stored:
                target[index, columns] = in_units(stored)
        for target, of_levels in ((quantiles, hours.quantiles), (best_quantiles, hours.best_quantiles)):
            for level, stored in enumerate(of_levels):
                target[level, index, columns] = in_units(stored)
        station[index] = next(number for number, each in enumerate(samples) if each is sample)
        observed[index] = measured[station[index]][index]
        yesterday[index] = to_units(of_yesterday[station[index]][index])
    circular = parameter is Parameter.WIND_DIRECTION

    def error(forecast: Floats) -> Floats:
        difference = observed - forecast
        return np.asarray((difference + 180) % 360 - 180 if circular else difference)

    def offsets(of_levels: Floats, forecast: Floats) -> Floats:
        at_levels = at_all_levels(np.moveaxis(of_levels, 0, -1))
        if circular:  # issued as signed differences from the value
            return at_levels
        least = 0.0 if RULES[parameter].low == 0 else -np.inf
        return np.asarray(np.maximum(at_levels, least) - forecast[..., None])

    value, observed, best, yesterday, placebo, quantiles, best_quantiles = (
        cells_of_days(each, clock)
        for each in (value, observed, best, yesterday, placebo, quantiles, best_quantiles)
    )
    return VerifiedDays(
        station=station,
        value=value,
        observed=observed,
        error=error(value),
        offsets=offsets(quantiles, value),
        best_error=error(best),
        best_offsets=offsets(best_quantiles, best),
        yesterday_error=error(yesterday),
        placebo_error=error(placebo),
    )
