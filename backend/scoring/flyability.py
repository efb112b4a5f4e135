"""How often a "go" was a bad surprise at a site: events that are bad, and who said so beforehand.

Every event is the bad one (too windy, too gusty, off the slope, not flyable), so that a miss is a surprise.
All models of an event are counted on the same cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.core.parameters import Parameter
from backend.scoring.constants import FLYABLE_RUN, FLYING_FROM, FLYING_UNTIL, LIGHT_WIND
from backend.scoring.events import Occurrence, Sector, above, event_day, flyable, on_slope, sectors_of
from backend.scoring.grid import Bools, Values, present, thousandths
from backend.scoring.labels import Sample as SampleSize
from backend.scoring.labels import sample_of
from backend.scoring.sample import Sample
from backend.scoring.scorecard import all_of, comparable
from backend.scoring.sums import Contingency

Winds = Mapping[Parameter, Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCounts:
    """A model's counts of one event."""

    model: str
    counts: Contingency


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTable:
    """One event: what it is, the cases that all models in `models` have, and their counts on them.

    `limit` in km/h, None where the event has none. `without` are models that cannot be counted with them.
    """

    event: str
    text: str
    limit: float | None
    units: str
    n_pairs: int
    size: SampleSize
    models: tuple[ModelCounts, ...]
    without: tuple[str, ...]


def event_tables(sample: Sample, wind_limit: float, gust_limit: float) -> tuple[EventTable, ...]:
    """Return the events of a site for a pilot's own limits, in km/h."""
    sectors = sectors_of(sample.site.orientation)
    winds = sample.forecasts
    observed = sample.observed
    gusty = _has(observed[Parameter.WIND_GUST])
    hours = {
        name: _not_flyable(values, wind_limit, gust_limit, sectors, gusty=gusty)
        for name, values in winds.items()
    }
    real_hours = _not_flyable(observed, wind_limit, gust_limit, sectors, gusty=gusty)
    days = {name: ~event_day(~found, sample.clock) for name, found in hours.items()}
    real_days = ~event_day(~real_hours, sample.clock)
    limits = f"more than {wind_limit:g} km/h of mean wind"
    if gusty:
        limits += f" or {gust_limit:g} of gust"
    silent = [name for name, values in winds.items() if gusty and not _has(values[Parameter.WIND_GUST])]
    if silent:
        limits += f" ({', '.join(silent)}: without its gusts, which it does not forecast)"
    limits += f", or a wind of {LIGHT_WIND.value:g} km/h and more off the slope"
    return (
        _table(sample, "not_flyable_hour", f"an hour with {limits}", "hours", hours, real_hours),
        _table(
            sample,
            "not_flyable_day",
            f"a day without {FLYABLE_RUN.value} flyable hours in a row from {FLYING_FROM.value} to"
            f" {FLYING_UNTIL.value} o'clock; not flyable: {limits}",
            "days",
            days,
            real_days,
        ),
        _over(sample, Parameter.WIND_SPEED, "wind_over", "mean wind", wind_limit),
        _over(sample, Parameter.WIND_GUST, "gust_over", "gust", gust_limit),
        _off_slope(sample, sectors),
    )


def _over(sample: Sample, parameter: Parameter, event: str, name: str, limit: float) -> EventTable:
    said = {model: above(values[parameter], limit) for model, values in sample.forecasts.items()}
    real = above(sample.observed[parameter], limit)
    return _table(sample, event, f"a {name} of more than {limit:g} km/h", "hours", said, real, limit)


def _off_slope(sample: Sample, sectors: Sequence[Sector]) -> EventTable:
    speed = sample.observed[Parameter.WIND_SPEED]
    said = {
        model: ~on_slope(values[Parameter.WIND_DIRECTION], speed, sectors)
        for model, values in sample.forecasts.items()
    }
    real = ~on_slope(sample.observed[Parameter.WIND_DIRECTION], speed, sectors)
    text = f"a wind off the take-off's sectors, where at least {LIGHT_WIND.value:g} km/h were observed"
    return _table(sample, "off_slope", text, "hours", said, real)


def _not_flyable(
    winds: Winds, wind_limit: float, gust_limit: float, sectors: Sequence[Sector], *, gusty: bool
) -> Occurrence:
    """Return where an hour is not flyable, known only where all that decides it is.

    A side that has no gusts at all is judged without them; so are all where the station has none. One bad
    value would be enough to know an hour as bad; but then hours with gaps would count as bad ones only.
    """
    speed, direction = winds[Parameter.WIND_SPEED], winds[Parameter.WIND_DIRECTION]
    gust = winds[Parameter.WIND_GUST]
    whole = present(speed) & ((speed < thousandths(LIGHT_WIND.value)) | present(direction))
    if gusty and _has(gust):
        whole &= present(gust)
    else:
        gust = np.where(present(speed), 0, gust)
    good = flyable(speed, gust, direction, wind_limit=wind_limit, gust_limit=gust_limit, sectors=sectors)
    return ~Occurrence(good.yes & whole, whole)


def _has(values: Values) -> bool:
    return bool(present(values).any())


def _table(
    sample: Sample,
    event: str,
    text: str,
    units: str,
    said: Mapping[str, Occurrence],
    real: Occurrence,
    limit: float | None = None,
) -> EventTable:
    has: dict[str, Bools] = {name: found.known & real.known for name, found in said.items()}
    compared = comparable(has)
    shared = all_of(has[name] for name in compared) if compared else np.zeros_like(real.known)
    return EventTable(
        event=event,
        text=text,
        limit=limit,
        units=units,
        n_pairs=int(shared.sum()),
        size=sample_of(np.asarray(shared.any(axis=1)), sample.months),
        models=tuple(
            ModelCounts(model=name, counts=Contingency.of(said[name], real, shared).total())
            for name in sorted(compared)
        ),
        without=tuple(name for name in said if name not in compared),
    )
