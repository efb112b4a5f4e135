"""How often a "go" was a bad surprise at a site: bad events, and which models forecast them.

Every event is the bad one (too windy, too gusty, off the slope, not flyable), so that a miss is a surprise.
All models of an event are counted on the same cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.core.parameters import Parameter
from backend.scoring.constants import FLYABLE_RUN, FLYING_FROM, FLYING_UNTIL, LIGHT_WIND
from backend.scoring.grid import Bools, Integers, Values, present, thousandths
from backend.scoring.inference.group_intervals import beside, score_intervals
from backend.scoring.metrics.contingency import SCORES, Contingency, Intervals
from backend.scoring.metrics.events import (
    EVERY_SECTOR,
    Occurrence,
    Sector,
    above,
    event_day,
    flyable,
    on_slope,
    sectors_of,
)
from backend.scoring.names import model_name
from backend.scoring.sample.quantities import common_sample
from backend.scoring.sample.sample import Sample
from backend.scoring.sample_size import SampleSize, sample_of

Winds = Mapping[Parameter, Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCounts:
    """A model's counts of one event, and the intervals of their scores, by whole days.

    `go_days` is on how many days it called any case good.
    """

    model: str
    counts: Contingency
    go_days: int = 0
    intervals: Intervals = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTable:
    """One event: what it is, the cases that all models in `models` have, and their counts on them.

    `limit` in km/h, None where the event has none. `without` are models that cannot be counted with them,
    each with its own cases and the distinct days of these.
    """

    event: str
    text: str
    limit: float | None
    units: str
    n_pairs: int
    size: SampleSize
    models: tuple[ModelCounts, ...]
    without: Mapping[str, tuple[int, int]]


def event_tables(sample: Sample, wind_limit: float, gust_limit: float) -> tuple[EventTable, ...]:
    """Return the events of a site for a pilot's own limits, in km/h.

    Hours are those that the sample counts. A flyable day has hours of its own, regardless of those: whether a
    day or an hour is flyable is decided from all values of models and station.
    """
    hours, real_hours = _hours_not_flyable(sample, wind_limit, gust_limit)
    limits = _limits(sample.all_forecasts, wind_limit, gust_limit, _required(sample))
    tables = [
        _table(
            sample,
            "not_flyable_hour",
            f"an hour with {limits}",
            "hours",
            hours,
            real_hours.where(sample.counted),
        ),
        _day_table(sample, hours, real_hours, limits),
        limit_table(sample, Parameter.WIND_SPEED, wind_limit),
        limit_table(sample, Parameter.WIND_GUST, gust_limit),
    ]
    sectors = sectors_of(sample.site.orientation)
    if sectors != EVERY_SECTOR:
        speed = sample.observed[Parameter.WIND_SPEED]
        off_slope = {
            model: ~on_slope(values[Parameter.WIND_DIRECTION], speed, sectors)
            for model, values in sample.forecasts.items()
        }
        really_off = ~on_slope(sample.observed[Parameter.WIND_DIRECTION], speed, sectors)
        text = f"a wind off the take-off's sectors, where at least {LIGHT_WIND.value:g} km/h were observed"
        tables.append(_table(sample, "off_slope", text, "hours", off_slope, really_off))
    return tuple(tables)


@dataclass(frozen=True, slots=True, eq=False)
class FlyableRuns:
    """The days of the event `not_flyable_day`, so that they can be counted at any limits.

    A day is flyable at some limits if one of its runs of hours is. `real` and each array of `models` have the
    highest mean wind and the highest gust of each run, shape (2, days, runs), in thousandths of a km/h;
    _NEVER for a run that no limit makes flyable. The days are those on which all these models and the
    readings are known.
    """

    size: SampleSize
    real: Integers
    models: Mapping[str, Integers]

    def go_days(self, wind_limit: float, gust_limit: float) -> dict[str, tuple[int, int]]:
        """Return by model the days that it called flyable and that were not, and all that it called flyable.

        The same as `c` and `c + d` of event_tables for these limits, in km/h.
        """
        limits = np.array([thousandths(wind_limit), thousandths(gust_limit)])[:, None, None]

        def flyable_days(runs: Integers) -> Bools:
            within = np.asarray((runs <= limits).all(axis=0))
            return np.asarray(within.any(axis=1))

        real = flyable_days(self.real)
        called = {name: flyable_days(runs) for name, runs in self.models.items()}
        return {name: (int((days & ~real).sum()), int(days.sum())) for name, days in called.items()}


_NO_LIMIT = 1e6
"""A limit in km/h that no wind exceeds: what is not flyable at it is so at every limit."""

_NEVER = np.iinfo(np.int32).max


def flyable_runs(sample: Sample) -> FlyableRuns:
    """Return the event of a day that is not flyable, as in event_tables, before limits are chosen."""
    required, begins = _required(sample), max(int(FLYING_FROM.value), sample.view.first_hour)
    hours, real_hours = _hours_not_flyable(sample, _NO_LIMIT, _NO_LIMIT)
    real_days = event_day(real_hours, sample.clock, begins).known
    has = {
        name: event_day(of_model.where(real_hours.known), sample.clock, begins).known & real_days
        for name, of_model in hours.items()
    }
    compared, shared = common_sample(has, real_days.shape)
    days = np.flatnonzero(shared)
    window = (sample.clock >= begins) & (sample.clock <= FLYING_UNTIL.value)
    columns = np.flatnonzero(window.any(axis=0))
    begin, end = int(columns[0]), int(columns[-1]) + 1

    def runs(winds: Winds, not_flyable: Occurrence, among: Bools) -> Integers:
        gust = winds[Parameter.WIND_GUST] if Parameter.WIND_GUST in required else None
        speed = winds[Parameter.WIND_SPEED]
        both = np.stack([speed, gust if gust is not None and _has(gust) else np.zeros_like(speed)])
        suits = among & not_flyable.known & ~not_flyable.yes
        hourly = np.where(suits, both, np.int32(_NEVER))[:, days, begin:end]
        windows = np.lib.stride_tricks.sliding_window_view(hourly, FLYABLE_RUN.value, axis=-1)
        return np.asarray(windows.max(axis=-1))

    return FlyableRuns(
        size=sample_of(shared, sample.span.months),
        real=runs(sample.measured, real_hours, window),
        models={
            name: runs(sample.all_forecasts[name], hours[name], window & real_hours.known)
            for name in sorted(compared)
        },
    )


def _required(sample: Sample) -> list[Parameter]:
    """Return what decides whether an hour is flyable, besides the mean wind."""
    observed = sample.measured
    required = [Parameter.WIND_GUST] if _has(observed[Parameter.WIND_GUST]) else []
    everywhere = sectors_of(sample.site.orientation) == EVERY_SECTOR
    if not everywhere and _has(observed[Parameter.WIND_DIRECTION]):
        required.append(Parameter.WIND_DIRECTION)
    return required


def _hours_not_flyable(
    sample: Sample, wind_limit: float, gust_limit: float
) -> tuple[dict[str, Occurrence], Occurrence]:
    """Return the hours that are not flyable by each model, and by the readings."""
    sectors, required = sectors_of(sample.site.orientation), _required(sample)
    of_models = {
        name: _not_flyable(values, wind_limit, gust_limit, sectors, required)
        for name, values in sample.all_forecasts.items()
    }
    return of_models, _not_flyable(sample.measured, wind_limit, gust_limit, sectors, required)


def _day_table(
    sample: Sample,
    hours: Mapping[str, Occurrence],
    real_hours: Occurrence,
    limits: str,
) -> EventTable:
    begins = max(int(FLYING_FROM.value), sample.view.first_hour)
    days = {  # of the hours that the station has: both sides are judged by the same ones
        name: ~event_day(~of_model.where(real_hours.known), sample.clock, begins)
        for name, of_model in hours.items()
    }
    return _table(
        sample,
        "not_flyable_day",
        f"a day without {FLYABLE_RUN.value} flyable hours in a row from {begins} to"
        f" {FLYING_UNTIL.value} o'clock; not flyable: {limits}",
        "days",
        days,
        ~event_day(~real_hours, sample.clock, begins),
    )


def _limits(
    winds: Mapping[str, Winds], wind_limit: float, gust_limit: float, required: Sequence[Parameter]
) -> str:
    """Return in words what makes an hour not flyable, and which models are judged without a part of it."""
    phrases = {
        Parameter.WIND_GUST: (f" or {gust_limit:g} of gust", "gusts"),
        Parameter.WIND_DIRECTION: (
            f", or a wind of {LIGHT_WIND.value:g} km/h and more off the slope",
            "directions",
        ),
    }
    words = f"more than {wind_limit:g} km/h of mean wind"
    for parameter in required:
        part, name = phrases[parameter]
        without = [
            model_name(model)
            for model, values in winds.items()
            if _has(values[Parameter.WIND_SPEED]) and not _has(values[parameter])
        ]
        words += part + (f" ({', '.join(without)}: without {name})" if without else "")
    return words


_LIMITED = {
    Parameter.WIND_SPEED: ("wind_over", "mean wind"),
    Parameter.WIND_GUST: ("gust_over", "gust"),
}


def limit_table(
    sample: Sample, parameter: Parameter, limit: float, scores: Sequence[str] = tuple(SCORES)
) -> EventTable:
    """Return how often a mean wind or a gust exceeded a limit (km/h), and which models forecast it.

    Only the scores in `scores` have intervals. Raises KeyError for another parameter.
    """
    event, name = _LIMITED[parameter]
    forecast = {model: above(values[parameter], limit) for model, values in sample.forecasts.items()}
    real = above(sample.observed[parameter], limit)
    return _table(
        sample, event, f"a {name} of more than {limit:g} km/h", "hours", forecast, real, limit, scores
    )


def _not_flyable(
    winds: Winds,
    wind_limit: float,
    gust_limit: float,
    sectors: Sequence[Sector],
    required: Sequence[Parameter],
) -> Occurrence:
    """Return where an hour is not flyable, known only where all values that decide it are present.

    `required` are the further parameters that the station measures; a side that never has one of them is
    judged without it. Which hours are known must not depend on the strength of the wind, or only the good or
    only the bad ones would remain: a direction is required in light winds too, although it decides nothing
    there. A calm has none, and counts on days that have any direction, or that were calm all day.
    """
    speed = winds[Parameter.WIND_SPEED]
    has = {parameter: winds[parameter] for parameter in required if _has(winds[parameter])}
    # In place of a value that is not required: present where the speed is, and it decides nothing.
    nothing = np.where(present(speed), 0, speed)
    gust = has.get(Parameter.WIND_GUST, nothing)
    whole = present(speed) & present(gust)
    if Parameter.WIND_DIRECTION in has:
        direction = has[Parameter.WIND_DIRECTION]
        calm = (speed == 0) | ~present(speed)
        has_directions = np.asarray(present(direction).any(axis=1) | calm.all(axis=1))
        whole &= present(direction) | (calm & has_directions[:, None])
    else:
        direction, sectors = nothing, EVERY_SECTOR
    good = flyable(speed, gust, direction, wind_limit=wind_limit, gust_limit=gust_limit, sectors=sectors)
    return ~Occurrence(good.yes & whole, whole)


def _has(values: Values) -> bool:
    return bool(present(values).any())


def _table(
    sample: Sample,
    event: str,
    text: str,
    units: str,
    forecast: Mapping[str, Occurrence],
    real: Occurrence,
    limit: float | None = None,
    scores: Sequence[str] = tuple(SCORES),
) -> EventTable:
    has: dict[str, Bools] = {name: of_model.known & real.known for name, of_model in forecast.items()}
    compared, shared = common_sample(has, real.known.shape)
    size = sample_of(shared, sample.span.months)
    of_days = {name: Contingency.of(forecast[name], real, shared) for name in sorted(compared)}
    intervals: Sequence[Intervals] = [{}] * len(of_days)
    if of_days and scores and size.label.shows_values:
        intervals = score_intervals(beside([*of_days.values()]), scores)
    return EventTable(
        event=event,
        text=text,
        limit=limit,
        units=units,
        n_pairs=int(shared.sum()),
        size=size,
        models=tuple(
            ModelCounts(
                model=name,
                counts=counts.total(),
                go_days=int((counts.c + counts.d > 0).sum()),
                intervals=of_model,
            )
            for (name, counts), of_model in zip(of_days.items(), intervals, strict=True)
        ),
        without={
            name: (int(own.sum()), int(own.any(axis=1).sum()))
            for name, own in has.items()
            if name not in compared
        },
    )
