"""One site in one view over a span of days, as arrays of the same hours: every score starts from a sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import NO_LEAD, UNPAIRED
from backend.core.local_time import HOURS_A_DAY, date_of
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, Station
from backend.scoring.grid import Bools, Integers, Values, clock_hours, months, present
from backend.scoring.hours import Hours
from backend.scoring.local_span import Span
from backend.scoring.metrics.error_kind import ErrorKind, ErrorSums, Series, SizeSums
from backend.scoring.sample.common_sample import CommonSample, all_of, comparable
from backend.scoring.sample.height_correction import to_station_height
from backend.scoring.sample.lazy import Lazy
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.reference_forecasts import (
    climatology,
    direction_climatology,
    model_mean,
    model_mean_direction,
    yesterday,
)
from backend.scoring.views import VIEWS, View

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

    @cached_property
    def clock(self) -> Integers:
        """The hour that the clock shows at each column, (days, 25)."""
        return clock_hours(date_of(self.span.first), len(self.span.days))

    @cached_property
    def months(self) -> Integers:
        """The month of each day, 1 to 12."""
        return months(date_of(self.span.first), len(self.span.days))

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
        return {
            model: Lazy(values, partial(_in_hours, values, self.counted))
            for model, values in self.all_forecasts.items()
        }

    @cached_property
    def observed(self) -> Mapping[Parameter, Values]:
        """What the reference station measured in the hours that count."""
        measured = self.measured
        return (
            measured
            if self.hours is Hours.ALL
            else Lazy(measured, partial(_in_hours, measured, self.counted))
        )

    @cached_property
    def measured(self) -> Mapping[Parameter, Values]:
        """What the reference station measured in all hours."""
        observed = {code: self.stations[code].observed for code in self.reference_days}
        return Lazy(Parameter, partial(_measured, observed, self.reference_days, len(self.span.days)))

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

    def of(self, quantity: Quantity) -> QuantitySample:
        """Return one quantity of this sample; what it computes is cached with the sample."""
        return QuantitySample(self, quantity)

    @cached_property
    def computed(self) -> dict[tuple[object, ...], object]:
        """The cache of QuantitySample. It lies here, so that no sample and object refer to each other."""
        return {}

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
            before = np.full((EARLIER_DAYS, HOURS_A_DAY), ABSENT, np.int32)
            for code, days in self.reference_days_before.items():
                before[days] = self.stations[code].before[parameter][days]
            clock = clock_hours(date_of(self.span.first - EARLIER_DAYS), EARLIER_DAYS + len(self.span.days))
            values = yesterday(np.concatenate([before, observed]), clock, self.view)[EARLIER_DAYS:]
        elif name == "climatology":
            values = (direction_climatology if circular else climatology)(observed, self.clock, self.months)
        else:
            of_models = [forecast for forecast in forecasts if (forecast != ABSENT).any()]
            if len(of_models) < 2:
                return np.full_like(observed, ABSENT)  # the mean of one model is that model
            values = (model_mean_direction if circular else model_mean)(of_models)
        return values if self.hours is Hours.ALL else np.where(self.counted, values, np.int32(ABSENT))


def _in_hours(values: Mapping[Parameter, Values], counted: Bools, parameter: Parameter) -> Values:
    """Return the values of a parameter in the hours that count, ABSENT in the others."""
    return np.where(counted, values[parameter], np.int32(ABSENT))


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


class QuantitySample:
    """One quantity of a sample: the series, pairs, errors and sums of each model and baseline.

    `name` is a model or one of BASELINES; the mean of the models is that of the compared ones. Each array is
    computed once per sample: a verdict needs most of them several times.
    """

    def __init__(self, sample: Sample, quantity: Quantity) -> None:
        self.sample = sample
        self.quantity = quantity
        self.kind: ErrorKind = quantity.kind

    @property
    def observed(self) -> Series:
        """What the reference station measured in the hours that count."""
        return self.quantity.series(self.sample.observed)

    @property
    def common(self) -> CommonSample:
        """The models that can be compared, and the hours they share."""
        key = self.quantity, "common"
        if key not in self.sample.computed:
            pairs = {name: self.pairs(name) for name in self.sample.forecasts}
            compared = comparable(pairs)
            none = np.zeros((len(self.sample.span.days), HOURS_A_DAY), np.bool_)
            shared = all_of(pairs[name] for name in compared) if compared else none
            self.sample.computed[key] = CommonSample(compared, shared)
        return cast(CommonSample, self.sample.computed[key])

    def series(self, name: str) -> Series:
        """Return the forecasts of a model or baseline; ABSENT where there are none."""
        sample, quantity = self.sample, self.quantity
        if name not in BASELINES:
            if quantity is Quantity.TEMPERATURE:
                none = np.full_like(sample.observed[Parameter.TEMPERATURE], ABSENT)
                return Series(sample.temperatures.get(name, none))
            return quantity.series(sample.forecasts[name])
        key = quantity, "baseline", name
        if key not in sample.computed:
            values = {}
            for parameter in quantity.parameters:
                if quantity is Quantity.TEMPERATURE:
                    of_models = [
                        sample.temperatures[model]
                        for model in self.common.compared
                        if model in sample.temperatures
                    ]
                else:
                    of_models = [sample.forecasts[model][parameter] for model in self.common.compared]
                values[parameter] = sample.reference(name, parameter, of_models)
            sample.computed[key] = quantity.series(values)
        return cast(Series, sample.computed[key])

    def hourly(self, name: str) -> ErrorSums:
        """Return the sums of each hour by itself."""
        key = self.quantity, "hourly", name
        if key not in self.sample.computed:
            self.sample.computed[key] = self.kind.hourly(self.series(name), self.observed)
        return cast(ErrorSums, self.sample.computed[key])

    def pairs(self, name: str) -> Bools:
        """Return the hours that count as pairs, (days, 25)."""
        return np.asarray(self.hourly(name).n != 0)

    def errors(self, name: str) -> Integers:
        """Return the errors hour by hour, (days, 25), in thousandths; 0 where there is no pair."""
        return self.hourly(name).sum_errors

    def sums(self, name: str, mask: Bools | None = None) -> ErrorSums:
        """Return the sums of each day, of its pairs within `mask`."""
        key = self.quantity, "sums", name, None if mask is None else mask.tobytes()
        if key not in self.sample.computed:
            self.sample.computed[key] = self.hourly(name).of_days(mask)
        return cast(ErrorSums, self.sample.computed[key])

    def sizes(self, name: str, mask: Bools | None = None) -> SizeSums:
        """Return the sizes of errors of each day, of its pairs within `mask`."""
        within = None if mask is None else mask.tobytes()
        if (self.quantity, "sums", name, within) in self.sample.computed:
            return self.sums(name, mask).sizes()
        key = self.quantity, "sizes", name, within
        if key not in self.sample.computed:
            self.sample.computed[key] = self.hourly(name).sizes().of_days(mask)
        return cast(SizeSums, self.sample.computed[key])
