"""One site in one view over a span of days, as arrays of the same hours: every score starts from a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import NO_LEAD, UNPAIRED
from backend.core.local_time import HOURS_A_DAY, date_of
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, Station
from backend.core.registry import OWN_MODEL
from backend.scoring.grid import Bools, Hours, Integers, Span, Values, clock_hours, present
from backend.scoring.sample.height_correction import to_station_height
from backend.scoring.sample.reference_forecasts import (
    climatology,
    direction_climatology,
    model_mean,
    model_mean_direction,
    yesterday,
)
from backend.scoring.views import VIEWS, View

K = TypeVar("K")
S = TypeVar("S")
V = TypeVar("V")


class Lazy(Mapping[K, V]):
    """The values of `source`, each converted by `compute` when it is first used.

    A question is about one quantity: the arrays of the other parameters are never built.
    """

    def __init__(self, source: Mapping[K, S], compute: Callable[[S], V]) -> None:
        self._source = source
        self._compute = compute
        self._values: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        """Return the value of a key; raises KeyError."""
        if key not in self._values:
            self._values[key] = self._compute(self._source[key])
        return self._values[key]

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys in their order."""
        return iter(self._source)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._source)


BASELINES = ("yesterday", "climatology", "model_mean")
"""Forecasts that need no model; they are scored beside the models and never ranked."""

STATION_SEPARATOR = " and then "
"""Between the names of reference stations that followed each other."""

EARLIER_DAYS = max(int(view.newest_known_day().max()) for view in VIEWS)
"""How many days before the first are read: "yesterday" of the first days lies in them."""

N = TypeVar("N", np.int32, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class StationDays:
    """What a station measured: arrays (days, 25) in thousandths, and how far each report is from its hour.

    `offsets` in minutes, UNPAIRED where there is no mean wind. `resolution` is of directions, in degrees.
    `means` are those of all reports around each hour; gusts have none. `doubted` counts the values that are
    stored and enter no score, by parameter and reason. `before` is what was measured on the
    EARLIER_DAYS days before the first, (EARLIER_DAYS, 25).

    `station` is described as of its newest place that counts for the site. Where it moved, `heights` are
    those of all its places (first local day, metres above sea level or None), oldest first. `away_since` is
    the local day of a move that the site has not confirmed.
    """

    station: Station
    observed: Mapping[Parameter, Values]
    means: Mapping[Parameter, Values]
    offsets: Integers
    resolution: float | None
    doubted: Mapping[tuple[Parameter, str], int]
    before: Mapping[Parameter, Values] = field(default_factory=dict)
    heights: Sequence[tuple[int, float | None]] = ()
    away_since: int | None = None

    def to_height(self, forecast: Values, ground: float | None, first: int) -> Values | None:
        """Return temperatures forecast at `ground` (metres) at the height of the station on each day.

        `first` is the local day of the first row. None where no height is known.
        """
        if not self.heights:
            return to_station_height(forecast, ground, self.station.elevation)
        corrected = np.full_like(forecast, ABSENT)
        for number, (begins, height) in enumerate(self.heights):
            start = 0 if number == 0 else max(begins - first, 0)
            of_place = to_station_height(forecast[start:], ground, height)
            corrected[start:] = ABSENT if of_place is None else of_place
        return corrected if (corrected != ABSENT).any() else None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was forecast and observed: arrays (days, 25) in thousandths, by parameter, and by model.

    `hours` are those that the question counts: `forecasts`, `observed`, `temperatures` and `reference()` are
    ABSENT in all others, so that everything made from them agrees. `all_forecasts`, `measured` and the arrays
    of `stations` have every hour, for what needs the others too: the references, flyable days, and whether
    two stations are one.

    `stations` holds every station of the site, `reference_days` those that the scores are about, each with
    the days on which it is the reference. `leads` are minutes, NO_LEAD without a forecast, and of the newest
    run; `older` is by how many minutes the run that a value is from is older. `estimated` counts hours whose
    run has no published time, of the whole days. `grounds` are metres, None where a model publishes none.
    `reference_days_before` is like `reference_days`, for the EARLIER_DAYS days before the first.
    """

    site: Site
    view: View
    span: Span
    hours: Hours
    all_forecasts: Mapping[str, Mapping[Parameter, Values]]
    leads: Mapping[str, Integers]
    older: Mapping[str, Mapping[Parameter, Integers]]
    estimated: Mapping[str, int]
    grounds: Mapping[str, float | None]
    stations: Mapping[str, StationDays]
    reference_days: Mapping[str, Bools]
    reference_days_before: Mapping[str, Bools] = field(default_factory=dict)
    computed: dict[tuple[object, ...], object] = field(default_factory=dict, init=False, compare=False)
    """The cache of QuantitySample: here, so that no sample and object refer to each other."""

    @cached_property
    def clock(self) -> Integers:
        """The hour that the clock shows at each column, (days, 25)."""
        return clock_hours(date_of(self.span.first), len(self.span.days))

    @cached_property
    def station(self) -> str:
        """The reference station; of several that followed each other all, "" where there is none."""
        return STATION_SEPARATOR.join(self.reference_days)

    @cached_property
    def counted(self) -> Bools:
        """The hours that the question counts, (days, 25)."""
        return self.hours.counted(self.clock)

    @cached_property
    def forecasts(self) -> Mapping[str, Mapping[Parameter, Values]]:
        """The forecasts of the models for the hours that count."""
        if self.hours is Hours.ALL:
            return self.all_forecasts
        # partial() and not a closure: a reference to the sample would be a cycle that keeps its arrays.
        in_hours = partial(_in_hours, self.counted)
        return {model: Lazy(values, in_hours) for model, values in self.all_forecasts.items()}

    @cached_property
    def observed(self) -> Mapping[Parameter, Values]:
        """What the reference station measured in the hours that count."""
        if self.hours is Hours.ALL:
            return self.measured
        return Lazy(self.measured, partial(_in_hours, self.counted))

    @cached_property
    def measured(self) -> Mapping[Parameter, Values]:
        """What the reference station measured in all hours."""
        observed = {code: self.stations[code].observed for code in self.reference_days}
        parameters = {parameter: parameter for parameter in Parameter}
        return Lazy(parameters, partial(_measured, observed, self.reference_days, len(self.span.days)))

    @cached_property
    def offsets(self) -> Integers:
        """How many minutes each report of the reference station is from its hour, or UNPAIRED."""
        offsets = {code: self.stations[code].offsets for code in self.reference_days}
        unpaired = np.full((len(self.span.days), HOURS_A_DAY), UNPAIRED, np.int64)
        return _by_reference_station(offsets, self.reference_days, unpaired)

    @cached_property
    def temperatures(self) -> Mapping[str, Values]:
        """The forecast temperatures of the models at the station's height.

        A model whose ground is not known is not here; a day whose station's height is not known is absent.
        """
        corrected = {}
        for model, of_model in self.forecasts.items():
            raw, ground = of_model[Parameter.TEMPERATURE], self.grounds.get(model)
            if model == OWN_MODEL.name:
                corrected[model] = raw  # issued for the station: at its height already
                continue
            by_station = {
                code: self.stations[code].to_height(raw, ground, self.span.first)
                for code in self.reference_days
            }
            known = {code: values for code, values in by_station.items() if values is not None}
            if known:
                absent = np.full_like(raw, ABSENT)
                corrected[model] = _by_reference_station(known, self.reference_days, absent)
        return corrected

    @property
    def resolution(self) -> float | None:
        """The coarsest resolution of the reference station's directions, in degrees."""
        steps = [self.stations[code].resolution for code in self.reference_days]
        return max((step for step in steps if step is not None), default=None)

    def lead(self, model: str, parameter: Parameter) -> Integers:
        """Return the lead times of a parameter of a model in minutes; NO_LEAD without a forecast."""
        leads = self.leads[model]
        return np.where(leads == NO_LEAD, NO_LEAD, leads + self.older[model][parameter])

    def from_older_runs(self, model: str, parameter: Parameter) -> int:
        """Return in how many hours that count the value of a parameter is not of the newest run."""
        forecast = present(self.forecasts[model][parameter])  # without gusts that are not of one hour
        return int((forecast & (self.older[model][parameter] > 0)).sum())

    def within(self, hours: Hours) -> Sample:
        """Return the same days with other hours that count."""
        return self if hours is self.hours else replace(self, hours=hours)

    def at(self, station: str) -> Sample:
        """Return the same forecasts against another of the site's stations."""
        return replace(
            self,
            reference_days={station: np.ones(len(self.span.days), np.bool_)},
            reference_days_before={station: np.ones(EARLIER_DAYS, np.bool_)},
        )

    def averaged(self) -> Sample:
        """Return the same forecasts against the mean of each hour's reports."""
        return replace(
            self, stations={code: replace(days, observed=days.means) for code, days in self.stations.items()}
        )

    def reference(self, name: str, parameter: Parameter, forecasts: Iterable[Values]) -> Values:
        """Return the forecast of one of BASELINES; `forecasts` are those of the models.

        It is made from all hours, and is there in those that count.
        """
        observed = self.measured[parameter]
        circular = parameter is Parameter.WIND_DIRECTION
        if name == "yesterday":
            # "Yesterday" of the first days lies before the span.
            days = self.reference_days_before
            before = _measured(
                {code: self.stations[code].before for code in days}, days, EARLIER_DAYS, parameter
            )
            clock = clock_hours(date_of(self.span.first - EARLIER_DAYS), EARLIER_DAYS + len(self.span.days))
            values = yesterday(np.concatenate([before, observed]), clock, self.view)[EARLIER_DAYS:]
        elif name == "climatology":
            of_months = direction_climatology if circular else climatology
            values = of_months(observed, self.clock, self.span.months)
        else:
            of_models = [forecast for forecast in forecasts if (forecast != ABSENT).any()]
            if len(of_models) < 2:
                return np.full_like(observed, ABSENT)  # the mean of one model is that model
            values = (model_mean_direction if circular else model_mean)(of_models)
        return values if self.hours is Hours.ALL else _in_hours(self.counted, values)


def _in_hours(counted: Bools, values: Values) -> Values:
    """Return the values in the hours that count, ABSENT in the others."""
    return np.where(counted, values, np.int32(ABSENT))


def _measured(
    observed: Mapping[str, Mapping[Parameter, Values]],
    days: Mapping[str, Bools],
    count: int,
    parameter: Parameter,
) -> Values:
    """Return what the reference station of each of `count` days measured."""
    values = {code: of_station[parameter] for code, of_station in observed.items()}
    return _by_reference_station(values, days, np.full((count, HOURS_A_DAY), ABSENT, np.int32))


def _by_reference_station(
    values: Mapping[str, NDArray[N]], days: Mapping[str, Bools], absent: NDArray[N]
) -> NDArray[N]:
    """Return `absent` with the values of each station on the days on which it is the reference station."""
    for code, of_station in values.items():
        absent[days[code]] = of_station[days[code]]
    return absent
