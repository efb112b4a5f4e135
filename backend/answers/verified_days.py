"""Issued forecasts of past days beside what their station measured, and beside their references.

Only forecasts for everyone count, and none that is late or withdrawn: what was issued, and never a hindcast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.answers.question import load, make_question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.issued import LEVELS, IssuedForecast
from backend.core.local_time import HOUR, HOURS_A_DAY, date_of, local_moment
from backend.core.parameters import RULES, Parameter
from backend.core.records import Site, network_of
from backend.forecast.cells import CLASSES, PLACES, Bools, Floats, to_cells
from backend.forecast.interval import WINDOW
from backend.forecast.verification import at_all_levels
from backend.scoring.grid import SCALE, Hours, Integers, Values, clock_hours, present
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
    minus that model's value.
    """

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
    by_station: dict[str, dict[tuple[Parameter, int], IssuedForecast]] = {}
    for row in rows:  # of several methods at one decision the last one counts, as in the score days
        station = row.hours.station
        if station in site.stations and not row.is_late and _is_public(row, withheld):
            by_station.setdefault(station, {})[row.parameter, row.day] = row
    counted = {key: station for station, of_station in by_station.items() for key in of_station}
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
        for station in by_station
    }
    clock = clock_hours(date_of(begin), last - begin + 1)
    return {
        parameter: _of_parameter(
            parameter,
            {
                day: (by_station[station][parameter, day], samples[station])
                for (of_parameter, day), station in counted.items()
                if of_parameter is parameter
            },
            clock,
            begin,
        )
        for parameter in Parameter
        if any(of_parameter is parameter for of_parameter, _ in counted)
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
    quantiles, best_quantiles = (np.full((*shape, len(LEVELS)), np.nan) for _ in range(2))
    of_yesterday: dict[int, Values] = {}
    for day, (row, sample) in days.items():
        index, hours = day - begin, row.hours
        columns = (np.array(hours.times, np.int64) - local_moment(day)) // HOUR
        for target, stored in ((value, hours.values), (best, hours.best_values), (placebo, hours.placebo)):
            if stored:
                target[index, columns] = in_units(stored)
        for target, of_levels in ((quantiles, hours.quantiles), (best_quantiles, hours.best_quantiles)):
            for level, stored in enumerate(of_levels):
                target[index, columns, level] = in_units(stored)
        observed[index] = _measured(sample.measured[parameter][index])
        if id(sample) not in of_yesterday:
            of_yesterday[id(sample)] = sample.reference("yesterday", parameter, ())
        yesterday[index] = _measured(of_yesterday[id(sample)][index])
    circular = parameter is Parameter.WIND_DIRECTION

    def error(forecast: Floats) -> Floats:
        difference = observed - forecast
        return np.asarray((difference + 180) % 360 - 180 if circular else difference)

    def offsets(of_levels: Floats, forecast: Floats) -> Floats:
        if circular:  # issued as signed differences from the value
            return at_all_levels(of_levels)
        least = 0.0 if RULES[parameter].low == 0 else -np.inf
        return np.asarray(np.maximum(at_all_levels(of_levels), least) - forecast[..., None])

    parts = {
        "value": value,
        "observed": observed,
        "error": error(value),
        "offsets": offsets(quantiles, value),
        "best_error": error(best),
        "best_offsets": offsets(best_quantiles, best),
        "yesterday_error": error(yesterday),
        "placebo_error": error(placebo),
    }
    return VerifiedDays(**{name: _cells_of_days(part, clock) for name, part in parts.items()})


def in_units(values: Sequence[int | None]) -> Floats:
    """Return issued thousandths in the unit of the parameter, NaN where missing."""
    return np.array(values, np.float64) / SCALE


def cells_of_hours(hours: Hours) -> Bools:
    """Return which cells, (8, 4), are of these hours of the clock."""
    clock = np.append(np.arange(HOURS_A_DAY - 1), -1)
    return np.asarray(to_cells(hours.counted(clock).astype(float), clock) == 1)


def _measured(values: Values) -> Floats:
    return np.where(present(values), values / SCALE, np.nan)


def _cells_of_days(values: Floats, clocks: Integers) -> Floats:
    """Return values (days, 25, ...) as cells (days, 8, 4, ...); `clocks` (days, 25) as for `to_cells`."""
    last_axis = np.moveaxis(values, 1, -1)
    cells = np.full((*last_axis.shape[:-1], CLASSES, PLACES), np.nan)
    for clock in np.unique(clocks, axis=0):
        same = (clocks == clock).all(axis=1)
        cells[same] = to_cells(last_axis[same], clock)
    return np.moveaxis(cells, (-2, -1), (1, 2))


def _is_public(forecast: IssuedForecast, withheld: Withholding) -> bool:
    """Return whether a forecast has no trace of what is withheld now: it may have been public when issued."""
    models = {given.model for given in forecast.hours.inputs} | {forecast.hours.best}
    station = forecast.hours.station
    return not models & withheld.models.keys() and (
        station is None or network_of(station) not in withheld.networks
    )
