"""The forecasts that were issued for a site on past days, beside what its station measured on them.

From them come the chances of a coming day and how often intervals held. Late forecasts do not count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.learning_start import first_learned
from backend.answers.question import load, make_question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.issued import Audience, GateState, IssuedForecast
from backend.core.local_time import HOUR, date_of, day_number, local_day, local_moment
from backend.core.parameters import Parameter
from backend.core.records import Site, network_of
from backend.forecast.cells import CLASSES, PLACES, Bools, Floats, to_cells
from backend.forecast.directions import in_wind
from backend.forecast.gate import GATED_DAYS
from backend.forecast.interval import WINDOW, chance_of_day, chance_of_hour
from backend.forecast.verification import DayMean, over_days
from backend.scoring.grid import CLOCK, SCALE, Hours, Integers, clock_hours, present
from backend.scoring.sample.sample import Sample
from backend.scoring.views import DECISION_VIEWS, DecisionView
from backend.storage.announced import data_version
from backend.storage.database import Database
from backend.storage.issued import issued_forecasts, record_length

WINDS = (Parameter.WIND_SPEED, Parameter.WIND_GUST)
"""The parameters with a limit."""

SHOWN_STATES = (GateState.SHOWN, GateState.TRIAL)

Cells = Mapping[Parameter, Floats]
"""By parameter: (8, 4) of a day, or (days, 8, 4), in the unit of the parameter; NaN where missing."""


@dataclass(frozen=True, slots=True, eq=False)
class IssuedHistory:
    """Past days of one station and view: issued values, the ends of their intervals, and readings.

    All are (days, 8, 4) on the same days, so that wind and gust of a day stay together.
    """

    values: Cells
    low: Cells
    high: Cells
    observed: Cells

    def errors(self, parameter: Parameter) -> Floats:
        """Return readings minus issued values."""
        return np.asarray(self.observed[parameter] - self.values[parameter])

    def days(self, parameter: Parameter) -> int:
        """Return the number of days with an issued hour that has a reading."""
        return int((~np.isnan(self.errors(parameter))).any(axis=(1, 2)).sum())

    def held(self, parameter: Parameter) -> tuple[DayMean, int]:
        """Return the share of readings within their interval, by days, and the number of hours."""
        low, high, observed = (of[parameter] for of in (self.low, self.high, self.observed))
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


def cells_of_days(values: Floats, clocks: Integers) -> Floats:
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

    def units(of: Parameter) -> Floats:
        measured = sample.measured[of]
        return np.where(present(measured), measured / SCALE, np.nan)

    if parameter is Parameter.WIND_DIRECTION:
        return in_wind(units(parameter), units(Parameter.WIND_SPEED))
    return units(parameter)


def is_public(forecast: IssuedForecast, withheld: Withholding) -> bool:
    """Return whether a forecast has no trace of what is withheld now: it may have been public when issued."""
    hours = forecast.hours
    models = {given.model for given in hours.inputs} | {hours.best}
    return not models & withheld.models.keys() and (
        hours.station is None or network_of(hours.station) not in withheld.networks
    )


def issued_history(
    service: ReadingParts,
    site: Site,
    station: str,
    view: DecisionView,
    audience: Audience,
    last: int,
    withheld: Withholding,
) -> IssuedHistory | None:
    """Return the issued forecasts up to the local day `last` with the readings of `station`.

    Those that were issued for another station, or before it was moved, do not count. None without any. Raises
    StoreUnavailableError.
    """
    # `load` refuses a station that the site does not list any more.
    if station not in site.stations:
        return None
    with service.database.read() as connection:
        first = first_learned(connection, site, station, last - WINDOW + 1)
        rows = issued_forecasts(
            connection, [site.id], audience=audience, view=view.number, first=first, last=last
        )
    counted = [
        row for row in rows if row.hours.station == station and not row.is_late and is_public(row, withheld)
    ]
    if not counted:
        return None
    first = min(row.day for row in counted)
    question = make_question(
        service, site, view=view, first=date_of(first), last=date_of(last), hours=Hours.ALL, station=station
    )
    sample = load(service, question)
    parts = {
        name: {parameter: np.full(sample.clock.shape, np.nan) for parameter in Parameter}
        for name in ("values", "low", "high")
    }
    for row in counted:  # of several methods the newest row stays
        hours, place = row.hours, (row.day - first, columns_of(row.hours.times, row.day))
        parts["values"][row.parameter][place] = in_units(hours.values)
        if hours.quantiles:
            parts["low"][row.parameter][place] = in_units(hours.quantiles[0])
            parts["high"][row.parameter][place] = in_units(hours.quantiles[-1])
    parts["observed"] = {parameter: measured_in_units(sample, parameter) for parameter in Parameter}
    stacked = np.array([[of[parameter] for parameter in Parameter] for of in parts.values()])
    cells = cells_of_days(stacked, sample.clock)  # in one call: it looks for the days with other clocks
    return IssuedHistory(
        **{
            name: dict(zip(Parameter, of_part, strict=True))
            for name, of_part in zip(parts, cells, strict=True)
        }
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
            (row for row in rows if is_public(row, withheld)), key=lambda row: row.site
        ):
            known = list(of_site)
            newest = max(known, key=lambda row: row.decision_time).view
            found[name] = {row.parameter: row for row in known if row.view == newest}  # the last method stays
    return found


def cells_of(row: IssuedForecast) -> Floats:
    """Return the issued values of a row as cells (8, 4)."""
    clock = clock_hours(date_of(row.day), 1)
    values = np.full(clock.shape, np.nan)
    values[0, columns_of(row.hours.times, row.day)] = in_units(row.hours.values)
    return np.asarray(cells_of_days(values, clock)[0])


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


# --- Histories are kept in the process ------------------------------------------------------------------

_lock = Lock()

_MOST_HISTORIES = 40
"""Whole histories that are kept: 0.4 MB each."""

_histories: WeakKeyDictionary[Database, OrderedDict[Hashable, IssuedHistory | None]] = WeakKeyDictionary()


def present_history(
    service: ReadingParts,
    site: Site,
    station: str,
    view: DecisionView,
    audience: Audience,
    last: int,
    withheld: Withholding,
) -> IssuedHistory | None:
    """Return `issued_history`; it is read again only after a new batch, score day or row of the record.

    Pilots ask with other limits for the same days. Raises StoreUnavailableError.
    """
    with service.database.read() as connection:
        length = record_length(connection, site.id)
    version = data_version(service.database)
    key = (site, station, view, audience, last, withheld.key, version, length)
    with _lock:
        kept = _histories.setdefault(service.database, OrderedDict())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    history = issued_history(service, site, station, view, audience, last, withheld)
    with _lock:
        kept[key] = history
        while len(kept) > _MOST_HISTORIES:
            kept.popitem(last=False)
    return history


# The home page needs the errors alone, of many sites.

_MOST_KEPT = 500
"""Sites whose errors are kept: 46 kB each."""

_FRESH = timedelta(minutes=10)
"""Age up to which errors serve, also if a late reading has changed a past day since."""

_kept: WeakKeyDictionary[Database, OrderedDict[Hashable, tuple[datetime, dict[Parameter, Floats]]]]
_kept = WeakKeyDictionary()


def day_chances(
    service: ReadingParts,
    sites: Sequence[Site],
    day: date,
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
) -> dict[str, DayChance]:
    """Return the chance of a day by site id, where the corrected forecast is shown; limits in km/h.

    Raises StoreUnavailableError.
    """
    now, found = service.clock(), {}
    limits = {Parameter.WIND_SPEED: wind_limit, Parameter.WIND_GUST: gust_limit}
    with _lock:
        kept = _kept.setdefault(service.database, OrderedDict())
    rows_of = newest_issued(service, sites, day, withheld)
    for site in sites:
        rows = {parameter: row for parameter, row in rows_of[site.id].items() if parameter in WINDS}
        wind = rows.get(Parameter.WIND_SPEED)
        if wind is None or wind.hours.station is None:
            continue
        if any(row.hours.state != GateState.SHOWN for row in rows.values()):
            continue
        view = next(each for each in DECISION_VIEWS if each.number == wind.view)
        last = local_day(wind.decision_time) - 1
        asked = (site, wind.hours.station, view, wind.audience, last, withheld)
        key = (*asked[:-1], withheld.key)
        with _lock:
            entry = kept.get(key)
        if entry is None or abs(now - entry[0]) > _FRESH:  # the clock of a demo may be set back
            history = issued_history(service, *asked)
            errors = {} if history is None else {each: history.errors(each) for each in WINDS}
            entry = now, errors
        with _lock:
            kept[key] = entry
            kept.move_to_end(key)
            while len(kept) > _MOST_KEPT:
                kept.popitem(last=False)
        of_day = day_chance(rows, entry[1], limits)
        if of_day is not None:
            found[site.id] = of_day
    return found
