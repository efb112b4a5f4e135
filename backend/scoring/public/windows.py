"""The periods of public answers in which a withheld source takes part, and what of a sample is in them.

Single values follow from figures over periods that differ by little. So a period is one, three or twelve
whole calendar months in a row, all of them closed, and a month counts for a model and a station only with at
least STRATUM_DAYS days of pairs: any two periods then differ by none of their days or by at least that many
(docs/decisions/withheld-values.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from backend.core.local_time import date_of, month_days
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import network_of
from backend.scoring.constants import PUBLIC_WINDOWS, STRATUM_DAYS
from backend.scoring.grid import Bools, Integers, Values, present
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample

LENGTHS = tuple(int(months) for months in PUBLIC_WINDOWS.value)

MOST_NAMED = 12
"""How many periods of each length a message names."""


@dataclass(frozen=True, slots=True)
class PublicRules:
    """What the public is shown of scores in which a withheld source takes part.

    Without `closed_months`, figures over any days, from the days of now, to 0.1: the rule of version 1, from
    which single values could be computed. The tests show so.
    """

    closed_months: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Some whole calendar months in a row, up to `last_month`."""

    last_month: int
    months: int

    @property
    def first(self) -> int:
        """Return the first local day."""
        return month_days(self.last_month - self.months + 1)[0]

    @property
    def last(self) -> int:
        """Return the last local day."""
        return month_days(self.last_month)[-1]

    @property
    def range(self) -> range:
        """Return the months."""
        return range(self.last_month - self.months + 1, self.last_month + 1)


def windows(published: Collection[int], closed: int) -> list[Window]:
    """Return the periods that hold a published month, up to the month `closed`, the newest first."""
    if not published:
        return []
    found = [
        Window(last, length)
        for last in range(min(published), closed + 1)
        for length in LENGTHS
        if any(month in published for month in Window(last, length).range)
    ]
    return sorted(found, reverse=True)


def newest_window(published: Collection[int]) -> Window | None:
    """Return the period that is answered for by default: up to the newest published month.

    Of its lengths, the shortest that holds as many published months as any.
    """
    if not published:
        return None
    newest = max(published)
    return max(
        (Window(newest, length) for length in LENGTHS),
        key=lambda window: (sum(month in published for month in window.range), -window.months),
    )


def named(found: Collection[Window]) -> str:
    """Return periods in words, by length, the newest first."""
    parts = []
    for length in LENGTHS:
        of_length = sorted((each for each in found if each.months == length), reverse=True)
        if of_length:
            noun = "1 month" if length == 1 else f"{length} months"
            each = ", ".join(
                f"{date_of(window.first)} to {date_of(window.last)}" for window in of_length[:MOST_NAMED]
            )
            more = len(of_length) - MOST_NAMED
            parts.append(f"{noun}: {each}{f' and {more} earlier ones' if more > 0 else ''}")
    return "; ".join(parts)


def in_full_months(sample: Sample, quantity: Quantity) -> Sample:
    """Return a sample without the months in which a model has fewer than STRATUM_DAYS days of pairs.

    Pairs are those of the hours that count. Each parameter is judged by itself, and a quantity of two
    parameters by its own pairs as well.
    """
    numbers = sample.span.month_numbers
    forecasts = {}
    for model, of_model in sample.all_forecasts.items():
        both = {
            parameter: present(values) & present(sample.observed[parameter])
            for parameter, values in of_model.items()
        }
        forecasts[model] = {
            parameter: _without_short_months(values, both[parameter], numbers)
            for parameter, values in of_model.items()
        }
    found = replace(sample, all_forecasts=forecasts)
    if not quantity.kind.of_wind:
        return found
    of_quantity = QuantitySample(found, quantity)
    for model, of_model in found.all_forecasts.items():
        there = of_quantity.pairs(model)
        direction = _without_short_months(of_model[Parameter.WIND_DIRECTION], there, numbers)
        forecasts[model] = {**of_model, Parameter.WIND_DIRECTION: direction}
    return replace(found, all_forecasts=forecasts)


def _without_short_months(values: Values, paired: Bools, numbers: Integers) -> Values:
    days = np.asarray(paired.any(axis=1))
    short = [month for month in np.unique(numbers) if days[numbers == month].sum() < STRATUM_DAYS.value]
    if not short:
        return values
    found = values.copy()
    found[np.isin(numbers, short)] = ABSENT
    return found


def has_values(sample: Sample, model: str) -> bool:
    """Return whether a sample has any value of a model."""
    of_model = sample.all_forecasts.get(model, {})
    return any(bool((values != ABSENT).any()) for values in of_model.values())


def without(sample: Sample, models: Collection[str], networks: Collection[str]) -> Sample:
    """Return a sample without these models and these networks, except for reference stations."""
    stations = {
        code: station
        for code, station in sample.stations.items()
        if code in sample.reference_days or network_of(code) not in networks
    }
    return replace(
        sample,
        all_forecasts={name: values for name, values in sample.all_forecasts.items() if name not in models},
        leads={name: values for name, values in sample.leads.items() if name not in models},
        estimated={name: hours for name, hours in sample.estimated.items() if name not in models},
        grounds={name: ground for name, ground in sample.grounds.items() if name not in models},
        stations=stations,
        # "Yesterday" of the first days may lie where another station was the reference.
        reference_days_before={
            code: days for code, days in sample.reference_days_before.items() if code in stations
        },
    )


def with_public_values(sample: Sample, models: Collection[str], networks: Collection[str]) -> Sample:
    """Return a sample without these models, and with no values of the stations of these networks."""
    hidden = {code for code in sample.stations if network_of(code) in networks}
    return replace(
        without(sample, models, networks),
        reference_days={
            code: np.zeros_like(days) if code in hidden else days
            for code, days in sample.reference_days.items()
        },
    )


SET_ASIDE = "set_aside"
"""Published instead of the reason why a withheld reading enters no score: most reasons reveal the reading."""


def without_reasons(sample: Sample, networks: Collection[str]) -> Sample:
    """Return a sample that counts the doubted readings of these networks' stations, and not by reason."""
    stations = {}
    for code, station in sample.stations.items():
        counts: dict[tuple[Parameter, str], int] = {}
        if network_of(code) in networks:
            for (parameter, _), count in station.doubted.items():
                counts[parameter, SET_ASIDE] = counts.get((parameter, SET_ASIDE), 0) + count
            station = replace(station, doubted=counts)
        stations[code] = station
    return replace(sample, stations=stations)
