"""Past days: what each public model announced the evening before, what the beacon read, and who was right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum

import numpy as np
from pydantic import Field

from backend.answers.attribution import forecast_attribution, network_attribution
from backend.answers.base import ApiModel
from backend.answers.beacon_place import BeaconPlace, beacon_place
from backend.answers.question import load, make_question
from backend.answers.service import ReadingParts
from backend.answers.shown_station import shown_station
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of, day_number, local_day
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, network_of
from backend.scoring.constants import FLYABLE_DAY_HOURS, WITHIN_WIND
from backend.scoring.grid import NO_HOUR, SCALE, SEASONS, Hours, Integers, Season, Values
from backend.scoring.names import model_name
from backend.scoring.public.windows import with_public_values
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.views import EVENING_BEFORE

STRIP_DAYS = 14
"""Number of days in the strip of past days."""

MOST_MISSES = 5


class Judgement(StrEnum):
    """How a model's forecast of a day turned out in flying hours."""

    RIGHT = "right"
    TOO_STRONG = "too_strong"
    TOO_WEAK = "too_weak"
    BAD_SURPRISE = "bad_surprise"
    TOO_FEW_HOURS = "too_few_hours"


class HourPair(ApiModel):
    """A forecast and an observation of one hour, in km/h; the error is forecast minus observation."""

    hour: int = Field(description="o'clock of the local day")
    forecast: float
    observation: float
    error: float


class ModelOfDay(ApiModel):
    """One model on one day.

    `decisive` is the hour that decides: the first bad surprise, else the largest error.
    """

    model: str
    name: str
    judgement: Judgement
    decisive: HourPair | None = Field(description="null without a pair of forecast and observation")
    n_hours: int = Field(description="flying hours with forecast and observation")


class PastDay(ApiModel):
    """A local day, with each public model that has a forecast of it."""

    day: date
    observed_hours: int = Field(description="flying hours with an observation")
    models: list[ModelOfDay]


class PastHour(ApiModel):
    """The values of an hour in km/h: null or absent where there is none."""

    hour: int
    observation: float | None
    gust: float | None
    forecasts: dict[str, float] = Field(description="by model")


class Miss(ApiModel):
    """A large error of a model: the largest one of its day."""

    day: date
    model: str
    name: str
    pair: HourPair


class YesterdayAnswer(ApiModel):
    """A past day hour by hour, the days before today in short, and the worst misses of the season."""

    site: str
    station: BeaconPlace | None = Field(description="null if the site has no station with public values")
    day: PastDay
    hours: list[PastHour]
    strip: list[PastDay] = Field(description="the days before today, oldest first")
    limit: float = Field(description="km/h; a wind forecast at or below it and observed above it: surprise")
    tolerance: float = Field(description="km/h; `right`: all errors are at most so large")
    flying_hours: tuple[int, int]
    season: Season
    season_first_day: date
    season_days: int = Field(description="days of the season with a pair of forecast and observation")
    misses: list[Miss] = Field(description="largest first; none within the tolerance")
    withheld: list[str] = Field(description="display names of models with values that are not public")
    station_withheld: str | None = Field(description="the reference station, if its values are not public")
    attribution: list[str]


def yesterday_answer(
    service: ReadingParts, site: Site, withheld: Withholding, *, limit: float, day: date | None = None
) -> YesterdayAnswer:
    """Return a past day, yesterday by default, with the days and misses before today.

    No part of it is made from a withheld model or station. Raises StoreUnavailableError.
    """
    today = local_day(service.clock())
    yesterday = date_of(today - 1)
    chosen = yesterday if day is None else day
    season, season_first = season_of(yesterday)
    # One sample serves both, and early in a season the strip reaches further back.
    first = min(today - STRIP_DAYS, day_number(season_first))
    code = shown_station(site, yesterday, withheld)
    recent = _public_sample(service, site, withheld, code, first, today - 1)
    number = day_number(chosen)
    of_day = recent if number in recent.span.days else _public_sample(
        service, site, withheld, code, number, number
    )  # fmt: skip
    in_season = _misses(recent, day_number(season_first))
    # The station of yesterday and not of the chosen day: the strip and the misses are about the days up to
    # it.
    reference = site.reference_on(yesterday)
    return YesterdayAnswer(
        site=site.id,
        station=None if code is None else beacon_place(site, recent.stations[code].station, reference),
        day=_past_day(of_day, number, limit),
        hours=list(_hours(of_day, number)),
        strip=[_past_day(recent, each, limit) for each in range(today - STRIP_DAYS, today)],
        limit=limit,
        tolerance=WITHIN_WIND.value,
        flying_hours=Hours.FLYING.ends,
        season=season,
        season_first_day=season_first,
        season_days=len(in_season),
        misses=[miss for miss in in_season[:MOST_MISSES] if abs(miss.pair.error) > WITHIN_WIND.value],
        withheld=[model_name(model) for model in service.sources.of_models() if model in withheld.models],
        station_withheld=reference
        if reference is not None and network_of(reference) in withheld.networks
        else None,
        attribution=[
            *forecast_attribution(service, set(of_day.forecasts)),
            *network_attribution(service, set() if code is None else {network_of(code)}),
        ],
    )


def season_of(day: date) -> tuple[Season, date]:
    """Return the season of a day, and its first day."""
    first_month = day.month // 3 * 3
    first = date(day.year, first_month, 1) if first_month else date(day.year - 1, 12, 1)
    return SEASONS[day.month % 12 // 3], first


def _public_sample(
    service: ReadingParts, site: Site, withheld: Withholding, station: str | None, first: int, last: int
) -> Sample:
    """Return the days at a station, as announced the evening before, without withheld values."""
    question = make_question(
        service,
        site,
        view=EVENING_BEFORE,
        first=date_of(first),
        last=date_of(last),
        hours=Hours.FLYING,
        station=station,
    )
    return with_public_values(load(service, question), withheld.models, withheld.networks)


def _past_day(sample: Sample, day: int, limit: float) -> PastDay:
    row = day - sample.span.first
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    return PastDay(
        day=date_of(day),
        observed_hours=int((of_quantity.observed.main[row] != ABSENT).sum()),
        models=[
            _model_of_day(model, pairs, limit, int(sample.counted[row].sum()))
            for model in sample.forecasts
            if (of_quantity.series(model).main[row] != ABSENT).any()
            for pairs in [
                [
                    _pair(of_quantity, model, row, column)
                    for column in np.flatnonzero(of_quantity.pairs(model)[row]).tolist()
                ]
            ]
        ],
    )


def _pair(of_quantity: QuantitySample, model: str, row: int, column: int) -> HourPair:
    return HourPair(
        hour=int(of_quantity.sample.clock[row, column]),
        forecast=int(of_quantity.series(model).main[row, column]) / SCALE,
        observation=int(of_quantity.observed.main[row, column]) / SCALE,
        error=int(of_quantity.errors(model)[row, column]) / SCALE,
    )


def _model_of_day(model: str, pairs: list[HourPair], limit: float, hours: int) -> ModelOfDay:
    """Judge a day. A surprise counts even within the tolerance: it is the definition of the surprise rate."""
    surprise = next((pair for pair in pairs if pair.forecast <= limit < pair.observation), None)
    largest = max(pairs, key=lambda pair: abs(pair.error), default=None)
    decisive = surprise or largest
    if surprise is not None:
        judgement = Judgement.BAD_SURPRISE
    elif largest is not None and abs(largest.error) > WITHIN_WIND.value:
        judgement = Judgement.TOO_STRONG if largest.error > 0 else Judgement.TOO_WEAK
    elif largest is None or len(pairs) < FLYABLE_DAY_HOURS.value * hours:
        judgement = Judgement.TOO_FEW_HOURS  # the missing hours may be those that were wrong
    else:
        judgement = Judgement.RIGHT
    return ModelOfDay(
        model=model, name=model_name(model), judgement=judgement, decisive=decisive, n_hours=len(pairs)
    )


def _hours(sample: Sample, day: int) -> Iterator[PastHour]:
    row = day - sample.span.first
    observed, gusts = (sample.observed[each][row] for each in (Parameter.WIND_SPEED, Parameter.WIND_GUST))
    forecasts = {model: of[Parameter.WIND_SPEED][row] for model, of in sample.forecasts.items()}
    for column in np.flatnonzero(sample.counted[row]).tolist():
        if sample.clock[row, column] != NO_HOUR:
            yield PastHour(
                hour=int(sample.clock[row, column]),
                observation=_value(observed, column),
                gust=_value(gusts, column),
                forecasts={
                    model: value
                    for model, values in forecasts.items()
                    if (value := _value(values, column)) is not None
                },
            )


def _misses(sample: Sample, first: int) -> list[Miss]:
    """Return the largest error of each day from a local day on, of any model, the largest first."""
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    of_day: dict[int, tuple[int, str, int]] = {}
    for model in sample.forecasts:
        sizes: Integers = np.where(of_quantity.pairs(model), np.abs(of_quantity.errors(model)), -1)
        for row, column in enumerate(sizes.argmax(axis=1).tolist()):
            found = int(sizes[row, column]), model, column
            # -1: the model has no pair on this day.
            if found[0] >= 0 and sample.span.first + row >= first:
                of_day[row] = max(of_day.get(row, found), found)
    return [
        Miss(
            day=date_of(sample.span.first + row),
            model=model,
            name=model_name(model),
            pair=_pair(of_quantity, model, row, column),
        )
        for row, (_, model, column) in sorted(of_day.items(), key=lambda item: item[1], reverse=True)
    ]


def _value(values: Values, column: int) -> float | None:
    value = int(values[column])
    return None if value == ABSENT else value / SCALE
