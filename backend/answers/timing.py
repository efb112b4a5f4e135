"""Whether the wind picks up earlier or later than announced, at a public station, for each public model."""

from __future__ import annotations

from datetime import date

import numpy as np
from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.question import Question, load
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.columns import SPEED, ReadingRows
from backend.core.local_time import date_of, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import network_of
from backend.scoring.constants import (
    DAY_FROM,
    DAY_UNTIL,
    FLYABLE_DAY_HOURS,
    TIMING_STEP,
    USUAL_AVERAGING,
)
from backend.scoring.grid import SCALE, Bools, present
from backend.scoring.names import model_name
from backend.scoring.questions.timing import (
    READINGS_GAP,
    Timing,
    announced_rise,
    first_rise,
    rounded_minutes,
    smoothed,
    timing,
)
from backend.scoring.sample.sample import Sample
from backend.storage.collected_rows import reading_rows
from backend.storage.score_queries import station_codes


class ModelTiming(ApiModel):
    """The wind's rises against those that a model announced; minutes, negative: earlier than announced."""

    model: str
    name: str
    n_days: int = Field(description="days on which both rose through the limit")
    only_announced: int
    only_observed: int
    minutes: int | None = Field(description="the median, to a quarter of an hour; null below 20 days")
    low: int | None
    high: int | None
    steady: bool = Field(description="whether the interval excludes 0 as it is shown")
    same_side: int

    @property
    def as_announced(self) -> bool:
        """Whether the interval has 0 in it and is as narrow as the rounding can show."""
        if self.low is None or self.high is None:
            return False
        return -TIMING_STEP.value <= self.low <= 0 <= self.high <= TIMING_STEP.value


class TimingAnswer(ApiModel):
    """When the mean wind first rises through a limit, from `first_hour` to `last_hour` local time."""

    station: str
    limit: float
    first_hour: int
    last_hour: int
    first_day: date
    last_day: date
    models: list[ModelTiming]

    @property
    def n_days(self) -> int:
        """The number of days of the question."""
        return (self.last_day - self.first_day).days + 1


def timing_answer(
    service: ReadingParts, question: Question, withheld: Withholding, *, limit: float
) -> TimingAnswer | None:
    """Return the timing for a limit in km/h; None if no public station is the reference.

    `question` is about public models only, of all hours and at most TIMING_DAYS.
    """
    sample = load(service, question)
    codes = [code for code in sample.reference_days if network_of(code) not in withheld.networks]
    if question.public or not codes:
        return None
    code = codes[-1]  # the newest of stations that followed each other
    observed = _observed_rises(_readings(service, code, question), sample, code, limit)
    models = []
    for model, values in sample.all_forecasts.items():
        if model in withheld.models or not present(values[Parameter.WIND_SPEED]).any():
            continue
        announced = _announced_rises(sample, model, limit)
        models.append(_entry(model, timing(observed, announced)))
    return TimingAnswer(
        station=sample.stations[code].station.name or code,
        limit=limit,
        first_hour=DAY_FROM.value,
        last_hour=DAY_UNTIL.value,
        first_day=date_of(question.first),
        last_day=date_of(question.last),
        models=models,
    )


def _entry(model: str, found: Timing) -> ModelTiming:
    minutes = None if found.median is None else rounded_minutes(found.median)
    interval = found.interval
    low, high = (None, None) if interval is None else (rounded_minutes(each) for each in interval)
    return ModelTiming(
        model=model,
        name=model_name(model),
        n_days=found.days,
        only_announced=found.only_announced,
        only_observed=found.only_observed,
        minutes=minutes,
        low=low,
        high=high,
        steady=low is not None and high is not None and (low > 0 or high < 0),
        same_side=found.same_side,
    )


def _window(day: int) -> tuple[int, int]:
    return local_moment(day, DAY_FROM.value), local_moment(day, DAY_UNTIL.value)


def _hours_of_window(sample: Sample) -> Bools:
    return np.asarray((sample.clock >= DAY_FROM.value) & (sample.clock <= DAY_UNTIL.value))


def _readings(service: ReadingParts, code: str, question: Question) -> ReadingRows | None:
    with service.database.read() as connection:
        numbers = [number for number, each in station_codes(connection).items() if each == code]
        if not numbers:
            return None
        first, end = local_moment(question.first), local_moment(question.last + 1)
        return reading_rows(connection, numbers[0], first, end)


def _observed_rises(
    readings: ReadingRows | None, sample: Sample, code: str, limit: float
) -> list[float | None]:
    """Return the rise of each day; None on days that quality control leaves with too few hours."""
    window = _hours_of_window(sample)
    known = present(sample.stations[code].observed[Parameter.WIND_SPEED]) & window
    whole = known.sum(axis=1) >= FLYABLE_DAY_HOURS.value * window.sum(axis=1)
    counts = whole & sample.reference_days[code]
    if readings is None:
        return [None] * len(counts)
    there = readings.values[:, SPEED] != ABSENT
    averaging = np.where(readings.averaging > 0, readings.averaging, USUAL_AVERAGING.value)
    # A mean that ends at its stamp describes the middle of its period: 30 s for each minute of averaging.
    middle = (readings.time - averaging * 30)[there]
    order = np.argsort(middle, kind="stable")
    times, speeds = smoothed(middle[order], readings.values[there, SPEED][order] / SCALE)
    rises: list[float | None] = []
    for row, day in enumerate(sample.span.days):
        if not counts[row]:
            rises.append(None)
            continue
        begins, ends = _window(day)
        # + 1: a reading at the last moment of the window belongs to it.
        low, high = np.searchsorted(times, [begins, ends + 1])
        rises.append(first_rise(times[low:high], speeds[low:high], limit, (begins, ends), READINGS_GAP))
    return rises


def _announced_rises(sample: Sample, model: str, limit: float) -> list[float | None]:
    values, hours = sample.all_forecasts[model][Parameter.WIND_SPEED], sample.span.hours()
    there = present(values) & _hours_of_window(sample)
    return [
        announced_rise(hours[row][there[row]], values[row][there[row]] / SCALE, limit, _window(day))
        for row, day in enumerate(sample.span.days)
    ]
